//! What the documentation of `green::sim` says.

use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use green::select::{Interest, PollFd, poll};
use green::sim::{self, Simulation};
use green::sync::Mutex;
use green::thread::{self, park, sleep, spawn, yield_now};
use green::{Deadline, State, timeout};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn the_clock_jumps_when_nobody_is_ready() {
    let began = Instant::now();
    let (elapsed, by_date) = sim::run(1, || {
        let (began, date) = (Instant::now(), SystemTime::now());
        sleep(1000 * HOUR);
        (began.elapsed(), date.elapsed().unwrap())
    });
    assert!(
        elapsed >= 1000 * HOUR && elapsed < 1001 * HOUR,
        "{elapsed:?}"
    );
    assert_eq!(elapsed, by_date);
    assert!(began.elapsed() < HOUR);
}

#[test]
fn the_clock_begins_at_the_same_moment_each_time() {
    let now = || (Instant::now(), SystemTime::now());
    let first = sim::run(1, now);
    assert_eq!(first, sim::run(1, now));
    let date = first.1.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(date.as_secs(), 1_767_225_600);
    // Elsewhere it is what it was.
    assert!(SystemTime::now() != first.1 && Instant::now() < first.0);
}

#[test]
fn a_loop_that_only_yields_sees_the_time_pass() {
    sim::run(1, || {
        let end = Instant::now() + Duration::from_millis(50);
        while Instant::now() < end {
            yield_now();
        }
    });
}

/// Three who take turns as the seed will have it.
fn race() -> Vec<usize> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let racers: Vec<_> = (0..3)
        .map(|number| {
            let order = order.clone();
            spawn(move || {
                for _ in 0..5 {
                    order.lock().unwrap().push(number);
                    yield_now();
                }
            })
        })
        .collect();
    racers.into_iter().for_each(|racer| racer.join().unwrap());
    Arc::into_inner(order).unwrap().into_inner().unwrap()
}

#[test]
fn a_seed_replays_exactly_and_another_one_differs() {
    let run = |seed| {
        let outcome = Simulation::new(seed).run(race);
        let trace = outcome.trace;
        (
            outcome.result.unwrap(),
            trace.fingerprint(),
            trace.to_string(),
        )
    };
    let runs: Vec<_> = (0..20).map(run).collect();
    for (seed, first) in runs.iter().enumerate() {
        assert_eq!(*first, run(seed as u64));
    }
    let mut orders: Vec<_> = runs.iter().map(|(order, ..)| order).collect();
    orders.sort();
    orders.dedup();
    assert!(orders.len() > 10, "{} orders of 20 seeds", orders.len());
}

#[test]
fn simulations_beside_one_another_do_not_meet() {
    let expected = Simulation::new(5).run(race).trace.fingerprint();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let outcome = Simulation::new(5).run(race);
                    assert_eq!(outcome.trace.fingerprint(), expected);
                }
            });
        }
    });
    // From a green thread too, beside others.
    let ticks = Arc::new(AtomicUsize::new(0));
    let ticking = ticks.clone();
    let ticker = spawn(move || {
        loop {
            ticking.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(1));
        }
    });
    let inside = spawn(move || Simulation::new(5).run(race).trace.fingerprint());
    assert_eq!(inside.join().unwrap(), expected);
    ticker.kill().unwrap();
}

#[test]
fn a_deadlock_ends_the_run_with_a_report() {
    let outcome = Simulation::new(3).run(|| {
        let waiter = thread::Builder::new().name("waiter".to_owned());
        waiter.spawn(park).unwrap().join().unwrap();
    });
    let threads = outcome.deadlock.expect("a deadlock").threads;
    assert_eq!(threads.len(), 2, "{threads:?}");
    assert!(
        threads
            .iter()
            .all(|thread| matches!(thread.state, State::Waiting(_)))
    );
    assert_eq!(threads[1].name.as_deref(), Some("waiter"));
    let panic = outcome.result.unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(
        text.contains("a deadlock") && text.contains("waiter on hub 0"),
        "{text}"
    );
}

#[test]
fn a_panic_passes_through() {
    let failed = catch_unwind(|| sim::run(9, || -> () { std::panic::panic_any(7_u32) }));
    assert_eq!(failed.unwrap_err().downcast_ref(), Some(&7_u32));
}

#[test]
fn those_who_are_left_end_with_main() {
    struct Ended(Arc<AtomicUsize>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let ended = Arc::new(AtomicUsize::new(0));
    let here = ended.clone();
    sim::run(1, move || {
        for delay in [Duration::ZERO, HOUR] {
            let guard = Ended(here.clone());
            spawn(move || {
                let _guard = guard;
                sleep(delay);
                park();
            });
        }
        let unrun = Ended(here);
        thread::spawn_after(HOUR, move || drop(unrun));
        sleep(Duration::from_secs(1));
    });
    assert_eq!(ended.load(Ordering::Relaxed), 3);
    assert_eq!(
        Simulation::new(5)
            .run(|| green::report().threads.len())
            .result
            .unwrap(),
        1
    );
}

#[test]
fn there_is_one_hub_and_it_is_no_other_s() {
    let outside = spawn(|| sleep(HOUR));
    let (hubs, threads) = sim::run(1, || {
        let elsewhere = thread::Builder::new().hub(1).spawn(|| ());
        assert_eq!(elsewhere.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        (green::hub_count().unwrap(), green::report().threads.len())
    });
    assert_eq!((hubs, threads), (1, 1));
    outside.kill().unwrap();
}

#[test]
fn limits_count_in_simulated_time() {
    let began = Instant::now();
    sim::run(1, || {
        assert!(timeout(HOUR, || sleep(2 * HOUR)).is_err());
        assert!(timeout(2 * HOUR, || sleep(HOUR)).is_ok());
        assert!(timeout(HOUR, park).is_err());
    });
    assert!(began.elapsed() < HOUR);
}

#[test]
fn blocking_calls_run_in_place_and_take_a_moment() {
    sim::run(1, || {
        let began = Instant::now();
        let outer = Instant::now();
        let inside = green::blocking(Instant::now);
        assert!(inside > outer && began.elapsed() < Duration::from_millis(10));
        let ran = Arc::new(AtomicBool::new(false));
        let runs = ran.clone();
        let cut = timeout(Duration::ZERO, || {
            green::blocking(move || runs.store(true, Ordering::Relaxed));
        });
        assert!(cut.is_err() && !ran.load(Ordering::Relaxed));
        // So are files.
        assert!(green::fs::read("/proc/self/stat").unwrap().len() > 10);
    });
}

#[test]
fn maps_have_the_same_order_each_time() {
    if !green::report().thread_locals.starts_with("own") {
        spawn(|| ()).join().unwrap();
        if !green::report().thread_locals.contains("own") {
            println!("skipped: {}", green::report().thread_locals);
            return;
        }
    }
    let order = |seed| {
        sim::run(seed, || {
            let map: HashMap<u32, ()> = (0..20).map(|n| (n, ())).collect();
            map.into_keys().collect::<Vec<_>>()
        })
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn what_is_not_simulated_is_refused() {
    sim::run(1, || {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let waits = green::wait_readable(&ours, Deadline::after(HOUR));
        assert_eq!(waits.unwrap_err().kind(), io::ErrorKind::Unsupported);
        let process = green::process::Command::new("true").status();
        assert_eq!(process.unwrap_err().kind(), io::ErrorKind::Unsupported);
        let (one, _other) = green::os::unix::net::UnixStream::pair().unwrap();
        let mut polled = [PollFd::new(&one, Interest::READABLE)];
        assert_eq!(
            poll(&mut polled, None).unwrap_err().kind(),
            io::ErrorKind::Unsupported
        );
        let pipe = green::io::pipe();
        assert_eq!(pipe.unwrap_err().kind(), io::ErrorKind::Unsupported);
    });
    let nested = catch_unwind(|| sim::run(1, || sim::run(1, || ())));
    assert!(nested.is_err());
}
