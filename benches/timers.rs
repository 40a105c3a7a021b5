//! The timer queue at a thousand, at as many as there can be green threads, and
//! at a million timers: what it takes to insert all and to cancel all.
//!
//! The queue is no public API, so its source is compiled in here.

use std::cell::Cell;
use std::rc::Rc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

/// What the queue knows of the clock.
mod clock {
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub(crate) struct Nanos(pub(crate) u64);
}

/// What it knows of deadlines.
mod deadline {
    use crate::clock::Nanos;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub(crate) struct Deadline(pub(crate) Nanos);

    impl From<Nanos> for Deadline {
        fn from(moment: Nanos) -> Deadline {
            Deadline(moment)
        }
    }

    impl Deadline {
        pub(crate) const NEVER: Deadline = Deadline(Nanos(u64::MAX));

        pub(crate) fn has_passed_at(self, now: Nanos) -> bool {
            self.0 <= now
        }
    }
}

#[path = "../src/timer/mod.rs"]
#[expect(dead_code, reason = "the bench does not call all of the queue")]
mod timer;

use clock::Nanos;
use deadline::Deadline;
use timer::{Timed, TimerQueue};

const COUNTS: [u64; 3] = [1_000, 32_000, 1_000_000];

fn main() {
    divan::main();
}

/// Time-outs of one length, cancelled in the order in which they were set, as
/// when a server's clients answer in turn.
#[divan::bench(args = COUNTS, sample_count = 10, sample_size = 1)]
fn time_outs_cancelled_in_order(bencher: Bencher, count: u64) {
    insert_and_cancel(bencher, (0..count).collect(), (0..count).collect());
}

/// The same, cancelled in any order.
#[divan::bench(args = COUNTS, sample_count = 10, sample_size = 1)]
fn time_outs_cancelled_at_random(bencher: Bencher, count: u64) {
    insert_and_cancel(bencher, (0..count).collect(), shuffled(count));
}

/// Deadlines in any order, cancelled in another.
#[divan::bench(args = COUNTS, sample_count = 10, sample_size = 1)]
fn random_deadlines(bencher: Bencher, count: u64) {
    let cancel = shuffled(count).into_iter().rev().collect();
    insert_and_cancel(bencher, shuffled(count), cancel);
}

fn insert_and_cancel(bencher: Bencher, deadlines: Vec<u64>, cancel: Vec<u64>) {
    let count = deadlines.len();
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            (0..count)
                .map(|_| Rc::new(Sleeper::default()))
                .collect::<Vec<_>>()
        })
        .bench_local_refs(|sleepers| {
            let mut queue = TimerQueue::new();
            for (sleeper, &deadline) in sleepers.iter().zip(&deadlines) {
                queue.at_latest(&**sleeper, Deadline(Nanos(deadline)), || Rc::clone(sleeper));
            }
            for &index in &cancel {
                black_box(queue.remove(&*sleepers[index as usize]));
            }
            assert_eq!(queue.len(), 0);
        });
}

/// Has a timer, as a green thread has.
#[derive(Debug, Default)]
struct Sleeper(Cell<Option<usize>>);

impl Timed for Sleeper {
    fn place(&self) -> Option<usize> {
        self.0.get()
    }

    fn set_place(&self, place: Option<usize>) {
        self.0.set(place);
    }
}

impl Timed for Rc<Sleeper> {
    fn place(&self) -> Option<usize> {
        (**self).place()
    }

    fn set_place(&self, place: Option<usize>) {
        (**self).set_place(place);
    }
}

/// The numbers below `count` in an order that is the same in every run.
fn shuffled(count: u64) -> Vec<u64> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut numbers: Vec<u64> = (0..count).collect();
    for index in (1..numbers.len()).rev() {
        numbers.swap(index, (random() % (index as u64 + 1)) as usize);
    }
    numbers
}
