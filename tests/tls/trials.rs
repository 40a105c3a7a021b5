//! Trials of TLS: the same thing very often, at every offset, beside others.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use green::ssl::{Reason, SslError};
use greenhub::ClosedLocally;
use greenhub::green_thread::{Builder, sleep, spawn, yield_now};

use super::*;
use test_support::certs::{Authority, server_context};
use test_support::ends::our_context;
use test_support::ends::roles::{V12, V13};

/// One exchange with a peer that ends after `budget` bytes: what we got, and our verdict.
fn cut_exchange(role: Role, budget: usize, reset: bool) -> (Vec<u8>, std::io::Result<()>) {
    let (ours, mut peer) = ends(role, Peers::Easy, "");
    let playing = std::thread::spawn(move || {
        peer.cut = Some((budget, reset));
        if budget == 0 {
            match reset {
                true => peer.reset(),
                false => peer.fin(),
            }
        }
        peer.exchange();
        peer.cut.unwrap().0
    });
    let mut tls = tls_of(ours);
    let mut got = Vec::new();
    let outcome = tls
        .write_all(b"ping")
        .and_then(|()| tls.read_to_end(&mut got).map(drop));
    if let Err(error) = &outcome {
        // For ever the same.
        assert_eq!(tls.read(&mut [0; 4]).unwrap_err().kind(), error.kind());
    }
    drop(tls);
    playing.join().unwrap();
    (got, outcome)
}

#[test]
fn a_peer_that_ends_at_any_byte_is_told_from_one_that_finished() {
    test_support::bounded("a peer that ends at any", LIMIT * 20, || {
        let step = rounds(17, 1);
        let trials = tls_roles().map(|role| {
            std::thread::spawn(move || {
                greenhub::run(move || {
                    let mut trials = 0;
                    for reset in [false, true] {
                        let mut budget = 0;
                        loop {
                            let (got, outcome) = cut_exchange(role, budget, reset);
                            trials += 1;
                            let Err(error) = outcome else {
                                // It got to its end.
                                assert_eq!(got, b"hello");
                                break;
                            };
                            assert!(got.is_empty() || got == b"hello");
                            let kinds: &[ErrorKind] = match reset {
                                false => &[ErrorKind::UnexpectedEof],
                                true => &[ErrorKind::ConnectionReset, ErrorKind::BrokenPipe],
                            };
                            assert!(
                                kinds.contains(&error.kind()),
                                "{role:?} at {budget}, {reset}: {error:?}"
                            );
                            budget += step;
                        }
                        assert!(budget > 300, "{role:?} sent {budget} bytes only");
                    }
                    trials
                })
            })
        });
        let trials: Vec<_> = trials.collect();
        let total: usize = trials.into_iter().map(|trial| trial.join().unwrap()).sum();
        println!("{total} exchanges cut");
    });
}

#[test]
fn a_close_ends_every_call_of_tls() {
    green_test("a close ends every call", || {
        let rounds = rounds(300, 100_000);
        for round in 0..rounds {
            let role = ROLES[round % 7];
            let kind = round / 7 % 3;
            let (tls, peer) = match kind {
                0 => {
                    let (ours, peer) = ends(role, Peers::Easy, "");
                    (tls_of(ours), peer)
                }
                _ => shaken(role),
            };
            let waiting = tls.try_clone().unwrap();
            let waiter = spawn(move || match kind {
                0 => waiting.do_handshake(),
                1 => (&waiting).read(&mut [0; 8]).map(drop),
                _ => (&waiting).write_all(&[1; 4 << 20]),
            });
            match round / 21 % 3 {
                0 => {}
                1 => yield_now(),
                _ => sleep(Duration::from_micros(300)),
            }
            let closing = tls.try_clone().unwrap();
            match round % 2 {
                0 => closing.close(),
                _ => drop(std::thread::spawn(move || closing.close())),
            }
            let began = Instant::now();
            let error = waiter.join().unwrap().unwrap_err();
            assert!(ClosedLocally::caused(&error), "{round}: {error:?}");
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{:?}",
                began.elapsed()
            );
            drop(peer);
        }
        println!("{rounds} closes");
    });
}

#[test]
fn records_of_one_byte_arrive_in_order() {
    green_test("records", || {
        for role in tls_roles() {
            let (mut tls, mut peer) = shaken(role);
            let sent: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
            let records: Vec<u8> = sent
                .iter()
                .flat_map(|byte| peer.encrypted(&[*byte]))
                .collect();
            let sending = std::thread::spawn(move || {
                peer.raw(&records);
                peer.notify();
                peer
            });
            let mut got = Vec::new();
            tls.read_to_end(&mut got).unwrap();
            assert_eq!(got, sent);
            drop(sending.join().unwrap());
        }
    });
}

#[test]
fn a_storm_of_key_updates_hinders_neither_reader_nor_writer() {
    green_test("storm", || {
        let updates = rounds(1000, 10_000);
        for role in tls_roles().filter(|role| role.version == V13) {
            let (tls, mut peer) = shaken(role);
            let done = Arc::new(AtomicBool::new(false));
            let over = done.clone();
            let (mut reader, mut writer) = tls.split();
            let storm = std::thread::spawn(move || {
                // It must read as well: each update is answered.
                for _ in 0..updates / 10 {
                    for _ in 0..10 {
                        peer.key_update();
                    }
                    peer.send(b"gust");
                    peer.read_exact(1000);
                }
                over.store(true, Ordering::Relaxed);
                peer.notify();
                peer.read_to_end();
                peer.log
            });
            let writing = spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    writer.write_all(&[1; 1000]).unwrap();
                }
                writer.get_ref().shutdown_write().unwrap();
            });
            let mut got = Vec::new();
            reader.read_to_end(&mut got).unwrap();
            assert_eq!(got, b"gust".repeat(updates / 10));
            writing.join().unwrap();
            let log = greenhub::blocking(|| storm.join().unwrap());
            assert!(log[0].ends_with("close_notify"), "{log:?}");
        }
        println!("{updates} key updates");
    });
}

#[test]
fn failing_handshakes_leave_healthy_ones_on_their_hub_alone() {
    let count = rounds(150, 10_000);
    test_support::bounded("failing handshakes", LIMIT * 20, || {
        let on_hub = |name: &str, body: Box<dyn FnOnce() + Send>| {
            Builder::new()
                .name(name.to_owned())
                .hub(0)
                .spawn(body)
                .unwrap()
        };
        let mut all = Vec::new();
        for version in [V12, V13] {
            all.push(on_hub(
                "failing",
                Box::new(move || {
                    let role = ROLES[if version == V12 { 0 } else { 1 }];
                    let server = server_context(green::ssl::EngineKind::OpenSsl, version);
                    let stranger = Authority::new("nobody knows").leaf("localhost");
                    server
                        .load_cert_chain_bytes(
                            stranger.chain.as_bytes(),
                            stranger.key.as_bytes(),
                            None,
                        )
                        .unwrap();
                    for round in 0..count {
                        let (near, far) = test_support::ends::tcp_pair();
                        let far =
                            greenhub::greenio::GreenSocket::from(std::os::fd::OwnedFd::from(far));
                        let served = server.accept(far).unwrap();
                        let serving =
                            greenhub::green_thread::spawn_local(move || served.do_handshake());
                        let Stream::Tls(client) = test_support::ends::ours_over(near, role) else {
                            panic!("not TLS");
                        };
                        if round % 3 == 0 {
                            (client.get_ref())
                                .send_all(b"GET / HTTP/1.0\r\n\r\n")
                                .unwrap();
                        } else {
                            let error = client.do_handshake().unwrap_err();
                            assert_eq!(
                                SslError::of(&error).unwrap().reason(),
                                Reason::UnknownIssuer
                            );
                        }
                        let error = serving.join().unwrap().unwrap_err();
                        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error:?}");
                    }
                }),
            ));
            all.push(on_hub(
                "healthy",
                Box::new(move || {
                    let role = ROLES[if version == V12 { 0 } else { 1 }];
                    for _ in 0..count {
                        let (mut client, mut server) = pair(role);
                        let serving = greenhub::green_thread::spawn_local(move || {
                            let mut buf = [0; 4];
                            server.read_exact(&mut buf).unwrap();
                            server.write_all(&buf).unwrap();
                            server.read(&mut buf).unwrap()
                        });
                        client.write_all(b"ping").unwrap();
                        client.read_exact(&mut [0; 4]).unwrap();
                        drop(client);
                        assert_eq!(serving.join().unwrap(), 0);
                    }
                }),
            ));
        }
        all.into_iter().for_each(|one| one.join().unwrap());
        println!("{count} failing handshakes beside {count} healthy ones, twice");
    });
}

#[test]
fn plaintext_injected_before_the_handshake_is_refused() {
    green_test("starttls", || {
        for role in tls_roles() {
            let (near, far) = test_support::ends::tcp_pair();
            // In the clear: "STARTTLS", and behind it, in the same segment, what an attacker slipped in.
            { &far }.write_all(b"STARTTLS\r\nRCPT TO:<me>\r\n").unwrap();
            { &near }.read_exact(&mut [0; 10]).unwrap();
            let name = (!role.server).then_some("localhost");
            let socket = greenhub::greenio::GreenSocket::from(std::os::fd::OwnedFd::from(near));
            let mut tls = our_context(role).wrap_socket(socket, name).unwrap();
            for _ in 0..2 {
                let error = tls.read(&mut [0; 64]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidData);
                assert_eq!(SslError::of(&error).unwrap().reason(), Reason::NotTls);
            }
            assert_eq!(tls.pending(), 0);
        }
    });
}
