//! Children of fork(2), which have one OS thread: no hubs, and no pool of threads.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::lock::Lock;
use super::memory::page_size;

/// True in the process that called [`watch`], false in its children; on a page that the kernel empties in each copy of
/// the memory. Null before the call.
static IS_HERE: AtomicPtr<AtomicBool> = AtomicPtr::new(ptr::null_mut());

/// What fork(2) calls before it, and after it in the parent and in the child.
pub(crate) type Handlers = [Option<unsafe extern "C" fn()>; 3];

/// Installs handlers for the rest of the process.
///
/// # Errors
///
/// `OutOfMemory`: it may be tried again.
pub(crate) fn install([before, after, in_the_child]: Handlers) -> io::Result<()> {
    // SAFETY: functions that live for ever, and may be called in a child.
    match unsafe { libc::pthread_atfork(before, after, in_the_child) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// From now on a child of fork(2) knows that it is one, also where the C library's own fork is bypassed (`_Fork`,
/// clone(2)); on kernels before 4.14, and in qemu's emulation, only where it is not. A child of vfork(2) shares the memory,
/// and does not know.
///
/// # Errors
///
/// `OutOfMemory`: it may be tried again.
pub(crate) fn watch() -> io::Result<()> {
    static STARTING: Lock<()> = Lock::new(());
    if IS_HERE.load(Ordering::Acquire).is_null() {
        let _one_at_a_time = STARTING.lock();
        if IS_HERE.load(Ordering::Relaxed).is_null() {
            let page = own_page()?;
            // SAFETY: a page of zeros, which is mapped for ever.
            unsafe { &*page }.store(true, Ordering::Relaxed);
            IS_HERE.store(page, Ordering::Release);
        }
    }
    Ok(())
}

/// A page that is empty in a child, or at least emptied by it.
fn own_page() -> io::Result<*mut AtomicBool> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping at an address of the kernel's choice.
    let page = unsafe { libc::mmap(ptr::null_mut(), page_size(), access, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // qemu says that it has done so, and has not.
    // SAFETY: the page is ours, and nothing is in it yet.
    unsafe { libc::madvise(page, page_size(), libc::MADV_WIPEONFORK) };
    if let Err(error) = install([None, None, Some(in_a_child)]) {
        // SAFETY: nobody knows of it.
        unsafe { libc::munmap(page, page_size()) };
        return Err(error);
    }
    Ok(page.cast())
}

unsafe extern "C" fn in_a_child() {
    if let Some(is_here) = is_here() {
        is_here.store(false, Ordering::Relaxed);
    }
}

fn is_here() -> Option<&'static AtomicBool> {
    // SAFETY: null, or mapped for ever.
    unsafe { IS_HERE.load(Ordering::Acquire).as_ref() }
}

/// Whether this process was forked from one that called [`watch`].
#[inline]
pub(crate) fn is_child() -> bool {
    is_here().is_some_and(|is_here| !is_here.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_the_c_library_did_not_fork_knows_that_it_is_one() {
        watch().unwrap();
        assert!(!is_child());
        // SAFETY: without a stack of its own the child has a copy of this one; it looks at a byte, and ends.
        let ended_with = unsafe {
            let child = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as libc::pid_t;
            if child == 0 {
                libc::_exit(i32::from(is_child()));
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            libc::WEXITSTATUS(status)
        };
        assert_eq!(ended_with, 1);
        assert!(!is_child());
    }
}
