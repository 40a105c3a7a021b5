//! `green::shielded`: every wait in it outlives a kill, and code that lends its stack may rely on that.
#![expect(unsafe_code, reason = "a slot on the stack that another thread fills")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::shielded::sync::{
    Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock, mpsc::channel, mpsc::sync_channel,
};
use green::shielded::{channel, thread};

use test_support::random::Random;
use test_support::threads::{MILLISECOND, green, is_killed, site, until};

const LONG: Duration = Duration::from_secs(60);

/// Kills a thread in `wait`, and then lets `event` end the wait: it must come to its end, and the
/// kill at the next one.
fn outlives_a_kill(wait: impl FnOnce() + Send + 'static, event: impl FnOnce()) {
    killed_in(wait, |is_over| {
        for _ in 0..5 {
            green::thread::sleep(MILLISECOND);
            assert!(!is_over());
        }
        event();
    });
}

/// As [`outlives_a_kill`], for a wait that ends by itself, before or after the kill.
fn sleeps_through_a_kill(sleep: fn(Duration)) {
    let wait = move || {
        let began = Instant::now();
        sleep(50 * MILLISECOND);
        assert!(began.elapsed() >= 50 * MILLISECOND);
    };
    killed_in(wait, |_| ());
}

fn killed_in(wait: impl FnOnce() + Send + 'static, meanwhile: impl FnOnce(&dyn Fn() -> bool)) {
    let began = Arc::new(AtomicBool::new(false));
    let over = Arc::new(AtomicBool::new(false));
    let waiter = green::thread::spawn({
        let (began, over) = (began.clone(), over.clone());
        move || {
            began.store(true, SeqCst);
            wait();
            over.store(true, SeqCst);
            green::thread::sleep(LONG);
        }
    });
    until(|| began.load(SeqCst) && site(&waiter).is_some());
    waiter.kill().unwrap();
    meanwhile(&|| waiter.is_finished() || over.load(SeqCst));
    assert!(is_killed(waiter.join()));
    assert!(over.load(SeqCst), "the kill ended the wait");
}

#[test]
fn a_wait_for_a_mutex_outlives_a_kill() {
    green("mutex", || {
        let mutex = Arc::new(Mutex::new(0));
        let held = mutex.lock().unwrap();
        let waiter = mutex.clone();
        outlives_a_kill(move || *waiter.lock().unwrap() += 1, || drop(held));
        assert_eq!(*mutex.lock().unwrap(), 1);
        assert!(!mutex.is_poisoned());
    });
}

#[test]
fn a_wait_for_a_reader_or_writer_lock_outlives_a_kill() {
    green("rwlock", || {
        let lock = Arc::new(RwLock::new(0));
        let held = lock.write().unwrap();
        let reader = lock.clone();
        outlives_a_kill(move || drop(reader.read().unwrap()), || drop(held));
        let held = lock.read().unwrap();
        let writer = lock.clone();
        outlives_a_kill(move || *writer.write().unwrap() += 1, || drop(held));
        assert_eq!(*lock.read().unwrap(), 1);
    });
}

#[test]
fn a_wait_for_a_condition_outlives_a_kill() {
    green("condvar", || {
        type Waits = fn(&Condvar, &Mutex<bool>);
        let kinds: [Waits; 4] = [
            |changed, is_set| {
                let mut guard = is_set.lock().unwrap();
                while !*guard {
                    guard = changed.wait(guard).unwrap();
                }
            },
            |changed, is_set| {
                let guard = is_set.lock().unwrap();
                drop(changed.wait_while(guard, |is_set| !*is_set));
            },
            |changed, is_set| {
                let guard = is_set.lock().unwrap();
                drop(changed.wait_timeout(guard, LONG));
            },
            |changed, is_set| {
                let guard = is_set.lock().unwrap();
                drop(changed.wait_timeout_while(guard, LONG, |is_set| !*is_set));
            },
        ];
        for wait in kinds {
            let pair = Arc::new((Condvar::new(), Mutex::new(false)));
            let waiter = pair.clone();
            outlives_a_kill(
                move || wait(&waiter.0, &waiter.1),
                || {
                    *pair.1.lock().unwrap() = true;
                    pair.0.notify_all();
                },
            );
        }
    });
}

#[test]
fn a_wait_at_a_barrier_outlives_a_kill() {
    green("barrier", || {
        let barrier = Arc::new(Barrier::new(2));
        let waiter = barrier.clone();
        outlives_a_kill(move || _ = waiter.wait(), || _ = barrier.wait());
    });
}

#[test]
fn a_wait_for_what_is_made_once_outlives_a_kill() {
    green("once", || {
        let once = Arc::new(Once::new());
        let waiter = once.clone();
        outlives_a_kill(move || waiter.wait(), || once.call_once(|| ()));

        let cell = Arc::new(OnceLock::new());
        let waiter = cell.clone();
        outlives_a_kill(move || _ = *waiter.wait(), || cell.set(7).unwrap());

        // The initialiser waits within the call.
        static LAZY: LazyLock<u32> = LazyLock::new(|| {
            GO.wait();
            7
        });
        static GO: Barrier = Barrier::new(2);
        outlives_a_kill(|| assert_eq!(*LAZY, 7), || _ = GO.wait());

        let (send, receive) = channel();
        let cell = Arc::new(OnceLock::new());
        let waiter = cell.clone();
        outlives_a_kill(
            move || _ = *waiter.get_or_init(|| receive.recv().unwrap()),
            || send.send(7).unwrap(),
        );
        assert_eq!(cell.get(), Some(&7));

        let (send, receive) = channel::<()>();
        let once = Once::new();
        outlives_a_kill(
            move || once.call_once(|| receive.recv().unwrap()),
            || send.send(()).unwrap(),
        );
    });
}

#[test]
fn a_wait_at_a_channel_of_std_outlives_a_kill() {
    green("mpsc", || {
        let (send, receive) = channel();
        outlives_a_kill(move || receive.recv().unwrap(), || send.send(()).unwrap());
        let (send, receive) = channel();
        outlives_a_kill(
            move || receive.recv_timeout(LONG).unwrap(),
            || send.send(()).unwrap(),
        );
        let (send, receive) = channel();
        outlives_a_kill(
            move || receive.into_iter().next().unwrap(),
            || send.send(()).unwrap(),
        );
        let (send, receive) = sync_channel(0);
        outlives_a_kill(move || send.send(()).unwrap(), || receive.recv().unwrap());
    });
}

#[test]
fn a_wait_at_a_channel_outlives_a_kill() {
    green("channel", || {
        type Receives = fn(channel::Receiver<()>);
        let kinds: [Receives; 4] = [
            |receive| receive.recv().unwrap(),
            |receive| receive.recv_timeout(LONG).unwrap(),
            |receive| receive.recv_deadline(Instant::now() + LONG).unwrap(),
            |receive| receive.iter().next().unwrap(),
        ];
        for wait in kinds {
            let (send, receive) = channel::unbounded();
            outlives_a_kill(move || wait(receive), || send.send(()).unwrap());
        }
        type Sends = fn(channel::Sender<()>);
        let kinds: [Sends; 3] = [
            |send| send.send(()).unwrap(),
            |send| send.send_timeout((), LONG).unwrap(),
            |send| send.send_deadline((), Instant::now() + LONG).unwrap(),
        ];
        for wait in kinds {
            let (send, receive) = channel::bounded(0);
            outlives_a_kill(move || wait(send), || receive.recv().unwrap());
        }
    });
}

#[test]
fn a_wait_of_a_thread_outlives_a_kill() {
    green("thread", || {
        let (tell, told) = channel();
        outlives_a_kill(
            move || {
                tell.send(thread::current()).unwrap();
                thread::park();
            },
            || told.recv().unwrap().unpark(),
        );
        let (tell, told) = channel();
        outlives_a_kill(
            move || {
                tell.send(thread::current()).unwrap();
                thread::park_timeout(LONG);
            },
            || told.recv().unwrap().unpark(),
        );
        let (send, receive) = channel::<()>();
        let joined = thread::spawn(move || receive.recv().unwrap());
        outlives_a_kill(move || joined.join().unwrap(), || send.send(()).unwrap());
        let (send, receive) = channel::<()>();
        outlives_a_kill(
            move || {
                let (first, second) = (&receive, Mutex::new(0));
                thread::scope(|scope| {
                    let inner = scope.spawn(|| *second.lock().unwrap() += 1);
                    inner.join().unwrap();
                    first.recv().unwrap();
                });
            },
            || send.send(()).unwrap(),
        );
        sleeps_through_a_kill(thread::sleep);
        sleeps_through_a_kill(|time| thread::sleep_until(Instant::now() + time));
    });
}

/// What crates with `unsafe` do: a slot on one's own stack that another thread fills.
fn lend(answers: &channel::Sender<(usize, channel::Sender<()>)>) -> u64 {
    let mut slot = 0u64;
    let (done, is_done) = channel::bounded(0);
    answers.send((&raw mut slot as usize, done)).unwrap();
    is_done.recv().unwrap();
    // SAFETY: its own variable, which the other thread has written and let go.
    unsafe { (&raw const slot).read_volatile() }
}

#[test]
fn a_storm_of_kills_never_frees_what_a_shielded_wait_lends() {
    green("storm of lenders", || {
        let seed = test_support::random::seed();
        let mut random = Random::new(seed);
        let (answers, questions) = channel::bounded::<(usize, channel::Sender<()>)>(0);
        let lent = Arc::new(AtomicU32::new(0));
        let server = green::thread::spawn({
            let lent = lent.clone();
            move || {
                for (slot, done) in &questions {
                    green::thread::yield_now();
                    // SAFETY: the lender waits until `done` is told.
                    unsafe { (slot as *mut u64).write_volatile(u64::MAX) };
                    lent.fetch_add(1, SeqCst);
                    done.send(()).unwrap();
                }
            }
        });
        for _ in 0..500 {
            let lenders: Vec<_> = (0..4)
                .map(|_| {
                    let answers = answers.clone();
                    green::thread::spawn(move || {
                        loop {
                            assert_eq!(lend(&answers), u64::MAX);
                            green::thread::yield_now();
                        }
                    })
                })
                .collect();
            for _ in 0..random.below(8) {
                green::thread::yield_now();
            }
            for lender in lenders {
                lender.kill().unwrap();
                assert!(is_killed(lender.join()), "seed {seed}");
            }
        }
        drop(answers);
        server.join().unwrap();
        assert!(lent.load(SeqCst) > 0);
    });
}
