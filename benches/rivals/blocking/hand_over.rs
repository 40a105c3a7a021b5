//! What handing over between threads costs: channels and locks. Compiled over
//! `std` and over `green`: the module that includes it brings `sync` and
//! `thread` into scope. Each measures itself, from inside a thread.

use std::io;

use program::{Arguments, time_each};

use super::switches::{inside, join_all};
use super::sync::mpsc::channel;
use super::sync::{Arc, Mutex};
use super::thread;

/// A value that goes to and fro between two threads, through two channels.
pub fn channel_hand_over(_: &Arguments) -> io::Result<()> {
    inside(|| {
        time_each(|count| {
            let (there, at_echo) = channel::<u64>();
            let (back, at_home) = channel();
            let echo = thread::spawn(move || {
                at_echo
                    .iter()
                    .for_each(|value| back.send(value).expect("home listens"));
            });
            for value in 0..count / 2 {
                there.send(value).expect("the echo listens");
                assert_eq!(at_home.recv(), Ok(value));
            }
            drop(there);
            join_all([echo]);
        })
    })
}

/// Four threads and one lock, given away while others wait for it.
pub fn contended_mutex(_: &Arguments) -> io::Result<()> {
    inside(|| {
        time_each(|count| {
            let counter = Arc::new(Mutex::new(0));
            let threads = [(); 4].map(|()| {
                let counter = Arc::clone(&counter);
                thread::spawn(move || {
                    for _ in 0..count / 4 {
                        let mut guard = counter.lock().expect("nobody panics");
                        *guard += 1;
                        thread::yield_now();
                    }
                })
            });
            join_all(threads);
            assert_eq!(*counter.lock().expect("nobody panics"), count / 4 * 4);
        })
    })
}
