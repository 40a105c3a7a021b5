//! `green::pools`: items that are made when needed and used again.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::event::Event;
use green::pools::Pool;
use green::semaphore::MAX_PERMITS;
use green::{thread, timeout};
use test_support::net::{both_ways, wait_until};

const SHORT: Duration = Duration::from_millis(20);

/// A pool of numbers, each new one one higher, and how many were made.
fn numbers(max_size: usize) -> (Arc<Pool<usize>>, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let makes = made.clone();
    let pool = Pool::new(max_size, move || Ok(makes.fetch_add(1, SeqCst)));
    (Arc::new(pool), made)
}

fn counts<T, E>(pool: &Pool<T, E>) -> [usize; 3] {
    [pool.size(), pool.free(), pool.waiting()]
}

#[test]
fn items_are_made_when_needed_and_used_again() {
    both_ways(|_| {
        let (pool, made) = numbers(3);
        assert_eq!(counts(&pool), [0, 3, 0]);
        let [a, b] = [pool.get().unwrap(), pool.get().unwrap()];
        assert_eq!((*a, *b, counts(&pool)), (0, 1, [2, 1, 0]));
        drop(b);
        drop(a);
        assert_eq!(*pool.get().unwrap(), 1);
        assert_eq!(made.load(SeqCst), 2);
        assert_eq!(counts(&pool), [2, 3, 0]);
        pool.fill(9).unwrap();
        assert_eq!(counts(&pool), [3, 3, 0]);
    });
}

#[test]
fn while_fill_makes_an_item_nobody_makes_another_in_its_place() {
    both_ways(|on| {
        let (made, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Event::new()));
        let (makes, waits) = (made.clone(), go.clone());
        let pool = Arc::new(Pool::<_>::new(1, move || {
            let number = makes.fetch_add(1, SeqCst);
            if number == 0 {
                let Ok(()) = waits.wait();
            }
            Ok(number)
        }));
        let fills = pool.clone();
        let filling = on.spawn(move || fills.fill(1).unwrap());
        wait_until("an item is being made", || made.load(SeqCst) == 1);
        assert_eq!(counts(&pool), [1, 0, 0]);
        assert!(pool.get_timeout(SHORT).unwrap().is_none());
        go.send(()).unwrap();
        filling.join();
        assert_eq!((*pool.get().unwrap(), made.load(SeqCst)), (0, 1));
        assert_eq!(counts(&pool), [1, 1, 0]);
    });
}

#[test]
fn fill_keeps_what_it_makes_also_if_that_is_too_old_at_once() {
    both_ways(|on| {
        let made = Arc::new(AtomicUsize::new(0));
        let makes = made.clone();
        let pool = Pool::<usize>::new(3, move || Ok(makes.fetch_add(1, SeqCst)));
        let pool = pool.max_age(Duration::ZERO);
        on.spawn(move || {
            pool.fill(2).unwrap();
            assert_eq!(counts(&pool), [2, 3, 0]);
        })
        .join();
        assert_eq!(made.load(SeqCst), 2);
    });
}

#[test]
fn a_stack_gives_out_what_was_put_back_last() {
    both_ways(|_| {
        let pool = Pool::<u8, io::Error>::new(3, || unreachable!()).as_stack();
        (0..3).for_each(|item| pool.put(item).unwrap());
        assert_eq!(pool.put(3), Err(3));
        assert_eq!(*pool.get().unwrap(), 2);
        let [top, next] = [pool.get().unwrap(), pool.get().unwrap()];
        assert_eq!((*top, *next), (2, 1));
    });
}

#[test]
fn a_factory_that_fails_or_is_cut_short_takes_nothing() {
    both_ways(|_| {
        let works = Arc::new(AtomicBool::new(false));
        let working = works.clone();
        let pool = Pool::new(1, move || match working.load(SeqCst) {
            true => Ok("item"),
            false => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
        });
        for _ in 0..3 {
            let error = pool.get().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            assert!(pool.try_get().is_err() && pool.get_timeout(SHORT).is_err());
            assert!(pool.fill(1).is_err());
            assert_eq!(counts(&pool), [0, 1, 0]);
        }
        works.store(true, SeqCst);
        assert_eq!(*pool.get().unwrap(), "item");
        let slow = Pool::<(), io::Error>::new(1, || {
            thread::sleep(Duration::from_secs(60));
            Ok(())
        });
        assert!(timeout(SHORT, || slow.get().is_ok()).is_err());
        assert_eq!(counts(&slow), [0, 1, 0]);
        let panics = Pool::<(), io::Error>::new(1, || std::panic::resume_unwind(Box::new(0)));
        let get = || drop(panics.get());
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(get)).is_err());
        assert_eq!(counts(&panics), [0, 1, 0]);
    });
}

#[test]
fn getters_that_gave_up_keep_nobody_from_putting_back() {
    both_ways(|on| {
        let (pool, made) = numbers(1);
        let item = pool.get().unwrap();
        let began = Instant::now();
        assert!(pool.get_timeout(SHORT).unwrap().is_none());
        assert!(timeout(SHORT, || pool.get().is_ok()).is_err());
        assert!(began.elapsed() >= 2 * SHORT);
        assert!(pool.try_get().unwrap().is_none());
        let theirs = pool.clone();
        let victim = thread::spawn(move || drop(theirs.get()));
        wait_until("the victim", || pool.waiting() == 1);
        let theirs = pool.clone();
        let survivor = on.spawn(move || *theirs.get().unwrap());
        wait_until("the survivor", || pool.waiting() == 2);
        victim.kill().unwrap();
        drop(item);
        assert!(victim.join().is_err());
        assert_eq!((survivor.join(), made.load(SeqCst)), (0, 1));
        assert_eq!(counts(&pool), [1, 1, 0]);
    });
}

#[test]
fn a_broken_item_is_discarded_and_who_waits_makes_a_new_one() {
    both_ways(|on| {
        let (pool, _) = numbers(1);
        let broken = pool.get().unwrap();
        let theirs = pool.clone();
        let getter = on.spawn(move || *theirs.get().unwrap());
        wait_until("a getter", || pool.waiting() == 1);
        broken.discard();
        assert_eq!(getter.join(), 1);
        let detached = pool.get().unwrap().detach();
        assert_eq!((detached, counts(&pool)), (1, [0, 1, 0]));
        pool.put(detached).unwrap();
        assert_eq!(*pool.get().unwrap(), 1);
        assert_eq!(counts(&pool), [1, 1, 0]);
    });
}

#[test]
fn an_item_whose_use_was_cut_short_is_not_used_again() {
    both_ways(|_| {
        let (pool, _) = numbers(1);
        let cut = timeout(SHORT, || {
            let _item = pool.get().unwrap();
            thread::sleep(Duration::from_secs(60));
        });
        assert!(cut.is_err());
        assert_eq!(counts(&pool), [0, 1, 0]);
        assert_eq!(*pool.get().unwrap(), 1);
        let theirs = pool.clone();
        let user = thread::spawn(move || {
            let _item = theirs.get().unwrap();
            thread::sleep(Duration::from_secs(60));
        });
        wait_until("it is in use", || pool.free() == 0);
        user.kill().unwrap();
        assert!(user.join().is_err());
        assert_eq!(*pool.get().unwrap(), 2);
    });
}

#[test]
fn resize_serves_those_who_wait_and_drops_what_is_too_much() {
    both_ways(|on| {
        let (pool, _) = numbers(1);
        let first = pool.get().unwrap();
        let theirs = pool.clone();
        let getter = on.spawn(move || *theirs.get().unwrap());
        wait_until("a getter", || pool.waiting() == 1);
        pool.resize(3);
        assert_eq!(getter.join(), 1);
        let others = [pool.get().unwrap(), pool.get().unwrap()];
        assert_eq!(counts(&pool), [3, 0, 0]);
        pool.resize(1);
        drop(others);
        assert_eq!(counts(&pool), [1, 0, 0]);
        drop(first);
        assert_eq!((counts(&pool), pool.max_size()), ([1, 1, 0], 1));
        pool.resize(0);
        assert_eq!(counts(&pool), [0, 0, 0]);
        assert!(pool.try_get().unwrap().is_none());
        pool.resize(MAX_PERMITS);
        assert!(catch_unwind(AssertUnwindSafe(|| pool.resize(usize::MAX))).is_err());
        assert_eq!(pool.max_size(), MAX_PERMITS);
    });
}

#[test]
fn never_more_than_the_size_are_out() {
    both_ways(|on| {
        let (pool, made) = numbers(3);
        let users: Vec<_> = (0..8)
            .map(|number| {
                let pool = pool.clone();
                on.spawn(move || {
                    for round in 0..100 {
                        let item = pool.get().unwrap();
                        assert!(pool.size() <= 3);
                        if round % 7 == number % 7 {
                            thread::yield_now();
                            item.discard();
                        }
                    }
                })
            })
            .collect();
        users.into_iter().for_each(|user| user.join());
        assert!(pool.size() <= 3 && made.load(SeqCst) >= 8 * 14);
        assert_eq!((pool.free(), pool.waiting()), (3, 0));
    });
}

#[test]
fn what_is_too_old_or_was_idle_too_long_is_replaced() {
    both_ways(|_| {
        let (pool, made) = numbers(2);
        let pool = Arc::into_inner(pool).unwrap().max_idle(3 * SHORT);
        // One that is used often stays, unless this thread itself was away for too long.
        let (mut first, mut used) = (0, Instant::now());
        for _ in 0..6 {
            let uses = Instant::now();
            let number = *pool.get().unwrap();
            assert!(number == first || used.elapsed() >= 3 * SHORT);
            (first, used) = (number, uses);
            thread::sleep(SHORT / 2);
        }
        thread::sleep(4 * SHORT);
        assert_eq!(*pool.get().unwrap(), first + 1);
        let pool = pool.max_age(3 * SHORT);
        let begun = Instant::now();
        let mut seen = first + 1;
        while seen == first + 1 {
            seen = *pool.get().unwrap();
            thread::sleep(SHORT / 4);
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert_eq!(seen, first + 2);
        assert_eq!((made.load(SeqCst), counts(&pool)), (first + 3, [1, 2, 0]));
        // One whose age passes while it is out is not put back.
        let item = pool.get().unwrap();
        thread::sleep(4 * SHORT);
        drop(item);
        assert_eq!(counts(&pool), [0, 2, 0]);
    });
}

#[test]
fn a_check_that_says_no_panics_or_is_cut_short_drops_the_item_alone() {
    both_ways(|_| {
        let (pool, made) = numbers(3);
        let pool = Arc::into_inner(pool)
            .unwrap()
            .check(|number| match *number {
                0 => false,
                1 => std::panic::resume_unwind(Box::new("a check's panic")),
                2 => {
                    thread::park();
                    true
                }
                _ => true,
            });
        pool.fill(3).unwrap();
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.get().map(drop)));
        assert!(panicked.is_err());
        assert_eq!(counts(&pool), [1, 3, 0]);
        assert!(timeout(SHORT, || pool.get().map(drop)).is_err());
        assert_eq!(counts(&pool), [0, 3, 0]);
        assert_eq!(*pool.get().unwrap(), 3);
        assert_eq!(*pool.get().unwrap(), 3);
        assert_eq!((made.load(SeqCst), counts(&pool)), (4, [1, 3, 0]));
    });
}

/// What somebody panics with, whose drop panics in turn.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a payload that panics when it is dropped");
    }
}

#[test]
fn a_cleanup_decides_about_an_item_whose_user_unwinds() {
    both_ways(|_| {
        let (pool, _) = numbers(1);
        let limit = Duration::from_secs(1);
        let pool = Arc::into_inner(pool).unwrap().cleanup(limit, |number| {
            // As a rollback does, it waits.
            thread::sleep(Duration::from_millis(1));
            match *number {
                0 => {
                    *number = 7;
                    true
                }
                7 => false,
                1 => std::panic::resume_unwind(Box::new(Bomb)),
                _ => {
                    thread::park();
                    true
                }
            }
        });
        let unwind = || {
            let cut = timeout(Duration::from_millis(1), || {
                let _item = pool.get().unwrap();
                thread::park();
            });
            assert!(cut.is_err());
            counts(&pool)
        };
        assert_eq!(unwind(), [1, 1, 0]);
        assert_eq!(*pool.get().unwrap(), 7);
        // It says no, panics, and takes too long.
        assert_eq!(unwind(), [0, 1, 0]);
        assert_eq!(unwind(), [0, 1, 0]);
        let begun = Instant::now();
        assert_eq!(unwind(), [0, 1, 0]);
        assert!(begun.elapsed() >= limit);
        assert_eq!(*pool.get().unwrap(), 3);
    });
}
