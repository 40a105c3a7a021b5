//! Ways to get it wrong, with a peer that is there: what the matrix of `peer_close` does not meet already.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use greenhub::ClosedLocally;
use greenhub::green_thread::{self, sleep, spawn};
use socket2::SockRef;

use super::*;
use test_support::certs::client_context;
use test_support::ends::roles::V13;

#[test]
fn a_probe_that_took_the_error_does_not_make_a_reset_a_clean_end() {
    green_test("a probe that took the", || {
        for role in tls_roles() {
            let (mut tls, mut peer) = shaken(role);
            peer.reset();
            // It is on its way, and session tickets may have come before.
            while tls.get_ref().take_error().unwrap().is_none() {
                sleep(Duration::from_millis(1));
            }
            for _ in 0..2 {
                assert_eq!(
                    tls.read(&mut [0; 8]).unwrap_err().kind(),
                    ErrorKind::ConnectionReset
                );
            }
        }
    });
}

#[test]
fn writers_take_turns_and_their_pieces_stay_whole() {
    green_test("writers take turns and", || {
        for role in tls_roles() {
            let (tls, mut peer) = shaken(role);
            let writers: Vec<_> = (0..8_u8)
                .map(|id| {
                    let mut tls = tls.try_clone().unwrap();
                    spawn(move || {
                        for _ in 0..8 {
                            // More than the buffers hold, so writers wait in the middle of theirs.
                            assert_eq!(tls.write(&[id; 48_000]).unwrap(), 48_000);
                        }
                    })
                })
                .collect();
            let reading = std::thread::spawn(move || {
                peer.read_to_end();
                peer.log
            });
            writers
                .into_iter()
                .for_each(|writer| writer.join().unwrap());
            tls.shutdown_write().unwrap();
            let log = greenhub::blocking(|| reading.join().unwrap());
            assert_eq!(log, ["peer got 3072000 close_notify"]);
        }
    });
}

#[test]
fn what_carries_no_plaintext_is_no_end_and_no_data() {
    green_test("what carries no", || {
        for role in tls_roles().filter(|role| role.version == V13) {
            let (mut tls, mut peer) = shaken(role);
            tls.set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            // Session tickets are there already, to a client; key updates to both.
            peer.key_update();
            peer.key_update();
            assert_eq!(
                tls.read(&mut [0; 8]).unwrap_err().kind(),
                ErrorKind::TimedOut
            );
            peer.send(b"x");
            tls.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            assert_eq!(tls.read(&mut [0; 8]).unwrap(), 1);
        }
    });
}

#[test]
fn a_peer_that_keeps_a_read_busy_does_not_outlast_its_limit() {
    green_test("a peer that keeps a read", || {
        let floods = tls_roles()
            .filter(|role| role.version == V13)
            .flat_map(|role| {
                let tickets = (!role.server).then_some((role, Peer::ticket as fn(&mut Peer)));
                [(role, Peer::key_update as fn(&mut Peer))]
                    .into_iter()
                    .chain(tickets)
            });
        for (role, send) in floods {
            let (mut tls, mut peer) = shaken(role);
            tls.set_read_timeout(Some(Duration::from_millis(100)))
                .unwrap();
            peer.tcp()
                .set_write_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let stopped = stop.clone();
            let busy = std::thread::spawn(move || {
                while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                    send(&mut peer);
                }
                peer
            });
            let began = Instant::now();
            assert_eq!(
                tls.read(&mut [0; 8]).unwrap_err().kind(),
                ErrorKind::TimedOut
            );
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{:?}",
                began.elapsed()
            );
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            drop(tls);
            greenhub::blocking(|| busy.join().unwrap());
        }
    });
}

/// What waits to be sent does not leave meanwhile, and what comes asks for no answer.
#[test]
fn nor_does_one_that_reads_nothing_itself() {
    const LITTLE: usize = 8192;
    green_test("one that reads nothing", || {
        for role in tls_roles().filter(|role| role.version == V13) {
            let (mut tls, mut peer) = shaken(role);
            let ours = tls.get_ref();
            ours.set_recv_buffer_size(floods::ROOM).unwrap();
            ours.set_send_buffer_size(LITTLE).unwrap();
            let theirs = peer.tcp();
            let theirs = SockRef::from(&*theirs);
            theirs.set_send_buffer_size(floods::ROOM).unwrap();
            theirs.set_recv_buffer_size(LITTLE).unwrap();
            tls.set_write_timeout(Some(Duration::from_millis(200)))
                .unwrap();
            while tls.write(&[7; 48_000]).is_ok() {}
            let _peer = floods::flood(peer);
            tls.set_read_timeout(Some(Duration::from_millis(5)))
                .unwrap();
            let error = tls.read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(tls.get_ref().peek(&mut [0]).is_ok(), "it was all read");
        }
    });
}

#[test]
fn a_number_recycled_by_a_tls_accept_serves_its_new_owner() {
    green_test("a number recycled by a", || {
        for _ in 0..50 {
            let (old, _old_peer) = shaken(ROLES[3]);
            let waiting = old.try_clone().unwrap();
            let waiter = spawn(move || (&waiting).read(&mut [0; 8]));
            green_thread::yield_now();
            old.close();
            drop(old);
            // The next connections take numbers as they become free.
            let (mut client, server) = pair(ROLES[1]);
            let serving = spawn(move || {
                let mut buf = [0; 4];
                (&server).read_exact(&mut buf).unwrap();
                (&server).write_all(&buf).unwrap();
                buf
            });
            client.write_all(b"ping").unwrap();
            let mut buf = [0; 4];
            client.read_exact(&mut buf).unwrap();
            assert_eq!(&serving.join().unwrap(), b"ping");
            assert!(ClosedLocally::caused(&waiter.join().unwrap().unwrap_err()));
        }
    });
}

#[test]
fn nonblocking_mode_never_waits_and_loses_nothing() {
    green_test("nonblocking mode never", || {
        for role in tls_roles() {
            let (ours, mut peer) = ends(role, Peers::Easy, "");
            let go = ours.go.clone();
            let mut tls = tls_of(ours);
            tls.set_nonblocking(true);
            let reading = std::thread::spawn(move || {
                assert!(peer.handshake());
                peer.send(b"hello");
                // It reads nothing until we are full.
                peer.await_go();
                peer.read_to_end();
                peer
            });
            let again = |tls: &GreenSslSocket| {
                tls.get_ref()
                    .wait_readable(Some(Duration::from_millis(1)))
                    .unwrap();
            };
            while let Err(error) = tls.do_handshake() {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                again(&tls);
            }
            let mut buf = [0; 8];
            let count = loop {
                match tls.read(&mut buf) {
                    Ok(count) => break count,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                again(&tls);
            };
            assert_eq!(&buf[..count], b"hello");
            let mut total = 0;
            let full = loop {
                match tls.write(&[1; 50_000]) {
                    Ok(count) => total += count,
                    Err(error) => break error,
                }
            };
            assert_eq!(full.kind(), ErrorKind::WouldBlock);
            go.release();
            while tls.flush().is_err() {
                sleep(Duration::from_millis(1));
            }
            tls.set_nonblocking(false);
            tls.shutdown_write().unwrap();
            let peer = greenhub::blocking(|| reading.join().unwrap());
            assert_eq!(peer.log, [format!("peer got {total} close_notify")]);
        }
    });
}

#[test]
fn a_greedy_reader_leaves_time_for_a_sleeper_on_its_hub() {
    green_test("a greedy reader leaves", || {
        let (client, server) = pair(ROLES[1]);
        let writer = spawn(move || while (&client).write_all(&[1; 60_000]).is_ok() {});
        // When the sleeper is due, and how many reads went before it since.
        let due = Rc::new(Cell::new(Instant::now() + NAP));
        let overdue = Rc::new(Cell::new(0));
        let (theirs, counted) = (due.clone(), overdue.clone());
        let reader = green_thread::spawn_local(move || {
            let mut buf = vec![0; 65536];
            let mut most = 0;
            for _ in 0..20_000 {
                assert!((&server).read(&mut buf).unwrap() > 0);
                if Instant::now() > theirs.get() {
                    counted.set(counted.get() + 1);
                    most = most.max(counted.get());
                }
            }
            server.close();
            most
        });
        let mut naps = 0;
        while !reader.is_finished() {
            due.set(Instant::now() + NAP);
            overdue.set(0);
            sleep(NAP);
            naps += 1;
        }
        let most = reader.join().unwrap();
        writer.join().unwrap();
        assert!(
            naps > 1 && most <= 200,
            "{most} reads went before a sleeper that was due, of {naps}"
        );
    });
}

/// What the sleeper beside a greedy reader sleeps.
const NAP: Duration = Duration::from_millis(5);

/// What was to be sent has no way out any more, and nobody goes on trying.
#[test]
fn a_connection_whose_socket_was_closed_underneath_can_be_closed() {
    green_test("underneath", || {
        for role in tls_roles() {
            let (tls, peer) = shaken(role);
            tls.get_ref().close();
            tls.close();
            assert!(ClosedLocally::caused(&(&tls).write(b"x").unwrap_err()));
            drop(peer);
        }
    });
}

/// The close itself says goodbye first, and then ends our direction: that is not what the call is to tell of.
#[test]
fn a_call_that_waits_for_room_as_the_connection_is_closed_says_so() {
    const ROUNDS: usize = 10;
    green_test("waits for room", || {
        let flush = |tls: &GreenSslSocket| (&*tls).flush();
        for role in tls_roles() {
            for call in [GreenSslSocket::shutdown_write, flush].repeat(ROUNDS) {
                let (tls, peer) = shaken(role);
                tls.set_nonblocking(true);
                // Something is left to be sent.
                while (&tls).write(&[1; 48_000]).is_ok() {}
                tls.set_nonblocking(false);
                let waiting = tls.try_clone().unwrap();
                let waiter = green_thread::spawn_local(move || call(&waiting));
                green_thread::yield_now();
                assert!(!waiter.is_finished());
                // Elsewhere, so that the waiter may run in between.
                greenhub::blocking(move || tls.close());
                let error = waiter.join().unwrap().unwrap_err();
                assert!(ClosedLocally::caused(&error), "{error:?}");
                drop(peer);
            }
        }
    });
}

#[test]
fn what_was_torn_and_then_closed_is_closed() {
    green_test("torn and closed", || {
        for role in tls_roles() {
            let (tls, peer) = shaken(role);
            let moment = Duration::from_millis(20);
            assert!(greenhub::timeout(moment, || (&tls).write_all(&vec![1; 8 << 20])).is_err());
            tls.close();
            for error in [
                (&tls).write(b"more").unwrap_err(),
                tls.shutdown_write().unwrap_err(),
            ] {
                assert!(ClosedLocally::caused(&error), "{error:?}");
            }
            drop(peer);
        }
    });
}

/// Where a call can be cut off by an unwind: its turns are given back, and what follows is clear.
#[test]
fn an_unwind_in_the_midst_of_a_call_leaves_the_stream_usable_or_clearly_torn() {
    green_test("unwind", || {
        let moment = Duration::from_millis(20);
        for role in tls_roles() {
            // Handshake: it can be carried on.
            let (ours, mut peer) = ends(role, Peers::Easy, "");
            let mut tls = tls_of(ours);
            assert!(greenhub::timeout(moment, || tls.do_handshake()).is_err());
            let peer = std::thread::spawn(move || {
                assert!(peer.handshake());
                peer
            });
            tls.do_handshake().unwrap();
            let mut peer = greenhub::blocking(|| peer.join().unwrap());

            // Read: nothing is lost.
            assert!(greenhub::timeout(moment, || (&tls).read(&mut [0; 8])).is_err());
            let reading = tls.try_clone().unwrap();
            let reader = spawn(move || (&reading).read(&mut [0; 8]));
            green_thread::yield_now();
            reader.kill().unwrap();
            assert!(reader.join().is_err());
            peer.send(b"hello");
            let mut buf = [0; 8];
            assert_eq!(tls.read(&mut buf).unwrap(), 5);

            // Write: what the peer has is unknown, so nothing may follow.
            assert!(greenhub::timeout(moment, || (&tls).write_all(&vec![1; 8 << 20])).is_err());
            for _ in 0..2 {
                assert_eq!(tls.write(b"more").unwrap_err().kind(), ErrorKind::TimedOut);
            }
            // Reading goes on, and the end is not a clean one.
            peer.send(b"again");
            assert_eq!(tls.read(&mut buf).unwrap(), 5);
            drop(tls);
            let log = greenhub::blocking(|| {
                peer.read_to_end();
                peer.log
            });
            assert!(!log[0].ends_with("close_notify"), "{log:?}");
        }
    });
}

#[test]
fn a_linger_time_of_zero_resets() {
    green_test("linger", || {
        for role in tls_roles() {
            let (tls, mut peer) = shaken(role);
            SockRef::from(tls.get_ref())
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            drop(tls);
            let log = greenhub::blocking(|| {
                peer.read_to_end();
                peer.log
            });
            assert_eq!(log, ["peer got 0 ConnectionReset"]);
        }
    });
}

#[test]
fn a_socket_that_lingers_holds_no_hub_when_it_is_dropped_or_closed() {
    green_test("lingering", || {
        for close in [false, true] {
            let (tls, mut peer) = shaken(ROLES[1]);
            let (long, soon) = (Duration::from_secs(40), Duration::from_secs(20));
            let socket = SockRef::from(tls.get_ref());
            socket.set_linger(Some(long)).unwrap();
            tls.set_nonblocking(true);
            while (&tls).write(&[0; 65536]).is_ok() {}
            let ticks = Arc::new(AtomicU32::new(0));
            let [counted, seen] = [(); 2].map(|()| ticks.clone());
            let peer = spawn(move || {
                // Until then it confirms nothing, and a close has to wait.
                while seen.load(SeqCst) < 3 {
                    sleep(Duration::from_millis(1));
                }
                greenhub::blocking(move || peer.read_to_end());
            });
            let ticker = green_thread::spawn_local(move || {
                loop {
                    counted.fetch_add(1, SeqCst);
                    sleep(Duration::from_millis(1));
                }
            });
            let began = Instant::now();
            if close {
                tls.close();
                assert!(ticks.load(SeqCst) > 2, "the hub went on");
            }
            drop(tls);
            assert!(began.elapsed() < soon, "{:?}", began.elapsed());
            peer.join().unwrap();
            ticker.kill().unwrap();
        }
    });
}

#[test]
fn closing_right_after_the_handshake_is_a_clean_end_and_no_reset() {
    green_test("tickets", || {
        for role in tls_roles() {
            // To a client, session tickets lie unread.
            let (tls, mut peer) = shaken(role);
            (&tls).write_all(b"bye").unwrap();
            drop(tls);
            let log = greenhub::blocking(|| {
                peer.read_to_end();
                peer.log
            });
            assert_eq!(log, ["peer got 3 close_notify"]);
        }
    });
}

#[test]
fn an_empty_read_does_not_stand_behind_another_reader() {
    green_test("empty", || {
        let (tls, _peer) = shaken(ROLES[1]);
        let reading = tls.try_clone().unwrap();
        let reader = spawn(move || (&reading).read(&mut [0; 8]));
        green_thread::yield_now();
        assert_eq!((&tls).read(&mut []).unwrap(), 0);
        assert_eq!((&tls).write(&[]).unwrap(), 0);
        tls.close();
        assert!(ClosedLocally::caused(&reader.join().unwrap().unwrap_err()));
    });
}

#[test]
fn a_stale_handle_names_no_other_connection() {
    green_test("a stale handle names no", || {
        let context = client_context(green::ssl::EngineKind::OpenSsl, V13);
        let (tls, _peer) = shaken(ROLES[1]);
        let stale = tls.try_clone().unwrap();
        tls.close();
        drop(tls);
        let (_client, _server) = test_support::ends::tcp_pair();
        assert!(ClosedLocally::caused(&(&stale).write(b"x").unwrap_err()));
        stale.close();
        drop(context);
    });
}
