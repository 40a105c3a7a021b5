//! What implementations get wrong about peers that are silent, slow or gone, where neither the matrix of
//! `peer_close` nor `defects` meets it.

use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use green::ssl::{Purpose, SslContext};
use greenhub::green_thread::{sleep, spawn};
use greenhub::greenio::{Domain, GreenSocket, Type};
use greenhub::{Site, State};

use super::*;
use test_support::child::alone;

#[test]
fn a_peer_that_has_shut_down_ends_the_read_promptly() {
    green_test("a peer that has shut", || {
        for role in tls_roles() {
            // With close_notify, and with FIN alone.
            for notifies in [true, false] {
                let (tls, mut peer) = shaken(role);
                let reader = {
                    let tls = tls.try_clone().unwrap();
                    spawn(move || { &tls }.read(&mut [0; 8]))
                };
                if notifies {
                    peer.notify();
                }
                peer.fin();
                match reader.join().unwrap() {
                    Ok(count) => assert!(notifies && count == 0, "{}: {count}", role.name()),
                    Err(error) => {
                        assert!(!notifies, "{}: {error:?}", role.name());
                        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                    }
                }
                assert_eq!(tls.peer_closed_cleanly(), notifies);
            }
        }
    });
}

/// How often the hubs have run somebody.
fn resumes() -> u64 {
    greenhub::report().hubs.iter().map(|hub| hub.resumes).sum()
}

/// How many green threads wait for a descriptor.
fn waiting_for_descriptors() -> usize {
    let parked = |state| matches!(state, State::Waiting(Site::Readable(_) | Site::Writable(_)));
    let report = greenhub::report();
    let threads = report.threads.iter();
    threads.filter(|thread| parked(thread.state)).count()
}

#[test]
fn neither_a_blocked_writer_nor_an_idle_reader_spins() {
    let name = "mistakes::neither_a_blocked_writer_nor_an_idle_reader_spins";
    let body = || {
        let (waiting, peers): (Vec<_>, Vec<_>) = tls_roles()
            .map(|role| {
                let (tls, peer) = greenhub::run(move || shaken(role));
                let mut writes = tls.try_clone().unwrap();
                spawn(move || writes.write_all(&vec![0; 64 << 20]));
                let reader = spawn(move || { &tls }.read(&mut [0; 8]));
                (reader, peer)
            })
            .unzip();
        let both = 2 * waiting.len();
        while waiting_for_descriptors() < both {
            thread::sleep(Duration::from_millis(5));
        }
        // The peers' kernels may still make room for a while.
        let quiet = (0..100).any(|_| {
            let before = resumes();
            thread::sleep(Duration::from_millis(300));
            resumes() - before <= 2 * both as u64 && waiting_for_descriptors() == both
        });
        assert!(quiet, "the hubs are never at rest");
        drop(peers);
    };
    alone(name, &[], body).well();
}

#[test]
fn a_client_that_leaves_before_the_answer_ends_the_server_side_with_an_error() {
    green_test("a client that leaves", || {
        for role in tls_roles().filter(|role| role.server) {
            let (mut tls, mut peer) = shaken(role);
            peer.send(b"request");
            let mut request = [0; 7];
            tls.read_exact(&mut request).unwrap();
            peer.close();
            drop(peer);
            let error = loop {
                // The first may still find room in the kernel.
                if let Err(error) = tls.write_all(&[0; 16_384]) {
                    break error;
                }
            };
            let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
            assert!(gone.contains(&error.kind()), "{}: {error:?}", role.name());
            assert!(tls.write_all(b"x").is_err());
        }
    });
}

#[test]
fn sending_over_a_socket_that_was_never_connected_ends() {
    green_test("sending over a socket", || {
        let context = SslContext::create_default_context(Purpose::ServerAuth).unwrap();
        let socket = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let tls = context.wrap_socket(socket, Some("localhost")).unwrap();
        tls.set_write_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        assert!({ &tls }.write_all(b"x").is_err());
        assert!({ &tls }.write_all(b"x").is_err());
    });
}

#[test]
fn plaintext_in_the_engine_is_read_without_waiting_for_the_descriptor() {
    green_test("plaintext in the engine", || {
        for role in tls_roles() {
            let (tls, mut peer) = shaken(role);
            peer.send(&[7; 1000]);
            let mut first = [0];
            { &tls }.read_exact(&mut first).unwrap();
            // The whole record is out of the kernel; the peer says nothing any more.
            tls.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut rest = [0; 999];
            { &tls }.read_exact(&mut rest).unwrap();
            assert!(rest.iter().all(|byte| *byte == 7));
        }
    });
}

#[test]
fn neither_close_nor_drop_waits_for_the_peer() {
    green_test("neither close nor drop", || {
        for role in tls_roles() {
            for closes in [true, false] {
                let (tls, peer) = shaken(role);
                // A full socket: not even our own close_notify finds room.
                tls.set_write_timeout(Some(Duration::from_millis(1)))
                    .unwrap();
                while { &tls }.write(&[0; 16_384]).is_ok() {}
                let began = Instant::now();
                if closes {
                    tls.close();
                }
                drop(tls);
                // Of a peer that neither reads nor answers, for as long as it is there.
                assert!(began.elapsed() < Duration::from_secs(10));
                drop(peer);
            }
        }
    });
}

#[test]
fn a_reader_that_has_to_send_and_a_writer_are_both_woken() {
    green_test("a reader that has to", || {
        for role in tls_roles().filter(|role| role.version == test_support::ends::roles::V13) {
            let (tls, mut peer) = shaken(role);
            let writer = {
                let mut tls = tls.try_clone().unwrap();
                spawn(move || tls.write_all(&vec![1; 4 << 20]))
            };
            let reader = {
                let mut tls = tls.try_clone().unwrap();
                spawn(move || tls.read_exact(&mut [0; 5]))
            };
            // The writer is stuck; the reader gets a message that asks for an answer, and then data.
            sleep(Duration::from_millis(20));
            peer.key_update();
            peer.send(b"hello");
            reader.join().unwrap().unwrap();
            let reading = thread::spawn(move || {
                peer.read_to_end();
                peer.log
            });
            writer.join().unwrap().unwrap();
            tls.shutdown_write().unwrap();
            let log = greenhub::blocking(|| reading.join().unwrap());
            assert_eq!(log, ["peer got 4194304 close_notify"]);
        }
    });
}

#[test]
fn what_was_written_has_left_when_the_call_returns() {
    green_test("what was written has", || {
        for role in tls_roles() {
            let (tls, mut peer) = shaken(role);
            for size in [1, 16_384, 40_000] {
                { &tls }.write_all(&vec![0; size]).unwrap();
                // Nobody reads, flushes or writes on our side meanwhile.
                peer = greenhub::blocking(move || {
                    peer.read_exact(size);
                    peer
                });
            }
        }
    });
}
