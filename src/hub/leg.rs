//! A green thread's legs: each runs its fiber from where it starts or waited to where it waits or ends.
//!
//! # Safety
//!
//! Only the hub's OS thread calls [`Legs::begin`]. Only the hub's loop, in `turn`, calls [`Legs::run`] and [`Legs::end`], and only
//! the green thread itself calls [`Legs::leave`] and [`Legs::leave_for`]; only what runs on a
//! carrier calls [`rest`], after it has given the carrier back. Only `visit`, which lets nobody wait in it, calls
//! [`Legs::call_on_hub`]. Whether a
//! leg runs on the home hub's OS thread, whoever begins it looks each time.
#![expect(unsafe_code, reason = "resumes and leaves fibers")]

use std::cell::Cell;
use std::fmt;
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::engine::{Fiber, Stack};

/// The stack of a green thread, and once it has begun the fiber that runs there. One that has
/// no stack of its own is lent a fiber for each of its polls.
#[derive(Debug)]
pub(crate) struct Legs {
    stack: Unbegun,
    /// Home. Null before the first leg, and while nobody lends one.
    fiber: AtomicPtr<()>,
    /// Home: whether the last leg is over and the stack is still there.
    over: AtomicBool,
}

/// The stack of one that has not begun.
struct Unbegun(Cell<Option<Stack>>);

// SAFETY: set before others know of it, and taken by the hub's OS thread alone, where it begins (module, # Safety).
unsafe impl Sync for Unbegun {}

impl fmt::Debug for Unbegun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unbegun")
    }
}

impl Legs {
    #[inline(always)]
    pub(crate) fn new(stack: Stack) -> Legs {
        Legs {
            stack: Unbegun(Cell::new(Some(stack))),
            fiber: AtomicPtr::new(ptr::null_mut()),
            over: AtomicBool::new(false),
        }
    }

    /// Of one without a stack of its own.
    pub(crate) fn without_stack() -> Legs {
        Legs {
            stack: Unbegun(Cell::new(None)),
            fiber: AtomicPtr::new(ptr::null_mut()),
            over: AtomicBool::new(false),
        }
    }

    /// Lends `carrier`, which rests or is new, to the one at `owner`, whose legs these are.
    pub(super) fn lend(&self, carrier: Fiber, owner: *const ()) {
        // SAFETY: nobody has made it end.
        unsafe { carrier.set_owner(owner) };
        self.fiber.store(carrier.as_raw(), Ordering::Relaxed);
    }

    /// Gives back the fiber that was lent.
    pub(super) fn give_back(&self) -> Option<Fiber> {
        let carrier = self.fiber()?;
        self.fiber.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: it runs.
        unsafe { carrier.set_owner(ptr::null()) };
        Some(carrier)
    }

    /// The fiber, of a green thread that has begun and not ended, or that was lent one.
    #[inline]
    pub(super) fn fiber(&self) -> Option<Fiber> {
        Fiber::from_raw(self.fiber.load(Ordering::Relaxed))
    }

    pub(crate) fn have_begun(&self) -> bool {
        !self.fiber.load(Ordering::Relaxed).is_null()
    }

    /// Where the fiber keeps what a switch reads first.
    #[inline]
    pub(super) fn context(&self) -> usize {
        self.fiber.load(Ordering::Relaxed) as usize
    }

    /// The end of the stack, for the running green thread.
    pub(super) fn stack_top(&self) -> Option<usize> {
        // SAFETY: a green thread that runs has not ended.
        self.fiber().map(|fiber| unsafe { fiber.top() })
    }

    /// Makes a fiber that will run `body` with `argument`, of the green thread at `owner`.
    pub(super) fn begin(&self, body: fn(usize), argument: usize, owner: *const ()) -> Fiber {
        let stack = self.stack.0.take().expect("a green thread begins once");
        let fiber = Fiber::new(stack, body, argument, owner);
        self.fiber.store(fiber.as_raw(), Ordering::Relaxed);
        fiber
    }

    /// Runs the green thread, and those that it switches to, until one of them waits (true) or ends
    /// (false). Then the legs of the one that ended are [over](Legs::are_over).
    #[inline]
    pub(super) fn run(&self, at_home: bool) -> bool {
        if !at_home {
            refuse();
        }
        let fiber = self.fiber().expect("a green thread has begun");
        // SAFETY: on the home hub's OS thread, by its loop (module, # Safety).
        unsafe { fiber.resume() }
    }

    /// Takes note that the last leg is over: `run` has given false.
    pub(super) fn are_over(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Leaves the running green thread, which is this one, for the loop.
    #[inline]
    pub(super) fn leave(&self) {
        if let Some(fiber) = self.fiber() {
            // SAFETY: by the green thread itself (module, # Safety).
            unsafe { fiber.suspend() };
        }
    }

    /// Switches from the running green thread, which is this one, straight to `next`, the fiber of one
    /// that waits or has just begun, or this one's own.
    #[inline]
    pub(super) fn leave_for(&self, next: Fiber, at_home: bool) {
        if !at_home {
            refuse();
        }
        if let Some(fiber) = self.fiber().filter(|fiber| *fiber != next) {
            // SAFETY: by the green thread itself (module, # Safety), on the OS thread
            // that is home to both.
            unsafe { fiber.suspend_for(next) };
        }
    }

    /// Calls `f`, which does not wait, on the hub's own stack. Called by the running green thread, whose legs these are.
    #[inline]
    pub(super) fn call_on_hub<R>(&self, f: impl FnOnce() -> R) -> R {
        match self.fiber() {
            // SAFETY: by the green thread itself, and `f` does not leave it (module, # Safety).
            Some(fiber) => unsafe { fiber.call_on_hub(f) },
            None => f(),
        }
    }

    /// The stack of a green thread that has ended, once.
    pub(super) fn end(&self) -> Option<Stack> {
        let over = self.over.load(Ordering::Relaxed);
        self.over.store(false, Ordering::Relaxed);
        // SAFETY: `resume` has given false for it, and this says so once, at home.
        self.fiber()
            .filter(|_| over)
            .map(|fiber| unsafe { fiber.end() })
    }
}

/// Leaves `carrier`, on which we run and which has been given back, for `next` or the loop, until it
/// is lent again and resumed.
#[inline]
pub(super) fn rest(carrier: Fiber, next: Option<Fiber>, at_home: bool) {
    match next {
        Some(next) if next == carrier => (),
        Some(next) => {
            if !at_home {
                refuse();
            }
            // SAFETY: by what runs on it (module, # Safety), on the OS thread that is
            // home to both.
            unsafe { carrier.suspend_for(next) };
        }
        // SAFETY: as above.
        None => unsafe { carrier.suspend() },
    }
}

/// A started stack must never run on another OS thread: memory would be corrupt.
#[cold]
fn refuse() -> ! {
    eprintln!("green: a green thread was resumed on an OS thread that is not its home hub's");
    process::abort();
}
