//! The engine: starts, suspends and resumes a stackful coroutine. The only file that names `may`.
//!
//! `may`'s scheduler is not used, since it resumes a coroutine on whichever of
//! its workers wakes it, and a started stack must not change OS threads. A hub
//! starts a coroutine with `spawn_local`, which runs it on the calling thread
//! until it first suspends, and resumes it with `FastBlocker::unpark`, which
//! runs it right there. ARCHITECTURE.md, "The engine", has the reasons and
//! `tests/engine_facts.rs` the proofs.
//!
//! # Safety
//!
//! Whoever calls [`start`] and [`Coroutine::resume`] is one OS thread per
//! coroutine, not itself inside a coroutine (the hub's loop), and
//! [`Coroutine::suspend`] is called by the coroutine itself alone.
#![expect(
    unsafe_code,
    reason = "may's spawn_local is an unsafe function; a mark at the end of each stack"
)]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use may::coroutine;
use may::sync::FastBlocker;

use crate::sys;

/// Words that `may` counts stacks in.
const WORD: usize = size_of::<usize>();
/// Finished stacks kept for the next green threads.
pub(crate) const POOLED_STACKS: usize = 16_384;

/// The switch of one coroutine.
#[derive(Debug, Default)]
pub(crate) struct Coroutine(FastBlocker);

impl Coroutine {
    /// Leaves the running coroutine: control returns to whoever resumed it.
    #[inline]
    pub(crate) fn suspend(&self) {
        // Neither error exists here: there is no time-out, and nobody holds
        // the handle that could cancel.
        let _ = self.0.park(None);
    }

    /// Runs the coroutine until it suspends or ends.
    #[inline]
    pub(crate) fn resume(&self) {
        self.0.unpark();
    }
}

/// Prepares the engine, once: sets `may` up, runs its first coroutine (which
/// installs process-wide hooks) and replaces its stack overflow handler.
///
/// Must run on an OS thread that is not panicking.
pub(crate) fn init(
    stack_size: usize,
    who_runs: fn() -> Option<sys::signal::Occupant>,
) -> io::Result<()> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    DONE.get_or_init(|| {
        catch_unwind(|| {
            sys::signal::remember_handlers();
            may::config()
                .set_workers(1)
                .set_stack_size(stack_size / WORD)
                // `may` makes this many stacks at once, so first one only.
                .set_pool_capacity(1)
                .set_worker_pin(false);
            static TOP: AtomicUsize = AtomicUsize::new(0);
            start(stack_size, || TOP.store(stack_top(), Ordering::Relaxed))
                .map_err(|error| error.to_string())?;
            may::config().set_pool_capacity(POOLED_STACKS);
            check_bounds(TOP.load(Ordering::Relaxed), stack_size)?;
            BOUNDS_CHECKED.store(true, Ordering::Relaxed);
            sys::signal::install_overflow_handler(who_runs).map_err(|error| error.to_string())
        })
        .unwrap_or_else(|_| Err("may could not start its scheduler".to_owned()))
    })
    .clone()
    .map_err(io::Error::other)
}

/// The overflow handler rests on where a stack begins: see that it is so.
fn check_bounds(top: usize, size: usize) -> Result<(), String> {
    // Eight digits at least, as the kernel prints them: under valgrind stacks
    // lie below 4 GiB.
    let bottom = format!("{:08x}-", top - size);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    if maps.is_empty() || maps.lines().any(|line| line.starts_with(&bottom)) {
        Ok(())
    } else {
        Err("a coroutine's stack does not lie where the engine expects it".to_owned())
    }
}

/// Runs `body` as a new coroutine on this OS thread until it first suspends or
/// ends. `body` must not unwind.
///
/// # Errors
///
/// `OutOfMemory` if no stack could be mapped.
pub(crate) fn start<F: FnOnce() + 'static>(stack_size: usize, body: F) -> io::Result<()> {
    // `generator` writes the closure on the new stack without a size check.
    const { assert!(size_of::<F>() <= 56, "box what the coroutine captures") };
    struct Pinned<F>(F);
    // SAFETY: the coroutine stays on the OS thread that calls this, since only
    // that thread ever resumes it (module, # Safety); so `body` never moves to
    // another one.
    unsafe impl<F> Send for Pinned<F> {}
    impl<F: FnOnce()> Pinned<F> {
        fn call(self) {
            (self.0)();
        }
    }
    let body = Pinned(move || {
        let mark = Mark::lift(stack_size);
        body();
        if let Some(mark) = mark {
            mark.restore();
        }
    });
    catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `may` asks that cancelling be thought of: the handle that
        // could cancel is dropped here.
        unsafe {
            coroutine::Builder::new()
                .stack_size(stack_size / WORD)
                .spawn_local(move || body.call())
        }
    }))
    .unwrap_or_else(|_| Err(io::ErrorKind::OutOfMemory.into()))
    .map(drop)
}

/// Whether stacks are known to lie where we expect them.
static BOUNDS_CHECKED: AtomicBool = AtomicBool::new(false);

/// The words that `generator` writes to the lowest end of each stack and looks
/// for when the coroutine ends: if they are gone, `may` ends the process. They
/// are all that most green threads ever have in that page, half of what an idle
/// one would take; so while it runs, the page is given back. The guard page
/// below finds an overflow all the same.
struct Mark {
    bottom: usize,
}

impl Mark {
    const WORDS: [u8; 8 * WORD] = [0xEE; 8 * WORD];

    /// To be called by a coroutine's first function.
    fn lift(stack_size: usize) -> Option<Mark> {
        let lone = stack_size < 2 * sys::memory::page_size();
        if lone || !BOUNDS_CHECKED.load(Ordering::Relaxed) {
            return None;
        }
        let bottom = stack_top() - stack_size;
        // SAFETY: the lowest page of our own stack, which reaches from there
        // to `stack_top` (`check_bounds`); we are in the top one, which is
        // another.
        unsafe { sys::memory::give_back(bottom) };
        Some(Mark { bottom })
    }

    /// To be called by the same function when all the others have returned.
    fn restore(self) {
        // SAFETY: as in `lift`; what other functions had there is over.
        unsafe { (self.bottom as *mut [u8; 8 * WORD]).write(Mark::WORDS) };
    }
}

/// The top of the running coroutine's stack: to be called by its first
/// function, whose frame lies in the top page.
#[inline(never)]
pub(crate) fn stack_top() -> usize {
    let local = 0u8;
    (&raw const local as usize).next_multiple_of(sys::memory::page_size())
}
