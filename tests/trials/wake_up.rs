//! A lock, permit or item that is given up just as the first who waits for it dies goes to the next.

use green::channel::{self, Receiver, Select, Sender};
use green::event::Event;
use green::pools::Pool;
use green::queue::Queue;
use green::semaphore::{CappedSemaphore, Semaphore};
use green::sync::{Condvar, Mutex, RwLock};

use std::sync::atomic::AtomicBool;

use super::*;
use test_support::child::alone;

/// Rounds of one process.
const CHUNK: u64 = 2_500;
/// A waiter that is not woken for so long never will be.
const LOST: Duration = Duration::from_secs(20);

/// Something that one thread at a time has.
type Hold = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// One for each kind of wait.
fn holds() -> Vec<(&'static str, Hold)> {
    fn hold(f: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static) -> Hold {
        Arc::new(f)
    }
    let (mutex, shared, permit) = (Mutex::new(()), RwLock::new(()), Semaphore::new(1));
    let (sender, receiver) = channel::bounded(1);
    sender.send(()).unwrap();
    let queue = Queue::bounded(1);
    queue.put(());
    let mutex = hold(move |inside| {
        let _held = mutex.lock();
        inside();
    });
    let (read, is_written) = (RwLock::new(()), AtomicBool::new(false));
    let (capped, to_the_cap) = (CappedSemaphore::new(1, 1), CappedSemaphore::new(0, 1));
    let (fills, empties) = channel::bounded(1);
    let full = Queue::bounded(1);
    let (busy, is_free) = (Mutex::new(false), Condvar::new());
    let pool: Pool<()> = Pool::new(1, || Ok(()));
    let (met, to_meet) = lent_by_rendezvous();
    let (puts, selected) = channel::bounded(1);
    puts.send(()).unwrap();
    let (silent, nothing) = channel::bounded::<()>(0);
    let (sent, is_taken) = (Event::new(), AtomicBool::new(false));
    sent.send(()).unwrap();
    vec![
        ("Mutex", mutex),
        (
            "RwLock",
            hold(move |inside| {
                let _held = shared.write();
                inside();
            }),
        ),
        (
            "Semaphore",
            hold(move |inside| {
                let _held = permit.permit();
                inside();
            }),
        ),
        (
            "channel",
            hold(move |inside| {
                receiver.recv().unwrap();
                inside();
                sender.send(()).unwrap();
            }),
        ),
        (
            "Queue",
            hold(move |inside| {
                queue.get();
                inside();
                queue.put(());
            }),
        ),
        (
            "RwLock, read",
            hold(move |inside| {
                // Who comes first writes, the others read.
                if is_written.swap(true, SeqCst) {
                    drop(read.read());
                } else {
                    let _held = read.write();
                    inside();
                    is_written.store(false, SeqCst);
                }
            }),
        ),
        (
            "CappedSemaphore",
            hold(move |inside| {
                let _held = capped.permit();
                inside();
            }),
        ),
        (
            "CappedSemaphore at its cap",
            hold(move |inside| {
                to_the_cap.release();
                inside();
                to_the_cap.acquire();
            }),
        ),
        (
            "full channel",
            hold(move |inside| {
                fills.send(()).unwrap();
                inside();
                empties.recv().unwrap();
            }),
        ),
        (
            "full Queue",
            hold(move |inside| {
                full.put(());
                inside();
                full.get();
            }),
        ),
        (
            "Condvar",
            hold(move |inside| {
                let free = is_free.wait_while(busy.lock().unwrap(), |busy| *busy);
                *free.unwrap() = true;
                inside();
                *busy.lock().unwrap() = false;
                is_free.notify_one();
            }),
        ),
        (
            "Pool",
            hold(move |inside| {
                let _item = pool.get().unwrap();
                inside();
            }),
        ),
        (
            "rendezvous channel",
            hold(move |inside| {
                met.recv().unwrap();
                inside();
                to_meet.send(()).unwrap();
            }),
        ),
        (
            "Select",
            hold(move |inside| {
                let _open = &silent;
                let mut either = Select::new();
                let first = either.recv(&nothing);
                either.recv(&selected);
                let ready = either.select();
                assert_ne!(ready.index(), first);
                ready.recv(&selected).unwrap();
                inside();
                puts.send(()).unwrap();
            }),
        ),
        (
            "ReentrantLock of a standard stream",
            hold(|inside| {
                let _held = green::io::stdin().lock();
                inside();
            }),
        ),
        (
            "Event",
            hold(move |inside| {
                // Wakes all, one of whom takes it.
                while sent.wait().is_err() || is_taken.swap(true, SeqCst) {
                    greenhub::green_thread::yield_now();
                }
                let _ = sent.reset();
                inside();
                is_taken.store(false, SeqCst);
                let _ = sent.send(());
            }),
        ),
    ]
}

/// What a thread without green threads gives by a channel without room, as soon as it has it back.
fn lent_by_rendezvous() -> (Receiver<()>, Sender<()>) {
    let (gives, takes) = channel::bounded(0);
    let (back, is_back) = channel::bounded(1);
    std::thread::spawn(move || while gives.send(()).is_ok() && is_back.recv().is_ok() {});
    (takes, back)
}

fn spin_until(at: Instant) {
    while Instant::now() < at {
        std::hint::spin_loop();
    }
}

/// One holder, two who wait on other hubs; the first of them dies about when the
/// holder lets go.
fn rounds(rounds: u64, mut random: Random, by_kill: bool) {
    let hubs = greenhub::hub_count().unwrap();
    let holds = holds();
    let (send, due) =
        std::sync::mpsc::sync_channel::<(Instant, greenhub::green_thread::JoinHandle<_>)>(1);
    let killer = std::thread::spawn(move || {
        let mut died = 0u64;
        for (at, victim) in due {
            spin_until(at);
            victim.kill().unwrap();
            died += u64::from(victim.join().is_err());
        }
        died
    });
    let mut died = 0;
    for round in 0..rounds {
        // Each other round is the mutex's.
        let other = random.below(2) * random.below(holds.len() as u64);
        let (name, hold) = &holds[other as usize];
        let limit = if by_kill { LOST } else { 150 * MICROSECOND };
        let near = |random: &mut Random| {
            Instant::now() + 10 * MICROSECOND + Duration::from_nanos(random.below(20_000))
        };
        let (queued, first_began) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let began = Instant::now();
        let (mut first, mut second) = (None, None);
        hold(&mut || {
            let (theirs, note, at) = (hold.clone(), queued.clone(), first_began.clone());
            let waits = move || {
                let wait = || {
                    at.store(began.elapsed().as_nanos() as u64, SeqCst);
                    note.fetch_add(1, SeqCst);
                    theirs(&mut || ());
                };
                greenhub::timeout(limit, wait).is_err()
            };
            first = Some(Builder::new().hub(1).spawn(waits).unwrap());
            while queued.load(SeqCst) == 0 {
                std::thread::yield_now();
            }
            let (theirs, note) = (hold.clone(), queued.clone());
            let waits = move || {
                note.fetch_add(1, SeqCst);
                theirs(&mut || ());
            };
            second = Some(Builder::new().hub(hubs - 1).spawn(waits).unwrap());
            while queued.load(SeqCst) < 2 {
                std::thread::yield_now();
            }
            if by_kill {
                send.send((near(&mut random), first.take().unwrap()))
                    .unwrap();
                spin_until(near(&mut random));
            } else {
                let passes = began + Duration::from_nanos(first_began.load(SeqCst)) + limit;
                let early = Duration::from_nanos(random.below(20_000));
                spin_until(passes + 15 * MICROSECOND - early);
            }
        });
        let second = second.unwrap();
        assert!(
            second.wait_timeout(LOST),
            "{name}, round {round}: the next was not woken"
        );
        second.join().unwrap();
        died += first.map_or(0, |first| u64::from(first.join().unwrap()));
    }
    drop(send);
    died += killer.join().unwrap();
    assert!(died > 0, "nobody died, so that nothing was tried");
}

fn trial(name: &str, hubs: &str, by_kill: bool) {
    let full = Trial::new("wake-ups", CHUNK, 200_000);
    for chunk in 0..full.rounds / CHUNK {
        let seed = full.seed.wrapping_add(chunk);
        let environment = [("GREEN_HUBS", hubs), ("GREEN_SEED", &seed.to_string())];
        alone(name, &environment, || {
            rounds(CHUNK, Random::new(test_support::random::seed()), by_kill)
        })
        .well();
    }
    println!(
        "{name}: seed {}, {} rounds, none lost",
        full.seed, full.rounds
    );
}

#[test]
fn a_wake_up_outlives_a_limit_on_two_hubs() {
    trial(
        "wake_up::a_wake_up_outlives_a_limit_on_two_hubs",
        "2",
        false,
    );
}

#[test]
fn a_wake_up_outlives_a_kill_on_two_hubs() {
    trial("wake_up::a_wake_up_outlives_a_kill_on_two_hubs", "2", true);
}

#[test]
fn a_wake_up_outlives_a_limit_on_four_hubs() {
    trial(
        "wake_up::a_wake_up_outlives_a_limit_on_four_hubs",
        "4",
        false,
    );
}

#[test]
fn a_wake_up_outlives_a_kill_on_four_hubs() {
    trial("wake_up::a_wake_up_outlives_a_kill_on_four_hubs", "4", true);
}
