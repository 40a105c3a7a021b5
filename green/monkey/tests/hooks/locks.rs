//! Locks, channels, parking and joining: std's, those of crates, C's. Held over waits by
//! neighbours of one hub.
#![expect(unsafe_code, reason = "C's functions")]

use std::cell::RefCell;
use std::mem::zeroed;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, Once, RwLock, mpsc};
use std::thread as os;
use std::time::{Duration, Instant};

use green::thread::{self, Builder, spawn_local};

use crate::symbols::Shared;
use crate::{SOON, green, parks};

/// Runs `body` on ten green threads of each hub and on two OS threads.
fn by_many(body: impl Fn() + Send + Sync + 'static) {
    let body = Arc::new(body);
    let green: Vec<_> = (0..20)
        .map(|n| {
            let body = body.clone();
            Builder::new().hub(n % 2).spawn(move || body()).unwrap()
        })
        .collect();
    let os: Vec<_> = (0..2)
        .map(|_| {
            let body = body.clone();
            os::spawn(move || body())
        })
        .collect();
    green.into_iter().for_each(|thread| thread.join().unwrap());
    os.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_lock_of_stds_is_held_over_waits() {
    green("std's locks", || {
        let (mutex, lock) = (Mutex::new(0), RwLock::new(0));
        let barrier = Barrier::new(22);
        by_many(move || {
            barrier.wait();
            for _ in 0..20 {
                let mut value = mutex.lock().unwrap();
                let seen = *value;
                os::sleep(Duration::from_micros(10));
                *value = seen + 1;
                drop(value);
                let seen = *lock.read().unwrap();
                os::yield_now();
                let mut value = lock.write().unwrap();
                assert!(*value >= seen);
                *value += 1;
            }
            barrier.wait();
            assert_eq!((*mutex.lock().unwrap(), *lock.read().unwrap()), (440, 440));
        });
    });
}

#[test]
fn a_condition_and_a_first_use_of_stds() {
    green("std's condition", || {
        let state = Arc::new((Mutex::new(false), Condvar::new()));
        let set = state.clone();
        parks(
            || {
                let ready = state.0.lock().unwrap();
                drop(state.1.wait_while(ready, |ready| !*ready).unwrap());
            },
            move || {
                *set.0.lock().unwrap() = true;
                set.1.notify_one();
            },
        );
        let begun = Instant::now();
        let guard = state.0.lock().unwrap();
        assert!(state.1.wait_timeout(guard, SOON).unwrap().1.timed_out());
        assert!(begun.elapsed() >= SOON);
        static ONCE: Once = Once::new();
        static DONE: AtomicBool = AtomicBool::new(false);
        by_many(|| {
            ONCE.call_once(|| {
                os::sleep(SOON);
                DONE.store(true, Ordering::Relaxed);
            });
            assert!(DONE.load(Ordering::Relaxed));
        });
    });
}

#[test]
fn channels_of_stds_and_crossbeams_work_within_a_hub() {
    green("channels", || {
        let (sender, receiver) = mpsc::channel();
        assert_eq!(
            parks(|| receiver.recv().unwrap(), move || sender.send(7).unwrap()),
            7
        );
        let (sender, receiver) = mpsc::sync_channel(0);
        assert_eq!(
            parks(|| receiver.recv().unwrap(), move || sender.send(7).unwrap()),
            7
        );
        let (sender, receiver) = mpsc::sync_channel(1);
        sender.send(1).unwrap();
        parks(
            || sender.send(2).unwrap(),
            move || assert_eq!(receiver.iter().take(2).count(), 2),
        );
        let (sender, receiver) = crossbeam_channel::bounded(0);
        assert_eq!(
            parks(|| receiver.recv().unwrap(), move || sender.send(7).unwrap()),
            7
        );
        let (_sender, receiver) = mpsc::channel::<()>();
        assert!(receiver.recv_timeout(SOON).is_err());
        // From an OS thread.
        let (sender, receiver) = mpsc::channel();
        let other = os::spawn(move || {
            os::sleep(SOON);
            sender.send(7).unwrap();
        });
        assert_eq!(receiver.recv().unwrap(), 7);
        other.join().unwrap();
    });
}

#[test]
fn stds_park_is_a_green_threads_own() {
    green("park", || {
        let me = os::current();
        parks(os::park, move || me.unpark());
        let ids = [(); 2].map(|()| spawn_local(|| os::current().id()).join().unwrap());
        assert_ne!(ids[0], ids[1]);
        os::park_timeout(SOON);
    });
}

#[test]
fn threads_of_the_system_are_joined() {
    green("joins", || {
        let (sender, receiver) = mpsc::channel::<()>();
        let other = os::spawn(move || receiver.recv().is_err());
        assert!(parks(|| other.join().unwrap(), move || drop(sender)));
        let mut sum = 0;
        os::scope(|scope| {
            scope.spawn(|| {
                os::sleep(SOON);
                sum = 7;
            });
        });
        assert_eq!(sum, 7);
    });
}

#[test]
fn parking_lots_locks_are_held_over_waits() {
    green("parking_lot", || {
        let mutex = parking_lot::Mutex::new(0);
        let state = (parking_lot::Mutex::new(0), parking_lot::Condvar::new());
        by_many(move || {
            for _ in 0..20 {
                let mut value = mutex.lock();
                let seen = *value;
                os::sleep(Duration::from_micros(10));
                *value = seen + 1;
            }
            let mut count = state.0.lock();
            *count += 1;
            state.1.notify_all();
            while *count < 22 {
                state.1.wait(&mut count);
            }
            assert_eq!(*mutex.lock(), 440);
        });
    });
}

#[test]
fn tokio_runs_inside_green_threads_of_one_hub() {
    green("tokio", || {
        let runs: Vec<_> = (0..3)
            .map(|n| {
                spawn_local(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_time()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        tokio::time::sleep(SOON).await;
                        n
                    })
                })
            })
            .collect();
        let sum: i32 = runs.into_iter().map(|run| run.join().unwrap()).sum();
        assert_eq!(sum, 3);
    });
}

#[test]
fn what_a_thread_keeps_for_itself_is_kept_over_a_wait() {
    thread_local! {
        static BORROWED: RefCell<u32> = const { RefCell::new(0) };
    }
    green("thread-locals", || {
        let all: Vec<_> = (0..5)
            .map(|_| {
                spawn_local(|| {
                    BORROWED.with_borrow_mut(|value| {
                        os::sleep(SOON);
                        *value += 1;
                        *value
                    })
                })
            })
            .collect();
        assert!(all.into_iter().all(|thread| thread.join().unwrap() == 1));
    });
}

#[test]
fn cs_locks_are_held_over_waits() {
    green("C's locks", || {
        let mutex = Shared::<libc::pthread_mutex_t>::new();
        let lock = Shared::<libc::pthread_rwlock_t>::new();
        let value = Shared::<[u32; 2]>::new();
        let seen = value.clone();
        // SAFETY: initialised by zeros, used as they are meant.
        by_many(move || unsafe {
            let value = value.get();
            for _ in 0..20 {
                assert_eq!(libc::pthread_mutex_lock(mutex.get()), 0);
                let before = (*value)[0];
                os::sleep(Duration::from_micros(10));
                (*value)[0] = before + 1;
                assert_eq!(libc::pthread_mutex_unlock(mutex.get()), 0);
                assert_eq!(libc::pthread_rwlock_rdlock(lock.get()), 0);
                os::yield_now();
                assert_eq!(libc::pthread_rwlock_unlock(lock.get()), 0);
                assert_eq!(libc::pthread_rwlock_wrlock(lock.get()), 0);
                let before = (*value)[1];
                os::yield_now();
                (*value)[1] = before + 1;
                assert_eq!(libc::pthread_rwlock_unlock(lock.get()), 0);
            }
        });
        // SAFETY: all have ended.
        assert_eq!(unsafe { *seen.get() }, [440, 440]);
    });
}

#[test]
fn a_lock_of_cs_that_is_held_too_long_times_out() {
    green("C's limits", || {
        let mutex = Shared::<libc::pthread_mutex_t>::new();
        // SAFETY: initialised by zeros, used as they are meant; a time that lives across the call.
        unsafe {
            assert_eq!(libc::pthread_mutex_lock(mutex.get()), 0);
            let other = mutex.clone();
            let waiter = spawn_local(move || {
                let mut at: libc::timespec = zeroed();
                libc::clock_gettime(libc::CLOCK_REALTIME, &mut at);
                at.tv_sec += 1;
                at.tv_nsec = 0;
                libc::pthread_mutex_timedlock(other.get(), &at)
            });
            assert_eq!(waiter.join().unwrap(), libc::ETIMEDOUT);
            libc::pthread_mutex_unlock(mutex.get());
        }
    });
}

#[test]
fn cs_conditions_and_semaphores_park() {
    green("C's conditions", || {
        let mutex = Shared::<libc::pthread_mutex_t>::new();
        let condition = Shared::<libc::pthread_cond_t>::new();
        let ready = Arc::new(AtomicBool::new(false));
        let semaphore = Shared::<libc::sem_t>::new();
        // SAFETY: initialised, used as they are meant.
        unsafe {
            let (lock, wake, set) = (mutex.clone(), condition.clone(), ready.clone());
            parks(
                || {
                    libc::pthread_mutex_lock(mutex.get());
                    while !ready.load(Ordering::Relaxed) {
                        assert_eq!(libc::pthread_cond_wait(condition.get(), mutex.get()), 0);
                    }
                    libc::pthread_mutex_unlock(mutex.get());
                },
                move || {
                    libc::pthread_mutex_lock(lock.get());
                    set.store(true, Ordering::Relaxed);
                    libc::pthread_cond_signal(wake.get());
                    libc::pthread_mutex_unlock(lock.get());
                },
            );
            for clock in [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC] {
                let mut attributes = zeroed();
                libc::pthread_condattr_init(&mut attributes);
                libc::pthread_condattr_setclock(&mut attributes, clock);
                let mut timed: libc::pthread_cond_t = zeroed();
                libc::pthread_cond_init(&mut timed, &attributes);
                let mut at: libc::timespec = zeroed();
                let begun = Instant::now();
                libc::clock_gettime(clock, &mut at);
                at.tv_sec += 1;
                libc::pthread_mutex_lock(mutex.get());
                let given = libc::pthread_cond_timedwait(&mut timed, mutex.get(), &at);
                assert_eq!(given, libc::ETIMEDOUT);
                let took = begun.elapsed();
                assert!(
                    took >= Duration::from_millis(900) && took < Duration::from_secs(20),
                    "{took:?}"
                );
                libc::pthread_mutex_unlock(mutex.get());
            }
            libc::sem_init(semaphore.get(), 0, 0);
            let post = semaphore.clone();
            let taken = parks(
                || libc::sem_wait(semaphore.get()),
                move || assert_eq!(libc::sem_post(post.get()), 0),
            );
            assert_eq!(taken, 0);
        }
    });
}

#[test]
fn everybody_hears_a_broadcast() {
    green("broadcast", || {
        let mutex = Shared::<libc::pthread_mutex_t>::new();
        let condition = Shared::<libc::pthread_cond_t>::new();
        let count = Shared::<u32>::new();
        // SAFETY: initialised by zeros, used as they are meant.
        by_many(move || unsafe {
            libc::pthread_mutex_lock(mutex.get());
            *count.get() += 1;
            libc::pthread_cond_broadcast(condition.get());
            while *count.get() < 22 {
                libc::pthread_cond_wait(condition.get(), mutex.get());
            }
            libc::pthread_mutex_unlock(mutex.get());
        });
        thread::yield_now();
    });
}
