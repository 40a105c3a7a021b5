//! Waiting for a green thread without joining it, links, and green threads that start later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use green::channel::{Sender, unbounded};
use green::thread::{self, Builder, Ending, park, spawn, spawn_after};
use green::{Killed, State, timeout};
use greenhub::wait_queue::{WaitQueue, Wake};
use greenhub::{Deadline, Site};
use test_support::net::{both_ways, wait_until};
use test_support::threads::site;

const SHORT: Duration = Duration::from_millis(20);
const FOR_EVER: Duration = Duration::from_secs(3600);

#[test]
fn a_link_is_told_once_how_its_green_thread_ended() {
    both_ways(|_| {
        let (endings, watched) = mpsc::channel();
        let link = |handle: &thread::JoinHandle<u32>| {
            let endings = endings.clone();
            handle.link(move |ending| endings.send(ending).unwrap());
        };
        let returns = spawn(|| {
            park();
            7
        });
        link(&returns);
        returns.thread().unpark();
        assert_eq!(returns.join().unwrap(), 7);
        // It has run before the joiner went on.
        assert_eq!(watched.try_recv(), Ok(Ending::Returned));
        let panics = spawn(|| {
            park();
            std::panic::resume_unwind(Box::new("planned"))
        });
        link(&panics);
        panics.thread().unpark();
        assert!(panics.join().is_err());
        assert_eq!(watched.try_recv(), Ok(Ending::Panicked));
        let killed = spawn(|| -> u32 { unreachable!("{:?}", park()) });
        link(&killed);
        killed.kill().unwrap();
        assert!(killed.join().is_err());
        assert_eq!(watched.try_recv(), Ok(Ending::Killed));
        drop(endings);
        assert!(watched.try_recv().is_err());
    });
}

#[test]
fn links_run_in_order_and_one_made_after_the_end_runs_at_once() {
    both_ways(|_| {
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let tell = |number| {
            let told = told.clone();
            move |_| told.lock().unwrap().push(number)
        };
        let handle = spawn(park);
        handle.link(tell(1));
        let taken_back = handle.link(tell(2));
        handle.link(|_| std::panic::resume_unwind(Box::new("planned")));
        handle.link(tell(3));
        assert!(handle.unlink(taken_back) && !handle.unlink(taken_back));
        handle.thread().unpark();
        handle.wait();
        assert_eq!(*told.lock().unwrap(), [1, 3]);
        let late = handle.link(tell(4));
        assert_eq!(*told.lock().unwrap(), [1, 3, 4]);
        assert!(!handle.unlink(late));
        handle.join().unwrap();
    });
}

#[test]
fn a_link_made_inside_a_link_runs_once() {
    both_ways(|_| {
        let handle = Arc::new(spawn(park));
        let runs = Arc::new(AtomicUsize::new(0));
        let (inner, counts) = (handle.clone(), runs.clone());
        handle.link(move |_| {
            counts.fetch_add(1, SeqCst);
            inner.link(move |ending| {
                assert_eq!(ending, Ending::Returned);
                counts.fetch_add(10, SeqCst);
            });
        });
        handle.thread().unpark();
        handle.wait();
        assert_eq!(runs.load(SeqCst), 11);
    });
}

#[test]
fn a_wait_with_a_limit_loses_no_result() {
    both_ways(|_| {
        let handle = spawn(|| {
            park();
            "kept"
        });
        let began = Instant::now();
        assert!(!handle.wait_timeout(SHORT));
        assert!(began.elapsed() >= SHORT);
        assert!(timeout(SHORT, || handle.wait()).is_err());
        handle.thread().unpark();
        assert!(handle.wait_timeout(FOR_EVER) && handle.is_finished());
        assert_eq!(handle.join().unwrap(), "kept");
    });
}

#[test]
fn spawn_after_starts_no_sooner_and_outlives_its_spawner() {
    both_ways(|_| {
        let (started, starts) = unbounded();
        let spawned = Instant::now();
        spawn(move || {
            for delay in [3 * SHORT, SHORT, Duration::ZERO] {
                let started = started.clone();
                spawn_after(delay, move || {
                    started.send((delay, Instant::now())).unwrap()
                });
            }
        })
        .join()
        .unwrap();
        let mut all: Vec<_> = starts.iter().collect();
        all.sort();
        assert_eq!(all.len(), 3);
        for (delay, started) in all {
            assert!(started >= spawned + delay);
        }
    });
}

#[test]
fn cancel_is_effective_before_the_start_alone() {
    both_ways(|_| {
        let ran = Arc::new(AtomicBool::new(false));
        let runs = ran.clone();
        let later = spawn_after(FOR_EVER, move || runs.store(true, SeqCst));
        assert!(!later.wait_timeout(Duration::from_millis(1)));
        assert!(!later.is_started());
        assert!(later.cancel());
        assert!(later.join().unwrap_err().is::<Killed>());
        let killed = spawn_after(FOR_EVER, || ());
        killed.kill().unwrap();
        killed.kill().unwrap();
        assert!(killed.join().unwrap_err().is::<Killed>());
        assert!(!ran.load(SeqCst));
        let (start, started) = unbounded();
        let runs = spawn_after(Duration::from_millis(1), move || {
            start.send(()).unwrap();
            park();
            5
        });
        started.recv().unwrap();
        assert!(runs.is_started());
        assert!(!runs.cancel());
        runs.thread().unpark();
        assert_eq!(runs.join().unwrap(), 5);
    });
}

#[test]
fn a_cancelled_start_leaves_no_timer_and_no_green_thread_behind() {
    green::run(|| {
        let handles: Vec<_> = (0..100)
            .map(|_| Builder::new().hub(0).after(FOR_EVER).spawn(park).unwrap())
            .collect();
        let ids: Vec<_> = handles.iter().map(|handle| handle.thread().id()).collect();
        let listed = || {
            green::report()
                .threads
                .into_iter()
                .filter(|thread| ids.contains(&thread.id))
                .collect::<Vec<_>>()
        };
        wait_until("all asleep", || {
            let asleep = |state: &State| matches!(state, State::Waiting(site) if site.to_string().contains("sleep"));
            listed()
                .iter()
                .filter(|thread| asleep(&thread.state))
                .count()
                == 100
        });
        assert!(
            listed()
                .iter()
                .all(|thread| thread.time_left > Some(FOR_EVER / 2))
        );
        for (number, handle) in handles.iter().enumerate() {
            match number % 2 {
                0 => assert!(handle.cancel()),
                _ => handle.kill().unwrap(),
            }
        }
        for handle in handles {
            assert!(handle.join().unwrap_err().is::<Killed>());
        }
        wait_until("none is left", || listed().is_empty());
        wait_until("no timer is left", || green::report().hubs[0].timers < 100);
    });
}

/// Waits without a limit when it is dropped, and tells how that ended.
struct Waits {
    queue: Arc<WaitQueue>,
    ended: Sender<Wake>,
}

impl Drop for Waits {
    fn drop(&mut self) {
        let woke = self.queue.wait("test", Deadline::NEVER, || true);
        self.ended.send(woke).unwrap();
    }
}

#[test]
fn what_a_killed_start_drops_may_wait_longer_than_until_the_start() {
    green::run(|| {
        let start = Instant::now() + 50 * SHORT;
        let queue = Arc::new(WaitQueue::new());
        let (ended, told) = unbounded();
        let waits = Waits {
            queue: queue.clone(),
            ended,
        };
        let later = spawn_after(50 * SHORT, move || drop(waits));
        wait_until("it is put off", || site(&later) == Some(Site::Sleep));
        later.kill().unwrap();
        wait_until("it drops what it has", || !queue.is_empty());
        thread::sleep(start.saturating_duration_since(Instant::now()) + SHORT);
        assert_eq!(queue.wake_all(), 1);
        assert_eq!(told.recv(), Ok(Wake::Woken));
        assert!(later.join().unwrap_err().is::<Killed>());
    });
}

/// Killed or cancelled from another OS thread about when they start: each ends one way or the other.
#[test]
fn a_kill_about_when_it_starts_ends_it_once() {
    both_ways(|on| {
        for round in 0..50 {
            let runs = Arc::new(AtomicUsize::new(0));
            let handles: Vec<_> = (0..20)
                .map(|number| {
                    let runs = runs.clone();
                    spawn_after(Duration::from_micros(number * 20), move || {
                        runs.fetch_add(1, SeqCst);
                    })
                })
                .collect();
            let ended = on
                .spawn(move || {
                    handles
                        .into_iter()
                        .filter_map(|handle| {
                            match round % 2 {
                                0 => handle.kill().unwrap(),
                                _ => drop(handle.cancel()),
                            }
                            handle.join().ok()
                        })
                        .count()
                })
                .join();
            assert_eq!(runs.load(SeqCst), ended);
        }
    });
}

#[test]
fn a_link_to_one_that_has_ended_leaves_the_callers_kill_and_limit_for_its_next_wait() {
    both_ways(|_| {
        let ended = Arc::new(spawn(|| ()));
        ended.wait();
        let waits = |_: Ending| thread::sleep(SHORT);
        let limited = timeout(SHORT / 4, || {
            ended.link(waits);
            thread::sleep(FOR_EVER);
        });
        assert!(limited.is_err());
        let (linked, told) = unbounded();
        let victim = spawn(move || {
            ended.link(move |ending| {
                linked.send(()).unwrap();
                waits(ending);
            });
            thread::sleep(FOR_EVER);
        });
        told.recv().unwrap();
        victim.kill().unwrap();
        assert!(victim.join().unwrap_err().is::<Killed>());
    });
}

#[test]
fn one_that_is_to_start_in_the_far_future_does_not_start() {
    both_ways(|_| {
        for delay in [
            Duration::MAX,
            Duration::from_secs(u64::MAX / 10),
            Duration::from_secs(500 * 365 * 86_400),
        ] {
            let far = spawn_after(delay, || ());
            assert!(!far.wait_timeout(SHORT), "after {delay:?}");
            assert!(far.cancel());
            assert!(far.join().unwrap_err().is::<Killed>());
        }
    });
}

#[test]
fn a_limit_that_is_set_after_the_body_s_end_holds() {
    struct Limited(mpsc::Sender<bool>);
    impl Drop for Limited {
        fn drop(&mut self) {
            let waited = timeout(SHORT, || thread::sleep(FOR_EVER));
            self.0.send(waited.is_err()).unwrap();
        }
    }
    green::thread_local!(static VALUE: std::cell::RefCell<Option<Limited>> = const { std::cell::RefCell::new(None) });
    both_ways(|_| {
        let (limits, held) = mpsc::channel();
        // In a destructor of a value of its own, also in one that was killed; in a link; in
        // the destructor of what a body had captured that never ran.
        let [value, of_killed, link, captured] = std::array::from_fn(|_| Limited(limits.clone()));
        let with_value = |value| move || VALUE.with(|place| *place.borrow_mut() = Some(value));
        let returns = spawn(with_value(value));
        let set = with_value(of_killed);
        let killed = spawn(move || {
            set();
            park()
        });
        killed.kill().unwrap();
        returns.link(move |_| drop(link));
        returns.join().unwrap();
        assert!(killed.join().is_err());
        let never = spawn_after(FOR_EVER, move || drop(captured));
        assert!(never.cancel());
        assert!(never.join().is_err());
        drop(limits);
        assert_eq!(held.iter().collect::<Vec<_>>(), [true; 4]);
    });
}
