//! Futures that do a bit of everything, and are killed at random, on one hub and on two.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::{Duration, Instant};

use green::sync::Mutex;
use greenhub::future::{block_on, sleep, spawn};
use greenhub::green_thread::{self, yield_now};
use greenhub::{Killed, report, timeout};
use test_support::child::alone;
use test_support::random::{Random, seed};
use test_support::threads::{MILLISECOND, OnDrop, planned_panic};

/// What all of one round share.
#[derive(Default)]
struct Round {
    alive: AtomicUsize,
    /// Only whole turns of those who hold the lock are seen.
    counted: Mutex<(u64, u64)>,
}

/// Does `steps` things, and gives how many.
async fn wanders(round: Arc<Round>, mut random: Random, steps: u64) -> u64 {
    round.alive.fetch_add(1, SeqCst);
    let _alive = OnDrop(|| {
        round.alive.fetch_sub(1, SeqCst);
    });
    let moment = |random: &mut Random| Duration::from_micros(random.below(300));
    for _ in 0..steps {
        match random.below(10) {
            0 => sleep(moment(&mut random)).await,
            1 => green_thread::sleep(moment(&mut random)),
            2 => yield_now(),
            3 => {
                let mut polls = random.below(4);
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    polls = polls.saturating_sub(1);
                    match polls {
                        0 => Poll::Ready(()),
                        _ => Poll::Pending,
                    }
                })
                .await;
            }
            4 => {
                // An unwind within leaves it whole: nothing waits between the two.
                let mut counted = match round.counted.lock() {
                    Ok(counted) => counted,
                    Err(poisoned) => poisoned.into_inner(),
                };
                yield_now();
                counted.0 += 1;
                counted.1 += 1;
            }
            5 => {
                let nap = moment(&mut random);
                let _ = timeout(moment(&mut random), || green_thread::sleep(nap));
            }
            6 => block_on(sleep(moment(&mut random))),
            7 => {
                let nap = moment(&mut random);
                let child = spawn(async move { sleep(nap).await });
                match random.below(3) {
                    0 => drop(child),
                    1 => child.await.unwrap(),
                    _ => child.join().unwrap(),
                }
            }
            8 => {
                let _ = greenhub::future::timeout(moment(&mut random), sleep(MILLISECOND)).await;
            }
            _ if random.below(50) == 0 => planned_panic(),
            _ => {}
        }
    }
    steps
}

fn round(seed: u64, number: u64) {
    const FUTURES: u64 = 150;
    let round = Arc::new(Round::default());
    let mut random = Random::of(seed, number);
    let all: Vec<_> = (0..FUTURES)
        .map(|n| {
            let steps = random.below(40);
            let own = Random::of(seed ^ (number << 20), n);
            (steps, spawn(wanders(round.clone(), own, steps)))
        })
        .collect();
    // From this OS thread, and from a green thread.
    for _ in 0..random.below(60) {
        let victim = all[random.below(FUTURES) as usize].1.thread().clone();
        match random.below(2) {
            0 => victim.kill().unwrap(),
            _ => green_thread::spawn(move || victim.kill().unwrap())
                .join()
                .unwrap(),
        }
    }
    for (steps, one) in all {
        match one.join() {
            Ok(done) => assert_eq!(done, steps),
            Err(payload) => {
                assert!(payload.is::<Killed>() || payload.downcast_ref() == Some(&"planned"));
            }
        }
    }
    assert_eq!(round.alive.load(SeqCst), 0, "each was dropped");
    let counted = round
        .counted
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    assert_eq!(counted.0, counted.1);
}

fn storm(name: &str, hubs: &str) {
    alone(name, &[("GREEN_HUBS", hubs)], || {
        keep_planned_panics_quiet();
        let seed = seed();
        eprintln!("GREEN_SEED={seed}");
        let full = std::env::var("GREEN_TRIALS").is_ok_and(|how| how == "full");
        let limit = Duration::from_secs(if full { 40 } else { 2 });
        let begun = Instant::now();
        let mut number = 0;
        while begun.elapsed() < limit {
            round(seed, number);
            number += 1;
        }
        // All have gone, also children whose handles were dropped.
        let mine = |name: Option<&str>| !matches!(name, Some("sleeps" | "wakers" | "carrier"));
        let left = || report().threads.iter().any(|one| mine(one.name.as_deref()));
        while left() {
            std::thread::sleep(MILLISECOND);
        }
    })
    .well();
}

/// As `prepare` does it, without the hubs that that asks for.
fn keep_planned_panics_quiet() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some("planned") {
            previous(info);
        }
    }));
}

#[test]
fn on_one_hub() {
    storm("storm::on_one_hub", "1");
}

#[test]
fn on_two_hubs() {
    storm("storm::on_two_hubs", "2");
}
