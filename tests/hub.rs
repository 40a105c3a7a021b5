//! The hub: timers, fairness, idleness, settings.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use greenhub::green_thread::{
    self, Builder, park, sleep, sleep_until, spawn, spawn_local, yield_now,
};
use greenhub::greenio::{Domain, GreenSocket, Type};
use greenhub::source::{Direction, Patience, Source};
use greenhub::{ClosedLocally, Config, Site, State, hub_count, report, run, wait_readable};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};

#[expect(dead_code, reason = "no test here ends by a signal")]
#[path = "util/child.rs"]
mod child;
#[path = "util/repeat.rs"]
mod repeat;
mod util;

use child::{alone, alone_beside};

const LIMIT: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Runs `body` as a green thread on hub 0, bounded in time.
fn green<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> T {
    util::bounded(name, LIMIT, || {
        Builder::new()
            .hub(0)
            .spawn(body)
            .unwrap()
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(MILLISECOND / 4);
    }
}

fn waiting() -> usize {
    let threads = report().threads;
    threads
        .iter()
        .filter(|thread| matches!(thread.state, State::Waiting(_)))
        .count()
}

fn pair() -> (Source, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Source::new(ours.into()), theirs)
}

fn receive(source: &Source) -> std::io::Result<usize> {
    source.retry(Direction::Read, Patience::FOREVER, |fd| {
        socket2::SockRef::from(&fd).recv(&mut [MaybeUninit::uninit(); 64])
    })
}

#[test]
fn a4_a_timer_ends_with_the_green_thread_that_it_belongs_to() {
    green("a4", || {
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

/// Leaves what comes behind the first byte to the next reader.
fn receive_byte(source: &Source) -> std::io::Result<usize> {
    source.retry(Direction::Read, Patience::FOREVER, |fd| {
        socket2::SockRef::from(&fd).recv(&mut [MaybeUninit::uninit(); 1])
    })
}

#[test]
fn a1_timers_fire_by_deadline_and_then_in_order_of_registration() {
    green("a1", || {
        let order = Rc::new(RefCell::new(Vec::new()));
        let soon = Instant::now() + 30 * MILLISECOND;
        let later = soon + 30 * MILLISECOND;
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
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*order.borrow(), [0, 2, 4, 1, 3]);
    });
}

#[test]
fn a5_a_panic_leaves_the_hub_and_its_clock_alone() {
    green("a5", || {
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

#[test]
fn a8_a_stopped_and_continued_process_still_times_out() {
    let name = "a8_a_stopped_and_continued_process_still_times_out";
    let body = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let on_os_thread = listener.try_clone().unwrap();
        let wait = |listener: std::net::TcpListener| {
            let began = Instant::now();
            let ready = wait_readable(&listener, Some(began + 500 * MILLISECOND)).unwrap();
            assert!(!ready);
            assert!(began.elapsed() >= 500 * MILLISECOND);
        };
        let green = spawn(move || wait(listener));
        wait(on_os_thread);
        green.join().unwrap();
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

/// CPU time of all threads of this process, in the scheduler's nanoseconds.
fn cpu_time() -> Duration {
    let of_thread = |text: &str| text.split(' ').next().unwrap().parse::<u64>().unwrap();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanos = tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("schedstat")).ok())
        .map(|text| of_thread(&text))
        .sum();
    Duration::from_nanos(nanos)
}

#[test]
fn a11_a_blocked_writer_and_an_idle_reader_cost_nothing() {
    alone(
        "a11_a_blocked_writer_and_an_idle_reader_cost_nothing",
        &[],
        || {
            let send = |source: &Source| -> std::io::Result<()> {
                loop {
                    source.retry(Direction::Write, Patience::FOREVER, |fd| {
                        socket2::SockRef::from(&fd).send(&[0; 4096])
                    })?;
                }
            };
            let (full, _peer) = pair();
            let (idle, _other) = pair();
            let (full_os, _peer_os) = pair();
            let _writer = spawn(move || send(&full));
            let _reader = spawn(move || receive(&idle));
            let _on_os_thread = std::thread::spawn(move || send(&full_os));
            until(|| waiting() == 2);
            sleep(20 * MILLISECOND);
            let before = cpu_time();
            std::thread::sleep(400 * MILLISECOND);
            let spent = cpu_time() - before;
            assert!(spent < 40 * MILLISECOND, "{spent:?} in 0.4 s");
        },
    )
    .well();
}

/// How often a neighbour that sleeps 5 ms at a time wakes up within `window`.
fn naps_in(window: Duration) -> u32 {
    let naps = spawn_local(move || {
        let end = Instant::now() + window;
        let mut naps = 0;
        while Instant::now() < end {
            sleep(5 * MILLISECOND);
            naps += 1;
        }
        naps
    });
    naps.join().unwrap()
}

/// Compares a neighbour's naps beside `greedy`, which runs until it is told to
/// stop, with those beside a loop that does nothing but let others run. So both
/// suffer alike when the machine is busy; a hub that starves its sleepers misses
/// nine in ten, every time.
fn a19(name: &str, greedy: impl Fn(Arc<AtomicBool>) + Send + Copy + 'static) {
    let polite = |stop: Arc<AtomicBool>| {
        while !stop.load(SeqCst) {
            yield_now();
        }
    };
    for _ in 0..repeat::repeats() {
        let mut tries =
            (0..4).map(|_| green(name, move || (naps_beside(polite), naps_beside(greedy))));
        let fair = tries.find(|(possible, naps)| naps * 2 >= *possible);
        assert!(
            fair.is_some(),
            "less than half the naps that are possible, four times"
        );
    }
}

/// How often a neighbour wakes up beside `busy`, on the same hub.
fn naps_beside(busy: impl Fn(Arc<AtomicBool>) + 'static) -> u32 {
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = stop.clone();
    let busy = spawn_local(move || busy(theirs));
    let naps = naps_in(150 * MILLISECOND);
    stop.store(true, SeqCst);
    busy.join().unwrap();
    naps
}

/// A stream that never runs dry.
fn endless(stop: &Arc<AtomicBool>) -> Source {
    let (source, mut theirs) = pair();
    let stop = stop.clone();
    std::thread::spawn(move || while !stop.load(SeqCst) && theirs.write_all(&[1; 4096]).is_ok() {});
    source
}

#[test]
fn a19_a_greedy_reader_does_not_starve_a_sleeper() {
    a19("a19_reader", |stop| {
        let source = endless(&stop);
        while !stop.load(SeqCst) {
            receive(&source).unwrap();
        }
    });
}

#[test]
fn a19_a_greedy_user_of_the_trampoline_does_not_either() {
    a19("a19_trampoline", |stop| {
        let source = endless(&stop);
        while !stop.load(SeqCst) {
            wait_readable(&source, None).unwrap();
            let _ = socket2::SockRef::from(&source).recv(&mut [MaybeUninit::uninit(); 16]);
        }
    });
}

#[test]
fn a19_a_greedy_waiter_for_a_source_does_not_either() {
    a19("a19_source", |stop| {
        let source = endless(&stop);
        while !stop.load(SeqCst) {
            source.wait(Direction::Read, None).unwrap();
            let _ = socket2::SockRef::from(&source).recv(&mut [MaybeUninit::uninit(); 16]);
        }
    });
}

#[test]
fn a20_a_yield_loop_does_not_keep_sockets_waiting() {
    green("a20", || {
        let stop = Rc::new(Cell::new(false));
        let theirs = stop.clone();
        let yields = spawn_local(move || {
            while !theirs.get() {
                yield_now();
            }
        });
        let (source, mut peer) = pair();
        let echo = std::thread::spawn(move || {
            let mut byte = [0];
            while peer.read(&mut byte).unwrap() == 1 {
                peer.write_all(&byte).unwrap();
            }
        });
        for _ in 0..50 {
            socket2::SockRef::from(&source).send(b"x").unwrap();
            assert_eq!(receive(&source).unwrap(), 1);
        }
        stop.set(true);
        yields.join().unwrap();
        drop(source);
        echo.join().unwrap();
    });
}

#[test]
fn a21_what_one_handler_ends_another_does_not_take_for_data() {
    green("a21", || {
        for round in 0..50 {
            let (first, mut first_peer) = pair();
            let (second, mut second_peer) = pair();
            let (first, second) = (Rc::new(first), Rc::new(second));
            let other = second.clone();
            let closer = spawn_local(move || {
                receive(&first).unwrap();
                other.close();
            });
            let reader = spawn_local(move || receive(&second));
            yield_now();
            // Both become ready before the hub polls again.
            first_peer.write_all(b"x").unwrap();
            if round % 2 == 0 {
                second_peer.write_all(b"y").unwrap();
            }
            closer.join().unwrap();
            match reader.join().unwrap() {
                Ok(n) => assert_eq!(n, 1, "its own byte, read before the close"),
                Err(error) => assert!(ClosedLocally::caused(&error), "{error:?}"),
            }
        }
    });
}

#[test]
fn a_parked_crowd_costs_no_wake_ups() {
    alone("a_parked_crowd_costs_no_wake_ups", &[], || {
        let (source, _peer) = pair();
        let source = Arc::new(source);
        for n in 0..3000 {
            let source = source.clone();
            drop(spawn(move || match n % 3 {
                0 => sleep(Duration::from_secs(3600)),
                1 => park(),
                _ => drop(receive(&source)),
            }));
        }
        until(|| waiting() == 3000);
        // This OS thread is not a hub: it sleeps for real.
        let switches = || {
            let own = std::fs::read_link("/proc/thread-self").unwrap();
            let own = own.file_name().unwrap().to_owned();
            let tasks = std::fs::read_dir("/proc/self/task").unwrap();
            let others = tasks
                .map(Result::unwrap)
                .filter(|task| task.file_name() != own);
            let mut switches: Vec<(String, u64)> = others
                .map(|task| {
                    let status = std::fs::read_to_string(task.path().join("status")).unwrap();
                    let line = status
                        .lines()
                        .find(|line| line.starts_with("voluntary_ctxt"));
                    let count = line.unwrap().split('\t').nth(1).unwrap().parse().unwrap();
                    let name = std::fs::read_to_string(task.path().join("comm")).unwrap();
                    (name, count)
                })
                .collect();
            switches.sort();
            switches
        };
        // On a busy machine a hub may be late to its poll; a crowd that costs wake-ups costs them in each window.
        let costs_nothing = (0..4).any(|_| {
            std::thread::sleep(50 * MILLISECOND);
            let (before, turns) = (switches(), report());
            std::thread::sleep(500 * MILLISECOND);
            let mut hubs = turns.hubs.iter().zip(report().hubs);
            switches() == before && hubs.all(|(before, after)| before.turns == after.turns)
        });
        assert!(costs_nothing, "wake-ups in each of four windows");
    })
    .well();
}

#[test]
fn a12_hubs_go_on_beside_each_other() {
    alone(
        "a12_hubs_go_on_beside_each_other",
        &[("GREEN_HUBS", "2")],
        || {
            let seen = Arc::new(AtomicU32::new(0));
            let theirs = seen.clone();
            // Blocks its hub for real until the other hub has gone on.
            let hog = Builder::new()
                .hub(0)
                .spawn(move || {
                    while theirs.load(SeqCst) < 10 {
                        std::thread::sleep(MILLISECOND);
                    }
                })
                .unwrap();
            let sleeper = Builder::new().hub(1).spawn(move || {
                for _ in 0..10 {
                    sleep(MILLISECOND);
                    seen.fetch_add(1, SeqCst);
                }
            });
            sleeper.unwrap().join().unwrap();
            hog.join().unwrap();
        },
    )
    .well();
}

#[test]
fn the_environment_sets_the_number_of_hubs() {
    alone(
        "the_environment_sets_the_number_of_hubs",
        &[("GREEN_HUBS", "3")],
        || {
            assert_eq!(hub_count().unwrap(), 3);
            let homes: Vec<_> = (0..3).map(|_| spawn(park)).collect();
            until(|| waiting() == 3);
            let mut hubs: Vec<_> = report().threads.iter().map(|thread| thread.hub).collect();
            hubs.sort_unstable();
            assert_eq!(hubs, [0, 1, 2], "each on the least loaded");
            homes.iter().for_each(|thread| thread.thread().unpark());
            assert!(Builder::new().hub(3).spawn(|| ()).is_err());
            assert!(green_thread::Builder::new().spawn_local(|| ()).is_err());
        },
    )
    .well();
}

#[test]
fn config_comes_before_the_environment_and_is_an_error_after_the_start() {
    let name = "config_comes_before_the_environment_and_is_an_error_after_the_start";
    alone(
        name,
        &[("GREEN_HUBS", "3"), ("GREEN_STACK_SIZE", "many")],
        || {
            let kind = |config: Config| config.apply().unwrap_err().kind();
            assert_eq!(
                kind(Config::new().hubs(0)),
                std::io::ErrorKind::InvalidInput
            );
            assert_eq!(
                kind(Config::new().hubs(5000)),
                std::io::ErrorKind::InvalidInput
            );
            assert_eq!(
                kind(Config::new().blocking_threads(0)),
                std::io::ErrorKind::InvalidInput
            );
            Config::new().hubs(2).apply().unwrap();
            assert_eq!(run(|| 1), 1);
            assert_eq!(hub_count().unwrap(), 2);
            assert_eq!(
                kind(Config::new().hubs(2)),
                std::io::ErrorKind::AlreadyExists
            );
        },
    )
    .well();
}

#[test]
fn the_first_green_thread_may_start_while_its_os_thread_panics() {
    alone(
        "the_first_green_thread_may_start_while_its_os_thread_panics",
        &[],
        || {
            struct Starts;
            impl Drop for Starts {
                fn drop(&mut self) {
                    assert_eq!(spawn(|| 7).join().unwrap(), 7);
                }
            }
            let thread = std::thread::spawn(|| {
                let _starts = Starts;
                panic!("planned");
            });
            assert!(thread.join().unwrap_err().is::<&str>());
            assert_eq!(run(|| 1), 1);
        },
    )
    .well();
}

#[test]
fn main_may_return_while_green_threads_run() {
    alone("main_may_return_while_green_threads_run", &[], || {
        for _ in 0..10 {
            drop(spawn(|| {
                loop {
                    yield_now();
                }
            }));
            drop(spawn(park));
        }
        sleep(5 * MILLISECOND);
    })
    .well();
}

#[test]
fn a_descriptor_of_one_hub_is_waited_for_on_another() {
    alone(
        "a_descriptor_of_one_hub_is_waited_for_on_another",
        &[("GREEN_HUBS", "2")],
        || {
            let (source, mut peer) = pair();
            let source = Arc::new(source);
            let fd = source.as_raw_fd();
            let readers: Vec<_> = (0..6)
                .map(|n| {
                    let source = source.clone();
                    Builder::new()
                        .hub(n % 2)
                        .spawn(move || receive_byte(&source).unwrap())
                        .unwrap()
                })
                .collect();
            let on_fd = || {
                let threads = report().threads;
                threads
                    .iter()
                    .filter(|t| t.state == State::Waiting(Site::Readable(fd)))
                    .count()
            };
            until(|| on_fd() == 6);
            for left in (0..6).rev() {
                peer.write_all(b"x").unwrap();
                until(|| on_fd() <= left);
            }
            assert_eq!(
                readers
                    .into_iter()
                    .map(|r| r.join().unwrap())
                    .sum::<usize>(),
                6
            );
        },
    )
    .well();
}

#[test]
fn a_connection_to_this_host_is_decided_without_the_poller() {
    let name = "a_connection_to_this_host_is_decided_without_the_poller";
    alone(name, &[("GREEN_HUBS", "1")], || {
        run(|| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = socket2::SockAddr::from(listener.local_addr().unwrap());
            let unregistered = || {
                let before = report().hubs[0].descriptors;
                let socket = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.connect_timeout(&address, LIMIT).unwrap();
                report().hubs[0].descriptors == before
            };
            // The kernel may put an answer off when it is busy.
            assert!((0..100).any(|_| unregistered()));
        });
    })
    .well();
}

#[test]
fn who_accepts_does_not_stand_behind_a_thousand_who_are_ready() {
    let name = "who_accepts_does_not_stand_behind_a_thousand_who_are_ready";
    alone(name, &[("GREEN_HUBS", "1")], || {
        run(|| {
            let stop = Rc::new(Cell::new(false));
            let ran = Rc::new(Cell::new(0_u64));
            let busy: Vec<_> = (0..2_000)
                .map(|_| {
                    let (stop, ran) = (stop.clone(), ran.clone());
                    spawn_local(move || {
                        while !stop.get() {
                            ran.set(ran.get() + 1);
                            yield_now();
                        }
                    })
                })
                .collect();
            let listener = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
            listener.bind(&any.into()).unwrap();
            listener.listen(8).unwrap();
            let address = listener.local_addr().unwrap();
            let seen = ran.clone();
            let acceptor = spawn_local(move || {
                let mut accepted_at = Vec::new();
                for _ in 0..20 {
                    listener.accept().unwrap();
                    accepted_at.push(seen.get());
                }
                accepted_at
            });
            let connected_at: Vec<_> = (0..20)
                .map(|_| {
                    // The acceptor waits again by then: everybody has had a turn.
                    yield_now();
                    let client = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                    client.connect(&address).unwrap();
                    let at = ran.get();
                    yield_now();
                    at
                })
                .collect();
            let accepted_at = acceptor.join().unwrap();
            let waited = connected_at.iter().zip(accepted_at);
            let waited: Vec<_> = waited
                .map(|(before, after)| after.saturating_sub(*before))
                .collect();
            // One round of the poller is 61 turns of others.
            assert!(waited.iter().all(|turns| *turns < 500), "{waited:?}");
            stop.set(true);
            busy.into_iter().for_each(|thread| thread.join().unwrap());
        });
    })
    .well();
}

/// What is in a folder of /proc that lists what the process has.
fn entries(of: &str) -> usize {
    std::fs::read_dir(of).unwrap().count()
}

#[test]
fn a_first_start_without_descriptors_leaves_nothing_and_the_next_one_works() {
    let name = "a_first_start_without_descriptors_leaves_nothing_and_the_next_one_works";
    alone(name, &[("GREEN_HUBS", "3")], || {
        let limit = |most| {
            let limit = Rlimit {
                current: Some(most),
                maximum: Some(4096),
            };
            setrlimit(Resource::Nofile, limit).unwrap();
        };
        // The limit is on numbers, so none of them may be free below the highest.
        let filled: Vec<_> = std::iter::repeat_with(|| std::fs::File::open("/dev/null").unwrap())
            .take(64)
            .collect();
        let used = filled.iter().map(|file| file.as_raw_fd()).max().unwrap() as u64 + 1;
        let descriptors = entries("/proc/self/fd");
        // What `may` has made for itself it keeps.
        let kept = if cfg!(feature = "engine-may") { 2 } else { 0 };
        let tasks = entries("/proc/self/task");
        // Each hub takes two.
        let mut failed = 0;
        for free in 0..=8 {
            limit(used + free);
            let started = Builder::new().spawn(|| 7);
            limit(1024);
            match started {
                Ok(thread) => {
                    assert_eq!(thread.join().unwrap(), 7);
                    break;
                }
                Err(error) => {
                    failed += 1;
                    assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
                    if cfg!(not(feature = "engine-may")) {
                        // A thread that has been joined is still listed for a moment.
                        let until = Instant::now() + Duration::from_secs(10);
                        while entries("/proc/self/task") > tasks {
                            assert!(Instant::now() < until, "a hub's OS thread is left");
                            std::thread::yield_now();
                        }
                    }
                    let left = entries("/proc/self/fd") - descriptors;
                    assert!(left == 0 || left == kept, "{left} descriptors are left");
                }
            }
        }
        assert!(failed > 2, "{failed} starts failed");
        assert_eq!(hub_count().unwrap(), 3);
    })
    .well();
}
