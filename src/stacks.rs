//! How many stacks there may be: refuses one more while the process can still be told.
//!
//! Each stack takes two mappings (itself and its guard page). At the limit of
//! `vm.max_map_count`, mapping fails for the allocator as well, and then the
//! process aborts; so green threads stop well before. Stacks of the default
//! size are kept for reuse when their green thread ends, others are unmapped.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config::settings;
use crate::engine;
use crate::sys::memory;

/// Mappings left to everything else.
const RESERVE: usize = 4096;
/// Address space left to everything else, in bytes, where it is limited.
const SPARE: usize = 64 << 20;

/// Green threads with a stack of the default size, alive now, and spares.
static DEFAULT_ALIVE: AtomicUsize = AtomicUsize::new(0);
/// Stacks of the default size that exist, in use or kept.
static DEFAULT_MADE: AtomicUsize = AtomicUsize::new(0);
/// Green threads with a stack of another size.
static OTHER_ALIVE: AtomicUsize = AtomicUsize::new(0);
/// Bytes of stacks that have been claimed and that nobody runs on yet, so they
/// may not be mapped yet.
static UNSTARTED: AtomicUsize = AtomicUsize::new(0);

/// The most stacks that fit beside what was mapped at the first call.
fn limit() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let taken = memory::map_count() + RESERVE;
        (memory::max_map_count().saturating_sub(taken) / 2).max(16)
    })
}

/// Whether stacks of this size are kept when their green thread ends.
pub(crate) fn is_default(size: usize) -> bool {
    size == settings().stack_size
}

/// Claims a stack of `size` bytes, to be given back by [`release`].
///
/// # Errors
///
/// `OutOfMemory` that names the limit: the number of mappings, or the memory
/// that the process may map.
pub(crate) fn claim(size: usize) -> io::Result<()> {
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
    let room = if stacks > limit() {
        Err(too_many())
    } else {
        fits(size).map_err(|error| no_memory(size, &error))
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

/// A claimed stack is in use, or could not be mapped.
pub(crate) fn started(size: usize) {
    UNSTARTED.fetch_sub(size, Ordering::Relaxed);
}

/// Gives a stack back.
pub(crate) fn release(size: usize) {
    if is_default(size) {
        let alive = DEFAULT_ALIVE.fetch_sub(1, Ordering::Relaxed) - 1;
        // The engine unmaps what it does not keep.
        let most = alive + engine::POOLED_STACKS;
        if DEFAULT_MADE.load(Ordering::Relaxed) > most {
            DEFAULT_MADE.fetch_min(most, Ordering::Relaxed);
        }
    } else {
        OTHER_ALIVE.fetch_sub(1, Ordering::Relaxed);
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
    memory::probe_stack(size)
}

fn too_many() -> io::Error {
    io::Error::new(
        io::ErrorKind::OutOfMemory,
        format!(
            "no room for another green thread's stack: {} green threads, two memory mappings each, \
             are what fits into vm.max_map_count = {}; raise that sysctl for more",
            limit(),
            memory::max_map_count(),
        ),
    )
}

fn no_memory(size: usize, error: &io::Error) -> io::Error {
    io::Error::new(
        io::ErrorKind::OutOfMemory,
        format!(
            "cannot map a green thread's stack of {size} bytes: {error}; the limits are the address \
             space (ulimit -v), the sysctl vm.overcommit_memory and the sysctl vm.max_map_count",
        ),
    )
}
