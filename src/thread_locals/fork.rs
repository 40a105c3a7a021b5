//! fork(2) by a green thread: glibc sees the OS thread.
//!
//! fork looks for the calling thread in its lists and, in the child, forgets all
//! others. So it runs on the OS thread's base, from the first handler before it to
//! the last one after it.
#![expect(unsafe_code, reason = "handlers of pthread_atfork(3)")]

use std::cell::Cell;
use std::io;

use super::base::{get, set};
use super::block::Block;
use super::layout;
use crate::sys;

thread_local! {
    /// On an OS thread's base: that of the green thread which forks.
    static FORKS: Cell<usize> = const { Cell::new(0) };
}

#[inline(never)]
fn note_left(base: usize) -> usize {
    FORKS.replace(base)
}

/// For the process, once.
///
/// # Errors
///
/// There was no memory for it.
pub(super) fn install() -> io::Result<()> {
    sys::fork::install([Some(before), Some(after), Some(in_the_child)])
}

unsafe extern "C" fn before() {
    if let Some((layout, green)) = Block::running() {
        let os = green.os_base(layout);
        layout.copy_words(green.base(), os);
        // SAFETY: no thread-local is used here, and none by whoever calls this that
        // is not glibc's fork.
        unsafe { set(os) };
        note_left(green.base());
    }
}

unsafe extern "C" fn after() {
    go_back(false);
}

unsafe extern "C" fn in_the_child() {
    go_back(true);
}

#[inline(never)]
fn go_back(in_the_child: bool) {
    let Some(layout) = layout::current() else {
        return;
    };
    let green = note_left(0);
    if green != 0 {
        let os = get();
        // SAFETY: the block of the green thread that forks, and the OS thread's own;
        // no thread-local is used here.
        unsafe {
            if in_the_child {
                layout.copy_tid(os, green);
            }
            layout.copy_words(os, green);
            set(green);
        }
    }
}
