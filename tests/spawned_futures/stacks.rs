//! What a future costs that waits, and one whose poll waits.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use greenhub::future::{block_on, spawn};
use greenhub::green_thread::{current, park, sleep};
use greenhub::{Site, report};
use test_support::child::alone;
use test_support::threads::{MILLISECOND, OnDrop, green, is_killed, site, until};

use super::{Gate, here};

/// Addresses in frames of polls.
#[derive(Default)]
struct Frames(Mutex<BTreeSet<usize>>);

impl Frames {
    fn note(&self) {
        let here = 0u8;
        self.0.lock().unwrap().insert(&raw const here as usize);
    }

    /// How many stacks they are of: polls of one depth lie within a page or two, and a stack has more.
    fn stacks(&self) -> usize {
        let frames: Vec<_> = self.0.lock().unwrap().iter().copied().collect();
        1 + frames
            .windows(2)
            .filter(|two| two[1] - two[0] > 16 * 1024)
            .count()
    }
}

#[test]
fn thousands_that_wait_share_one_stack() {
    green("thousands that wait", || {
        const MANY: usize = 5000;
        let (gate, frames) = (Arc::new(Gate::default()), Arc::new(Frames::default()));
        let all: Vec<_> = (0..MANY)
            .map(|n| {
                let (gate, frames) = (gate.clone(), frames.clone());
                here(async move {
                    frames.note();
                    gate.pass().await;
                    frames.note();
                    n
                })
            })
            .collect();
        until(|| gate.waiting() == MANY);
        let waits = |handle| site(handle) == Some(Site::Queue("its waker"));
        assert!(all.iter().step_by(500).all(waits));
        let hub = report().hubs[current().hub().unwrap()];
        assert!(hub.threads > MANY);
        gate.open();
        let sum: usize = all.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(sum, MANY * (MANY - 1) / 2);
        assert_eq!(frames.stacks(), 1);
    });
}

/// Bytes of memory that the process takes.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn one_that_waits_takes_a_tenth_of_the_least_stack() {
    let name = "stacks::one_that_waits_takes_a_tenth_of_the_least_stack";
    alone(name, &[("GREEN_HUBS", "1")], || {
        const MANY: usize = 20_000;
        let spawn_all = |gate: &Arc<Gate>| -> Vec<_> {
            let gates = (0..MANY).map(|_| gate.clone());
            let all = gates
                .map(|gate| spawn(async move { gate.pass().await }))
                .collect();
            until(|| gate.waiting() == MANY);
            all
        };
        let gate = Arc::new(Gate::default());
        let before = resident();
        let all = spawn_all(&gate);
        let each = (resident() - before) / MANY;
        assert!(each < 1200, "{each} bytes");
        gate.open();
        all.into_iter().for_each(|one| one.join().unwrap());
    })
    .well();
}

#[cfg(not(feature = "engine-may"))]
#[test]
fn large_stacks_that_polls_used_deeply_give_their_memory_back() {
    /// Uses so many bytes of the stack.
    #[inline(never)]
    fn descend(bytes: usize) -> u8 {
        let local = std::hint::black_box([1u8; 1024]);
        match bytes.checked_sub(1200) {
            Some(left) => descend(left).wrapping_add(local[0]),
            None => local[0],
        }
    }
    let name = "stacks::large_stacks_that_polls_used_deeply_give_their_memory_back";
    let size = (32 << 20).to_string();
    alone(
        name,
        &[("GREEN_HUBS", "1"), ("GREEN_STACK_SIZE", &size)],
        || {
            let deep = || {
                spawn(async {
                    descend(8 << 20);
                    park();
                })
            };
            let all: Vec<_> = (0..8).map(|_| deep()).collect();
            until(|| all.iter().all(|one| site(one) == Some(Site::Park)));
            assert!(resident() > 60 << 20);
            all.iter().for_each(|one| one.thread().unpark());
            all.into_iter().for_each(|one| one.join().unwrap());
            // One stands ready.
            until(|| resident() < 40 << 20);
        },
    )
    .well();
}

#[test]
fn one_whose_poll_waits_keeps_its_stack_and_holds_up_nobody() {
    green("one whose poll waits", || {
        const BLOCKED: usize = 20;
        let frames = Arc::new(Frames::default());
        let blocked: Vec<_> = (0..BLOCKED)
            .map(|_| {
                let frames = frames.clone();
                here(async move {
                    frames.note();
                    park();
                })
            })
            .collect();
        until(|| blocked.iter().all(|one| site(one) == Some(Site::Park)));
        assert_eq!(frames.stacks(), BLOCKED);
        // Each of these waits once, so it is polled twice.
        let quick: Vec<_> = (0..200)
            .map(|_| here(greenhub::future::sleep(MILLISECOND)))
            .collect();
        quick.into_iter().for_each(|one| one.join().unwrap());
        assert!(blocked.iter().all(|one| !one.is_finished()));
        blocked.iter().for_each(|one| one.thread().unpark());
        blocked.into_iter().for_each(|one| one.join().unwrap());
    });
}

#[test]
fn stacks_that_many_polls_waited_on_are_given_up_but_for_a_few() {
    type Ended = OnDrop<fn()>;
    thread_local! {
        static LEFT: Cell<Option<Ended>> = const { Cell::new(None) };
    }
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    const MANY: usize = 100;
    const KEPT: usize = 16;
    let name = "stacks::stacks_that_many_polls_waited_on_are_given_up_but_for_a_few";
    alone(name, &[("GREEN_HUBS", "1")], || {
        let blocked: Vec<_> = (0..MANY)
            .map(|_| {
                spawn(async {
                    // What ends a stack's thread-locals may wait.
                    LEFT.set(Some(OnDrop(|| {
                        sleep(MILLISECOND);
                        ENDED.fetch_add(1, SeqCst);
                    })));
                    park();
                })
            })
            .collect();
        until(|| blocked.iter().all(|one| site(one) == Some(Site::Park)));
        blocked.iter().for_each(|one| one.thread().unpark());
        blocked.into_iter().for_each(|one| one.join().unwrap());
        // The futures themselves, and the stacks.
        let ended = || report().hubs[0].ended as usize;
        until(|| ended() == MANY + MANY - KEPT);
        assert_eq!(report().threads.len(), 0);
        if !report().thread_locals.starts_with("shared") {
            assert_eq!(ENDED.load(SeqCst), MANY - KEPT);
        }
    })
    .well();
}

#[test]
fn a_poll_that_never_waits_lets_others_run_between_polls() {
    green("a poll that never waits", || {
        let endless = here(poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        // On the same hub, of both kinds, and by its poller.
        assert_eq!(here(async { 7 }).join().unwrap(), 7);
        sleep(2 * MILLISECOND);
        block_on(greenhub::future::sleep(2 * MILLISECOND));
        endless.kill().unwrap();
        assert!(is_killed(endless.join()));
    });
}
