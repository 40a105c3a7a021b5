//! `green::dagpool`: tasks that start when what they depend on is there.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use green::dagpool::{Cause, DagPool, Refused};
use green::thread;
use test_support::net::{both_ways, wait_until};

type Numbers = DagPool<u32, u64, Infallible>;

fn sorted<K: Ord>(keys: Vec<K>) -> Vec<K> {
    keys.into_iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

#[test]
fn each_task_runs_once_and_after_all_that_it_depends_on() {
    both_ways(|_| {
        let pool = Numbers::new();
        let order = Arc::new(Mutex::new(Vec::new()));
        // A ladder: each depends on all before it, spawned from the last to the first.
        for n in (1..60).rev() {
            let order = order.clone();
            pool.spawn(n, 0..n, move |values| {
                order.lock().unwrap().push(n);
                assert_eq!(values.len(), n as usize);
                Ok(values.values().map(|value| **value).sum())
            })
            .unwrap();
        }
        assert_eq!((pool.waiting().len(), pool.running().len()), (59, 0));
        assert_eq!(sorted(pool.waiting_for(&2)), [0, 1]);
        pool.post(0, 1).unwrap();
        let last = pool.wait([59]).unwrap();
        assert_eq!(*last[&59], 1 << 58);
        assert_eq!(*order.lock().unwrap(), (1..60).collect::<Vec<_>>());
        assert_eq!(pool.wait_all().unwrap().len(), 60);
        assert!(pool.waiting().is_empty() && pool.waiting_for(&2).is_empty());
    });
}

#[test]
fn independent_tasks_run_side_by_side_and_come_in_the_order_of_their_ends() {
    both_ways(|_| {
        let pool = DagPool::<_, (), Infallible>::new();
        let parked = Arc::new(Mutex::new(HashMap::new()));
        for key in ["a", "b", "c"] {
            let parked = parked.clone();
            pool.spawn(key, [], move |_| {
                parked.lock().unwrap().insert(key, thread::current());
                thread::park();
                Ok(())
            })
            .unwrap();
        }
        wait_until("all run", || parked.lock().unwrap().len() == 3);
        assert_eq!(sorted(pool.running()), ["a", "b", "c"]);
        let mut each = pool.wait_each(["a", "b", "c"]);
        for key in ["c", "a", "b"] {
            assert!(pool.get(&key).is_none());
            parked.lock().unwrap()[key].unpark();
            let (ended, outcome) = each.next().unwrap();
            assert!(ended == key && outcome.is_ok());
        }
        assert!(each.next().is_none());
    });
}

#[test]
fn a_failure_reaches_all_that_depend_on_it_and_nobody_else() {
    both_ways(|_| {
        let pool = DagPool::<&str, u32>::new();
        let ran = Arc::new(AtomicUsize::new(0));
        for (key, depends) in [("far", "near"), ("near", "root"), ("apart", "other")] {
            let ran = ran.clone();
            pool.spawn(key, [depends], move |values| {
                ran.fetch_add(1, SeqCst);
                Ok(*values[depends] + 1)
            })
            .unwrap();
        }
        pool.post("other", 1).unwrap();
        pool.spawn("root", [], |_| Err(io::ErrorKind::StorageFull.into()))
            .unwrap();
        let error = pool.wait(["apart", "far"]).unwrap_err();
        assert_eq!((error.key(), error.origin()), (&"far", &"root"));
        let kind = error.cause().error().unwrap().kind();
        assert_eq!(kind, io::ErrorKind::StorageFull);
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.is::<io::Error>());
        assert_eq!(*pool.wait(["apart"]).unwrap()["apart"], 2);
        // One that comes when it has failed already.
        pool.spawn("late", ["far", "never"], |_| unreachable!())
            .unwrap();
        assert_eq!(pool.wait(["late"]).unwrap_err().origin(), &"root");
        assert_eq!(ran.load(SeqCst), 1);
        // Those are ended too.
        assert!(pool.waiting().is_empty() && pool.wait_all().is_err());
    });
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a payload that panics when it is dropped");
    }
}

#[test]
fn panics_and_kills_propagate_as_what_they_are() {
    both_ways(|_| {
        let pool = DagPool::<&str, u32>::new();
        pool.spawn("after a panic", ["panics"], |_| Ok(1)).unwrap();
        pool.spawn("panics", [], |_| panic!("out of {}", "luck"))
            .unwrap();
        let error = pool.wait(["after a panic"]).unwrap_err();
        assert!(matches!(error.cause(), Cause::Panicked(message) if &**message == "out of luck"));

        // Its payload panics when it is dropped.
        pool.spawn("bombs", [], |_| std::panic::resume_unwind(Box::new(Bomb)))
            .unwrap();
        let error = pool.wait(["bombs"]).unwrap_err();
        assert!(matches!(error.cause(), Cause::Panicked(message) if message.is_empty()));

        pool.spawn("after a kill", ["parks"], |_| Ok(1)).unwrap();
        pool.spawn("parks", [], |_| {
            loop {
                thread::park();
            }
        })
        .unwrap();
        assert!(pool.kill(&"parks").unwrap());
        let error = pool.wait(["after a kill"]).unwrap_err();
        assert!(matches!(error.cause(), Cause::Killed));
        assert_eq!(error.origin(), &"parks");
        assert!(!pool.kill(&"parks").unwrap() && !pool.kill(&"nobody").unwrap());

        // One that waits is ended at once, and what it captured is dropped.
        let captured = Arc::new(());
        let theirs = captured.clone();
        pool.spawn("waits", ["never"], move |_| {
            drop(theirs);
            Ok(1)
        })
        .unwrap();
        assert!(pool.kill(&"waits").unwrap());
        assert_eq!(Arc::strong_count(&captured), 1);
        assert!(matches!(pool.get(&"waits"), Some(Err(_))));
    });
}

#[test]
fn circles_and_collisions_are_refused_whole() {
    both_ways(|_| {
        let pool = Numbers::new();
        let one = |_| Ok(1);
        pool.spawn(1, [2], one).unwrap();
        pool.spawn(2, [3, 4], one).unwrap();
        assert_eq!(
            pool.spawn(3, [1], one),
            Err(Refused::Cycle(vec![3, 1, 2, 3]))
        );
        assert_eq!(pool.spawn(9, [9], one), Err(Refused::Cycle(vec![9, 9])));
        assert_eq!(pool.spawn(1, [], one), Err(Refused::Collision(1)));
        assert_eq!(pool.post(2, 7), Err(Refused::Collision(2)));
        // What was refused has left nothing: neither keys nor edges.
        let many = [(5, vec![6]), (6, vec![7]), (7, vec![5])];
        let refused = pool.spawn_many(many, |_, _| Ok(1)).unwrap_err();
        assert_eq!(refused, Refused::Cycle(vec![7, 5, 6, 7]));
        let twice = [(5, vec![]), (2, vec![])];
        assert_eq!(
            pool.spawn_many(twice, |_, _| Ok(1)),
            Err(Refused::Collision(2))
        );
        assert_eq!(sorted(pool.keys()), [1, 2]);
        pool.spawn(3, [], one).unwrap();
        pool.spawn_many(
            [(4, vec![]), (7, vec![5]), (5, vec![6]), (6, vec![])],
            |_, _| Ok(1),
        )
        .unwrap();
        assert_eq!(pool.wait_all().unwrap().len(), 7);
    });
}

#[test]
fn a_wait_that_is_cut_short_has_lost_nothing() {
    both_ways(|_| {
        let pool = Numbers::new();
        let mut each = pool.wait_each([1, 2]);
        let limit = Duration::from_millis(10);
        assert!(green::timeout(limit, || each.next()).is_err());
        let theirs = pool.clone();
        let waiter = thread::spawn(move || theirs.wait([1, 2]).map(|values| values.len()));
        pool.spawn(1, [], |_| Ok(1)).unwrap();
        assert_eq!(each.next().unwrap().0, 1);
        assert!(green::timeout(limit, || each.next()).is_err());
        pool.post(2, 2).unwrap();
        assert_eq!(each.next().unwrap().0, 2);
        assert_eq!(waiter.join().unwrap().unwrap(), 2);
    });
}

#[test]
fn ten_thousand_tasks_in_layers_are_done_by_few_threads_at_a_time() {
    both_ways(|_| {
        let pool = Numbers::new();
        let keys = |layer: u32| (layer * 100)..(layer * 100 + 100);
        let layers = (1..100).flat_map(|layer| {
            keys(layer).map(move |key| (key, [key - 100, layer * 100 - 1].to_vec()))
        });
        pool.spawn_many(layers, |_, values| {
            Ok(values.values().map(|v| **v).max().unwrap())
        })
        .unwrap();
        for key in keys(0) {
            pool.post(key, u64::from(key)).unwrap();
        }
        let values = pool.wait_all().unwrap();
        assert_eq!((values.len(), *values[&9999]), (10_000, 99));
    });
}
