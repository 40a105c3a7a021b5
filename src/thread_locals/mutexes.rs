//! Robust mutexes of C that a green thread holds when it ends.
//!
//! For an OS thread the kernel marks them: whoever locks one next is told that its owner has died. It does not know the list
//! of a green thread, so here the same is done (kernel/futex/core.c, `exit_robust_list`). Mutexes that inherit priorities
//! are left as they are, since what waits for them waits in the kernel.
#![expect(unsafe_code, reason = "walks a list of C's")]

use std::sync::atomic::{AtomicU32, Ordering};

use super::layout::{Layout, read, write};

/// So many at most, as in the kernel: a list may be a circle.
const LIMIT: usize = 2048;
/// In the lowest bit of an entry's address: one that inherits priorities.
const INHERITS: usize = 1;

impl Layout {
    /// Of the running thread, whose base is `base` and which ends: marks the robust mutexes that it still holds.
    pub(super) fn hand_on_mutexes(&self, base: usize) {
        let head = base.wrapping_add_signed(self.robust);
        // SAFETY: the running thread's list, which ends at its own head. An entry lies in a mutex, whose word the head tells
        // the distance of; a mutex that is held may not be freed.
        unsafe {
            let mut entry = read(head, 0);
            if entry == head {
                return;
            }
            let word = read(head, 8).cast_signed();
            for _ in 0..LIMIT {
                let at = entry & !INHERITS;
                if at == head || at == 0 {
                    break;
                }
                let inherits = entry != at;
                entry = read(at, 0);
                if !inherits {
                    self.mark(base, at.wrapping_add_signed(word));
                }
            }
            write(head, -8, head);
            write(head, 0, head);
        }
    }

    /// # Safety
    ///
    /// At `word` is that of a mutex.
    unsafe fn mark(&self, base: usize, word: usize) {
        // SAFETY: as the caller promises.
        let word = unsafe { AtomicU32::from_ptr(word as *mut u32) };
        // SAFETY: the running thread's.
        let owner = unsafe { self.tid(base) };
        let died = |was: u32| {
            let is_held = was & libc::FUTEX_TID_MASK == owner;
            is_held.then_some(was & libc::FUTEX_WAITERS | libc::FUTEX_OWNER_DIED)
        };
        let marked = word.fetch_update(Ordering::Release, Ordering::Relaxed, died);
        if marked.is_ok_and(|was| was & libc::FUTEX_WAITERS != 0) {
            // SAFETY: the kernel takes the address as a name. Another process may wait.
            unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
        }
    }
}
