use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use super::{BYPASSED, Contender, HEAD_START_US, LOCKED, Lock, Standing, WAITING, WOKEN, now_us};

#[test]
fn costs_one_word_change_each_way_when_free() {
    let lock = Lock::new();
    lock.lock();
    assert_eq!(lock.state.load(Relaxed), LOCKED);
    assert!(!lock.try_lock());
    lock.unlock();
    assert_eq!(lock.state.load(Relaxed), 0);
}

#[test]
fn a_waiter_that_came_too_late_asks_for_the_lock_to_be_handed_over() {
    let lock = Lock::new();
    lock.lock();
    lock.state.fetch_or(WOKEN, Relaxed);
    let mut contender = Contender {
        lock: &lock,
        standing: Standing::Woken,
    };
    assert!(!contender.try_take());
    assert!(contender.queue());
    assert_eq!(lock.state.load(Relaxed), LOCKED | WAITING | BYPASSED);
    drop(contender);
    lock.unlock();
    assert_eq!(lock.state.load(Relaxed), 0);
}

#[test]
fn a_waiter_killed_on_its_way_leaves_the_wake_up_to_the_next() {
    let lock = Arc::new(Lock::new());
    lock.lock();
    let next = {
        let lock = Arc::clone(&lock);
        thread::spawn(move || {
            lock.lock();
            lock.unlock();
        })
    };
    wait_for(&lock, WAITING);
    // As if a first waiter had been woken, and the lock left, before it dies.
    lock.state.fetch_or(WOKEN, Relaxed);
    lock.woken_at_us.store(now_us(), Relaxed);
    lock.unlock();
    assert!(!next.is_finished());
    drop(Contender {
        lock: &lock,
        standing: Standing::Woken,
    });
    next.join().unwrap();
    assert_eq!(lock.state.load(Relaxed), 0);
}

#[test]
fn a_waiter_long_on_its_way_has_the_lock_handed_over() {
    let lock = Lock::new();
    lock.lock();
    lock.state.fetch_or(WOKEN, Relaxed);
    let mut contender = Contender {
        lock: &lock,
        standing: Standing::Woken,
    };
    lock.woken_at_us.store(now_us(), Relaxed);
    assert!(!contender.try_take());
    lock.woken_at_us
        .store(now_us().wrapping_sub(HEAD_START_US), Relaxed);
    lock.unlock();
    assert_eq!(lock.state.load(Relaxed), LOCKED);
    assert!(!lock.try_lock() && !contender.queue() && contender.try_take());
    drop(contender);
    lock.unlock();
    assert_eq!(lock.state.load(Relaxed), 0);
}

#[test]
fn a_waiter_killed_on_its_way_leaves_a_lock_that_was_handed_over() {
    let lock = Lock::new();
    lock.lock();
    // Handed over to it: `WOKEN` is clear although it is on its way.
    drop(Contender {
        lock: &lock,
        standing: Standing::Woken,
    });
    assert_eq!(lock.state.load(Relaxed), 0);
}

#[test]
fn stays_exclusive_under_any_order_of_events() {
    let lock = Arc::new(Lock::new());
    let inside = Arc::new(AtomicBool::new(false));
    let rounds = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..6_u32)
        .map(|seed| {
            let (lock, inside, rounds) =
                (Arc::clone(&lock), Arc::clone(&inside), Arc::clone(&rounds));
            thread::spawn(move || {
                let mut random = seed.wrapping_mul(2_654_435_761) | 1;
                for _ in 0..2_000 {
                    random ^= random << 13;
                    random ^= random >> 17;
                    random ^= random << 5;
                    if random.is_multiple_of(5) {
                        if !lock.try_lock() {
                            continue;
                        }
                    } else {
                        lock.lock();
                    }
                    assert!(!inside.swap(true, Relaxed), "two owners");
                    if random.is_multiple_of(16) {
                        thread::yield_now();
                    }
                    rounds.fetch_add(1, Relaxed);
                    inside.store(false, Relaxed);
                    lock.unlock();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(rounds.load(Relaxed) > 6_000);
    assert_eq!(lock.state.load(Relaxed), 0, "nothing is left behind");
}

fn wait_for(lock: &Lock, bit: u8) {
    let limit = Instant::now() + Duration::from_secs(10);
    while lock.state.load(Relaxed) & bit == 0 {
        assert!(Instant::now() < limit, "no waiter came");
        thread::yield_now();
    }
}
