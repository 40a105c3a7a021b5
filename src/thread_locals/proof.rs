//! The proof that all of it works here: tried out on an OS thread, before the first hub.
//!
//! If anything is not as it must be, that is reported and has no other effect: thread-locals are
//! shared then. The proof takes a tenth of a millisecond.
#![expect(unsafe_code, reason = "runs code on a block that is thrown away")]

use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::allocator::{Words, make_all_calls};
use super::base;
use super::glibc::{self, Functions, Module, modules};
use super::layout::{Layout, read, write};
use super::{places, values};
use crate::sys::signal::no_end;
use crate::sys::symbols::symbol;

const WORD: usize = size_of::<usize>();

/// Why green threads have no thread-locals of their own.
pub(super) enum Refusal {
    /// They cannot be had in this process.
    Lacking(String),
    /// It could not be tried out just now.
    Untried(io::Error),
}

impl From<String> for Refusal {
    fn from(why: String) -> Refusal {
        Refusal::Lacking(why)
    }
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Refusal {
        Refusal::Lacking(why.to_owned())
    }
}

/// Where things lie, if green threads can have thread-locals of their own.
pub(super) fn prove() -> Result<Layout, Refusal> {
    if !base_may_be_set() {
        return Err(Refusal::from(match cfg!(target_arch = "x86_64") {
            true => "neither processor nor kernel lets a program set the base (FSGSBASE)",
            false => "there is no switch for this architecture",
        }));
    }
    for sanitizer in [c"__asan_init", c"__tsan_init", c"__msan_init"] {
        if symbol(sanitizer).is_some() {
            return Err("a sanitizer keeps thread-locals of its own".into());
        }
    }
    let functions = Functions::find()?;
    let values = Samples::of(&functions)?;
    let mut trial = Trial {
        functions,
        before: vec![0; values.words],
        after: vec![0; values.words],
        values,
        no_end: no_end().map_err(Refusal::Untried)?,
        outcome: Err("the proof came to nothing".to_owned()),
    };
    let mut thread = MaybeUninit::uninit();
    // SAFETY: `trial` lives until the thread is joined.
    unsafe {
        let trial = (&raw mut trial).cast();
        let code = libc::pthread_create(thread.as_mut_ptr(), ptr::null(), run, trial);
        if code != 0 {
            return Err(Refusal::Untried(io::Error::from_raw_os_error(code)));
        }
        libc::pthread_join(thread.assume_init(), ptr::null_mut());
    }
    Ok(trial.outcome?)
}

#[cfg(target_arch = "x86_64")]
fn base_may_be_set() -> bool {
    /// HWCAP2_FSGSBASE (asm/hwcap2.h).
    const FSGSBASE: libc::c_ulong = 1 << 1;
    // SAFETY: any number may be asked for.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & FSGSBASE != 0 }
}

#[cfg(not(target_arch = "x86_64"))]
fn base_may_be_set() -> bool {
    cfg!(target_arch = "aarch64")
}

/// Where the values of modules lie in a block.
#[derive(Clone, Copy)]
struct Samples {
    /// Offset from the base.
    first: isize,
    words: usize,
}

impl Samples {
    fn of(functions: &Functions) -> Result<Samples, String> {
        let (mut bytes, mut align) = (0, 0);
        // SAFETY: it writes the two.
        unsafe { (functions.static_info)(&mut bytes, &mut align) };
        // What is not values is the descriptor on x86-64, else two words.
        let (first, bytes) = if cfg!(target_arch = "x86_64") {
            let bytes = bytes.saturating_sub(glibc::size(c"_thread_db_sizeof_pthread")?);
            (-(bytes as isize), bytes)
        } else {
            (2 * WORD as isize, bytes.saturating_sub(2 * WORD))
        };
        Ok(Samples {
            first,
            words: bytes / WORD,
        })
    }

    fn offset(&self, n: usize) -> isize {
        self.first + (n * WORD) as isize
    }

    /// Copies those of `base`, the running thread's. Allocates nothing.
    fn copy(&self, base: usize, into: &mut [usize]) {
        for (n, word) in into.iter_mut().enumerate() {
            // SAFETY: within the running thread's block.
            *word = unsafe { read(base, self.offset(n)) };
        }
    }

    /// Offsets of the words that differ.
    fn changed(&self, before: &[usize], after: &[usize]) -> impl Iterator<Item = isize> {
        let words = before.iter().zip(after).enumerate();
        words
            .filter(|(_, (before, after))| before != after)
            .map(|(n, _)| self.offset(n))
    }
}

struct Trial {
    functions: Functions,
    values: Samples,
    /// Those of the thread, before and after the first allocations.
    before: Vec<usize>,
    after: Vec<usize>,
    no_end: usize,
    outcome: Result<Layout, String>,
}

/// Nothing is allocated on this thread before it has taken stock, unless a library that stands before the C library's
/// pthread_create(3) does so: `try_block` finds that out.
extern "C" fn run(trial: *mut c_void) -> *mut c_void {
    // SAFETY: handed over by `prove`, which waits.
    let trial = unsafe { &mut *trial.cast::<Trial>() };
    let base = base::get();
    trial.values.copy(base, &mut trial.before);
    make_all_calls();
    trial.values.copy(base, &mut trial.after);
    let tried = catch_unwind(AssertUnwindSafe(|| trial.try_out(base)));
    trial.outcome = tried.unwrap_or_else(|_| Err("the proof panicked".to_owned()));
    ptr::null_mut()
}

impl Trial {
    fn try_out(&mut self, base: usize) -> Result<Layout, String> {
        let words = Words::new(self.values.changed(&self.before, &self.after))?;
        // Destructors are a thread's own: an allocator that has some is not to be
        // shared.
        self.values.copy(base, &mut self.before);
        // SAFETY: a function of this library that does nothing.
        unsafe { (self.functions.at_exit)(nothing, ptr::null_mut(), here()) };
        self.values.copy(base, &mut self.after);
        let is_shared = |offset: isize| words.iter().any(|shared| shared == offset);
        if self
            .values
            .changed(&self.before, &self.after)
            .any(is_shared)
        {
            return Err("the allocator has destructors of thread-locals".to_owned());
        }
        let layout = places::find(self.functions, words, self.no_end)?;
        self.try_block(&layout)?;
        Ok(layout)
    }
}

unsafe extern "C" fn nothing(_: *mut c_void) {}

/// An address in this library, or program.
fn here() -> *const u8 {
    nothing as *const u8
}

thread_local! {
    static VALUE: Cell<usize> = const { Cell::new(0) };
}

static DESTRUCTORS_RUN: AtomicUsize = AtomicUsize::new(0);
/// What a destructor is to be called with.
const MARK: usize = 0x5_eed;

unsafe extern "C" fn count(mark: *mut c_void) {
    if mark as usize == MARK {
        DESTRUCTORS_RUN.fetch_add(1, Ordering::Relaxed);
    }
}

/// What code saw that ran on a block.
#[derive(Debug, Default)]
struct Seen {
    value: usize,
    itself: usize,
    stack: Option<(usize, usize)>,
    key_is_where_told: bool,
}

impl Trial {
    /// Whether allocators change anything among the values of `base`, the running thread's.
    fn keeps_something(&mut self, base: usize) -> bool {
        self.values.copy(base, &mut self.before);
        make_all_calls();
        self.values.copy(base, &mut self.after);
        self.before != self.after
    }

    /// Makes a block and has code run there.
    fn try_block(&mut self, layout: &Layout) -> Result<(), String> {
        let bytes = layout.below + layout.above + 2 * layout.align;
        let memory = vec![0u64; bytes / WORD + 2];
        let base = (memory.as_ptr() as usize + layout.below).next_multiple_of(layout.align);
        let (os, stack) = (base::get(), (0x10_0000, 0x4_0000));
        // SAFETY: the block is ours, and zero as memory that was never used.
        unsafe {
            // glibc's own vector first: the one that we make must be like it.
            if (layout.functions.allocate)(base) == 0 {
                return Err("the system has no memory left".to_owned());
            }
            let is_like_ours = check_vector(layout, base, os);
            (layout.functions.deallocate)(base, false);
            write(base, layout.vector(), 0);
            is_like_ours?;
        }
        let mut key = 0;
        // SAFETY: as above. The key's destructor only counts.
        unsafe {
            if libc::pthread_key_create(&mut key, Some(count)) != 0 {
                return Err("the system has no key left".to_owned());
            }
            layout.fill(base, os, stack);
        }
        let vector = check_vector(layout, base, os);
        VALUE.set(1);
        let before = DESTRUCTORS_RUN.load(Ordering::Relaxed);
        layout.copy_words(os, base);
        // SAFETY: the block is whole.
        let (keeps, seen) = unsafe {
            base::call_on(base, || {
                // What it made for the OS thread before we came is not among the words that
                // are handed over: on this block it makes that again.
                let keeps = self.keeps_something(base);
                let seen = look(layout, base, key);
                (keeps || self.keeps_something(base), seen)
            })
        };
        layout.copy_words(base, os);
        let run = DESTRUCTORS_RUN.load(Ordering::Relaxed) - before;
        // SAFETY: nothing runs on the block any more, and nobody uses the key.
        unsafe {
            libc::pthread_key_delete(key);
            (layout.functions.deallocate)(base, false);
        }
        if keeps {
            // It may know the block by its address, which nobody is to have again.
            std::mem::forget(memory);
        }
        vector?;
        let failed = [
            (
                VALUE.get() != 1 || seen.value != 0,
                "a thread-local was that of another",
            ),
            (
                seen.itself != layout.itself(base),
                "a thread was not itself",
            ),
            (seen.stack != Some(stack), "a thread had another stack"),
            (!seen.key_is_where_told, "a key's value was not found"),
            (run != 2, "destructors did not run"),
            (keeps, "the allocator kept something"),
        ];
        match failed.iter().find(|(failed, _)| *failed) {
            Some((_, what)) => Err(format!("on a block of its own {what}")),
            None => Ok(()),
        }
    }
}

/// Whether the vector of modules has the form that `Layout::end` takes it for.
fn check_vector(layout: &Layout, base: usize, os: usize) -> Result<(), String> {
    let block = os - layout.below..os + layout.above;
    let within: Vec<Module> = modules()
        .into_iter()
        .filter(|module| block.contains(&(module.values as usize)))
        .collect();
    // SAFETY: the vector of the block that was just made.
    let is_right = |module: &Module| unsafe {
        let vector = read(base, layout.vector());
        let len = read(vector, -(2 * WORD as isize));
        let entry = |n: usize| read(vector, (2 * WORD * n) as isize);
        (1..4096).contains(&len)
            && module.number <= len
            && entry(module.number) == base + module.values as usize - os
    };
    match !within.is_empty() && within.iter().all(is_right) {
        true => Ok(()),
        false => Err("the vector of modules has another form".to_owned()),
    }
}

fn look(layout: &Layout, base: usize, key: libc::pthread_key_t) -> Seen {
    let value = VALUE.get();
    VALUE.set(2);
    let mut seen = Seen {
        value,
        ..Seen::default()
    };
    // SAFETY: of the running thread, which this block makes another one; the
    // destructors only count.
    unsafe {
        seen.itself = libc::pthread_self() as usize;
        seen.stack = own_stack();
        libc::pthread_setspecific(key, MARK as *const c_void);
        seen.key_is_where_told = layout.keys.has(base, key as usize, MARK);
        (layout.functions.at_exit)(count, MARK as *mut c_void, here());
    }
    values::end(layout, base);
    seen
}

/// As the C library tells.
fn own_stack() -> Option<(usize, usize)> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut at, mut size) = (ptr::null_mut::<c_void>(), 0);
    // SAFETY: initialised by the first call; all of it lives across the calls.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let mut attributes = attributes.assume_init();
        libc::pthread_attr_getstack(&attributes, &mut at, &mut size);
        libc::pthread_attr_destroy(&mut attributes);
    }
    Some((at as usize, size))
}
