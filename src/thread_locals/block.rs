//! A green thread's block: made at the top of its stack, filled anew for each.
//!
//! ```text
//!   top   ┌──────────────────┐
//!         │ head of a fiber  │  HEAD bytes
//!         ├──────────────────┤
//!         │ the OS thread's  │  one word
//!         │ base             │
//!         ├──────────────────┤
//!         │ block            │  values, base, descriptor
//!         ├──────────────────┤
//!         │ frames, …        │  downwards
//! ```
//!
//! glibc's vector of modules stays with the stack, since most green threads take
//! one over that was used before. It goes when the stack's memory does.
#![expect(unsafe_code, reason = "lays blocks into stacks")]

use super::base;
use super::layout;
use super::layout::{HEAD, Layout, read, write};
use crate::sys::memory;

const WORD: usize = size_of::<usize>();
/// A module that has no values yet in a vector.
const UNALLOCATED: usize = usize::MAX;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Cache lines that hold the base, and below it the values of the program and the
/// C library that most code uses.
const LINES: usize = 8;

/// The block of a green thread that has begun and not ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block(usize);

/// Bytes that a stack needs beside what was asked for: whole pages.
pub(crate) fn room() -> usize {
    layout::current().map_or(0, |layout| layout.room)
}

impl Block {
    /// Fills the block in the stack that ends at `top` and has `size` bytes, for a
    /// green thread of the calling hub.
    ///
    /// # Safety
    ///
    /// [`are_own`](super::are_own). The stack is the caller's, and has nothing else
    /// at its top but the head. Called on the hub's OS thread, by its loop or a green
    /// thread of it.
    pub(crate) unsafe fn begin(top: usize, size: usize) -> Block {
        let layout = layout::current().expect("green threads have thread-locals of their own");
        let here = base::get();
        let os = Block::at(layout, here).map_or(here, |green| green.os_base(layout));
        let base = top - layout.distance;
        // SAFETY: as the caller promises; the block lies within the stack, whose
        // size takes it into account (`room`).
        unsafe {
            layout.fill(base, os, (top - size, size));
            write(base, layout.os_base(), os);
        }
        Block(base)
    }

    /// That of `base`, which [`begin`](Block::begin) gave.
    pub(crate) fn of(base: usize) -> Block {
        Block(base)
    }

    /// That of `base`, which is the running thread's, unless it is an OS thread's.
    fn at(layout: &Layout, base: usize) -> Option<Block> {
        // SAFETY: the running thread's.
        unsafe { layout.is_alone(base) }.then_some(Block(base))
    }

    /// That of the running thread, if it is a green one's.
    pub(super) fn running() -> Option<(&'static Layout, Block)> {
        let layout = layout::current()?;
        Some((layout, Block::at(layout, base::get())?))
    }

    #[inline]
    pub(crate) fn base(self) -> usize {
        self.0
    }

    /// Where the first frame begins, a multiple of 16.
    pub(crate) fn bottom(self) -> usize {
        self.0 - layout::current().map_or(0, |layout| layout.below)
    }

    /// The base of the OS thread that it runs on.
    pub(super) fn os_base(self, layout: &Layout) -> usize {
        // SAFETY: written when the block began.
        unsafe { read(self.0, layout.os_base()) }
    }

    /// Frees what modules that were loaded later were given for this thread, and forgets what its destructors left.
    ///
    /// # Safety
    ///
    /// The green thread has ended. Called on its hub, from the loop.
    pub(crate) unsafe fn end(self) {
        if let Some(layout) = layout::current() {
            // SAFETY: as the caller promises.
            unsafe { layout.end(self.0) };
        }
    }
}

/// Hands what allocators keep by thread from one base to another, before the second
/// one is set.
#[inline]
pub(crate) fn hand_over(from: usize, to: usize) {
    if let Some(layout) = layout::current() {
        layout.copy_words(from, to);
    }
}

/// Has what a resume touches first of the block under the head at `head` brought
/// into the cache.
#[inline(never)]
pub(crate) fn prefetch(head: usize) {
    if let Some(layout) = layout::current() {
        memory::prefetch(head + LINE);
        let base = head + HEAD - layout.distance;
        for line in 0..LINES {
            memory::prefetch(base.wrapping_sub(LINE * line));
        }
    }
}

/// Frees what a block that has ended left for the next one, in the stack that ends
/// at `top`: before its memory goes.
///
/// # Safety
///
/// The caller owns the stack, and nobody runs on it.
pub(crate) unsafe fn forget(top: usize) {
    if let Some(layout) = layout::current() {
        let base = top - layout.distance;
        // SAFETY: as the caller promises. Memory that was never used reads as zeros.
        unsafe {
            if read(base, layout.vector()) != 0 {
                (layout.functions.deallocate)(base, false);
                write(base, layout.vector(), 0);
            }
        }
    }
}

impl Layout {
    fn os_base(&self) -> isize {
        self.above as isize
    }

    /// Where the address of the vector of modules lies: fixed by the ABI.
    pub(super) fn vector(&self) -> isize {
        if cfg!(target_arch = "x86_64") { 8 } else { 0 }
    }

    /// # Safety
    ///
    /// The block of `base` is the caller's; `os` is the running OS thread's base.
    pub(super) unsafe fn fill(&self, base: usize, os: usize, stack: (usize, usize)) {
        // SAFETY: as the caller promises.
        unsafe {
            // The first access to a page that was never used must be a write: a read
            // would map the page of zeros first, and the write copy it, with an
            // interrupt to other cores. So the word beside the vector's goes first.
            if cfg!(target_arch = "x86_64") {
                write(base, 0, base);
            } else {
                write(base, 8, 0);
            }
            if read(base, self.vector()) == 0 {
                self.make_vector(base);
            }
            (self.functions.fill)(base, self.functions.fill_argument);
            self.describe(base, os, stack);
        }
    }

    /// Gives the block a vector that has no room beside the modules that there were, as glibc's own have: a quarter of a
    /// kilobyte, and `end` looks at each entry.
    ///
    /// # Safety
    ///
    /// As [`fill`](Layout::fill), and the block has none.
    unsafe fn make_vector(&self, base: usize) {
        // SAFETY: a vector is a length, a generation and an entry for each module, of two words each, and known by the
        // address of the second (`proof` looks at that).
        unsafe {
            let entries = 2 + self.modules;
            let vector = (self.functions.memory)(entries, 2 * WORD) as usize;
            if vector == 0 {
                let bytes = std::alloc::Layout::array::<[usize; 2]>(entries);
                std::alloc::handle_alloc_error(bytes.unwrap_or(std::alloc::Layout::new::<usize>()));
            }
            write(vector, 0, self.modules);
            write(base, self.vector(), vector + 2 * WORD);
        }
    }

    /// # Safety
    ///
    /// As [`Block::end`].
    pub(super) unsafe fn end(&self, base: usize) {
        self.keys.forget(base);
        let block = base - self.below..base + self.above;
        // SAFETY: a vector has its length before the first entry, and an entry two
        // words, the first one the address of the values (`proof` looks at that).
        unsafe {
            let vector = read(base, self.vector());
            let len = read(vector, -(2 * WORD as isize));
            let is_apart = |n: usize| {
                let values = read(vector, (2 * WORD * n) as isize);
                values != 0 && values != UNALLOCATED && !block.contains(&values)
            };
            if (1..=len).any(is_apart) {
                (self.functions.deallocate)(base, false);
                write(base, self.vector(), 0);
            }
        }
    }
}
