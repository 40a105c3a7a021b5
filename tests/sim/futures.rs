//! Futures, and servers of HTTP that are made of them: their timers and wakers belong to one simulation and end with it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

use green::future::{self, Sleep};
use green::http::{self, Body, Request};
use green::sim::{self, Simulation};
use green::sync::mpsc;
use green::thread;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn timers_of_futures_are_ready_in_each_simulation_after_another() {
    test_support::bounded("timers", Duration::from_secs(60), || {
        for seed in 0..50 {
            let elapsed = sim::run(seed, || {
                let began = Instant::now();
                let other = thread::spawn(|| green::block_on(future::sleep(2 * HOUR)));
                green::block_on(future::sleep(HOUR));
                let late = green::block_on(future::timeout(HOUR, std::future::pending::<()>()));
                assert!(late.is_err());
                other.join().unwrap();
                began.elapsed()
            });
            assert!(elapsed >= 2 * HOUR && elapsed < 3 * HOUR, "{elapsed:?}");
        }
    });
}

#[test]
fn simulations_with_timers_beside_one_another_and_beside_real_ones_do_not_meet() {
    test_support::bounded("timers", Duration::from_secs(60), || {
        let real = || green::block_on(future::sleep(Duration::from_millis(1)));
        thread::spawn(real).join().unwrap();
        std::thread::scope(|scope| {
            for seed in 0..4 {
                scope.spawn(move || {
                    for _ in 0..20 {
                        sim::run(seed, || green::block_on(future::sleep(HOUR)));
                        thread::spawn(real).join().unwrap();
                    }
                });
            }
        });
    });
}

/// Another executor's waker, which does what those of the hub's own threads do not: it waits.
struct Slow(mpsc::Sender<()>);

impl Wake for Slow {
    fn wake(self: Arc<Slow>) {
        thread::sleep(HOUR);
        let _ = self.0.send(());
    }
}

#[test]
fn wakers_of_others_are_called_in_each_simulation() {
    test_support::bounded("wakers", Duration::from_secs(60), || {
        for seed in 0..50 {
            sim::run(seed, || {
                let (woken, is_woken) = mpsc::channel();
                let mut sleeps: Vec<Sleep> = Vec::new();
                for _ in 0..3 {
                    let waker = Waker::from(Arc::new(Slow(woken.clone())));
                    let mut sleep = future::sleep(HOUR);
                    let mut context = std::task::Context::from_waker(&waker);
                    assert!(
                        std::pin::pin!(&mut sleep)
                            .as_mut()
                            .poll(&mut context)
                            .is_pending()
                    );
                    sleeps.push(sleep);
                }
                for _ in 0..2 {
                    is_woken.recv().unwrap();
                }
                // The third waker may still wait as the program ends.
            });
        }
    });
}

#[test]
fn a_timer_that_leaves_its_simulation_does_no_harm_to_the_next() {
    test_support::bounded("timers", Duration::from_secs(60), || {
        let waker = Waker::noop();
        let mut left = sim::run(1, || {
            let mut sleep = future::sleep(HOUR);
            let mut context = std::task::Context::from_waker(waker);
            assert!(
                std::pin::pin!(&mut sleep)
                    .as_mut()
                    .poll(&mut context)
                    .is_pending()
            );
            sleep
        });
        sim::run(1, move || {
            left.reset(Instant::now() + HOUR);
            green::block_on(left);
            green::block_on(future::sleep(HOUR));
        });
    });
}

/// OS threads of simulations, one for each hub that runs them.
fn hubs() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.map(|thread| std::fs::read(thread.unwrap().path().join("comm")));
    names
        .filter(|name| name.as_ref().is_ok_and(|name| name == b"green-sim\n"))
        .count()
}

#[test]
fn a_destructor_may_await_a_timer_when_its_simulation_ends() {
    struct Awaits;
    impl Drop for Awaits {
        fn drop(&mut self) {
            green::block_on(future::sleep(HOUR));
        }
    }
    test_support::bounded("destructors", Duration::from_secs(60), || {
        for seed in 0..50 {
            sim::run(seed, || {
                for _ in 0..3 {
                    let awaits = Awaits;
                    thread::spawn(move || {
                        let _awaits = awaits;
                        green::block_on(future::sleep(2 * HOUR));
                    });
                }
                thread::sleep(HOUR);
            });
        }
        // A hub on which somebody does not end is not used again. Other tests have theirs.
        assert!(hubs() < 30, "{} hubs", hubs());
    });
}

#[test]
fn spawned_futures_run_and_end_with_their_simulation() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    test_support::bounded("spawned futures", Duration::from_secs(60), || {
        let alive = Arc::new(AtomicUsize::new(0));
        let mut prints = Vec::new();
        for seed in (0..20).chain(0..20) {
            let counted = alive.clone();
            let outcome = Simulation::new(seed).run(move || {
                for n in 0..10 {
                    counted.fetch_add(1, SeqCst);
                    let counted = Counted(counted.clone());
                    // These never end by themselves.
                    future::spawn(async move {
                        let _counted = counted;
                        loop {
                            future::sleep(HOUR * n).await;
                            // A poll that waits keeps its stack.
                            thread::sleep(HOUR);
                        }
                    });
                }
                let sum = future::spawn(async {
                    future::sleep(100 * HOUR).await;
                    let mut polls = 0;
                    poll_fn(|context| {
                        polls += 1;
                        context.waker().wake_by_ref();
                        if polls == 10 {
                            Poll::Ready(polls)
                        } else {
                            Poll::Pending
                        }
                    })
                    .await
                });
                sum.join().unwrap()
            });
            assert_eq!(outcome.result.unwrap(), 10);
            assert_eq!(alive.load(SeqCst), 0, "seed {seed}");
            prints.push(outcome.trace.fingerprint());
        }
        let (first, again) = prints.split_at(20);
        assert_eq!(first, again);
    });
}

/// A server and three clients, one that keeps its connection.
fn pages() -> Vec<String> {
    let listener = green::listen("10.0.0.1:80").unwrap();
    thread::spawn(move || {
        http::serve(listener, |request: Request<Body>| {
            thread::sleep(HOUR);
            request.uri().path().to_owned()
        })
    });
    let clients: Vec<_> = (0..2)
        .map(|n| {
            thread::spawn(move || {
                let mut response = http::get(&format!("http://10.0.0.1/{n}")).unwrap();
                response.body_mut().read_to_string().unwrap()
            })
        })
        .collect();
    let agent = http::agent(http::ureq::config::Config::default());
    let mut pages: Vec<_> = (2..5)
        .map(|n| {
            let mut response = agent.get(format!("http://10.0.0.1/{n}")).call().unwrap();
            response.body_mut().read_to_string().unwrap()
        })
        .collect();
    pages.extend(clients.into_iter().map(|client| client.join().unwrap()));
    pages
}

#[test]
fn a_server_of_http_and_its_clients_replay_from_a_seed() {
    test_support::bounded("http", Duration::from_secs(120), || {
        let run = |seed| {
            let outcome = Simulation::new(seed).run(pages);
            assert_eq!(outcome.result.unwrap(), ["/2", "/3", "/4", "/0", "/1"]);
            assert!(outcome.elapsed >= 3 * HOUR, "{:?}", outcome.elapsed);
            outcome.trace.fingerprint()
        };
        let first: Vec<_> = (0..20).map(run).collect();
        let again: Vec<_> = (0..20).map(run).collect();
        assert_eq!(first, again);
    });
}
