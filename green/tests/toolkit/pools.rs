//! `green::pool`: tasks as green threads, no more than so many at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::event::Event;
use green::pool::{GreenPile, GreenPool};
use green::semaphore::MAX_PERMITS;
use green::thread::{self, sleep, yield_now};
use green::{Killed, timeout};
use test_support::net::{both_ways, wait_until};

const SHORT: Duration = Duration::from_millis(20);
const FOR_EVER: Duration = Duration::from_secs(60);

fn counts(pool: &GreenPool) -> [usize; 3] {
    [pool.free(), pool.running(), pool.waiting()]
}

#[test]
fn never_more_than_the_size_run() {
    both_ways(|on| {
        let pool = GreenPool::new(4);
        let peak = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let spawners: Vec<_> = (0..3)
            .map(|_| {
                let (pool, peak) = (pool.clone(), peak.clone());
                on.spawn(move || {
                    for number in 0..100 {
                        let peak = peak.clone();
                        pool.spawn_n(move || {
                            let (now, most) = &*peak;
                            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                            match number % 3 {
                                0 => yield_now(),
                                1 => sleep(Duration::from_micros(50)),
                                _ => (),
                            }
                            now.fetch_sub(1, SeqCst);
                        });
                        assert!(pool.running() <= 4);
                    }
                })
            })
            .collect();
        spawners.into_iter().for_each(|spawner| spawner.join());
        pool.waitall();
        assert_eq!(counts(&pool), [4, 0, 0]);
        let most = peak.1.load(SeqCst);
        assert!((1..=4).contains(&most), "{most} ran at once");
    });
}

#[test]
fn counts_are_exact_at_every_step() {
    both_ways(|on| {
        let pool = GreenPool::new(2);
        assert_eq!(counts(&pool), [2, 0, 0]);
        let go = Arc::new(Event::new());
        let task = || {
            let go = go.clone();
            move || {
                let Ok(()) = go.wait();
            }
        };
        let first = pool.spawn(task());
        assert_eq!(counts(&pool), [1, 1, 0]);
        let second = pool.spawn(task());
        assert_eq!(counts(&pool), [0, 2, 0]);
        assert!(pool.try_spawn(|| ()).is_err());
        let began = Instant::now();
        assert!(pool.spawn_timeout(SHORT, || ()).is_err());
        assert!(timeout(SHORT, || pool.spawn(|| ())).is_err());
        assert!(began.elapsed() >= 2 * SHORT);
        assert_eq!(counts(&pool), [0, 2, 0]);
        let (theirs, waits) = (pool.clone(), task());
        let third = on.spawn(move || theirs.spawn(waits));
        wait_until("somebody who waits", || pool.waiting() == 1);
        assert_eq!(counts(&pool), [0, 2, 1]);
        first.kill().unwrap();
        assert!(Killed::caused(&*first.join().unwrap_err()));
        let third = third.join();
        assert_eq!(counts(&pool), [0, 2, 0]);
        go.send(()).unwrap();
        second.join().unwrap();
        third.join().unwrap();
        assert_eq!(counts(&pool), [2, 0, 0]);
    });
}

#[test]
fn a_task_that_fails_or_is_killed_frees_its_place() {
    both_ways(|_| {
        let pool = GreenPool::new(1);
        let fails = pool.spawn(|| std::panic::resume_unwind(Box::new("planned")));
        assert!(fails.join().is_err());
        assert_eq!(counts(&pool), [1, 0, 0]);
        let killed = pool.spawn(thread::park);
        killed.kill().unwrap();
        assert!(killed.join().is_err());
        assert_eq!(counts(&pool), [1, 0, 0]);
        // Perhaps before it has run at all.
        let cancelled = pool.spawn(|| ());
        cancelled.cancel();
        let _ = cancelled.join();
        assert_eq!(counts(&pool), [1, 0, 0]);
        assert_eq!(pool.spawn(|| 3).join().unwrap(), 3);
    });
}

#[test]
fn resize_takes_effect_as_tasks_end() {
    both_ways(|on| {
        let pool = GreenPool::new(3);
        let go: Vec<_> = (0..4).map(|_| Arc::new(Event::new())).collect();
        let task = |number: usize| {
            let go = go[number].clone();
            move || {
                let Ok(()) = go.wait();
            }
        };
        let tasks: Vec<_> = (0..3).map(|number| pool.spawn(task(number))).collect();
        pool.resize(1);
        assert_eq!((pool.size(), counts(&pool)), (1, [0, 3, 0]));
        let (theirs, last) = (pool.clone(), task(3));
        let spawner = on.spawn(move || theirs.spawn(last));
        wait_until("somebody who waits", || pool.waiting() == 1);
        for (number, task) in tasks.into_iter().enumerate() {
            go[number].send(()).unwrap();
            task.join().unwrap();
            if number < 2 {
                assert_eq!(counts(&pool), [0, 2 - number, 1]);
            }
        }
        let last = spawner.join();
        assert_eq!(counts(&pool), [0, 1, 0]);
        pool.resize(2);
        assert_eq!(counts(&pool), [1, 1, 0]);
        go[3].send(()).unwrap();
        last.join().unwrap();
        assert_eq!(counts(&pool), [2, 0, 0]);
        pool.resize(0);
        assert!(pool.try_spawn(|| ()).is_err());
        pool.waitall();
    });
}

#[test]
fn a_pool_may_have_as_many_places_as_there_can_be() {
    both_ways(|_| {
        let pool = GreenPool::new(1);
        pool.resize(MAX_PERMITS);
        assert_eq!((pool.size(), pool.free()), (MAX_PERMITS, MAX_PERMITS));
        assert!(catch_unwind(AssertUnwindSafe(|| pool.resize(usize::MAX))).is_err());
        assert_eq!((pool.size(), pool.free()), (MAX_PERMITS, MAX_PERMITS));
        pool.resize(0);
        assert_eq!(pool.free(), 0);
    });
}

#[test]
fn a_task_of_a_full_pool_that_spawns_into_it_is_lent_a_place() {
    both_ways(|_| {
        let pool = GreenPool::new(1);
        let (inner, peak) = (pool.clone(), Arc::new(AtomicUsize::new(0)));
        let sees = peak.clone();
        let sum = pool.spawn(move || {
            let (innermost, also_sees) = (inner.clone(), sees);
            let child = inner.spawn(move || {
                also_sees.fetch_max(innermost.running(), SeqCst);
                // And one further down.
                innermost.spawn(|| 1).join().unwrap() + 10
            });
            // It has ended before we go on.
            assert!(child.is_finished());
            inner.spawn_n(|| ());
            assert!(inner.try_spawn(|| ()).is_err());
            child.join().unwrap() + 100
        });
        assert_eq!(sum.join().unwrap(), 111);
        assert_eq!((peak.load(SeqCst), counts(&pool)), (1, [1, 0, 0]));
    });
}

#[test]
fn a_place_that_was_lent_stays_taken_when_its_lender_is_killed() {
    both_ways(|_| {
        let pool = GreenPool::new(1);
        let (go, started) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let (inner, lent) = (pool.clone(), (go.clone(), started.clone()));
        let lender = pool.spawn(move || {
            inner.spawn_n(move || {
                lent.1.send(()).unwrap();
                let Ok(()) = lent.0.wait();
            });
        });
        let Ok(()) = started.wait();
        lender.kill().unwrap();
        assert!(lender.join().is_err());
        assert_eq!(counts(&pool), [0, 1, 0]);
        assert!(!pool.waitall_timeout(SHORT));
        go.send(()).unwrap();
        pool.waitall();
        assert_eq!(counts(&pool), [1, 0, 0]);
    });
}

#[test]
fn a_task_killed_before_its_first_turn_keeps_its_place_until_what_it_captured_is_gone() {
    /// Sees, while it is dropped, how many places are taken.
    struct Captured(GreenPool, Arc<AtomicUsize>);
    impl Drop for Captured {
        fn drop(&mut self) {
            self.1.store(self.0.running(), SeqCst);
        }
    }
    both_ways(|_| {
        loop {
            let pool = GreenPool::new(1);
            let (seen, ran) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
            let (captured, runs) = (Captured(pool.clone(), Arc::clone(&seen)), ran.clone());
            let task = pool.spawn(move || {
                runs.store(1, SeqCst);
                drop(captured);
            });
            task.kill().unwrap();
            let _ = task.join();
            assert_eq!((seen.load(SeqCst), pool.running()), (1, 0));
            if ran.load(SeqCst) == 0 {
                return;
            }
        }
    });
}

#[test]
fn waitall_from_inside_is_an_error_and_on_an_empty_pool_returns() {
    both_ways(|_| {
        let pool = GreenPool::new(2);
        pool.waitall();
        let (inner, other) = (pool.clone(), GreenPool::new(1));
        let refused = pool.spawn(move || {
            // Another pool's end may be waited for.
            other.waitall();
            std::panic::catch_unwind(|| inner.waitall()).is_err()
        });
        assert!(refused.join().unwrap());
        assert!(pool.waitall_timeout(FOR_EVER));
    });
}

#[test]
fn failures_appear_in_place_and_the_rest_arrives() {
    both_ways(|_| {
        let pool = GreenPool::new(3);
        let results = pool.imap(
            |number: u32| {
                sleep(Duration::from_micros(u64::from(number * 37 % 5) * 100));
                match number % 4 {
                    3 => std::panic::resume_unwind(Box::new(number)),
                    _ => number * 10,
                }
            },
            0..20,
        );
        let mut seen = 0;
        for (number, result) in (0..).zip(results) {
            match result {
                Ok(value) => assert!(number % 4 != 3 && value == number * 10),
                Err(panic) => assert_eq!(panic.downcast_ref(), Some(&number)),
            }
            seen += 1;
        }
        assert_eq!((seen, counts(&pool)), (20, [3, 0, 0]));
        assert_eq!(pool.imap(|()| (), []).count(), 0);
    });
}

#[test]
fn starmap_spreads_each_tuple_and_keeps_failures_in_place() {
    both_ways(|_| {
        let pool = GreenPool::new(2);
        let quotient = |number: u32, divisor: u32, more: u64| match divisor {
            0 => std::panic::resume_unwind(Box::new(number)),
            _ => u64::from(number / divisor) + more,
        };
        let items = [(12, 4, 0), (7, 0, 0), (9, 3, 1 << 40)];
        let mut results = pool.starmap(quotient, items);
        assert_eq!(results.next().unwrap().unwrap(), 3);
        let panic = results.next().unwrap().unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&7_u32));
        assert_eq!(results.next().unwrap().unwrap(), 3 + (1 << 40));
        assert!(results.next().is_none());
        let one = pool.starmap(u32::count_ones, [(7,), (8,)]);
        assert_eq!(one.map(Result::unwrap).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(pool.starmap(u32::pow, []).count(), 0);
        assert_eq!(counts(&pool), [2, 0, 0]);
    });
}

#[test]
fn a_thousand_items_are_taken_no_further_ahead_than_the_pool_is_large() {
    both_ways(|_| {
        let pool = GreenPool::new(5);
        let taken = Arc::new(AtomicUsize::new(0));
        let takes = taken.clone();
        let items = (0..1000).inspect(move |_| {
            takes.fetch_add(1, SeqCst);
        });
        for (number, result) in pool.imap(|(a, b)| a + b, items.zip(1..)).enumerate() {
            assert_eq!(result.unwrap(), 2 * number + 1);
            let ahead = taken.load(SeqCst) - number;
            assert!(ahead <= 6, "{ahead} items ahead");
        }
    });
}

#[test]
fn a_limit_that_passes_disturbs_neither_order_nor_results() {
    both_ways(|_| {
        let pool = GreenPool::new(2);
        let go = Arc::new(Event::new());
        let theirs = go.clone();
        let first_waits = move |number| {
            if number == 0 {
                let Ok(()) = theirs.wait();
            }
            number
        };
        let mut results = pool.imap(first_waits, 0..6);
        assert!(timeout(SHORT, || results.next()).is_err());
        // Nor while it waits for a place.
        let full = GreenPool::new(1);
        let holder = full.spawn(thread::park);
        let mut late = full.imap(|number| number, 0..3);
        assert!(timeout(SHORT, || late.next()).is_err());
        assert!(timeout(SHORT, || late.next()).is_err());
        holder.thread().unpark();
        assert_eq!(late.map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2]);
        go.send(()).unwrap();
        assert_eq!(
            results.map(Result::unwrap).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5]
        );
    });
}

#[test]
fn a_task_maps_over_its_own_full_pool() {
    both_ways(|_| {
        let pool = GreenPool::new(1);
        let inner = pool.clone();
        let sum = pool.spawn(move || inner.imap(|n| n * n, 0..5).map(Result::unwrap).sum::<u32>());
        assert_eq!(sum.join().unwrap(), 30);
    });
}

#[test]
fn piles_of_one_pool_give_each_its_results_in_order() {
    both_ways(|_| {
        let pool = GreenPool::new(4);
        let mut piles = [pool.pile(), GreenPile::new(pool.clone())];
        for number in 0..20_u64 {
            piles[usize::from(number % 3 == 0)].spawn(move || {
                sleep(Duration::from_micros((20 - number) * 20));
                if number == 4 {
                    std::panic::resume_unwind(Box::new("planned"));
                }
                number
            });
        }
        assert_eq!(piles[1].len(), 7);
        let [others, threes] = piles.map(|pile| pile.map(Result::ok).collect::<Vec<_>>());
        assert_eq!(threes, [0, 3, 6, 9, 12, 15, 18].map(Some));
        assert_eq!(others[..4], [Some(1), Some(2), None, Some(5)]);
        assert_eq!(others.len(), 13);
    });
}

#[test]
fn a_pile_waits_within_a_limit_and_keeps_its_order() {
    both_ways(|_| {
        let pool = GreenPool::new(1);
        let mut pile = pool.pile();
        assert!(pile.wait_timeout(SHORT), "there is nothing to wait for");
        let go = Arc::new(Event::new());
        let theirs = go.clone();
        pile.spawn(move || {
            let Ok(()) = theirs.wait();
            1
        });
        assert!(!pile.wait_timeout(SHORT));
        assert!(pile.spawn_timeout(SHORT, || 2).is_err());
        assert_eq!((pile.len(), pool.waiting()), (1, 0));
        go.send(()).unwrap();
        assert!(pile.spawn_timeout(FOR_EVER, || 3).is_ok());
        assert!(pile.wait_timeout(FOR_EVER));
        assert_eq!(pile.map(Result::unwrap).collect::<Vec<_>>(), [1, 3]);
    });
}

/// A value, or the name of the task that failed.
type Node = Arc<Event<u32, &'static str>>;

/// What eventlet's `DAGPool` does, from an event a task.
fn depend(
    pool: &GreenPool,
    name: &'static str,
    needs: &[&Node],
    f: fn(Vec<u32>) -> u32,
) -> (Node, thread::JoinHandle<()>) {
    let node = Node::new(Event::fallible());
    let needs: Vec<Node> = needs.iter().copied().cloned().collect();
    let (theirs, ended) = (node.clone(), node.clone());
    let task = pool.spawn(move || {
        let values = needs
            .iter()
            .map(|need| need.wait())
            .collect::<Result<_, _>>();
        let _ = match values {
            Ok(values) => theirs.send(f(values)).is_ok(),
            Err(name) => theirs.send_error(name).is_ok(),
        };
    });
    task.link(move |ending| {
        if ending != thread::Ending::Returned {
            let _ = ended.send_error(name);
        }
    });
    (node, task)
}

#[test]
fn tasks_wait_for_those_they_depend_on_and_learn_who_failed() {
    both_ways(|_| {
        let pool = GreenPool::new(10);
        let (later, late) = depend(&pool, "late", &[], |_| {
            thread::park();
            1
        });
        let (two, _) = depend(&pool, "two", &[&later], |values| values[0] + 1);
        let (sum, _) = depend(&pool, "sum", &[&later, &two], |values| values.iter().sum());
        assert_eq!(sum.wait_timeout(SHORT), None);
        late.thread().unpark();
        assert_eq!(sum.wait(), Ok(3));
        assert_eq!(sum.send(4), Err(4), "it has its value");

        let (fails, _) = depend(&pool, "fails", &[&two], |_| {
            std::panic::resume_unwind(Box::new("planned"))
        });
        let (after, _) = depend(&pool, "after", &[&sum, &fails], |values| values[0]);
        assert_eq!((fails.wait(), after.wait()), (Err("fails"), Err("fails")));

        let never = Node::new(Event::fallible());
        let (victim, task) = depend(&pool, "victim", &[&never], |values| values[0]);
        let (after, _) = depend(&pool, "after", &[&victim], |values| values[0]);
        task.kill().unwrap();
        assert_eq!(after.wait(), Err("victim"));
        assert!(pool.waitall_timeout(FOR_EVER));
    });
}
