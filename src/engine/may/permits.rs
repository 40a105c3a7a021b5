//! How many stacks there may be: refuses one more while the process can still be told.
//!
//! `may` maps its stacks itself, when a coroutine starts; what is taken here is
//! the right to one. Each stack takes two mappings (itself and its guard page). At
//! the limit of `vm.max_map_count`, mapping fails for the allocator as well, and
//! then the process aborts; so green threads stop well before. Stacks of the
//! default size are kept for reuse when their green thread ends, others are
//! unmapped.
#![expect(unsafe_code, reason = "a coroutine waits inside a stack's token")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Coroutine, POOLED_STACKS};
use crate::clock::Nanos;
use crate::config::settings;
use crate::deadline::Deadline;
use crate::limits::{self, SPARE};
use crate::sys::lock::Lock;
use crate::sys::memory;

/// Coroutines that a hub keeps for its next green threads.
const KEPT: usize = 1024;

/// Stacks of the default size, promised or in use.
static DEFAULT_ALIVE: AtomicUsize = AtomicUsize::new(0);
/// Stacks of the default size that exist, in use or kept.
static DEFAULT_MADE: AtomicUsize = AtomicUsize::new(0);
/// Stacks of another size.
static OTHER_ALIVE: AtomicUsize = AtomicUsize::new(0);
/// Bytes of stacks that have been promised and that nobody runs on yet, so they
/// may not be mapped yet.
static UNSTARTED: AtomicUsize = AtomicUsize::new(0);

/// The right to a stack, with a coroutine that ended a green thread on it, if one
/// did. Given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Stack {
    size: usize,
    started: bool,
    pub(super) coroutine: Option<Box<Coroutine>>,
}

// SAFETY: the coroutine inside is resumed, and dropped, by its hub's OS thread
// alone: a hub's store gives it to that hub's green threads only.
unsafe impl Send for Stack {}

impl Stack {
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// It is in use: the system has mapped it.
    pub(super) fn started(&mut self) {
        if !std::mem::replace(&mut self.started, true) {
            UNSTARTED.fetch_sub(self.size, Ordering::Relaxed);
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.started();
        if is_default(self.size) {
            let alive = DEFAULT_ALIVE.fetch_sub(1, Ordering::Relaxed) - 1;
            // `may` unmaps what it does not keep.
            let most = alive + POOLED_STACKS;
            if DEFAULT_MADE.load(Ordering::Relaxed) > most {
                DEFAULT_MADE.fetch_min(most, Ordering::Relaxed);
            }
        } else {
            OTHER_ALIVE.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

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
        claim(size).map(|()| Stack {
            size,
            started: false,
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
        if is_default(stack.size) && kept.len() < KEPT {
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

/// Whether stacks of this size are kept when their green thread ends.
fn is_default(size: usize) -> bool {
    size == settings().stack_size
}

fn claim(size: usize) -> io::Result<()> {
    let pooled = is_default(size);
    let counter = if pooled { &DEFAULT_ALIVE } else { &OTHER_ALIVE };
    let alive = counter.fetch_add(1, Ordering::Relaxed) + 1;
    let made = DEFAULT_MADE.load(Ordering::Relaxed);
    if pooled && alive <= made {
        // One that a finished green thread left behind will be used.
        UNSTARTED.fetch_add(size, Ordering::Relaxed);
        return Ok(());
    }
    let stacks = if pooled {
        alive + OTHER_ALIVE.load(Ordering::Relaxed)
    } else {
        alive + made
    };
    let room = if stacks > limits::mapped_stacks() {
        Err(limits::too_many())
    } else {
        fits(size).map_err(|error| limits::no_memory(size, 0, &error))
    };
    match room {
        Ok(()) => {
            UNSTARTED.fetch_add(size, Ordering::Relaxed);
            if pooled {
                DEFAULT_MADE.fetch_max(alive, Ordering::Relaxed);
            }
            Ok(())
        }
        Err(error) => {
            counter.fetch_sub(1, Ordering::Relaxed);
            Err(error)
        }
    }
}

/// Whether one more stack fits, beside those about to be mapped.
fn fits(size: usize) -> io::Result<()> {
    if let Some(left) = memory::address_space_left() {
        // Not by a trial: it would take the space from a hub that maps a stack
        // at the same moment.
        let promised = UNSTARTED.load(Ordering::Relaxed) + SPARE;
        if left.saturating_sub(promised) < size {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
    }
    memory::probe(size)
}
