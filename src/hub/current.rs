//! Which thread runs here: the current task and the current hub of an OS thread.
//!
//! # Safety
//!
//! [`CURRENT`] is set by the hub's loop alone, around each resume, to a task
//! that stays in the hub's list of green threads until it has ended and the
//! loop has cleared [`CURRENT`] again. A suspended coroutine always comes back
//! on the same OS thread, so a reference taken here may be held across a wait.
#![expect(unsafe_code, reason = "the current task is a pointer set by the hub")]

use std::cell::{Cell, OnceCell};
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Arc;

use super::os_parker::OsParker;
use super::task::{Kind, Task};
use super::turn::Local;
use crate::sys::signal::Occupant;

thread_local! {
    static CURRENT: Cell<*const Task> = const { Cell::new(ptr::null()) };
    static LOCAL: Cell<Option<&'static Local>> = const { Cell::new(None) };
    static OS_CURRENT: Cell<*const Task> = const { Cell::new(ptr::null()) };
    static OS_TASK: OnceCell<OsTask> = const { OnceCell::new() };
}

/// The hub whose loop runs on this OS thread, if it is a hub's.
// Never inlined, so that the thread-local's address is taken anew after a wait.
#[inline(never)]
pub(crate) fn local() -> Option<&'static Local> {
    LOCAL.get()
}

pub(super) fn set_local(local: &'static Local) {
    LOCAL.set(Some(local));
}

/// Makes `task` the current one and gives back the one before.
pub(super) fn replace(task: *const Task) -> *const Task {
    CURRENT.replace(task)
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
pub(crate) fn with_known<R>(f: impl FnOnce(&Arc<Task>) -> R) -> Option<R> {
    (is_green() || !OS_CURRENT.get().is_null()).then(|| with(f))
}

/// Calls `f` with the running thread as a plain OS thread.
pub(crate) fn with_os_task<R>(f: impl FnOnce(&Arc<Task>) -> R) -> R {
    let known = OS_CURRENT.get();
    if !known.is_null() {
        // SAFETY: set below to a task that `OS_TASK` keeps alive, and cleared
        // before it lets go; not dropped here.
        let task = ManuallyDrop::new(unsafe { Arc::from_raw(known) });
        return f(&task);
    }
    let name = std::thread::current().name().map(str::to_owned);
    let task = Arc::new(Task::new(name, 0, Kind::Os(OsParker::default())));
    // An error says that the thread is ending and has let go of its task: then
    // a fresh one serves for this call.
    let _ = OS_TASK.try_with(|kept| {
        OS_CURRENT.set(Arc::as_ptr(&task));
        let _ = kept.set(OsTask(task.clone()));
    });
    f(&task)
}

/// Ends an OS thread's task with the OS thread: its locals are dropped while it
/// is still the current one.
struct OsTask(Arc<Task>);

impl Drop for OsTask {
    fn drop(&mut self) {
        self.0.locals.end();
        OS_CURRENT.set(ptr::null());
    }
}
