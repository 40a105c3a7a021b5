use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::super::exchange::Exchange;
use super::*;

/// A closed loop would send nothing during the stall and see one slow answer.
#[test]
fn a_stall_is_charged_to_every_request_that_was_due_meanwhile() {
    const STALL: Duration = Duration::from_millis(200);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 1024];
        let mut served = 0;
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            let before = served;
            served += length;
            if before < 100 * 64 && served >= 100 * 64 {
                thread::sleep(STALL);
            }
            stream.write_all(&buffer[..length]).unwrap();
        }
    });
    let mut connections = Connections::open(address, 1, false, Exchange::echo).unwrap();
    let outcome = at_rate(&mut connections, 1000.0, Duration::from_millis(500)).unwrap();
    drop(connections);
    server.join().unwrap();
    assert_eq!(outcome.latencies.len(), 500);
    let half = STALL.as_nanos() as u64 / 2;
    let late = outcome.latencies.count_between(half, u64::MAX);
    assert!(
        late >= 90,
        "{late} requests were charged with half the stall or more"
    );
}
