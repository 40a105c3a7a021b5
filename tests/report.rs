//! The report: ten thousand green threads, each with its place.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::green_thread::{Builder, JoinHandle, park, sleep, spawn, yield_now};
use greenhub::source::{Direction, Source};
use greenhub::wait_queue::{WaitQueue, Wake};
use greenhub::{Site, State, ThreadReport, report};

const LIMIT: Duration = Duration::from_secs(120);

/// A report lists the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn waiting() -> usize {
    let threads = report().threads;
    threads
        .iter()
        .filter(|thread| matches!(thread.state, State::Waiting(_)))
        .count()
}

#[test]
fn ten_thousand_green_threads_are_listed_within_seconds_each_with_its_place() {
    static QUEUE: WaitQueue = WaitQueue::new();
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    test_support::bounded("report", LIMIT, || {
        let mut crowd: Vec<JoinHandle<()>> = (0..9_990).map(|_| spawn(park)).collect();
        let (end, _other) = UnixStream::pair().unwrap();
        end.set_nonblocking(true).unwrap();
        let source = std::sync::Arc::new(Source::new(end.into()));
        let fd = source.as_raw_fd();
        let full = source.clone();
        let hour = Duration::from_secs(3600);
        let first = crowd.swap_remove(0);
        let parked = first.thread().id().as_u64().get();
        let named = |name: &str| Builder::new().name(name.to_owned());
        let special = [
            named("sleeper").spawn(move || sleep(hour)).unwrap(),
            named("joiner")
                .spawn(move || first.join().unwrap())
                .unwrap(),
            named("queued")
                .spawn(|| assert_eq!(QUEUE.wait("a lock", Deadline::NEVER, || true), Wake::Woken))
                .unwrap(),
            named("reader")
                .spawn(move || drop(source.wait(Direction::Read, Deadline::NEVER)))
                .unwrap(),
            named("writer")
                .spawn(move || {
                    while full
                        .retry(Direction::Write, Deadline::NEVER, |fd| {
                            socket2::SockRef::from(&fd).send(&[0; 4096])
                        })
                        .is_ok()
                    {}
                })
                .unwrap(),
        ];
        while waiting() < 9_995 {
            sleep(Duration::from_millis(5));
        }
        // On a busy machine one may be cut into; that one of several takes no longer tells.
        let timed = || {
            let began = Instant::now();
            let report = report();
            let text = report.to_string();
            (began.elapsed(), report, text)
        };
        let reports = std::iter::repeat_with(timed).take(10);
        let (_, report, text) = reports
            .into_iter()
            .find(|(taken, ..)| *taken < Duration::from_secs(5))
            .expect("a report within seconds");
        assert!(text.lines().count() >= 9_995);

        let expected = [
            ("sleeper", Site::Sleep, "waits for sleep since"),
            ("joiner", Site::Join(parked), "waits for join of"),
            ("queued", Site::Queue("a lock"), "waits for a lock since"),
            ("reader", Site::Readable(fd), "readable since"),
            ("writer", Site::Writable(fd), "writable since"),
        ];
        for (name, site, words) in expected {
            let thread = report
                .threads
                .iter()
                .find(|thread| thread.name.as_deref() == Some(name))
                .unwrap();
            assert_eq!(thread.state, State::Waiting(site), "{name}");
            let line = text
                .lines()
                .find(|line| line.contains(&format!(" {name} ")))
                .unwrap();
            assert!(line.contains(words), "{line}");
            let left = thread.time_left;
            assert_eq!(left.is_some(), name == "sleeper", "{line}");
            assert!(left.is_none_or(|left| left <= hour && left > hour / 2));
        }
        assert!(
            report
                .threads
                .iter()
                .all(|thread| thread.waiting_for.is_some())
        );
        let hubs: usize = report.hubs.iter().map(|hub| hub.threads).sum();
        assert_eq!(hubs, report.threads.len());
        assert_eq!(
            report.hubs.iter().map(|hub| hub.deadlines).sum::<usize>(),
            1
        );

        for thread in crowd.iter().chain(&special) {
            thread.kill().unwrap();
        }
        for thread in crowd.into_iter().chain(special) {
            let _ = thread.join();
        }
    });
}

#[test]
fn who_holds_a_hub_is_told_from_those_whom_it_holds_up() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    test_support::bounded("who holds a hub", LIMIT, || {
        let (holds, is_held) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let local = |name: &str, body: fn()| {
            let builder = Builder::new().name(name.to_owned());
            builder.spawn_local(body).unwrap()
        };
        let holder = Builder::new().name("holder".to_owned());
        let holder = holder.spawn(move || {
            let woken = local("woken", park);
            let late = local("late", || sleep(Duration::from_millis(300)));
            while state_of("late") != State::Waiting(Site::Sleep) {
                yield_now();
            }
            woken.thread().unpark();
            holds.send(()).unwrap();
            // An OS thread's wait: the hub runs nobody else.
            released.recv().unwrap();
            woken.join().unwrap();
            late.join().unwrap();
        });
        let holder = holder.unwrap();
        is_held.recv().unwrap();
        let late = || listed("late").time_left;
        while late() != Some(Duration::ZERO) {
            sleep(Duration::from_millis(5));
        }
        for (name, state, words) in [
            ("holder", State::Running, ": runs"),
            ("woken", State::Ready, ": ready"),
            ("late", State::Waiting(Site::Sleep), ", due now"),
        ] {
            let thread = listed(name);
            assert_eq!(thread.state, state, "{thread}");
            assert!(thread.to_string().ends_with(words), "{thread}");
        }
        release.send(()).unwrap();
        holder.join().unwrap();
    });
}

fn listed(name: &str) -> ThreadReport {
    let mut threads = report().threads.into_iter();
    threads
        .find(|thread| thread.name.as_deref() == Some(name))
        .unwrap()
}

fn state_of(name: &str) -> State {
    listed(name).state
}

#[test]
fn a_report_may_be_made_at_any_moment() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    test_support::bounded("a report may be made at", LIMIT, || {
        let churn: Vec<_> = (0..50)
            .map(|n| {
                spawn(move || {
                    for round in 0..40u64 {
                        sleep(Duration::from_micros(100 + n * 7));
                        let child = spawn(move || {
                            static QUEUE: WaitQueue = WaitQueue::new();
                            let deadline = Instant::now() + Duration::from_micros(50 * round);
                            QUEUE.wait("churn", Deadline::at(deadline), || true);
                            QUEUE.wake_one();
                        });
                        child.join().unwrap();
                    }
                })
            })
            .collect();
        while !churn.iter().all(JoinHandle::is_finished) {
            for thread in report().threads {
                if let State::Waiting(Site::Queue(name)) = thread.state {
                    assert_eq!(name, "churn");
                }
            }
        }
        churn.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
