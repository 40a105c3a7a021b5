use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use super::Once;

#[test]
fn runs_once_while_the_others_wait() {
    let once = Arc::new((Once::new(), AtomicU32::new(0)));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let once = Arc::clone(&once);
            thread::spawn(move || {
                once.0.call_once(|| {
                    thread::sleep(Duration::from_millis(10));
                    once.1.fetch_add(1, Relaxed);
                });
                assert_eq!(once.1.load(Relaxed), 1);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(once.0.is_completed());
}

#[test]
fn an_initialiser_that_panics_poisons_it_until_one_is_forced() {
    let once = Once::new();
    let panics = |run: &dyn Fn()| catch_unwind(AssertUnwindSafe(run)).is_err();
    assert!(panics(&|| once.call_once(|| panic!("in the initialiser"))));
    assert!(panics(&|| once.call_once(|| unreachable!())));
    assert!(panics(&|| once.wait()));
    assert!(!once.is_completed());
    once.call_once_force(|state| {
        assert!(state.is_poisoned());
        assert_eq!(format!("{state:?}"), "OnceState { poisoned: true }");
    });
    once.call_once(|| unreachable!());
    once.wait();
    once.wait_force();
}

#[test]
fn waiting_ends_when_another_thread_has_run_it() {
    let once = Arc::new(Once::new());
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let once = Arc::clone(&once);
            thread::spawn(move || once.wait_force())
        })
        .collect();
    // One that panics does not end `wait_force`.
    let _ = catch_unwind(AssertUnwindSafe(|| once.call_once(|| panic!("first"))));
    once.call_once_force(|_| ());
    for waiter in waiters {
        waiter.join().unwrap();
    }
}

#[test]
fn shows_itself_as_std_does() {
    assert_eq!(format!("{:?}", Once::new()), "Once { .. }");
}
