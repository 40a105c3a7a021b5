//! Crates that keep something by thread, and what thread-locals of a green thread's own make of them.

use std::time::Duration;

use green::{Config, thread};
use tracing::dispatcher::get_default;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::in_both;

/// Spans around an event, from the innermost one.
struct Spans(std::sync::mpsc::Sender<(String, Vec<&'static str>)>);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Spans {
    fn on_event(
        &self,
        event: &tracing::Event<'_>,
        context: tracing_subscriber::layer::Context<'_, S>,
    ) {
        let mut words = String::new();
        event.record(
            &mut |_: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                words += &format!("{value:?}");
            },
        );
        let spans = context.event_scope(event).into_iter().flatten();
        let _ = self
            .0
            .send((words, spans.map(|span| span.name()).collect()));
    }
}

/// Leaves the spans that a green thread has entered while others run: the guide's page *Debugging* has it.
fn leave_spans(switch: &mut dyn FnMut()) {
    let mut left = Vec::new();
    get_default(|dispatch| {
        while let Some(id) = dispatch.current_span().id() {
            dispatch.exit(id);
            left.push(id.clone());
        }
    });
    switch();
    get_default(|dispatch| left.iter().rev().for_each(|id| dispatch.enter(id)));
}

#[test]
fn a_switch_hook_keeps_spans_of_tracing_apart_where_thread_locals_are_shared() {
    let name = "crates::a_switch_hook_keeps_spans_of_tracing_apart_where_thread_locals_are_shared";
    in_both(name, |own| {
        if own {
            return; // The hook has nothing to do.
        }
        Config::new().switch_hook(leave_spans).apply().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let subscriber = tracing_subscriber::registry().with(Spans(tell));
        tracing::subscriber::set_global_default(subscriber).unwrap();
        let work = |n: usize| {
            let outer = tracing::info_span!("outer").entered();
            thread::sleep(Duration::from_millis(n as u64 % 7));
            // The same span again, as a function that calls itself enters it.
            let again = outer.clone().entered();
            let inner = tracing::info_span!("inner").entered();
            thread::yield_now();
            tracing::info!("{n} deep");
            drop(inner);
            drop(again);
            thread::sleep(Duration::from_millis(n as u64 % 5));
            tracing::info!("{n} shallow");
            drop(outer);
            thread::yield_now();
            tracing::info!("{n} outside");
        };
        let all: Vec<_> = (0..100).map(|n| thread::spawn(move || work(n))).collect();
        let cut = green::timeout(Duration::from_millis(1), || {
            let _span = tracing::info_span!("cut").entered();
            thread::park();
        });
        assert!(cut.is_err());
        tracing::info!("none");
        all.into_iter().for_each(|one| one.join().unwrap());
        let told: Vec<_> = told.try_iter().collect();
        assert_eq!(told.len(), 301);
        for (said, spans) in told {
            let expected: &[&str] = match said.split(' ').next_back() {
                Some("deep") => &["inner", "outer"],
                Some("shallow") => &["outer"],
                _ => &[],
            };
            assert_eq!(spans, expected, "{said}");
        }
    });
}

#[test]
fn a_switch_hook_is_called_for_each_wait_cannot_wait_and_may_forget_to_switch() {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    let name = "crates::a_switch_hook_is_called_for_each_wait_cannot_wait_and_may_forget_to_switch";
    static CALLS: AtomicU32 = AtomicU32::new(0);
    static REFUSED: AtomicU32 = AtomicU32::new(0);
    fn hook(switch: &mut dyn FnMut()) {
        let refused = || {
            let waits = std::panic::catch_unwind(|| thread::sleep(Duration::from_secs(3600)));
            REFUSED.fetch_add(u32::from(waits.is_err()), Relaxed);
        };
        refused();
        match CALLS.fetch_add(1, Relaxed) % 3 {
            0 => switch(),
            // Once is enough.
            1 => (0..2).for_each(|_| switch()),
            _ => {}
        }
        refused();
    }
    in_both(name, |own| {
        std::panic::set_hook(Box::new(|_| ()));
        if own {
            // Too late, and of no use.
            assert!(Config::new().switch_hook(hook).apply().is_err());
            return;
        }
        Config::new().switch_hook(hook).apply().unwrap();
        let threads: Vec<_> = (0..10)
            .map(|_| thread::spawn(|| (0..20).for_each(|_| thread::yield_now())))
            .collect();
        threads.into_iter().for_each(|one| one.join().unwrap());
        let sleeper = thread::spawn(thread::park);
        sleeper.kill().unwrap();
        assert!(sleeper.join().is_err());
        let calls = CALLS.load(Relaxed);
        assert!(calls >= 200, "{calls}");
        assert_eq!(REFUSED.load(Relaxed), 2 * calls);
    });
}

#[test]
fn spans_of_tracing_are_a_green_thread_s_own() {
    in_both("crates::spans_of_tracing_are_a_green_thread_s_own", |own| {
        let (tell, told) = std::sync::mpsc::channel();
        let subscriber = tracing_subscriber::registry().with(Spans(tell));
        tracing::subscriber::set_global_default(subscriber).unwrap();
        green::run(|| {
            let first = thread::spawn_local(|| {
                let _inside = tracing::info_span!("A").entered();
                thread::sleep(Duration::from_millis(10));
                tracing::info!("first");
            });
            let second = thread::spawn_local(|| {
                let _inside = tracing::info_span!("B").entered();
                thread::sleep(Duration::from_millis(20));
                tracing::info!("second");
            });
            thread::sleep(Duration::from_millis(5));
            tracing::info!("outside");
            first.join().unwrap();
            second.join().unwrap();
        });
        let told: Vec<_> = told.try_iter().collect();
        let spans = |words: &str| &told.iter().find(|(said, _)| said == words).unwrap().1;
        if own {
            assert!(spans("outside").is_empty());
            assert_eq!(
                (&**spans("first"), &**spans("second")),
                (&["A"][..], &["B"][..])
            );
        } else {
            assert_eq!(**spans("outside"), ["B", "A"]);
        }
    });
}

#[test]
fn closures_of_scoped_tls_may_end_in_any_order() {
    in_both(
        "crates::closures_of_scoped_tls_may_end_in_any_order",
        |own| {
            if !own {
                return; // Undefined there: the guide says so.
            }
            scoped_tls::scoped_thread_local!(static NAME: String);
            let all: Vec<_> = (0..10_u64)
                .map(|n| {
                    thread::spawn(move || {
                        let name = format!("a name on the heap of number {n}");
                        NAME.set(&name, || {
                            // The first to begin is the first to end.
                            thread::sleep(Duration::from_millis(2 + n));
                            NAME.with(|name| assert!(name.ends_with(&n.to_string())));
                        });
                        assert!(!NAME.is_set());
                    })
                })
                .collect();
            all.into_iter().for_each(|one| one.join().unwrap());
        },
    );
}

#[test]
fn a_context_of_tokio_is_left_in_any_order() {
    in_both("crates::a_context_of_tokio_is_left_in_any_order", |own| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let handle = runtime.handle().clone();
        // tokio panics where a later context is left after an earlier one.
        std::panic::set_hook(Box::new(|_| ()));
        // On the hub none begins before all are spawned.
        green::run(move || {
            let enter = |for_long| {
                let handle = handle.clone();
                thread::spawn(move || {
                    let _inside = handle.enter();
                    thread::sleep(for_long);
                    tokio::runtime::Handle::try_current().is_ok()
                })
            };
            let first = enter(Duration::from_millis(5));
            let second = enter(Duration::from_millis(15));
            let outside = thread::spawn(|| tokio::runtime::Handle::try_current().is_ok());
            assert_eq!(outside.join().unwrap(), !own);
            let (first, second) = (first.join(), second.join());
            assert_eq!(first.is_ok() && second.is_ok(), own);
        });
    });
}

#[test]
fn each_green_thread_can_block_on_a_runtime_of_tokio() {
    in_both(
        "crates::each_green_thread_can_block_on_a_runtime_of_tokio",
        |own| {
            std::panic::set_hook(Box::new(|_| ()));
            let block = |n| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    thread::sleep(Duration::from_millis(5));
                    n
                })
            };
            // On the hub none begins before all are spawned.
            green::run(move || {
                let all: Vec<_> = (0..3).map(|n| thread::spawn(move || block(n))).collect();
                let ended = all.into_iter().filter_map(|one| one.join().ok()).count();
                assert_eq!(ended == 3, own);
            });
        },
    );
}

#[test]
fn a_reentrant_lock_of_parking_lot_keeps_neighbours_out() {
    in_both(
        "crates::a_reentrant_lock_of_parking_lot_keeps_neighbours_out",
        |own| {
            static LOCK: parking_lot::ReentrantMutex<u32> = parking_lot::const_reentrant_mutex(7);
            green::run(move || {
                let held = LOCK.lock();
                let again = LOCK.try_lock();
                assert!(again.is_some());
                let neighbour = thread::spawn_local(|| LOCK.try_lock().is_some());
                assert_eq!(neighbour.join().unwrap(), !own);
                drop(held);
            });
        },
    );
}

#[test]
fn a_context_of_opentelemetry_is_a_green_thread_s_own() {
    use opentelemetry::Context;
    #[derive(PartialEq, Debug)]
    struct Of(u32);

    in_both(
        "crates::a_context_of_opentelemetry_is_a_green_thread_s_own",
        |own| {
            let seen = || Context::current().get::<Of>().map(|of| of.0);
            let attached = move |n| {
                let _attached = Context::current_with_value(Of(n)).attach();
                // The first to begin is the first to end.
                thread::sleep(Duration::from_millis(5 + u64::from(n)));
                seen()
            };
            // On the hub none begins before all are spawned.
            green::run(move || {
                let all: Vec<_> = (0..3).map(|n| thread::spawn(move || attached(n))).collect();
                let outside = thread::spawn(seen).join().unwrap();
                let inside: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
                assert_eq!(outside, if own { None } else { Some(2) });
                assert_eq!(inside == [Some(0), Some(1), Some(2)], own);
            });
        },
    );
}

#[test]
fn the_crate_thread_local_has_a_value_for_each_and_uses_it_again() {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static VALUES: std::sync::LazyLock<thread_local::ThreadLocal<AtomicU32>> =
        std::sync::LazyLock::new(thread_local::ThreadLocal::new);

    in_both(
        "crates::the_crate_thread_local_has_a_value_for_each_and_uses_it_again",
        |own| {
            let keep = |n| {
                move || {
                    VALUES.get_or_default().store(n, Relaxed);
                    thread::sleep(Duration::from_millis(5));
                    VALUES.get_or_default().load(Relaxed) == n
                }
            };
            for _ in 0..20 {
                // On the hub none begins before all are spawned.
                let right = green::run(move || {
                    let all: Vec<_> = (0..10).map(|n| thread::spawn(keep(n))).collect();
                    let right = all.into_iter().map(|one| one.join().unwrap());
                    right.filter(|&right| right).count()
                });
                assert_eq!(right, if own { 10 } else { 1 });
            }
            let values = VALUES.iter().count();
            assert_eq!(values, if own { 10 } else { 1 });
        },
    );
}
