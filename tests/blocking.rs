//! Blocking calls on the pool's threads.

use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, BarrierWaitResult, mpsc};
use std::time::{Duration, Instant};

use greenhub::green_thread::{Builder, sleep, spawn, spawn_local};
use greenhub::{blocking, run, timeout};

use test_support::child::alone;

const LIMIT: Duration = Duration::from_secs(30);
const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn neighbours_go_on_while_a_native_call_blocks() {
    test_support::bounded("neighbours go on while a", LIMIT, || {
        run(|| {
            let (release, blocked) = mpsc::channel::<()>();
            let call = spawn_local(move || blocking(move || blocked.recv().is_ok()));
            for _ in 0..10 {
                sleep(MILLISECOND);
            }
            assert!(!call.is_finished());
            release.send(()).unwrap();
            assert!(call.join().unwrap());
        });
    });
}

#[test]
fn a_limit_releases_the_waiter_and_the_late_result_is_dropped() {
    test_support::bounded("a limit releases the", LIMIT, || {
        let dropped = Arc::new(AtomicUsize::new(0));
        struct Counts(Arc<AtomicUsize>);
        impl Drop for Counts {
            fn drop(&mut self) {
                self.0.fetch_add(1, SeqCst);
            }
        }
        // On a green thread and on an OS thread alike.
        for green in [true, false] {
            let (release, blocked) = mpsc::channel::<()>();
            let result = Counts(dropped.clone());
            let body = move || {
                let began = Instant::now();
                let ended = timeout(5 * MILLISECOND, || {
                    blocking(move || {
                        let _ = blocked.recv();
                        result
                    })
                });
                assert!(ended.is_err());
                assert!(began.elapsed() >= 5 * MILLISECOND);
            };
            if green {
                run(body)
            } else {
                body()
            }
            let before = dropped.load(SeqCst);
            drop(release);
            while dropped.load(SeqCst) == before {
                sleep(MILLISECOND / 4);
            }
        }
        assert_eq!(dropped.load(SeqCst), 2);
    });
}

#[test]
fn errors_and_panics_come_back_whole_and_nothing_is_left() {
    test_support::bounded("errors and panics come", LIMIT, || {
        run(|| {
            let shared = Arc::new(());
            for _ in 0..100 {
                let theirs = shared.clone();
                let error = blocking(move || {
                    let _theirs = theirs;
                    Err::<(), _>(std::io::Error::from(std::io::ErrorKind::TimedOut))
                });
                assert!(greenhub::is_timeout(&error.unwrap_err()));
                let theirs = shared.clone();
                let panic = catch_unwind(|| {
                    blocking(move || {
                        let _theirs = theirs;
                        resume_unwind(Box::new(7))
                    })
                });
                assert_eq!(panic.unwrap_err().downcast_ref(), Some(&7));
            }
            assert_eq!(Arc::strong_count(&shared), 1);
        });
    });
}

/// Threads of the pool that live.
fn pool_threads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| {
        let name = thread.unwrap().path().join("comm");
        // It may just have ended.
        std::fs::read_to_string(name).ok()
    });
    // The kernel keeps fifteen characters.
    names
        .filter(|name| name.starts_with("green-blocking"))
        .count()
}

/// The pool needs no shutdown: its threads end when they are idle, and start again.
#[test]
fn a_pool_that_ended_for_want_of_work_delivers_what_is_outstanding_and_starts_again() {
    let name = "a_pool_that_ended_for_want_of_work_delivers_what_is_outstanding_and_starts_again";
    alone(name, &[], || {
        run(|| {
            let (release, blocked) = mpsc::channel();
            let outstanding = spawn(move || blocking(move || blocked.recv()));
            // None of the four ends before all of them have begun.
            let four_at_once = || {
                let all = Arc::new(Barrier::new(4));
                let calls = [(); 4].map(|()| {
                    let all = all.clone();
                    spawn(move || blocking(move || all.wait().is_leader()))
                });
                let leaders = calls.map(|call| call.join().unwrap());
                assert_eq!(leaders.iter().filter(|leader| **leader).count(), 1);
            };
            four_at_once();
            while pool_threads() > 1 {
                sleep(100 * MILLISECOND);
            }
            four_at_once();
            release.send(7).unwrap();
            assert_eq!(outstanding.join().unwrap(), Ok(7));
        });
    })
    .well();
}

#[test]
fn more_than_twenty_calls_run_at_once() {
    test_support::bounded("more than twenty calls", LIMIT, || {
        let inside = Arc::new(AtomicUsize::new(0));
        let calls: Vec<_> = (0..40)
            .map(|_| {
                let inside = inside.clone();
                spawn(move || {
                    blocking(move || {
                        inside.fetch_add(1, SeqCst);
                        while inside.load(SeqCst) < 21 {
                            std::thread::yield_now();
                        }
                    })
                })
            })
            .collect();
        calls.into_iter().for_each(|call| call.join().unwrap());
    });
}

#[test]
fn calls_beyond_the_bound_wait_their_turn() {
    alone(
        "calls_beyond_the_bound_wait_their_turn",
        &[("GREEN_BLOCKING_THREADS", "3")],
        || {
            let inside = Arc::new(AtomicUsize::new(0));
            let calls: Vec<_> = (0..30)
                .map(|_| {
                    let inside = inside.clone();
                    spawn(move || {
                        blocking(move || {
                            let now = inside.fetch_add(1, SeqCst) + 1;
                            std::thread::sleep(MILLISECOND);
                            inside.fetch_sub(1, SeqCst);
                            now
                        })
                    })
                })
                .collect();
            let most = calls.into_iter().map(|call| call.join().unwrap()).max();
            assert!(most <= Some(3), "{most:?} at once");
        },
    )
    .well();
}

#[test]
fn ten_slow_calls_of_ten_green_threads_overlap() {
    test_support::bounded("ten slow calls of ten", LIMIT, || {
        run(|| {
            // None of them ends before all of them have begun.
            let all = Arc::new(Barrier::new(10));
            let calls: Vec<_> = (0..10)
                .map(|_| {
                    let all = all.clone();
                    spawn_local(move || blocking(move || all.wait()))
                })
                .collect();
            let leaders = calls
                .into_iter()
                .map(|call| call.join().unwrap())
                .filter(BarrierWaitResult::is_leader);
            assert_eq!(leaders.count(), 1);
        });
    });
}

#[test]
fn a_killed_caller_goes_on_at_once() {
    test_support::bounded("killed", LIMIT, || {
        let (release, blocked) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        let call = Builder::new()
            .spawn(move || {
                blocking(move || {
                    begun.send(()).unwrap();
                    let _ = blocked.recv();
                })
            })
            .unwrap();
        begins.recv().unwrap();
        call.kill().unwrap();
        assert!(call.join().unwrap_err().is::<greenhub::Killed>());
        drop(release);
    });
}

/// A call that begins must be waited for, since its result must not be lost. One that no thread has begun has none.
#[test]
fn what_must_not_be_lost_is_taken_back_while_no_thread_is_free_for_it() {
    let name = "what_must_not_be_lost_is_taken_back_while_no_thread_is_free_for_it";
    alone(name, &[("GREEN_BLOCKING_THREADS", "1")], || {
        test_support::bounded("taken back", LIMIT, || {
            run(|| {
                let (release, blocked) = mpsc::channel::<()>();
                let (begun, begins) = mpsc::channel();
                let busy = spawn(move || {
                    blocking(move || {
                        begun.send(()).unwrap();
                        let _ = blocked.recv();
                    })
                });
                while begins.try_recv().is_err() {
                    sleep(MILLISECOND);
                }
                let began = Arc::new(AtomicUsize::new(0));
                let uncut = |began: Arc<AtomicUsize>| {
                    greenhub::blocking_uncut(move || began.fetch_add(1, SeqCst));
                };
                let limit = 20 * MILLISECOND;
                assert!(timeout(limit, || uncut(began.clone())).is_err());
                let theirs = began.clone();
                let killed = spawn_local(move || uncut(theirs));
                sleep(limit);
                killed.kill().unwrap();
                assert!(killed.join().unwrap_err().is::<greenhub::Killed>());
                let mut command = green::process::Command::new("true");
                assert!(timeout(limit, || command.status()).is_err());
                // What was captured has gone, and none of it runs later.
                assert_eq!(Arc::strong_count(&began), 1);
                drop(release);
                busy.join().unwrap();
                uncut(began.clone());
                assert_eq!(began.load(SeqCst), 1);
                assert!(command.status().unwrap().success());
            })
        });
    });
}
