//! Where there is no stack left.

use std::io::ErrorKind;
use std::time::Duration;

use green::http::{Body, Request, Server};
use green::thread::sleep;
use test_support::address_space::{give_back, take_all_stacks};
use test_support::child::{SPARE_MEMORY, alone};

use crate::{Served, usual};

#[test]
fn time_limits_find_their_stack_when_a_server_begins_or_it_does_not() {
    let name = "stacks::time_limits_find_their_stack_when_a_server_begins_or_it_does_not";
    let environment = [("GREEN_HUBS", "1"), SPARE_MEMORY];
    let ended = alone(name, &environment, || {
        green::run(|| ());
        let parked = take_all_stacks();
        let server = Server::new(green::listen("127.0.0.1:0").unwrap());
        // Without the error it would go on, and panic in its first connection.
        let (address, stop) = (
            server.listener().local_addr().unwrap(),
            server.stop_handle(),
        );
        let client = std::thread::spawn(move || {
            let _client = std::net::TcpStream::connect(address);
            std::thread::sleep(Duration::from_millis(100));
            stop.stop();
        });
        let error = server.run(|_: Request<Body>| "hello").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
        client.join().unwrap();
        give_back(parked);

        let served = Served::new(usual);
        let has_begun = || {
            let threads = green::report().threads;
            threads
                .iter()
                .any(|thread| thread.name.as_deref() == Some("sleeps"))
        };
        while !has_begun() {
            sleep(Duration::from_millis(1));
        }
        let mut parked = take_all_stacks();
        // One for the connection, none for what it waits by.
        give_back(parked.pop());
        let answer = served.ask("GET /on HTTP/1.0\r\n\r\n");
        assert!(answer.ends_with("GET /on"), "{answer}");
        give_back(parked);
        served.stop();
    });
    let errors = ended.well().errors;
    assert!(!errors.contains("panicked"), "{errors}");
}
