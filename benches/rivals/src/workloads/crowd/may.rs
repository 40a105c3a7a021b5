//! A crowd of coroutines that park, on `may`'s one worker.

use std::any::Any;
use std::io;
use std::sync::Arc;

use may::coroutine::{self, JoinHandle};
use program::Arguments;
use program::crowd::{Crowd, Gate};

/// Measures from inside a coroutine, which panics where no stack can be mapped.
pub fn measure(arguments: &Arguments) -> io::Result<()> {
    let count = arguments.count;
    let crowd = Crowd::begin(count)?;
    may::config().set_workers(1);
    may::go!(move || measure_inside(crowd, count))
        .join()
        .map_err(|panic| io::Error::other(message(&*panic)))?
}

fn measure_inside(mut crowd: Crowd, count: usize) -> io::Result<()> {
    crowd.comes();
    let shared = Arc::new((Gate::new(count), coroutine::current()));
    let spawn = |_| {
        let shared = Arc::clone(&shared);
        may::go!(move || {
            let (gate, home) = &*shared;
            if gate.come() {
                home.unpark();
            }
            while !gate.is_open() {
                coroutine::park();
            }
        })
    };
    let coroutines: Vec<_> = (0..count).map(spawn).collect();
    let gate = &shared.0;
    while !gate.is_full() {
        coroutine::park();
    }
    crowd.waits()?;
    gate.open();
    coroutines.iter().for_each(|it| it.coroutine().unpark());
    coroutines.into_iter().for_each(join);
    crowd.left()?;
    (0..count).for_each(|_| join(may::go!(|| ())));
    crowd.came_one_by_one()
}

fn join(coroutine: JoinHandle<()>) {
    coroutine.join().expect("the coroutine panicked");
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (None, Some(text)) => (*text).to_owned(),
        (None, None) => "a panic".to_owned(),
    }
}
