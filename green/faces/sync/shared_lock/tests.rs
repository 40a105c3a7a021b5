use std::{
    sync::{
        Arc,
        atomic::{
            AtomicI32, AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
    time::{Duration, Instant},
};

use super::{READER, READERS_WAIT, SharedLock, WAITING_WRITER, WRITER, WaitingWriter};

#[test]
fn counts_readers_and_shuts_writers_out() {
    let lock = SharedLock::new();
    lock.read();
    lock.read();
    assert_eq!(lock.state.load(Relaxed), 2 * READER);
    assert!(!lock.try_write());
    lock.unlock_read();
    lock.unlock_read();
    lock.write();
    assert_eq!(lock.state.load(Relaxed), WRITER);
    assert!(!lock.try_read() && !lock.try_write());
    lock.unlock_write();
    assert_eq!(lock.state.load(Relaxed), 0);
}

#[test]
fn a_waiting_writer_holds_newcomers_back_and_goes_first() {
    let lock = Arc::new(SharedLock::new());
    lock.read();
    let writer = in_thread(&lock, |lock| {
        lock.write();
        lock.unlock_write();
    });
    wait_for(&lock, |state| state >= WAITING_WRITER);
    assert!(!lock.try_read(), "a reader must not overtake the writer");
    lock.unlock_read();
    writer.join().unwrap();
    assert_eq!(lock.state.load(Relaxed), 0);
}

#[test]
fn readers_that_wait_enter_before_the_next_writer() {
    let lock = Arc::new(SharedLock::new());
    lock.write();
    let writer = in_thread(&lock, |lock| {
        lock.write();
        lock.unlock_write();
    });
    wait_for(&lock, |state| state >= WAITING_WRITER);
    let reader = in_thread(&lock, SharedLock::read);
    wait_for(&lock, |state| state & READERS_WAIT != 0);
    lock.unlock_write();
    reader.join().unwrap();
    assert!(!writer.is_finished());
    lock.unlock_read();
    writer.join().unwrap();
    assert_eq!(lock.state.load(Relaxed), 0);
}

#[test]
fn downgrading_lets_waiting_readers_in() {
    let lock = Arc::new(SharedLock::new());
    lock.write();
    let reader = in_thread(&lock, SharedLock::read);
    wait_for(&lock, |state| state & READERS_WAIT != 0);
    lock.downgrade();
    reader.join().unwrap();
    assert_eq!(lock.state.load(Relaxed), 2 * READER);
    lock.unlock_read();
    lock.unlock_read();
    assert_eq!(lock.state.load(Relaxed), 0);
}

#[test]
fn a_writer_killed_in_the_queue_does_not_leave_readers_behind_it() {
    let lock = Arc::new(SharedLock::new());
    lock.read();
    // As if a writer had queued.
    lock.state.fetch_add(WAITING_WRITER, Relaxed);
    let reader = in_thread(&lock, SharedLock::read);
    wait_for(&lock, |state| state & READERS_WAIT != 0);
    drop(WaitingWriter {
        lock: &lock,
        counted: true,
    });
    reader.join().unwrap();
    assert_eq!(lock.state.load(Relaxed), 2 * READER);
}

#[test]
fn a_lock_left_to_a_dying_writer_is_free() {
    let lock = SharedLock::new();
    lock.write();
    lock.state.fetch_add(WAITING_WRITER, Relaxed);
    lock.unlock_write();
    assert_eq!(lock.state.load(Relaxed), WAITING_WRITER);
    drop(WaitingWriter {
        lock: &lock,
        counted: true,
    });
    assert!(lock.try_read());
}

/// In each round a second writer comes about when the first leaves, and nobody comes after it who
/// would wake it.
#[test]
fn a_writer_that_queues_as_the_lock_is_left_to_a_dying_one_is_woken() {
    const ROUNDS: u32 = 25_000;
    // On a busy machine each round costs a turn of both threads.
    const ENOUGH: Duration = Duration::from_secs(20);
    const OVER: u32 = u32::MAX;
    let lock = Arc::new(SharedLock::new());
    // As if a writer were unwinding all the while: it is counted, and cannot be chosen.
    lock.state.fetch_add(WAITING_WRITER, Relaxed);
    let (begun, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (begins, ends) = (Arc::clone(&begun), Arc::clone(&ended));
    let second = in_thread(&lock, move |lock| {
        for round in 1.. {
            wait_until(|| begins.load(Acquire) >= round);
            if begins.load(Acquire) == OVER {
                return;
            }
            lock.write();
            lock.unlock_write();
            ends.store(round, Release);
        }
    });
    let start = Instant::now();
    for round in (1..=ROUNDS).take_while(|_| start.elapsed() < ENOUGH) {
        lock.write();
        begun.store(round, Release);
        // It takes the other a little while to come.
        for _ in 0..round % 256 {
            std::hint::spin_loop();
        }
        lock.unlock_write();
        wait_until(|| ended.load(Acquire) == round);
    }
    begun.store(OVER, Release);
    second.join().unwrap();
    assert_eq!(lock.state.load(Relaxed), WAITING_WRITER);
}

#[test]
fn stays_exclusive_under_any_order_of_events() {
    let lock = Arc::new(SharedLock::new());
    let readers = Arc::new(AtomicI32::new(0));
    let threads: Vec<_> = (0..6_u32)
        .map(|seed| {
            let readers = Arc::clone(&readers);
            in_thread(&lock, move |lock| {
                let mut random = seed.wrapping_mul(2_654_435_761) | 1;
                for _ in 0..1_500 {
                    random ^= random << 13;
                    random ^= random >> 17;
                    random ^= random << 5;
                    if random.is_multiple_of(4) {
                        lock.write();
                        assert_eq!(readers.swap(-100, Relaxed), 0, "not alone");
                        if random.is_multiple_of(16) {
                            thread::yield_now();
                        }
                        readers.store(0, Relaxed);
                        if random.is_multiple_of(8) {
                            lock.downgrade();
                            assert!(readers.load(Relaxed) >= 0);
                            lock.unlock_read();
                        } else {
                            lock.unlock_write();
                        }
                    } else {
                        lock.read();
                        assert!(readers.fetch_add(1, Relaxed) >= 0, "with a writer");
                        if random % 16 == 1 {
                            thread::yield_now();
                        }
                        readers.fetch_sub(1, Relaxed);
                        lock.unlock_read();
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(lock.state.load(Relaxed), 0, "nothing is left behind");
}

fn in_thread(
    lock: &Arc<SharedLock>,
    body: impl FnOnce(&SharedLock) + Send + 'static,
) -> thread::JoinHandle<()> {
    let lock = Arc::clone(lock);
    thread::spawn(move || body(&lock))
}

fn wait_for(lock: &SharedLock, reached: impl Fn(u64) -> bool) {
    wait_until(|| reached(lock.state.load(Relaxed)));
}

fn wait_until(holds: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        std::hint::spin_loop();
    }
    let limit = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < limit, "somebody waits in vain");
        thread::yield_now();
    }
}
