//! Nobody keeps the others from the poller and the clock.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::green_thread::{sleep, spawn_local, yield_now};
use greenhub::greenio::{Domain, GreenSocket, Type};
use greenhub::source::{Direction, Source};
use greenhub::{run, wait_readable};

use crate::{MILLISECOND, green, pair, receive};
use test_support::child::alone;

/// How often a neighbour that sleeps 5 ms at a time wakes up within `window`.
fn naps_in(window: Duration) -> u32 {
    let naps = spawn_local(move || {
        let end = Instant::now() + window;
        let mut naps = 0;
        while Instant::now() < end {
            sleep(5 * MILLISECOND);
            naps += 1;
        }
        naps
    });
    naps.join().unwrap()
}

/// Compares a neighbour's naps beside `greedy`, which runs until it is told to
/// stop, with those beside a loop that does nothing but let others run. So both
/// suffer alike when the machine is busy; a hub that starves its sleepers misses
/// nine in ten, every time.
fn a19(name: &str, greedy: impl Fn(Arc<AtomicBool>) + Send + Copy + 'static) {
    let polite = |stop: Arc<AtomicBool>| {
        while !stop.load(SeqCst) {
            yield_now();
        }
    };
    for _ in 0..test_support::repeat::repeats() {
        let mut tries =
            (0..10).map(|_| green(name, move || (naps_beside(polite), naps_beside(greedy))));
        let fair = tries.find(|(possible, naps)| naps * 2 >= *possible);
        assert!(
            fair.is_some(),
            "less than half the naps that are possible, ten times"
        );
    }
}

/// How often a neighbour wakes up beside `busy`, on the same hub.
fn naps_beside(busy: impl Fn(Arc<AtomicBool>) + 'static) -> u32 {
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = stop.clone();
    let busy = spawn_local(move || busy(theirs));
    let naps = naps_in(150 * MILLISECOND);
    stop.store(true, SeqCst);
    busy.join().unwrap();
    naps
}

/// A stream that never runs dry.
fn endless(stop: &Arc<AtomicBool>) -> Source {
    let (source, mut theirs) = pair();
    let stop = stop.clone();
    std::thread::spawn(move || while !stop.load(SeqCst) && theirs.write_all(&[1; 4096]).is_ok() {});
    source
}

#[test]
fn a_greedy_reader_does_not_starve_a_sleeper() {
    a19("a greedy reader does not", |stop| {
        let source = endless(&stop);
        while !stop.load(SeqCst) {
            receive(&source).unwrap();
        }
    });
}

#[test]
fn a_greedy_user_of_the_trampoline_does_not_either() {
    a19("a greedy user of the", |stop| {
        let source = endless(&stop);
        while !stop.load(SeqCst) {
            wait_readable(&source, Deadline::NEVER).unwrap();
            let _ = socket2::SockRef::from(&source).recv(&mut [MaybeUninit::uninit(); 16]);
        }
    });
}

#[test]
fn a_greedy_waiter_for_a_source_does_not_either() {
    a19("a greedy waiter for a", |stop| {
        let source = endless(&stop);
        while !stop.load(SeqCst) {
            source.wait(Direction::Read, Deadline::NEVER).unwrap();
            let _ = socket2::SockRef::from(&source).recv(&mut [MaybeUninit::uninit(); 16]);
        }
    });
}

#[test]
fn a_yield_loop_does_not_keep_sockets_waiting() {
    green("a yield loop does not", || {
        let stop = Rc::new(Cell::new(false));
        let theirs = stop.clone();
        let yields = spawn_local(move || {
            while !theirs.get() {
                yield_now();
            }
        });
        let (source, mut peer) = pair();
        let echo = std::thread::spawn(move || {
            let mut byte = [0];
            while peer.read(&mut byte).unwrap() == 1 {
                peer.write_all(&byte).unwrap();
            }
        });
        for _ in 0..50 {
            socket2::SockRef::from(&source).send(b"x").unwrap();
            assert_eq!(receive(&source).unwrap(), 1);
        }
        stop.set(true);
        yields.join().unwrap();
        drop(source);
        echo.join().unwrap();
    });
}

#[test]
fn who_accepts_does_not_stand_behind_a_thousand_who_are_ready() {
    let name = "fairness::who_accepts_does_not_stand_behind_a_thousand_who_are_ready";
    alone(name, &[("GREEN_HUBS", "1")], || {
        run(|| {
            let stop = Rc::new(Cell::new(false));
            let ran = Rc::new(Cell::new(0_u64));
            let busy: Vec<_> = (0..2_000)
                .map(|_| {
                    let (stop, ran) = (stop.clone(), ran.clone());
                    spawn_local(move || {
                        while !stop.get() {
                            ran.set(ran.get() + 1);
                            yield_now();
                        }
                    })
                })
                .collect();
            let listener = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
            listener.bind(&any.into()).unwrap();
            listener.listen(8).unwrap();
            let address = listener.local_addr().unwrap();
            let seen = ran.clone();
            let acceptor = spawn_local(move || {
                let mut accepted_at = Vec::new();
                for _ in 0..20 {
                    listener.accept().unwrap();
                    accepted_at.push(seen.get());
                }
                accepted_at
            });
            let connected_at: Vec<_> = (0..20)
                .map(|_| {
                    // The acceptor waits again by then: everybody has had a turn.
                    yield_now();
                    let client = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                    client.connect(&address).unwrap();
                    let at = ran.get();
                    yield_now();
                    at
                })
                .collect();
            let accepted_at = acceptor.join().unwrap();
            let waited = connected_at.iter().zip(accepted_at);
            let waited: Vec<_> = waited
                .map(|(before, after)| after.saturating_sub(*before))
                .collect();
            // One round of the poller is 61 turns of others. The kernel may put some connections off when it is busy; who stands
            // behind all others does so each time.
            let soon = waited.iter().filter(|turns| **turns < 500).count();
            assert!(soon > waited.len() / 2, "{waited:?}");
            stop.set(true);
            busy.into_iter().for_each(|thread| thread.join().unwrap());
        });
    })
    .well();
}

#[test]
fn those_who_are_ready_run_in_their_order_whether_they_yield_begin_or_end() {
    green("order", || {
        // More rounds than a turn has legs, so that some ways lead by the loop.
        const ROUNDS: usize = 200;
        let order = Rc::new(RefCell::new(Vec::new()));
        let threads: Vec<_> = (0..5)
            .map(|who| {
                let order = order.clone();
                spawn_local(move || {
                    for round in 0..ROUNDS {
                        order.borrow_mut().push((round, who));
                        match (round + who) % 3 {
                            0 => spawn_local(|| ()).join().unwrap(),
                            _ => {
                                yield_now();
                                yield_now();
                            }
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        let expected: Vec<_> = (0..ROUNDS)
            .flat_map(|round| (0..5).map(move |who| (round, who)))
            .collect();
        let mut order = order.borrow().clone();
        // Who spawns and joins, and who yields twice, may pass one another within a round.
        order.chunks_mut(5).for_each(<[_]>::sort_unstable);
        assert_eq!(order, expected);
    });
}
