//! Whether the calling OS thread's thread-locals are being destroyed: the C library's list of their destructors, watched.
//!
//! exit(3) on a hub's OS thread runs these destructors before anything that one
//! could ask to be called, and one that waits would let neighbours run among
//! values that are gone. glibc keeps the destructors of a thread
//! (`__cxa_thread_atexit_impl`, stdlib/cxa_thread_atexit_impl.c) in a list that
//! only grows while the thread lives. Where its head lies is not public, so it is
//! found out: of all words that the library has for this thread, it is the one
//! that changes when a destructor is registered, to an entry that has what was
//! registered and the word's old value. Where no such word is found, as with
//! other C libraries, nothing is watched.
//!
//! # Safety
//!
//! The watch is used on the OS thread that made it, which lives as long.
#![expect(unsafe_code, reason = "reads the C library's list")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::ptr;

use super::symbols::symbol;

/// As glibc lays it out. A function that is not called from here.
#[repr(C)]
struct Entry {
    function: usize,
    object: *const c_void,
    library: usize,
    next: *const Entry,
}

type Register = unsafe extern "C" fn(Destructor, *const c_void, *const u8) -> c_int;
type Destructor = unsafe extern "C" fn(*mut c_void);

unsafe extern "C" {
    /// Tells the C library which program or library a destructor belongs to.
    static __dso_handle: u8;
}

/// The list of one OS thread.
pub(crate) struct Destructors {
    head: *const *const Entry,
    /// The first entry and the second, when last looked at. Both, since an entry
    /// may be made where another one was.
    seen: Cell<(*const Entry, *const Entry)>,
    here: PhantomData<*const ()>,
}

impl Destructors {
    /// Those of the calling OS thread.
    pub(crate) fn watch() -> Option<Destructors> {
        let register = symbol(c"__cxa_thread_atexit_impl")?;
        // SAFETY: it has this signature wherever it is there.
        let register = unsafe { std::mem::transmute::<usize, Register>(register as usize) };
        // The first time the library may make other things too.
        let words = words_of(register as usize)?;
        note(register, ptr::null());
        let object = (&raw const words).cast::<c_void>();
        let before = copy_of(words);
        note(register, object);
        let after = copy_of(words);
        let mut changed = (0..words.1).filter(|&n| before[n] != after[n]);
        let (Some(at), None) = (changed.next(), changed.next()) else {
            return None;
        };
        let head = words.0.wrapping_add(at).cast::<*const Entry>();
        let entry = after[at] as *const Entry;
        // SAFETY: the library has just set the word to something that it made, of
        // which four words can be read: an entry, or whatever it keeps a pointer to.
        let known = unsafe { (*entry).object == object && (*entry).next as usize == before[at] };
        known.then(|| Destructors {
            head,
            seen: Cell::new((entry, before[at] as *const Entry)),
            here: PhantomData,
        })
    }

    /// Whether one has been called.
    #[inline]
    pub(crate) fn are_running(&self) -> bool {
        let now = self.first_two();
        now != self.seen.get() && self.have_shrunk(now)
    }

    #[inline]
    fn first_two(&self) -> (*const Entry, *const Entry) {
        // SAFETY: the word is this OS thread's, and null or an entry.
        unsafe {
            let first = *self.head;
            let second = first.as_ref().map_or(ptr::null(), |entry| entry.next);
            (first, second)
        }
    }

    /// An entry that was seen and is not there any more has been called.
    #[cold]
    fn have_shrunk(&self, now: (*const Entry, *const Entry)) -> bool {
        let (first, second) = self.seen.get();
        let mut at = now.0;
        // SAFETY: entries of the list, up to null.
        while let Some(entry) = unsafe { at.as_ref() } {
            if at == first && entry.next == second {
                self.seen.set(now);
                return false;
            }
            at = entry.next;
        }
        true
    }
}

unsafe extern "C" fn nothing(_: *mut c_void) {}

/// Registers a destructor of nothing.
fn note(register: Register, object: *const c_void) {
    // SAFETY: it does nothing with the object, and is part of this program or
    // library, as the handle says.
    unsafe { register(nothing, object, &raw const __dso_handle) };
}

/// A library's thread-locals on this OS thread: their first word, and how many.
type Words = (*const usize, usize);

/// Those of the library that the function at `function` belongs to.
fn words_of(function: usize) -> Option<Words> {
    struct Search {
        function: usize,
        found: Option<Words>,
    }
    unsafe extern "C" fn look(
        info: *mut libc::dl_phdr_info,
        size: usize,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader passes a valid description, whose headers are mapped,
        // and what was handed over below.
        let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
        if size < size_of::<libc::dl_phdr_info>() || info.dlpi_tls_data.is_null() {
            return 0;
        }
        // SAFETY: as above.
        let headers =
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        let start = |h: &libc::Elf64_Phdr| (info.dlpi_addr + h.p_vaddr) as usize;
        let mut loaded = headers.iter().filter(|h| h.p_type == libc::PT_LOAD);
        let has = |h: &libc::Elf64_Phdr| {
            (start(h)..start(h) + h.p_memsz as usize).contains(&search.function)
        };
        if !loaded.any(has) {
            return 0;
        }
        let locals = headers.iter().find(|h| h.p_type == libc::PT_TLS);
        search.found = locals.map(|h| {
            let bytes = h.p_memsz as usize;
            let at = info.dlpi_tls_data.cast_const().cast();
            (at, bytes / size_of::<usize>())
        });
        1
    }
    let mut search = Search {
        function,
        found: None,
    };
    // SAFETY: `look` is called with this argument, during the call alone.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    search.found.filter(|(at, _)| at.is_aligned())
}

fn copy_of((at, len): Words) -> Vec<usize> {
    // SAFETY: the library's words on this OS thread, which nobody else writes.
    (0..len)
        .map(|n| unsafe { at.wrapping_add(n).read_volatile() })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::mem::ManuallyDrop;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    thread_local! {
        // It has no destructor of its own, so destructors can use it.
        static WATCH: ManuallyDrop<Cell<Option<Destructors>>> =
            const { ManuallyDrop::new(Cell::new(None)) };
        static FIRST: Vec<u8> = const { Vec::new() };
        static LAST: Looks = const { Looks };
    }
    static SEEN: AtomicBool = AtomicBool::new(false);

    fn are_running() -> bool {
        let watch = WATCH.with(|watch| watch.take()).unwrap();
        let running = watch.are_running();
        WATCH.with(|kept| kept.set(Some(watch)));
        running
    }

    struct Looks;

    impl Drop for Looks {
        fn drop(&mut self) {
            SEEN.store(are_running(), Ordering::Relaxed);
        }
    }

    #[test]
    fn a_list_that_grows_is_told_from_one_that_shrinks() {
        std::thread::spawn(|| {
            let watch = Destructors::watch().expect("glibc has the list");
            WATCH.with(|kept| kept.set(Some(watch)));
            assert!(!are_running());
            FIRST.with(|_| ());
            LAST.with(|_| ());
            assert!(!are_running());
        })
        .join()
        .unwrap();
        assert!(SEEN.load(Ordering::Relaxed));
    }
}
