//! Who leaves without a word is taken for cut off: half an answer never passes for a whole one (RFC 8446, 6.1).

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use greenhub::green_thread::{JoinHandle, sleep, spawn, spawn_local, yield_now};

use super::*;

/// How the peer sees the end when a green thread of ours has written "half" and leaves as `leave` does.
fn seen(role: Role, leave: impl FnOnce(GreenSslSocket, &mut Peer) + Send + 'static) -> String {
    let (tls, mut peer) = shaken(role);
    (&tls).write_all(b"half").unwrap();
    leave(tls, &mut peer);
    greenhub::blocking(move || {
        peer.read_to_end();
        peer.log.pop().unwrap()
    })
}

/// Runs `body` with the socket on a green thread, which waits at its end.
fn parked(tls: GreenSslSocket) -> JoinHandle<()> {
    let thread = spawn(move || {
        let _tls = tls;
        sleep(Duration::from_secs(3600));
    });
    while !is_parked(&thread) {
        yield_now();
    }
    thread
}

fn is_parked<T>(thread: &JoinHandle<T>) -> bool {
    let id = thread.thread().id();
    let report = greenhub::report();
    let listed = report.threads.iter().find(|listed| listed.id == id);
    listed.is_some_and(|listed| matches!(listed.state, greenhub::State::Waiting(_)))
}

#[test]
fn a_drop_in_order_says_close_notify() {
    green_test("in order", || {
        for role in tls_roles() {
            assert_eq!(seen(role, |tls, _| drop(tls)), "peer got 4 close_notify");
            assert_eq!(seen(role, |tls, _| tls.close()), "peer got 4 close_notify");
        }
    });
}

#[test]
fn a_drop_while_unwinding_does_not() {
    green_test("unwinding", || {
        for role in tls_roles() {
            let panics = |tls: GreenSslSocket, _: &mut Peer| {
                let thread = spawn(move || {
                    let _tls = tls;
                    std::panic::resume_unwind(Box::new("between two writes"));
                });
                assert!(thread.join().is_err());
            };
            assert_eq!(seen(role, panics), "peer got 4 fin", "a panic");
            let killed = |tls: GreenSslSocket, _: &mut Peer| {
                let thread = parked(tls);
                thread.kill().unwrap();
                assert!(thread.join().is_err());
            };
            assert_eq!(seen(role, killed), "peer got 4 fin", "a kill");
            let killed_unrun = |tls: GreenSslSocket, _: &mut Peer| {
                let thread = spawn_local(move || drop(tls));
                thread.kill().unwrap();
                assert!(thread.join().is_err());
            };
            assert_eq!(
                seen(role, killed_unrun),
                "peer got 4 fin",
                "a kill before it began"
            );
            let unwanted = |tls: GreenSslSocket, _: &mut Peer| {
                let (go, gate) = std::sync::mpsc::channel::<()>();
                let thread = spawn(move || {
                    greenhub::blocking(move || {
                        let _ = gate.recv();
                        tls
                    })
                });
                while !is_parked(&thread) {
                    yield_now();
                }
                thread.kill().unwrap();
                assert!(thread.join().is_err());
                drop(go);
            };
            assert_eq!(
                seen(role, unwanted),
                "peer got 4 fin",
                "the result of a blocking call that nobody waits for any more"
            );
            let limited = |tls: GreenSslSocket, _: &mut Peer| {
                let limit = Duration::from_millis(1);
                let outcome = greenhub::timeout(limit, move || {
                    let _tls = tls;
                    sleep(Duration::from_secs(3600));
                });
                assert!(outcome.is_err());
            };
            assert_eq!(seen(role, limited), "peer got 4 fin", "a limit");
        }
    });
}

/// Panics with it.
fn panics_with<T: Send + 'static>(held: T) {
    let thread = spawn(move || {
        let _held = held;
        std::panic::resume_unwind(Box::new("between two writes"));
    });
    assert!(thread.join().is_err());
}

#[test]
fn nor_does_one_in_order_after_another_handle_went_by_an_unwind() {
    type Leave = fn(GreenSslSocket, &mut Peer);
    let cases: [(&str, Leave, &str); 7] = [
        (
            "a panic",
            |tls, _| panics_with(tls.try_clone().unwrap()),
            "fin",
        ),
        (
            "a kill",
            |tls, _| {
                let thread = parked(tls.try_clone().unwrap());
                thread.kill().unwrap();
                assert!(thread.join().is_err());
            },
            "fin",
        ),
        (
            "the writing half",
            |tls, _| {
                let (_reader, writer) = tls.split();
                panics_with(writer);
            },
            "fin",
        ),
        (
            "in order",
            |tls, _| drop(tls.try_clone().unwrap()),
            "close_notify",
        ),
        (
            "the peer is told",
            |tls, _| {
                panics_with(tls.try_clone().unwrap());
                tls.shutdown_write().unwrap();
            },
            "close_notify",
        ),
        (
            "the connection is shut down",
            |tls, _| {
                panics_with(tls.try_clone().unwrap());
                tls.shutdown(Shutdown::Write).unwrap();
            },
            "close_notify",
        ),
        (
            "the connection is closed",
            |tls, _| {
                panics_with(tls.try_clone().unwrap());
                tls.close();
            },
            "close_notify",
        ),
    ];
    green_test("another handle", move || {
        for role in tls_roles() {
            for (how, leave, end) in cases {
                assert_eq!(seen(role, leave), format!("peer got 4 {end}"), "{how}");
            }
        }
    });
}

#[test]
fn a_drop_of_a_connection_that_failed_does_not() {
    green_test("failed", || {
        for role in tls_roles() {
            let truncated = |tls: GreenSslSocket, peer: &mut Peer| {
                peer.fin();
                let error = (&tls).read(&mut [0; 8]).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
            };
            assert_eq!(seen(role, truncated), "peer got 4 fin");
            // One who takes such an end for a clean one has seen nothing fail.
            let lenient = |tls: GreenSslSocket, peer: &mut Peer| {
                tls.set_suppress_ragged_eofs(true);
                peer.fin();
                assert_eq!((&tls).read(&mut [0; 8]).unwrap(), 0);
            };
            assert_eq!(seen(role, lenient), "peer got 4 close_notify");
            // And one who closes has had his say.
            let closes = |tls: GreenSslSocket, peer: &mut Peer| {
                peer.fin();
                (&tls).read(&mut [0; 8]).unwrap_err();
                tls.close();
            };
            assert_eq!(seen(role, closes), "peer got 4 close_notify");
        }
    });
}

#[test]
fn a_write_that_was_cut_short_is_not_followed_by_close_notify() {
    green_test("cut short", || {
        for role in tls_roles() {
            let (tls, mut peer) = shaken(role);
            tls.set_write_timeout(Some(Duration::from_millis(20)))
                .unwrap();
            while (&tls).write(&[7; 65536]).is_ok() {}
            // The peer takes all that is on its way, and there is room again.
            let reading = std::thread::spawn(move || {
                peer.read_to_end();
                peer.log.pop().unwrap()
            });
            tls.set_write_timeout(Some(LIMIT)).unwrap();
            (&tls).flush().unwrap();
            assert!(tls.shutdown_write().is_err());
            drop(tls);
            let seen = greenhub::blocking(|| reading.join().unwrap());
            assert!(seen.ends_with(" fin"), "{seen}");
        }
    });
}

#[test]
fn a_shutdown_of_ours_ends_a_waiting_read_as_std_has_it() {
    green_test("shutdown", || {
        for role in tls_roles() {
            for how in [Shutdown::Read, Shutdown::Both] {
                let (tls, mut peer) = shaken(role);
                peer.send(b"before");
                (&tls).read_exact(&mut [0; 6]).unwrap();
                let reading = tls.try_clone().unwrap();
                let reader = spawn(move || (&reading).read(&mut [0; 8]));
                // By now it waits, most likely.
                sleep(Duration::from_millis(2));
                tls.shutdown(how).unwrap();
                assert_eq!(reader.join().unwrap().unwrap(), 0);
                assert_eq!((&tls).read(&mut [0; 8]).unwrap(), 0);
                assert!(!tls.peer_closed_cleanly());
            }
        }
    });
}
