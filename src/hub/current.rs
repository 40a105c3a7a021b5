//! Which thread runs here: the current task and the current hub of an OS thread.
//!
//! # Safety
//!
//! [`CURRENT`] is set where a leg begins, and cleared by the hub's loop. The task that it is set to
//! stays in the hub's list of green threads, or in [`Local::running`], until it has ended and
//! [`CURRENT`] is cleared, or set to another. A suspended coroutine always comes back
//! on the same OS thread, so a reference taken here may be held across a wait.
#![expect(unsafe_code, reason = "the current task is a pointer set by the hub")]

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use super::Hub;
use super::local::Local;
use super::os_parker::OsParker;
use super::task::{Kind, Task};
use crate::sys::signal::Occupant;
use crate::sys::thread_end;
use crate::thread_locals;

thread_local! {
    static CURRENT: Cell<*const Task> = const { Cell::new(ptr::null()) };
    static LOCAL: Cell<Option<&'static Local>> = const { Cell::new(None) };
    static OS_CURRENT: Cell<*const Task> = const { Cell::new(ptr::null()) };
    static OVER: Cell<bool> = const { Cell::new(false) };
    static OWN_VALUES: OwnValues = const { OwnValues };
}

/// The hub whose loop runs on this OS thread, if it is a hub's.
// Never inlined, so that the thread-local's address is taken anew after a wait.
#[inline(never)]
pub(crate) fn local() -> Option<&'static Local> {
    LOCAL.get()
}

/// Begins a green thread of the hub whose [`Local`] is at `local`: if it has thread-locals of its
/// own, these do not yet say who runs.
///
/// # Safety
///
/// By the green thread itself, with the address of its hub's [`Local`].
pub(crate) unsafe fn enter(local: usize) {
    if thread_locals::are_own() {
        // SAFETY: as the caller promises; it lives as long as the process.
        let local = unsafe { &*(local as *const Local) };
        set_local(local);
        follow(local);
        thread_locals::make_values();
    }
}

/// The carrier that runs here polls for whoever runs on its hub from now on.
pub(super) fn follow(local: &Local) {
    CURRENT.with(|current| as_atomic(current).store(local.running().cast_mut(), Relaxed));
}

pub(super) fn set_local(local: &'static Local) {
    LOCAL.set(Some(local));
    #[cfg(feature = "sim")]
    crate::world::enter(local.world);
}

/// Makes this OS thread the one of the hub of `local`, for good.
pub(super) fn set_hub(local: &'static Local) {
    set_local(local);
    // SAFETY: the OS thread of a hub never ends, so its thread-local lasts as long as the process.
    let current = CURRENT.with(|current| unsafe { &*ptr::from_ref(as_atomic(current)) });
    local.current.set(current);
    // An error says that it is known.
    let _ = local.hub.current.set(current);
}

/// Makes `task`, or nobody, the one that runs on the hub of `local`. A green thread with
/// thread-locals of its own knows it from its beginning; this is for the OS thread.
#[inline]
pub(super) fn set_on(local: &Local, task: *const Task) {
    // SAFETY: set by `set_hub` to a thread-local of the hub's OS thread, where we run,
    // as its loop or as a green thread of it.
    unsafe { (*local.current.get()).store(task.cast_mut(), Relaxed) };
}

/// As it is written, and as reports on other OS threads see that of a hub's. Its own thread, which alone writes
/// it, reads it as a cell: the compiler may then read once for several times.
fn as_atomic(current: &Cell<*const Task>) -> &AtomicPtr<Task> {
    // SAFETY: of the same size and alignment. Whoever is on another OS thread only reads, and all writes are atomic.
    unsafe { AtomicPtr::from_ptr(current.as_ptr().cast()) }
}

/// Whether a green thread runs.
#[inline]
pub(crate) fn is_green() -> bool {
    !CURRENT.get().is_null()
}

/// Who runs here, for signal handlers.
pub(crate) fn occupant() -> Option<Occupant> {
    let current = CURRENT.get();
    // SAFETY: as in `with`; only fields that never change are read, and one
    // atomic.
    let task = unsafe { current.as_ref() }?;
    let green = task.green()?;
    Some(Occupant {
        bottom: green.legs.stack_top()?.checked_sub(green.stack_size)?,
        size: green.stack_size,
        asked: green.stack_size - thread_locals::room(),
        id: task.id,
        name: task.name.as_deref().map(|name| &raw const *name),
    })
}

/// Calls `f` with the running thread, green or not.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Arc<Task>) -> R) -> R {
    let current = CURRENT.get();
    if current.is_null() {
        return with_os_task(f);
    }
    // SAFETY: the pointer came from `Arc::as_ptr` of a task that its hub's list
    // keeps alive while it runs (module, # Safety); not dropped here.
    let task = ManuallyDrop::new(unsafe { Arc::from_raw(current) });
    f(&task)
}

/// Calls `f` with the running thread, unless it is an OS thread that this crate
/// has not met yet.
#[inline]
pub(crate) fn with_known<R>(f: impl FnOnce(&Arc<Task>) -> R) -> Option<R> {
    (is_green() || !os_task().is_null()).then(|| with(f))
}

/// Calls `f` with the running thread as a plain OS thread.
pub(crate) fn with_os_task<R>(f: impl FnOnce(&Arc<Task>) -> R) -> R {
    let mut known = os_task();
    if known.is_null() {
        known = meet();
    }
    // SAFETY: set by `meet` to a task that is let go of in `part` alone, which
    // clears it before, or never; not dropped here.
    let task = ManuallyDrop::new(unsafe { Arc::from_raw(known) });
    f(&task)
}

/// The hub, if green threads have thread-locals of their own: what is the OS
/// thread's is found there.
fn local_of_own() -> Option<&'static Local> {
    local().filter(|_| thread_locals::are_own())
}

fn os_task() -> *const Task {
    local_of_own().map_or_else(|| OS_CURRENT.get(), |local| local.os_task.get())
}

/// Makes this OS thread's task, which lasts until the OS thread has ended, since destructors of
/// thread-locals may wait too, in whatever order they run.
#[cold]
fn meet() -> *const Task {
    let new = |name: Option<String>| {
        let name = name.map(String::into_boxed_str);
        Arc::into_raw(Arc::new(Task::new(name, 0, Kind::Os(OsParker::default()))))
    };
    if let Some(local) = local_of_own() {
        // It never ends.
        let task = new(Some(Hub::os_thread_name(local.hub.home.index)));
        local.os_task.set(task);
        return task;
    }
    // Where std has let go of its own handle, to ask for it would panic.
    let name = match OVER.get() {
        true => None,
        false => std::thread::current().name().map(str::to_owned),
    };
    let task = new(name);
    OS_CURRENT.set(task);
    thread_end::call_at_end(part);
    // An error says that the thread is ending: then `part` drops its values.
    let _ = OWN_VALUES.try_with(|_| ());
    task
}

/// The OS thread is over, except for what other libraries do at its end.
fn part() {
    OVER.set(true);
    with_os_task(|task| task.end_values());
    let task = OS_CURRENT.replace(ptr::null());
    // SAFETY: made by `Arc::into_raw` in `meet`, and nobody has it any more.
    drop(unsafe { Arc::from_raw(task) });
}

/// Drops an OS thread's own values as std drops its thread-locals.
struct OwnValues;

impl Drop for OwnValues {
    fn drop(&mut self) {
        with_os_task(|task| task.values.end());
    }
}
