//! Descriptors and their events, on one hub and on two.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use greenhub::green_thread::{Builder, sleep, spawn_local, yield_now};
use greenhub::greenio::{Domain, GreenSocket, Type};
use greenhub::{ClosedLocally, Site, State, report, run};

use crate::{LIMIT, MILLISECOND, green, pair, receive, receive_byte, until};
use test_support::child::alone;

#[test]
fn what_one_handler_ends_another_does_not_take_for_data() {
    green("what one handler ends", || {
        for round in 0..50 {
            let (first, mut first_peer) = pair();
            let (second, mut second_peer) = pair();
            let (first, second) = (Rc::new(first), Rc::new(second));
            let other = second.clone();
            let closer = spawn_local(move || {
                receive(&first).unwrap();
                other.close();
            });
            let reader = spawn_local(move || receive(&second));
            yield_now();
            // Both become ready before the hub polls again.
            first_peer.write_all(b"x").unwrap();
            if round % 2 == 0 {
                second_peer.write_all(b"y").unwrap();
            }
            closer.join().unwrap();
            match reader.join().unwrap() {
                Ok(n) => assert_eq!(n, 1, "its own byte, read before the close"),
                Err(error) => assert!(ClosedLocally::caused(&error), "{error:?}"),
            }
        }
    });
}

#[test]
fn hubs_go_on_beside_each_other() {
    alone(
        "descriptors::hubs_go_on_beside_each_other",
        &[("GREEN_HUBS", "2")],
        || {
            let seen = Arc::new(AtomicU32::new(0));
            let theirs = seen.clone();
            // Blocks its hub for real until the other hub has gone on.
            let hog = Builder::new()
                .hub(0)
                .spawn(move || {
                    while theirs.load(SeqCst) < 10 {
                        std::thread::sleep(MILLISECOND);
                    }
                })
                .unwrap();
            let sleeper = Builder::new().hub(1).spawn(move || {
                for _ in 0..10 {
                    sleep(MILLISECOND);
                    seen.fetch_add(1, SeqCst);
                }
            });
            sleeper.unwrap().join().unwrap();
            hog.join().unwrap();
        },
    )
    .well();
}

#[test]
fn a_descriptor_of_one_hub_is_waited_for_on_another() {
    alone(
        "descriptors::a_descriptor_of_one_hub_is_waited_for_on_another",
        &[("GREEN_HUBS", "2")],
        || {
            let (source, mut peer) = pair();
            let source = Arc::new(source);
            let fd = source.as_raw_fd();
            let readers: Vec<_> = (0..6)
                .map(|n| {
                    let source = source.clone();
                    Builder::new()
                        .hub(n % 2)
                        .spawn(move || receive_byte(&source).unwrap())
                        .unwrap()
                })
                .collect();
            let on_fd = || {
                let threads = report().threads;
                threads
                    .iter()
                    .filter(|t| t.state == State::Waiting(Site::Readable(fd)))
                    .count()
            };
            until(|| on_fd() == 6);
            for left in (0..6).rev() {
                peer.write_all(b"x").unwrap();
                until(|| on_fd() <= left);
            }
            assert_eq!(
                readers
                    .into_iter()
                    .map(|r| r.join().unwrap())
                    .sum::<usize>(),
                6
            );
        },
    )
    .well();
}

#[test]
fn a_connection_to_this_host_is_decided_without_the_poller() {
    let name = "descriptors::a_connection_to_this_host_is_decided_without_the_poller";
    alone(name, &[("GREEN_HUBS", "1")], || {
        run(|| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = socket2::SockAddr::from(listener.local_addr().unwrap());
            let unregistered = || {
                let before = report().hubs[0].descriptors;
                let socket = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.connect_timeout(&address, LIMIT).unwrap();
                report().hubs[0].descriptors == before
            };
            // The kernel may put an answer off when it is busy.
            assert!((0..100).any(|_| unregistered()));
        });
    })
    .well();
}
