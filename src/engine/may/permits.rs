//! How many stacks there may be: refuses one more while the process can still be told.
//!
//! `may` maps its stacks itself, when a coroutine starts; what is taken here is
//! the right to one. Each stack takes two mappings (itself and its guard page). At
//! the limit of `vm.max_map_count`, mapping fails for the allocator as well, and
//! then the process aborts; so green threads stop well before. Stacks of the
//! default size are kept for reuse when their green thread ends, others are
//! unmapped.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config::settings;
use crate::limits;
use crate::sys::memory;

/// Finished stacks that `may` keeps for the next coroutines.
pub(super) const POOLED_STACKS: usize = 16_384;

/// Stacks of the default size, promised or in use.
static DEFAULT_ALIVE: AtomicUsize = AtomicUsize::new(0);
/// Stacks of the default size that exist, in use or kept.
static DEFAULT_MADE: AtomicUsize = AtomicUsize::new(0);
/// Stacks of another size.
static OTHER_ALIVE: AtomicUsize = AtomicUsize::new(0);
/// Bytes of stacks that have been promised and that nobody runs on yet, so they
/// may not be mapped yet.
static UNSTARTED: AtomicUsize = AtomicUsize::new(0);

/// The right to a stack. Given up when it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    size: usize,
    started: bool,
}

impl Claim {
    /// For a stack of `size` bytes.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` that names the limit: the number of mappings, or the memory
    /// that the process may map.
    pub(super) fn new(size: usize) -> io::Result<Claim> {
        claim(size).map(|()| Claim {
            size,
            started: false,
        })
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The stack is in use: the system has mapped it.
    pub(super) fn started(&mut self) {
        if !std::mem::replace(&mut self.started, true) {
            UNSTARTED.fetch_sub(self.size, Ordering::Relaxed);
        }
    }
}

impl Drop for Claim {
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

/// Whether stacks of this size are kept when their green thread ends.
pub(super) fn is_default(size: usize) -> bool {
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
    if let Some(left) = limits::address_space_left() {
        // Not by a trial: it would take the space from a hub that maps a stack
        // at the same moment.
        let promised = UNSTARTED.load(Ordering::Relaxed);
        if left.saturating_sub(promised) < size {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
    }
    memory::probe(size)
}
