//! Where glibc keeps what around a thread's base.
//!
//! ```text
//!   x86-64:   values of modules │ base: descriptor
//!   aarch64:  descriptor │ base: two words │ values of modules
//! ```
//!
//! The *descriptor* (`struct pthread`) differs from version to version, so [`places`](super::places) finds out what lies
//! where. All places are offsets from the base.
#![expect(unsafe_code, reason = "reads and writes a thread's descriptor")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::allocator::Words;
use super::glibc::Functions;

/// Bytes at the top of a stack that are the engine's.
pub(crate) const HEAD: usize = 128;

/// RSEQ_CPU_ID_REGISTRATION_FAILED for the processor (linux/rseq.h), so that glibc
/// asks otherwise.
pub(super) const REFUSED: usize = 0xffff_fffe << 32;

/// Where things lie, once green threads have blocks. Never changed again.
static CURRENT: AtomicPtr<Layout> = AtomicPtr::new(ptr::null_mut());

/// Whether green threads have thread-locals of their own.
#[inline]
pub(crate) fn are_own() -> bool {
    !CURRENT.load(Ordering::Relaxed).is_null()
}

/// Where things lie in a block, if green threads have one.
#[inline]
pub(super) fn current() -> Option<&'static Layout> {
    // SAFETY: null, or leaked by `set_current` and never changed again.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }
}

/// From now on green threads have blocks.
pub(super) fn set_current(layout: Layout) {
    CURRENT.store(Box::into_raw(Box::new(layout)), Ordering::Release);
}

#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) functions: Functions,
    /// Modules with thread-locals that there were: entries of a vector at first. glibc makes it longer where there are more.
    pub(super) modules: usize,
    /// Bytes of a block below its base and from there on, and what the base is a
    /// multiple of.
    pub(super) below: usize,
    pub(super) above: usize,
    pub(super) align: usize,
    /// From the top of a stack, a page boundary, down to the base.
    pub(super) distance: usize,
    /// All of it, in whole pages.
    pub(super) room: usize,
    /// Words that are the same in every thread: the guards of stacks and of kept
    /// addresses.
    pub(super) header: Vec<isize>,
    pub(super) descriptor: isize,
    /// The thread id of the kernel.
    pub(super) tid: isize,
    /// Whether and how the thread lets itself be cancelled, and whether it was.
    pub(super) cancellation: isize,
    /// Where newer versions say that the thread has not ended, and how (an `int`).
    pub(super) lives: Option<(isize, u32)>,
    /// The links by which glibc finds its threads.
    pub(super) list: isize,
    /// Mutexes that the kernel is to hand on; the word before it is part of them.
    pub(super) robust: isize,
    /// Start and size with the guard, and the guard's sizes.
    pub(super) stack: isize,
    /// The resolver's state.
    pub(super) resolver: isize,
    pub(super) dlerror: isize,
    /// The texts that strsignal(3) and strerror(3) made for a number without one, where they are kept by thread.
    pub(super) texts: [Option<isize>; 2],
    /// Where the stack ends for what unwinds all of it, as pthread_exit(3) does.
    pub(super) unwinds_to: Option<isize>,
    /// What is written there: an address on which any access faults.
    pub(super) no_end: usize,
    /// What the kernel writes of the running CPU, if it was asked to.
    pub(super) rseq: Option<isize>,
    pub(super) keys: Keys,
    pub(super) words: Words,
}

/// Values by pthread key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// Addresses of the blocks of values, and how many.
    pub(super) blocks: isize,
    pub(super) block_count: usize,
    /// The first block, which lies in the descriptor.
    pub(super) first: isize,
    /// Whether any value was set.
    pub(super) used: isize,
    /// Values of a block, bytes of each, and where in it the data and the mark are
    /// that tells the key's generations apart.
    pub(super) per_block: usize,
    pub(super) value_bytes: usize,
    pub(super) data: usize,
    pub(super) generation: usize,
    /// The process's list of keys: its address, bytes of each, and in it the mark and
    /// the destructor.
    pub(super) table: usize,
    pub(super) key_bytes: usize,
    pub(super) key_generation: usize,
    pub(super) destructor: usize,
}

/// A word of a block.
///
/// # Safety
///
/// `offset` lies in the block of `base`, which belongs to the calling thread.
#[inline]
pub(super) unsafe fn read(base: usize, offset: isize) -> usize {
    // SAFETY: handed on to the caller. The C library reads and writes it too.
    unsafe { (base.wrapping_add_signed(offset) as *const usize).read_volatile() }
}

/// # Safety
///
/// As [`read`].
#[inline]
pub(super) unsafe fn write(base: usize, offset: isize, word: usize) {
    // SAFETY: handed on to the caller.
    unsafe {
        (base.wrapping_add_signed(offset) as *mut usize).write_volatile(word);
    }
}

impl Layout {
    /// Everything lies within a block of `base`, the running thread's, and the thread id is where it was told.
    pub(super) fn check(&self, base: usize) -> Result<(), String> {
        let block = -(self.below as isize)..self.above as isize - 8;
        let last_key = self.keys.first + (self.keys.per_block * self.keys.value_bytes) as isize - 8;
        let places = [
            self.tid,
            self.cancellation,
            self.list,
            self.list + 8,
            self.robust - 8,
            self.robust,
            self.stack,
            self.stack + 24,
            self.resolver,
            self.dlerror,
            self.rseq.unwrap_or(0),
            self.keys.used,
            self.keys.blocks,
            self.keys.first,
            last_key,
        ];
        let lives = self.lives.map(|(offset, _)| offset);
        let optional = self.texts.into_iter().chain([self.unwinds_to, lives]);
        let optional = optional.flatten();
        let words = self.words.iter().chain(self.header.iter().copied());
        if !places
            .into_iter()
            .chain(words)
            .chain(optional)
            .all(|place| block.contains(&place))
        {
            return Err("something of a thread lies outside of its block".to_owned());
        }
        // SAFETY: without arguments; the word lies in the running thread's block.
        let (tid, told) = unsafe { (libc::syscall(libc::SYS_gettid), read(base, self.tid)) };
        if told as u32 != tid as u32 {
            return Err("the thread's id is not where the C library tells".to_owned());
        }
        // SAFETY: the descriptor has its word there.
        let told = unsafe { libc::pthread_self() } as usize;
        if told != self.itself(base) {
            return Err("a thread's descriptor is not at its base".to_owned());
        }
        Ok(())
    }

    /// Copies what allocators keep by thread from one base to another.
    #[inline]
    pub(super) fn copy_words(&self, from: usize, to: usize) {
        // SAFETY: both are whole blocks of the running OS thread and of a green
        // thread of it, which only this OS thread touches.
        let copy = |offset: isize| unsafe { write(to, offset, read(from, offset)) };
        if let Some((first, second)) = self.words.pair() {
            copy(first);
            copy(second);
        } else {
            self.words.iter().for_each(copy);
        }
    }

    /// Makes the descriptor of `base` one of a thread that runs on the OS thread of
    /// `os` and has the stack from `bottom` on.
    ///
    /// # Safety
    ///
    /// Both are blocks, and the calling thread's own.
    pub(super) unsafe fn describe(&self, base: usize, os: usize, stack: (usize, usize)) {
        let at = |offset: isize| base.wrapping_add_signed(offset);
        // SAFETY: within the block (`check`); what is copied lies in the other one.
        unsafe {
            if cfg!(target_arch = "x86_64") {
                write(base, 0, base);
                write(base, 16, base);
            }
            for &offset in &self.header {
                write(base, offset, read(os, offset));
            }
            self.copy_tid(os, base);
            // An `int`, of which the thread before may have left something.
            (at(self.cancellation) as *mut u32).write_volatile(0);
            if let Some((lives, word)) = self.lives {
                (at(lives) as *mut u32).write_volatile(word);
            }
            // glibc's own list does not know it: it is alone.
            write(base, self.list, at(self.list));
            write(base, self.list + 8, at(self.list));
            // No mutex yet, the list ends at its own head.
            write(base, self.robust - 8, at(self.robust));
            write(base, self.robust, at(self.robust));
            write(base, self.robust + 8, read(os, self.robust + 8));
            write(base, self.stack, stack.0);
            write(base, self.stack + 8, stack.1);
            write(base, self.stack + 16, 0);
            write(base, self.stack + 24, 0);
            write(base, self.resolver, read(os, self.resolver));
            write(base, self.keys.blocks, at(self.keys.first));
            if let Some(unwinds_to) = self.unwinds_to {
                write(base, unwinds_to, self.no_end);
            }
            if let Some(rseq) = self.rseq {
                // The kernel tells the OS thread's block alone.
                write(base, rseq, REFUSED);
            }
        }
    }

    /// What pthread_self(3) gives on this base.
    pub(super) fn itself(&self, base: usize) -> usize {
        base.wrapping_add_signed(self.descriptor)
    }

    /// The kernel's number of the thread of `base`.
    ///
    /// # Safety
    ///
    /// It is a block.
    pub(super) unsafe fn tid(&self, base: usize) -> u32 {
        // SAFETY: as the caller promises.
        unsafe { (base.wrapping_add_signed(self.tid) as *const u32).read_volatile() }
    }

    /// # Safety
    ///
    /// As [`describe`](Layout::describe).
    pub(super) unsafe fn copy_tid(&self, from: usize, to: usize) {
        // SAFETY: handed on to the caller.
        unsafe {
            let tid = self.tid(from);
            (to.wrapping_add_signed(self.tid) as *mut u32).write_volatile(tid);
        }
    }

    /// Whether `base` is that of a thread that glibc's list does not have.
    ///
    /// # Safety
    ///
    /// It is the running thread's, or a block that the caller owns.
    pub(super) unsafe fn is_alone(&self, base: usize) -> bool {
        // SAFETY: handed on to the caller.
        unsafe { read(base, self.list) == base.wrapping_add_signed(self.list) }
    }
}
