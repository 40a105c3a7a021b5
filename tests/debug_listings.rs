//! A look inside a running program: listeners, timers, the tree, what hubs count, and ending a green thread by its number.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::debug::{CpuAccounting, kill, listeners, timers, tree};
use greenhub::green_thread::{Builder, JoinHandle, park, sleep, spawn};
use greenhub::source::{Direction, Source};
use greenhub::{HubReport, Killed, Site, State, ThreadReport, report};
use rustix::time::{ClockId, clock_gettime};

use test_support::child::alone;

const LIMIT: Duration = Duration::from_secs(120);
const HOUR: Duration = Duration::from_secs(3600);

fn id<T>(thread: &JoinHandle<T>) -> u64 {
    thread.thread().id().as_u64().get()
}

fn of<T>(thread: &JoinHandle<T>) -> ThreadReport {
    let id = thread.thread().id();
    let threads = report().threads;
    threads.into_iter().find(|t| t.id == id).unwrap()
}

/// Waits until the green thread has reached a wait that stays.
fn until_parked<T>(thread: &JoinHandle<T>) {
    while !matches!(of(thread).state, State::Waiting(_)) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn end<T>(thread: JoinHandle<T>) {
    thread.kill().unwrap();
    let _ = thread.join();
}

fn named(name: &str) -> Builder {
    Builder::new().name(name.to_owned())
}

/// Holds hub 0, without waiting, until it is released.
struct Hog {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Hog {
    fn start() -> Hog {
        let (runs, over) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let (on, end) = (runs.clone(), over.clone());
        let hold = move || {
            on.store(true, SeqCst);
            while !end.load(SeqCst) {
                std::thread::yield_now();
            }
        };
        let thread = Builder::new().hub(0).spawn(hold).unwrap();
        while !runs.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Hog { over, thread }
    }

    fn release(self) {
        self.over.store(true, SeqCst);
        self.thread.join().unwrap();
    }
}

#[test]
fn listeners_show_who_waits_for_which_descriptor_and_what_is_ready() {
    test_support::bounded("listeners", LIMIT, || {
        let (end_of_pair, other) = UnixStream::pair().unwrap();
        end_of_pair.set_nonblocking(true).unwrap();
        let source = Arc::new(Source::new(end_of_pair.into()));
        let fd = source.as_raw_fd();
        let readers = [0, 1].map(|_| {
            let source = source.clone();
            spawn(move || source.wait(Direction::Read, Deadline::NEVER).unwrap())
        });
        readers.iter().for_each(until_parked);
        let found = || {
            let mut all = listeners().listeners.into_iter();
            all.find(|listener| listener.fd == fd)
        };
        // Its hub hears when it first asks.
        while !found().unwrap().writable {
            std::thread::sleep(Duration::from_millis(1));
        }
        let listener = found().unwrap();
        let waiting: Vec<u64> = listener
            .readers
            .iter()
            .map(|id| id.as_u64().get())
            .collect();
        let mut expected: Vec<u64> = readers.iter().map(id).collect();
        expected.sort_unstable();
        let mut sorted = waiting.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected);
        assert!(!listener.readable && listener.writable, "{listener:?}");
        assert!(listener.writers.is_empty());
        let line = format!(
            "hub {}, fd {fd}: read not ready, awaited by {} and {}, write ready",
            listener.hub, waiting[0], waiting[1]
        );
        let text = listeners().to_string();
        assert!(text.lines().any(|l| l == line), "no {line:?} in\n{text}");

        drop(other);
        readers.into_iter().for_each(|r| assert!(r.join().unwrap()));
        assert!(found().unwrap().readable, "the end was seen");
        drop(source);
        // The number may be another test's by now, but nobody's who waited here.
        assert!(found().is_none_or(|listener| listener.readers.is_empty()));
    });
}

#[test]
fn timers_are_listed_with_the_nearest_first_and_end_with_the_wait() {
    test_support::bounded("timers", LIMIT, || {
        let later = named("later").hub(0).spawn(|| sleep(2 * HOUR)).unwrap();
        let sooner = named("sooner").hub(0).spawn(|| sleep(HOUR)).unwrap();
        let without = named("without").hub(0).spawn(park).unwrap();
        until_parked(&later);
        until_parked(&sooner);
        until_parked(&without);
        let all = timers().timers;
        let place = |thread| all.iter().position(|timer| timer.thread() == thread);
        let first = place(sooner.thread().id()).unwrap();
        let second = place(later.thread().id()).unwrap();
        assert!(first < second);
        assert_eq!(place(without.thread().id()), None);
        let timer = &all[first];
        assert_eq!((timer.hub(), timer.site), (0, Site::Sleep));
        assert_eq!(timer.name(), Some("sooner"));
        assert!(timer.left <= HOUR && timer.left > HOUR / 2);
        let words = format!(": {} sooner, sleep", id(&sooner));
        let text = timers().to_string();
        let line = text.lines().find(|line| line.ends_with(&words)).unwrap();
        assert!(line.starts_with("hub 0, in 3"), "{line}");
        let ended = sooner.thread().id();
        end(sooner);
        assert!(timers().timers.iter().all(|timer| timer.thread() != ended));
        end(later);
        end(without);
    });
}

#[test]
fn the_tree_shows_who_started_whom_and_orphans_at_the_margin() {
    test_support::bounded("tree", LIMIT, || {
        let family = || {
            let child = named("tree-child").spawn(|| {
                let grandchild = named("tree-grandchild").spawn(park).unwrap();
                grandchild.join().unwrap();
            });
            child.unwrap().join().unwrap();
        };
        let parent = named("tree-parent").spawn(family).unwrap();
        let gone = named("tree-gone").spawn(|| named("tree-orphan").spawn(park).unwrap());
        let gone = gone.unwrap();
        let gone_id = id(&gone);
        let orphan = gone.join().unwrap();
        until_parked(&orphan);
        // A joiner may be a moment ahead of the hub.
        let text = loop {
            let text = tree().to_string();
            if text.contains("tree-grandchild on hub") && !text.contains("tree-gone") {
                break text;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let at = |name: &str| {
            let line = text.lines().position(|line| line.contains(name));
            line.unwrap_or_else(|| panic!("no {name} in\n{text}"))
        };
        let (first, second, third) = (at("tree-parent"), at("tree-child"), at("tree-grandchild"));
        assert_eq!((second, third), (first + 1, first + 2), "{text}");
        let name_at = |line: usize| text.lines().nth(line).unwrap().find("tree-").unwrap();
        assert_eq!(name_at(second), name_at(first) + 2, "{text}");
        assert_eq!(name_at(third), name_at(first) + 4, "{text}");
        let line = text.lines().nth(at("tree-orphan")).unwrap();
        assert_eq!(line.find("tree-"), Some(name_at(first)));
        let why = format!("; started by {gone_id}, which has ended");
        assert!(line.ends_with(&why), "{line}");
        assert_eq!(of(&parent).parent, None, "an OS thread started it");
        assert_eq!(of(&orphan).parent.unwrap().as_u64().get(), gone_id);
        end(parent);
        end(orphan);
    });
}

#[test]
fn a_family_of_two_thousand_generations_is_listed_without_a_deep_stack_or_long_lines() {
    fn next(generations: u32) {
        match generations {
            0 => park(),
            _ => {
                let child = named("generation").spawn(move || next(generations - 1));
                // All are killed in the end. Two thousand panics would bury what the harness says.
                let _ = child.unwrap().join();
            }
        }
    }
    test_support::bounded("generations", LIMIT, || {
        let first = spawn(|| next(2_000));
        let lines = || -> Vec<String> {
            let text = tree().to_string();
            let lines = text.lines().filter(|line| line.contains("generation on"));
            lines.map(str::to_owned).collect()
        };
        let lines = loop {
            let lines = lines();
            if lines.len() == 2_000 {
                break lines;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(lines.iter().all(|line| line.len() < 200));
        assert!(lines[1_999].contains("; started by "), "{}", lines[1_999]);
        for thread in report().threads {
            if thread.name.as_deref() == Some("generation") {
                kill(thread.id.as_u64().get()).unwrap();
            }
        }
        first.join().unwrap();
    });
}

#[test]
fn a_name_stays_on_one_line_and_sends_a_terminal_nothing() {
    test_support::bounded("name", LIMIT, || {
        let thread = named("it's\n\x1b[2Jevil\u{202e}").spawn(park).unwrap();
        until_parked(&thread);
        let line = of(&thread).to_string();
        assert!(
            line.contains(r"it's\n\u{1b}[2Jevil\u{202e} on hub"),
            "{line}"
        );
        assert!(!line.contains(char::is_control));
        end(thread);
    });
}

#[test]
fn killing_by_number_ends_that_green_thread_and_no_other() {
    test_support::bounded("kill", LIMIT, || {
        let (victim, other) = (spawn(park), spawn(park));
        let number = id(&victim);
        assert!(kill(number).unwrap());
        assert!(victim.join().unwrap_err().is::<Killed>());
        // Its joiner may be a moment ahead of its hub.
        while kill(number).unwrap() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!kill(u64::MAX).unwrap());
        other.thread().unpark();
        other.join().unwrap();
    });
}

#[test]
fn hubs_count_what_they_do_and_tell_it_while_they_are_held_up() {
    let name = "hubs_count_what_they_do_and_tell_it_while_they_are_held_up";
    let body = || {
        let hub = || -> HubReport { report().hubs[0] };
        let at_rest = || loop {
            let (seen, again) = (hub(), hub());
            if seen.idle && seen.turns == again.turns {
                break again;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        spawn(|| ()).join().unwrap();
        let before = at_rest();
        for _ in 0..100 {
            spawn(|| sleep(Duration::ZERO)).join().unwrap();
        }
        let after = at_rest();
        assert_eq!(after.begun - before.begun, 100);
        assert!(after.resumes - before.resumes >= 100);
        assert!(after.polls > before.polls && after.turns > before.turns);
        assert_eq!(after.turns, after.polls, "a poll a turn");
        assert!(after.events > before.events, "its bell was rung");
        assert_eq!(after.ended - before.ended, 100);

        let sleepers: Vec<_> = (0..7).map(|_| spawn(|| sleep(HOUR))).collect();
        sleepers.iter().for_each(until_parked);
        while hub().timers != 7 || !hub().idle {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(hub().deadlines, 7);
        assert_eq!((hub().threads, hub().ready), (7, 0));

        let hog = Hog::start();
        let queued: Vec<_> = (0..5).map(|_| spawn(|| ())).collect();
        let held = hub();
        assert_eq!(held.inbox, 5);
        assert_eq!((held.threads, held.ready), (13, 6));
        assert!(!held.idle);
        assert_eq!(hub().turns, held.turns, "it stands still");
        assert!(tree().to_string().lines().count() == 13);
        assert!(timers().to_string().lines().count() == 7);
        // It is not waited for: the victim has not run.
        assert!(kill(id(&sleepers[0])).unwrap());
        assert!(!sleepers[0].is_finished());
        hog.release();
        queued.into_iter().for_each(|thread| thread.join().unwrap());
        for sleeper in sleepers {
            end(sleeper);
        }
    };
    alone(name, &[("GREEN_HUBS", "1")], || {
        test_support::bounded("hubs", LIMIT, body);
    })
    .well();
}

#[test]
fn cpu_time_is_counted_by_green_thread_and_only_while_asked_for() {
    fn cpu_time() -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
    /// Uses four milliseconds in each of ten turns.
    fn busy() -> JoinHandle<()> {
        spawn(|| {
            for _ in 0..10 {
                let begun = cpu_time();
                while cpu_time() - begun < Duration::from_millis(4) {}
                sleep(Duration::ZERO);
            }
            park();
        })
    }
    let name = "cpu_time_is_counted_by_green_thread_and_only_while_asked_for";
    alone(name, &[("GREEN_HUBS", "1")], || {
        test_support::bounded("cpu", LIMIT, || {
            let waits = |thread: &JoinHandle<()>| of(thread).state == State::Waiting(Site::Park);
            let until_done = |thread: &JoinHandle<()>| {
                while !waits(thread) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            };
            let uncounted = busy();
            until_done(&uncounted);
            assert_eq!(of(&uncounted).cpu, Duration::ZERO);
            assert_eq!(report().hubs[0].cpu, Duration::ZERO);
            assert_eq!(report().hubs[0].longest_turn, Duration::ZERO);

            assert!(!CpuAccounting::is_on());
            let counting = CpuAccounting::start();
            assert!(CpuAccounting::is_on());
            // The next turn is the first that is counted.
            sleep_on_the_hub();
            let (idle, worker) = (spawn(park), busy());
            until_done(&idle);
            until_done(&worker);
            // The turn in which it parked is over when another has been.
            sleep_on_the_hub();
            let (cpu, hub) = (of(&worker).cpu, report().hubs[0]);
            assert!(cpu >= Duration::from_millis(40), "{cpu:?}");
            assert!(of(&idle).cpu < cpu / 4, "{:?} {cpu:?}", of(&idle).cpu);
            assert!(hub.cpu >= cpu, "{:?} {cpu:?}", hub.cpu);
            assert!(hub.longest_turn >= Duration::from_millis(4));
            assert!(hub.to_string().contains(", longest turn "), "{hub}");

            drop(counting);
            assert!(!CpuAccounting::is_on());
            sleep_on_the_hub();
            let before = report().hubs[0].cpu;
            let after = busy();
            until_done(&after);
            assert_eq!(of(&after).cpu, Duration::ZERO);
            assert_eq!(report().hubs[0].cpu, before);
            for thread in [uncounted, idle, worker, after] {
                end(thread);
            }
        });
    })
    .well();
}

/// Comes back when the hub has begun, and ended, a turn since.
fn sleep_on_the_hub() {
    spawn(|| sleep(Duration::from_millis(2))).join().unwrap();
    spawn(|| ()).join().unwrap();
}
