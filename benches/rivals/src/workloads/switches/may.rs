//! The same with coroutines on `may`'s one worker.

use std::io;
use std::sync::Arc;

use may::coroutine::{self, JoinHandle};
use may::sync::{Mutex, mpsc};
use program::{Arguments, time_each};

pub fn yield_now(_: &Arguments) -> io::Result<()> {
    inside(|| {
        time_each(|count| {
            let yielder = move || (0..count / 2).for_each(|_| coroutine::yield_now());
            join_all([may::go!(yielder), may::go!(yielder)]);
        })
    })
}

pub fn spawn_join(_: &Arguments) -> io::Result<()> {
    inside(|| time_each(|count| (0..count).for_each(|_| join_all([may::go!(|| ())]))))
}

pub fn channel_hand_over(_: &Arguments) -> io::Result<()> {
    inside(|| {
        time_each(|count| {
            let (there, at_echo) = mpsc::channel::<u64>();
            let (back, at_home) = mpsc::channel();
            let echo = may::go!(move || {
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

pub fn contended_mutex(_: &Arguments) -> io::Result<()> {
    inside(|| {
        time_each(|count| {
            let counter = Arc::new(Mutex::new(0));
            let coroutines = [(); 4].map(|()| {
                let counter = Arc::clone(&counter);
                may::go!(move || {
                    for _ in 0..count / 4 {
                        let mut guard = counter.lock().expect("nobody panics");
                        *guard += 1;
                        coroutine::yield_now();
                    }
                })
            });
            join_all(coroutines);
            assert_eq!(*counter.lock().expect("nobody panics"), count / 4 * 4);
        })
    })
}

fn join_all<const N: usize>(coroutines: [JoinHandle<()>; N]) {
    coroutines
        .into_iter()
        .for_each(|coroutine| coroutine.join().expect("a coroutine panicked"));
}

/// Measures in a coroutine.
fn inside(measure: fn() -> f64) -> io::Result<()> {
    may::config().set_workers(1);
    let nanoseconds = may::go!(measure)
        .join()
        .map_err(|_| io::Error::other("a panic"))?;
    program::result("time", nanoseconds)
}
