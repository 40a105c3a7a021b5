//! Green threads that never wait give way to their neighbours all the same.

mod util;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use greenhub::green_thread::{Builder, yield_now};
use greenhub::source::{Direction, Patience, Source};

/// Runs a green thread whose calls never wait and take `each`, and counts how
/// often its neighbour on the same hub gets to run during `calls` of them.
fn turns_of_a_neighbour(calls: u32, each: Duration) -> u32 {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let source = Source::new(OwnedFd::from(near));
    let (turns, over) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let neighbour = Builder::new().hub(0).spawn({
        let (turns, over) = (turns.clone(), over.clone());
        move || {
            while !over.load(SeqCst) {
                turns.fetch_add(1, SeqCst);
                yield_now();
            }
        }
    });
    let greedy = Builder::new().hub(0).spawn(move || {
        // Only from here on does the neighbour run by our leave.
        yield_now();
        let before = turns.load(SeqCst);
        for _ in 0..calls {
            let call = source.retry(Direction::Read, Patience::default(), |_| {
                let begun = Instant::now();
                while begun.elapsed() < each {}
                Ok(())
            });
            call.unwrap();
        }
        over.store(true, SeqCst);
        drop(far);
        turns.load(SeqCst) - before
    });
    let turns = greedy.unwrap().join().unwrap();
    neighbour.unwrap().join().unwrap();
    turns
}

#[test]
fn a19_long_calls_give_way_sooner_than_short_ones() {
    util::bounded("a19_long_calls", Duration::from_secs(60), || {
        // Each call takes longer than a slice: every few of them, others run.
        let turns = turns_of_a_neighbour(128, Duration::from_millis(1));
        assert!(turns >= 8, "{turns} turns in 128 calls of 1 ms");
    });
}

#[test]
fn a19_short_calls_give_way_too() {
    util::bounded("a19_short_calls", Duration::from_secs(60), || {
        let turns = turns_of_a_neighbour(6400, Duration::ZERO);
        assert!(turns >= 64, "{turns} turns in 6400 calls");
    });
}
