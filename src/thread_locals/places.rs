//! The places of a [`Layout`], found out on a running OS thread.
//!
//! That of a field is taken from what glibc tells debuggers, or found by looking for the value that a public function
//! returns or has set. If neither works, nothing is guessed: then there are no thread-locals of a green thread's own.
#![expect(unsafe_code, reason = "reads a thread's descriptor")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;

use super::allocator::Words;
use super::base;
use super::glibc::{Field, Functions, field, modules, needed, size};
use super::layout::{HEAD, Keys, Layout, REFUSED, read};
use crate::sys::memory;
use crate::sys::symbols::symbol;

const WORD: usize = size_of::<usize>();

/// What the running OS thread shows; the caller must be the first code on it.
pub(super) fn find(functions: Functions, words: Words, no_end: usize) -> Result<Layout, String> {
    let base = base::get();
    let (mut bytes, mut align) = (0, 0);
    // SAFETY: it writes the two.
    unsafe { (functions.static_info)(&mut bytes, &mut align) };
    let of_descriptor = size(c"_thread_db_sizeof_pthread")?;
    let (below, above, descriptor) = if cfg!(target_arch = "x86_64") {
        let below = bytes.checked_sub(of_descriptor);
        (
            below.ok_or("a block is smaller than a descriptor")?,
            of_descriptor,
            0,
        )
    } else {
        (of_descriptor, bytes, -(of_descriptor as isize))
    };
    let align = align.max(64);
    if !align.is_power_of_two() || align > 4096 {
        return Err(format!("thread-locals are aligned to {align} bytes"));
    }
    let place = |field: Field| descriptor + field.offset as isize;
    let below = below.next_multiple_of(16);
    let distance = (HEAD + WORD + above).next_multiple_of(align);
    let layout = Layout {
        functions,
        modules: modules()
            .iter()
            .map(|module| module.number)
            .max()
            .unwrap_or(0),
        below,
        above,
        align,
        distance,
        room: (distance + below).next_multiple_of(memory::page_size()),
        header: header(base)?,
        descriptor,
        tid: place(field(c"_thread_db_pthread_tid")?),
        cancellation: place(field(c"_thread_db_pthread_cancelhandling")?),
        lives: lives(base.wrapping_add_signed(descriptor), of_descriptor)?
            .map(|(offset, word)| (offset + descriptor, word)),
        list: place(field(c"_thread_db_pthread_list")?),
        robust: robust(base.wrapping_add_signed(descriptor), of_descriptor)? + descriptor,
        stack: stack(base.wrapping_add_signed(descriptor), of_descriptor)? + descriptor,
        resolver: variable(c"__resp", base)?,
        dlerror: variable(c"__libc_dlerror_result", base)?,
        texts: texts(base, below, above),
        unwinds_to: unwinds_to(base, descriptor, of_descriptor),
        no_end,
        rseq: rseq(base),
        keys: keys(base, descriptor)?,
        words,
    };
    layout.check(base)?;
    Ok(layout)
}

/// On x86-64 the descriptor begins with words that the ABI knows. The last one that
/// matters is the guard of kept addresses, found by its value.
#[cfg(target_arch = "x86_64")]
fn header(base: usize) -> Result<Vec<isize>, String> {
    // SAFETY: the running thread's words, and the sixteen random bytes that the
    // kernel gives every program.
    unsafe {
        if read(base, 0) != base || read(base, 16) != base {
            return Err("the thread's descriptor does not point to itself".to_owned());
        }
        let random = libc::getauxval(libc::AT_RANDOM) as *const usize;
        if random.is_null() {
            return Err("the kernel has given no random bytes".to_owned());
        }
        let guard = random.add(1).read_unaligned();
        let last = (3..16).find(|&n| read(base, n * 8) == guard);
        let last = last.ok_or("the guard of kept addresses was not found")?;
        Ok((3..=last).map(|n| n * 8).collect())
    }
}

/// Elsewhere the guards are the process's.
#[cfg(not(target_arch = "x86_64"))]
fn header(_base: usize) -> Result<Vec<isize>, String> {
    Ok(Vec::new())
}

/// A thread-local of the C library.
fn variable(name: &CStr, base: usize) -> Result<isize, String> {
    Ok((needed(name)? as usize).wrapping_sub(base) as isize)
}

/// An empty list is one that ends at its own head, and the word before tells of the
/// head too. The kernel agrees, unless it does not tell (an emulated one).
fn robust(descriptor: usize, bytes: usize) -> Result<isize, String> {
    let at = |n: usize| descriptor + n * WORD;
    // SAFETY: within the running thread's descriptor.
    let is_head = |&n: &usize| unsafe { read(at(n), 0) == at(n) && read(at(n - 1), 0) == at(n) };
    let mut found = (1..bytes / WORD).filter(is_head);
    let (mut head, mut len) = (0usize, 0usize);
    // SAFETY: get_robust_list(2) of this thread; both live across the call.
    let failed =
        unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut len) };
    match (found.next(), found.next()) {
        (Some(n), None) if failed != 0 || head == at(n) => Ok((n * WORD) as isize),
        _ => Err("the list of robust mutexes was not found".to_owned()),
    }
}

/// Four words in a row, which must give what a public function tells.
fn stack(descriptor: usize, bytes: usize) -> Result<isize, String> {
    let (mut at, mut size, mut guard) = (std::ptr::null_mut::<c_void>(), 0, 0);
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: of the running thread; initialised by the first call, and everything
    // that is written to lives across the calls.
    let failed = unsafe {
        libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 || {
            let mut attributes = attributes.assume_init();
            let failed = libc::pthread_attr_getstack(&attributes, &mut at, &mut size)
                | libc::pthread_attr_getguardsize(&attributes, &mut guard);
            libc::pthread_attr_destroy(&mut attributes);
            failed != 0
        }
    };
    let words = bytes / WORD;
    // SAFETY: within the running thread's descriptor.
    let word = |n: usize| unsafe { read(descriptor, (n * WORD) as isize) };
    // The third is the guard that there is, the fourth the one that was asked for.
    let are_all = |&n: &usize| {
        let there = word(n + 2);
        word(n).checked_add(there) == Some(at as usize)
            && word(n + 1).checked_sub(there) == Some(size)
            && word(n + 3) == guard
    };
    let mut found = (0..words.saturating_sub(4)).filter(are_all);
    match (failed, found.next(), found.next()) {
        (false, Some(n), None) => Ok((n * WORD) as isize),
        _ => Err("where a thread's stack is kept was not found".to_owned()),
    }
}

/// The only word among `len` from `first` on, offsets from the base, that is `value`.
fn only_word(base: usize, first: isize, len: usize, value: usize) -> Option<isize> {
    let offsets = (0..len).map(|n| first + (n * WORD) as isize);
    // SAFETY: within the running thread's block.
    let mut found = offsets.filter(|&offset| unsafe { read(base, offset) } == value);
    let only = found.next();
    only.filter(|_| found.next().is_none())
}

/// What a descriptor needs beside the thread's id to be that of a thread which has not ended (glibc 2.43): the word of the
/// running thread's that makes one of it that is empty but for the id. Nothing if the id is enough.
fn lives(descriptor: usize, bytes: usize) -> Result<Option<(isize, u32)>, String> {
    const HALF: usize = size_of::<u32>();
    // SAFETY: within the running thread's descriptor.
    let of_running = |at: usize| unsafe { ((descriptor + at) as *const u32).read_volatile() };
    let mut memory = vec![0u64; bytes.div_ceil(WORD)];
    let empty = memory.as_mut_ptr().cast::<u32>();
    // SAFETY: within the other one, which is ours.
    let set = |at: usize, word: u32| unsafe { empty.byte_add(at).write_volatile(word) };
    let has_not_ended = || {
        let mut clock = 0;
        // SAFETY: it looks at the descriptor, which lives across the call.
        unsafe { libc::pthread_getcpuclockid(empty as libc::pthread_t, &mut clock) == 0 }
    };
    let tid = field(c"_thread_db_pthread_tid")?.offset;
    set(tid, of_running(tid));
    if has_not_ended() {
        return Ok(None);
    }
    let mut words = (0..bytes - HALF).step_by(HALF).filter(|&at| at != tid);
    let found = words.find(|&at| {
        set(at, of_running(at));
        let found = has_not_ended();
        set(at, 0);
        found
    });
    match found {
        Some(at) => Ok(Some((at as isize, of_running(at)))),
        None => Err("where a thread says that it lives was not found".to_owned()),
    }
}

/// Where the C library keeps them it has none for a thread that asked for none, so a place that is not found does no harm
/// but to memory.
fn texts(base: usize, below: usize, above: usize) -> [Option<isize>; 2] {
    unsafe extern "C" {
        fn strsignal(signal: c_int) -> *mut c_char;
    }
    const NONE: c_int = 9999;
    // SAFETY: any number may be asked for.
    let made = unsafe { [strsignal(NONE), libc::strerror(NONE)] };
    let first = -(below as isize);
    made.map(|text| only_word(base, first, (below + above) / WORD, text as usize))
}

/// Where C's clean-up handlers are told of an end, the innermost handler is kept: one that is told here, for a moment.
fn unwinds_to(base: usize, descriptor: isize, bytes: usize) -> Option<isize> {
    type Change = unsafe extern "C" fn(*mut c_void);
    let (register, unregister) = (
        symbol(c"__pthread_register_cancel")?,
        symbol(c"__pthread_unregister_cancel")?,
    );
    // A `__pthread_unwind_buf_t`, with room to spare.
    let mut handler = [0usize; 64];
    // SAFETY: functions of this signature (pthread.h), which write to the handler and note its address, and forget it.
    unsafe {
        let register = std::mem::transmute::<*mut c_void, Change>(register);
        let unregister = std::mem::transmute::<*mut c_void, Change>(unregister);
        let at = (&raw mut handler).cast::<c_void>();
        register(at);
        let found = only_word(base, descriptor, bytes / WORD, at as usize);
        unregister(at);
        found
    }
}

/// Where the kernel's restartable sequences report, even if they were refused or turned off by a
/// setting of glibc: glibc aborts if a thread was promised some and gets none.
fn rseq(base: usize) -> Option<isize> {
    let (offset, bytes) = (symbol(c"__rseq_offset")?, symbol(c"__rseq_size")?);
    // SAFETY: public variables of these types (sys/rseq.h).
    let (offset, bytes) = unsafe { (offset.cast::<isize>().read(), bytes.cast::<u32>().read()) };
    if offset == 0 {
        return None;
    }
    // SAFETY: there lies what sys/rseq.h says for each thread.
    let refused = || unsafe { read(base, offset) } == REFUSED;
    (bytes > 0 || refused()).then_some(offset)
}

fn keys(base: usize, descriptor: isize) -> Result<Keys, String> {
    let blocks = field(c"_thread_db_pthread_specific")?;
    let at = descriptor + blocks.offset as isize;
    let values = field(c"_thread_db_pthread_key_data_level2_data")?;
    let table = field(c"_thread_db___pthread_keys")?;
    // SAFETY: the running thread's first block of values, whose address lies there.
    let first = unsafe { read(base, at) }.wrapping_sub(base) as isize;
    let block_count = blocks.bytes * blocks.count / WORD;
    let value_bytes = size(c"_thread_db_sizeof_pthread_key_data")?;
    let known = table.count == block_count * values.count
        && values.offset == 0
        && values.bytes == value_bytes;
    if !known {
        return Err("values by key are kept in another way".to_owned());
    }
    let keys = Keys {
        blocks: at,
        block_count,
        first,
        used: at + (block_count * WORD) as isize,
        per_block: values.count,
        value_bytes,
        data: field(c"_thread_db_pthread_key_data_data")?.offset,
        generation: field(c"_thread_db_pthread_key_data_seq")?.offset,
        table: needed(c"__pthread_keys")? as usize + table.offset,
        key_bytes: size(c"_thread_db_sizeof_pthread_key_struct")?,
        key_generation: field(c"_thread_db_pthread_key_struct_seq")?.offset,
        destructor: field(c"_thread_db_pthread_key_struct_destr")?.offset,
    };
    Ok(keys)
}
