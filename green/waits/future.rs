//! The bridge to `async` code: [`block_on`] waits for a future as any other call here waits, and a
//! [`JoinHandle`](crate::thread::JoinHandle) is itself a future.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use greenhub::{green_thread::yield_now, wait_queue::WaitQueue};

/// Runs a future to its end: a green thread parks whenever the future has to wait, an OS thread
/// blocks.
///
/// The future is polled on the calling thread only, so that it need not be `Send`. It may be woken
/// from anywhere. It may also call what parks green threads: that holds up this future alone. While a
/// future that wakes itself is polled again and again, others run in between.
///
/// There is no reactor here. A future that stands on one (tokio's sockets and timers, say) needs
/// that runtime running elsewhere, and its context entered.
///
/// # Panics
///
/// If the future panics.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use std::task::Poll;
///
/// let mut polls = 0;
/// let future = poll_fn(|context| {
///     polls += 1;
///     if polls < 3 {
///         context.waker().wake_by_ref();
///         Poll::Pending
///     } else {
///         Poll::Ready("done")
///     }
/// });
/// assert_eq!(green::block_on(future), "done");
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let signal = Arc::new(Signal {
        given: AtomicBool::new(false),
        waiter: WaitQueue::new(),
    });
    let waker = Waker::from(Arc::clone(&signal));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // One that was woken as it was polled has not waited: between two polls others run, and a
        // kill or a time limit is raised.
        if signal.given.swap(false, SeqCst) {
            yield_now();
        } else {
            signal.wait();
        }
    }
}

/// What the future's waker sets. Several wakes before the next poll are one.
struct Signal {
    given: AtomicBool,
    /// Holds the thread in `block_on`.
    waiter: WaitQueue,
}

impl Signal {
    fn wait(&self) {
        while !self.given.swap(false, SeqCst) {
            self.waiter
                .wait("block_on", None, || !self.given.load(SeqCst));
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.given.store(true, SeqCst);
        self.waiter.wake_one();
    }
}

#[cfg(test)]
mod tests;
