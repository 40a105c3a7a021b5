//! The engine of our own: a fiber is a head at the top of its stack, with the context that it goes on from.
//!
//! ```text
//!   top    ┌───────────────────────────┐  a page boundary
//!          │ Head                      │  where the fiber goes on, and where its hub
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
//! head is written by these two, by the switch and by [`FirstFrame`] alone.
#![expect(unsafe_code, reason = "a fiber lives in its stack")]

use std::io;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};

pub(crate) use crate::stacks::{Stack, Store as Stacks};
use crate::sys;
use crate::thread_locals::{self, Block, HEAD};

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod context;
mod watched;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64::{begin, call_on, switch, switch_base};
use context::{Context, First};
use watched::{Left, Watched};
#[cfg(target_arch = "x86_64")]
use x86_64::{begin, call_on, switch, switch_base};

/// Prepares the engine: once, before the first fiber.
pub(crate) fn prepare(who_runs: sys::signal::WhoRuns) -> io::Result<()> {
    sys::signal::install_overflow_handler(who_runs)
}

/// The word that a switch hands over: whether the fiber will go on.
const SUSPENDED: usize = 1;
const OVER: usize = 0;

/// One of the two sides between which a switch goes.
#[repr(C)]
struct Side {
    context: Context,
    /// What thread-locals are found from, if they are a green thread's own.
    base: usize,
    watched: Watched,
}

#[repr(C, align(64))]
struct Head {
    // All that a switch touches, in one cache line.
    fiber: Side,
    /// The hub's side, while the fiber runs: in the frame of the `resume` that it, or
    /// the first of those who ran before it, was resumed by.
    hub: *mut Side,
    argument: usize,
    body: fn(usize),
    stack: Stack,
    /// What debuggers know the fiber by: null once it has ended, and while it carries nobody.
    owner: *const (),
}

/// From a context to the base that belongs to it.
const BASE: usize = offset_of!(Side, base) - offset_of!(Side, context);

const _: () = {
    assert!(size_of::<Head>() == HEAD);
    assert!(offset_of!(Head, hub) + size_of::<*mut Side>() <= 64);
};

/// A coroutine with a stack of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
                fiber: Side {
                    context: Context::new(
                        begin::<FirstFrame>,
                        block.map_or(head, Block::bottom),
                        head,
                    ),
                    base: block.map_or(0, Block::base),
                    watched: Watched::fiber(stack.bottom(), stack.top()),
                },
                hub: ptr::null_mut(),
                argument,
                body,
                stack,
                owner,
            });
            Fiber(NonNull::new_unchecked(at))
        }
    }

    /// Runs the fiber, and those that it is left for, until one of them suspends, which
    /// gives true, or its body has returned.
    ///
    /// # Safety
    ///
    /// Always called by the same OS thread, from outside any fiber, and no more
    /// once its body has returned.
    #[inline]
    pub(crate) unsafe fn resume(self) -> bool {
        let head = self.0.as_ptr();
        let mut hub = Side {
            context: Context::EMPTY,
            base: thread_locals::base(),
            watched: Watched::hub(),
        };
        // SAFETY: the fiber's context is that of `new` or of the last time that it
        // was left, on this OS thread; ours is loaded once, by the one of the fibers
        // which we hear of, and `hub` lives until then.
        unsafe {
            (*head).hub = &raw mut hub;
            switch_sides(&raw mut hub, &raw mut (*head).fiber, SUSPENDED) != OVER
        }
    }

    /// Leaves the fiber for whoever resumed it, or the one that it was left for.
    ///
    /// # Safety
    ///
    /// Called by the fiber itself.
    #[inline]
    pub(crate) unsafe fn suspend(self) {
        // SAFETY: handed on to the caller.
        unsafe { leave(self.0.as_ptr(), SUSPENDED) };
    }

    /// Leaves the fiber straight for `next`, which is suspended or new, and runs in its place.
    ///
    /// # Safety
    ///
    /// Called by the fiber itself. `next` may be resumed here, as `resume` asks.
    #[inline]
    pub(crate) unsafe fn suspend_for(self, next: Fiber) {
        let (from, to) = (self.0.as_ptr(), next.0.as_ptr());
        // SAFETY: the context of `next` is that of `new` or of the last time that it was
        // left.
        unsafe {
            (*to).hub = (*from).hub;
            switch_sides(&raw mut (*from).fiber, &raw mut (*to).fiber, SUSPENDED);
        }
    }

    /// Calls `f` on the stack of the OS thread, which the hub's loop has left until the fiber does: what
    /// needs much of a stack for a moment then finds the same memory whoever calls it, in the cache, and the fiber's
    /// own stack stays small. Within `f` a second call stays where it is, and under a sanitizer, which
    /// knows of switches alone, the first does.
    ///
    /// # Safety
    ///
    /// Called by the fiber itself. `f` does not leave it.
    #[inline]
    pub(crate) unsafe fn call_on_hub<R>(self, f: impl FnOnce() -> R) -> R {
        /// Bytes below its stack pointer that a function may use without moving it (System V ABI).
        const RED_ZONE: usize = 128;
        let head = self.0.as_ptr();
        // SAFETY: the fiber runs, so the side that resumed it waits, and its context says where.
        let (bottom, hub) = unsafe { ((*head).stack.bottom(), (*(*head).hub).context.sp()) };
        let here = 0u8;
        let is_ours = (bottom..head as usize).contains(&(&raw const here as usize));
        if cfg!(green_sanitize) || !is_ours {
            return f();
        }
        let mut call = Call {
            function: Some(f),
            outcome: None,
        };
        // SAFETY: nobody uses what is below the hub's frames: the fiber stays, as the caller promises,
        // and a second call on that stack was told above. The call catches what unwinds.
        unsafe {
            let top = (hub - RED_ZONE) & !15;
            call_on(top, Call::make(&call), (&raw mut call) as usize);
        }
        match call.outcome {
            Some(Ok(value)) => value,
            Some(Err(panic)) => resume_unwind(panic),
            None => unreachable!("a call has an outcome"),
        }
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
            (*head).fiber.watched.end();
            if (*head).fiber.base != 0 {
                Block::of((*head).fiber.base).end();
            }
            (&raw mut (*head).owner).write_volatile(std::ptr::null());
            (&raw const (*head).stack).read()
        }
    }

    /// Tells debuggers whose it is from now on: nobody's, if null.
    ///
    /// # Safety
    ///
    /// The fiber has not ended.
    #[inline]
    pub(crate) unsafe fn set_owner(self, owner: *const ()) {
        // SAFETY: its head lives, and only debuggers read this word.
        unsafe { (&raw mut (*self.0.as_ptr()).owner).write_volatile(owner) };
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

/// A call on another stack.
struct Call<F, R> {
    function: Option<F>,
    outcome: Option<std::thread::Result<R>>,
}

impl<F: FnOnce() -> R, R> Call<F, R> {
    /// What makes a call of this type, at whose address it is called.
    fn make(_: &Self) -> unsafe extern "C" fn(usize) {
        unsafe extern "C" fn make<F: FnOnce() -> R, R>(call: usize) {
            // SAFETY: its maker waits for this.
            let call = unsafe { &mut *(call as *mut Call<F, R>) };
            if let Some(function) = call.function.take() {
                call.outcome = Some(catch_unwind(AssertUnwindSafe(function)));
            }
        }
        make::<F, R>
    }
}

/// Leaves the fiber of `head` for its hub.
///
/// # Safety
///
/// Called by the fiber itself.
#[inline(always)]
unsafe fn leave(head: *mut Head, word: usize) {
    // SAFETY: the hub's side is that of the `resume` by which we run.
    unsafe { switch_sides(&raw mut (*head).fiber, (*head).hub, word) };
}

/// Leaves the running side, which is `from`, for `to`, hands that `word`, and gives
/// the word that somebody hands over when they switch back.
// Inlined, as the switch is: a function that returns after a switch has its return
// predicted wrong, 25 ns.
///
/// # Safety
///
/// As [`switch`]. Both bases are those of blocks, of this OS thread or of a green
/// thread of it, if there are any.
#[inline(always)]
unsafe fn switch_sides(from: *mut Side, to: *mut Side, word: usize) -> usize {
    // SAFETY: handed on to the caller.
    unsafe {
        let (save, load) = (&raw mut (*from).context, &raw const (*to).context);
        if thread_locals::are_own() {
            thread_locals::hand_over((*from).base, (*to).base);
            return switch_base::<BASE>(save, load, word);
        }
        let left = (*to).watched.come(word == OVER);
        let theirs = switch(save, load, word);
        left.come_back();
        theirs
    }
}

/// What `begin` calls.
struct FirstFrame;

impl First for FirstFrame {
    unsafe extern "C" fn first(head: usize) -> ! {
        let head = head as *mut Head;
        // SAFETY: `begin` hands over the address that `Fiber::new` gave it; the
        // fiber's context is dead from the second switch on, which does not return.
        unsafe {
            Left::NOTHING.come_back();
            ((*head).body)((*head).argument);
            leave(head, OVER);
        }
        unreachable!("a fiber whose body had returned was resumed")
    }
}
