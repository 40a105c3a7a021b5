//! `green::asyncio`: futures, callbacks that run later, the executor and signal handlers.
#![expect(unsafe_code, reason = "a waker whose clone runs code")]

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::{Duration, Instant};

use green::asyncio::{
    Future, FutureError, add_signal_handler, call_at, call_later, call_soon, call_soon_threadsafe,
    remove_signal_handler, run_in_executor,
};
use green::signal::consts::{SIGUSR1, SIGUSR2, SIGWINCH};
use test_support::both::on_both;
use test_support::bounded;

const LIMIT: Duration = Duration::from_secs(60);
/// Longer than any test runs.
const NEVER: Duration = Duration::from_secs(3600);

fn is_cancelled<T>(outcome: Result<T, FutureError>) -> bool {
    matches!(outcome, Err(FutureError::Cancelled))
}

fn is_invalid<T>(outcome: Result<T, FutureError>) -> bool {
    matches!(outcome, Err(FutureError::InvalidState))
}

#[test]
fn a_result_is_there_for_all_who_wait_and_who_ask_later() {
    on_both("result", || {
        let future = Future::new();
        assert!(is_invalid(future.result()) && is_invalid(future.exception()));
        assert!(!future.done());
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let future = future.clone();
                green::thread::spawn(move || future.wait(None).unwrap())
            })
            .collect();
        let os_waiter = {
            let future = future.clone();
            std::thread::spawn(move || future.wait(None).unwrap())
        };
        future.set_result(7).unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), 7);
        }
        assert_eq!(green::blocking(|| os_waiter.join().unwrap()), 7);
        assert!(future.done() && !future.cancelled());
        assert_eq!(future.result().unwrap(), 7);
        assert_eq!(future.get().unwrap(), &7);
        assert!(future.exception().unwrap().is_none());
    });
}

#[test]
fn a_future_is_completed_once() {
    on_both("once", || {
        let future = Future::new();
        future.set_result(1).unwrap();
        assert!(is_invalid(future.set_result(2)));
        assert!(is_invalid(future.set_exception("late")));
        assert!(!future.cancel() && !future.cancelled());
        assert_eq!(future.result().unwrap(), 1);

        let cancelled = Future::new();
        assert!(cancelled.cancel() && cancelled.cancelled() && cancelled.done());
        assert!(is_invalid(cancelled.set_result(1)));
        assert!(is_cancelled(cancelled.wait(None)));
        assert!(is_cancelled(cancelled.exception()));
    });
}

#[test]
fn an_error_reaches_all_waiters_and_keeps_its_type() {
    on_both("error", || {
        let future = Future::<u8>::new();
        let theirs = future.clone();
        let waiter = green::thread::spawn(move || theirs.wait(None));
        future
            .set_exception(io::Error::from(io::ErrorKind::ConnectionReset))
            .unwrap();
        for outcome in [waiter.join().unwrap(), future.result()] {
            let error = io::Error::from(outcome.unwrap_err());
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
        let exception = future.exception().unwrap().unwrap();
        assert!(exception.is::<io::Error>());
    });
}

#[test]
fn a_wait_that_times_out_or_is_killed_takes_nothing() {
    on_both("limits", || {
        let future = Future::new();
        let outcome = future.wait(Some(Duration::from_millis(5)));
        assert!(matches!(outcome, Err(FutureError::TimedOut)));
        let kind = io::Error::from(outcome.unwrap_err()).kind();
        assert_eq!(kind, io::ErrorKind::TimedOut);
        let outer = green::timeout(Duration::from_millis(5), || future.wait(None));
        assert!(outer.is_err());
        let theirs = future.clone();
        let killed = green::thread::spawn(move || theirs.wait(None));
        killed.kill().unwrap();
        assert!(killed.join().is_err());
        assert!(!future.done());
        future.set_result(3).unwrap();
        assert_eq!(future.wait(Some(Duration::ZERO)).unwrap(), 3);
    });
}

#[test]
fn async_code_awaits_a_future_and_each_clone_alone() {
    on_both("await", || {
        let future = Future::new();
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let future = future.clone();
                green::thread::spawn(move || green::block_on(future))
            })
            .collect();
        let os_waiter = {
            let future = future.clone();
            std::thread::spawn(move || green::block_on(async { future.await.map(|n| n + 1) }))
        };
        call_soon({
            let future = future.clone();
            move || future.set_result(7).unwrap()
        });
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().unwrap(), 7);
        }
        assert_eq!(green::blocking(|| os_waiter.join().unwrap()).unwrap(), 8);
        assert_eq!(green::block_on(future).unwrap(), 7, "complete already");

        let cancelled = Future::<u8>::new();
        cancelled.cancel();
        assert!(is_cancelled(green::block_on(cancelled)));
        let size = run_in_executor(|| Ok::<_, FutureError>(3));
        assert_eq!(green::block_on(size).unwrap(), 3);
    });
}

#[test]
fn a_future_keeps_one_waker_for_each_who_awaits_it_and_forgets_who_goes() {
    #[derive(Default)]
    struct Woken(AtomicUsize);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    on_both("wakers", || {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        let future = Future::new();
        let kept = Arc::strong_count(&woken);

        let mut gone = future.clone();
        assert!(Pin::new(&mut gone).poll(&mut context).is_pending());
        assert!(Pin::new(&mut gone).poll(&mut context).is_pending());
        assert_eq!(Arc::strong_count(&woken), kept + 1);
        drop(gone);
        assert_eq!(Arc::strong_count(&woken), kept);

        let mut awaited = future.clone();
        let mut moved = future.clone();
        for handle in [&mut awaited, &mut moved] {
            assert!(Pin::new(handle).poll(&mut context).is_pending());
        }
        // Polled by another task from here on.
        let other = Arc::new(Woken::default());
        let theirs = Waker::from(other.clone());
        let mut elsewhere = Context::from_waker(&theirs);
        assert!(Pin::new(&mut moved).poll(&mut elsewhere).is_pending());
        future.set_result("done").unwrap();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert_eq!(other.0.load(Ordering::SeqCst), 1);
        assert_eq!(Arc::strong_count(&woken), kept);
        let Poll::Ready(Ok("done")) = Pin::new(&mut awaited).poll(&mut context) else {
            panic!("not ready");
        };
    });
}

#[test]
fn an_executor_that_panics_keeps_nobody_from_hearing() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    bounded("bomb", LIMIT, || {
        let future = Future::new();
        let mut first = future.clone();
        let bomb = Waker::from(Arc::new(Bomb));
        assert!(
            Pin::new(&mut first)
                .poll(&mut Context::from_waker(&bomb))
                .is_pending()
        );
        let second = future.clone();
        let waiter = green::thread::spawn(move || green::block_on(second));
        future.set_result(1).unwrap();
        assert_eq!(waiter.join().unwrap().unwrap(), 1);
    });
}

#[test]
fn what_callbacks_and_wakers_panic_with_does_not_stay() {
    struct Bomb(Arc<()>);
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new(self.0.clone()));
        }
    }
    on_both("payloads", || {
        let payload = Arc::new(());
        let theirs = payload.clone();
        call_soon(move || std::panic::resume_unwind(Box::new(theirs)));
        let after = Future::new();
        let told = after.clone();
        call_soon(move || told.set_result(()).unwrap());
        after.wait(None).unwrap();
        assert_eq!(Arc::strong_count(&payload), 1);
        let waker = Waker::from(Arc::new(Bomb(payload.clone())));
        let mut future = Future::new();
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut future).poll(&mut context).is_pending());
        future.set_result(1).unwrap();
        drop(waker);
        assert_eq!(Arc::strong_count(&payload), 1);
    });
}

#[test]
fn a_limit_of_whoever_completes_a_future_does_not_cut_an_executor_short() {
    struct Slow(AtomicUsize);
    impl Wake for Slow {
        fn wake(self: Arc<Self>) {
            green::thread::sleep(Duration::from_millis(1));
            self.0.store(1, Ordering::SeqCst);
        }
    }
    on_both("slow", || {
        let future = Future::new();
        let slow = Arc::new(Slow(AtomicUsize::new(0)));
        let waker = Waker::from(slow.clone());
        let mut awaited = future.clone();
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut awaited).poll(&mut context).is_pending());
        let cut = green::timeout(Duration::from_micros(1), || {
            future.set_result(7).unwrap();
            assert_eq!(slow.0.load(Ordering::SeqCst), 1);
            green::thread::sleep(NEVER);
        });
        assert!(cut.is_err());
    });
}

/// A waker of an executor that waits when it is cloned.
fn waits_when_cloned() -> Waker {
    const TABLE: RawWakerVTable = RawWakerVTable::new(
        |data| {
            green::thread::sleep(Duration::from_millis(1));
            RawWaker::new(data, &TABLE)
        },
        |_| (),
        |_| (),
        |_| (),
    );
    // SAFETY: none of the functions looks at the data.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TABLE)) }
}

#[test]
fn an_executor_may_wait_while_it_clones_its_waker() {
    on_both("waits when cloned", || {
        let waker = waits_when_cloned();
        let mut context = Context::from_waker(&waker);
        let mut future = Future::<u8>::new();
        let mut thread = green::thread::spawn(green::thread::park);
        for _ in 0..2 {
            assert!(Pin::new(&mut future).poll(&mut context).is_pending());
            assert!(Pin::new(&mut thread).poll(&mut context).is_pending());
        }
        thread.thread().unpark();
        thread.join().unwrap();
    });
}

#[test]
fn done_callbacks_run_in_order_and_never_inside_the_call_that_completes() {
    on_both("callbacks", || {
        let (heard, order) = mpsc::channel();
        let future = Future::new();
        let tell = |name: &'static str| {
            let heard = heard.clone();
            move |done: &Future<u32>| heard.send((name, done.result().unwrap())).unwrap()
        };
        future.add_done_callback(tell("first"));
        let removed = future.add_done_callback(tell("removed"));
        future.add_done_callback(tell("second"));
        assert!(future.remove_done_callback(removed));
        assert!(!future.remove_done_callback(removed));
        let held = Arc::new(Mutex::new(()));
        let theirs = held.clone();
        let inside = held.lock().unwrap();
        // Would deadlock if it ran inside `set_result`.
        future.add_done_callback(move |_| drop(theirs.try_lock()));
        future.set_result(9).unwrap();
        drop(inside);
        let late = Future::new();
        let told = late.clone();
        future.add_done_callback(tell("late"));
        future.add_done_callback(move |_| told.set_result(()).unwrap());
        late.wait(None).unwrap();
        let order: Vec<_> = order.try_iter().collect();
        assert_eq!(order, [("first", 9), ("second", 9), ("late", 9)]);
    });
}

#[test]
fn callbacks_run_in_the_order_in_which_they_were_asked_for() {
    on_both("order", || {
        let (heard, order) = mpsc::channel();
        let done = Future::new();
        for number in 0..1000 {
            let heard = heard.clone();
            call_soon(move || heard.send(number).unwrap());
        }
        let theirs = done.clone();
        call_soon_threadsafe(move || theirs.set_result(()).unwrap());
        done.wait(None).unwrap();
        assert!(order.try_iter().eq(0..1000));
    });
}

#[test]
fn timers_fire_by_deadline_and_then_by_age() {
    on_both("timers", || {
        let (heard, order) = mpsc::channel();
        let done = Future::new();
        let last = Instant::now() + Duration::from_millis(30);
        let theirs = done.clone();
        // Asked for inside a callback, so that none of them runs before all are asked for.
        call_soon(move || {
            let tell = |name: &'static str| {
                let heard = heard.clone();
                move || heard.send(name).unwrap()
            };
            call_at(last, move || theirs.set_result(Instant::now()).unwrap());
            let when = last - Duration::from_millis(10);
            let third = call_at(when, tell("third"));
            call_at(when, tell("fourth"));
            call_at(last - Duration::from_millis(20), tell("second"));
            call_at(last - Duration::from_secs(1), tell("first"));
            assert_eq!(third.when(), when);
        });
        assert!(done.wait(None).unwrap() >= last);
        let order: Vec<_> = order.try_iter().collect();
        assert_eq!(order, ["first", "second", "third", "fourth"]);
    });
}

#[test]
fn a_delay_is_kept_and_none_is_none() {
    on_both("delays", || {
        let start = Instant::now();
        for delay in [Duration::ZERO, Duration::from_millis(20)] {
            let done = Future::new();
            let theirs = done.clone();
            let handle = call_later(delay, move || theirs.set_result(Instant::now()).unwrap());
            assert!(handle.when() >= start + delay);
            assert!(done.wait(None).unwrap() >= handle.when());
        }
    });
}

#[test]
fn a_cancelled_callback_does_not_run_and_is_dropped_at_once() {
    on_both("cancel", || {
        let captured = Arc::new(());
        let theirs = captured.clone();
        let timer = call_later(NEVER, move || drop(theirs));
        assert!(!timer.cancelled());
        assert!(timer.cancel() && timer.cancelled());
        assert_eq!(Arc::strong_count(&captured), 1);
        assert!(!timer.cancel());
        let overflowing = call_later(Duration::MAX, || unreachable!());
        assert!(overflowing.cancel());

        // The first callback keeps the second from running before it is cancelled.
        let (begun, cancelled) = (Future::new(), Future::new());
        let (begin, goes_on) = (begun.clone(), cancelled.clone());
        call_soon(move || {
            begin.set_result(()).unwrap();
            goes_on.wait(None).unwrap();
        });
        begun.wait(None).unwrap();
        let soon = call_soon(|| panic!("it was cancelled"));
        assert!(soon.cancel() && soon.cancelled());
        cancelled.set_result(()).unwrap();

        let ran = Future::new();
        let theirs = ran.clone();
        let handle = call_soon(move || theirs.set_result(()).unwrap());
        ran.wait(None).unwrap();
        assert!(!handle.cancel());
    });
}

#[test]
fn a_callback_may_ask_for_more_and_does_not_keep_the_hub_from_its_sockets() {
    bounded("again", LIMIT, || {
        green::run(|| {
            let stop = Arc::new(AtomicUsize::new(0));
            let over = Future::new();
            fn again(stop: Arc<AtomicUsize>, over: Future<()>) {
                if stop.load(Ordering::Relaxed) == 1 {
                    over.set_result(()).unwrap();
                } else {
                    call_soon(move || again(stop, over));
                }
            }
            again(stop.clone(), over.clone());
            let (ours, theirs) = green::os::unix::net::UnixStream::pair().unwrap();
            let reader = green::thread::spawn_local(move || {
                io::Read::read(&mut &ours, &mut [0; 8]).unwrap()
            });
            green::thread::sleep(Duration::from_millis(5));
            io::Write::write_all(&mut &theirs, b"hello").unwrap();
            assert_eq!(reader.join().unwrap(), 5);
            stop.store(1, Ordering::Relaxed);
            over.wait(None).unwrap();
        });
    });
}

#[test]
fn a_callback_that_panics_does_not_keep_the_next_from_running() {
    on_both("panic", || {
        let done = Future::new();
        let theirs = done.clone();
        call_soon(|| std::panic::resume_unwind(Box::new("as expected")));
        call_soon(move || theirs.set_result(()).unwrap());
        done.wait(None).unwrap();
    });
}

#[test]
fn ten_thousand_timers_need_no_green_thread_each_and_leave_none() {
    bounded("ten thousand", LIMIT, || {
        green::run(|| {
            call_later(NEVER, || {}).cancel();
            let threads = || green::report().threads.len();
            let before = threads();
            let counted = Arc::new(AtomicUsize::new(0));
            let (mut timers, mut kept) = (Vec::new(), Vec::new());
            for number in 0..10_000_u64 {
                let counted = counted.clone();
                timers.push(call_later(
                    NEVER + Duration::from_millis(number),
                    move || {
                        counted.fetch_add(1, Ordering::Relaxed);
                    },
                ));
                kept.push(number);
            }
            assert_eq!(Arc::strong_count(&counted), 10_001);
            // The neighbouring tests have a few.
            assert!(threads() < before + 1000);
            // From the middle outwards, so that the first is not the first to go.
            timers.rotate_left(5_000);
            assert!(timers.iter().all(|timer| timer.cancel()));
            assert_eq!(Arc::strong_count(&counted), 1);
            assert_eq!(counted.load(Ordering::Relaxed), 0);
        });
    });
}

#[test]
fn calls_of_many_threads_at_once_all_run() {
    bounded("many", LIMIT, || {
        const THREADS: usize = 8;
        const CALLS: usize = 500;
        let counted = Arc::new(AtomicUsize::new(0));
        let done = Future::new();
        let work = |counted: Arc<AtomicUsize>, done: Future<()>| {
            move || {
                for number in 0..CALLS {
                    let (counted, done) = (counted.clone(), done.clone());
                    let call = move || {
                        if counted.fetch_add(1, Ordering::SeqCst) + 1 == 2 * THREADS * CALLS {
                            done.set_result(()).unwrap();
                        }
                    };
                    match number % 2 {
                        0 => drop(call_soon(call)),
                        _ => drop(call_later(Duration::from_micros(number as u64), call)),
                    }
                }
            }
        };
        for _ in 0..THREADS {
            green::thread::spawn(work(counted.clone(), done.clone()));
            std::thread::spawn(work(counted.clone(), done.clone()));
        }
        done.wait(None).unwrap();
        assert_eq!(counted.load(Ordering::SeqCst), 2 * THREADS * CALLS);
    });
}

#[test]
fn the_executor_returns_results_errors_and_panics() {
    on_both("executor", || {
        let fine = run_in_executor(|| {
            Ok::<_, io::Error>(std::thread::current().name().map(str::to_owned))
        });
        let thread = fine.wait(None).unwrap().unwrap();
        assert!(thread.starts_with("green-blocking"), "{thread}");
        let failed = run_in_executor(|| std::fs::read("/nowhere"));
        let error = io::Error::from(failed.wait(None).unwrap_err());
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let panicked = run_in_executor(|| -> io::Result<()> {
            std::panic::resume_unwind(Box::new("as expected"))
        });
        let error = panicked.wait(None).unwrap_err();
        assert_eq!(error.to_string(), "as expected");
        let (begun, has_begun) = mpsc::channel();
        let (go, goes_on) = mpsc::channel::<()>();
        let cancelled = run_in_executor(move || {
            begun.send(()).unwrap();
            goes_on.recv()
        });
        green::blocking(move || has_begun.recv().unwrap());
        assert!(cancelled.cancel());
        go.send(()).unwrap();
        assert!(is_cancelled(cancelled.wait(None)));
    });
}

/// Sends a signal to this process; not on a hub, which blocks signals.
fn send(signal: i32) {
    green::blocking(move || signal_hook::low_level::raise(signal)).unwrap();
}

#[test]
fn a_signal_calls_its_handler_each_time() {
    bounded("signal", LIMIT, || {
        let (heard, signals) = mpsc::channel();
        add_signal_handler(SIGUSR1, move || heard.send(()).unwrap()).unwrap();
        for _ in 0..3 {
            send(SIGUSR1);
            signals.recv().unwrap();
        }
        assert!(remove_signal_handler(SIGUSR1));
        assert!(!remove_signal_handler(SIGUSR1));
        // Its captures are dropped, and the process lives.
        assert!(signals.recv().is_err());
        send(SIGUSR1);
    });
}

#[test]
fn a_second_handler_takes_the_place_of_the_first() {
    bounded("replace", LIMIT, || {
        green::run(|| {
            let (first, second) = (Future::new(), Future::new());
            let theirs = first.clone();
            add_signal_handler(SIGUSR2, move || theirs.set_result("first").unwrap()).unwrap();
            let theirs = second.clone();
            add_signal_handler(SIGUSR2, move || drop(theirs.set_result("second"))).unwrap();
            send(SIGUSR2);
            assert_eq!(second.wait(None).unwrap(), "second");
            assert!(!first.done());
            assert!(remove_signal_handler(SIGUSR2));
        });
    });
}

#[test]
fn what_is_no_signal_or_cannot_be_caught_is_refused() {
    for signal in [0, -1, 65, libc::SIGKILL, libc::SIGSTOP] {
        let error = add_signal_handler(signal, || {}).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{signal}");
    }
    assert!(!remove_signal_handler(SIGWINCH));
}
