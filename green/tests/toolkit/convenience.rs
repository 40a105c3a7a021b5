//! A client or a server in one call: `connect`, `listen`, `serve`, `wrap_ssl`, and how a server stops.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use green::convenience::{Connect, Listen, Served, Server, StopHandle, StopServe};
use green::net::{SocketAddr, TcpListener, TcpStream};
use green::ssl::{Purpose, SslContext, VerifyLocation};
use green::thread::{self, JoinHandle};
use test_support::bounded;
use test_support::late_error::error_that_waits_in_drop;

const LIMIT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// On an address of its own, so that no other test is given its port once it is closed.
fn local() -> (TcpListener, SocketAddr) {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let number = NEXT.fetch_add(1, SeqCst);
    let listener = green::listen(format!("127.91.5.{number}:0")).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// How many connections may wait to be accepted: for a listener, tcp_info(7)'s `tcpi_sacked` is
/// what its backlog was set to, and bounded by the system.
fn backlog(listener: &TcpListener) -> u32 {
    const SACKED: usize = 28;
    let mut info = [0; 104];
    let socket = listener.as_green_socket();
    socket
        .option_bytes(libc::IPPROTO_TCP, libc::TCP_INFO, &mut info)
        .unwrap();
    u32::from_ne_bytes(info[SACKED..SACKED + 4].try_into().unwrap())
}

#[test]
fn a_burst_of_thousands_may_wait_to_be_accepted() {
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let most: u32 = most.trim().parse().unwrap();
    assert_eq!(backlog(&local().0), most.min(4096));
    let set = Listen::new().backlog(7).tcp("127.0.0.1:0").unwrap();
    assert_eq!(backlog(&set), 7);
    let as_std = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(backlog(&as_std), 128);
}

/// Runs a server on a green thread, with the means to stop it.
fn running<H>(
    server: Server<TcpListener>,
    handler: H,
) -> (StopHandle, JoinHandle<io::Result<Served>>)
where
    H: Fn(TcpStream, SocketAddr) + Send + Sync + 'static,
{
    let stop = server.stop_handle();
    (stop, thread::spawn(move || server.run(handler)))
}

fn assert_closed(mut client: TcpStream) {
    match client.read(&mut [0; 16]) {
        Ok(0) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        other => panic!("not closed: {other:?}"),
    }
}

fn assert_refused(address: SocketAddr) {
    let error = green::connect(address).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn the_connection_is_closed_when_its_handler_returns_panics_or_has_closed_it_already() {
    bounded("the connection is closed", LIMIT, || {
        let (listener, address) = local();
        let (stop, server) = running(Server::new(listener), |mut stream, _| {
            let mut way = [0];
            stream.read_exact(&mut way).unwrap();
            match way[0] {
                b'p' => std::panic::resume_unwind(Box::new("a handler's panic")),
                b'c' => stream.as_green_socket().close(),
                _ => {}
            }
        });
        for way in [b'r', b'p', b'c', b'r'] {
            let mut client = green::connect(address).unwrap();
            client.write_all(&[way]).unwrap();
            assert_closed(client);
        }
        stop.stop();
        let served = server.join().unwrap().unwrap();
        assert_eq!((served.connections, served.cut), (4, 0));
    });
}

#[test]
fn a_hundred_connections_are_a_hundred_calls_and_the_stop_ends_serve_cleanly() {
    bounded("a hundred connections", LIMIT, || {
        let (listener, address) = local();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let server = thread::spawn(move || {
            let handler = move |mut stream: TcpStream, _| {
                let number = counted.fetch_add(1, SeqCst) + 1;
                let _ = stream.write_all(b"x");
                if number == 100 {
                    Err(StopServe::new())
                } else {
                    Ok(())
                }
            };
            green::serve(listener, handler, 1000)
        });
        for _ in 0..100 {
            assert!(!server.is_finished());
            let mut client = green::connect(address).unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, b"x");
        }
        server.join().unwrap().unwrap();
        assert_eq!(calls.load(SeqCst), 100);
        assert_refused(address);
    });
}

#[test]
fn a_handlers_error_ends_serve_with_that_error() {
    bounded("a handlers error ends", LIMIT, || {
        let (listener, address) = local();
        let server = thread::spawn(move || {
            let handler = |_, _| Err(StopServe::because(io::Error::other("the disk is full")));
            green::serve(listener, handler, 10)
        });
        assert_closed(green::connect(address).unwrap());
        let error = server.join().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the disk is full");
    });
}

#[test]
fn the_error_of_a_handler_that_is_late_to_end_serve_is_dropped_where_it_may_wait() {
    bounded("a late error", LIMIT, || {
        let (listener, address) = local();
        let dropped = Arc::new(AtomicUsize::new(0));
        let both = Arc::new(green::sync::Barrier::new(2));
        let server = thread::spawn({
            let dropped = dropped.clone();
            move || {
                let handler = move |_, _| {
                    both.wait();
                    Err(StopServe::because(error_that_waits_in_drop(&dropped)))
                };
                green::serve(listener, handler, 10)
            }
        });
        let clients = [green::connect(address), green::connect(address)];
        let first = server.join().unwrap();
        assert_eq!(dropped.load(SeqCst), 1);
        drop((first, clients));
        assert_eq!(dropped.load(SeqCst), 2);
    });
}

#[test]
fn with_room_for_five_the_sixth_client_waits_until_one_has_gone() {
    bounded("with room for five the", LIMIT, || {
        let (listener, address) = local();
        let most = Arc::new(AtomicUsize::new(0));
        let now = Arc::new(AtomicUsize::new(0));
        let (seen, counted) = (most.clone(), now.clone());
        let server = Server::new(listener).concurrency(5);
        let (stop, server) = running(server, move |mut stream, _| {
            seen.fetch_max(counted.fetch_add(1, SeqCst) + 1, SeqCst);
            stream.write_all(b"x").unwrap();
            let _ = stream.read(&mut [0]);
            counted.fetch_sub(1, SeqCst);
        });
        let served = |mut client: &TcpStream| client.read_exact(&mut [0]).unwrap();
        let first: Vec<_> = (0..5).map(|_| green::connect(address).unwrap()).collect();
        first.iter().for_each(served);
        let sixth = green::connect(address).unwrap();
        sixth
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let error = (&sixth).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        sixth.set_read_timeout(None).unwrap();
        drop(first);
        served(&sixth);
        stop.stop();
        drop(sixth);
        let ended = server.join().unwrap().unwrap();
        assert_eq!((ended.connections, ended.cut), (6, 0));
        assert_eq!(most.load(SeqCst), 5);
    });
}

#[test]
fn a_server_that_is_full_stops_as_well() {
    bounded("full", LIMIT, || {
        let (listener, address) = local();
        let server = Server::new(listener).concurrency(1).grace(Duration::ZERO);
        let (stop, server) = running(server, |mut stream, _| {
            stream.write_all(b"x").unwrap();
            thread::sleep(HOUR);
        });
        let mut client = green::connect(address).unwrap();
        client.read_exact(&mut [0]).unwrap();
        stop.stop();
        let served = server.join().unwrap().unwrap();
        assert_eq!((served.connections, served.cut), (1, 1));
        assert_closed(client);
    });
}

#[test]
fn a_graceful_stop_lets_a_request_finish_and_refuses_new_ones() {
    bounded("graceful", LIMIT, || {
        let (listener, address) = local();
        let (finish, finishing) = green::channel::bounded::<()>(0);
        let server = Server::new(listener).grace(HOUR);
        let (stop, server) = running(server, move |mut stream, _| {
            stream.write_all(b"-").unwrap();
            finishing.recv().unwrap();
            stream.write_all(b"done").unwrap();
        });
        let mut working = green::connect(address).unwrap();
        working.read_exact(&mut [0]).unwrap();
        stop.stop();
        assert!(stop.is_stopping());
        assert_refused(address);
        assert!(!server.is_finished());
        finish.send(()).unwrap();
        let mut answer = String::new();
        working.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "done");
        let served = server.join().unwrap().unwrap();
        assert_eq!((served.connections, served.cut), (1, 0));
    });
}

#[test]
fn whoever_is_not_done_within_the_grace_is_unwound_and_closed() {
    struct OnDrop(Arc<AtomicBool>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    bounded("cut", LIMIT, || {
        let (listener, address) = local();
        let unwound = Arc::new(AtomicBool::new(false));
        let seen = unwound.clone();
        let server = Server::new(listener).grace(Duration::from_millis(50));
        let (stop, server) = running(server, move |mut stream, _| {
            let _unwound = OnDrop(seen.clone());
            stream.write_all(b"-").unwrap();
            thread::sleep(HOUR);
        });
        let mut stuck = green::connect(address).unwrap();
        stuck.read_exact(&mut [0]).unwrap();
        stop.stop();
        assert_closed(stuck);
        let served = server.join().unwrap().unwrap();
        assert_eq!((served.connections, served.cut), (1, 1));
        assert!(unwound.load(SeqCst));
    });
}

#[test]
fn a_server_that_was_stopped_before_it_ran_serves_nobody() {
    bounded("stopped_before", LIMIT, || {
        let (listener, address) = local();
        let server = Server::new(listener);
        server.stop_handle().stop();
        let served = server.run(|_, _| ()).unwrap();
        assert_eq!((served.connections, served.cut), (0, 0));
        assert_refused(address);
    });
}

#[test]
fn a_server_under_a_time_limit_leaves_no_connection_behind() {
    bounded("limited", LIMIT, || {
        let (listener, address) = local();
        let client = green::connect(address).unwrap();
        let server = thread::spawn(move || {
            green::timeout(Duration::from_millis(200), || {
                Server::new(listener).run(|_stream, _| thread::sleep(HOUR))
            })
        });
        assert!(server.join().unwrap().is_err());
        assert_closed(client);
        assert_refused(address);
    });
}

#[test]
fn a_listener_closed_elsewhere_ends_the_server_with_an_error() {
    bounded("closed_elsewhere", LIMIT, || {
        let (listener, address) = local();
        let twin = listener.try_clone().unwrap();
        let (_stop, server) = running(Server::new(listener), |mut stream, _| {
            let _ = stream.write_all(b"x");
        });
        green::connect(address)
            .unwrap()
            .read_exact(&mut [0])
            .unwrap();
        twin.as_green_socket().close();
        let error = server.join().unwrap().unwrap_err();
        assert!(green::ClosedLocally::caused(&error), "{error:?}");
    });
}

#[test]
fn a_server_runs_on_an_os_thread_and_over_a_unix_socket() {
    bounded("unix", LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = Listen::new().unix(&path).unwrap();
        let server = std::thread::spawn(move || {
            green::serve(
                listener,
                |mut stream, _| {
                    let _ = stream.write_all(b"bye");
                    Err(StopServe::new())
                },
                10,
            )
        });
        let mut client = green::os::unix::net::UnixStream::connect(&path).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "bye");
        server.join().unwrap().unwrap();
        let again = Listen::new().unix(&path).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    });
}

/// Of a server and of those who trust it.
fn tls_contexts() -> (SslContext, SslContext) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    let theirs = SslContext::create_default_context(Purpose::ClientAuth).unwrap();
    theirs
        .load_cert_chain_bytes(
            certificate.as_bytes(),
            made.signing_key.serialize_pem().as_bytes(),
            None,
        )
        .unwrap();
    let ours = SslContext::create_default_context(Purpose::ServerAuth).unwrap();
    ours.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))
        .unwrap();
    (theirs, ours)
}

#[test]
fn half_an_answer_of_who_is_cut_after_the_grace_does_not_pass_for_a_whole_one() {
    bounded("cut over TLS", LIMIT, || {
        let (theirs, ours) = tls_contexts();
        let (listener, address) = local();
        let listener = green::wrap_ssl(listener, &theirs);
        let server = Server::new(listener).grace(Duration::from_millis(50));
        let stop = server.stop_handle();
        let server = thread::spawn(move || {
            server.run(|mut stream, _| {
                stream.write_all(b"half").unwrap();
                thread::sleep(HOUR);
            })
        });
        let mut tls = ours
            .connect(green::connect(address).unwrap(), "localhost")
            .unwrap();
        tls.read_exact(&mut [0; 4]).unwrap();
        stop.stop();
        let error = tls.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(server.join().unwrap().unwrap().cut, 1);
    });
}

#[test]
fn a_client_that_never_shakes_hands_keeps_no_other_from_a_tls_server() {
    bounded("wrap_ssl", LIMIT, || {
        let (theirs, ours) = tls_contexts();
        let (listener, address) = local();
        let listener = green::wrap_ssl(listener, &theirs);
        let server = Server::new(listener).grace(Duration::ZERO);
        let stop = server.stop_handle();
        let server = thread::spawn(move || {
            server.run(|mut stream, _| {
                let mut byte = [0];
                if stream.read_exact(&mut byte).is_ok() {
                    let _ = stream.write_all(&byte);
                }
            })
        });
        let silent = green::connect(address).unwrap();
        let mut tls = ours
            .connect(green::connect(address).unwrap(), "localhost")
            .unwrap();
        tls.write_all(b"x").unwrap();
        let mut answer = Vec::new();
        tls.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"x");
        stop.stop();
        server.join().unwrap().unwrap();
        assert_closed(silent);
    });
}

#[test]
fn a_used_port_can_be_shared_only_when_all_ask_for_it() {
    bounded("a used port can be", LIMIT, || {
        // An address whose ports no other test takes meanwhile.
        let first = Listen::new().reuse_port(true).tcp("127.91.4.4:0").unwrap();
        let address = first.local_addr().unwrap();
        let second = Listen::new().reuse_port(true).tcp(address).unwrap();
        assert_eq!(second.local_addr().unwrap(), address);
        let error = green::listen(address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        // The lingering ends of a server's own connections do not keep it from starting again.
        drop((first, second));
        let listener = green::listen(address).unwrap();
        let client = green::connect(address).unwrap();
        drop(listener.accept().unwrap());
        drop((client, listener));
        green::listen(address).unwrap();
    });
}

/// Keeps what is logged as a warning.
struct Warnings(std::sync::Mutex<Vec<String>>);

impl log::Log for Warnings {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() == log::Level::Warn {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

fn warnings() -> &'static Warnings {
    static WARNINGS: Warnings = Warnings(std::sync::Mutex::new(Vec::new()));
    static SET: std::sync::Once = std::sync::Once::new();
    SET.call_once(|| {
        log::set_logger(&WARNINGS).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
    &WARNINGS
}

impl Warnings {
    /// How many have these words. Other tests may be warned of something else meanwhile.
    fn with(&self, words: &str) -> usize {
        let all = self.0.lock().unwrap();
        all.iter().filter(|warning| warning.contains(words)).count()
    }
}

#[test]
fn port_0_with_reuse_port_works_and_is_warned_about() {
    let warnings = warnings();
    let listener = Listen::new().reuse_port(true).tcp("127.91.4.5:0").unwrap();
    assert_ne!(listener.local_addr().unwrap().port(), 0);
    assert_eq!(warnings.with("127.91.4.5:0 with reuse_port"), 1);
}

#[test]
fn a_handlers_io_error_is_logged_and_ends_its_connection_alone() {
    bounded("a handlers io error", LIMIT, || {
        let warnings = warnings();
        let (listener, address) = local();
        let server = Server::new(listener);
        let stop = server.stop_handle();
        let handler = |mut stream: TcpStream, _| -> io::Result<()> {
            stream.read_exact(&mut [0])?;
            Err(io::Error::other("the handler's own disk is full"))
        };
        let server = thread::spawn(move || server.run(handler));
        for _ in 0..2 {
            let mut client = green::connect(address).unwrap();
            client.write_all(b"x").unwrap();
            assert_closed(client);
        }
        stop.stop();
        assert_eq!(server.join().unwrap().unwrap().connections, 2);
        let words = "a connection failed: the handler's own disk is full";
        assert_eq!(warnings.with(words), 2);
    });
}

#[test]
fn a_connection_comes_from_the_address_asked_for_and_within_the_limit() {
    bounded("connect", LIMIT, || {
        let (listener, address) = local();
        let from = "127.0.0.2:0".parse().unwrap();
        let client = Connect::new()
            .bind(from)
            .timeout(LIMIT)
            .to(address)
            .unwrap();
        let (_server, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        assert_eq!(peer.ip().to_string(), "127.0.0.2");

        let other_family = Connect::new().bind("[::1]:0".parse().unwrap());
        let error = other_family.to(address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let taken = Connect::new().bind(address).to(address).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert_refused(address);
    });
}

#[test]
fn a_connection_to_a_full_listener_ends_with_the_limit() {
    bounded("connect_limit", LIMIT, || {
        let listener = Listen::new().backlog(0).tcp("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = Connect::new().timeout(Duration::from_millis(300));
        // The queue takes one or two more than its length.
        let mut taken = Vec::new();
        let error = loop {
            match connect.to(address) {
                Ok(stream) => taken.push(stream),
                Err(error) => break error,
            }
            assert!(taken.len() < 10);
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(green::is_timeout(&error));
    });
}

#[test]
fn a_server_of_green_threads_and_std_clients_together_lose_nothing() {
    bounded("many", LIMIT, || {
        let (listener, address) = local();
        let (stop, server) = running(Server::new(listener).concurrency(20), |stream, _| {
            let _ = io::copy(&mut &stream, &mut &stream);
        });
        let (sender, received) = mpsc::channel();
        for number in 0..8_u8 {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for round in 0..50 {
                    let mut client = std::net::TcpStream::connect(address).unwrap();
                    client.write_all(&[number, round]).unwrap();
                    client.shutdown(std::net::Shutdown::Write).unwrap();
                    let mut answer = Vec::new();
                    client.read_to_end(&mut answer).unwrap();
                    sender.send(answer == [number, round]).unwrap();
                }
            });
        }
        drop(sender);
        assert_eq!(received.iter().filter(|right| *right).count(), 400);
        stop.stop();
        let served = server.join().unwrap().unwrap();
        assert_eq!((served.connections, served.cut), (400, 0));
    });
}
