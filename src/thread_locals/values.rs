//! The beginning and the end of a thread's values, on the green thread itself.
//!
//! The end is that of glibc's threads (`start_thread`, `__nptl_deallocate_tsd`):
//! destructors of thread-locals, then those of pthread keys, up to four rounds. Then
//! the first ones once more, since a key's may have used a thread-local. All of them
//! are users' code and may wait.
#![expect(unsafe_code, reason = "calls destructors")]

use std::ffi::c_void;

use super::base;
use super::glibc::Destructor;
use super::layout;
use super::layout::{Keys, Layout, read, write};

/// PTHREAD_DESTRUCTOR_ITERATIONS.
const ROUNDS: usize = 4;

/// The first thing on a green thread.
pub(crate) fn make_values() {
    if let Some(layout) = layout::current() {
        // SAFETY: glibc calls it at the start of a thread.
        unsafe { (layout.functions.init_characters)() };
    }
}

/// Runs the destructors of the running green thread's values, if it has its own.
#[inline]
pub(crate) fn end_values() {
    if layout::are_own() {
        end_own();
    }
}

#[inline(never)]
fn end_own() {
    if let Some(layout) = layout::current() {
        end(layout, base::get());
    }
}

/// Of the running thread, whose base is `base`.
pub(super) fn end(layout: &Layout, base: usize) {
    // SAFETY: glibc calls it at the end of a thread.
    let call_destructors = || unsafe { (layout.functions.call_destructors)() };
    call_destructors();
    if layout.keys.end(base) {
        call_destructors();
    }
    layout.hand_on_mutexes(base);
    for text in layout.texts.into_iter().flatten() {
        // SAFETY: a word of the running thread's: null, or malloc's, and nobody reads it any more.
        unsafe {
            let at = read(base, text);
            if at != 0 {
                libc::free(at as *mut c_void);
                write(base, text, 0);
            }
        }
    }
    // The text of an error is freed when it was asked for twice.
    for _ in 0..2 {
        // SAFETY: a word of the running thread's; dlerror(3) takes nothing.
        unsafe {
            if read(base, layout.dlerror) != 0 {
                libc::dlerror();
            }
        }
    }
}

impl Keys {
    /// Calls the destructors of the keys that have a value in the running thread,
    /// and says whether any value was set.
    fn end(&self, base: usize) -> bool {
        let mut any = false;
        for _ in 0..ROUNDS {
            if !self.take_used(base) {
                break;
            }
            any = true;
            (0..self.block_count).for_each(|block| self.end_block(base, block));
        }
        if any {
            self.free_blocks(base);
        }
        any
    }

    /// Of a thread that has ended: forgets what was set after the last round, so that the next one on this block does not find
    /// it.
    #[inline]
    pub(super) fn forget(&self, base: usize) {
        if self.take_used(base) {
            self.free_blocks(base);
        }
    }

    /// Whether the value of `key` is `data`, by what is known of where it lies.
    pub(super) fn has(&self, base: usize, key: usize, data: usize) -> bool {
        let block = self.block(base, key / self.per_block);
        let value = block + key % self.per_block * self.value_bytes;
        // SAFETY: of the running thread's.
        block != 0 && unsafe { read(value, self.data as isize) } == data
    }

    fn take_used(&self, base: usize) -> bool {
        let used = base.wrapping_add_signed(self.used) as *mut u8;
        // SAFETY: a byte of the running thread's descriptor, a `bool`.
        unsafe {
            let was = used.read_volatile();
            used.write_volatile(0);
            was != 0
        }
    }

    /// Address of a block of values, or 0.
    fn block(&self, base: usize, n: usize) -> usize {
        // SAFETY: the running thread's.
        unsafe { read(base, self.blocks + (n * size_of::<usize>()) as isize) }
    }

    fn end_block(&self, base: usize, n: usize) {
        let block = self.block(base, n);
        if block == 0 {
            return;
        }
        for place in 0..self.per_block {
            let value = block + place * self.value_bytes;
            let key = self.table + (n * self.per_block + place) * self.key_bytes;
            // SAFETY: values of the running thread's, and the list of keys, which
            // has an entry for each place.
            unsafe {
                let data = read(value, self.data as isize);
                if data == 0 {
                    continue;
                }
                write(value, self.data as isize, 0);
                let generation = read(value, self.generation as isize);
                let destructor = read(key, self.destructor as isize);
                if generation == read(key, self.key_generation as isize) && destructor != 0 {
                    // SAFETY: given to pthread_key_create(3).
                    std::mem::transmute::<usize, Destructor>(destructor)(data as *mut c_void);
                }
            }
        }
    }

    fn free_blocks(&self, base: usize) {
        let first = base.wrapping_add_signed(self.first) as *mut u8;
        // SAFETY: the running thread's; the other blocks are malloc's.
        unsafe {
            first.write_bytes(0, self.per_block * self.value_bytes);
            for n in 1..self.block_count {
                let block = self.block(base, n);
                if block != 0 {
                    libc::free(block as *mut c_void);
                    write(base, self.blocks + (n * size_of::<usize>()) as isize, 0);
                }
            }
        }
        self.take_used(base);
    }
}
