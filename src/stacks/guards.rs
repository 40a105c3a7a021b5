//! What lies below a stack: a page that faults, so that an overflow is found.
//!
//! A guard is a mark in the page table where the kernel knows them (Linux 6.13,
//! madvise(2), MADV_GUARD_INSTALL): it takes no mapping. Where it does not, or
//! refuses them (locked memory), a guard is a page of its own that nobody may
//! access, and each stack takes two of the mappings that `vm.max_map_count` limits.
#![expect(unsafe_code, reason = "guards are set in mapped memory")]

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::limits;
use crate::sys::memory;

/// Whether guards are marks, as far as we know.
static MARKS: AtomicBool = AtomicBool::new(true);
/// Stacks that have a guard page of their own.
static PAGED: AtomicUsize = AtomicUsize::new(0);

/// Makes the reserved memory from `at` on into at most `count` stacks of `size` bytes, each at the
/// upper end of its stride, and returns how many.
///
/// # Errors
///
/// The kernel's; at the limit of mappings, one that names it and has no raw code.
///
/// # Safety
///
/// The caller reserved that memory, and nobody uses it.
pub(super) unsafe fn make(
    at: usize,
    stride: usize,
    size: usize,
    count: usize,
) -> io::Result<usize> {
    let guard = stride - size;
    if MARKS.load(Ordering::Relaxed) {
        // SAFETY: as the caller promises.
        let marked = unsafe {
            memory::make_accessible(at, count * stride)?;
            (0..count).try_for_each(|n| memory::install_guard(at + n * stride, guard))
        };
        // SAFETY: as above.
        if marked.is_ok() && unsafe { are_effective(at) } {
            return Ok(count);
        }
        MARKS.store(false, Ordering::Relaxed);
    }
    let room = limits::mapped_stacks().saturating_sub(PAGED.fetch_add(count, Ordering::Relaxed));
    if room < count {
        PAGED.fetch_sub(count - room, Ordering::Relaxed);
    }
    if room == 0 {
        return Err(limits::too_many());
    }
    let count = count.min(room);
    // SAFETY: as the caller promises.
    let made = (0..count)
        .map(|n| at + n * stride)
        .try_for_each(|start| unsafe {
            memory::make_inaccessible(start, guard)?;
            memory::make_accessible(start + guard, size)
        });
    if made.is_err() {
        PAGED.fetch_sub(count, Ordering::Relaxed);
    }
    made.map(|()| count)
}

/// Whether a guard that was marked really faults: an emulation of the kernel may accept an advice
/// that it does not know, and do nothing. Checked once.
///
/// # Safety
///
/// The caller owns the guard.
unsafe fn are_effective(guard: usize) -> bool {
    static EFFECTIVE: OnceLock<bool> = OnceLock::new();
    // SAFETY: handed on to the caller.
    *EFFECTIVE.get_or_init(|| unsafe { !memory::is_writable(guard) })
}
