//! The primitives under many seeds: nothing is lost, nobody hangs, whoever is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::event::Event;
use green::pool::GreenPool;
use green::queue::Queue;
use green::semaphore::Semaphore;
use green::sync::{Barrier, Condvar, Mutex, Once, OnceLock, RwLock, mpsc};
use green::thread::{JoinHandle, park, park_timeout, scope, sleep, spawn, yield_now};
use green::{channel, timeout};

use super::{Random, trial};

const MS: Duration = Duration::from_millis(1);

/// A pause of up to some milliseconds, or none.
fn pause(random: &mut Random) {
    match random.below(3) {
        0 => {}
        1 => yield_now(),
        _ => sleep(Duration::from_micros(random.below(3_000))),
    }
}

/// Kills some of those that run, at moments of its own, and joins them all. Gives how many ended by themselves.
fn disturb(mut random: Random, crew: Vec<JoinHandle<()>>) -> usize {
    for member in &crew {
        if random.below(3) == 0 {
            pause(&mut random);
            member.kill().unwrap();
        }
    }
    crew.into_iter()
        .filter_map(|member| member.join().ok())
        .count()
}

#[test]
fn a_lock_is_held_by_one_and_left_by_all() {
    trial("mutex", |random| {
        let lock = Arc::new(Mutex::new(0_usize));
        let inside = Arc::new(AtomicUsize::new(0));
        let crew = (0..5).map(|number| {
            let (lock, inside) = (lock.clone(), inside.clone());
            let mut random = Random::of(random.clone().below(u64::MAX), number);
            spawn(move || {
                struct Leaves(Arc<AtomicUsize>);
                impl Drop for Leaves {
                    fn drop(&mut self) {
                        self.0.fetch_sub(1, SeqCst);
                    }
                }
                for _ in 0..12 {
                    // Legs of green threads take a microsecond: some limits pass in the queue, and some on the way.
                    let limit = Duration::from_micros(random.below(60));
                    let _ = timeout(limit, || {
                        let _guard = lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                        assert_eq!(inside.fetch_add(1, SeqCst), 0);
                        let _leaves = Leaves(inside.clone());
                        (0..random.below(4)).for_each(|_| yield_now());
                    });
                }
            })
        });
        disturb(random.clone(), crew.collect());
        assert!(lock.try_lock().or_poisoned_is_free());
    });
}

trait Free {
    fn or_poisoned_is_free(self) -> bool;
}

impl<T> Free for std::result::Result<T, green::sync::TryLockError<T>> {
    fn or_poisoned_is_free(self) -> bool {
        !matches!(self, Err(green::sync::TryLockError::WouldBlock))
    }
}

#[test]
fn a_shared_lock_has_readers_or_one_writer() {
    trial("rwlock", |random| {
        let lock = Arc::new(RwLock::new((0_u64, 0_u64)));
        let crew = (0..6).map(|number| {
            let lock = lock.clone();
            let mut random = Random::of(random.clone().below(u64::MAX), number);
            spawn(move || {
                for _ in 0..4 {
                    if number % 3 == 0 {
                        let mut both = lock
                            .write()
                            .unwrap_or_else(|poisoned| poisoned.into_inner());
                        // Both, or, killed at a pause before, none.
                        pause(&mut random);
                        both.0 += 1;
                        both.1 += 1;
                    } else {
                        let both = lock.read().unwrap_or_else(|poisoned| poisoned.into_inner());
                        let before = *both;
                        pause(&mut random);
                        assert_eq!(before, *both);
                        assert_eq!(both.0, both.1);
                    }
                }
            })
        });
        disturb(random.clone(), crew.collect());
        assert!(lock.try_write().or_poisoned_is_free());
    });
}

#[test]
fn what_was_sent_arrives_once_and_in_order() {
    trial("channels", |mut random| {
        let bound = random.below(3) as usize;
        let (sender, receiver) = mpsc::sync_channel(bound);
        let (to_all, from_all) = channel::bounded(bound);
        for number in 0..3_u64 {
            let (sender, to_all) = (sender.clone(), to_all.clone());
            let mut random = Random::of(random.below(u64::MAX), number);
            spawn(move || {
                for n in 0..10_u64 {
                    pause(&mut random);
                    sender.send((number, n)).unwrap();
                    to_all.send(10 * number + n).unwrap();
                }
            });
        }
        drop((sender, to_all));
        let takers: Vec<_> = (0..3)
            .map(|_| {
                let from_all = from_all.clone();
                spawn(move || from_all.iter().collect::<Vec<_>>())
            })
            .collect();
        let mut next = [0; 3];
        for (number, n) in receiver {
            assert_eq!(n, next[number as usize]);
            next[number as usize] += 1;
        }
        assert_eq!(next, [10; 3]);
        let mut all: Vec<u64> = takers
            .into_iter()
            .flat_map(|taker| taker.join().unwrap())
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..30).collect::<Vec<_>>());
    });
}

#[test]
fn a_message_goes_to_a_receiver_that_takes_it_or_stays() {
    trial("channel and kills", |mut random| {
        let (sender, receiver) = channel::unbounded();
        let taken = Arc::new(AtomicUsize::new(0));
        let crew: Vec<_> = (0..4)
            .map(|_| {
                let (receiver, taken) = (receiver.clone(), taken.clone());
                spawn(move || {
                    while receiver.recv().is_ok() {
                        taken.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        for n in 0..20 {
            sender.send(n).unwrap();
            pause(&mut random);
        }
        drop(sender);
        disturb(random, crew);
        assert_eq!(taken.load(SeqCst) + receiver.try_iter().count(), 20);
    });
}

#[test]
fn whoever_waits_for_a_condition_sees_it() {
    trial("condvar", |mut random| {
        let shared = Arc::new((Mutex::new(0_u32), Condvar::new()));
        let waiters: Vec<_> = (1..=5)
            .map(|goal| {
                let shared = shared.clone();
                spawn(move || {
                    let (count, changed) = &*shared;
                    let count = count.lock().unwrap();
                    drop(changed.wait_while(count, |count| *count < goal).unwrap());
                })
            })
            .collect();
        for _ in 0..5 {
            pause(&mut random);
            *shared.0.lock().unwrap() += 1;
            shared.1.notify_all();
        }
        waiters
            .into_iter()
            .for_each(|waiter| waiter.join().unwrap());
        // One signal, one waiter: those who time out take none with them.
        let (gate, opened) = &*shared;
        scope(|scope| {
            let waits = || {
                let guard = gate.lock().unwrap();
                let (mut guard, told) = opened
                    .wait_timeout_while(guard, 60_000 * MS, |count| *count < 6)
                    .unwrap();
                assert!(!told.timed_out());
                *guard -= 1;
                drop(guard);
            };
            for _ in 0..3 {
                scope.spawn(waits);
            }
            for _ in 0..3 {
                pause(&mut random);
                *gate.lock().unwrap() += 1;
                opened.notify_one();
                while *gate.lock().unwrap() > 5 {
                    opened.notify_one();
                    sleep(MS);
                }
            }
        });
    });
}

#[test]
fn permits_come_back_from_the_killed() {
    trial("semaphore", |random| {
        let permits = Arc::new(Semaphore::new(2));
        let inside = Arc::new(AtomicUsize::new(0));
        let crew = (0..6).map(|number| {
            let (permits, inside) = (permits.clone(), inside.clone());
            let mut random = Random::of(random.clone().below(u64::MAX), number);
            spawn(move || {
                struct Leaves(Arc<AtomicUsize>);
                impl Drop for Leaves {
                    fn drop(&mut self) {
                        self.0.fetch_sub(1, SeqCst);
                    }
                }
                for _ in 0..3 {
                    let _permit = permits.permit();
                    assert!(inside.fetch_add(1, SeqCst) < 2);
                    let _leaves = Leaves(inside.clone());
                    pause(&mut random);
                }
            })
        });
        disturb(random.clone(), crew.collect());
        assert!(permits.try_acquire() && permits.try_acquire() && !permits.try_acquire());
    });
}

#[test]
fn all_meet_at_the_barrier_and_one_leads() {
    trial("barrier, once", |random| {
        let barrier = Arc::new(Barrier::new(4));
        let once = Arc::new((Once::new(), OnceLock::new(), AtomicUsize::new(0)));
        let crew: Vec<_> = (0..4)
            .map(|number| {
                let (barrier, once) = (barrier.clone(), once.clone());
                let mut random = Random::of(random.clone().below(u64::MAX), number);
                spawn(move || {
                    let mut led = 0;
                    for _ in 0..3 {
                        pause(&mut random);
                        led += usize::from(barrier.wait().is_leader());
                    }
                    once.0.call_once(|| {
                        pause(&mut random);
                        once.2.fetch_add(1, SeqCst);
                    });
                    assert_eq!(once.2.load(SeqCst), 1);
                    let first = *once.1.get_or_init(|| {
                        pause(&mut random);
                        number
                    });
                    assert_eq!(once.1.get(), Some(&first));
                    led
                })
            })
            .collect();
        let led: usize = crew.into_iter().map(|member| member.join().unwrap()).sum();
        assert_eq!(led, 3);
    });
}

#[test]
fn no_wake_up_of_a_parked_thread_is_lost() {
    trial("park", |mut random| {
        let told = Arc::new(AtomicUsize::new(0));
        let heard = told.clone();
        let parked = spawn(move || {
            for n in 1..=20 {
                while heard.load(SeqCst) < n {
                    if n % 2 == 0 {
                        park();
                    } else {
                        let before = Instant::now();
                        park_timeout(3_600_000 * MS);
                        assert!(before.elapsed() < 3_600_000 * MS, "the token was lost");
                    }
                }
            }
        });
        while !parked.is_finished() {
            told.fetch_add(1, SeqCst);
            parked.thread().unpark();
            pause(&mut random);
        }
        parked.join().unwrap();
    });
}

#[test]
fn queues_pools_and_events_serve_everybody() {
    trial("toolkit", |mut random| {
        let queue = Arc::new(Queue::bounded(2));
        let done = Arc::new(AtomicUsize::new(0));
        let pool = GreenPool::new(3);
        let ready: Arc<Event<u32>> = Arc::new(Event::new());
        for _ in 0..3 {
            let (queue, done, ready) = (queue.clone(), done.clone(), ready.clone());
            pool.spawn(move || {
                assert_eq!(ready.wait(), Ok(7));
                while let Some(n) = queue.get() {
                    done.fetch_add(n, SeqCst);
                }
            });
        }
        pause(&mut random);
        ready.send(7).unwrap();
        for n in 0..10_usize {
            pause(&mut random);
            queue.put(Some(n));
        }
        (0..3).for_each(|_| queue.put(None));
        pool.waitall();
        assert_eq!(done.load(SeqCst), 45);
    });
}

#[test]
fn a_limit_is_reported_by_the_block_that_set_it() {
    trial("timeouts", |mut random| {
        let mut limit = || Duration::from_micros(1 + random.below(2_000));
        let (outer, inner, nap) = (limit(), limit(), limit());
        let began = Instant::now();
        let over = Arc::new(AtomicBool::new(false));
        let result = timeout(outer, || {
            let result = timeout(inner, || sleep(nap));
            over.store(true, SeqCst);
            result
        });
        let took = began.elapsed();
        match result {
            Ok(Ok(())) => assert!(took >= nap),
            Ok(Err(_)) => assert!(took >= inner && inner <= nap),
            Err(_) => assert!(took >= outer && !over.load(SeqCst)),
        }
    });
}
