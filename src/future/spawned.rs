//! Futures that are green threads without a stack of their own.
//!
//! All that a green thread has beside its stack such a future has as well, since for the hub it is one: see
//! `hub/carrier.rs` for who lends it a stack.
#![expect(
    unsafe_code,
    reason = "a future is pinned where it was made, and crosses to its hub before"
)]

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::waker::waker_of;
use crate::contain::contain;
use crate::error::Killed;
use crate::green_thread::{JoinHandle, Packet, drop_unrun, own_hub, start_future};
use crate::hub::interrupt::Shield;
use crate::hub::task::{PinnedBody, Polled, Start, Task};

/// Starts a green thread that consists of `future` and has no stack of its own: while the future waits for
/// its waker, it costs its own memory and some hundred bytes.
///
/// The hub that has the fewest green threads polls it, from now on and without being asked, on one of the few
/// stacks that it keeps for that. The future stays on that hub. It may call what waits in blocking style: the
/// poll then keeps its stack until it returns, and the hub polls the others on another one. So code that
/// waits costs a stack while it waits, and holds up nobody else.
///
/// The handle is that of a green thread. A join gives the output, or the payload of a panic; it can be awaited;
/// dropping it lets the future go on; [`kill`](JoinHandle::kill) ends it.
///
/// # What is its own
///
/// - *Kills.* A future that waits for its waker is dropped, on its hub; one whose poll waits in a blocking
///   call unwinds there, and is dropped then. Meanwhile [`panicking`](crate::green_thread::panicking) is true. If
///   it runs, it is dropped when its poll has returned without a result.
/// - *Panics.* One ends this future alone.
/// - *Time limits.* A limit by [`timeout`](crate::timeout()) is for blocking code: it ends waits within the poll that has set it.
///   It cannot reach over an `.await`, where the block would have to be left; there, use
///   [`future::timeout`](super::timeout), which looks between two polls, and so ends no blocking call within one.
/// - Id, name, park token and what [`thread::current`](crate::green_thread::current) gives; its line in reports, where it *waits
///   for its waker*; CPU time; values of `green::thread_local!` and [`Inherited`](crate::green_thread::Inherited).
///
/// # What is its stack's
///
/// The thread-locals of std and of C libraries. Each stack has its own (or all share those of the hub's
/// OS thread, see [`ThreadLocals`](crate::ThreadLocals)). A future has none: they would take as much memory
/// as the stack that it does without. So the next poll may find other values, and values that another
/// future has left. But as long as a poll waits, nobody else sees those of its stack.
///
/// The size of the stacks is that of [`Config`](crate::Config). A debugger sees a future only while it is being polled.
/// Where no stack can be had, futures that are due wait until there is one again.
///
/// # Panics
///
/// If the hubs cannot be started: see [`Builder::spawn`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use green::future::{sleep, spawn};
/// use green::thread;
///
/// let waiting: Vec<_> = (0..1000)
///     .map(|n| {
///         spawn(async move {
///             sleep(Duration::from_millis(5)).await;
///             n
///         })
///     })
///     .collect();
/// // A call in blocking style holds up none of them.
/// let blocking = spawn(async { thread::sleep(Duration::from_millis(5)) });
/// let sum: u32 = waiting.into_iter().map(|one| one.join().unwrap()).sum();
/// assert_eq!(sum, 499_500);
/// blocking.join().unwrap();
/// ```
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Builder::new()
        .spawn(future)
        .expect("failed to spawn a future")
}

/// As [`spawn`], on the running green thread's own hub: neither the future nor its output need be `Send`.
///
/// # Panics
///
/// Outside a green thread.
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, rc::Rc};
///
/// use green::future::spawn_local;
///
/// green::run(|| {
///     let shared = Rc::new(Cell::new(0));
///     let theirs = shared.clone();
///     spawn_local(async move { theirs.set(7) }).join().unwrap();
///     assert_eq!(shared.get(), 7);
/// });
/// ```
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    Builder::new()
        .spawn_local(future)
        .expect("failed to spawn a future")
}

/// Settings of a future to be spawned.
///
/// ```
/// use green::future::Builder;
/// use green::thread::current;
///
/// let name = async { current().name().map(str::to_owned) };
/// let handle = Builder::new().name("reader".to_owned()).spawn(name)?;
/// assert_eq!(handle.join().unwrap().as_deref(), Some("reader"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "must eventually spawn a future"]
pub struct Builder {
    name: Option<String>,
    hub: Option<usize>,
}

impl Builder {
    /// Without a name, on any hub.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names it, as [`Builder::name`](crate::green_thread::Builder::name) names a green thread.
    pub fn name(mut self, name: String) -> Builder {
        self.name = Some(name);
        self
    }

    /// Places it on the hub with this number, from 0 to [`hub_count`](crate::hub_count) − 1.
    ///
    /// ```
    /// use green::future::Builder;
    /// use green::thread::current;
    ///
    /// let here = Builder::new().hub(0).spawn(async { current().hub() })?;
    /// assert_eq!(here.join().unwrap(), Some(0));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn hub(mut self, hub: usize) -> Builder {
        self.hub = Some(hub);
        self
    }

    /// Spawns `future`, as the function [`spawn`] does.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a hub that does not exist; at the first start, what kept the hubs from starting;
    /// `Unsupported` in a child of fork(2), which has no hubs.
    ///
    /// # Panics
    ///
    /// If the name contains a NUL byte.
    pub fn spawn<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_pinned(move || future)
    }

    /// Spawns the future that `make` makes on its hub, where it stays. So it need not be `Send`, and can be
    /// placed on any hub all the same. If it is killed before its first poll, it is never made.
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// use green::future::{Builder, sleep};
    ///
    /// let counts = || async {
    ///     let count = Rc::new(Cell::new(0)); // Held over an await.
    ///     sleep(std::time::Duration::from_millis(1)).await;
    ///     count.set(count.get() + 1);
    ///     count.get()
    /// };
    /// assert_eq!(Builder::new().spawn_pinned(counts)?.join().unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`spawn`](Builder::spawn).
    ///
    /// # Panics
    ///
    /// As [`spawn`](Builder::spawn).
    pub fn spawn_pinned<M, F>(self, make: M) -> io::Result<JoinHandle<F::Output>>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        // SAFETY: until the first poll there is `make` alone, which is `Send`.
        unsafe { self.start(make) }
    }

    /// As the function [`spawn_local`].
    ///
    /// # Errors
    ///
    /// As [`spawn`](Builder::spawn); `Unsupported` outside a green thread; `InvalidInput` if another hub was
    /// asked for.
    ///
    /// # Panics
    ///
    /// As [`spawn`](Builder::spawn).
    pub fn spawn_local<F>(mut self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.hub = Some(own_hub(self.hub)?);
        // SAFETY: it stays on the hub of this OS thread.
        unsafe { self.start(move || future) }
    }

    /// # Safety
    ///
    /// `make` may be sent to the hub that is asked for, or to any if none is.
    unsafe fn start<M, F>(self, make: M) -> io::Result<JoinHandle<F::Output>>
    where
        M: FnOnce() -> F + 'static,
        F: Future + 'static,
        F::Output: 'static,
    {
        let packet = Packet::new();
        let spawned = Spawned {
            stage: Stage::Unmade(make),
            packet: Some(packet.clone()),
        };
        // SAFETY: as the caller promises; the future is made by its first poll. The packet's result
        // reaches another thread by the handle alone, which is sent if the result may be.
        let body = unsafe { PinnedBody::new_polled(Box::pin(spawned)) };
        let task = start_future(self.name, self.hub, body)?;
        Ok(JoinHandle::new(task, packet))
    }
}

struct Spawned<M, F: Future> {
    stage: Stage<M, F>,
    /// Until it is over.
    packet: Option<Arc<Packet<F::Output>>>,
}

enum Stage<M, F> {
    Unmade(M),
    /// Pinned.
    Made(F),
    Over,
}

impl<M: FnOnce() -> F, F: Future> Stage<M, F> {
    /// # Safety
    ///
    /// It is pinned: from now on it is not moved.
    unsafe fn poll(&mut self, task: &Arc<Task>) -> Poll<F::Output> {
        if matches!(self, Stage::Unmade(_))
            && let Stage::Unmade(make) = mem::replace(self, Stage::Over)
        {
            *self = Stage::Made(make());
        }
        let Stage::Made(future) = self else {
            unreachable!("a future was polled after its end")
        };
        // SAFETY: handed on to the caller; it is dropped where it is.
        let future = unsafe { Pin::new_unchecked(future) };
        let waker = waker_of(task.clone());
        future.poll(&mut Context::from_waker(&waker))
    }
}

impl<M: FnOnce() -> F, F: Future> Polled for Spawned<M, F> {
    fn poll(self: Pin<&mut Self>, start: Start, task: &Arc<Task>) -> bool {
        // SAFETY: nothing is moved out of it but what is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let stage = &mut this.stage;
        // SAFETY: it is pinned with the whole.
        let mut poll = || unsafe { stage.poll(task) };
        let result = match start {
            Start::Run => match catch_unwind(AssertUnwindSafe(&mut poll)) {
                Ok(Poll::Pending) => return false,
                Ok(Poll::Ready(output)) => Ok(output),
                Err(payload) => Err(payload),
            },
            Start::Killed => Err(Box::new(Killed) as _),
        };
        let stage = &mut this.stage;
        let end = || *stage = Stage::Over;
        match &result {
            Ok(_) => {
                let _shield = Shield::new();
                contain(end);
            }
            Err(_) => drop_unrun(end),
        }
        if let Some(packet) = this.packet.take() {
            packet.end(result);
        }
        true
    }
}
