//! The engine of our own: a fiber is a head at the top of its stack, and two contexts that are switched.
//!
//! ```text
//!   top    ┌───────────────────────────┐  a page boundary
//!          │ Head                      │  contexts of the fiber and of the hub
//!          ├───────────────────────────┤
//!          │ begin, first, body, …     │  frames, downwards
//!          │                           │
//!   bottom ├───────────────────────────┤
//!          │ guard                     │
//!          └───────────────────────────┘
//! ```
//!
//! The architecture's file has the switch and the first frame, nothing else.
//!
//! # Safety
//!
//! Between [`Fiber::new`] and [`Fiber::end`] the stack belongs to the fiber. Its
//! head is written by these two, by the switch and by [`first`] alone.
#![expect(unsafe_code, reason = "a fiber lives in its stack")]

use std::io;
use std::ptr::NonNull;

pub(crate) use crate::stacks::{Stack, Store as Stacks};
use crate::sys;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64::{Context, switch};
#[cfg(target_arch = "x86_64")]
use x86_64::{Context, switch};

/// Prepares the engine: once, before the first fiber.
pub(crate) fn prepare(who_runs: sys::signal::WhoRuns) -> io::Result<()> {
    sys::signal::install_overflow_handler(who_runs)
}

/// What a switch hands over: whether the fiber goes on.
const SUSPENDED: usize = 1;
const OVER: usize = 0;

#[repr(C, align(64))]
struct Head {
    // All that a switch touches, in one cache line.
    fiber: Context,
    hub: Context,
    body: fn(),
    stack: Stack,
}

/// A coroutine with a stack of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fiber(NonNull<Head>);

impl Fiber {
    /// A fiber that will run `body`, which must not unwind.
    pub(crate) fn new(stack: Stack, body: fn()) -> Fiber {
        let head = stack.top() - size_of::<Head>();
        let at = head as *mut Head;
        // SAFETY: the token says that the stack is ours alone; it is larger than
        // a head, which its top, a page boundary, is aligned for.
        unsafe {
            at.write(Head {
                fiber: Context::new(head, head),
                hub: Context::EMPTY,
                body,
                stack,
            });
            Fiber(NonNull::new_unchecked(at))
        }
    }

    /// Runs the fiber until it suspends, which gives true, or its body has
    /// returned.
    ///
    /// # Safety
    ///
    /// Always called by the same OS thread, from outside any fiber, and no more
    /// once it has given false.
    #[inline]
    pub(crate) unsafe fn resume(self) -> bool {
        let head = self.0.as_ptr();
        // SAFETY: the fiber's context is that of `new` or of its last `suspend`,
        // on this OS thread; the hub's is loaded by that fiber alone.
        unsafe { switch(&raw mut (*head).hub, &raw const (*head).fiber, SUSPENDED) != OVER }
    }

    /// Leaves the fiber for whoever resumed it.
    ///
    /// # Safety
    ///
    /// Called by the fiber itself.
    #[inline]
    pub(crate) unsafe fn suspend(self) {
        let head = self.0.as_ptr();
        // SAFETY: the hub's context is that of the `resume` by which we run.
        unsafe { switch(&raw mut (*head).fiber, &raw const (*head).hub, SUSPENDED) };
    }

    /// Takes the stack back.
    ///
    /// # Safety
    ///
    /// `resume` has given false, or was never called. The fiber is not used any
    /// more.
    pub(crate) unsafe fn end(self) -> Stack {
        // SAFETY: nobody runs on the stack any more, so the head is dead once
        // this is read out of it.
        unsafe { (&raw const (*self.0.as_ptr()).stack).read() }
    }

    /// Where its stack ends. May be called in a signal handler.
    ///
    /// # Safety
    ///
    /// The fiber has not ended.
    pub(crate) unsafe fn top(self) -> usize {
        self.0.as_ptr() as usize + size_of::<Head>()
    }

    /// As one word, the address of what a switch reads first, and back.
    #[inline]
    pub(crate) fn as_raw(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    #[inline]
    pub(crate) fn from_raw(raw: *mut ()) -> Option<Fiber> {
        NonNull::new(raw.cast()).map(Fiber)
    }
}

/// What `begin` calls.
unsafe extern "C" fn first(head: *mut Head) -> ! {
    // SAFETY: `begin` hands over the address that `Fiber::new` gave it; the
    // fiber's context is dead from the second switch on, which does not return.
    unsafe {
        ((*head).body)();
        switch(&raw mut (*head).fiber, &raw const (*head).hub, OVER);
    }
    unreachable!("a fiber whose body had returned was resumed")
}
