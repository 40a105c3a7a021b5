//! Wake-ups that come where no green thread can be woken: from an allocator that the runtime calls
//! under its locks, or from a signal handler. A separate thread delivers them later.
#![expect(unsafe_code, reason = "a futex by the system call")]

use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

use crate::behind::real::syscall;
use crate::errno::{errno, set_errno};

/// Addresses to be woken. Should there be more at once than places, one that comes later waits for
/// its place: the thread empties them all in a moment.
static PLACES: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];
/// How many wakes there have been; the futex that the thread sleeps on.
static CALLS: AtomicU32 = AtomicU32::new(0);

/// Makes sure that all who are parked by `address` are woken soon. Allocates nothing and takes no
/// lock.
pub(super) fn wake(address: usize) {
    let put = |place: &AtomicUsize| match place.compare_exchange(
        0,
        address,
        Ordering::SeqCst,
        Ordering::Relaxed,
    ) {
        Ok(_) => true,
        Err(there) => there == address,
    };
    while !PLACES.iter().any(put) {
        std::hint::spin_loop();
    }
    CALLS.fetch_add(1, Ordering::SeqCst);
    let before = errno();
    // SAFETY: wakes one thread by a word that lives for ever.
    unsafe { futex(libc::FUTEX_WAKE, 1) };
    set_errno(before);
}

/// Starts the thread, once. `deliver` wakes all who are parked by an address.
pub(super) fn start(deliver: fn(usize)) -> io::Result<()> {
    thread::Builder::new()
        .name("green-monkey".to_owned())
        .spawn(move || {
            loop {
                let calls = CALLS.load(Ordering::SeqCst);
                for place in &PLACES {
                    match place.swap(0, Ordering::SeqCst) {
                        0 => (),
                        address => deliver(address),
                    }
                }
                // SAFETY: sleeps unless the word has changed.
                unsafe { futex(libc::FUTEX_WAIT, calls) };
            }
        })
        .map(drop)
}

/// # Safety
///
/// `operation` waits or wakes.
unsafe fn futex(operation: i32, value: u32) {
    let operation = (operation | libc::FUTEX_PRIVATE_FLAG) as usize;
    let word = CALLS.as_ptr() as usize;
    // SAFETY: no time limit; the rest is the caller's.
    unsafe { syscall(libc::SYS_futex, word, operation, value as usize, 0, 0, 0) };
}
