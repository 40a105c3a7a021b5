use std::{
    panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind},
    sync::{Arc, TryLockError, mpsc::channel},
    thread,
};

use super::{Mutex, MutexGuard};

#[test]
fn locks_and_unlocks() {
    static MUTEX: Mutex<i32> = Mutex::new(1);
    *MUTEX.lock().unwrap() += 1;
    let guard = MUTEX.lock().unwrap();
    assert_eq!(*guard, 2);
    assert!(matches!(MUTEX.try_lock(), Err(TryLockError::WouldBlock)));
    drop(guard);
    assert_eq!(*MUTEX.try_lock().unwrap(), 2);
}

#[test]
fn gives_the_data_back() {
    let mut mutex = Mutex::from(String::from("a"));
    mutex.get_mut().unwrap().push('b');
    assert_eq!(mutex.into_inner().unwrap(), "ab");
    assert_eq!(*Mutex::<u8>::default().lock().unwrap(), 0);
}

#[test]
fn a_holder_that_panics_poisons_it() {
    let mut mutex = Mutex::new(5);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = mutex.lock().unwrap();
        panic!("while holding");
    }));
    assert!(panicked.is_err());
    assert!(mutex.is_poisoned());
    assert_eq!(**mutex.lock().unwrap_err().get_ref(), 5);
    assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
    assert_eq!(*mutex.get_mut().unwrap_err().into_inner(), 5);
    mutex.clear_poison();
    assert_eq!(*mutex.lock().unwrap(), 5);
    assert_eq!(mutex.into_inner().unwrap(), 5);
}

#[test]
fn a_lock_taken_while_panicking_is_not_poisoned() {
    struct LockOnDrop<'a>(&'a Mutex<i32>);
    impl Drop for LockOnDrop<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let mutex = Mutex::new(0);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _lock = LockOnDrop(&mutex);
        panic!("unwinds through the drop");
    }));
    assert!(panicked.is_err());
    assert!(!mutex.is_poisoned());
    assert_eq!(*mutex.lock().unwrap(), 1);
}

#[test]
fn shows_itself_as_std_does() {
    let mutex = Mutex::new(1);
    assert_eq!(
        format!("{mutex:?}"),
        "Mutex { data: 1, poisoned: false, .. }"
    );
    let guard = mutex.lock().unwrap();
    assert_eq!(
        format!("{mutex:?}"),
        "Mutex { data: \"<locked>\", poisoned: false, .. }"
    );
    assert_eq!(format!("{guard:?} {guard}"), "1 1");
}

#[test]
fn holds_unsized_data() {
    let mutex: &Mutex<[i32]> = &Mutex::new([1, 2, 3]);
    mutex.lock().unwrap()[0] = 4;
    assert_eq!(&*mutex.lock().unwrap(), &[4, 2, 3]);
}

#[test]
fn has_stds_auto_traits() {
    fn all<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    fn guard<T: Sync + UnwindSafe + RefUnwindSafe>() {}
    all::<Mutex<std::cell::Cell<i32>>>();
    guard::<MutexGuard<'_, i32>>();
}

#[test]
fn keeps_os_threads_apart() {
    let mutex = Arc::new(Mutex::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || {
                for round in 0..2_000 {
                    let mut guard = mutex.lock().unwrap();
                    let before = *guard;
                    if round % 64 == 0 {
                        thread::yield_now();
                    }
                    *guard = before + 1;
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*mutex.lock().unwrap(), 8_000);
}

/// On OS threads: nobody is passed over more than once, so no loop can keep another out.
#[test]
fn a_waiter_gets_the_lock_although_the_holder_takes_it_again_at_once() {
    let mutex = Arc::new(Mutex::new(()));
    let guard = mutex.lock().unwrap();
    let (sender, receiver) = channel();
    let waiter = {
        let mutex = Arc::clone(&mutex);
        thread::spawn(move || {
            drop(mutex.lock().unwrap());
            sender.send(()).unwrap();
        })
    };
    let mut guard = Some(guard);
    while receiver.try_recv().is_err() {
        drop(guard.take());
        guard = Some(mutex.lock().unwrap());
        thread::yield_now();
    }
    waiter.join().unwrap();
}
