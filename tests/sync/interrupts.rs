//! Locks, queues and semaphores whose waiters are killed or run out of time: nothing is lost.
//! And what both kinds of threads are owed alike.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::Deadline;
use green::channel::{self, Receiver, Sender};
use green::queue::{PriorityQueue, Queue};
use green::semaphore::Semaphore;
use green::sync::{Condvar, Mutex, RwLock, mpsc};
use green::{thread, timeout};
use test_support::net::{On, both_ways, settle, wait_until};
use test_support::random::Random;

const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

/// Something that holds tokens: `give` and `take` may wait.
trait Pool: Send + Sync {
    fn give(&self);
    fn take(&self);
    fn try_take(&self) -> bool;
}

impl Pool for Semaphore {
    fn give(&self) {
        self.release();
    }

    fn take(&self) {
        assert!(self.acquire(Deadline::NEVER), "there is no limit");
    }

    fn try_take(&self) -> bool {
        self.try_acquire()
    }
}

impl Pool for (Mutex<usize>, Condvar) {
    fn give(&self) {
        *self.0.lock().unwrap() += 1;
        self.1.notify_one();
    }

    fn take(&self) {
        let tokens = self.0.lock().unwrap();
        *self.1.wait_while(tokens, |tokens| *tokens == 0).unwrap() -= 1;
    }

    fn try_take(&self) -> bool {
        let mut tokens = self.0.lock().unwrap();
        let some = *tokens > 0;
        *tokens -= usize::from(some);
        some
    }
}

/// Tokens behind a read-write lock, which is waited for both ways.
impl Pool for (RwLock<usize>, Semaphore) {
    fn give(&self) {
        *self.0.write().unwrap() += 1;
        self.1.release();
    }

    fn take(&self) {
        drop(self.0.read().unwrap());
        self.1.take();
    }

    fn try_take(&self) -> bool {
        self.1.try_acquire()
    }
}

impl Pool for (Sender<()>, Receiver<()>) {
    fn give(&self) {
        self.0.send(()).unwrap();
    }

    fn take(&self) {
        self.1.recv().unwrap();
    }

    fn try_take(&self) -> bool {
        self.1.try_recv().is_ok()
    }
}

/// A receiver of std's kind belongs to one thread at a time.
impl Pool for (mpsc::SyncSender<()>, Mutex<mpsc::Receiver<()>>) {
    fn give(&self) {
        self.0.send(()).unwrap();
    }

    fn take(&self) {
        // A holder that is interrupted poisons, which says nothing of the channel.
        let receiver = self.1.lock().unwrap_or_else(|poison| poison.into_inner());
        receiver.recv().unwrap();
    }

    fn try_take(&self) -> bool {
        let receiver = self.1.lock().unwrap_or_else(|poison| poison.into_inner());
        receiver.try_recv().is_ok()
    }
}

macro_rules! queues_of_tokens {
    ($($queue:ty),+) => {$(
        impl Pool for $queue {
            fn give(&self) {
                self.put(());
            }

            fn take(&self) {
                self.get();
            }

            fn try_take(&self) -> bool {
                self.try_get().is_ok()
            }
        }
    )+};
}

queues_of_tokens!(Queue<()>, PriorityQueue<()>);

#[derive(Default)]
struct Counts {
    given: AtomicUsize,
    /// Cut short; the token may have arrived all the same.
    cut: AtomicUsize,
    taken: AtomicUsize,
}

/// Every wait of the green threads has a limit of some microseconds, some of them are killed, and
/// OS threads wait beside them. Each token is taken once or still there.
fn stress(seed: u64, pool: impl Pool + 'static) {
    let shared = Arc::new((pool, Counts::default()));
    let (pool, counts) = &*shared;
    let worker = |number: u64, green: bool, gives: bool| {
        let shared = Arc::clone(&shared);
        move || {
            let (pool, counts) = &*shared;
            let (act, count) = match gives {
                true => (Pool::give as fn(&_), &counts.given),
                false => (Pool::take as fn(&_), &counts.taken),
            };
            let mut random = Random::of(seed, number);
            let mut left = if gives { 300 } else { 100 };
            while left > 0 {
                let mut done = false;
                let mut attempt = || {
                    act(pool);
                    count.fetch_add(1, SeqCst);
                    done = true;
                };
                if green {
                    let limit = Duration::from_micros(random.below(300));
                    let ended =
                        catch_unwind(AssertUnwindSafe(|| timeout(limit, &mut attempt).is_ok()));
                    if !done && gives {
                        counts.cut.fetch_add(1, SeqCst);
                    }
                    if let Err(killed) = ended {
                        std::panic::resume_unwind(killed);
                    }
                } else {
                    attempt();
                }
                left -= usize::from(done);
            }
        }
    };
    let green = |range: std::ops::Range<u64>, gives| -> Vec<_> {
        range
            .map(|number| thread::spawn(worker(number, true, gives)))
            .collect()
    };
    let (takers, givers) = (green(0..6, false), green(10..13, true));
    let os_takers = [8, 9].map(|number| std::thread::spawn(worker(number, false, false)));
    let os_giver = std::thread::spawn(worker(14, false, true));
    let mut random = Random::new(seed);
    for victim in [&takers[0], &givers[0], &takers[1]] {
        thread::sleep(Duration::from_micros(random.below(2000)));
        victim.kill().unwrap();
    }
    for (number, taker) in takers.into_iter().enumerate() {
        assert!(taker.join().is_ok() || number < 2, "taker {number}");
    }
    for taker in os_takers {
        taker.join().unwrap();
    }
    // A rendezvous needs somebody who takes.
    let mut left = 0;
    while !(os_giver.is_finished() && givers.iter().all(thread::JoinHandle::is_finished)) {
        match pool.try_take() {
            true => left += 1,
            false => thread::sleep(Duration::from_micros(50)),
        }
    }
    os_giver.join().unwrap();
    for (number, giver) in givers.into_iter().enumerate() {
        assert!(giver.join().is_ok() || number < 1, "giver {number}");
    }
    while pool.try_take() {
        left += 1;
    }
    let [given, cut, taken] = [&counts.given, &counts.cut, &counts.taken].map(|it| it.load(SeqCst));
    let found = taken + left;
    assert!(
        given <= found && found <= given + cut,
        "seed {seed}: {given} given, {cut} cut short, {taken} taken, {left} left"
    );
}

macro_rules! stressed {
    ($($name:ident: $pool:expr;)+) => {$(
        #[test]
        fn $name() {
            for seed in [1, 42, 1977] {
                test_support::bounded(stringify!($name), LIMIT, || stress(seed, $pool));
            }
        }
    )+};
}

stressed! {
    kills_and_limits_lose_nothing_of_a_semaphore: Semaphore::new(0);
    kills_and_limits_lose_nothing_of_a_condvar_and_mutex: (Mutex::new(0), Condvar::new());
    kills_and_limits_lose_nothing_of_a_rwlock: (RwLock::new(0), Semaphore::new(0));
    kills_and_limits_lose_nothing_of_a_channel_of_zero: channel::bounded(0);
    kills_and_limits_lose_nothing_of_a_channel_of_one: channel::bounded(1);
    kills_and_limits_lose_nothing_of_an_unbounded_channel: channel::unbounded();
    kills_and_limits_lose_nothing_of_a_queue: Queue::new();
    kills_and_limits_lose_nothing_of_a_queue_of_one: Queue::bounded(1);
    kills_and_limits_lose_nothing_of_a_priority_queue_of_three: PriorityQueue::bounded(3);
    kills_and_limits_lose_nothing_of_a_rendezvous: Queue::bounded(0);
    kills_and_limits_lose_nothing_of_an_mpsc_of_zero: shared_receiver(mpsc::sync_channel(0));
    kills_and_limits_lose_nothing_of_an_mpsc_of_two: shared_receiver(mpsc::sync_channel(2));
}

fn shared_receiver<S, R>((sender, receiver): (S, R)) -> (S, Mutex<R>) {
    (sender, Mutex::new(receiver))
}

#[test]
fn a_putter_stops_at_the_bound_and_goes_on_after_a_get() {
    both_ways(|on| {
        let (sender, receiver) = mpsc::sync_channel(2);
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let putter = on.spawn(move || {
            for value in 0..5 {
                sender.send(value).unwrap();
                count.fetch_add(1, SeqCst);
            }
        });
        for got in 0..5 {
            let reached = (got + 2).min(5);
            wait_until("the putter is at the bound", || {
                sent.load(SeqCst) == reached
            });
            settle();
            assert_eq!(sent.load(SeqCst), reached, "it went past the bound");
            assert_eq!(receiver.recv(), Ok(got));
        }
        putter.join();
    });
}

#[test]
fn a_put_returns_only_after_a_get_and_one_out_of_time_leaves_nothing() {
    both_ways(|on| {
        let (sender, receiver) = channel::bounded(0);
        let start = Instant::now();
        assert!(sender.send_timeout(1, SHORT).unwrap_err().is_timeout());
        assert!(start.elapsed() >= SHORT);
        assert!(receiver.try_recv().is_err(), "it left something");
        let putting = sender.clone();
        let putter = on.spawn(move || putting.send(2));
        settle();
        assert!(!putter.is_finished());
        assert_eq!(receiver.recv(), Ok(2));
        putter.join().unwrap();
        assert!(sender.try_send(3).is_err(), "nobody takes it");
    });
}

#[test]
fn a_getter_that_timed_out_is_not_served() {
    both_ways(|on| {
        let (sender, receiver) = channel::unbounded();
        let waiting = receiver.clone();
        let gave_up = on.spawn(move || waiting.recv_timeout(SHORT).is_err());
        assert!(gave_up.join());
        sender.send(1).unwrap();
        assert_eq!(receiver.try_recv(), Ok(1));
    });
}

#[test]
fn a_getter_that_dies_of_what_it_got_does_not_touch_the_putter() {
    both_ways(|on| {
        let (sender, receiver) = channel::bounded::<u8>(0);
        let getter = on.spawn(move || {
            let died = catch_unwind(AssertUnwindSafe(|| {
                let value = receiver.recv().unwrap();
                std::panic::panic_any(value);
            }));
            *died.unwrap_err().downcast::<u8>().unwrap()
        });
        settle();
        sender.send(7).unwrap();
        assert_eq!(getter.join(), 7);
        assert!(sender.send(8).is_err(), "its receiver is gone");
    });
}

#[test]
fn a_condition_is_handed_to_and_fro_and_join_really_waits() {
    both_ways(|on: On| {
        let shared = Arc::new((Mutex::new(0_u32), Condvar::new()));
        let players = [0, 1].map(|mine| {
            let shared = Arc::clone(&shared);
            on.spawn(move || {
                for _ in 0..200 {
                    let turn = shared.0.lock().unwrap();
                    let mut turn = shared.1.wait_while(turn, |turn| *turn % 2 != mine).unwrap();
                    *turn += 1;
                    shared.1.notify_one();
                }
            })
        });
        players.into_iter().for_each(test_support::net::Task::join);
        assert_eq!(*shared.0.lock().unwrap(), 400);
        let start = Instant::now();
        on.spawn(|| thread::sleep(SHORT)).join();
        assert!(start.elapsed() >= SHORT);
    });
}
