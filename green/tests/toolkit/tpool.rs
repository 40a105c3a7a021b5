//! `green::tpool`: blocking calls and values on OS threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use green::thread::{sleep, spawn_local};
use green::tpool::{Proxy, execute, execute_timeout};
use green::{run, thread, timeout};
use test_support::net::both_ways;

const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

fn os_thread() -> (ThreadId, String) {
    let current = std::thread::current();
    (current.id(), current.name().unwrap_or_default().to_owned())
}

#[test]
fn neighbours_go_on_while_a_call_of_a_proxy_blocks() {
    test_support::bounded("neighbours go on while a", LIMIT, || {
        run(|| {
            let (release, blocked) = mpsc::channel::<()>();
            let proxy = Proxy::new(blocked);
            let theirs = proxy.clone();
            let call = spawn_local(move || theirs.call(|blocked| blocked.recv().is_ok()));
            for _ in 0..10 {
                sleep(Duration::from_millis(1));
            }
            assert!(!call.is_finished());
            release.send(()).unwrap();
            assert!(call.join().unwrap());
            assert!(proxy.call(|_| os_thread().1).starts_with("green-blocking-"));
            assert!(execute(os_thread).1.starts_with("green-blocking-"));
        });
    });
}

#[test]
fn a_limit_releases_the_waiter_and_the_call_runs_on() {
    both_ways(|_| {
        let (release, blocked) = mpsc::channel::<()>();
        let proxy = Proxy::new((blocked, 0));
        let began = Instant::now();
        let cut = proxy.call_timeout(SHORT, |(blocked, calls)| {
            blocked.recv().unwrap();
            *calls += 1;
        });
        assert!(cut.is_err() && began.elapsed() >= SHORT);
        // One that has not begun never runs.
        assert!(
            proxy
                .call_timeout(SHORT, |(_, calls)| *calls += 100)
                .is_err()
        );
        assert!(timeout(SHORT, || proxy.call(|(_, calls)| *calls += 100)).is_err());
        release.send(()).unwrap();
        assert_eq!(proxy.call(|(_, calls)| *calls), 1);
        let (release, blocked) = mpsc::channel::<()>();
        assert!(execute_timeout(SHORT, move || blocked.recv()).is_err());
        assert_eq!(execute_timeout(LIMIT, || 4), Ok(4));
        drop(release);
    });
}

#[test]
fn errors_and_panics_come_back_whole_and_the_value_stays_usable() {
    both_ways(|_| {
        let proxy = Proxy::new(String::new());
        for round in 0..100 {
            let text = proxy.call(move |value| {
                value.push('x');
                value.parse::<u8>().map_err(|error| (error, round))
            });
            assert_eq!(text.unwrap_err().1, round);
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                proxy.call(move |_| std::panic::resume_unwind(Box::new(round)))
            }));
            assert_eq!(panic.unwrap_err().downcast_ref(), Some(&round));
        }
        assert_eq!(proxy.call(|value| value.len()), 100);
        let timed_out =
            execute(|| Err::<(), _>(std::io::Error::from(std::io::ErrorKind::TimedOut)));
        assert!(green::is_timeout(&timed_out.unwrap_err()));
    });
}

#[test]
fn limits_of_sockets_are_theirs_alone() {
    both_ways(|_| {
        let (ours, _theirs) = green::os::unix::net::UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let proxy = Proxy::new(ours.try_clone().unwrap());
        let limited = || std::io::Read::read(&mut &ours, &mut [0]).unwrap_err();
        assert!(green::is_timeout(&limited()));
        // Waits for its result far longer.
        proxy.call(|_| std::thread::sleep(SHORT));
        assert!(green::is_timeout(&limited()));
    });
}

#[test]
fn calls_of_one_proxy_run_one_after_the_other() {
    both_ways(|on| {
        let proxy = Proxy::new((0, 0));
        let inside = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let (proxy, inside) = (proxy.clone(), inside.clone());
                on.spawn(move || {
                    for _ in 0..20 {
                        let inside = inside.clone();
                        proxy.call(move |(calls, most)| {
                            *most = (*most).max(inside.fetch_add(1, SeqCst) + 1);
                            std::thread::yield_now();
                            inside.fetch_sub(1, SeqCst);
                            *calls += 1;
                        });
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join());
        assert_eq!(proxy.call(|counts| *counts), (160, 1));
    });
}

#[test]
fn a_killed_caller_goes_on_at_once_and_its_turn_ends_with_its_call() {
    both_ways(|_| {
        let (release, blocked) = mpsc::channel::<()>();
        let (begin, begun) = green::channel::bounded(1);
        let proxy = Proxy::new(blocked);
        let theirs = proxy.clone();
        let victim = thread::spawn(move || {
            theirs.call(move |blocked| {
                begin.send(()).unwrap();
                blocked.recv().is_ok()
            })
        });
        begun.recv().unwrap();
        victim.kill().unwrap();
        assert!(victim.join().is_err());
        let next = proxy.clone();
        let next = thread::spawn(move || next.call(|_| 5));
        assert!(!next.wait_timeout(SHORT));
        release.send(()).unwrap();
        assert_eq!(next.join().unwrap(), 5);
    });
}

/// Says on which OS thread it was dropped.
struct Tells(mpsc::Sender<(ThreadId, String)>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(os_thread());
    }
}

#[test]
fn the_value_is_dropped_on_the_pool_and_not_on_a_hub() {
    test_support::bounded("dropped on the pool", LIMIT, || {
        let (sender, dropped) = mpsc::channel();
        let theirs = sender.clone();
        run(move || {
            let proxy = Proxy::new(Tells(theirs));
            proxy.call(|_| ());
            drop(proxy);
        });
        let (_, name) = dropped.recv().unwrap();
        assert!(name.starts_with("green-blocking-"), "{name}");
        // On an OS thread right there.
        drop(Proxy::new(Tells(sender)));
        assert_eq!(dropped.recv().unwrap().0, std::thread::current().id());
    });
}

#[test]
fn a_call_of_a_proxy_may_wait() {
    let proxy = Proxy::new(7);
    let waits = |value: &mut u8| {
        green::thread::sleep(Duration::from_millis(1));
        *value
    };
    assert_eq!(proxy.call(waits), 7);
    assert_eq!(green::run(move || proxy.call(waits)), 7);
}
