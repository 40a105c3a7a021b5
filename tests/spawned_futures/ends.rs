//! How a spawned future ends: by itself, by a panic, by a kill, wherever it is.

use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::time::Duration;

use greenhub::future::{Builder, spawn, spawn_local};
use greenhub::green_thread::{Ending, JoinHandle, current, panicking, park, sleep, yield_now};
use greenhub::{Killed, Site};
use test_support::both::on_both;
use test_support::threads::{
    MILLISECOND, OnDrop, fail_quietly, green, is_killed, planned_panic, prepare, site, until,
};

use super::{Gate, here};

fn waits_for_its_waker<T>(handle: &JoinHandle<T>) -> bool {
    site(handle) == Some(Site::Queue("its waker"))
}

#[test]
fn a_join_gives_the_output_or_the_panic() {
    prepare();
    on_both("a join gives the output", || {
        assert_eq!(spawn(async { 7 }).join().unwrap(), 7);
        let payload = spawn(async { fail_quietly(3u8) }).join().unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&3u8));
        let handle = spawn(greenhub::future::sleep(MILLISECOND));
        handle.wait();
        assert!(handle.is_finished());
        handle.join().unwrap();
        let awaited =
            greenhub::future::block_on(spawn(async { spawn(async { 8 }).await.unwrap() }));
        assert_eq!(awaited.unwrap(), 8);
        let killed = spawn(pending::<()>());
        assert!(!killed.wait_timeout(MILLISECOND));
        killed.kill().unwrap();
        assert!(
            greenhub::future::block_on(killed)
                .unwrap_err()
                .is::<Killed>()
        );
    });
}

#[test]
fn a_chain_of_a_thousand_handles_is_awaited_to_its_end() {
    green("a chain of a thousand", || {
        let mut last = here(async { 0 });
        for _ in 0..1000 {
            last = here(async move { last.await.unwrap() + 1 });
        }
        assert_eq!(last.join().unwrap(), 1000);
    });
}

#[test]
fn a_panic_ends_its_own_future_alone() {
    green("a panic ends its own", || {
        let gate = Arc::new(Gate::default());
        let neighbours: Vec<_> = (0..20)
            .map(|n| {
                let gate = gate.clone();
                here(async move {
                    gate.pass().await;
                    match n % 2 {
                        0 => planned_panic(),
                        _ => sleep(MILLISECOND),
                    }
                    n
                })
            })
            .collect();
        until(|| gate.waiting() == 20);
        gate.open();
        for (n, one) in neighbours.into_iter().enumerate() {
            assert_eq!(one.join().is_err(), n % 2 == 0);
        }
        assert_eq!(here(async { 7 }).join().unwrap(), 7);
    });
}

#[test]
fn a_future_that_is_killed_while_it_waits_is_dropped_on_its_hub() {
    prepare();
    on_both("a future that is killed", || {
        let (told, dropped) = mpsc::channel();
        let victim = spawn(async move {
            let _held = OnDrop(|| {
                // A destructor may wait, and nothing cuts it short.
                sleep(MILLISECOND);
                told.send((current().id(), panicking())).unwrap();
            });
            pending::<()>().await
        });
        until(|| waits_for_its_waker(&victim));
        let id = victim.thread().id();
        victim.kill().unwrap();
        assert!(is_killed(victim.join()));
        assert_eq!(dropped.recv(), Ok((id, true)));
    });
}

#[test]
fn a_future_that_is_killed_while_its_poll_waits_unwinds_there() {
    green("killed while its poll waits", || {
        let unwound = Arc::new(AtomicBool::new(false));
        let victim = here({
            let unwound = unwound.clone();
            async move {
                let _held = OnDrop(|| unwound.store(panicking(), SeqCst));
                park();
                unreachable!("it was killed");
            }
        });
        let neighbour = here(async { greenhub::future::sleep(5 * MILLISECOND).await });
        until(|| site(&victim) == Some(Site::Park));
        victim.kill().unwrap();
        assert!(is_killed(victim.join()));
        assert!(unwound.load(SeqCst));
        neighbour.join().unwrap();
        // Whoever polls next is not the one that was killed.
        assert!(here(async { sleep(MILLISECOND) }).join().is_ok());
    });
}

#[test]
fn a_kill_during_a_poll_takes_effect_when_it_has_no_result() {
    green("a kill during a poll", || {
        // Its result comes first.
        let done = here(async {
            current().kill().unwrap();
            7
        });
        assert_eq!(done.join().unwrap(), 7);
        // A wait unwinds.
        let waits = here(async {
            current().kill().unwrap();
            yield_now();
        });
        assert!(is_killed(waits.join()));
        // It has no result, and is polled no more.
        let polls = Arc::new(AtomicUsize::new(0));
        let seen = polls.clone();
        let pends = here(poll_fn(move |context| {
            polls.fetch_add(1, SeqCst);
            context.waker().wake_by_ref();
            current().kill().unwrap();
            Poll::<()>::Pending
        }));
        assert!(is_killed(pends.join()));
        assert_eq!(seen.load(SeqCst), 1);
        // One that catches the unwind.
        let catches = here(poll_fn(|_| {
            current().kill().unwrap();
            assert!(catch_unwind(park).is_err());
            Poll::<()>::Pending
        }));
        assert!(is_killed(catches.join()));
    });
}

#[test]
fn killed_before_its_first_poll_it_is_never_made() {
    green("killed before its first poll", || {
        let hub = current().hub().unwrap();
        let made = Arc::new(AtomicBool::new(false));
        let spawned = |made: Arc<AtomicBool>| {
            let make = move || {
                made.store(true, SeqCst);
                ready(())
            };
            Builder::new().hub(hub).spawn_pinned(make).unwrap()
        };
        let victim = spawned(made.clone());
        assert!(!victim.is_started());
        victim.kill().unwrap();
        assert!(is_killed(victim.join()));
        let cancelled = spawned(made.clone());
        assert!(cancelled.cancel());
        assert!(is_killed(cancelled.join()));
        assert!(!made.load(SeqCst));
        assert_eq!(Arc::strong_count(&made), 1, "what it captured is dropped");
        let begun = here(pending::<()>());
        until(|| begun.is_started());
        assert!(!begun.cancel());
        begun.kill().unwrap();
        assert!(is_killed(begun.join()));
    });
}

#[test]
fn a_killer_of_the_same_hub_sees_its_victim_dropped() {
    green("a killer of the same hub", || {
        let dropped = Arc::new(AtomicBool::new(false));
        let victim = here({
            let dropped = dropped.clone();
            async move {
                let _held = OnDrop(move || dropped.store(true, SeqCst));
                pending::<()>().await
            }
        });
        until(|| waits_for_its_waker(&victim));
        victim.kill().unwrap();
        assert!(dropped.load(SeqCst));
    });
}

#[test]
fn a_dropped_handle_lets_the_future_go_on() {
    green("a dropped handle", || {
        let (told, ended) = mpsc::channel();
        let gate = Arc::new(Gate::default());
        let theirs = gate.clone();
        drop(here(async move {
            theirs.pass().await;
            told.send(()).unwrap();
        }));
        until(|| gate.waiting() == 1);
        gate.open();
        until(|| ended.try_recv().is_ok());
    });
}

#[test]
fn links_are_told_how_it_ended() {
    green("links are told", || {
        let endings = Arc::new(Mutex::new(Vec::new()));
        let linked = |handle: &JoinHandle<()>| {
            let endings = endings.clone();
            handle.link(move |ending| endings.lock().unwrap().push(ending));
        };
        let killed = here(pending::<()>());
        let all = [here(async {}), here(async { planned_panic() }), killed];
        all.iter().for_each(linked);
        all[2].kill().unwrap();
        all.iter().for_each(JoinHandle::wait);
        let mut seen = endings.lock().unwrap().clone();
        seen.sort_by_key(|ending| *ending as u8);
        assert_eq!(seen, [Ending::Returned, Ending::Panicked, Ending::Killed]);
    });
}

#[test]
fn a_destructor_that_panics_ends_nobody() {
    green("a destructor that panics", || {
        struct Fails(bool);
        impl Future for Fails {
            type Output = u8;
            fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<u8> {
                match self.0 {
                    true => Poll::Ready(7),
                    false => Poll::Pending,
                }
            }
        }
        impl Drop for Fails {
            fn drop(&mut self) {
                planned_panic();
            }
        }
        assert_eq!(here(Fails(true)).join().unwrap(), 7);
        let pends = here(Fails(false));
        until(|| waits_for_its_waker(&pends));
        pends.kill().unwrap();
        assert!(is_killed(pends.join()));
        assert_eq!(here(async { 8 }).join().unwrap(), 8);
    });
}

#[test]
fn what_is_spawned_locally_needs_a_green_thread() {
    prepare();
    let refused = Builder::new().spawn_local(async {}).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::Unsupported);
    let refused = Builder::new().hub(1_000).spawn(async {}).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    green("spawned locally", || {
        let shared = std::rc::Rc::new(std::cell::Cell::new(0));
        let theirs = shared.clone();
        let local = spawn_local(async move {
            greenhub::future::sleep(Duration::from_millis(1)).await;
            theirs.set(7);
            theirs
        });
        assert!(catch_unwind(AssertUnwindSafe(|| local.join().unwrap())).is_ok());
        assert_eq!(shared.get(), 7);
    });
}
