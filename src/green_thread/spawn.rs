//! Starting a green thread.
#![expect(
    unsafe_code,
    reason = "a scoped body outlives its type's lifetime, a local one crosses into its own hub"
)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::inherited;
use super::join_handle::{JoinHandle, JoinInner};
use super::packet::Packet;
use super::scope_data::ScopeData;
use super::thread::Thread;
use crate::clock::Nanos;
use crate::config::{round_stack, settings};
use crate::engine::Stack;
use crate::hub::leg::Legs;
use crate::hub::task::{Body, Green, Kind, PinnedBody, Start, Task};
use crate::hub::{Hub, carrier, current, placement};
use crate::thread_locals;

/// Starts a green thread on the hub that has the fewest green threads; it stays there for
/// its whole life.
///
/// # Panics
///
/// If it cannot be started: see [`Builder::spawn`].
///
/// ```
/// let handle = green::thread::spawn(|| 6 * 7);
/// assert_eq!(handle.join().unwrap(), 42);
/// ```
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    expect_spawned(Builder::new().spawn(f))
}

/// As [`spawn`], but the green thread starts no sooner than `delay` from now, whether the spawner
/// still exists or not. Until then it can be [cancelled](JoinHandle::cancel).
///
/// # Panics
///
/// As [`spawn`].
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use green::thread::spawn_after;
///
/// let (delay, spawned) = (Duration::from_millis(5), Instant::now());
/// let later = spawn_after(delay, Instant::now);
/// let never = spawn_after(Duration::from_secs(3600), || ());
/// assert!(later.join().unwrap() >= spawned + delay);
/// assert!(never.cancel());
/// assert!(never.join().is_err());
/// ```
pub fn spawn_after<F, T>(delay: Duration, f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    expect_spawned(Builder::new().after(delay).spawn(f))
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
/// use green::thread;
///
/// green::run(|| {
///     let shared = Rc::new(Cell::new(0));
///     let theirs = shared.clone();
///     thread::spawn_local(move || theirs.set(7)).join().unwrap();
///     assert_eq!(shared.get(), 7);
/// });
/// ```
pub fn spawn_local<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    expect_spawned(Builder::new().spawn_local(f))
}

/// Panics where there is no green thread. Until the hubs have started the refusal may be theirs, and the system's words
/// do not say so.
pub(super) fn expect_spawned<T>(outcome: io::Result<T>) -> T {
    outcome.unwrap_or_else(|error| {
        let whose = match placement::started() {
            [] => ": the hubs did not start, each of which takes two descriptors and an OS thread",
            _ => "",
        };
        panic!("failed to spawn thread{whose}: {error}")
    })
}

/// Settings of a green thread to be started.
///
/// ```
/// use green::thread::{self, Builder};
///
/// let handle = Builder::new()
///     .name("reader".to_owned())
///     .spawn(|| thread::current().name().map(str::to_owned))
///     .unwrap();
/// assert_eq!(handle.join().unwrap().as_deref(), Some("reader"));
/// ```
#[derive(Debug, Default)]
#[must_use = "must eventually spawn the thread"]
pub struct Builder {
    name: Option<String>,
    stack_size: Option<usize>,
    hub: Option<usize>,
    after: Option<Duration>,
    shielded: bool,
}

impl Builder {
    /// Without a name, with the default stack size, on any hub.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the green thread: in reports, when its stack overflows, and in front
    /// of a panic's message, which itself shows another name: none, or that of the
    /// hub's OS thread where thread-locals are shared.
    pub fn name(mut self, name: String) -> Builder {
        self.name = Some(name);
        self
    }

    /// The size of its stack in bytes, rounded up to pages and to at least
    /// 32 KiB. Memory is taken by the pages that are touched, whatever the size.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Places it on the hub with this number, from 0 to
    /// [`hub_count`](crate::hub_count) − 1.
    ///
    /// ```
    /// use green::thread::Builder;
    ///
    /// let hubs = green::hub_count()?;
    /// assert!(Builder::new().hub(hubs - 1).spawn(|| ()).is_ok());
    /// assert!(Builder::new().hub(hubs).spawn(|| ()).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn hub(mut self, hub: usize) -> Builder {
        self.hub = Some(hub);
        self
    }

    /// Places it on the hub of `thread`, if that is a green thread: the two then
    /// never run at the same time, and wake each other without crossing to
    /// another OS thread.
    ///
    /// ```
    /// use green::thread::{Builder, current, park, spawn};
    ///
    /// let first = spawn(park);
    /// let hub_of = || {
    ///     let threads = green::report().threads;
    ///     threads.iter().find(|thread| thread.id == current().id()).unwrap().hub
    /// };
    /// let second = Builder::new().beside(first.thread()).spawn(hub_of)?;
    /// let third = Builder::new().beside(first.thread()).spawn(hub_of)?;
    /// assert_eq!(second.join().unwrap(), third.join().unwrap());
    /// first.thread().unpark();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn beside(mut self, thread: &Thread) -> Builder {
        self.hub = thread.task.green().map(|green| green.home.index);
        self
    }

    /// Lets it start no sooner than `delay` after it was spawned. Until then its stack takes up no
    /// memory, it can be [cancelled](JoinHandle::cancel), and a report shows it as asleep.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// use green::thread::Builder;
    ///
    /// let spawned = Instant::now();
    /// let later = Builder::new().after(Duration::from_millis(5)).spawn(Instant::now)?;
    /// assert!(later.join().unwrap() - spawned >= Duration::from_millis(5));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn after(mut self, delay: Duration) -> Builder {
        self.after = Some(delay);
        self
    }

    /// No kill ends it, nor keeps it from starting: a thread of the runtime's own, on which all others of its hub
    /// rely. In a simulation it ends with the program.
    pub(crate) fn serves_the_hub(mut self) -> Builder {
        self.shielded = true;
        #[cfg(feature = "sim")]
        if crate::world::here().is_some() {
            self.shielded = false;
        }
        self
    }

    /// Starts the green thread.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` at the limit of memory mappings or when a stack cannot be
    /// mapped, with the limit's name in the message; `InvalidInput` for a hub
    /// that does not exist; at the first start, what kept the hubs from
    /// starting; `Unsupported` in a child of fork(2), which has no hubs.
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
        let packet = Packet::new();
        let body = PinnedBody::new_send(Box::new(packet.clone().body(f)));
        Ok(JoinHandle(placed.start(body, packet)))
    }

    /// Starts the green thread without requiring that what it borrows live as long as the program.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Builder::spawn).
    ///
    /// # Safety
    ///
    /// The caller must make sure, by joining it, that the green thread has ended before anything
    /// that `f` or its result borrows is dropped.
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
        let packet = Packet::in_scope(scope);
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
        self.hub = Some(own_hub(self.hub)?);
        let placed = self.place()?;
        let packet = Packet::new();
        let body: Body = Box::new(packet.clone().body(f));
        // SAFETY: placed on the hub of this OS thread, which runs it or drops
        // it there.
        let body = unsafe { PinnedBody::new_local(body) };
        Ok(JoinHandle(placed.start(body, packet)))
    }

    fn place(self) -> io::Result<Placed> {
        let hubs = placement::hubs()?;
        let hub = choose_hub(self.name.as_deref(), self.hub)?;
        let stack_size = self.stack_size.map_or(settings().stack_size, round_stack);
        let stack_size = stack_size.saturating_add(thread_locals::room());
        let stack = match self.after {
            None => hub.stacks.take(stack_size),
            Some(_) => hub.stacks.take_untouched(stack_size),
        };
        // At a limit, another hub that has one will do.
        let (hub, stack) = stack.map(|stack| (hub, stack)).or_else(|error| {
            let others = hubs.iter().filter(|_| self.hub.is_none());
            let with_stack = |hub: &&'static Hub| Some((*hub, hub.stacks.take_kept(stack_size)?));
            others.filter_map(with_stack).next().ok_or(error)
        })?;
        Ok(Placed {
            name: self.name,
            stack,
            stack_size,
            hub,
            shielded: self.shielded,
            start: self
                .after
                .map_or(Nanos::LONG_AGO, |delay| Nanos::now().later_by(delay)),
        })
    }
}

/// The hub for a green thread of this name: the one that was asked for, or any.
///
/// # Errors
///
/// `InvalidInput` if there is no such hub; at the first start, what kept the hubs from starting.
///
/// # Panics
///
/// If the name contains a NUL byte, as std does.
#[inline(always)]
fn choose_hub(name: Option<&str>, hub: Option<usize>) -> io::Result<&'static Hub> {
    if let Some(name) = name {
        assert!(
            !name.contains('\0'),
            "thread name may not contain interior null bytes"
        );
    }
    let hubs = placement::hubs()?;
    match hub {
        None => Ok(placement::choose(hubs)),
        Some(index) => hubs.get(index).copied().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("there is no hub {index}, only {} of them", hubs.len()),
            )
        }),
    }
}

/// The hub that what is spawned locally stays on.
///
/// # Errors
///
/// `Unsupported` outside a green thread; `InvalidInput` if another one was asked for.
pub(crate) fn own_hub(asked: Option<usize>) -> io::Result<usize> {
    let Some(local) = current::local().filter(|_| current::is_green()) else {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "spawn_local works inside a green thread only",
        ));
    };
    match asked.is_some_and(|hub| hub != local.hub.home.index) {
        true => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "spawn_local stays on its own hub",
        )),
        false => Ok(local.hub.home.index),
    }
}

/// Who starts another one, as its report names it.
#[inline(always)]
fn parent() -> u64 {
    match current::is_green() {
        true => current::with(|task| task.id),
        false => 0,
    }
}

/// Starts a green thread that consists of `future` and has no stack of its own.
///
/// # Errors
///
/// As those of [`choose_hub`].
///
/// # Panics
///
/// As [`choose_hub`].
pub(crate) fn start_future(
    name: Option<String>,
    hub: Option<usize>,
    future: PinnedBody,
) -> io::Result<Arc<Task>> {
    let hub = choose_hub(name.as_deref(), hub)?;
    let green = Green::new(
        &hub.home,
        Legs::without_stack(),
        settings().stack_size + thread_locals::room(),
        Some(future),
        Nanos::LONG_AGO,
        Some(carrier::carry),
    );
    let name = name.map(String::into_boxed_str);
    let task = Arc::new(Task::new(name, parent(), Kind::Green(green)));
    // Its polls are a wait for a future, around those that they may begin themselves.
    task.awaits.store(1, Ordering::Relaxed);
    inherited::hand_down(&task);
    hub.adopt(task.clone());
    Ok(task)
}

/// A green thread with a hub and a stack, about to be started.
struct Placed {
    name: Option<String>,
    stack: Stack,
    stack_size: usize,
    hub: &'static Hub,
    /// When to start it, if not at once.
    start: Nanos,
    shielded: bool,
}

impl Placed {
    fn start<T>(self, body: PinnedBody, packet: Arc<Packet<T>>) -> JoinInner<T> {
        JoinInner {
            thread: Thread {
                task: self.begin(body),
            },
            packet,
        }
    }

    fn begin(self, body: PinnedBody) -> Arc<Task> {
        let name = self.name.map(String::into_boxed_str);
        // The place first, and nothing that may unwind between the parts and the whole:
        // so they are written right there.
        let place = Arc::<Task>::new_uninit();
        let green = Green::new(
            &self.hub.home,
            Legs::new(self.stack),
            self.stack_size,
            Some(body),
            self.start,
            None,
        );
        let task = Task::new(name, parent(), Kind::Green(green));
        // SAFETY: nobody else has it, which `Arc::get_mut` would lock it to find out.
        unsafe { Arc::as_ptr(&place).cast::<Task>().cast_mut().write(task) };
        // SAFETY: written just now.
        let task = unsafe { place.assume_init() };
        if self.shielded {
            task.interrupts.shield_for_life();
        }
        inherited::hand_down(&task);
        self.hub.adopt(task.clone());
        task
    }
}
