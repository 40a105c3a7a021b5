//! `green::parking_lot`: that crate's locks between green threads, also when their waiters are killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::parking_lot::{
    Condvar, Mutex, MutexGuard, Once, OnceState, ReentrantMutex, RwLock, RwLockUpgradableReadGuard,
    RwLockWriteGuard,
};
use green::thread::{sleep, spawn, spawn_local, yield_now};

use test_support::random::Random;
use test_support::threads::{MILLISECOND, fail_quietly, green, is_killed, site, until};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_mutex_excludes_green_and_os_threads_from_one_another() {
    green("exclusion", || {
        let total = Arc::new(Mutex::new(0));
        let add = {
            let total = total.clone();
            move || {
                for _ in 0..500 {
                    let mut held = total.lock();
                    let before = *held;
                    yield_now();
                    *held = before + 1;
                }
            }
        };
        let greens: Vec<_> = (0..4).map(|_| spawn(add.clone())).collect();
        let os = std::thread::spawn(add);
        greens.into_iter().for_each(|thread| thread.join().unwrap());
        green::blocking(move || os.join().unwrap());
        assert_eq!(*total.lock(), 2_500);
    });
}

#[test]
fn a_limit_of_a_lock_passes_or_the_lock_is_had() {
    green("timed", || {
        let mutex = Arc::new(Mutex::new(()));
        let held = mutex.lock();
        assert!(mutex.is_locked() && mutex.try_lock().is_none());
        assert!(mutex.try_lock_for(MILLISECOND).is_none());
        assert!(mutex.try_lock_until(Instant::now() + MILLISECOND).is_none());
        let waiter = spawn_local({
            let mutex = mutex.clone();
            move || mutex.try_lock_for(LONG).is_some()
        });
        yield_now();
        drop(held);
        assert!(waiter.join().unwrap());
        assert!(!mutex.is_locked());

        let lock = Arc::new(RwLock::new(()));
        let read = lock.read();
        assert!(lock.try_write_for(MILLISECOND).is_none());
        assert!(
            lock.try_read_for(MILLISECOND).is_some(),
            "a writer that gave up is in nobody's way"
        );
        drop(read);
        let write = lock.write();
        assert!(lock.try_read_for(MILLISECOND).is_none());
        assert!(lock.try_upgradable_read_for(MILLISECOND).is_none());
        drop(write);
        assert!(lock.try_write_until(Instant::now() + LONG).is_some());
    });
}

#[test]
fn a_condition_is_told_to_one_or_to_all_and_says_to_how_many() {
    green("condvar", || {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        assert!(!shared.1.notify_one());
        assert_eq!(shared.1.notify_all(), 0);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let shared = shared.clone();
                spawn_local(move || {
                    let mut count = shared.0.lock();
                    shared.1.wait_while(&mut count, |count| *count == 0);
                    *count += 1;
                })
            })
            .collect();
        yield_now();
        *shared.0.lock() = 1;
        assert!(shared.1.notify_one());
        assert_eq!(shared.1.notify_all(), 2);
        waiters
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        let mut count = shared.0.lock();
        assert_eq!(*count, 4);
        assert!(shared.1.wait_for(&mut count, MILLISECOND).timed_out());
        let soon = Instant::now() + MILLISECOND;
        assert!(
            shared
                .1
                .wait_while_until(&mut count, |_| true, soon)
                .timed_out()
        );
        assert!(
            !shared
                .1
                .wait_while_for(&mut count, |_| false, LONG)
                .timed_out()
        );
    });
}

#[test]
fn who_is_killed_while_it_waits_for_a_condition_has_the_lock_again_as_it_unwinds() {
    green("killed in a condition", || {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let waiter = spawn({
            let shared = shared.clone();
            move || {
                struct Left<'a>(MutexGuard<'a, u32>);
                impl Drop for Left<'_> {
                    fn drop(&mut self) {
                        *self.0 += 1;
                    }
                }
                let mut left = Left(shared.0.lock());
                shared.1.wait(&mut left.0);
            }
        });
        until(|| site(&waiter).is_some());
        let held = shared.0.lock();
        waiter.kill().unwrap();
        // It waits for the lock now, and is not heard of before it has it.
        sleep(5 * MILLISECOND);
        assert!(!waiter.is_finished());
        drop(held);
        assert!(is_killed(waiter.join()));
        assert_eq!(*shared.0.lock(), 1);
    });
}

#[test]
fn a_reader_becomes_the_writer_without_another_in_between() {
    green("upgrade", || {
        let lock = Arc::new(RwLock::new(0));
        let upgradable = lock.upgradable_read();
        assert!(lock.try_upgradable_read().is_none() && lock.try_write().is_none());
        let reader = lock.read();
        let upgradable = RwLockUpgradableReadGuard::try_upgrade(upgradable).unwrap_err();
        let writer = spawn_local({
            let lock = lock.clone();
            move || *lock.write() += 10
        });
        yield_now();
        drop(reader);
        let seen = *upgradable;
        let mut write = RwLockUpgradableReadGuard::upgrade(upgradable);
        assert_eq!(*write, seen, "another wrote in between");
        *write += 1;
        let upgradable = RwLockWriteGuard::downgrade_to_upgradable(write);
        assert!(lock.try_read().is_some());
        drop(RwLockUpgradableReadGuard::downgrade(upgradable));
        writer.join().unwrap();
        assert_eq!(*lock.read(), 11);
        assert!(!lock.is_locked() && !lock.is_locked_exclusive());
    });
}

#[test]
fn a_reader_may_read_again_past_a_writer_that_waits() {
    green("recursive", || {
        let lock = Arc::new(RwLock::new(0));
        let first = lock.read();
        let writer = spawn_local({
            let lock = lock.clone();
            move || *lock.write() += 1
        });
        until(|| site(&writer).is_some());
        assert!(
            lock.try_read().is_none(),
            "a newcomer stands behind the writer"
        );
        drop(lock.read_recursive());
        assert!(lock.try_read_recursive_for(MILLISECOND).is_some());
        drop(first);
        writer.join().unwrap();
    });
}

#[test]
fn the_owner_of_a_reentrant_mutex_takes_it_again_and_a_neighbour_waits() {
    green("reentrant", || {
        let mutex = Arc::new(ReentrantMutex::new(7));
        let (first, second) = (mutex.lock(), mutex.lock());
        let neighbour = spawn_local({
            let mutex = mutex.clone();
            move || *mutex.lock()
        });
        yield_now();
        drop(second);
        yield_now();
        assert!(!neighbour.is_finished());
        drop(first);
        assert_eq!(neighbour.join().unwrap(), 7);
    });
}

#[test]
fn a_part_of_what_is_locked_keeps_the_lock() {
    green("mapped", || {
        let pair = Mutex::new((1, "one"));
        let mut number = MutexGuard::map(pair.lock(), |pair| &mut pair.0);
        *number += 1;
        assert!(pair.try_lock().is_none());
        drop(number);
        assert_eq!(*pair.lock(), (2, "one"));
    });
}

#[test]
fn a_once_tells_how_far_it_is() {
    green("once", || {
        let once = Arc::new(Once::new());
        assert_eq!(once.state(), OnceState::New);
        let failed = spawn_local({
            let once = once.clone();
            move || {
                once.call_once(|| {
                    assert_eq!(once.state(), OnceState::InProgress);
                    fail_quietly("planned")
                });
            }
        });
        assert!(failed.join().is_err());
        assert!(once.state().poisoned());
        once.call_once_force(|state| assert!(state.poisoned()));
        assert!(once.state().done());
    });
}

/// Locks of all kinds, left and taken again in the middle, under kills and limits.
#[test]
fn a_storm_of_kills_leaves_every_lock_free_and_no_waiter_behind() {
    green("storm", || {
        struct Shared {
            mutex: Mutex<u32>,
            changed: Condvar,
            rwlock: RwLock<u32>,
            inside: AtomicU32,
            stop: AtomicBool,
        }
        let seed = test_support::random::seed();
        let mut random = Random::new(seed);
        let shared = Arc::new(Shared {
            mutex: Mutex::new(0),
            changed: Condvar::new(),
            rwlock: RwLock::new(0),
            inside: AtomicU32::new(0),
            stop: AtomicBool::new(false),
        });
        let act = |shared: &Shared, random: &mut Random| match random.below(7) {
            0 => {
                let mut held = shared.mutex.lock();
                assert_eq!(shared.inside.fetch_add(1, SeqCst), 0);
                *held += 1;
                yield_now_or(&shared.inside);
                shared.inside.fetch_sub(1, SeqCst);
            }
            1 => {
                let mut held = shared.mutex.lock();
                MutexGuard::unlocked(&mut held, yield_now);
                *held += 1;
            }
            2 => {
                let mut held = shared.mutex.lock();
                shared.changed.wait_for(&mut held, MILLISECOND / 4);
                *held += 1;
            }
            3 => drop(shared.changed.notify_one()),
            4 => {
                let upgradable = shared.rwlock.upgradable_read();
                let before = *upgradable;
                let mut write = RwLockUpgradableReadGuard::upgrade(upgradable);
                assert_eq!(*write, before);
                *write += 1;
            }
            5 => drop(shared.rwlock.read()),
            _ => {
                if let Some(mut write) = shared.rwlock.try_write_for(MILLISECOND / 10) {
                    yield_now();
                    *write += 1;
                }
            }
        };
        for round in 0..60 {
            let crew: Vec<_> = (0..6)
                .map(|number| {
                    let (shared, mut random) =
                        (shared.clone(), Random::of(seed, round * 6 + number));
                    spawn(move || {
                        while !shared.stop.load(SeqCst) {
                            let limit = MILLISECOND * random.below(3) as u32;
                            let _ = green::timeout(limit, || act(&shared, &mut random));
                            yield_now();
                        }
                    })
                })
                .collect();
            sleep(Duration::from_micros(random.below(3_000)));
            for member in &crew {
                member.kill().unwrap();
            }
            for member in crew {
                assert!(is_killed(member.join()), "seed {seed}");
            }
            assert!(
                !shared.mutex.is_locked() && !shared.rwlock.is_locked(),
                "seed {seed}"
            );
            assert!(shared.rwlock.try_write().is_some(), "seed {seed}");
        }
        assert!(*shared.mutex.lock() > 0);
    });

    /// Lets others run; whoever is interrupted there has left.
    fn yield_now_or(inside: &AtomicU32) {
        struct Leave<'a>(Option<&'a AtomicU32>);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                if let Some(inside) = self.0 {
                    inside.fetch_sub(1, SeqCst);
                }
            }
        }
        let mut leave = Leave(Some(inside));
        yield_now();
        leave.0 = None;
    }
}
