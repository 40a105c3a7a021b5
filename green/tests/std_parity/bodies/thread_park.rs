//! `park`, `unpark`, `sleep`, `yield_now`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::lib::thread;
use super::support::{LONG, SHORT, wait_until};
use crate::harness::Transcript;

parity! {
    topic: thread_park,
    items: [
        "park", "park_timeout", "Thread::unpark", "sleep", "yield_now",
        "park_timeout_ms", "sleep_ms",
    ],
    differs: [
        "park_timeout_ms" => "deprecated since 1.6 in favour of park_timeout",
        "sleep_ms" => "deprecated since 1.6 in favour of sleep",
    ],
    bodies: {
        signatures: [],
        token_before_park: ["park", "Thread::unpark"],
        tokens_do_not_add_up: ["park_timeout", "Thread::unpark"],
        unparked_by_another: ["park", "Thread::unpark"],
        unparked_through_the_handle: ["Thread::unpark"],
        token_before_the_first_run: ["Thread::unpark"],
        unpark_after_the_end: ["Thread::unpark"],
        unparks_itself: ["Thread::unpark"],
        token_survives_other_waits: ["park", "sleep", "yield_now"],
        each_has_its_own_token: ["park_timeout"],
        park_timeout_expires: ["park_timeout"],
        park_timeout_with_token: ["park_timeout"],
        park_timeout_limits: ["park_timeout"],
        ping_pong: ["park", "Thread::unpark"],
        writes_before_unpark_are_seen: ["park", "Thread::unpark"],
        sleeps: ["sleep"],
        sleeps_beside_others: ["sleep"],
        sleeps_very_long: ["sleep"],
        yields: ["yield_now"],
    },
}

/// Compiles only if every function has std's signature.
pub fn signatures(t: &mut Transcript) {
    let _: fn() = thread::park;
    let _: fn(Duration) = thread::park_timeout;
    let _: fn(&thread::Thread) = thread::Thread::unpark;
    let _: fn(Duration) = thread::sleep;
    let _: fn() = thread::yield_now;
    t.see("compiles", true);
}

/// Whether a park has a token: without one it lasts its full time.
fn takes_token() -> bool {
    // Long enough for a busy machine to come back at once.
    let full = 10 * SHORT;
    let start = Instant::now();
    thread::park_timeout(full);
    start.elapsed() < full
}

pub fn token_before_park(t: &mut Transcript) {
    thread::current().unpark();
    thread::park();
    t.see("returned", true);
    t.see("the token is used up", takes_token());
}

pub fn tokens_do_not_add_up(t: &mut Transcript) {
    for _ in 0..3 {
        thread::current().unpark();
    }
    thread::park();
    t.see("a second token", takes_token());
}

pub fn unparked_by_another(t: &mut Transcript) {
    let parked = thread::current();
    let done = Arc::new(AtomicBool::new(false));
    let sets = Arc::clone(&done);
    let other = thread::spawn(move || {
        thread::sleep(Duration::from_millis(10));
        sets.store(true, Ordering::Release);
        parked.unpark();
    });
    while !done.load(Ordering::Acquire) {
        thread::park();
    }
    t.see("ended well", other.join().is_ok());
}

pub fn unparked_through_the_handle(t: &mut Transcript) {
    let go = Arc::new(AtomicBool::new(false));
    let waits = Arc::clone(&go);
    let parked = thread::spawn(move || {
        while !waits.load(Ordering::Acquire) {
            thread::park();
        }
        "woken"
    });
    thread::sleep(Duration::from_millis(10));
    go.store(true, Ordering::Release);
    parked.thread().unpark();
    t.see("value", parked.join().ok());
}

pub fn token_before_the_first_run(t: &mut Transcript) {
    for _ in 0..20 {
        let parks = thread::spawn(thread::park);
        parks.thread().unpark();
        t.see("returns", parks.join().is_ok());
    }
}

pub fn unpark_after_the_end(t: &mut Transcript) {
    let handle = thread::spawn(|| ());
    let thread = handle.thread().clone();
    t.see("ended well", handle.join().is_ok());
    thread.unpark();
    thread.unpark();
    t.see("nothing happens", true);
}

pub fn unparks_itself(t: &mut Transcript) {
    let handle = thread::spawn(|| {
        thread::current().unpark();
        thread::park();
        takes_token()
    });
    t.see("a second token", handle.join().ok());
}

pub fn token_survives_other_waits(t: &mut Transcript) {
    thread::current().unpark();
    thread::sleep(Duration::from_millis(5));
    thread::yield_now();
    t.see(
        "a join",
        thread::spawn(|| thread::sleep(Duration::from_millis(5)))
            .join()
            .is_ok(),
    );
    t.see(
        "a spawned thread parks",
        thread::spawn(takes_token).join().ok(),
    );
    let start = Instant::now();
    thread::sleep(SHORT);
    t.see("sleeps in full", start.elapsed() >= SHORT);
    t.see("the token is there", takes_token());
}

pub fn each_has_its_own_token(t: &mut Transcript) {
    let handle = thread::spawn(takes_token);
    thread::current().unpark();
    t.see("of the other", handle.join().ok());
    t.see("of this one", takes_token());
}

pub fn park_timeout_expires(t: &mut Transcript) {
    let start = Instant::now();
    thread::park_timeout(SHORT);
    t.see("in full", start.elapsed() >= SHORT);
    t.see("not for ever", start.elapsed() < LONG);
}

pub fn park_timeout_with_token(t: &mut Transcript) {
    thread::current().unpark();
    let start = Instant::now();
    thread::park_timeout(LONG);
    t.see("at once", start.elapsed() < LONG);
    let parked = thread::current();
    let other = thread::spawn(move || {
        thread::sleep(Duration::from_millis(10));
        parked.unpark();
    });
    let start = Instant::now();
    thread::park_timeout(LONG);
    t.see("woken early", start.elapsed() < LONG);
    t.see("ended well", other.join().is_ok());
    // One that comes too late stays for the next park.
    thread::park_timeout(Duration::from_millis(1));
    thread::current().unpark();
    t.see("a late token", takes_token());
}

pub fn park_timeout_limits(t: &mut Transcript) {
    thread::park_timeout(Duration::ZERO);
    thread::park_timeout(Duration::from_nanos(1));
    thread::current().unpark();
    thread::park_timeout(Duration::MAX);
    t.see("returned", true);
    thread::current().unpark();
    thread::park_timeout(Duration::ZERO);
    t.see("a park of no time takes the token", takes_token());
}

pub fn ping_pong(t: &mut Transcript) {
    const ROUNDS: usize = 200;
    let turn = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&turn);
    let me = thread::current();
    let other = thread::spawn(move || {
        for round in 0..ROUNDS {
            while theirs.load(Ordering::Acquire) != 2 * round + 1 {
                thread::park();
            }
            theirs.store(2 * round + 2, Ordering::Release);
            me.unpark();
        }
    });
    for round in 0..ROUNDS {
        turn.store(2 * round + 1, Ordering::Release);
        other.thread().unpark();
        while turn.load(Ordering::Acquire) != 2 * round + 2 {
            thread::park();
        }
    }
    t.see("ended well", other.join().is_ok());
    t.see("turn", turn.load(Ordering::Acquire));
}

pub fn writes_before_unpark_are_seen(t: &mut Transcript) {
    for _ in 0..50 {
        let value = Arc::new(AtomicUsize::new(0));
        let reads = Arc::clone(&value);
        let parked = thread::spawn(move || {
            thread::park();
            reads.load(Ordering::Relaxed)
        });
        value.store(7, Ordering::Relaxed);
        parked.thread().unpark();
        t.see("seen", parked.join().ok());
    }
}

pub fn sleeps(t: &mut Transcript) {
    for time in [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_millis(3),
        SHORT,
    ] {
        let start = Instant::now();
        thread::sleep(time);
        t.see("in full", start.elapsed() >= time);
    }
}

pub fn sleeps_beside_others(t: &mut Transcript) {
    let start = Instant::now();
    let sleepers: Vec<_> = (0..50)
        .map(|_| thread::spawn(|| thread::sleep(10 * SHORT)))
        .collect();
    for sleeper in sleepers {
        t.see("ended well", sleeper.join().is_ok());
    }
    // That would take 25 s.
    t.see("not one after the other", start.elapsed() < LONG);
}

pub fn sleeps_very_long(t: &mut Transcript) {
    let begun = Arc::new(AtomicBool::new(false));
    let signal = Arc::clone(&begun);
    let sleeper = thread::spawn(move || {
        signal.store(true, Ordering::Release);
        thread::sleep(Duration::MAX);
    });
    wait_until("it sleeps", || begun.load(Ordering::Acquire));
    thread::sleep(Duration::from_millis(20));
    t.see("sleeps on", sleeper.is_finished());
}

pub fn yields(t: &mut Transcript) {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let yields = thread::spawn(move || {
        while !stopped.load(Ordering::Acquire) {
            thread::yield_now();
        }
    });
    let start = Instant::now();
    thread::sleep(Duration::from_millis(5));
    t.see("a sleeper beside it wakes", start.elapsed() < LONG);
    stop.store(true, Ordering::Release);
    t.see("ended well", yields.join().is_ok());
}
