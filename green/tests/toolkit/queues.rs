//! `green::queue` and the capped semaphore, on green threads and OS threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::queue::{Empty, Full, LifoQueue, LightQueue, NothingOutstanding, PriorityQueue, Queue};
use green::semaphore::CappedSemaphore;
use green::{thread, timeout};
use test_support::net::{On, both_ways, wait_until};

const SHORT: Duration = Duration::from_millis(20);
const FOR_EVER: Duration = Duration::from_secs(60);

#[test]
fn queues_give_out_in_their_order() {
    both_ways(|_| {
        let items = [3, 1, 2, 1];
        let (queue, light) = (Queue::new(), LightQueue::new());
        let (lifo, priority) = (LifoQueue::new(), PriorityQueue::new());
        for item in items {
            queue.put(item);
            light.put(item);
            lifo.put(item);
            priority.put(item);
        }
        assert_eq!(items.map(|_| queue.get()), [3, 1, 2, 1]);
        assert_eq!(items.map(|_| light.get()), [3, 1, 2, 1]);
        assert_eq!(items.map(|_| lifo.get()), [1, 2, 1, 3]);
        assert_eq!(items.map(|_| priority.get()), [1, 1, 2, 3]);
        assert_eq!(priority.try_get(), Err(Empty));
    });
}

/// Items that compare as equal, and are not.
#[derive(Debug)]
struct Same(u32);

impl PartialEq for Same {
    fn eq(&self, _: &Same) -> bool {
        true
    }
}
impl Eq for Same {}
impl PartialOrd for Same {
    fn partial_cmp(&self, other: &Same) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Same {
    fn cmp(&self, _: &Same) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

#[test]
fn a_priority_queue_keeps_equal_items_in_order() {
    let queue = PriorityQueue::new();
    (0..100).for_each(|number| queue.put(Same(number)));
    for number in 0..100 {
        assert_eq!(queue.get().0, number);
    }
}

#[test]
fn getters_are_served_in_the_order_in_which_they_came() {
    both_ways(|on| {
        let queue = Arc::new(Queue::new());
        let getters: Vec<_> = (0..10)
            .map(|number| {
                let theirs = queue.clone();
                let getter = on.spawn(move || theirs.get());
                wait_until("one more getter", || queue.getting() == number + 1);
                getter
            })
            .collect();
        (0..10).for_each(|item| queue.put(item));
        let got: Vec<_> = getters.into_iter().map(|getter| getter.join()).collect();
        assert_eq!(got, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });
}

#[test]
fn a_release_at_the_cap_waits_until_somebody_acquires() {
    both_ways(|on| {
        assert!(std::panic::catch_unwind(|| CappedSemaphore::new(2, 1)).is_err());
        let semaphore = Arc::new(CappedSemaphore::new(0, 1));
        assert!(!semaphore.try_acquire() && !semaphore.acquire_timeout(SHORT));
        semaphore.release();
        assert!(!semaphore.try_release() && !semaphore.release_timeout(SHORT));
        assert_eq!((semaphore.available(), semaphore.releasing()), (1, 0));
        let theirs = semaphore.clone();
        let releaser = on.spawn(move || theirs.release());
        wait_until("a releaser", || semaphore.releasing() == 1);
        semaphore.acquire();
        releaser.join();
        assert_eq!(semaphore.available(), 1);
        drop(semaphore.permit());
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn a_cap_of_zero_is_a_rendezvous() {
    both_ways(|on| {
        let semaphore = Arc::new(CappedSemaphore::new(0, 0));
        assert!(!semaphore.release_timeout(SHORT) && !semaphore.try_acquire());
        let theirs = semaphore.clone();
        let acquirer = on.spawn(move || theirs.acquire());
        wait_until("an acquirer", || semaphore.acquiring() == 1);
        assert!(semaphore.try_release());
        acquirer.join();
        assert_eq!(semaphore.available(), 0);
    });
}

#[test]
fn what_a_dead_waiter_waited_for_goes_to_a_living_one_or_stays() {
    both_ways(|on| {
        let queue = Arc::new(Queue::new());
        let began = Instant::now();
        assert_eq!(queue.get_timeout(SHORT), Err(Empty));
        assert!(began.elapsed() >= SHORT);
        assert!(timeout(SHORT, || queue.get()).is_err());
        let theirs = queue.clone();
        let victim = thread::spawn(move || theirs.get());
        wait_until("the victim", || queue.getting() == 1);
        let theirs = queue.clone();
        let survivor = on.spawn(move || theirs.get());
        wait_until("the survivor", || queue.getting() == 2);
        victim.kill().unwrap();
        queue.put(1);
        queue.put(2);
        assert!(green::Killed::caused(&*victim.join().unwrap_err()));
        assert_eq!((survivor.join(), queue.get()), (1, 2));
        assert_eq!((queue.getting(), queue.len()), (0, 0));
    });
}

#[test]
fn a_putter_stops_at_the_bound_and_goes_on_after_a_get() {
    both_ways(|on| {
        let queue = Arc::new(Queue::bounded(2));
        let theirs = queue.clone();
        let putter = on.spawn(move || (0..4).for_each(|item| theirs.put(item)));
        wait_until("a putter at the bound", || queue.putting() == 1);
        assert!(queue.is_full() && queue.len() == 2);
        assert_eq!(queue.try_put(9), Err(Full(9)));
        assert_eq!(queue.get(), 0);
        wait_until("it goes on", || queue.putting() == 1);
        assert_eq!([1, 2, 3].map(|_| queue.get()), [1, 2, 3]);
        putter.join();
        assert!(queue.is_empty());
    });
}

#[test]
fn more_room_serves_putters_and_less_keeps_the_items() {
    both_ways(|on| {
        let queue = Arc::new(Queue::bounded(1));
        queue.put(0);
        let putters: Vec<_> = (1..4)
            .map(|item| {
                let theirs = queue.clone();
                let putter = on.spawn(move || theirs.put(item));
                wait_until("one more putter", || queue.putting() == item);
                putter
            })
            .collect();
        queue.resize(Some(3));
        assert_eq!((queue.len(), queue.putting()), (3, 1));
        queue.resize(None);
        putters.into_iter().for_each(|putter| putter.join());
        queue.resize(Some(2));
        assert_eq!((queue.len(), queue.is_full()), (4, true));
        assert_eq!(queue.put_timeout(9, SHORT), Err(Full(9)));
        assert_eq!([(); 4].map(|()| queue.get()), [0, 1, 2, 3]);
    });
}

#[test]
fn a_rendezvous_put_returns_after_a_get_took_it() {
    both_ways(|on| {
        let queue = Arc::new(LightQueue::bounded(0));
        assert_eq!(queue.try_put("nobody"), Err(Full("nobody")));
        let began = Instant::now();
        assert_eq!(queue.put_timeout("late", SHORT), Err(Full("late")));
        assert!(began.elapsed() >= SHORT);
        assert!(timeout(SHORT, || queue.put("cut")).is_err());
        // None of them left anything.
        assert_eq!(queue.try_get(), Err(Empty));
        let theirs = queue.clone();
        let putter = on.spawn(move || theirs.put("it"));
        wait_until("a putter", || queue.putting() == 1);
        assert!(!putter.is_finished());
        assert_eq!(queue.try_get(), Ok("it"));
        putter.join();
        let theirs = queue.clone();
        let getter = on.spawn(move || theirs.get_timeout(FOR_EVER));
        wait_until("a getter", || queue.getting() == 1);
        queue.try_put("now").unwrap();
        assert_eq!(getter.join(), Ok("now"));
        assert_eq!((queue.len(), queue.is_full()), (0, true));
    });
}

#[test]
fn a_put_that_does_not_wait_reaches_none_of_those_who_are_dying() {
    both_ways(|_| {
        let queue = Arc::new(LightQueue::<u32>::bounded(0));
        let victims: Vec<_> = (0..4)
            .map(|_| {
                let theirs = queue.clone();
                thread::spawn(move || theirs.get())
            })
            .collect();
        wait_until("four getters", || queue.getting() == 4);
        for victim in &victims {
            victim.kill().unwrap();
        }
        // Whether they have left the queue already or not.
        assert_eq!(queue.try_put(1), Err(Full(1)));
        for victim in victims {
            assert!(green::Killed::caused(&*victim.join().unwrap_err()));
        }
        assert_eq!(queue.try_get(), Err(Empty));
    });
}

/// Nobody's code runs in a hub's own context. What comes nearest is a link, which runs while its
/// green thread ends.
#[test]
fn a_put_and_a_get_that_do_not_wait_work_while_a_green_thread_ends() {
    both_ways(|on| {
        let queue = Arc::new(Queue::bounded(1));
        let rendezvous = Arc::new(LightQueue::bounded(0));
        let theirs = rendezvous.clone();
        let getter = on.spawn(move || theirs.get());
        wait_until("a getter", || rendezvous.getting() == 1);
        let (say, hear) = std::sync::mpsc::channel();
        let ending = thread::spawn(thread::park);
        let (bounded, met) = (queue.clone(), rendezvous.clone());
        ending.link(move |_| {
            let puts = [bounded.try_put(7), bounded.try_put(8), met.try_put(9)];
            let gets = [bounded.try_get(), bounded.try_get(), met.try_get()];
            let _ = say.send((puts, gets));
        });
        ending.thread().unpark();
        ending.join().unwrap();
        let puts = [Ok(()), Err(Full(8)), Ok(())];
        let gets = [Ok(7), Err(Empty), Err(Empty)];
        assert_eq!(hear.recv(), Ok((puts, gets)));
        assert_eq!(getter.join(), 9);
    });
}

#[test]
fn what_a_getter_panics_with_is_its_own() {
    both_ways(|on| {
        let queue = Arc::new(Queue::new());
        let theirs = queue.clone();
        let getter = thread::spawn(move || {
            let item: u32 = theirs.get();
            std::panic::resume_unwind(Box::new(item));
        });
        wait_until("a getter", || queue.getting() == 1);
        let theirs = queue.clone();
        on.spawn(move || theirs.put(6)).join();
        assert_eq!(*getter.join().unwrap_err().downcast::<u32>().unwrap(), 6);
        queue.put(7);
        assert_eq!(queue.get(), 7);
    });
}

#[test]
fn join_returns_when_every_item_was_called_done() {
    both_ways(|on| {
        let queue = Arc::new(Queue::new());
        queue.join();
        assert_eq!(queue.task_done(), Err(NothingOutstanding));
        (0..3).for_each(|item| queue.put(item));
        assert_eq!(queue.unfinished(), 3);
        let theirs = queue.clone();
        let joiner = on.spawn(move || theirs.join());
        for _ in 0..3 {
            queue.get();
            assert!(!joiner.is_finished());
            assert!(!queue.join_timeout(Duration::from_millis(1)));
            queue.task_done().unwrap();
        }
        joiner.join();
        assert!(queue.join_timeout(FOR_EVER));
        assert_eq!(queue.task_done(), Err(NothingOutstanding));
    });
}

#[test]
fn what_was_not_put_is_not_waited_for() {
    both_ways(|_| {
        let queue = Queue::bounded(1);
        queue.put(1);
        assert!(queue.try_put(2).is_err() && queue.put_timeout(2, SHORT).is_err());
        assert!(timeout(SHORT, || queue.put(2)).is_err());
        assert_eq!(queue.unfinished(), 1);
        queue.get();
        queue.task_done().unwrap();
        queue.join();
    });
}

/// Every item arrives once, and each putter's in its order, whoever puts and gets; and all of them
/// find the queue at its end in the state it began in.
fn all_arrive(on: On, capacity: Option<usize>) {
    const EACH: usize = 500;
    let queue = Arc::new(match capacity {
        Some(capacity) => Queue::bounded(capacity),
        None => Queue::new(),
    });
    let putters: Vec<_> = (0..4)
        .map(|putter| {
            let queue = queue.clone();
            let body = move || (0..EACH).for_each(|number| queue.put((putter, number)));
            // Both kinds at once.
            match putter % 2 {
                0 => on.spawn(body),
                _ => On::GreenThreads.spawn(body),
            }
        })
        .collect();
    let taken = Arc::new(AtomicUsize::new(0));
    let getters: Vec<_> = (0..3)
        .map(|_| {
            let (queue, taken) = (queue.clone(), taken.clone());
            on.spawn(move || {
                let mut last = [None; 4];
                while taken.fetch_add(1, SeqCst) < 4 * EACH {
                    let (putter, number) = queue.get();
                    assert!(last[putter] < Some(number), "{last:?} before {number}");
                    last[putter] = Some(number);
                    queue.task_done().unwrap();
                }
            })
        })
        .collect();
    putters.into_iter().for_each(|putter| putter.join());
    queue.join();
    getters.into_iter().for_each(|getter| getter.join());
    assert_eq!((queue.len(), queue.getting(), queue.putting()), (0, 0, 0));
}

#[test]
fn every_item_arrives_once_and_in_its_putters_order() {
    both_ways(|on| {
        for capacity in [None, Some(0), Some(1), Some(7)] {
            all_arrive(on, capacity);
        }
    });
}

#[test]
fn others_run_while_a_getter_waits() {
    both_ways(|on| {
        let queue = Arc::new(Queue::<u32>::new());
        let ran = Arc::new(AtomicBool::new(false));
        let theirs = queue.clone();
        let getter = on.spawn(move || theirs.get());
        wait_until("a getter", || queue.getting() == 1);
        let runs = ran.clone();
        on.spawn(move || runs.store(true, SeqCst)).join();
        assert!(ran.load(SeqCst) && !getter.is_finished());
        queue.put(1);
        assert_eq!(getter.join(), 1);
    });
}

#[test]
fn a_queue_that_is_shut_down_gives_out_what_is_in_it_and_takes_no_more() {
    both_ways(|on| {
        let queue = Arc::new(Queue::new());
        let getters: Vec<_> = (0..3)
            .map(|_| {
                let theirs = queue.clone();
                on.spawn(move || theirs.iter().collect::<Vec<u32>>())
            })
            .collect();
        wait_until("three getters", || queue.getting() == 3);
        (0..100).for_each(|item| queue.put(item));
        queue.shutdown();
        queue.shutdown();
        let mut got: Vec<_> = getters
            .into_iter()
            .flat_map(|getter| getter.join())
            .collect();
        got.sort_unstable();
        assert_eq!(got, (0..100).collect::<Vec<_>>());
        assert_eq!(queue.try_put(1), Err(Full(1)));
        assert_eq!(queue.put_timeout(1, FOR_EVER), Err(Full(1)));
        assert_eq!(queue.try_get(), Err(Empty));
        assert_eq!(queue.get_timeout(FOR_EVER), Err(Empty));
        // Neither counts what was refused.
        assert_eq!(queue.unfinished(), 100);
        let theirs = queue.clone();
        assert!(std::panic::catch_unwind(move || theirs.put(1)).is_err());
        let theirs = queue.clone();
        assert!(std::panic::catch_unwind(move || theirs.get()).is_err());
    });
}

#[test]
fn who_waits_to_put_when_a_queue_is_shut_down_keeps_the_item() {
    both_ways(|on| {
        for capacity in [0, 1] {
            let queue = Arc::new(Queue::bounded(capacity));
            (0..capacity).for_each(|item| queue.put(item));
            let putters: Vec<_> = (7..10)
                .map(|item| {
                    let theirs = queue.clone();
                    on.spawn(move || theirs.put_timeout(item, FOR_EVER))
                })
                .collect();
            wait_until("three putters", || queue.putting() == 3);
            queue.shutdown();
            let refused: Vec<_> = putters.into_iter().map(|putter| putter.join()).collect();
            assert_eq!(refused, [Err(Full(7)), Err(Full(8)), Err(Full(9))]);
            assert_eq!(queue.iter().count(), capacity);
            assert_eq!((queue.putting(), queue.unfinished()), (0, capacity));
            queue.resize(None);
            assert_eq!(queue.try_put(1), Err(Full(1)));
        }
    });
}

#[test]
fn a_shutdown_at_once_hands_out_the_rest_and_ends_the_joins() {
    both_ways(|on| {
        let queue = Arc::new(PriorityQueue::new());
        for item in [3, 1, 2] {
            queue.put(item);
        }
        assert_eq!(queue.get(), 1);
        let theirs = queue.clone();
        let joiner = on.spawn(move || theirs.join());
        assert_eq!(queue.shutdown_now(), [2, 3]);
        // The one that was got is worked on still.
        assert!(!queue.join_timeout(Duration::from_millis(1)));
        queue.task_done().unwrap();
        joiner.join();
        assert_eq!(queue.shutdown_now(), [0; 0]);
        assert_eq!(queue.task_done(), Err(NothingOutstanding));
    });
}

#[test]
fn a_shutdown_loses_nothing_whoever_puts_and_gets_meanwhile() {
    both_ways(|on| {
        for capacity in [None, Some(0), Some(2)] {
            let queue = Arc::new(capacity.map_or_else(LifoQueue::new, LifoQueue::bounded));
            let putters: Vec<_> = (0..4)
                .map(|_| {
                    let theirs = queue.clone();
                    on.spawn(move || {
                        let put = |_: &u32| theirs.put_timeout(1, FOR_EVER).is_ok();
                        (0..).take_while(put).count()
                    })
                })
                .collect();
            let getters: Vec<_> = (0..4)
                .map(|_| {
                    let theirs = queue.clone();
                    On::GreenThreads.spawn(move || theirs.iter().count())
                })
                .collect();
            thread::sleep(SHORT);
            queue.shutdown();
            let put: usize = putters.into_iter().map(|putter| putter.join()).sum();
            let got: usize = getters.into_iter().map(|getter| getter.join()).sum();
            assert_eq!((put, queue.len()), (got, 0));
        }
    });
}
