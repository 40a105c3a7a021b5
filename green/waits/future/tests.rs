use std::{
    future::{pending, poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use greenhub::Killed;
use greenhub::green_thread::{self, Builder};

use crate::block_on;
use crate::channel::{Sender, unbounded};

/// Ready at its second poll; sends its waker at the first.
fn needs_a_wake(wakers: Sender<Waker>) -> impl Future<Output = u8> {
    let mut polled = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(7);
        }
        wakers.send(context.waker().clone()).unwrap();
        Poll::Pending
    })
}

#[test]
fn a_ready_future_does_not_wait() {
    let local = Rc::new(5);
    assert_eq!(*block_on(ready(Rc::clone(&local))), 5);
}

#[test]
fn an_os_thread_blocks_until_a_green_thread_wakes_it() {
    let (wakers, wake) = unbounded::<Waker>();
    let waking = green_thread::spawn(move || wake.recv().unwrap().wake());
    assert_eq!(block_on(needs_a_wake(wakers)), 7);
    waking.join().unwrap();
}

#[test]
fn a_green_thread_parks_and_its_hub_goes_on() {
    let (wakers, wake) = unbounded::<Waker>();
    let on_hub = || Builder::new().hub(0);
    let waiting = on_hub()
        .spawn(move || block_on(needs_a_wake(wakers)))
        .unwrap();
    let waker = wake.recv().unwrap();
    let neighbour = on_hub().spawn(|| green_thread::sleep(Duration::from_millis(1)));
    neighbour.unwrap().join().unwrap();
    assert!(!waiting.is_finished());
    thread::spawn(move || waker.wake()).join().unwrap();
    assert_eq!(waiting.join().unwrap(), 7);
}

#[test]
fn a_block_limit_ends_it() {
    let ended = greenhub::run(|| {
        greenhub::timeout(Duration::from_millis(5), || block_on(pending::<()>())).is_err()
    });
    assert!(ended);
}

#[test]
fn a_panic_of_the_future_passes_through() {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        block_on(poll_fn(|_| -> Poll<()> { panic!("in the future") }));
    }));
    assert!(panicked.is_err());
}

#[test]
fn a_wake_after_the_end_does_nothing() {
    let (wakers, wake) = unbounded::<Waker>();
    let early = thread::spawn(move || {
        let waker = wake.recv().unwrap();
        waker.wake_by_ref();
        waker
    });
    assert_eq!(block_on(needs_a_wake(wakers)), 7);
    early.join().unwrap().wake();
}

/// Wakes come from an OS thread and from the neighbours, at every moment of a poll.
#[test]
fn no_wake_is_lost() {
    const ROUNDS: u32 = 2_000;
    let (wakers, wake) = unbounded::<Waker>();
    let waking = thread::spawn(move || {
        while let Ok(waker) = wake.recv() {
            waker.wake();
        }
    });
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let wakers = wakers.clone();
            green_thread::spawn(move || {
                (0..ROUNDS)
                    .map(|_| u32::from(block_on(needs_a_wake(wakers.clone()))))
                    .sum::<u32>()
            })
        })
        .collect();
    drop(wakers);
    for thread in waiting {
        assert_eq!(thread.join().unwrap(), 7 * ROUNDS);
    }
    waking.join().unwrap();
}

#[test]
fn a_join_handle_is_awaited_on_green_and_os_threads() {
    let sum = || async {
        let late = green_thread::spawn(|| {
            green_thread::sleep(Duration::from_millis(2));
            40
        });
        let panicking =
            green_thread::spawn(|| -> u32 { std::panic::resume_unwind(Box::new(2u32)) });
        late.await.unwrap() + *panicking.await.unwrap_err().downcast::<u32>().unwrap()
    };
    assert_eq!(block_on(sum()), 42);
    assert_eq!(greenhub::run(move || block_on(sum())), 42);
}

#[test]
fn an_awaited_green_thread_that_is_killed_says_so() {
    let victim = green_thread::spawn(green_thread::park);
    victim.kill().unwrap();
    assert!(block_on(victim).unwrap_err().is::<Killed>());
}

#[test]
fn giving_up_an_await_loses_nothing() {
    let (go, gate) = unbounded::<()>();
    let mut handle = green_thread::spawn(move || gate.recv().is_ok());
    let mut polls = 0;
    let given_up = block_on(poll_fn(|context| {
        polls += 1;
        assert!(Pin::new(&mut handle).poll(context).is_pending());
        Poll::Ready(polls)
    }));
    assert_eq!(given_up, 1);
    go.send(()).unwrap();
    assert!(block_on(&mut handle).unwrap());
    let again = catch_unwind(AssertUnwindSafe(|| block_on(&mut handle)));
    assert!(again.is_err(), "a result is given once");
}

#[test]
fn a_dropped_await_lets_the_green_thread_go_on() {
    let (go, gate) = unbounded::<()>();
    let (ends, end) = unbounded::<()>();
    let mut handle = green_thread::spawn(move || {
        gate.recv().unwrap();
        ends.send(()).unwrap();
    });
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut handle).poll(&mut context).is_pending());
    drop(handle);
    go.send(()).unwrap();
    end.recv().unwrap();
}

#[test]
fn the_last_task_that_polled_is_woken() {
    struct Counted(AtomicUsize);
    impl std::task::Wake for Counted {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let first = std::sync::Arc::new(Counted(AtomicUsize::new(0)));
    let (go, gate) = unbounded::<()>();
    let mut handle = green_thread::spawn(move || gate.recv().is_ok());
    let waker = Waker::from(first.clone());
    let poll = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    let moved = thread::spawn(move || block_on(handle).unwrap());
    go.send(()).unwrap();
    assert!(moved.join().unwrap());
    // Woken at most once: not at all if the other task polled before the end.
    assert!(first.0.load(SeqCst) <= 1);
}

/// Wakes itself at every poll, for ever.
fn wakes_itself() -> impl Future<Output = ()> {
    poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

#[test]
fn a_future_that_wakes_itself_lets_others_run_and_is_limited_and_killed() {
    let on_hub = || Builder::new().hub(0);
    let limit = Duration::from_millis(5);
    let limited = on_hub().spawn(move || greenhub::timeout(limit, || block_on(wakes_itself())));
    assert!(limited.unwrap().join().unwrap().is_err());
    let polled = on_hub().spawn(|| block_on(wakes_itself())).unwrap();
    let neighbour = on_hub().spawn(|| green_thread::sleep(Duration::from_millis(1)));
    neighbour.unwrap().join().unwrap();
    polled.kill().unwrap();
    assert!(polled.join().unwrap_err().is::<Killed>());
}

#[test]
fn a_future_that_wakes_itself_is_limited_on_an_os_thread() {
    let limit = Duration::from_millis(5);
    assert!(greenhub::timeout(limit, || block_on(wakes_itself())).is_err());
}
