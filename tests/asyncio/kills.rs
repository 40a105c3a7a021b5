//! `green::debug::kill` of the green threads that `green::asyncio` starts itself, above all before they begin: nobody
//! waits for ever, and nothing claims to be alive.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use green::asyncio::{
    ConnectionOptions, DatagramOptions, DatagramProtocol, Future, Protocol, ServerOptions,
    TlsOptions, Transport, add_signal_handler, create_connection, create_connection_over,
    create_datagram_endpoint, create_datagram_endpoint_over, create_server, remove_signal_handler,
    run_in_executor, start_server, start_tls,
};
use green::greenio::{Domain, GreenSocket, SockAddr, Type};
use green::net::TcpStream;
use green::signal::consts::SIGUSR1;
use green::ssl::{EngineKind, TlsVersion};
use green::thread::{sleep, spawn, yield_now};
use green::{Killed, report};

use test_support::certs::{client_context, server_context};
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

    fn connection_lost(&mut self, cause: Option<io::Error>) {
        Protocol::connection_lost(self, cause);
    }
}

/// Runs `body` in a process with one hub, where a green thread that has been started runs after those that are ready.
fn on_one_hub(name: &str, body: impl FnOnce() + Send + 'static) {
    alone(name, &[("GREEN_HUBS", "1")], || green::run(body)).well();
}

/// Kills the next green thread of that name as soon as it is there, hence before it begins.
fn kill_unstarted(name: &'static str) -> green::thread::JoinHandle<()> {
    let others = of_name(name);
    let killer = spawn(move || {
        let next = loop {
            let mut those = of_name(name).into_iter();
            match those.find(|id| !others.contains(id)) {
                Some(id) => break id,
                None => yield_now(),
            }
        };
        assert!(green::debug::kill(next).unwrap());
    });
    // Its turn comes before that of whoever is started from now on.
    while !killer.is_started() {
        yield_now();
    }
    killer
}

/// The ids of the green threads of that name.
fn of_name(name: &str) -> Vec<u64> {
    let threads = report().threads.into_iter();
    let of_name = threads.filter(|thread| thread.name.as_deref() == Some(name));
    of_name.map(|thread| thread.id.as_u64().get()).collect()
}

fn kill_one(name: &str) -> bool {
    let first = of_name(name).first().copied();
    first.is_some_and(|id| green::debug::kill(id).unwrap())
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

#[test]
fn an_endpoint_whose_sender_never_begins_is_lost() {
    on_one_hub(
        "kills::an_endpoint_whose_sender_never_begins_is_lost",
        || {
            let (ours, _peer_that_does_not_read) =
                GreenSocket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
            let told = Told::new();
            let made = create_datagram_endpoint_over(|| told.clone(), ours);
            let (transport, _) = made.unwrap();
            let killer = kill_unstarted("asyncio sender");
            // More than the kernel takes.
            while transport.send(&[7]).is_ok() {
                yield_now();
            }
            killer.join().unwrap();
            assert!(told.0.wait(None).unwrap().contains("Killed"));
        },
    );
}

#[test]
fn a_connection_whose_reader_never_begins_after_start_tls_is_lost() {
    on_one_hub(
        "kills::a_connection_whose_reader_never_begins_after_start_tls_is_lost",
        || {
            let (ours, theirs) = GreenSocket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
            let (engine, version) = (EngineKind::default(), TlsVersion::Tls13);
            let peer = spawn(move || {
                let mut peer = server_context(engine, version).accept(theirs).unwrap();
                peer.do_handshake().unwrap();
                // An end, in order or not.
                let _ = io::copy(&mut peer, &mut io::sink());
            });
            let told = Told::new();
            let made = create_connection_over(|| told.clone(), ours, ConnectionOptions::new());
            let (plain, _): (Transport, _) = made.unwrap();
            let killer = kill_unstarted("asyncio transport");
            let context = client_context(engine, version);
            let tls = start_tls(&plain, &TlsOptions::client(&context, "localhost")).unwrap();
            killer.join().unwrap();
            assert!(told.0.wait(None).unwrap().contains("Killed"));
            assert!(tls.is_closing());
            peer.join().unwrap();
        },
    );
}

/// Connects, kills what is to serve the connection, and waits for the end of it.
fn is_cut_without(name: &'static str, server: &green::asyncio::Server) {
    let killer = kill_unstarted(name);
    let mut client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    killer.join().unwrap();
    assert_eq!(io::copy(&mut client, &mut io::sink()).unwrap(), 0);
    server.close();
    // It does not count that connection any more.
    server.wait_closed();
}

#[test]
fn an_accepted_connection_that_nobody_serves_is_cut() {
    on_one_hub(
        "kills::an_accepted_connection_that_nobody_serves_is_cut",
        || {
            let server = create_server(Told::new, "127.0.0.1:0", ServerOptions::new()).unwrap();
            is_cut_without("asyncio transport", &server);
            let handler = |_, _| panic!("it was to be killed before");
            let server = start_server(handler, "127.0.0.1:0", ServerOptions::new()).unwrap();
            is_cut_without("asyncio connection", &server);
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
fn a_call_in_the_executor_that_is_killed_at_work_is_the_same_error() {
    on_one_hub(
        "kills::a_call_in_the_executor_that_is_killed_at_work_is_the_same_error",
        || {
            let (begun, begins) = green::sync::mpsc::channel();
            let (goes_on, waits) = std::sync::mpsc::channel::<()>();
            let call = run_in_executor(move || {
                begun.send(()).unwrap();
                Ok::<_, io::Error>(waits.recv())
            });
            begins.recv().unwrap();
            let threads = report().threads;
            let newest = threads.iter().max_by_key(|thread| thread.id.as_u64());
            let id = newest.unwrap().id.as_u64().get();
            assert!(green::debug::kill(id).unwrap());
            let error = call.wait(None).unwrap_err();
            assert!(error.to_string().contains("killed"), "{error}");
            drop(goes_on);
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
