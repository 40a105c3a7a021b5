//! What threads cost apart from sockets: switching and starting. Compiled over
//! `std` and over `green`: the module that includes it brings `thread` into
//! scope. Each measures itself, from inside a thread.

use std::io;

use program::{Arguments, time_each};

use super::thread;

/// Two threads that give way to each other.
pub fn yield_now(_: &Arguments) -> io::Result<()> {
    inside(|| {
        time_each(|count| {
            let yielder = move || (0..count / 2).for_each(|_| thread::yield_now());
            join_all([thread::spawn(yielder), thread::spawn(yielder)]);
        })
    })
}

/// A thread that starts another and waits for its end.
pub fn spawn_join(_: &Arguments) -> io::Result<()> {
    inside(|| time_each(|count| (0..count).for_each(|_| join_all([thread::spawn(|| ())]))))
}

pub fn join_all<const N: usize>(threads: [thread::JoinHandle<()>; N]) {
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("the thread panicked"));
}

/// Measures in a thread of the kind that is measured.
pub fn inside(measure: fn() -> f64) -> io::Result<()> {
    let nanoseconds = thread::spawn(measure)
        .join()
        .map_err(|_| io::Error::other("a panic"))?;
    program::result("time", nanoseconds)
}
