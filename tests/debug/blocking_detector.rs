//! The blocking detector: which green thread holds its hub, for how long, and where.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::debug::{blocking_detection, deadlock_detection};
use greenhub::green_thread::{Builder, park, sleep, spawn, yield_now};
use greenhub::source::Direction;
use greenhub::{blocking, timeout, trampoline};

use test_support::child::alone;

mod functions;

const LIMIT: Duration = Duration::from_millis(100);
/// How long a hub is held at least.
const HELD: Duration = Duration::from_millis(500);

/// Keeps what is logged.
struct Kept(Mutex<Vec<String>>);

static LOGGED: Kept = Kept(Mutex::new(Vec::new()));
/// How many are kept: to be looked at in passing.
static COUNT: AtomicUsize = AtomicUsize::new(0);

impl log::Log for Kept {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() <= log::Level::Warn {
            self.0.lock().unwrap().push(record.args().to_string());
            COUNT.fetch_add(1, SeqCst);
        }
    }

    fn flush(&self) {}
}

fn logged() -> Vec<String> {
    LOGGED.0.lock().unwrap().clone()
}

/// Waits for as many reports: a stack is worked out beside the hubs, and the
/// first time that takes a while.
#[track_caller]
fn reports(count: usize) -> Vec<String> {
    while logged().len() < count {
        std::thread::sleep(Duration::from_millis(5));
    }
    let reports = logged();
    assert_eq!(reports.len(), count, "{reports:#?}");
    reports
}

fn detect(limit: Duration) {
    log::set_logger(&LOGGED).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    blocking_detection(Some(limit)).unwrap();
}

/// Holds the hub by `piece`s until one more has been logged than before and [`HELD`] has passed: on a busy machine the
/// monitor comes when it can.
#[inline(always)]
fn until_reported(mut piece: impl FnMut(Duration) -> u64) -> u64 {
    let (begun, before) = (Instant::now(), COUNT.load(SeqCst));
    let mut sum = 0;
    while COUNT.load(SeqCst) == before || begun.elapsed() < HELD {
        sum ^= piece(Duration::from_millis(50));
    }
    sum
}

#[inline(never)]
fn compute_for(time: Duration) -> u64 {
    let begun = Instant::now();
    let mut sum = 0u64;
    while begun.elapsed() < time {
        // So much that it is not the clock in which it is met.
        for _ in 0..10_000 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
    }
    sum
}

#[inline(never)]
fn block_the_os_thread(time: Duration) -> u64 {
    std::thread::sleep(time);
    std::hint::black_box(1)
}

#[inline(never)]
fn deeper(levels: u32) -> u64 {
    match levels {
        0 => until_reported(compute_for),
        _ => deeper(levels - 1) + std::hint::black_box(1),
    }
}

#[track_caller]
fn one_report(parts: &[&str]) {
    let reports = reports(1);
    for part in parts {
        assert!(reports[0].contains(part), "no {part:?} in {}", reports[0]);
    }
    // What called the body is of no interest to its author.
    for part in ["generator::", "may::", "turn::", "snapshot::"] {
        assert!(!reports[0].contains(part), "{part:?} in {}", reports[0]);
    }
}

#[test]
fn a_computation_is_reported_once_with_its_place() {
    let name = "blocking_detector::a_computation_is_reported_once_with_its_place";
    alone(name, &[], || {
        detect(LIMIT);
        let hog = Builder::new()
            .name("hog".to_owned())
            .hub(0)
            .spawn(|| until_reported(compute_for))
            .unwrap();
        let id = hog.thread().id().as_u64();
        hog.join().unwrap();
        one_report(&[
            &format!("green thread {id} 'hog' has held hub 0 for "),
            "blocking_detector::compute_for",
            "tests/debug/blocking_detector.rs:",
            name,
        ]);
    })
    .well();
}

#[test]
fn a_blocking_call_is_reported_and_not_cut_short() {
    let name = "blocking_detector::a_blocking_call_is_reported_and_not_cut_short";
    alone(name, &[], || {
        detect(LIMIT);
        let begun = Instant::now();
        greenhub::run(|| until_reported(block_the_os_thread));
        assert!(begun.elapsed() >= HELD);
        one_report(&["'<unnamed>'", "block_the_os_thread", name]);
    })
    .well();
}

#[test]
fn a_resumed_green_thread_shows_every_call() {
    let name = "blocking_detector::a_resumed_green_thread_shows_every_call";
    alone(name, &[], || {
        detect(LIMIT);
        greenhub::run(|| {
            sleep(Duration::from_millis(5));
            deeper(20)
        });
        one_report(&["compute_for", "blocking_detector::deeper"]);
        let calls = logged()[0].matches("blocking_detector::deeper").count();
        assert_eq!(calls, 21, "{}", logged()[0]);
    })
    .well();
}

#[test]
fn each_offence_is_reported_and_none_when_off() {
    alone(
        "blocking_detector::each_offence_is_reported_and_none_when_off",
        &[],
        || {
            detect(LIMIT);
            for offences in 1..=2 {
                spawn(|| until_reported(compute_for)).join().unwrap();
                reports(offences);
            }
            blocking_detection(None).unwrap();
            spawn(|| compute_for(HELD)).join().unwrap();
            reports(2);
            blocking_detection(Some(LIMIT)).unwrap();
            spawn(|| until_reported(compute_for)).join().unwrap();
            reports(3);
        },
    )
    .well();
}

#[test]
fn who_gives_way_or_sleeps_is_not_reported() {
    alone(
        "blocking_detector::who_gives_way_or_sleeps_is_not_reported",
        &[("GREEN_HUBS", "1")],
        || {
            // Longer than a busy machine keeps a hub from the processor.
            detect(Duration::from_secs(1));
            let give_way = || {
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_secs(2) {
                    compute_for(Duration::from_millis(1));
                    yield_now();
                }
            };
            // A machine that is very busy does at times; who is held up for nothing is each time.
            let is_quiet = || {
                let before = logged().len();
                let busy = [spawn(give_way), spawn(give_way)];
                busy.into_iter().for_each(|thread| thread.join().unwrap());
                spawn(|| sleep(Duration::from_secs(2))).join().unwrap();
                logged().len() == before
            };
            assert!((0..4).any(|_| is_quiet()), "{:#?}", logged());
        },
    )
    .well();
}

#[test]
fn the_detector_may_be_switched_at_any_moment() {
    alone(
        "blocking_detector::the_detector_may_be_switched_at_any_moment",
        &[],
        || {
            static OVER: AtomicBool = AtomicBool::new(false);
            // So low that nearly everything is an offence: snapshots all the time.
            detect(Duration::from_millis(1));
            let churn: Vec<_> = (0..20)
                .map(|_| {
                    spawn(|| {
                        loop {
                            let child = spawn(move || compute_for(Duration::from_millis(3)));
                            sleep(Duration::from_micros(200));
                            child.join().unwrap();
                            let caught = std::panic::catch_unwind(|| {
                                compute_for(Duration::from_millis(2));
                                std::panic::resume_unwind(Box::new(()))
                            });
                            assert!(caught.is_err());
                            if OVER.load(SeqCst) {
                                break;
                            }
                        }
                    })
                })
                .collect();
            for round in 0..150 {
                let limit = (round % 3 != 0).then_some(Duration::from_millis(1));
                blocking_detection(limit).unwrap();
                std::thread::sleep(Duration::from_millis(10));
            }
            OVER.store(true, SeqCst);
            for thread in churn {
                thread.join().unwrap();
            }
            while logged().is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
        },
    )
    .well();
}

#[test]
fn a_signal_that_the_program_handles_is_left_to_it() {
    alone(
        "blocking_detector::a_signal_that_the_program_handles_is_left_to_it",
        &[],
        || {
            let signal = libc::SIGRTMAX() - 3;
            let flag = std::sync::Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, flag).unwrap();
            let error = blocking_detection(Some(LIMIT)).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
        },
    )
    .well();
}

/// Everybody is told of at `limit`; what is logged is kept.
fn detect_deadlocks(limit: Duration) {
    log::set_logger(&LOGGED).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    deadlock_detection(Some(limit)).unwrap();
}

#[test]
fn green_threads_that_all_wait_for_one_another_are_named_once_each_time() {
    alone(
        "blocking_detector::green_threads_that_all_wait_for_one_another_are_named_once_each_time",
        &[("GREEN_HUBS", "2")],
        || {
            let parked = Builder::new()
                .name("parked".to_owned())
                .spawn(park)
                .unwrap();
            let thread = parked.thread().clone();
            let joins = Builder::new()
                .name("joins".to_owned())
                .hub(1)
                .spawn(|| parked.join())
                .unwrap();
            // Both are there: one alone would be told of too.
            detect_deadlocks(LIMIT);
            let first = &reports(1)[0];
            assert!(first.contains("parked on hub"), "{first}");
            assert!(
                first.contains("joins on hub 1: waits for join of"),
                "{first}"
            );
            // An OS thread can wake them; a new standstill is told of anew.
            thread.unpark();
            joins.join().unwrap().unwrap();
            let again = Builder::new().name("again".to_owned()).spawn(park).unwrap();
            assert!(reports(2)[1].contains("again on hub"));
            again.thread().unpark();
            again.join().unwrap();
        },
    )
    .well();
}

#[test]
fn who_waits_for_a_time_a_descriptor_or_the_pool_is_in_no_deadlock() {
    alone(
        "blocking_detector::who_waits_for_a_time_a_descriptor_or_the_pool_is_in_no_deadlock",
        &[],
        || {
            detect_deadlocks(Duration::from_millis(20));
            let held = Duration::from_millis(200);
            let limited = spawn(move || timeout(held, park).is_err());
            assert!(limited.join().unwrap());
            spawn(move || blocking(move || std::thread::sleep(held)))
                .join()
                .unwrap();
            spawn(move || sleep(held)).join().unwrap();
            let late = Builder::new().after(held).spawn(|| ()).unwrap();
            late.join().unwrap();
            let (reader, writer) = std::io::pipe().unwrap();
            let reads = spawn(move || trampoline(&reader, Direction::Read, Deadline::NEVER));
            std::thread::sleep(held);
            drop(writer);
            reads.join().unwrap().unwrap();
            assert_eq!(logged(), [""; 0]);
            // Off again, and nothing is left to look.
            deadlock_detection(None).unwrap();
            let parked = spawn(park);
            std::thread::sleep(held);
            assert_eq!(logged(), [""; 0]);
            parked.thread().unpark();
            parked.join().unwrap();
        },
    )
    .well();
}
