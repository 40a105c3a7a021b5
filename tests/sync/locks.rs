//! `green::sync`'s locks, between green threads and OS threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use green::sync::{Barrier, Condvar, Mutex, Once, OnceLock, PoisonError, RwLock, RwLockWriteGuard};
use greenhub::green_thread;
use test_support::random::Random;
use test_support::sync::{bounded, green, on_hub, settle};

#[test]
fn a_green_thread_waits_for_a_lock_and_its_hub_goes_on() {
    green("a green thread waits for", || {
        let mutex = Arc::new(Mutex::new(0));
        let guard = mutex.lock().unwrap();
        let waiter = {
            let mutex = Arc::clone(&mutex);
            on_hub(move || *mutex.lock().unwrap())
        };
        let neighbour = on_hub(|| {
            for _ in 0..5 {
                green_thread::sleep(Duration::from_millis(1));
            }
        });
        neighbour.join().unwrap();
        assert!(!waiter.is_finished());
        let mut guard = guard;
        *guard = 7;
        drop(guard);
        assert_eq!(waiter.join().unwrap(), 7);
    });
}

#[test]
fn a_killed_waiter_leaves_the_lock_to_the_next() {
    green("a killed waiter leaves", || {
        let mutex = Arc::new(Mutex::new(()));
        let guard = mutex.lock().unwrap();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let mutex = Arc::clone(&mutex);
                on_hub(move || drop(mutex.lock().unwrap()))
            })
            .collect();
        settle();
        // The first is woken and comes too late; then it is killed.
        drop(guard);
        let guard = mutex.lock().unwrap();
        let [first, second, third] = waiters.try_into().ok().unwrap();
        first.kill().unwrap();
        assert!(first.join().is_err());
        // The second is killed while it waits.
        second.kill().unwrap();
        assert!(second.join().is_err());
        drop(guard);
        third.join().unwrap();
        assert!(!mutex.is_poisoned(), "none of them held it");
        drop(mutex.try_lock().unwrap());
    });
}

#[test]
fn a_killed_holder_poisons_its_lock() {
    green("killed holder", || {
        let mutex = Arc::new(Mutex::new(()));
        let holder = {
            let mutex = Arc::clone(&mutex);
            on_hub(move || {
                let _guard = mutex.lock().unwrap();
                green_thread::park();
            })
        };
        settle();
        holder.kill().unwrap();
        assert!(holder.join().is_err());
        assert!(mutex.lock().is_err());
    });
}

#[test]
fn a_neighbour_that_unwinds_does_not_poison_my_lock() {
    struct YieldOnDrop;
    impl Drop for YieldOnDrop {
        fn drop(&mut self) {
            settle();
        }
    }
    green("a neighbour that unwinds", || {
        let mine = Arc::new(Mutex::new(()));
        let unwinds = on_hub(|| {
            let _yields = YieldOnDrop;
            panic!("planned");
        });
        let guard = mine.lock().unwrap();
        green_thread::yield_now();
        assert!(!unwinds.is_finished(), "it is parked in its drop");
        drop(guard);
        assert!(!mine.is_poisoned());
        // Nor does it hide a panic of my own.
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _guard = mine.lock().unwrap();
            panic!("planned");
        }));
        assert!(panicked.is_err() && mine.is_poisoned());
        assert!(unwinds.join().is_err());
    });
}

#[test]
fn a_condition_variable_works_between_green_and_os_threads() {
    bounded("a condition variable", || {
        let shared = Arc::new((Mutex::new(0_u32), Condvar::new()));
        let step = |shared: Arc<(Mutex<u32>, Condvar)>, parity| {
            move || {
                for _ in 0..500 {
                    let turn = shared.0.lock().unwrap();
                    let mut turn = shared
                        .1
                        .wait_while(turn, |turn| *turn % 2 != parity)
                        .unwrap();
                    *turn += 1;
                    shared.1.notify_one();
                }
            }
        };
        let green = on_hub(step(Arc::clone(&shared), 0));
        let os = thread::spawn(step(Arc::clone(&shared), 1));
        green.join().unwrap();
        os.join().unwrap();
        assert_eq!(*shared.0.lock().unwrap(), 1000);
    });
}

#[test]
fn condvar_waiters_wake_in_the_order_in_which_they_came() {
    green("condvar order", || {
        let shared = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let waiters: Vec<_> = (0..4)
            .map(|number| {
                let shared = Arc::clone(&shared);
                on_hub(move || {
                    let guard = shared.0.lock().unwrap();
                    shared.1.wait(guard).unwrap().push(number);
                })
            })
            .collect();
        settle();
        for _ in 0..4 {
            shared.1.notify_one();
        }
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(*shared.0.lock().unwrap(), [0, 1, 2, 3]);
    });
}

#[test]
fn a_notification_outlives_the_waiter_that_was_killed() {
    green("a notification outlives", || {
        let shared = Arc::new((Mutex::new(()), Condvar::new()));
        let wait = || {
            let shared = Arc::clone(&shared);
            on_hub(move || drop(shared.1.wait(shared.0.lock().unwrap()).unwrap()))
        };
        let (first, second) = (wait(), wait());
        settle();
        let guard = shared.0.lock().unwrap();
        shared.1.notify_one();
        // It is notified, but has no mutex yet.
        settle();
        first.kill().unwrap();
        assert!(first.join().is_err());
        drop(guard);
        second.join().unwrap();
    });
}

#[test]
fn a_notification_is_not_spent_on_a_waiter_that_timed_out() {
    green("a notification is not", || {
        let shared = Arc::new((Mutex::new(()), Condvar::new()));
        let other = Arc::clone(&shared);
        let early = on_hub(move || {
            let guard = other.0.lock().unwrap();
            let limit = Duration::from_millis(5);
            other.1.wait_timeout(guard, limit).unwrap().1.timed_out()
        });
        let other = Arc::clone(&shared);
        let late = on_hub(move || drop(other.1.wait(other.0.lock().unwrap()).unwrap()));
        assert!(early.join().unwrap());
        shared.1.notify_one();
        late.join().unwrap();
    });
}

#[test]
fn a_wait_with_a_limit_ends_not_before_it_and_the_block_limit_counts_too() {
    green("a wait with a limit ends", || {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        let (start, limit) = (Instant::now(), Duration::from_millis(20));
        let (guard, result) = condvar.wait_timeout(mutex.lock().unwrap(), limit).unwrap();
        assert!(result.timed_out() && start.elapsed() >= limit);
        drop(guard);
        let elapsed = greenhub::timeout(limit, || {
            drop(condvar.wait(mutex.lock().unwrap()).unwrap());
        });
        assert!(elapsed.is_err());
        assert!(!mutex.is_poisoned(), "a waiter does not hold the mutex");
        let guard = mutex.lock().unwrap();
        let elapsed = greenhub::timeout(limit, || drop(mutex.lock().unwrap()));
        assert!(elapsed.is_err());
        drop(guard);
        drop(mutex.try_lock().unwrap());
    });
}

#[test]
fn a_writer_is_not_starved_by_readers_that_overlap() {
    green("writer", || {
        let lock = Arc::new(RwLock::new(false));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let lock = Arc::clone(&lock);
                on_hub(move || {
                    loop {
                        let written = lock.read().unwrap();
                        if *written {
                            return;
                        }
                        // Still held while the others take it.
                        green_thread::sleep(Duration::from_millis(1));
                    }
                })
            })
            .collect();
        green_thread::sleep(Duration::from_millis(3));
        *lock.write().unwrap() = true;
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn readers_are_not_starved_by_writers() {
    green("readers", || {
        let lock = Arc::new(RwLock::new(0_u32));
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let (lock, stop) = (Arc::clone(&lock), Arc::clone(&stop));
                on_hub(move || {
                    while !stop.load(SeqCst) {
                        *lock.write().unwrap() += 1;
                        let _held = lock.write().unwrap();
                        green_thread::yield_now();
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            green_thread::yield_now();
            drop(lock.read().unwrap());
        }
        stop.store(true, SeqCst);
        for writer in writers {
            writer.join().unwrap();
        }
    });
}

#[test]
fn a_killed_writer_lets_the_readers_behind_it_in() {
    green("a killed writer lets the", || {
        let lock = Arc::new(RwLock::new(()));
        let held = lock.read().unwrap();
        let writer = {
            let lock = Arc::clone(&lock);
            on_hub(move || drop(lock.write().unwrap()))
        };
        settle();
        let reader = {
            let lock = Arc::clone(&lock);
            on_hub(move || drop(lock.read().unwrap()))
        };
        settle();
        assert!(!reader.is_finished(), "it queues behind the writer");
        writer.kill().unwrap();
        reader.join().unwrap();
        drop(held);
        drop(lock.try_write().unwrap());
        assert!(writer.join().is_err());
    });
}

#[test]
fn downgrading_lets_readers_in_and_writers_not() {
    green("downgrade", || {
        let lock = Arc::new(RwLock::new(0));
        let mut guard = lock.write().unwrap();
        let reader = {
            let lock = Arc::clone(&lock);
            on_hub(move || *lock.read().unwrap())
        };
        let writer = {
            let lock = Arc::clone(&lock);
            on_hub(move || *lock.write().unwrap() = 2)
        };
        settle();
        *guard = 1;
        let guard = RwLockWriteGuard::downgrade(guard);
        assert_eq!(reader.join().unwrap(), 1);
        settle();
        assert_eq!(*guard, 1);
        drop(guard);
        writer.join().unwrap();
        assert_eq!(*lock.read().unwrap(), 2);
    });
}

#[test]
fn an_initialiser_may_park() {
    green("once", || {
        static ONCE: Once = Once::new();
        static CELL: OnceLock<u32> = OnceLock::new();
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let threads: Vec<_> = (0..4)
            .map(|number| {
                on_hub(move || {
                    ONCE.call_once(|| {
                        green_thread::sleep(Duration::from_millis(5));
                        RUNS.fetch_add(1, SeqCst);
                    });
                    assert_eq!(RUNS.load(SeqCst), 1);
                    *CELL.get_or_init(|| {
                        green_thread::sleep(Duration::from_millis(5));
                        number
                    })
                })
            })
            .collect();
        let value = *CELL.wait();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), value);
        }
    });
}

#[test]
fn a_killed_initialiser_leaves_the_cell_to_the_next() {
    green("killed initialiser", || {
        let cell = Arc::new(OnceLock::new());
        let first = {
            let cell = Arc::clone(&cell);
            on_hub(move || {
                cell.get_or_init(|| {
                    green_thread::park();
                    1
                });
            })
        };
        settle();
        let second = {
            let cell = Arc::clone(&cell);
            on_hub(move || *cell.get_or_init(|| 2))
        };
        settle();
        first.kill().unwrap();
        assert_eq!(second.join().unwrap(), 2);
        assert!(first.join().is_err());
    });
}

#[test]
fn a_barrier_joins_green_and_os_threads_and_forgets_the_killed() {
    bounded("barrier", || {
        let barrier = Arc::new(Barrier::new(4));
        let leaders = Arc::new(AtomicUsize::new(0));
        let come = || {
            let (barrier, leaders) = (Arc::clone(&barrier), Arc::clone(&leaders));
            move || {
                for _ in 0..50 {
                    leaders.fetch_add(barrier.wait().is_leader().into(), SeqCst);
                }
            }
        };
        let green = [on_hub(come()), on_hub(come())];
        let os = [thread::spawn(come()), thread::spawn(come())];
        for thread in green {
            thread.join().unwrap();
        }
        for thread in os {
            thread.join().unwrap();
        }
        assert_eq!(leaders.load(SeqCst), 50);
    });
    green("barrier, killed", || {
        let barrier = Arc::new(Barrier::new(2));
        let wait = || {
            let barrier = Arc::clone(&barrier);
            on_hub(move || barrier.wait().is_leader())
        };
        let first = wait();
        settle();
        first.kill().unwrap();
        assert!(first.join().is_err());
        let second = wait();
        settle();
        assert!(!second.is_finished(), "the killed one does not count");
        let leads = barrier.wait().is_leader();
        assert_ne!(leads, second.join().unwrap());
    });
}

/// Green threads of all hubs and OS threads on one mutex, one read-write lock and one condition
/// variable, while some are killed. Nobody is lost and nothing is left locked.
#[test]
fn no_lock_stays_taken_when_those_who_wait_for_it_are_killed() {
    for seed in [1, 77, 4242] {
        bounded("stress", move || stress(seed));
    }
}

struct Shared {
    tokens: Mutex<u32>,
    given: Condvar,
    table: RwLock<[u64; 2]>,
    alone: AtomicBool,
}

fn stress(seed: u64) {
    let shared = Arc::new(Shared {
        tokens: Mutex::new(0),
        given: Condvar::new(),
        table: RwLock::new([0; 2]),
        alone: AtomicBool::new(false),
    });
    let work = |number: u64| {
        let shared = Arc::clone(&shared);
        move || worker(&shared, Random::of(seed, number))
    };
    let greens: Vec<_> = (0..12)
        .map(|number| green_thread::spawn(work(number)))
        .collect();
    let os: Vec<_> = (12..15).map(|number| thread::spawn(work(number))).collect();
    let mut random = Random::of(seed, 99);
    for victim in greens.iter().step_by(3) {
        green_thread::sleep(Duration::from_micros(random.below(800)));
        victim.kill().unwrap();
    }
    for (number, thread) in greens.into_iter().enumerate() {
        let ended = thread.join();
        assert!(
            ended.is_ok() || number % 3 == 0,
            "thread {number}: not killed"
        );
    }
    for thread in os {
        thread.join().unwrap();
    }
    drop(
        shared
            .tokens
            .try_lock()
            .unwrap_or_else(|_| panic!("left locked or poisoned")),
    );
    let table = shared
        .table
        .try_write()
        .unwrap_or_else(|_| panic!("left locked"));
    assert_eq!(table[0], table[1]);
}

fn worker(shared: &Shared, mut random: Random) {
    for _ in 0..300 {
        match random.below(4) {
            0 => {
                let mut tokens = shared.tokens.lock().unwrap();
                assert!(!shared.alone.swap(true, SeqCst), "two owners");
                *tokens += 1;
                shared.alone.store(false, SeqCst);
                drop(tokens);
                shared.given.notify_one();
            }
            1 => {
                let tokens = shared.tokens.lock().unwrap();
                let limit = Duration::from_micros(random.below(300));
                let (mut tokens, result) = shared
                    .given
                    .wait_timeout_while(tokens, limit, |tokens| *tokens == 0)
                    .unwrap();
                if !result.timed_out() {
                    *tokens -= 1;
                }
            }
            2 => {
                let table = shared.table.read().unwrap_or_else(PoisonError::into_inner);
                assert_eq!(table[0], table[1]);
                if random.below(8) == 0 {
                    green_thread::yield_now();
                    assert_eq!(table[0], table[1]);
                }
            }
            _ => {
                let mut table = shared.table.write().unwrap_or_else(PoisonError::into_inner);
                table[0] += 1;
                table[1] += 1;
                if random.below(2) == 0 {
                    let table = RwLockWriteGuard::downgrade(table);
                    assert_eq!(table[0], table[1]);
                }
            }
        }
        if random.below(16) == 0 {
            green_thread::yield_now();
        }
    }
}
