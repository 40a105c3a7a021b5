//! A thread that waits for a future, and the waker that is that thread; also a green thread that
//! consists of a future.
//!
//! A waker made here is a handle to a [`Task`], so it costs a count and no allocation. `woken` and
//! `awaiting` work as `park`'s token and ticket do: a waker sets the flag and then closes the ticket;
//! the thread opens a ticket and then looks at the flag.
//!
//! One `block_on` may run inside another: both share the flag, and the inner one sets it as it
//! leaves, so that the outer polls once more and nothing is lost.
//!
//! # Safety
//!
//! The data of a waker with [`VTABLE`] is a pointer from `Arc::into_raw` of a task. Each such waker owns one
//! count; `clone` adds one, `wake` and `drop` take theirs, `wake_by_ref` leaves it.
#![expect(unsafe_code, reason = "a waker is a pointer and a table")]

use std::mem::ManuallyDrop;
use std::pin::pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::deadline::Deadline;
use crate::hub::site::Site;
use crate::hub::task::Task;
use crate::hub::wait::{self, Request, yield_now};
use crate::hub::wait_word::Phase;

/// A static, so that it has one address.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned keeps the task alive (module, # Safety).
    unsafe { Arc::increment_strong_count(data.cast::<Task>()) };
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: takes over the waker's count (module, # Safety).
    wake_task(&unsafe { Arc::from_raw(data.cast::<Task>()) });
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: borrows the waker's count, which is not dropped here (module, # Safety).
    wake_task(&ManuallyDrop::new(unsafe {
        Arc::from_raw(data.cast::<Task>())
    }));
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: takes over the waker's count (module, # Safety).
    drop(unsafe { Arc::from_raw(data.cast::<Task>()) });
}

fn wake_task(task: &Arc<Task>) {
    if !task.woken.swap(true, Ordering::SeqCst) {
        // An old ticket does nothing.
        task.wake(task.awaiting.load(Ordering::SeqCst), Phase::Event);
    }
}

pub(super) fn waker_of(task: Arc<Task>) -> Waker {
    let data = Arc::into_raw(task).cast();
    // SAFETY: the table's functions keep to the module's # Safety, and a task may be woken from any thread.
    unsafe { Waker::from_raw(RawWaker::new(data, &VTABLE)) }
}

/// Whether it is a thread's, which may be called anywhere: it runs no code of others.
pub(crate) fn is_a_thread(waker: &Waker) -> bool {
    ptr::eq(waker.vtable(), &VTABLE)
}

/// Runs a future to its end: a green thread parks whenever the future has to wait, an OS thread
/// blocks.
///
/// The future is polled on the calling thread only, so that it need not be `Send`. It may be woken
/// from anywhere. It may also call functions that park green threads, even `block_on` itself: that holds up only this
/// future. While a future that wakes itself is polled again and again, other green threads run in between. The waker is
/// the thread itself, and costs no allocation.
///
/// Futures over green sockets are those of `green::aio` (feature `async`). A future that depends on another reactor
/// (tokio's sockets and timers, say) needs that runtime running elsewhere, and its context entered.
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
    // The future may never have to wait.
    wait::look_up();
    let mut future = pin!(future);
    let waker = waker_of(wait::waiting_task());
    let awaiting = Awaiting::begin();
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // One that was woken as it was polled has not waited: between two polls others run, and a
        // kill or a time limit is raised.
        if awaiting.0.woken.swap(false, Ordering::SeqCst) {
            yield_now();
        } else {
            awaiting.wait();
        }
    }
}

/// A `block_on` under way.
struct Awaiting(Arc<Task>);

impl Awaiting {
    fn begin() -> Awaiting {
        let task = wait::waiting_task();
        task.awaits.fetch_add(1, Ordering::Relaxed);
        Awaiting(task)
    }

    fn wait(&self) {
        while !self.0.woken.swap(false, Ordering::SeqCst) {
            let request = Request {
                site: Site::Queue("block_on"),
                deadline: Deadline::NEVER,
                poll_for: None,
            };
            wait::wait(
                &request,
                |waiter| {
                    let task = &waiter.task;
                    task.awaiting.store(waiter.ticket, Ordering::SeqCst);
                    !task.woken.load(Ordering::SeqCst)
                },
                |_, _| (),
            );
        }
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        // The wakes of the one around it, which this one may have taken.
        let outer = self.0.awaits.fetch_sub(1, Ordering::Relaxed) > 1;
        self.0.woken.store(outer, Ordering::SeqCst);
    }
}
