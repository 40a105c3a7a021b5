//! The second engine: the crate `may`, for architectures that we have no switch for.
//!
//! `may`'s scheduler is not used, since it resumes a coroutine on whichever of
//! its workers wakes it, and its timer thread resumes coroutines itself; a started
//! stack must not change OS threads. A fiber starts with `spawn_local`, which runs
//! it on the calling thread until it first suspends, and is resumed with
//! `FastBlocker::unpark`, which runs it right there. No other part of `may` that
//! could wake or resume is called. Neither is promised by `may`'s documentation, so
//! `may` and `generator` are pinned to exact versions, and `tests/engine_facts.rs`
//! checks each fact.
//!
//! - A process has one pool of `may`'s stacks: a program that uses `may` itself
//!   beside this engine, and sets another size with `may::config()`, hands us
//!   stacks that are too small. Such a program needs the engine of our own.
//! - A fiber that ends leaves its coroutine, suspended, in the [`Stack`] that it
//!   ran on; the next one starts there with a switch.
//! - `generator` marks the lowest page of each stack and looks for the mark at the
//!   end. The page is given back while the coroutine runs, and the mark written
//!   again at its end: an idle green thread takes one page of stack, not two.
//! - `generator` installs a SIGSEGV handler that switches stacks inside the
//!   signal. We save std's handlers before, and replace its handler after, its
//!   first use (`sys/signal.rs`).
#![expect(
    unsafe_code,
    reason = "may's spawn_local is an unsafe function; a mark at the end of each stack; a \
              coroutine waits inside a stack's token"
)]

use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use may::coroutine;
use may::sync::FastBlocker;

use crate::clock::Nanos;
use crate::config::settings;
use crate::deadline::Deadline;
use crate::sys;
use crate::sys::lock::Lock;

mod permits;

use permits::{Claim, POOLED_STACKS, is_default};

/// Words that `may` counts stacks in.
const WORD: usize = size_of::<usize>();
/// Coroutines that a hub keeps for its next green threads.
const KEPT: usize = 1024;

/// Prepares the engine: sets `may` up, runs its first coroutine (which installs
/// process-wide hooks) and replaces its stack overflow handler.
pub(crate) fn prepare(who_runs: sys::signal::WhoRuns) -> io::Result<()> {
    static DONE: Mutex<bool> = Mutex::new(false);
    let mut done = DONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !*done {
        room_for_scheduler()?;
        // `may` and `generator` ask that no panic be under way.
        let prepared = std::thread::Builder::new().spawn(move || set_up(who_runs))?;
        prepared
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("may could not start its scheduler")))?;
        *done = true;
    }
    Ok(())
}

/// Takes, and gives back, what `may`'s scheduler takes when it starts: it panics
/// if there is less, and can never be started again.
fn room_for_scheduler() -> io::Result<()> {
    let _poller = (sys::epoll::create()?, sys::eventfd::EventFd::new()?);
    // One that waits for events, and one that waits for timers.
    let first = std::thread::Builder::new().spawn(std::thread::park)?;
    let second = std::thread::Builder::new().spawn(|| ());
    first.thread().unpark();
    let _ = first.join();
    let _ = second?.join();
    Ok(())
}

fn set_up(who_runs: sys::signal::WhoRuns) -> io::Result<()> {
    let stack_size = settings().stack_size;
    sys::signal::remember_handlers();
    quietly(|config| {
        config
            .set_workers(1)
            .set_stack_size(stack_size / WORD)
            // `may` makes this many stacks at once, so first one only.
            .set_pool_capacity(1)
            .set_worker_pin(false);
    });
    static TOP: AtomicUsize = AtomicUsize::new(0);
    start(stack_size, || TOP.store(stack_top(), Ordering::Relaxed))?;
    quietly(|config| {
        config.set_pool_capacity(POOLED_STACKS);
    });
    check_bounds(TOP.load(Ordering::Relaxed), stack_size).map_err(io::Error::other)?;
    BOUNDS_CHECKED.store(true, Ordering::Relaxed);
    sys::signal::install_overflow_handler(who_runs)
}

/// `may` logs each setting at level info, which is not to happen now: the hubs are being started, under a lock, and the
/// program's logger may use green threads.
fn quietly(configure: impl FnOnce(&may::Config)) {
    let wanted = log::max_level();
    let quiet = wanted.min(log::LevelFilter::Warn);
    log::set_max_level(quiet);
    configure(&may::config());
    // Unless the program has chosen another meanwhile.
    if log::max_level() == quiet {
        log::set_max_level(wanted);
    }
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

/// What a coroutine runs, and what with.
type Body = (fn(usize), usize);

/// A coroutine that runs one body after the other.
struct Coroutine {
    blocker: FastBlocker,
    started: Cell<bool>,
    /// What it is to run, or runs.
    body: Cell<Option<Body>>,
    /// The end of its stack, once it runs.
    top: AtomicUsize,
    size: usize,
    /// The right to its stack, while a fiber has it.
    stack: Cell<Option<Stack>>,
    /// Who is to run next, when it has suspended for somebody.
    next: Cell<Option<Fiber>>,
}

/// The right to a stack, with a coroutine that ended a green thread on it, if one
/// did.
#[derive(Debug)]
pub(crate) struct Stack {
    claim: Claim,
    coroutine: Option<Box<Coroutine>>,
}

// SAFETY: the coroutine inside is resumed, and dropped, by its hub's OS thread
// alone: a hub's store gives it to that hub's green threads only.
unsafe impl Send for Stack {}

/// What a hub keeps for its next green threads: coroutines of the default size.
#[derive(Debug)]
pub(crate) struct Stacks(Lock<Vec<Stack>>);

impl Stacks {
    pub(crate) fn new(_usual: usize) -> io::Result<Stacks> {
        Ok(Stacks(Lock::default()))
    }

    /// The right to a stack of `size` bytes.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` that names the limit: the number of mappings, or the memory
    /// that the process may map.
    pub(crate) fn take(&self, size: usize) -> io::Result<Stack> {
        let kept = is_default(size).then(|| self.0.lock().pop()).flatten();
        kept.map_or_else(|| self.take_untouched(size), Ok)
    }

    /// The same, for a green thread that will not run for a while.
    ///
    /// # Errors
    ///
    /// As [`take`](Stacks::take).
    pub(crate) fn take_untouched(&self, size: usize) -> io::Result<Stack> {
        Claim::new(size).map(|claim| Stack {
            claim,
            coroutine: None,
        })
    }

    /// What is kept is for the green threads of this hub alone.
    pub(crate) fn take_kept(&self, _size: usize) -> Option<Stack> {
        None
    }

    /// Takes back what a green thread of this hub ran on.
    pub(crate) fn put(&self, stack: Stack, _now: Nanos) {
        let mut kept = self.0.lock();
        if is_default(stack.claim.size()) && kept.len() < KEPT {
            kept.push(stack);
        } else {
            drop(kept);
            drop(stack);
        }
    }

    /// Never: `may` does not give memory back.
    pub(crate) fn tidy_at(&self) -> Deadline {
        Deadline::NEVER
    }

    pub(crate) fn tidy(&self, _now: Nanos) {}
}

/// A body that runs on a coroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fiber(NonNull<Coroutine>);

impl Fiber {
    /// A fiber that will run `body`, which must not unwind, with `argument`. What
    /// debuggers know it by is not kept.
    pub(crate) fn new(
        mut stack: Stack,
        body: fn(usize),
        argument: usize,
        _owner: *const (),
    ) -> Fiber {
        let coroutine = stack.coroutine.take().unwrap_or_else(|| {
            Box::new(Coroutine {
                blocker: FastBlocker::default(),
                started: Cell::new(false),
                body: Cell::new(None),
                top: AtomicUsize::new(0),
                size: stack.claim.size(),
                stack: Cell::new(None),
                next: Cell::new(None),
            })
        });
        coroutine.body.set(Some((body, argument)));
        coroutine.stack.set(Some(stack));
        Fiber(NonNull::from(Box::leak(coroutine)))
    }

    /// Runs the fiber, and those that it is left for, until one of them suspends, which
    /// gives true, or its body has returned.
    ///
    /// # Safety
    ///
    /// Always called by the same OS thread, from outside any fiber, and no more
    /// once its body has returned.
    pub(crate) unsafe fn resume(mut self) -> bool {
        loop {
            // SAFETY: lives until `end`.
            let coroutine = unsafe { self.0.as_ref() };
            if coroutine.started.replace(true) {
                coroutine.blocker.unpark();
            } else {
                self.begin(coroutine.size);
            }
            match coroutine.next.take() {
                Some(next) => self = next,
                None => return coroutine.body.get().is_some(),
            }
        }
    }

    /// Starts the coroutine. Whoever spawned the green thread was promised a stack; if the system
    /// still has none, we wait for one.
    fn begin(self, size: usize) {
        const TRIES: u32 = 10_000;
        let at = self.0.as_ptr() as usize;
        for _ in 0..TRIES {
            // SAFETY: the coroutine's address, alive until `end`, which comes after
            // its last body; it runs on this OS thread alone.
            let run = move || unsafe { (*(at as *const Coroutine)).serve() };
            if start(size, run).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        eprintln!(
            "green: no stack of {size} bytes could be mapped for a green thread that had been \
             promised one; the limits are the address space (ulimit -v), vm.overcommit_memory and \
             vm.max_map_count"
        );
        process::abort();
    }

    /// Leaves the fiber for whoever resumed it.
    ///
    /// # Safety
    ///
    /// Called by the fiber itself.
    pub(crate) unsafe fn suspend(self) {
        // SAFETY: it lives while it runs.
        unsafe { self.0.as_ref() }.suspend();
    }

    /// Leaves the fiber for `next`, which is suspended or new, and runs in its place. The switch
    /// goes through whoever resumed this one.
    ///
    /// # Safety
    ///
    /// Called by the fiber itself. `next` may be resumed here, as `resume` asks.
    pub(crate) unsafe fn suspend_for(self, next: Fiber) {
        // SAFETY: it lives while it runs.
        let coroutine = unsafe { self.0.as_ref() };
        coroutine.next.set(Some(next));
        coroutine.suspend();
    }

    /// Calls `f`: where the hub's own frames end is not known.
    ///
    /// # Safety
    ///
    /// Any call is safe here; the other engine's is not.
    pub(crate) unsafe fn call_on_hub<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    /// Takes the stack back, and in it the coroutine.
    ///
    /// # Safety
    ///
    /// `resume` has given false, or was never called. The fiber is not used any
    /// more.
    pub(crate) unsafe fn end(self) -> Stack {
        // SAFETY: leaked by `new`, and nobody else has it now.
        let coroutine = unsafe { Box::from_raw(self.0.as_ptr()) };
        let mut stack = coroutine.stack.take().expect("set by `new`");
        stack.coroutine = Some(coroutine);
        stack
    }

    /// Nothing: what debuggers know a fiber by is not kept.
    ///
    /// # Safety
    ///
    /// The fiber has not ended.
    pub(crate) unsafe fn set_owner(self, _owner: *const ()) {}

    /// Where its stack ends. May be called in a signal handler.
    ///
    /// # Safety
    ///
    /// The fiber runs, or waits.
    pub(crate) unsafe fn top(self) -> usize {
        // SAFETY: it lives.
        unsafe { self.0.as_ref() }.top.load(Ordering::Relaxed)
    }

    /// As one word, and back.
    pub(crate) fn as_raw(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    pub(crate) fn from_raw(raw: *mut ()) -> Option<Fiber> {
        NonNull::new(raw.cast()).map(Fiber)
    }
}

impl Coroutine {
    /// What the coroutine does: runs its body, and then, when it is resumed with
    /// another one, that; ends when it is resumed with none.
    fn serve(&self) {
        self.top.store(stack_top(), Ordering::Relaxed);
        if let Some(mut stack) = self.stack.take() {
            stack.claim.started();
            self.stack.set(Some(stack));
        }
        while let Some((body, argument)) = self.body.get() {
            body(argument);
            self.body.set(None);
            self.suspend();
        }
    }

    fn suspend(&self) {
        // Neither error exists here: there is no time-out, and nobody holds
        // the handle that could cancel.
        let _ = self.blocker.park(None);
    }
}

impl fmt::Debug for Coroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coroutine").finish_non_exhaustive()
    }
}

impl Drop for Coroutine {
    /// Lets a suspended coroutine end. To be dropped on its hub's OS thread.
    fn drop(&mut self) {
        if self.started.get() {
            self.blocker.unpark();
        }
    }
}

/// Runs `body` as a new coroutine on this OS thread until it first suspends or
/// ends. `body` must not unwind.
///
/// # Errors
///
/// `OutOfMemory` if no stack could be mapped.
fn start<F: FnOnce() + 'static>(stack_size: usize, body: F) -> io::Result<()> {
    // `generator` writes the closure on the new stack without a size check.
    const { assert!(size_of::<F>() <= 56, "box what the coroutine captures") };
    struct Pinned<F>(F);
    // SAFETY: the coroutine stays on the OS thread that calls this, since only
    // that thread ever resumes it; so `body` never moves to another one.
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
        let page = sys::memory::page_size();
        if stack_size < 2 * page || !BOUNDS_CHECKED.load(Ordering::Relaxed) {
            return None;
        }
        let bottom = stack_top() - stack_size;
        // SAFETY: the lowest page of our own stack, which reaches from there
        // to `stack_top` (`check_bounds`); we are in the top one, which is
        // another.
        unsafe { sys::memory::give_back(bottom, page) };
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
fn stack_top() -> usize {
    let local = 0u8;
    (&raw const local as usize).next_multiple_of(sys::memory::page_size())
}
