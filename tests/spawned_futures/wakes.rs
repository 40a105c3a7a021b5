//! Whoever wakes a future, whenever: it is polled again, and by its own hub alone.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use greenhub::future::{Builder, block_on, spawn};
use greenhub::green_thread::{self, current, park, yield_now};
use greenhub::{Site, report};
use test_support::bounded;
use test_support::child::alone;
use test_support::threads::{LIMIT, MILLISECOND, green, prepare, site, until};

use super::{Gate, here};

/// Ends once it was woken `times`, each time by whoever gets its waker.
async fn woken(times: usize, wakers: mpsc::Sender<(Waker, Arc<AtomicBool>)>) {
    for _ in 0..times {
        let called = Arc::new(AtomicBool::new(false));
        let mut sent = false;
        poll_fn(|context| {
            if called.load(SeqCst) {
                return Poll::Ready(());
            }
            if !sent {
                sent = true;
                let left = (context.waker().clone(), called.clone());
                wakers.send(left).unwrap();
            }
            Poll::Pending
        })
        .await;
    }
}

fn call_all(wakers: &mpsc::Receiver<(Waker, Arc<AtomicBool>)>) {
    for (waker, called) in wakers {
        called.store(true, SeqCst);
        waker.wake();
    }
}

#[test]
fn other_os_threads_wake_it_a_hundred_thousand_times() {
    prepare();
    bounded("other OS threads wake", LIMIT, || {
        const FUTURES: usize = 100;
        const TIMES: usize = 250;
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let (sender, receiver) = mpsc::channel();
                (sender, thread::spawn(move || call_all(&receiver)))
            })
            .collect();
        let all: Vec<_> = callers
            .iter()
            .flat_map(|(sender, _)| (0..FUTURES).map(|_| spawn(woken(TIMES, sender.clone()))))
            .collect();
        all.into_iter().for_each(|one| one.join().unwrap());
        for (sender, caller) in callers {
            drop(sender);
            caller.join().unwrap();
        }
    });
}

#[test]
fn futures_of_one_hub_and_of_two_wake_each_other() {
    for hubs in ["1", "2"] {
        let name = "wakes::futures_of_one_hub_and_of_two_wake_each_other";
        alone(name, &[("GREEN_HUBS", hubs)], || {
            let (sender, receiver) = green::channel::unbounded::<(Waker, Arc<AtomicBool>)>();
            let hubs = greenhub::hub_count().unwrap();
            let all: Vec<_> = (0..200)
                .map(|n| {
                    let (sender, receiver) = (sender.clone(), receiver.clone());
                    let exchanges = async move {
                        for _ in 0..50 {
                            let called = Arc::new(AtomicBool::new(false));
                            let mut sent = false;
                            poll_fn(|context| {
                                // Each wakes another one, or itself.
                                while let Ok((waker, called)) = receiver.try_recv() {
                                    called.store(true, SeqCst);
                                    waker.wake();
                                }
                                if called.load(SeqCst) {
                                    return Poll::Ready(());
                                }
                                if !sent {
                                    sent = true;
                                    let left = (context.waker().clone(), called.clone());
                                    sender.send(left).unwrap();
                                    context.waker().wake_by_ref();
                                }
                                Poll::Pending
                            })
                            .await;
                        }
                        current().hub()
                    };
                    Builder::new().hub(n % hubs).spawn(exchanges).unwrap()
                })
                .collect();
            for (n, one) in all.into_iter().enumerate() {
                assert_eq!(one.join().unwrap(), Some(n % hubs));
            }
        })
        .well();
    }
}

#[test]
fn woken_while_it_is_polled_it_is_polled_again() {
    green("woken while it is polled", || {
        let order = Arc::new(Mutex::new(Vec::new()));
        let wakes_itself = |name: &'static str| {
            let order = order.clone();
            let mut polls = 0;
            here(poll_fn(move |context| {
                order.lock().unwrap().push(name);
                polls += 1;
                context.waker().wake_by_ref();
                // More than once is once.
                context.waker().wake_by_ref();
                match polls {
                    3 => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            }))
        };
        let (first, second) = (wakes_itself("a"), wakes_itself("b"));
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(*order.lock().unwrap(), ["a", "b", "a", "b", "a", "b"]);
    });
}

#[test]
fn woken_by_an_os_thread_while_it_is_polled_it_is_polled_again() {
    green("woken by an OS thread", || {
        for _ in 0..200 {
            let mut polls = 0;
            let handle = here(poll_fn(move |context| {
                polls += 1;
                if polls == 2 {
                    return Poll::Ready(());
                }
                let waker = context.waker().clone();
                // It may come before this poll returns, or after.
                greenhub::blocking_uncut(move || ());
                thread::spawn(move || waker.wake());
                Poll::Pending
            }));
            handle.join().unwrap();
        }
    });
}

#[test]
fn woken_while_its_poll_waits_it_is_polled_again() {
    green("woken while its poll waits", || {
        let left = Arc::new(Mutex::new(None::<Waker>));
        let polls = Arc::new(AtomicUsize::new(0));
        let handle = here({
            let (left, polls) = (left.clone(), polls.clone());
            poll_fn(move |context| {
                if polls.fetch_add(1, SeqCst) == 1 {
                    return Poll::Ready(());
                }
                *left.lock().unwrap() = Some(context.waker().clone());
                park();
                Poll::Pending
            })
        });
        until(|| site(&handle) == Some(Site::Park));
        left.lock().unwrap().take().unwrap().wake();
        // That is no end of what its poll waits for.
        (0..10).for_each(|_| yield_now());
        assert_eq!(site(&handle), Some(Site::Park));
        handle.thread().unpark();
        handle.join().unwrap();
        assert_eq!(polls.load(SeqCst), 2);
    });
}

#[test]
fn a_future_waited_for_within_its_poll_takes_no_wake_away() {
    green("a future waited for within", || {
        for inner in [false, true] {
            let gate = Arc::new(Gate::default());
            let outer = here({
                let gate = gate.clone();
                async move {
                    let mut passes = Box::pin(gate.pass());
                    poll_fn(|context| {
                        let polled = passes.as_mut().poll(context);
                        if polled.is_pending() {
                            // The waker of the outer one may be called meanwhile.
                            let naps = || greenhub::future::sleep(2 * MILLISECOND);
                            match inner {
                                true => block_on(naps()),
                                false => green_thread::sleep(2 * MILLISECOND),
                            }
                        }
                        polled
                    })
                    .await
                }
            });
            until(|| gate.waiting() > 0);
            gate.open();
            outer.join().unwrap();
        }
    });
}

#[test]
fn a_waker_outlives_its_future_and_does_nothing() {
    green("a waker outlives its future", || {
        let gate = Arc::new(Gate::default());
        let handle = here({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        until(|| gate.waiting() == 1);
        let waker = gate.waiting.lock().unwrap()[0].clone();
        handle.kill().unwrap();
        assert!(handle.join().is_err());
        waker.wake_by_ref();
        gate.open();
        assert_eq!(here(async { 7 }).join().unwrap(), 7);
        thread::spawn(move || waker.wake()).join().unwrap();
    });
}

#[test]
fn a_hub_sleeps_while_all_its_futures_wait() {
    let name = "wakes::a_hub_sleeps_while_all_its_futures_wait";
    alone(name, &[("GREEN_HUBS", "1")], || {
        let gate = Arc::new(Gate::default());
        let all: Vec<_> = (0..100)
            .map(|_| {
                let gate = gate.clone();
                spawn(async move { gate.pass().await })
            })
            .collect();
        until(|| gate.waiting() == 100);
        until(|| report().hubs[0].idle);
        // Stacks are tidied up after a second, or later.
        until(|| {
            let turns = report().hubs[0].turns;
            thread::sleep(300 * MILLISECOND);
            report().hubs[0].turns == turns
        });
        gate.open();
        all.into_iter().for_each(|one| one.join().unwrap());
    })
    .well();
}
