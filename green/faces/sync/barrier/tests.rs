use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use super::{Arrival, Barrier};

#[test]
fn one_thread_of_each_round_leads() {
    let barrier = Arc::new((Barrier::new(4), AtomicUsize::new(0)));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                let mut led = 0;
                for round in 0..50 {
                    barrier.1.fetch_add(1, SeqCst);
                    led += usize::from(barrier.0.wait().is_leader());
                    // All four of this round have come.
                    assert!(barrier.1.load(SeqCst) >= 4 * (round + 1));
                }
                led
            })
        })
        .collect();
    let led: usize = threads.into_iter().map(|it| it.join().unwrap()).sum();
    assert_eq!(led, 50);
}

#[test]
fn one_for_none_or_one_never_waits() {
    static NONE: Barrier = Barrier::new(0);
    assert!(NONE.wait().is_leader());
    assert!(NONE.wait().is_leader());
    assert!(Barrier::new(1).wait().is_leader());
}

#[test]
fn a_waiter_that_was_killed_does_not_count() {
    let barrier = Arc::new(Barrier::new(2));
    // As if a thread had come, and were killed.
    barrier.round().arrived += 1;
    drop(Arrival {
        barrier: &barrier,
        number: 0,
    });
    let other = {
        let barrier = Arc::clone(&barrier);
        thread::spawn(move || barrier.wait().is_leader())
    };
    let led = barrier.wait().is_leader();
    assert_ne!(led, other.join().unwrap());
}

#[test]
fn shows_itself_as_std_does() {
    let barrier = Barrier::new(1);
    assert_eq!(format!("{barrier:?}"), "Barrier { .. }");
    assert_eq!(
        format!("{:?}", barrier.wait()),
        "BarrierWaitResult { is_leader: true }"
    );
}
