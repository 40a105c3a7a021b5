//! Green threads that never wait give way to their neighbours all the same.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::semaphore::{CappedSemaphore, Semaphore};
use green::sync::{Mutex, RwLock, mpsc};
use green::{asyncio, channel, event, queue, select};
use greenhub::Deadline;
use greenhub::green_thread::{Builder, park, sleep, spawn_local, yield_now};
use greenhub::source::{Direction, Source};

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
            let call = source.retry(Direction::Read, Deadline::NEVER, |_| {
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
fn long_calls_give_way_sooner_than_short_ones() {
    test_support::bounded("long calls give way", Duration::from_secs(60), || {
        // Each call takes longer than a slice: every few of them, others run.
        let turns = turns_of_a_neighbour(128, Duration::from_millis(1));
        assert!(turns >= 8, "{turns} turns in 128 calls of 1 ms");
    });
}

#[test]
fn short_calls_give_way_too() {
    test_support::bounded("short calls give way too", Duration::from_secs(60), || {
        let turns = turns_of_a_neighbour(6400, Duration::ZERO);
        assert!(turns >= 64, "{turns} turns in 6400 calls");
    });
}

/// Makes a call that never has to wait, over and over, until a neighbour on the
/// same hub says that it has run.
fn until_a_neighbour_runs(call: &dyn Fn()) {
    let ran = std::rc::Rc::new(std::cell::Cell::new(false));
    let theirs = ran.clone();
    let neighbour = spawn_local(move || {
        // Not at once: it must be let run again and again.
        (0..3).for_each(|_| sleep(Duration::from_micros(50)));
        theirs.set(true);
    });
    while !ran.get() {
        call();
    }
    neighbour.join().unwrap();
}

/// A name, and a call that never has to wait.
type Call = (&'static str, Box<dyn Fn() + Send>);

fn calls() -> Vec<Call> {
    let (mutex, shared) = (Mutex::new(0), RwLock::new(0));
    let read = RwLock::new(0);
    let (permits, capped) = (Semaphore::new(1), CappedSemaphore::new(1, 2));
    let (limited, guarded) = (Semaphore::new(1), Semaphore::new(1));
    let event = event::Event::new();
    event.send(7).unwrap();
    let queue = queue::Queue::bounded(1);
    let (sender, receiver) = channel::bounded(1);
    let (unbounded, _rest) = channel::unbounded();
    let (std_like, rest) = mpsc::channel();
    let (here, there) = channel::unbounded();
    let complete = asyncio::Future::new();
    complete.set_result(7).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    vec![
        ("Mutex::lock", Box::new(move || *mutex.lock().unwrap() += 1)),
        (
            "RwLock::write",
            Box::new(move || *shared.write().unwrap() += 1),
        ),
        ("RwLock::read", Box::new(move || drop(read.read().unwrap()))),
        (
            "Semaphore::acquire",
            Box::new(move || {
                assert!(permits.acquire(Deadline::NEVER));
                permits.release();
            }),
        ),
        (
            "Semaphore::acquire_timeout",
            Box::new(move || {
                assert!(limited.acquire_timeout(Duration::MAX));
                limited.release();
            }),
        ),
        (
            "Semaphore::permit",
            Box::new(move || drop(guarded.permit())),
        ),
        (
            "CappedSemaphore",
            Box::new(move || {
                capped.acquire();
                capped.release();
            }),
        ),
        (
            "Event::wait",
            Box::new(move || assert_eq!(event.wait(), Ok(7))),
        ),
        (
            "Queue",
            Box::new(move || {
                queue.put(());
                queue.get();
            }),
        ),
        (
            "a bounded channel",
            Box::new(move || {
                sender.send(()).unwrap();
                receiver.recv().unwrap();
            }),
        ),
        (
            "an unbounded channel",
            Box::new(move || {
                let _ = (unbounded.send(0), &_rest);
            }),
        ),
        (
            "mpsc::channel",
            Box::new(move || {
                let _ = (std_like.send(0), &rest);
            }),
        ),
        (
            "select",
            Box::new(move || {
                here.send(0).unwrap();
                let mut select = channel::Select::new();
                let from = select.recv(&there);
                let chosen = select.select();
                assert_eq!(chosen.index(), from);
                chosen.recv(&there).unwrap();
            }),
        ),
        (
            "asyncio::Future::wait",
            Box::new(move || assert_eq!(complete.wait(None).unwrap(), 7)),
        ),
        (
            "select::poll",
            Box::new(move || {
                let mut fds = [select::PollFd::new(&near, select::Interest::WRITABLE)];
                assert_eq!(select::poll(&mut fds, None).unwrap(), 1);
                let _ = &far;
            }),
        ),
        (
            "block_on",
            Box::new(|| green::block_on(std::future::ready(()))),
        ),
        (
            "park with a token",
            Box::new(|| {
                green::thread::current().unpark();
                park();
            }),
        ),
    ]
}

#[test]
fn calls_in_memory_that_never_have_to_wait_give_way() {
    for (name, call) in calls() {
        test_support::bounded(name, Duration::from_secs(60), || {
            let hub = Builder::new().hub(0);
            let greedy = hub.spawn(move || until_a_neighbour_runs(&call));
            greedy.unwrap().join().unwrap();
        });
    }
}

/// As std's own test of that name, with both on one hub.
#[test]
fn a_sender_that_never_waits_lets_its_receiver_on_the_same_hub_go() {
    test_support::bounded("port_gone_concurrent", Duration::from_secs(60), || {
        let both = Builder::new().hub(0).spawn(|| {
            let (sender, receiver) = mpsc::channel();
            let partner = spawn_local(move || receiver.recv().unwrap());
            while sender.send(1).is_ok() {}
            assert_eq!(partner.join().unwrap(), 1);
        });
        both.unwrap().join().unwrap();
    });
}
