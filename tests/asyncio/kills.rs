//! `green::debug::kill` of the green threads that `green::asyncio` starts itself, above all before they begin: nobody
//! waits for ever, and nothing claims to be alive.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use green::asyncio::{
    ConnectionOptions, DatagramOptions, DatagramProtocol, Future, Protocol, ServerOptions,
    Transport, add_signal_handler, create_connection, create_datagram_endpoint, create_server,
    remove_signal_handler, run_in_executor,
};
use green::greenio::SockAddr;
use green::signal::consts::SIGUSR1;
use green::thread::{sleep, spawn, yield_now};
use green::{Killed, report};

use test_support::child::alone;

/// A protocol that keeps what it is told of its end.
#[derive(Clone)]
struct Told(Future<String>);

impl Told {
    fn new() -> Told {
        Told(Future::new())
    }
}

impl Protocol for Told {
    fn data_received(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn connection_lost(&mut self, cause: Option<io::Error>) {
        let _ = self.0.set_result(format!("{cause:?}"));
    }
}

impl DatagramProtocol for Told {
    fn datagram_received(&mut self, _: &[u8], _: &SockAddr) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `body` in a process with one hub, where a green thread that has been started runs after those that are ready.
fn on_one_hub(name: &str, body: impl FnOnce() + Send + 'static) {
    alone(name, &[("GREEN_HUBS", "1")], || green::run(body)).well();
}

/// Kills the next green thread of that name as soon as it is there, hence before it begins.
fn kill_unstarted(name: &'static str) -> green::thread::JoinHandle<()> {
    let killer = spawn(move || {
        while !kill_one(name) {
            yield_now();
        }
    });
    // Its turn comes before that of whoever is started from now on.
    while !killer.is_started() {
        yield_now();
    }
    killer
}

fn kill_one(name: &str) -> bool {
    let threads = report().threads;
    let of_name = threads.iter().find(|t| t.name.as_deref() == Some(name));
    of_name.is_some_and(|thread| green::debug::kill(thread.id.as_u64().get()).unwrap())
}

fn is_killed(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Killed>())
}

#[test]
fn a_connection_whose_reader_never_begins_is_an_error() {
    on_one_hub(
        "kills::a_connection_whose_reader_never_begins_is_an_error",
        || {
            let listener = green::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let killer = kill_unstarted("asyncio transport");
            let told = Told::new();
            let factory = || told.clone();
            let address = listener.local_addr().unwrap();
            let made = create_connection(factory, address, ConnectionOptions::new());
            assert!(is_killed(&made.map(drop).unwrap_err()));
            killer.join().unwrap();
            // A protocol that was never told of a connection is not told of its end.
            assert!(!told.0.done());
            // The peer is.
            let (mut peer, _) = listener.accept().unwrap();
            assert_eq!(io::copy(&mut peer, &mut io::sink()).unwrap(), 0);
        },
    );
}

#[test]
fn an_endpoint_whose_reader_never_begins_is_an_error() {
    on_one_hub(
        "kills::an_endpoint_whose_reader_never_begins_is_an_error",
        || {
            let killer = kill_unstarted("asyncio endpoint");
            let options = DatagramOptions::new().local_addr("127.0.0.1:0".parse().unwrap());
            let made = create_datagram_endpoint(Told::new, options);
            assert!(is_killed(&made.map(drop).unwrap_err()));
            killer.join().unwrap();
        },
    );
}

#[test]
fn a_connection_whose_sender_never_begins_is_lost() {
    on_one_hub(
        "kills::a_connection_whose_sender_never_begins_is_lost",
        || {
            let listener = green::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let told = Told::new();
            let address = listener.local_addr().unwrap();
            let (transport, _): (Transport, _) =
                create_connection(|| told.clone(), address, ConnectionOptions::new()).unwrap();
            let _peer_that_does_not_read = listener.accept().unwrap();
            let killer = kill_unstarted("asyncio sender");
            // More than the kernel takes.
            transport.write(&vec![7; 64 << 20]).unwrap();
            killer.join().unwrap();
            assert!(told.0.wait(None).unwrap().contains("Killed"));
        },
    );
}

/// `before`: the acceptor has not begun.
fn without_acceptor(before: bool) {
    let killer = before.then(|| kill_unstarted("asyncio server"));
    let options = ServerOptions::new().start_serving(false);
    let server = Arc::new(create_server(Told::new, "127.0.0.1:0", options).unwrap());
    let theirs = server.clone();
    let serving = spawn(move || theirs.serve_forever());
    match killer {
        Some(killer) => killer.join().unwrap(),
        None => {
            while !kill_one("asyncio server") {
                sleep(Duration::from_millis(1));
            }
        }
    }
    assert!(serving.join().unwrap().is_ok());
    assert!(!server.is_serving());
    assert!(server.sockets().is_empty());
    assert!(server.start_serving().is_err());
    server.wait_closed();
}

#[test]
fn a_server_whose_acceptor_is_killed_serves_no_more() {
    on_one_hub(
        "kills::a_server_whose_acceptor_is_killed_serves_no_more",
        || {
            without_acceptor(true);
            without_acceptor(false);
        },
    );
}

#[test]
fn a_call_in_the_executor_that_never_begins_is_an_error() {
    on_one_hub(
        "kills::a_call_in_the_executor_that_never_begins_is_an_error",
        || {
            let call = run_in_executor(|| Ok::<_, io::Error>(7));
            // It has no name, and is the only one that has not begun.
            let threads = report().threads;
            let newest = threads.iter().max_by_key(|thread| thread.id.as_u64());
            let id = newest.unwrap().id.as_u64().get();
            assert!(green::debug::kill(id).unwrap());
            let error = call.wait(None).unwrap_err();
            assert!(error.to_string().contains("killed"), "{error}");
        },
    );
}

#[test]
fn a_signal_handler_whose_listener_is_killed_is_gone() {
    on_one_hub(
        "kills::a_signal_handler_whose_listener_is_killed_is_gone",
        || {
            let name: &'static str = format!("asyncio signal {SIGUSR1}").leak();
            let killer = kill_unstarted(name);
            add_signal_handler(SIGUSR1, || ()).unwrap();
            killer.join().unwrap();
            while report()
                .threads
                .iter()
                .any(|t| t.name.as_deref() == Some(name))
            {
                yield_now();
            }
            assert!(!remove_signal_handler(SIGUSR1));
        },
    );
}
