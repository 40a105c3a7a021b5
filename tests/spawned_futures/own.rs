//! What is a spawned future's own, and not that of the stack that it is polled on.

use std::cell::Cell;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use greenhub::future::{Builder, block_on, sleep};
use greenhub::green_thread::{self, Inherited, current, park, yield_now};
use greenhub::{Elapsed, Site, State, report, timeout};
use test_support::threads::{MILLISECOND, OnDrop, green, is_killed, site, until};

use super::{Gate, here};

#[test]
fn its_name_and_its_id_stay_the_same_from_poll_to_poll() {
    green("its name and its id", || {
        let (hub, parent) = (current().hub(), current().id());
        let seen = || (current().id(), current().name().map(str::to_owned));
        let named = async move {
            let first = seen();
            sleep(MILLISECOND).await;
            green_thread::sleep(MILLISECOND);
            assert_eq!(seen(), first);
            assert_eq!(current().hub(), hub);
            first
        };
        let builder = Builder::new().name("polled".to_owned()).hub(hub.unwrap());
        let handle = builder.spawn(named).unwrap();
        let id = handle.thread().id();
        let listed = report()
            .threads
            .into_iter()
            .find(|one| one.id == id)
            .unwrap();
        assert_eq!(listed.name.as_deref(), Some("polled"));
        assert_eq!((listed.parent, listed.state), (Some(parent), State::New));
        assert_eq!(handle.join().unwrap(), (id, Some("polled".to_owned())));
        assert!(
            report().threads.iter().all(|one| one.id != id),
            "it is over"
        );
    });
}

#[test]
fn a_report_has_what_it_waits_for() {
    green("a report has what", || {
        let waits = here(async {
            pending::<()>().await;
        });
        let blocked = here(async { park() });
        until(|| site(&waits) == Some(Site::Queue("its waker")));
        until(|| site(&blocked) == Some(Site::Park));
        blocked.thread().unpark();
        blocked.join().unwrap();
        // By its number, as from the backdoor.
        let id = waits.thread().id().as_u64().get();
        greenhub::debug::kill(id).unwrap();
        assert!(is_killed(waits.join()));
    });
}

#[test]
fn its_values_last_from_its_first_poll_to_its_end() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    struct Counted(Cell<u32>);
    impl Drop for Counted {
        fn drop(&mut self) {
            ENDED.fetch_add(1, SeqCst);
        }
    }
    greenhub::thread_local! {
        static COUNTED: Counted = const { Counted(Cell::new(0)) };
    }
    green("its values last", || {
        let next = || COUNTED.with(|counted| counted.0.replace(counted.0.get() + 1));
        let all: Vec<_> = (0..10)
            .map(|_| {
                here(async move {
                    let first = next();
                    sleep(MILLISECOND).await;
                    let second = next();
                    green_thread::sleep(MILLISECOND);
                    (first, second, next())
                })
            })
            .collect();
        for one in all {
            assert_eq!(one.join().unwrap(), (0, 1, 2));
        }
        assert_eq!(ENDED.load(SeqCst), 10);
    });
}

#[test]
fn it_inherits_values_and_hands_them_down() {
    static NUMBER: Inherited<u32> = Inherited::new();
    green("it inherits values", || {
        let spawned = |number| {
            let _set = NUMBER.set(number);
            here(async move {
                sleep(MILLISECOND).await;
                assert_eq!(NUMBER.get(), Some(number));
                let thread = green_thread::spawn(|| NUMBER.get());
                (
                    thread.await.unwrap(),
                    here(async { NUMBER.get() }).await.unwrap(),
                )
            })
        };
        let all: Vec<_> = (0..10).map(spawned).collect();
        for (n, one) in all.into_iter().enumerate() {
            assert_eq!(one.join().unwrap(), (Some(n as u32), Some(n as u32)));
        }
    });
}

#[test]
fn a_time_limit_in_a_poll_is_its_own() {
    green("a time limit in a poll", || {
        let gate = Arc::new(Gate::default());
        let limited: Vec<_> = (0..10)
            .map(|n| {
                let gate = gate.clone();
                here(async move {
                    gate.pass().await;
                    let long = match n % 2 {
                        0 => 2 * MILLISECOND,
                        _ => Duration::from_secs(3600),
                    };
                    let limited = timeout(long, || match n % 2 {
                        0 => park(),
                        _ => green_thread::sleep(5 * MILLISECOND),
                    });
                    // It holds no longer.
                    green_thread::sleep(3 * MILLISECOND);
                    sleep(MILLISECOND).await;
                    limited
                })
            })
            .collect();
        gate.open();
        for (n, one) in limited.into_iter().enumerate() {
            let limited: Result<(), Elapsed> = one.join().unwrap();
            assert_eq!(limited.is_err(), n % 2 == 0);
        }
        // Around a future.
        let blocks = here(async { timeout(MILLISECOND, || block_on(pending::<()>())).is_err() });
        assert!(blocks.join().unwrap());
        let late = here(async { greenhub::future::timeout(MILLISECOND, pending::<()>()).await });
        assert!(late.join().unwrap().is_err());
    });
}

#[test]
fn its_park_token_is_its_own() {
    green("its park token", || {
        let parks = || here(async { park() });
        let (first, second) = (parks(), parks());
        until(|| site(&first) == Some(Site::Park) && site(&second) == Some(Site::Park));
        second.thread().unpark();
        second.join().unwrap();
        assert!(!first.is_finished());
        first.thread().unpark();
        first.join().unwrap();
    });
}

#[test]
fn while_a_poll_waits_nobody_sees_its_thread_locals() {
    thread_local! {
        static LEFT: Cell<u64> = const { Cell::new(0) };
    }
    green("while a poll waits", || {
        if report().thread_locals.starts_with("shared") {
            return;
        }
        let all: Vec<_> = (0..50)
            .map(|n| {
                here(async move {
                    for _ in 0..5 {
                        LEFT.set(n);
                        yield_now();
                        green_thread::sleep(MILLISECOND / 4);
                        assert_eq!(LEFT.get(), n);
                        sleep(MILLISECOND / 4).await;
                    }
                })
            })
            .collect();
        all.into_iter().for_each(|one| one.join().unwrap());
    });
}

#[test]
fn its_end_runs_as_itself() {
    green("its end runs as itself", || {
        let ended = Arc::new(AtomicUsize::new(0));
        let seen = ended.clone();
        let handle = here(async move {
            let note = move || seen.store(current().id().as_u64().get() as usize, SeqCst);
            let _held = OnDrop(note);
            sleep(MILLISECOND).await;
        });
        let id = handle.thread().id().as_u64().get() as usize;
        handle.join().unwrap();
        assert_eq!(ended.load(SeqCst), id);
    });
}
