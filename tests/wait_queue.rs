//! The wait queue, park and the hubs' inboxes: no wake-up is lost, doubled or late.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::green_thread::{self, park, scope, sleep, spawn, spawn_local, yield_now};
use greenhub::wait_queue::{ShortLock, WaitQueue, Wake, checkpoint, now_us};
use greenhub::{run, shield, timeout, without_waiting};

use test_support::child::alone;
use test_support::random::{Random, seed};

const LIMIT: Duration = Duration::from_secs(120);
const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn a_waiter_that_timed_out_is_woken_neither_then_nor_in_its_next_wait() {
    for _ in 0..test_support::repeat::repeats() {
        test_support::bounded("a waiter that timed out", LIMIT, || {
            run(|| {
                let queue = Rc::new(WaitQueue::new());
                let sleeps = Rc::new(Cell::new(false));
                let (theirs, next_wait) = (queue.clone(), sleeps.clone());
                let interrupted = spawn_local(move || {
                    let deadline = Deadline::after(2 * MILLISECOND);
                    assert_eq!(theirs.wait("test", deadline, || true), Wake::TimedOut);
                    assert!(
                        timeout(2 * MILLISECOND, || theirs.wait(
                            "test",
                            Deadline::NEVER,
                            || true
                        ))
                        .is_err()
                    );
                    next_wait.set(true);
                    let began = Instant::now();
                    sleep(5 * MILLISECOND);
                    assert!(began.elapsed() >= 5 * MILLISECOND, "nothing cut it short");
                });
                while !sleeps.get() {
                    sleep(MILLISECOND / 4);
                }
                queue.wake_all();
                interrupted.join().unwrap();
                assert!(queue.is_empty());
                assert!(!queue.wake_one());
            });
        });
    }
}

#[test]
fn every_waiter_is_woken_though_some_fail_then() {
    test_support::bounded("every waiter is woken", LIMIT, || {
        run(|| {
            let queue = Rc::new(WaitQueue::new());
            let waiters: Vec<_> = (0..10)
                .map(|n| {
                    let queue = queue.clone();
                    spawn_local(move || {
                        assert_eq!(queue.wait("test", Deadline::NEVER, || true), Wake::Woken);
                        if n % 2 == 0 {
                            std::panic::resume_unwind(Box::new(n));
                        }
                    })
                })
                .collect();
            while queue.len() < 10 {
                yield_now();
            }
            assert_eq!(queue.wake_all(), 10);
            let failed = waiters
                .into_iter()
                .filter_map(|waiter| waiter.join().err())
                .count();
            assert_eq!(failed, 5);
        });
    });
}

#[test]
fn first_come_first_served_for_both_kinds_of_threads() {
    test_support::bounded("fifo", LIMIT, || {
        let queue = Arc::new(WaitQueue::new());
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut os_threads = Vec::new();
        let mut green_threads = Vec::new();
        for n in 0..10 {
            let (theirs, log) = (queue.clone(), order.clone());
            let body = move || {
                theirs.wait("test", Deadline::NEVER, || true);
                log.lock().unwrap().push(n);
            };
            if n % 2 == 0 {
                green_threads.push(spawn(body));
            } else {
                os_threads.push(std::thread::spawn(body));
            }
            while queue.len() <= n {
                sleep(MILLISECOND / 4);
            }
        }
        for n in 0..10 {
            assert!(queue.wake_one());
            while order.lock().unwrap().len() <= n {
                sleep(MILLISECOND / 4);
            }
        }
        assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
        green_threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        os_threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_panic_of_still_needed_leaves_the_queue_and_the_thread_usable() {
    let body = || {
        let queue = WaitQueue::new();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            queue.wait("test", Deadline::NEVER, || {
                std::panic::resume_unwind(Box::new(7))
            })
        }));
        assert!(ended.unwrap_err().is::<i32>());
        assert!(queue.is_empty());
        assert_eq!(
            queue.wait("test", Deadline::after(MILLISECOND), || true),
            Wake::TimedOut
        );
        // No ticket is left open for a killer to close.
        let began = Instant::now();
        sleep(3 * MILLISECOND);
        assert!(began.elapsed() >= 3 * MILLISECOND);
    };
    test_support::bounded("still_needed", LIMIT, || {
        body();
        run(body);
        run(|| {
            let go = Rc::new(Cell::new(false));
            let theirs = go.clone();
            let victim = spawn_local(move || {
                let queue = WaitQueue::new();
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    queue.wait("test", Deadline::NEVER, || {
                        std::panic::resume_unwind(Box::new(7))
                    })
                }));
                while !theirs.get() {
                    // Not a wait, so a ticket left open would still be.
                    yield_now();
                }
            });
            yield_now();
            go.set(true);
            victim.kill().unwrap();
            let _ = victim.join();
        });
    });
}

#[test]
fn why_a_wait_is_refused_is_forgotten_with_its_reason() {
    fn refused() -> String {
        let panic = catch_unwind(|| sleep(MILLISECOND)).unwrap_err();
        *panic.downcast().unwrap()
    }
    let body = || {
        without_waiting("outside", || {
            assert_eq!(without_waiting("inside", refused), "inside");
            assert_eq!(refused(), "outside");
        });
        let still_needed = || {
            let why = refused();
            assert!(why.contains("whether a wait is still needed"), "{why}");
            false
        };
        let woke = WaitQueue::new().wait("test", Deadline::NEVER, still_needed);
        assert_eq!(woke, Wake::NotNeeded);
    };
    test_support::bounded("a reason", LIMIT, || {
        body();
        run(body);
    });
}

#[test]
fn a_kill_where_no_wait_is_allowed_lets_nobody_run_before_that_is_over() {
    test_support::bounded("a kill without a wait", LIMIT, || {
        run(|| {
            let ended = Rc::new(Cell::new(false));
            let theirs = ended.clone();
            let victim = spawn_local(move || {
                let killed = catch_unwind(park);
                theirs.set(true);
                drop(killed);
            });
            yield_now();
            without_waiting("not here", || {
                victim.kill().unwrap();
                assert!(!ended.get());
            });
            let _ = victim.join();
            assert!(ended.get());
        });
    });
}

#[test]
fn a_shielded_wait_that_is_refused_ends_the_process() {
    let name = "a_shielded_wait_that_is_refused_ends_the_process";
    let refused = alone(name, &[], || {
        run(|| {
            // A block within a shield may panic: nothing inside was promised not to.
            let caught = shield(|| {
                catch_unwind(|| without_waiting("not here", || sleep(MILLISECOND))).is_err()
            });
            assert!(caught);
            let _ = catch_unwind(|| without_waiting("not here", || shield(|| sleep(MILLISECOND))));
        });
    });
    let errors = refused.by(libc::SIGABRT).errors;
    assert!(
        errors.contains("a shielded wait cannot end by a panic (not here)"),
        "{errors}"
    );
}

/// A counter of permits: as a semaphore, made of the queue alone.
struct Permits {
    free: AtomicUsize,
    queue: WaitQueue,
}

impl Permits {
    fn take(&self) {
        let take = || {
            self.free
                .fetch_update(SeqCst, SeqCst, |free| free.checked_sub(1))
                .is_err()
        };
        loop {
            if !take() {
                return;
            }
            self.queue
                .wait("permits", Deadline::NEVER, || self.free.load(SeqCst) == 0);
        }
    }

    fn give(&self) {
        self.free.fetch_add(1, SeqCst);
        self.queue.wake_one();
    }
}

#[test]
fn a_still_needed_that_waits_panics_and_leaves_the_queue_and_the_thread_usable() {
    fn body() {
        let (queue, other) = (WaitQueue::new(), WaitQueue::new());
        let waits: [&dyn Fn(); 5] = [
            &|| sleep(MILLISECOND),
            &yield_now,
            &park,
            &|| {
                other.wait("other", Deadline::NEVER, || true);
            },
            // Nothing is lent that could not come back.
            &|| scope(|_| unreachable!("the scope has begun")),
        ];
        for wait in waits {
            let refused = catch_unwind(AssertUnwindSafe(|| {
                queue.wait("test", Deadline::NEVER, || {
                    wait();
                    true
                })
            }));
            let message = refused.unwrap_err();
            let message = message.downcast_ref::<String>().unwrap();
            assert!(message.contains("cannot wait"), "{message}");
            assert!(queue.is_empty() && other.is_empty());
            let soon = Deadline::after(MILLISECOND);
            assert_eq!(queue.wait("test", soon, || true), Wake::TimedOut);
        }
        // What gives way now and then does not, and a kill of a neighbour waits.
        let called = || {
            (0..100_000).for_each(|_| greenhub::wait_queue::give_way());
            spawn(|| ()).kill().unwrap();
            false
        };
        assert_eq!(queue.wait("test", Deadline::NEVER, called), Wake::NotNeeded);
        sleep(MILLISECOND);
    }
    test_support::bounded("waits under the lock", LIMIT, body);
    test_support::bounded("waits under the lock, green", LIMIT, || run(body));
}

#[test]
fn stress_permits_between_two_hubs_and_os_threads() {
    let seed = seed();
    let rounds = 2000 * u64::from(test_support::repeat::repeats());
    eprintln!("permits: seed {seed}, {rounds} rounds each of 8 green and 3 OS threads");
    test_support::bounded(
        "stress_permits",
        LIMIT * test_support::repeat::repeats(),
        || {
            let permits = Arc::new(Permits {
                free: AtomicUsize::new(2),
                queue: WaitQueue::new(),
            });
            let inside = Arc::new(AtomicUsize::new(0));
            let body = |n: u64| {
                let (permits, inside) = (permits.clone(), inside.clone());
                move || {
                    let mut random = Random::of(seed, n);
                    for _ in 0..rounds {
                        permits.take();
                        assert!(inside.fetch_add(1, SeqCst) < 2);
                        if random.below(4) == 0 {
                            green_thread::yield_now();
                        }
                        inside.fetch_sub(1, SeqCst);
                        permits.give();
                    }
                }
            };
            let green: Vec<_> = (0..8).map(|n| spawn(body(n))).collect();
            let os: Vec<_> = (8..11).map(|n| std::thread::spawn(body(n))).collect();
            green.into_iter().for_each(|thread| thread.join().unwrap());
            os.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(permits.free.load(SeqCst), 2);
            assert!(permits.queue.is_empty());
        },
    );
}

#[test]
fn stress_a_token_goes_round_by_park_and_unpark() {
    let seed = seed();
    let rounds = 3000 * u64::from(test_support::repeat::repeats());
    eprintln!("token: seed {seed}, {rounds} rounds over 6 threads");
    test_support::bounded(
        "stress_park",
        LIMIT * test_support::repeat::repeats(),
        || {
            const THREADS: u64 = 6;
            let turn = Arc::new(AtomicU64::new(0));
            let members: Arc<std::sync::OnceLock<Vec<green_thread::Thread>>> = Arc::default();
            let body = |n: u64| {
                let (turn, members) = (turn.clone(), members.clone());
                move || {
                    while members.get().is_none() {
                        green_thread::yield_now();
                    }
                    let mut random = Random::of(seed, n);
                    let members = members.get().unwrap();
                    for round in 0..rounds {
                        let mine = round * THREADS + n;
                        while turn.load(SeqCst) != mine {
                            match random.below(8) {
                                0 => green_thread::park_timeout(MILLISECOND / 10),
                                _ => park(),
                            }
                        }
                        turn.store(mine + 1, SeqCst);
                        members[((n + 1) % THREADS) as usize].unpark();
                        if random.below(16) == 0 {
                            // One too many, at a random member.
                            members[random.below(THREADS) as usize].unpark();
                        }
                    }
                }
            };
            let green: Vec<_> = (0..4).map(|n| spawn(body(n))).collect();
            let (send, receive) = std::sync::mpsc::channel();
            let os: Vec<_> = (4..THREADS)
                .map(|n| {
                    let (body, send) = (body(n), send.clone());
                    std::thread::spawn(move || {
                        send.send((n, green_thread::current())).unwrap();
                        body();
                    })
                })
                .collect();
            let mut all: Vec<(u64, green_thread::Thread)> = (0..)
                .zip(green.iter().map(|thread| thread.thread().clone()))
                .collect();
            all.extend((4..THREADS).map(|_| receive.recv().unwrap()));
            all.sort_by_key(|(n, _)| *n);
            members
                .set(all.into_iter().map(|(_, thread)| thread).collect())
                .unwrap();
            green.into_iter().for_each(|thread| thread.join().unwrap());
            os.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(turn.load(SeqCst), rounds * THREADS);
        },
    );
}

#[test]
fn stress_kills_and_time_limits_against_wakes() {
    let seed = seed();
    let rounds = 1500 * u64::from(test_support::repeat::repeats());
    eprintln!("kills: seed {seed}, {rounds} rounds");
    test_support::bounded(
        "stress_kills",
        LIMIT * test_support::repeat::repeats(),
        || {
            let queue = Arc::new(WaitQueue::new());
            let stop = Arc::new(AtomicBool::new(false));
            let wakers: Vec<_> = (0..2)
                .map(|_| {
                    let (queue, stop) = (queue.clone(), stop.clone());
                    std::thread::spawn(move || {
                        while !stop.load(SeqCst) {
                            queue.wake_one();
                            std::thread::yield_now();
                        }
                    })
                })
                .collect();
            let mut random = Random::new(seed);
            let (mut killed, mut woken) = (0, 0);
            for _ in 0..rounds {
                let theirs = queue.clone();
                let mut limit = MILLISECOND / 20 * random.below(4) as u32;
                let victim = spawn(move || {
                    let mut woken = 0;
                    loop {
                        let wait = || theirs.wait("test", Deadline::NEVER, || true);
                        if timeout(limit, wait).is_ok() {
                            woken += 1;
                        }
                        limit += MILLISECOND / 50;
                        if woken == 3 {
                            return woken;
                        }
                    }
                });
                for _ in 0..random.below(20) {
                    std::hint::spin_loop();
                }
                if random.below(2) == 0 {
                    victim.kill().unwrap();
                } else {
                    queue.wake_one();
                }
                match victim.join() {
                    Ok(n) => woken += n,
                    Err(payload) => {
                        assert!(payload.is::<greenhub::Killed>());
                        killed += 1;
                    }
                }
            }
            stop.store(true, SeqCst);
            wakers.into_iter().for_each(|thread| thread.join().unwrap());
            eprintln!("kills: {killed} killed, {woken} woken");
            assert!(queue.is_empty(), "the dead have left the queue");
        },
    );
}

#[test]
fn a_waker_is_told_whether_it_woke_somebody_and_whether_others_wait() {
    test_support::bounded("a waker is told", LIMIT, || {
        run(|| {
            let queue = Rc::new(WaitQueue::new());
            let waiters = [(); 2].map(|()| {
                let queue = queue.clone();
                spawn_local(move || queue.wait("test", Deadline::NEVER, || true))
            });
            while queue.len() < 2 {
                yield_now();
            }
            for expected in [(true, true), (true, false), (false, false)] {
                let told = Cell::new(None);
                let woken = queue.wake_one_then(|woken, more| told.set(Some((woken, more))));
                assert_eq!((woken, told.get()), (expected.0, Some(expected)));
            }
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), Wake::Woken);
            }
        });
    });
}

#[test]
fn a_wait_is_measured_in_microseconds() {
    let (began, before) = (Instant::now(), now_us());
    sleep(20 * MILLISECOND);
    let measured = u128::from(now_us().wrapping_sub(before));
    let most = began.elapsed().as_micros() + 1;
    assert!((20_000..=most).contains(&measured), "{measured} us");
}

#[test]
fn a_checkpoint_raises_what_is_due_unless_no_wait_is_allowed() {
    fn without_end() {
        loop {
            checkpoint();
        }
    }
    test_support::bounded("a checkpoint raises", LIMIT, || {
        assert!(timeout(MILLISECOND, without_end).is_err());
        run(|| {
            assert!(timeout(MILLISECOND, without_end).is_err());
            let victim = spawn_local(without_end);
            sleep(MILLISECOND);
            victim.kill().unwrap();
            assert!(victim.join().unwrap_err().is::<greenhub::Killed>());

            let refused_none = Cell::new(false);
            let limited = timeout(MILLISECOND, || {
                without_waiting("no wait here", || {
                    let began = Instant::now();
                    while began.elapsed() < 3 * MILLISECOND {
                        checkpoint();
                    }
                });
                refused_none.set(true);
                checkpoint();
            });
            assert!(limited.is_err() && refused_none.get());
        });
    });
}

#[cfg(debug_assertions)]
#[test]
fn a_wait_under_a_short_lock_panics_in_a_debug_build() {
    test_support::bounded("short_lock", LIMIT, || {
        static LOCK: ShortLock<()> = ShortLock::new(());
        let waits: [fn(); 3] = [|| sleep(Duration::from_millis(1)), park, yield_now];
        for wait in waits {
            let told = spawn(move || {
                let _held = LOCK.lock();
                wait();
            });
            let panic = told.join().unwrap_err();
            let text = panic.downcast::<String>().unwrap();
            assert!(text.contains("under a short lock"), "{text:?}");
        }
        // And it is free again.
        spawn(|| drop(LOCK.lock())).join().unwrap();
        // So is a queue's.
        static QUEUE: WaitQueue = WaitQueue::new();
        let told = spawn(|| QUEUE.wake_one_then(|_, _| yield_now()));
        assert!(told.join().is_err());
        assert!(!QUEUE.wake_one());
        spawn(|| QUEUE.wake_one_then(|_, _| ())).join().unwrap();
    });
}
