//! The models, and for each mutant the model that catches it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use loom::thread;

use crate::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use crate::channel::core::Core;
use crate::deadline::Deadline;
use crate::hub::home::Home;
use crate::hub::interrupts::Raised;
use crate::hub::task::Task;
use crate::hub::wait::Wake;
use crate::hub::wait_word::{Phase, WaitWord};
use crate::hub::{current, turn};
use crate::join::{JoinInner, Packet};
use crate::lock::Lock;
use crate::shared_lock::SharedLock;
use crate::sys::lock::Lock as ShortLock;
use crate::wait_queue::WaitQueue;

/// Tries all that can happen with so many switches of threads at moments of nobody's choice, as far as some seconds suffice;
/// with `GREEN_TRIALS=full` five minutes, and then as long with one switch more.
fn all(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    up_to(preemptions, preemptions + 1, model);
}

/// As [`all`], with so many switches and so many at most.
fn up_to(preemptions: usize, most: usize, model: impl Fn() + Send + Sync + 'static) {
    let full = std::env::var("GREEN_TRIALS").is_ok_and(|trials| trials == "full");
    let model = Arc::new(model);
    let is_mutant = crate::mutant().is_some();
    let limit = Duration::from_secs(if full || is_mutant { 300 } else { 3 });
    let were_all = try_all(preemptions, limit, &model);
    if full && were_all && !is_mutant && most > preemptions {
        try_all(most, limit, &model);
    }
}

/// Returns whether time has sufficed for all.
fn try_all(
    preemptions: usize,
    limit: Duration,
    model: &Arc<impl Fn() + Send + Sync + 'static>,
) -> bool {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    // How often it looks at the time.
    builder.checkpoint_interval = 100;
    builder.max_duration = Some(limit);
    let (orders, began) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let (count, model) = (orders.clone(), model.clone());
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        model();
    });
    let took = began.elapsed();
    let were_all = took < limit;
    println!(
        "{}: {} orders with {preemptions} switches, {} in {took:.1?}",
        std::thread::current().name().unwrap_or("a model"),
        orders.load(Relaxed),
        if were_all { "all there are" } else { "not all" },
    );
    were_all
}

/// A thread that may be killed; it tells whether it was not.
fn spawn(task: &Arc<Task>, f: impl FnOnce() + 'static) -> thread::JoinHandle<bool> {
    let task = task.clone();
    thread::spawn(move || {
        current::be(task);
        match catch_unwind(AssertUnwindSafe(f)) {
            Ok(()) => true,
            Err(payload) if payload.is::<Raised>() => false,
            Err(payload) => std::panic::resume_unwind(payload),
        }
    })
}

#[test]
fn one_waker_ends_a_wait() {
    all(3, || {
        let word = Arc::new(WaitWord::default());
        let first = word.open(false);
        let wakers: Vec<_> = [Phase::Event, Phase::TimedOut]
            .into_iter()
            .map(|why| {
                let word = word.clone();
                thread::spawn(move || word.close(first, why))
            })
            .collect();
        let mine = word.close(first, Phase::Interrupted);
        let second = word.open(true);
        let won: Vec<bool> = wakers
            .into_iter()
            .map(|waker| waker.join().unwrap())
            .collect();
        assert_eq!(
            won.iter().filter(|&&won| won).count() + usize::from(mine),
            1
        );
        assert_eq!(
            word.open_ticket(),
            Some(second),
            "an old ticket ended a later wait"
        );
    });
}

#[test]
fn a_kill_ends_the_wait_under_way_or_the_next() {
    all(3, || {
        let task = Task::new();
        let queue = Arc::new(WaitQueue::new());
        let waiter = spawn(&task, {
            let queue = queue.clone();
            move || {
                queue.wait("model", Deadline::NEVER, || true);
            }
        });
        task.kill();
        assert!(!waiter.join().unwrap());
        assert!(queue.is_empty());
    });
}

#[test]
fn mail_is_met_or_rung_for() {
    // loom lets a swap read what another change has overtaken, though of one atomic all changes have one order. So there is
    // one poster, and no fourth switch: with it, the second post would not see that the hub sleeps, since what the first one
    // wrote is not known to be older. If `may_sleep` swaps too, which makes it known, four switches find nothing.
    up_to(3, 3, || {
        let home = Arc::new(Home::new(0).unwrap());
        let poster = {
            let home = home.clone();
            thread::spawn(move || (0..2).for_each(|n| home.post(n)))
        };
        let (mut got, mut mail) = (0, Vec::new());
        while got < 2 {
            home.take(&mut mail);
            got += mail.drain(..).count();
            if got == 2 {
                break;
            }
            if home.may_sleep() {
                home.poll();
            }
            home.is_awake();
        }
        poster.join().unwrap();
    });
}

#[test]
fn a_short_lock_has_one_holder_and_wakes_the_next() {
    all(2, || {
        let lock = Arc::new(ShortLock::new(()));
        let counted = Arc::new(AtomicU32::new(0));
        let enter = |lock: &ShortLock<()>, counted: &AtomicU32| {
            let _held = lock.lock();
            let before = counted.load(Relaxed);
            counted.store(before + 1, Relaxed);
        };
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (lock, counted) = (lock.clone(), counted.clone());
                thread::spawn(move || enter(&lock, &counted))
            })
            .collect();
        enter(&lock, &counted);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(counted.load(Relaxed), 3);
    });
}

#[test]
fn a_change_is_seen_or_its_waiter_is() {
    all(3, || {
        let queue = Arc::new(WaitQueue::new());
        let ready = Arc::new(AtomicBool::new(false));
        let waiter = {
            let (queue, ready) = (queue.clone(), ready.clone());
            thread::spawn(move || {
                while !ready.load(Relaxed) {
                    queue.wait("model", Deadline::NEVER, || !ready.load(Relaxed));
                }
            })
        };
        ready.store(true, Relaxed);
        queue.wake_one();
        waiter.join().unwrap();
    });
}

#[test]
fn who_is_chosen_is_woken_and_who_has_timed_out_is_not_chosen() {
    all(3, || {
        let queue = Arc::new(WaitQueue::new());
        let waiter = {
            let queue = queue.clone();
            thread::spawn(move || queue.wait("model", Deadline::SOON, || true) == Wake::Woken)
        };
        let chosen = queue.wake_one();
        assert_eq!(waiter.join().unwrap(), chosen);
        assert!(queue.is_empty());
    });
}

/// A holder, who takes the lock so many times, a waiter who may give up or be killed, and one behind him who must get it.
fn contended(times: usize, gives_up: fn(&Lock), killed: bool) -> impl Fn() + Send + Sync + 'static {
    move || {
        let lock = Arc::new(Lock::new());
        let inside = Arc::new(AtomicU32::new(0));
        lock.lock();
        let first = Task::new();
        let one = spawn(&first, {
            let lock = lock.clone();
            move || gives_up(&lock)
        });
        let other = {
            let (lock, inside) = (lock.clone(), inside.clone());
            thread::spawn(move || {
                lock.lock();
                let before = inside.load(Relaxed);
                inside.store(before + 1, Relaxed);
                lock.unlock();
            })
        };
        // They queue; what follows is about how they leave.
        thread::yield_now();
        let killer = killed.then(|| thread::spawn(move || first.kill()));
        for time in 0..times {
            if time > 0 {
                lock.lock();
            }
            let before = inside.load(Relaxed);
            inside.store(before + 1, Relaxed);
            lock.unlock();
        }
        killer.map(|killer| killer.join().unwrap());
        one.join().unwrap();
        other.join().unwrap();
        assert_eq!(
            inside.load(Relaxed),
            times as u32 + 1,
            "there were two holders at a time"
        );
        assert!(lock.try_lock(), "the lock is not free in the end");
    }
}

fn once(lock: &Lock) {
    lock.lock();
    lock.unlock();
}

#[test]
fn a_lock_has_one_holder() {
    all(2, || {
        let lock = Arc::new(Lock::new());
        let inside = Arc::new(AtomicU32::new(0));
        let enter = |lock: &Lock, inside: &AtomicU32| {
            lock.lock();
            let before = inside.load(Relaxed);
            inside.store(before + 1, Relaxed);
            lock.unlock();
        };
        let other = {
            let (lock, inside) = (lock.clone(), inside.clone());
            thread::spawn(move || enter(&lock, &inside))
        };
        enter(&lock, &inside);
        other.join().unwrap();
        assert_eq!(inside.load(Relaxed), 2);
    });
}

#[test]
fn a_lock_reaches_the_next_waiter_when_the_limit_of_the_one_before_passes() {
    let within = |lock: &Lock| {
        if lock.lock_until(Deadline::SOON) {
            lock.unlock();
        }
    };
    all(2, contended(1, within, false));
}

#[test]
fn a_lock_reaches_the_next_waiter_when_the_one_before_is_killed_as_it_is_woken() {
    all(2, contended(1, once, true));
}

#[test]
fn a_lock_reaches_the_next_waiter_when_the_one_before_is_killed_on_its_way() {
    all(2, contended(2, once, true));
}

#[test]
fn a_lock_that_is_handed_over_after_a_while_reaches_everybody() {
    crate::clock::each_look_takes(1_000_000);
    all(2, contended(1, once, true));
}

#[test]
fn readers_and_writers_exclude_each_other_and_all_get_in() {
    all(2, || {
        let lock = Arc::new(SharedLock::new());
        let inside = Arc::new(AtomicU32::new(0));
        let writer = {
            let (lock, inside) = (lock.clone(), inside.clone());
            thread::spawn(move || {
                lock.write();
                let before = inside.load(Relaxed);
                inside.store(before + 1, Relaxed);
                lock.unlock_write();
            })
        };
        let reader = {
            let (lock, inside) = (lock.clone(), inside.clone());
            thread::spawn(move || {
                lock.read();
                let seen = inside.load(Relaxed);
                assert_eq!(inside.load(Relaxed), seen);
                lock.unlock_read();
            })
        };
        lock.write();
        let before = inside.load(Relaxed);
        inside.store(before + 1, Relaxed);
        lock.unlock_write();
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(inside.load(Relaxed), 2);
        assert!(lock.try_write(), "the lock is not free in the end");
    });
}

#[test]
fn readers_behind_a_writer_that_dies_get_in() {
    all(2, || {
        let lock = Arc::new(SharedLock::new());
        lock.read();
        let first = Task::new();
        let writer = spawn(&first, {
            let lock = lock.clone();
            move || {
                lock.write();
                lock.unlock_write();
            }
        });
        let reader = {
            let lock = lock.clone();
            thread::spawn(move || {
                lock.read();
                lock.unlock_read();
            })
        };
        first.kill();
        // The reader gets in beside this one, whatever became of the writer.
        writer.join().unwrap_or_default();
        reader.join().unwrap();
        lock.unlock_read();
        assert!(lock.try_write(), "the lock is not free in the end");
    });
}

/// A receiver that is killed, one that is not, and as many values as there are takers in the end.
fn channel(capacity: Option<usize>) -> impl Fn() + Send + Sync + 'static {
    move || {
        let core = Arc::new(Core::new(capacity));
        let first = Task::new();
        let got = Arc::new(AtomicU32::new(0));
        let dying = spawn(&first, {
            let (core, got) = (core.clone(), got.clone());
            move || {
                let value: u32 = core.recv(Deadline::NEVER).unwrap_or_default();
                got.store(value, Relaxed);
            }
        });
        let sender = {
            let core = core.clone();
            thread::spawn(move || {
                core.send(1, Deadline::NEVER).unwrap_or_default();
                core.send(2, Deadline::NEVER).unwrap_or_default();
            })
        };
        let other = core.recv(Deadline::NEVER).unwrap_or_default();
        first.kill();
        let taken = dying.join().unwrap();
        // The other value was received, or is still to be had: here, or by its sender.
        let last = match taken {
            true => got.load(Relaxed),
            false => core.recv(Deadline::NEVER).unwrap_or_default(),
        };
        sender.join().unwrap();
        assert_eq!(other + last, 3, "a value came twice or was lost");
    }
}

#[test]
fn a_value_is_handed_to_a_receiver_that_lives() {
    all(2, channel(Some(0)));
}

#[test]
fn a_value_in_a_buffer_is_taken_once() {
    all(1, channel(None));
}

#[test]
fn a_joiner_hears_of_the_end_and_finds_the_result() {
    all(3, || {
        let packet = Packet::new();
        let ends = {
            let packet = packet.clone();
            thread::spawn(move || packet.end(7))
        };
        assert_eq!(JoinInner { packet }.join(), 7);
        ends.join().unwrap();
    });
}

/// Each mutant, and the model that it must fail.
const CAUGHT: &[(&str, &str)] = &[
    (
        "a ticket opens weakly",
        "a_kill_ends_the_wait_under_way_or_the_next",
    ),
    ("an old ticket wakes", "one_waker_ends_a_wait"),
    (
        "a kill is marked weakly",
        "a_kill_ends_the_wait_under_way_or_the_next",
    ),
    (
        "a killer looks before it marks",
        "a_kill_ends_the_wait_under_way_or_the_next",
    ),
    (
        "a kill is not looked for once the ticket is open",
        "a_kill_ends_the_wait_under_way_or_the_next",
    ),
    (
        "the bell is looked for before the mail is marked",
        "mail_is_met_or_rung_for",
    ),
    (
        "mail is marked weakly, and the bell looked for as weakly",
        "mail_is_met_or_rung_for",
    ),
    ("a hub goes to sleep weakly", "mail_is_met_or_rung_for"),
    (
        "the mark is taken down after the mail",
        "mail_is_met_or_rung_for",
    ),
    (
        "a short lock is left weakly",
        "a_short_lock_has_one_holder_and_wakes_the_next",
    ),
    (
        "a short lock is taken weakly",
        "a_short_lock_has_one_holder_and_wakes_the_next",
    ),
    (
        "a sleeper takes a short lock as if nobody else slept",
        "a_short_lock_has_one_holder_and_wakes_the_next",
    ),
    (
        "a waiter is not counted before it looks",
        "a_change_is_seen_or_its_waiter_is",
    ),
    (
        "no fence between a waiter's count and its look",
        "a_change_is_seen_or_its_waiter_is",
    ),
    (
        "no fence between a waker's change and its look",
        "a_change_is_seen_or_its_waiter_is",
    ),
    (
        "one who has timed out counts as woken",
        "who_is_chosen_is_woken_and_who_has_timed_out_is_not_chosen",
    ),
    (
        "who dies as it is woken takes the wake-up with it",
        "a_lock_reaches_the_next_waiter_when_the_one_before_is_killed_as_it_is_woken",
    ),
    (
        "who dies on its way wakes nobody",
        "a_lock_reaches_the_next_waiter_when_the_one_before_is_killed_on_its_way",
    ),
    ("a lock is left weakly", "a_lock_has_one_holder"),
    (
        "the last reader wakes no writer",
        "readers_and_writers_exclude_each_other_and_all_get_in",
    ),
    (
        "a writer leaves weakly",
        "readers_and_writers_exclude_each_other_and_all_get_in",
    ),
    (
        "a value is not announced to those about to wait",
        "a_value_in_a_buffer_is_taken_once",
    ),
    (
        "joiners are woken before the end",
        "a_joiner_hears_of_the_end_and_finds_the_result",
    ),
];

#[test]
fn each_mutant_is_caught() {
    let mut survivors = Vec::new();
    for (mutant, model) in CAUGHT {
        let began = Instant::now();
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("models::{model}")])
            .env("GREEN_MUTANT", mutant)
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&run.stdout);
        assert!(output.contains("running 1 test"), "no model {model}");
        println!(
            "{mutant}: {} in {:?}",
            if run.status.success() {
                "survived"
            } else {
                "caught"
            },
            began.elapsed()
        );
        if run.status.success() {
            survivors.push(mutant);
        }
    }
    assert!(survivors.is_empty(), "no model catches {survivors:#?}");
}
