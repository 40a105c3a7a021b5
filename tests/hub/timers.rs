//! When timers fire, and what stops them.

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::green_thread::{sleep, sleep_until, spawn, spawn_local, yield_now};
use greenhub::wait_readable;
use rustix::process::{Pid, Signal, kill_process};

use crate::{MILLISECOND, green};
use test_support::child::alone_beside;

/// The order in which timers fire; nothing if the first deadline, after `lead`, had passed before all were waiting.
fn fired(lead: Duration) -> Option<Vec<u32>> {
    green("timers fire by deadline", move || {
        let order = Rc::new(RefCell::new(Vec::new()));
        let soon = Instant::now() + lead;
        let later = soon + lead;
        let threads: Vec<_> = [(0, soon), (1, later), (2, soon), (3, later), (4, soon)]
            .into_iter()
            .map(|(n, deadline)| {
                let order = order.clone();
                spawn_local(move || {
                    sleep_until(deadline);
                    order.borrow_mut().push(n);
                })
            })
            .collect();
        yield_now();
        let in_time = Instant::now() < soon;
        for thread in threads {
            thread.join().unwrap();
        }
        in_time.then(|| order.take())
    })
}

#[test]
fn timers_fire_by_deadline_and_then_in_order_of_registration() {
    // As slow as the machine may be.
    let order = (0..10).find_map(|doubled| fired(30 * MILLISECOND * (1 << doubled)));
    assert_eq!(order.unwrap(), [0, 2, 4, 1, 3]);
}

#[test]
fn a_timer_ends_with_the_green_thread_that_it_belongs_to() {
    green("a timer ends with the", || {
        let fired = Rc::new(Cell::new(false));
        let (tied, untied) = (fired.clone(), Rc::new(Cell::new(false)));
        let theirs = untied.clone();
        let first = spawn_local(move || {
            sleep(20 * MILLISECOND);
            tied.set(true);
        });
        let second = spawn_local(move || {
            sleep(20 * MILLISECOND);
            theirs.set(true);
        });
        yield_now();
        first.kill().unwrap();
        assert!(first.join().is_err());
        second.join().unwrap();
        sleep(20 * MILLISECOND);
        assert!(untied.get());
        assert!(!fired.get(), "its green thread had ended");
    });
}

#[test]
fn a_panic_leaves_the_hub_and_its_clock_alone() {
    green("a panic leaves the hub", || {
        let fails = spawn_local(|| {
            sleep(MILLISECOND);
            resume_unwind(Box::new(()));
        });
        assert!(fails.join().is_err());
        let began = Instant::now();
        sleep(20 * MILLISECOND);
        assert!(began.elapsed() >= 20 * MILLISECOND);
    });
}

/// Notes whether the hub has logged anything; `may` logs a poll that a signal has ended.
struct Noted(AtomicBool);

impl log::Log for Noted {
    fn enabled(&self, about: &log::Metadata<'_>) -> bool {
        about.target().starts_with("greenhub")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.store(true, SeqCst);
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_stopped_and_continued_process_still_times_out() {
    static NOTED: Noted = Noted(AtomicBool::new(false));
    let name = "timers::a_stopped_and_continued_process_still_times_out";
    let body = || {
        log::set_logger(&NOTED).unwrap();
        log::set_max_level(log::LevelFilter::Error);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let on_os_thread = listener.try_clone().unwrap();
        let wait = |listener: std::net::TcpListener| {
            let began = Instant::now();
            let ready = wait_readable(&listener, Deadline::at(began + 500 * MILLISECOND)).unwrap();
            assert!(!ready);
            assert!(began.elapsed() >= 500 * MILLISECOND);
        };
        let green = spawn(move || wait(listener));
        wait(on_os_thread);
        green.join().unwrap();
        // A poll that a signal has ended is no error.
        assert!(!NOTED.0.load(SeqCst));
    };
    let beside = |process: &mut std::process::Child| {
        let pid = Pid::from_child(process);
        for signal in [Signal::STOP, Signal::CONT, Signal::STOP, Signal::CONT] {
            std::thread::sleep(70 * MILLISECOND);
            kill_process(pid, signal).unwrap();
        }
    };
    alone_beside(name, &[], body, beside).well();
}
