//! The engine of our own: a fiber is a head at the top of its stack, and two contexts that are switched.
//!
//! ```text
//!   top    ┌───────────────────────────┐  a page boundary
//!          │ Head                      │  contexts of the fiber and of the hub
//!          ├───────────────────────────┤
//!          │ thread-locals             │  if green threads have their own
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
use std::mem::offset_of;
use std::ptr::NonNull;

pub(crate) use crate::stacks::{Stack, Store as Stacks};
use crate::sys;
use crate::thread_locals::{self, Block, HEAD};

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod context;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64::{begin, switch, switch_base};
use context::Context;
#[cfg(target_arch = "x86_64")]
use x86_64::{begin, switch, switch_base};

/// Prepares the engine: once, before the first fiber.
pub(crate) fn prepare(who_runs: sys::signal::WhoRuns) -> io::Result<()> {
    sys::signal::install_overflow_handler(who_runs)
}

/// What a switch hands over: whether the fiber goes on.
const SUSPENDED: usize = 1;
const OVER: usize = 0;

#[repr(C, align(64))]
struct Head {
    // All that a switch touches, in one cache line, where thread-locals are shared.
    fiber: Context,
    hub: Context,
    /// What thread-locals are found from, if they are the green thread's own.
    fiber_base: usize,
    stack: Stack,
    body: fn(usize),
    /// The hub's, as far from its context.
    hub_base: usize,
    argument: usize,
    /// What debuggers know the fiber by: not null as long as it lives.
    owner: *const (),
}

/// From a context to the base that belongs to it.
const BASE: usize = offset_of!(Head, fiber_base) - offset_of!(Head, fiber);

const _: () = {
    assert!(size_of::<Head>() == HEAD);
    assert!(BASE == offset_of!(Head, hub_base) - offset_of!(Head, hub));
};

/// A coroutine with a stack of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fiber(NonNull<Head>);

impl Fiber {
    /// For debuggers: bytes from its first word to the end of the stack, and to
    /// where its owner is named. It begins with a context: the stack pointer, where
    /// it goes on, the frame pointer, and the other register that a switch saves.
    pub(crate) const HEAD: usize = size_of::<Head>();
    pub(crate) const OWNER: usize = offset_of!(Head, owner);

    /// A fiber that will run `body`, which must not unwind, with `argument`. Called
    /// on the OS thread that will run it. `owner` is for debuggers.
    pub(crate) fn new(stack: Stack, body: fn(usize), argument: usize, owner: *const ()) -> Fiber {
        let head = stack.top() - size_of::<Head>();
        let at = head as *mut Head;
        // SAFETY: the token says that the stack is ours alone; it is larger than
        // a head, which its top, a page boundary, is aligned for, and than a block.
        unsafe {
            let block = thread_locals::are_own()
                .then(|| Block::begin(stack.top(), stack.top() - stack.bottom()));
            at.write(Head {
                fiber: Context::new(begin, block.map_or(head, Block::bottom), head),
                hub: Context::EMPTY,
                fiber_base: block.map_or(0, Block::base),
                body,
                argument,
                hub_base: block.map_or(0, |_| thread_locals::base()),
                owner,
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
        unsafe {
            if thread_locals::are_own() {
                return resume_with_base(head);
            }
            let (save, load) = (&raw mut (*head).hub, &raw const (*head).fiber);
            switch(save, load, SUSPENDED) != OVER
        }
    }

    /// Leaves the fiber for whoever resumed it.
    ///
    /// # Safety
    ///
    /// Called by the fiber itself.
    #[inline]
    pub(crate) unsafe fn suspend(self) {
        let head = self.0.as_ptr();
        // SAFETY: handed on to the caller.
        unsafe { leave(head, SUSPENDED) };
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
        unsafe {
            let head = self.0.as_ptr();
            if (*head).fiber_base != 0 {
                Block::of((*head).fiber_base).end();
            }
            (&raw mut (*head).owner).write_volatile(std::ptr::null());
            (&raw const (*head).stack).read()
        }
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

/// Leaves the fiber of `head` for its hub.
///
/// # Safety
///
/// Called by the fiber itself.
#[inline(always)]
unsafe fn leave(head: *mut Head, word: usize) {
    // SAFETY: the hub's context is that of the `resume` by which we run.
    unsafe {
        if thread_locals::are_own() {
            return leave_with_base(head, word);
        }
        let (save, load) = (&raw mut (*head).fiber, &raw const (*head).hub);
        switch(save, load, word);
    }
}

// Where thread-locals are a green thread's own. Inlined as the other switch is: a
// function that returns after a switch has its return predicted wrong, 25 ns.

/// # Safety
///
/// As [`Fiber::resume`].
#[inline(always)]
unsafe fn resume_with_base(head: *mut Head) -> bool {
    // SAFETY: as there. Both bases are those of blocks, of this OS thread and of
    // the green thread.
    unsafe {
        let (own, hub) = ((*head).fiber_base, (*head).hub_base);
        thread_locals::hand_over(hub, own);
        let (save, load) = (&raw mut (*head).hub, &raw const (*head).fiber);
        let word = switch_base::<BASE>(save, load, SUSPENDED);
        thread_locals::hand_over(own, hub);
        word != OVER
    }
}

/// # Safety
///
/// As [`leave`].
#[inline(always)]
unsafe fn leave_with_base(head: *mut Head, word: usize) {
    // SAFETY: as there.
    unsafe {
        let (save, load) = (&raw mut (*head).fiber, &raw const (*head).hub);
        switch_base::<BASE>(save, load, word);
    }
}

/// What `begin` calls.
unsafe extern "C" fn first(head: *mut Head) -> ! {
    // SAFETY: `begin` hands over the address that `Fiber::new` gave it; the
    // fiber's context is dead from the second switch on, which does not return.
    unsafe {
        ((*head).body)((*head).argument);
        leave(head, OVER);
    }
    unreachable!("a fiber whose body had returned was resumed")
}
