//! What green threads cost apart from I/O: switching, starting, waking.
//!
//! All of it runs inside a green thread, on one hub. The same beside tokio's
//! and `may`'s: `cargo run --release --manifest-path benches/rivals/Cargo.toml -- switch`.

use divan::Bencher;
use greenhub::green_thread::{self, Builder};
use greenhub::wait_queue::WaitQueue;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

fn main() {
    // One hub, so that no wake-up crosses to another core, and room for the
    // bench harness on the stack.
    let config = greenhub::Config::new().hubs(1).stack_size(1 << 20);
    config.apply().expect("nothing has started yet");
    greenhub::run(divan::main);
}

/// With nobody else ready.
#[divan::bench]
fn yield_now_alone(bencher: Bencher) {
    bencher.bench_local(green_thread::yield_now);
}

/// With another that does the same: two switches.
#[divan::bench]
fn yield_now_to_another_and_back(bencher: Bencher) {
    let done = Rc::new(Cell::new(false));
    let other = green_thread::spawn_local({
        let done = Rc::clone(&done);
        move || {
            while !done.get() {
                green_thread::yield_now();
            }
        }
    });
    bencher.bench_local(green_thread::yield_now);
    done.set(true);
    other.join().expect("the other one panicked");
}

#[divan::bench]
fn spawn_and_join(bencher: Bencher) {
    bencher.bench_local(|| green_thread::spawn(|| ()).join().expect("it panicked"));
}

/// With a stack of another size than the usual one.
#[divan::bench]
fn spawn_and_join_with_a_stack_of_its_own(bencher: Bencher) {
    bencher.bench_local(|| {
        let builder = Builder::new().stack_size(128 << 10);
        builder
            .spawn(|| ())
            .expect("it starts")
            .join()
            .expect("it panicked");
    });
}

/// To another green thread and back: two wake-ups, two switches.
#[divan::bench]
fn unpark_another_and_be_unparked(bencher: Bencher) {
    let home = green_thread::current();
    let done = Rc::new(Cell::new(false));
    let other = green_thread::spawn_local({
        let done = Rc::clone(&done);
        move || {
            while !done.get() {
                green_thread::park();
                home.unpark();
            }
        }
    });
    bencher.bench_local(|| {
        other.thread().unpark();
        green_thread::park();
    });
    done.set(true);
    other.thread().unpark();
    other.join().expect("the other one panicked");
}

/// A wait with a time limit that is over before it began: a timer set, and
/// taken back at the next wait.
#[divan::bench]
fn unpark_oneself_within_a_limit(bencher: Bencher) {
    let home = green_thread::current();
    bencher.bench_local(|| {
        home.unpark();
        green_thread::park_timeout(Duration::from_secs(30));
    });
}

/// What every lock and channel does when nobody waits.
#[divan::bench]
fn wake_one_of_an_empty_queue(bencher: Bencher) {
    let queue = WaitQueue::new();
    bencher.bench_local(|| queue.wake_one());
}
