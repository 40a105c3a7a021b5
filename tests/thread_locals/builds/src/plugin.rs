//! A library with green threads in it, which a program in C loads and closes.

use std::cell::Cell;
use std::time::Duration;

use greenhub::green_thread::{sleep, spawn};

thread_local!(static VALUE: Cell<u32> = const { Cell::new(1) });

/// How many of a thousand green threads find their own value.
#[unsafe(no_mangle)]
pub extern "C" fn find_values() -> u32 {
    let look = |n| {
        let fresh = VALUE.replace(n) == 1;
        sleep(Duration::from_millis(1));
        u32::from(fresh && VALUE.get() == n)
    };
    let all: Vec<_> = (0..1000).map(|n| spawn(move || look(n))).collect();
    all.into_iter().map(|one| one.join().unwrap()).sum()
}
