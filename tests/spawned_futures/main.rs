//! Futures that are green threads without a stack: what they cost, how they end, what is their own, and their wakers.

mod ends;
mod own;
mod stacks;
mod storm;
mod wakes;

use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Poll, Waker};

use greenhub::future::Builder;
use greenhub::green_thread::{JoinHandle, current};

/// Spawns it on the hub that this runs on.
fn here<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let hub = current().hub().expect("this runs on a green thread");
    Builder::new().hub(hub).spawn(future).unwrap()
}

/// Futures wait here until it is opened.
#[derive(Default)]
struct Gate {
    open: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Gate {
    fn open(&self) {
        self.open.store(true, SeqCst);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How many have polled and wait.
    fn waiting(&self) -> usize {
        self.waiting.lock().unwrap().len()
    }

    async fn pass(&self) {
        poll_fn(|context| {
            let mut waiting = self.waiting.lock().unwrap();
            if self.open.load(SeqCst) {
                return Poll::Ready(());
            }
            waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}
