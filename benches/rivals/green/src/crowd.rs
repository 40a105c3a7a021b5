//! A crowd of green threads that park.

use std::io;
use std::sync::Arc;

use green::thread::{self, Builder};
use program::Arguments;
use program::crowd::{Crowd, Gate};

/// Measures from inside a green thread.
pub fn measure(arguments: &Arguments) -> io::Result<()> {
    let count = arguments.count;
    let crowd = Crowd::begin(count)?;
    green::run(move || measure_inside(crowd, count))
}

fn measure_inside(mut crowd: Crowd, count: usize) -> io::Result<()> {
    crowd.comes();
    let shared = Arc::new((Gate::new(count), thread::current()));
    let spawn = |_| {
        let shared = Arc::clone(&shared);
        Builder::new().spawn(move || {
            let (gate, home) = &*shared;
            if gate.come() {
                home.unpark();
            }
            while !gate.is_open() {
                thread::park();
            }
        })
    };
    let threads = (0..count).map(spawn).collect::<io::Result<Vec<_>>>()?;
    let gate = &shared.0;
    while !gate.is_full() {
        thread::park();
    }
    crowd.waits()?;
    gate.open();
    threads.iter().for_each(|thread| thread.thread().unpark());
    threads.into_iter().for_each(join);
    crowd.left()?;
    for _ in 0..count {
        join(Builder::new().spawn(|| ())?);
    }
    crowd.came_one_by_one()
}

fn join(thread: thread::JoinHandle<()>) {
    thread.join().expect("the green thread panicked");
}
