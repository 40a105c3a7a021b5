//! What a service does: listeners that nobody can hold up, certificates, resumption, many connections at once.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use green::ssl::{
    EngineKind, Purpose, Reason, SslContext, SslError, SslListener, VerifyLocation, VerifyMode,
};
use greenhub::ClosedLocally;
use greenhub::Deadline;
use greenhub::green_thread::{Builder, JoinHandle, spawn};
use greenhub::greenio::{Domain, GreenSocket, Type};
use greenhub::semaphore::Semaphore;

use super::*;
use test_support::certs::{AUTHORITY, Authority, client_context, server_context};
use test_support::ends::roles::{V12, V13};

/// A TLS listener of ours, and where it is.
fn listener(context: &SslContext) -> (SslListener, std::net::SocketAddr) {
    // With room for all who come at once: with std's 128 the kernel gives up some of a thousand when the machine is busy.
    let listener = green::listen("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (context.wrap_listener(listener), address)
}

/// Serves echoes, each connection in a green thread, until the listener is closed.
fn serve(listener: Arc<SslListener>) -> JoinHandle<Vec<std::io::Error>> {
    spawn(move || {
        let mut serving = Vec::new();
        while let Ok((mut tls, _)) = listener.accept() {
            serving.push(spawn(move || {
                let mut buf = [0; 1024];
                loop {
                    match tls.read(&mut buf)? {
                        0 => return Ok(()),
                        count => tls.write_all(&buf[..count])?,
                    }
                }
            }));
        }
        serving
            .into_iter()
            .filter_map(|one| one.join().unwrap().err())
            .collect()
    })
}

fn connect(context: &SslContext, address: std::net::SocketAddr) -> std::io::Result<GreenSslSocket> {
    context.connect(green::net::TcpStream::connect(address)?, "localhost")
}

fn echo(tls: &GreenSslSocket) {
    { tls }.write_all(b"echo").unwrap();
    let mut buf = [0; 4];
    { tls }.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"echo");
}

#[test]
fn silent_and_foreign_clients_hold_nobody_up() {
    green_test("silent and foreign", || {
        let (listener, address) = listener(&server_context(EngineKind::OpenSsl, V13));
        let listener = Arc::new(listener);
        let served = serve(listener.clone());
        let client = client_context(EngineKind::OpenSsl, V13);
        // One that says nothing, one that speaks HTTP, one that leaves in its handshake, one that resets.
        let silent = TcpStream::connect(address).unwrap();
        let mut foreign = TcpStream::connect(address).unwrap();
        foreign.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        TcpStream::connect(address)
            .unwrap()
            .write_all(&[22, 3, 1, 0, 200, 1])
            .unwrap();
        let resetting = TcpStream::connect(address).unwrap();
        socket2::SockRef::from(&resetting)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(resetting);
        for _ in 0..3 {
            echo(&connect(&client, address).unwrap());
        }
        drop(silent);
        listener.get_ref().close();
        let errors = served.join().unwrap();
        assert_eq!(errors.len(), 4, "{errors:?}");
        let foreign: Vec<_> = errors.iter().filter_map(SslError::of).collect();
        assert_eq!(foreign.len(), 1);
        assert_eq!(foreign[0].reason(), Reason::NotTls);
    });
}

#[test]
fn closing_a_tls_listener_wakes_accept() {
    green_test("accept", || {
        let (listener, _) = listener(&server_context(EngineKind::OpenSsl, V13));
        let listener = Arc::new(listener);
        for _ in 0..2 {
            let accepting = listener.clone();
            let waiter = spawn(move || accepting.accept().map(drop));
            greenhub::green_thread::yield_now();
            listener.get_ref().close();
            assert!(ClosedLocally::caused(&waiter.join().unwrap().unwrap_err()));
        }
    });
}

#[test]
fn a_certificate_loaded_while_serving_is_shown_to_the_next_client() {
    green_test("reload", || {
        let context = server_context(EngineKind::OpenSsl, V13);
        let (listener, address) = listener(&context);
        let listener = Arc::new(listener);
        let served = serve(listener.clone());
        let client = client_context(EngineKind::OpenSsl, V13);
        let early = connect(&client, address).unwrap();
        let renewed = AUTHORITY.leaf("localhost");
        context
            .load_cert_chain_bytes(renewed.chain.as_bytes(), renewed.key.as_bytes(), None)
            .unwrap();
        let late = connect(&client, address).unwrap();
        echo(&early);
        echo(&late);
        let shown = |tls: &GreenSslSocket| tls.peer_certificate().unwrap().unwrap();
        assert_ne!(shown(&early), shown(&late));
        drop((early, late));
        listener.get_ref().close();
        assert!(served.join().unwrap().is_empty());
    });
}

#[test]
fn client_certificates_are_asked_for_and_checked() {
    green_test("client certificates", || {
        for version in [V12, V13] {
            let context = server_context(EngineKind::OpenSsl, version);
            let roots = VerifyLocation::Bytes(AUTHORITY.pem.as_bytes());
            context.load_verify_locations(roots).unwrap();
            context.set_verify_mode(VerifyMode::Required).unwrap();
            let (listener, address) = listener(&context);
            let listener = Arc::new(listener);
            let served = serve(listener.clone());

            let known = client_context(EngineKind::OpenSsl, version);
            let leaf = AUTHORITY.leaf("a client");
            known
                .load_cert_chain_bytes(leaf.chain.as_bytes(), leaf.key.as_bytes(), None)
                .unwrap();
            echo(&connect(&known, address).unwrap());

            let stranger = client_context(EngineKind::OpenSsl, version);
            let leaf = Authority::new("unknown").leaf("a client");
            stranger
                .load_cert_chain_bytes(leaf.chain.as_bytes(), leaf.key.as_bytes(), None)
                .unwrap();
            for refused in [stranger, client_context(EngineKind::OpenSsl, version)] {
                let outcome = connect(&refused, address).and_then(|mut tls| tls.read(&mut [0; 4]));
                let error = outcome.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidData, "{error:?}");
                assert!(matches!(
                    SslError::of(&error).unwrap().reason(),
                    Reason::Alert(_)
                ));
            }
            listener.get_ref().close();
            assert_eq!(served.join().unwrap().len(), 2);
        }
    });
}

#[test]
fn a_session_is_resumed_over_sockets() {
    green_test("resumption", || {
        for version in [V12, V13] {
            let (listener, address) = listener(&server_context(EngineKind::OpenSsl, version));
            let listener = Arc::new(listener);
            let served = serve(listener.clone());
            let client = client_context(EngineKind::OpenSsl, version);
            let first = connect(&client, address).unwrap();
            echo(&first);
            assert!(!first.session_reused().unwrap());
            let session = first.session().unwrap().unwrap();
            drop(first);
            let pipe = client.pipe_resuming(Some("localhost"), &session).unwrap();
            let tcp = green::net::TcpStream::connect(address).unwrap();
            let second = GreenSslSocket::from_pipe(tcp, pipe);
            echo(&second);
            assert!(second.session_reused().unwrap());
            drop(second);
            listener.get_ref().close();
            assert!(served.join().unwrap().is_empty());
        }
    });
}

#[test]
fn a_thousand_connections_at_once() {
    green_test("a thousand", || {
        const COUNT: usize = 1000;
        let (listener, address) = listener(&server_context(EngineKind::OpenSsl, V13));
        let listener = Arc::new(listener);
        let served = serve(listener.clone());
        let client = client_context(EngineKind::OpenSsl, V13);
        let (up, ups) = green::channel::unbounded();
        let all_up = Arc::new(Semaphore::new(0));
        let clients: Vec<_> = (0..COUNT)
            .map(|_| {
                let (client, up, all_up) = (client.clone(), up.clone(), all_up.clone());
                spawn(move || {
                    let tls = connect(&client, address).unwrap();
                    echo(&tls);
                    up.send(()).unwrap();
                    drop(up);
                    all_up.acquire(Deadline::NEVER);
                    echo(&tls);
                })
            })
            .collect();
        drop(up);
        assert_eq!(ups.iter().count(), COUNT);
        (0..COUNT).for_each(|_| all_up.release());
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
        listener.get_ref().close();
        assert!(served.join().unwrap().is_empty());
    });
}

#[test]
fn reads_of_one_byte_find_what_was_decrypted_already() {
    green_test("reads of one byte find", || {
        for role in tls_roles() {
            let (mut tls, mut peer) = shaken(role);
            peer.send(&[9; 3000]);
            tls.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            for left in (0..3000).rev() {
                assert_eq!(tls.read(&mut [0]).unwrap(), 1);
                assert_eq!(tls.pending(), left);
            }
        }
    });
}

#[test]
fn reads_and_writes_in_many_pieces_keep_their_order() {
    green_test("pieces", || {
        for role in tls_roles() {
            let (mut tls, mut peer) = shaken(role);
            // read_exact across records, of which two come in one segment and one in two.
            let records: Vec<u8> = [1_u8, 2, 3]
                .iter()
                .flat_map(|n| peer.encrypted(&[*n; 100]))
                .collect();
            let (first, rest) = records.split_at(records.len() - 50);
            peer.raw(first);
            let mut buf = [0; 200];
            tls.read_exact(&mut buf).unwrap();
            assert!(buf[..100] == [1; 100] && buf[100..] == [2; 100]);
            peer.raw(rest);
            tls.read_exact(&mut buf[..100]).unwrap();
            assert_eq!(buf[..100], [3; 100]);

            let (mut reader, mut writer) = tls.split();
            let pieces = [&b"one "[..], b"", b"record", b" of three"].map(IoSlice::new);
            assert_eq!(writer.write_vectored(&pieces).unwrap(), 19);
            peer.read_exact(19);
            peer.notify();
            assert_eq!(reader.read(&mut buf).unwrap(), 0);
        }
    });
}

#[test]
fn os_threads_use_tls_too() {
    test_support::bounded("os threads", LIMIT, || {
        for role in tls_roles().filter(|role| !role.server) {
            let (mut client, server) = pair(role);
            let serving = std::thread::spawn(move || {
                let (mut reader, mut writer) = server.split();
                let answering = std::thread::spawn(move || {
                    for _ in 0..100 {
                        writer.write_all(&[5; 10_000]).unwrap();
                    }
                    writer.get_ref().shutdown_write().unwrap();
                });
                let mut all = Vec::new();
                reader.read_to_end(&mut all).unwrap();
                answering.join().unwrap();
                all.len()
            });
            let writing = client.try_clone().unwrap();
            let writer = std::thread::spawn(move || {
                (&writing).write_all(&[6; 1_000_000]).unwrap();
                writing.shutdown_write().unwrap();
            });
            assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 1_000_000);
            writer.join().unwrap();
            assert_eq!(serving.join().unwrap(), 1_000_000);
        }
    });
}

#[test]
fn a_connection_made_later_is_shaken_by_its_first_read() {
    green_test("a connection made later", || {
        let (listener, address) = listener(&server_context(EngineKind::OpenSsl, V13));
        let greeter = spawn(move || {
            for _ in 0..2 {
                let (mut tls, _) = listener.accept().unwrap();
                tls.write_all(b"welcome").unwrap();
                tls.shutdown_write().unwrap();
            }
        });
        for engine in [EngineKind::OpenSsl, EngineKind::NativeTls] {
            let context = client_context(engine, V13);
            let wrapped = || {
                let socket = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                context.wrap_socket(socket, Some("localhost")).unwrap()
            };
            // Before that, a call ends in an error and not in a wait.
            let error = wrapped().read(&mut [0; 4]).unwrap_err();
            assert!(error.raw_os_error().is_some(), "{error:?}");

            let mut tls = wrapped();
            tls.get_ref().connect(&address.into()).unwrap();
            let mut all = Vec::new();
            tls.read_to_end(&mut all).unwrap();
            assert_eq!(all, b"welcome");
        }
        greeter.join().unwrap();
    });
}

#[test]
fn a_missing_key_file_is_not_found() {
    let context = SslContext::new(Purpose::ClientAuth).unwrap();
    let error = context
        .load_cert_chain("/nowhere/at/all.pem", None, None)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_green_thread_of_another_hub_closes_promptly() {
    green_test("hubs", || {
        let hubs = greenhub::hub_count().unwrap();
        for round in 0..100 {
            let (tls, _peer) = shaken(ROLES[1]);
            let reading = tls.try_clone().unwrap();
            let waiter = Builder::new()
                .hub(round % hubs)
                .spawn(move || (&reading).read(&mut [0; 4]))
                .unwrap();
            let closer = Builder::new()
                .hub((round + 1) % hubs)
                .spawn(move || tls.close())
                .unwrap();
            assert!(ClosedLocally::caused(&waiter.join().unwrap().unwrap_err()));
            closer.join().unwrap();
        }
    });
}
