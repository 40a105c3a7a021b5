//! `green::event` and the semaphores of `green::semaphore`, on green threads and OS threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::event::{Event, NotSent};
use green::semaphore::{BoundedSemaphore, MAX_PERMITS, NotAcquired, Semaphore};
use green::{thread, timeout};
use test_support::net::{both_ways, wait_until};

const SHORT: Duration = Duration::from_millis(20);
const FOR_EVER: Duration = Duration::from_secs(60);

/// Ends the running thread, as a test's panic would, without its message.
fn fail() -> ! {
    std::panic::resume_unwind(Box::new("planned"))
}

#[test]
fn every_waiter_gets_the_value_though_some_fail_after_waking() {
    both_ways(|on| {
        let event = Arc::new(Event::<String>::new());
        let heard = Arc::new(AtomicUsize::new(0));
        let waiters: Vec<_> = (0..8)
            .map(|number| {
                let (event, heard) = (event.clone(), heard.clone());
                on.spawn(move || {
                    std::panic::catch_unwind(|| {
                        let Ok(value) = event.wait();
                        assert_eq!(value, "it");
                        heard.fetch_add(1, SeqCst);
                        if number % 2 == 0 {
                            fail();
                        }
                    })
                    .is_ok()
                })
            })
            .collect();
        wait_until("eight waiters", || event.waiting() == 8);
        event.send("it".to_owned()).unwrap();
        let went_well: Vec<bool> = waiters.into_iter().map(|waiter| waiter.join()).collect();
        assert_eq!(went_well, [0, 1, 2, 3, 4, 5, 6, 7].map(|n| n % 2 == 1));
        assert_eq!(heard.load(SeqCst), 8);
        assert_eq!(event.waiting(), 0);
    });
}

#[test]
fn an_event_is_sent_once_and_reset_makes_it_new() {
    both_ways(|_| {
        let event = Event::<u32, &str>::fallible();
        assert!(!event.ready() && event.poll().is_none());
        assert_eq!(event.reset(), Err(NotSent));
        event.send_error("broken").unwrap();
        assert!(event.ready() && event.has_error() && !event.has_value());
        assert_eq!(event.wait(), Err("broken"));
        assert_eq!(event.send(1), Err(1));
        assert_eq!(event.send_error("again"), Err("again"));
        assert_eq!(event.poll(), Some(Err("broken")));
        // The old error is gone.
        event.reset().unwrap();
        assert!(!event.ready() && !event.has_error());
        assert_eq!(event.wait_timeout(Duration::from_millis(1)), None);
        event.send(7).unwrap();
        assert!(event.has_value() && !event.has_error());
        assert_eq!(event.wait(), Ok(7));
        assert_eq!(event.wait_timeout(FOR_EVER), Some(Ok(7)));
    });
}

#[test]
fn who_waited_gets_what_was_sent_though_it_was_reset_at_once() {
    both_ways(|on| {
        let event = Arc::new(Event::new());
        let theirs = event.clone();
        let waiter = on.spawn(move || theirs.wait());
        wait_until("a waiter", || event.waiting() == 1);
        event.send(1).unwrap();
        event.reset().unwrap();
        assert_eq!(waiter.join(), Ok(1));
        assert!(!event.ready());
    });
}

#[test]
fn a_wait_with_a_limit_gives_an_early_value_or_none_not_before_the_limit() {
    both_ways(|on| {
        let event = Arc::new(Event::new());
        let began = Instant::now();
        assert_eq!(event.wait_timeout(SHORT), None);
        assert!(began.elapsed() >= SHORT);
        let theirs = event.clone();
        let waiter = on.spawn(move || theirs.wait_timeout(FOR_EVER));
        wait_until("a waiter", || event.waiting() == 1);
        event.send("early").unwrap();
        assert_eq!(waiter.join(), Some(Ok("early")));
    });
}

#[test]
fn a_waiter_cut_short_is_not_woken_by_the_event_later() {
    both_ways(|on| {
        let (event, other) = (Arc::new(Event::new()), Arc::new(Event::<u8>::new()));
        let (theirs, second) = (event.clone(), other.clone());
        let cut = Arc::new(AtomicBool::new(false));
        let was_cut = cut.clone();
        let waiter = on.spawn(move || {
            assert!(timeout(SHORT, || theirs.wait()).is_err());
            was_cut.store(true, SeqCst);
            second.wait()
        });
        wait_until("the limit", || cut.load(SeqCst));
        wait_until("the next wait", || other.waiting() == 1);
        assert_eq!(event.waiting(), 0);
        event.send(()).unwrap();
        assert!(!waiter.is_finished());
        other.send(5).unwrap();
        assert_eq!(waiter.join(), Ok(5));
    });
}

#[test]
fn a_killed_waiter_leaves_the_event_to_the_others() {
    both_ways(|on| {
        let event = Arc::new(Event::new());
        let (theirs, others) = (event.clone(), event.clone());
        let victim = thread::spawn(move || theirs.wait());
        let survivor = on.spawn(move || others.wait());
        wait_until("two waiters", || event.waiting() == 2);
        victim.kill().unwrap();
        assert!(green::Killed::caused(&*victim.join().unwrap_err()));
        event.send(3).unwrap();
        assert_eq!(survivor.join(), Ok(3));
    });
}

/// Both on one hub and started in one turn of it, so that nothing but the order of service decides.
#[test]
fn two_that_loop_on_one_permit_get_equal_shares() {
    const ROUNDS: usize = 400;
    let [a, b] = green::run(|| {
        let shared = Arc::new((Semaphore::new(1), [const { AtomicUsize::new(0) }; 2]));
        let workers = [0, 1].map(|number| {
            let shared = shared.clone();
            thread::spawn_local(move || {
                let (semaphore, counts) = &*shared;
                while counts.iter().all(|count| count.load(SeqCst) < ROUNDS) {
                    let _permit = semaphore.permit();
                    thread::yield_now();
                    counts[number].fetch_add(1, SeqCst);
                }
            })
        });
        for worker in workers {
            worker.join().unwrap();
        }
        [0, 1].map(|n| shared.1[n].load(SeqCst))
    });
    assert!(a.abs_diff(b) * 10 < ROUNDS, "{a} and {b} rounds");
}

#[test]
fn an_acquire_with_a_limit_is_false_not_before_it() {
    both_ways(|_| {
        let semaphore = Semaphore::new(0);
        let began = Instant::now();
        assert!(!semaphore.acquire_timeout(SHORT));
        assert!(semaphore.permit_timeout(SHORT).is_none());
        assert!(began.elapsed() >= 2 * SHORT);
        assert!(!semaphore.try_acquire() && semaphore.try_permit().is_none());
        assert_eq!((semaphore.available(), semaphore.waiting()), (0, 0));
        semaphore.release();
        assert!(semaphore.acquire_timeout(Duration::ZERO));
    });
    assert!(std::panic::catch_unwind(|| Semaphore::new(usize::MAX)).is_err());
}

#[test]
fn guards_give_back_and_forgotten_ones_do_not() {
    both_ways(|_| {
        let semaphore = Semaphore::new(2);
        let first = semaphore.permit();
        semaphore.permit().forget();
        assert_eq!(semaphore.available(), 0);
        drop(first);
        assert_eq!(semaphore.available(), 1);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _permit = semaphore.permit();
            fail();
        }));
        assert!(caught.is_err());
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn releasing_a_bounded_semaphore_too_often_is_an_error() {
    both_ways(|on| {
        let semaphore = Arc::new(BoundedSemaphore::new(1));
        assert_eq!(semaphore.release(), Err(NotAcquired));
        let permit = semaphore.permit();
        assert!(!semaphore.try_acquire() && semaphore.permit_timeout(SHORT).is_none());
        let theirs = semaphore.clone();
        let waiter = on.spawn(move || {
            theirs.acquire();
            theirs.release()
        });
        wait_until("a waiter", || semaphore.waiting() == 1);
        drop(permit);
        assert_eq!(waiter.join(), Ok(()));
        assert_eq!(semaphore.release(), Err(NotAcquired));
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn permits_are_added_at_once_and_taken_away_as_they_come_back() {
    both_ways(|on| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.permit();
        semaphore.remove_permits(1);
        drop(held);
        assert!(!semaphore.try_acquire());
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let theirs = semaphore.clone();
                on.spawn(move || theirs.permit().forget())
            })
            .collect();
        wait_until("three waiters", || semaphore.waiting() == 3);
        semaphore.remove_permits(1);
        // One pays the debt, three are handed over, one is left.
        semaphore.add_permits(5);
        waiters.into_iter().for_each(|waiter| waiter.join());
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn many_permits_are_added_in_no_time_and_too_many_are_refused() {
    both_ways(|on| {
        let semaphore = Arc::new(Semaphore::new(0));
        semaphore.remove_permits(2);
        let theirs = semaphore.clone();
        let waiter = on.spawn(move || theirs.permit().forget());
        wait_until("a waiter", || semaphore.waiting() == 1);
        // One at a time they took centuries.
        semaphore.add_permits(MAX_PERMITS);
        waiter.join();
        assert_eq!(semaphore.available(), MAX_PERMITS - 3);
        let adds = AssertUnwindSafe(|| semaphore.add_permits(MAX_PERMITS + 1));
        assert!(catch_unwind(adds).is_err());
        assert_eq!(semaphore.available(), MAX_PERMITS - 3);
    });
}
