//! What the allocators keep by thread, found by watching an OS thread's first calls.
//!
//! malloc keeps a cache and an arena for each thread, by two words among its
//! thread-locals; a global allocator such as mimalloc keeps a word or two as well.
//! A cache for each green thread would take memory that an idle one does not need,
//! and its end could not be told to the allocator. So these words are the hub's:
//! they are copied whenever the base changes. An allocator that keeps more than a
//! few words (jemalloc has a structure of kilobytes) cannot be served so.
#![expect(unsafe_code, reason = "calls allocators")]

use std::alloc::{Layout as Memory, alloc, dealloc};
use std::hint::black_box;

/// Words that can be shared, at most.
pub(super) const WORDS: usize = 6;

/// Offsets from the base.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Words {
    offsets: [isize; WORDS],
    len: usize,
}

impl Words {
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = isize> {
        self.offsets[..self.len].iter().copied()
    }

    /// If there are two, as glibc's malloc has them.
    #[inline]
    pub(super) fn pair(&self) -> Option<(isize, isize)> {
        (self.len == 2).then_some((self.offsets[0], self.offsets[1]))
    }

    /// Those that were found to change.
    pub(super) fn new(changed: impl Iterator<Item = isize>) -> Result<Words, String> {
        let mut words = Words::default();
        for offset in changed {
            if words.len == WORDS {
                return Err(format!(
                    "the allocator keeps more than {WORDS} words for each thread"
                ));
            }
            words.offsets[words.len] = offset;
            words.len += 1;
        }
        Ok(words)
    }
}

/// Makes calls of every kind, so that whatever is made for a thread is there.
///
/// It runs as the first code of an OS thread, and keeps nothing.
pub(super) fn make_all_calls() {
    // None that malloc maps by itself: freeing one would raise from which size on.
    const SIZES: [usize; 6] = [1, 24, 100, 512, 2000, 20_000];
    for size in SIZES {
        // SAFETY: each is freed as it was allocated, and null is taken by all.
        unsafe {
            let first = black_box(libc::malloc(size));
            let second = black_box(libc::calloc(1, size));
            let first = black_box(libc::realloc(first, size + 40));
            libc::free(second);
            libc::free(first);
        }
    }
    for size in SIZES {
        for align in [8, 64] {
            let Ok(memory) = Memory::from_size_align(size, align) else {
                continue;
            };
            // SAFETY: not of size zero, and freed as it was allocated.
            unsafe {
                let at = black_box(alloc(memory));
                if !at.is_null() {
                    dealloc(at, memory);
                }
            }
        }
    }
}
