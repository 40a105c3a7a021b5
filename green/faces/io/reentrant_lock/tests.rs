use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::ReentrantLock;
use crate::thread;

fn lock() -> Arc<ReentrantLock<Vec<u32>>> {
    Arc::new(ReentrantLock::new("a test", Vec::new()))
}

#[test]
fn its_owner_enters_again_and_others_wait_for_the_last_guard() {
    crate::run(|| {
        let lock = lock();
        let outer = lock.lock();
        let inner = lock.lock();
        let waiting = Arc::clone(&lock);
        let other = thread::spawn(move || waiting.lock().value().push(3));
        thread::yield_now();
        inner.value().push(1);
        drop(inner);
        thread::sleep(Duration::from_millis(5));
        outer.value().push(2);
        drop(outer);
        other.join().unwrap();
        assert_eq!(*lock.lock().value(), [1, 2, 3]);
    });
}

#[test]
fn green_and_os_threads_exclude_each_other() {
    let lock = lock();
    let count = |lock: Arc<ReentrantLock<Vec<u32>>>| {
        move || {
            for _ in 0..500 {
                let guard = lock.lock();
                let before = guard.value().len();
                thread::yield_now();
                guard.value().push(0);
                assert_eq!(guard.value().len(), before + 1);
            }
        }
    };
    let os: Vec<_> = (0..2)
        .map(|_| std::thread::spawn(count(Arc::clone(&lock))))
        .collect();
    let green: Vec<_> = (0..4)
        .map(|_| thread::spawn(count(Arc::clone(&lock))))
        .collect();
    os.into_iter().for_each(|thread| thread.join().unwrap());
    green.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(lock.lock().value().len(), 3000);
}

#[test]
fn a_waiter_that_gives_up_does_not_keep_the_lock_from_the_next() {
    crate::run(|| {
        let lock = lock();
        let held = lock.lock();
        let impatient = Arc::clone(&lock);
        let gives_up = thread::spawn(move || {
            crate::timeout(Duration::from_millis(10), || drop(impatient.lock())).is_err()
        });
        thread::yield_now();
        let patient = Arc::clone(&lock);
        let waits = thread::spawn(move || patient.lock().value().push(1));
        assert!(gives_up.join().unwrap());
        drop(held);
        waits.join().unwrap();
        assert_eq!(*lock.lock().value(), [1]);
    });
}

#[test]
fn exclusive_use_is_refused_to_who_has_the_lock() {
    let lock = lock();
    let guard = lock.lock_exclusive();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(lock.lock_exclusive()))).is_err());
    drop(guard);
    lock.lock_exclusive().push(1);
    assert_eq!(*lock.lock_exclusive(), [1]);
}

#[test]
fn the_value_is_out_of_reach_while_another_thread_has_the_lock() {
    let lock = lock();
    let guard = lock.lock();
    assert!(lock.try_value().is_none());
    drop(guard);
    assert!(lock.try_value().is_some());
}
