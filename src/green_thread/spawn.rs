//! Starting a green thread, and joining it.
#![expect(
    unsafe_code,
    reason = "a scoped body outlives its type's lifetime, a local one crosses into its own hub"
)]

use std::any::Any;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::local::Locals;
use super::scope::ScopeData;
use super::thread::Thread;
use crate::clock::Nanos;
use crate::config::{round_stack, settings};
use crate::error::Killed;
use crate::hub::interrupt::{CAN_UNWIND, Mask, Raised, in_panic_hook};
use crate::hub::site::Site;
use crate::hub::task::{Body, Green, Kind, PinnedBody, Start, Task};
use crate::hub::wait::Request;
use crate::hub::{Hub, current, placement};
use crate::stacks;
use crate::wait_queue::{Place, WaitQueue};

/// What a join gives: the value, or the panic's payload. A green thread that
/// was killed gives [`Killed`].
pub type Result<T> = std::result::Result<T, Box<dyn Any + Send + 'static>>;

/// Starts a green thread on the hub that has the fewest; it stays there for
/// its whole life.
///
/// # Panics
///
/// If it cannot be started: see [`Builder::spawn`].
///
/// ```
/// let handle = greenhub::green_thread::spawn(|| 6 * 7);
/// assert_eq!(handle.join().unwrap(), 42);
/// ```
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(f).expect("failed to spawn thread")
}

/// Starts a green thread on the running green thread's own hub: what it
/// captures and returns need not be `Send`.
///
/// # Panics
///
/// Outside a green thread, and if it cannot be started: see
/// [`Builder::spawn_local`].
///
/// ```
/// use std::{cell::Cell, rc::Rc};
///
/// use greenhub::green_thread;
///
/// greenhub::run(|| {
///     let shared = Rc::new(Cell::new(0));
///     let theirs = shared.clone();
///     green_thread::spawn_local(move || theirs.set(7)).join().unwrap();
///     assert_eq!(shared.get(), 7);
/// });
/// ```
pub fn spawn_local<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    Builder::new()
        .spawn_local(f)
        .expect("failed to spawn thread")
}

/// Settings of a green thread to be started.
///
/// ```
/// use greenhub::green_thread::{self, Builder};
///
/// let handle = Builder::new()
///     .name("reader".to_owned())
///     .spawn(|| green_thread::current().name().map(str::to_owned))
///     .unwrap();
/// assert_eq!(handle.join().unwrap().as_deref(), Some("reader"));
/// ```
#[derive(Debug, Default)]
#[must_use = "must eventually spawn the thread"]
pub struct Builder {
    name: Option<String>,
    stack_size: Option<usize>,
    hub: Option<usize>,
}

impl Builder {
    /// No name, the default stack, any hub.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the green thread: in reports, and when its stack overflows. The
    /// hub's OS thread keeps its own name, which is the one a panic's message
    /// shows.
    pub fn name(mut self, name: String) -> Builder {
        self.name = Some(name);
        self
    }

    /// The size of its stack in bytes, rounded up to pages and to at least
    /// 32 KiB. Stacks of another size than
    /// [`Config::stack_size`](crate::Config::stack_size) are not kept for
    /// reuse, which makes starting such a green thread some ten times as slow.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Places it on the hub with this number, from 0 to
    /// [`hub_count`](crate::hub_count) − 1.
    pub fn hub(mut self, hub: usize) -> Builder {
        self.hub = Some(hub);
        self
    }

    /// Places it on the hub of `thread`, if that is a green thread: the two then
    /// never run at the same time, and wake each other without crossing to
    /// another OS thread.
    pub fn beside(mut self, thread: &Thread) -> Builder {
        self.hub = thread.task.green().map(|green| green.home.index);
        self
    }

    /// Starts the green thread.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` at the limit of memory mappings or when a stack cannot be
    /// mapped, with the limit's name in the message; `InvalidInput` for a hub
    /// that does not exist; at the first start, what kept the hubs from
    /// starting.
    ///
    /// # Panics
    ///
    /// If the name contains a NUL byte, as std does.
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let placed = self.place()?;
        let packet = Packet::new(None);
        let body = PinnedBody::new_send(Box::new(packet.clone().body(f)));
        Ok(JoinHandle(placed.start(body, packet)))
    }

    /// Starts the green thread without asking that what it borrows live as long
    /// as the program.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Builder::spawn).
    ///
    /// # Safety
    ///
    /// The caller sees to it that the green thread has ended, by joining it,
    /// before anything that `f` or its result borrows goes.
    ///
    /// # Panics
    ///
    /// As [`spawn`](Builder::spawn).
    pub unsafe fn spawn_unchecked<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        // SAFETY: handed on to the caller.
        unsafe { self.spawn_inner(f, None) }.map(JoinHandle)
    }

    /// As `spawn_unchecked`; the end of the green thread is noted in `scope`.
    ///
    /// # Safety
    ///
    /// As `spawn_unchecked`.
    pub(super) unsafe fn spawn_inner<'a, F, T>(
        self,
        f: F,
        scope: Option<Arc<ScopeData>>,
    ) -> io::Result<JoinInner<T>>
    where
        F: FnOnce() -> T + Send + 'a,
        T: Send + 'a,
    {
        let placed = self.place()?;
        if let Some(scope) = &scope {
            scope.begin();
        }
        let packet = Packet::new(scope);
        let body: Box<dyn FnOnce(Start) + Send + 'a> = Box::new(packet.clone().body(f));
        // SAFETY: only the lifetime changes. The caller promises that the body
        // has been run, or dropped, before `'a` ends.
        let body: Box<dyn FnOnce(Start) + Send + 'static> = unsafe { std::mem::transmute(body) };
        Ok(placed.start(PinnedBody::new_send(body), packet))
    }

    /// As the function [`spawn_local`]: on the running green thread's own hub.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Builder::spawn); `Unsupported` outside a green thread, where
    /// there is no hub to stay on; `InvalidInput` if another hub was asked for.
    ///
    /// # Panics
    ///
    /// As [`spawn`](Builder::spawn).
    pub fn spawn_local<F, T>(mut self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let Some(local) = current::local().filter(|_| current::is_green()) else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "spawn_local works inside a green thread only",
            ));
        };
        if self.hub.is_some_and(|hub| hub != local.hub.index) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "spawn_local stays on its own hub",
            ));
        }
        self.hub = Some(local.hub.index);
        let placed = self.place()?;
        let packet = Packet::new(None);
        let body: Body = Box::new(packet.clone().body(f));
        // SAFETY: placed on the hub of this OS thread, which runs it or drops
        // it there.
        let body = unsafe { PinnedBody::new_local(body) };
        Ok(JoinHandle(placed.start(body, packet)))
    }

    fn place(self) -> io::Result<Placed> {
        if let Some(name) = &self.name {
            assert!(
                !name.contains('\0'),
                "thread name may not contain interior null bytes"
            );
        }
        let hubs = placement::hubs()?;
        let hub = match self.hub {
            None => placement::choose(hubs),
            Some(index) => *hubs.get(index).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("there is no hub {index}, only {} of them", hubs.len()),
                )
            })?,
        };
        let stack_size = self.stack_size.map_or(settings().stack_size, round_stack);
        let on_spare = stacks::is_default(stack_size) && hub.promise_spare();
        if !on_spare {
            stacks::claim(stack_size)?;
        }
        Ok(Placed {
            name: self.name,
            stack_size,
            on_spare,
            hub,
        })
    }
}

/// A green thread with a hub and a stack, about to be started.
struct Placed {
    name: Option<String>,
    stack_size: usize,
    on_spare: bool,
    hub: &'static Hub,
}

impl Placed {
    fn start<T>(self, body: PinnedBody, packet: Arc<Packet<T>>) -> JoinInner<T> {
        let green = Green::new(self.hub, self.stack_size, self.on_spare, body);
        let parent = match current::is_green() {
            true => current::with(|task| task.id),
            false => 0,
        };
        let task = Arc::new(Task::new(self.name, parent, Kind::Green(green)));
        self.hub.adopt(task.clone());
        JoinInner {
            thread: Thread { task },
            packet,
        }
    }
}

/// Where a green thread leaves its result.
pub(super) struct Packet<T> {
    outcome: Mutex<Outcome<T>>,
    finished: AtomicBool,
    joiners: WaitQueue,
    scope: Option<Arc<ScopeData>>,
}

/// The result, once there is one, and whom to wake for it: the task that awaits
/// the handle.
struct Outcome<T> {
    result: Option<Result<T>>,
    waker: Option<Waker>,
}

impl<T> Packet<T> {
    fn new(scope: Option<Arc<ScopeData>>) -> Arc<Packet<T>> {
        Arc::new(Packet {
            outcome: Mutex::new(Outcome {
                result: None,
                waker: None,
            }),
            finished: AtomicBool::new(false),
            joiners: WaitQueue::new(),
            scope,
        })
    }

    /// The whole life of the green thread that runs `f`. Does not unwind.
    fn body<F: FnOnce() -> T>(self: Arc<Packet<T>>, f: F) -> impl FnOnce(Start) {
        move |start| {
            let result = match start {
                Start::Run => catch_unwind(AssertUnwindSafe(f)),
                Start::Killed => not_run(f, Killed),
                Start::NoStack => not_run(f, io::Error::from(io::ErrorKind::OutOfMemory)),
            };
            let result = result.map_err(|payload| match payload.downcast::<Raised>() {
                Ok(_) => Box::new(Killed),
                Err(panic) => panic,
            });
            // What is left are destructors: a kill does not interrupt them.
            let _mask = Mask::new();
            if current::is_green() {
                current::with(|task| {
                    task.interrupts.caught();
                    // Before the joiner hears of the end, as std has it.
                    end_locals(&task.locals);
                });
            }
            let waker = {
                let mut outcome = self.outcome.lock();
                outcome.result = Some(result);
                outcome.waker.take()
            };
            self.finished.store(true, Ordering::Release);
            self.joiners.wake_all();
            if let Some(waker) = waker {
                // An executor's code, which may do anything.
                let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            }
            // The last handle to an unwanted result: its drop is user code.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(self)));
        }
    }
}

/// Drops a thread's own values. A panic there aborts, as in std.
fn end_locals(locals: &Locals) {
    if catch_unwind(AssertUnwindSafe(|| locals.end())).is_err() {
        let _ = writeln!(
            io::stderr(),
            "fatal runtime error: thread local panicked on drop, aborting"
        );
        process::abort();
    }
}

/// Drops a body that is not to run, and says why.
fn not_run<F, T, E: Any + Send>(f: F, why: E) -> Result<T> {
    let _mask = Mask::new();
    let _ = catch_unwind(AssertUnwindSafe(|| drop(f)));
    Err(Box::new(why))
}

impl<T> Drop for Packet<T> {
    fn drop(&mut self) {
        let result = self.outcome.get_mut().result.take();
        let unhandled_panic = matches!(result, Some(Err(_)));
        // The result may use what the scope lends, so it goes first.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(result)));
        if let Some(scope) = self.scope.take() {
            scope.end(unhandled_panic || dropped.is_err());
        }
    }
}

/// What both kinds of handles hold.
pub(super) struct JoinInner<T> {
    pub(super) thread: Thread,
    packet: Arc<Packet<T>>,
}

impl<T> JoinInner<T> {
    pub(super) fn is_finished(&self) -> bool {
        self.packet.finished.load(Ordering::Acquire)
    }

    /// A thread that waited for its own end would never see it.
    fn refuse_self(&self) {
        if current::with(|task| Arc::ptr_eq(task, &self.thread.task)) {
            let error = io::Error::from_raw_os_error(libc::EDEADLK);
            panic!("failed to join thread: {error}");
        }
    }

    pub(super) fn join(self) -> Result<T> {
        self.refuse_self();
        let request = Request {
            site: Site::Join(self.thread.task.id),
            deadline: Nanos::NEVER,
            poll_for: None,
        };
        while !self.is_finished() {
            self.packet
                .joiners
                .wait_for(request, Place::Back, |_| !self.is_finished())
                .expect("only a wait for a descriptor can fail");
        }
        let result = self.packet.outcome.lock().result.take();
        result.expect("the result was taken when the handle was awaited")
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.refuse_self();
        let mut outcome = self.packet.outcome.lock();
        if let Some(result) = outcome.result.take() {
            return Poll::Ready(result);
        }
        assert!(
            !self.is_finished(),
            "a join handle was polled after it had given its result"
        );
        let waker = outcome.waker.replace(context.waker().clone());
        // Its drop is an executor's code.
        drop(outcome);
        drop(waker);
        Poll::Pending
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        kill(&self.thread.task)
    }
}

/// As [`JoinHandle::kill`].
pub(crate) fn kill(victim: &Arc<Task>) -> io::Result<()> {
    if !CAN_UNWIND {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "killing needs unwinding, and this program is built with panic = \"abort\"",
        ));
    }
    victim.kill();
    if let (Some(green), Some(local)) = (victim.green(), current::local())
        && current::is_green()
        && !in_panic_hook()
        && std::ptr::eq(green.home, local.hub)
    {
        current::with(|task| {
            if let Some(own) = task.green().filter(|_| !Arc::ptr_eq(task, victim)) {
                // It sees the kill before we go on.
                local.hurry(victim);
                local.push(task.clone());
                local.suspend(own, task.is_panicking());
            }
        });
    }
    Ok(())
}

/// A handle to a green thread: to join it, or to end it.
///
/// Dropping it detaches the green thread.
pub struct JoinHandle<T>(JoinInner<T>);

// SAFETY: as std's. A handle gives access to the result alone, which `spawn`
// asks to be `Send`; `spawn_local` does not, hence the bound.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: `&JoinHandle` reaches the thread's handle and an atomic.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// The green thread's id, name and park token.
    pub fn thread(&self) -> &Thread {
        &self.0.thread
    }

    /// Parks the running thread, green or OS, until the green thread has ended,
    /// and gives its value.
    ///
    /// # Errors
    ///
    /// The payload of its panic, unchanged; [`Killed`] if it was killed.
    ///
    /// # Panics
    ///
    /// If a green thread joins itself, as in std.
    pub fn join(self) -> Result<T> {
        self.0.join()
    }

    /// Whether the green thread has ended: then [`join`](JoinHandle::join) does
    /// not wait.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Ends the green thread: the wait that it is in, or its next one, unwinds.
    /// If it has not run yet, it never will. If it has ended, nothing happens.
    ///
    /// Asked by a green thread of the same hub, the victim sees it before the
    /// asker goes on. A green thread that catches the unwind meets it again at
    /// its next wait.
    ///
    /// # Errors
    ///
    /// `Unsupported` in a program built with `panic = "abort"`.
    pub fn kill(&self) -> io::Result<()> {
        self.0.kill()
    }

    /// Keeps the green thread from running, if it has not started yet, and says
    /// whether that was so; one that has started is left alone.
    pub fn cancel(&self) -> bool {
        let task = &self.0.thread.task;
        task.green().is_some_and(|green| {
            let body = green.body.lock();
            body.is_some() && {
                task.interrupts.mark_killed();
                true
            }
        })
    }
}

/// Awaits the end of the green thread from `async` code, on any executor, and
/// gives what [`join`](JoinHandle::join) gives.
///
/// Dropping the future is dropping the handle: the green thread goes on. To
/// give up waiting and keep the handle, await `&mut handle`; nothing is lost,
/// and the handle can be awaited or joined afterwards. The task that polled
/// last is the one that is woken.
///
/// # Panics
///
/// Polling panics once the result has been given, as joining then does, and if
/// a green thread awaits itself.
///
/// ```
/// use greenhub::green_thread::spawn;
///
/// async fn sum() -> u32 {
///     let (a, b) = (spawn(|| 40), spawn(|| 2));
///     a.await.unwrap() + b.await.unwrap()
/// }
/// # use std::{pin::pin, sync::Arc, task::{Context, Poll, Wake}, thread};
/// # struct Unpark(thread::Thread);
/// # impl Wake for Unpark { fn wake(self: Arc<Self>) { self.0.unpark() } }
/// # let waker = Arc::new(Unpark(thread::current())).into();
/// # let mut future = pin!(sum());
/// # loop {
/// #     match future.as_mut().poll(&mut Context::from_waker(&waker)) {
/// #         Poll::Ready(sum) => break assert_eq!(sum, 42),
/// #         Poll::Pending => thread::park(),
/// #     }
/// # }
/// ```
impl<T> Future for JoinHandle<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.0.poll(context)
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}
