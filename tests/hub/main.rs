//! The hub: timers, fairness, idleness, settings.

use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::green_thread::{Builder, sleep};
use greenhub::source::{Direction, Source};
use greenhub::{State, report};

mod descriptors;
mod fairness;
mod idle;
mod start;
mod timers;

const LIMIT: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Runs `body` as a green thread on hub 0, bounded in time.
fn green<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> T {
    test_support::bounded(name, LIMIT, || {
        Builder::new()
            .hub(0)
            .spawn(body)
            .unwrap()
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(MILLISECOND / 4);
    }
}

fn waiting() -> usize {
    let threads = report().threads;
    threads
        .iter()
        .filter(|thread| matches!(thread.state, State::Waiting(_)))
        .count()
}

fn pair() -> (Source, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Source::new(ours.into()), theirs)
}

fn receive(source: &Source) -> std::io::Result<usize> {
    source.retry(Direction::Read, Deadline::NEVER, |fd| {
        socket2::SockRef::from(&fd).recv(&mut [MaybeUninit::uninit(); 64])
    })
}

/// Leaves what comes behind the first byte to the next reader.
fn receive_byte(source: &Source) -> std::io::Result<usize> {
    source.retry(Direction::Read, Deadline::NEVER, |fd| {
        socket2::SockRef::from(&fd).recv(&mut [MaybeUninit::uninit(); 1])
    })
}
