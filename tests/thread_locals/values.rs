//! Values of std's thread-locals, of pthread keys, and their destructors.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green::thread;

use crate::allocators::resident;
use crate::{alone, in_both, with_hubs};

#[test]
fn a_value_is_a_green_thread_s_own_or_its_hub_s() {
    in_both(
        "values::a_value_is_a_green_thread_s_own_or_its_hub_s",
        |own| {
            thread_local!(static VALUE: Cell<u32> = const { Cell::new(1) });
            green::run(move || {
                VALUE.set(2);
                let seen = thread::spawn_local(|| VALUE.replace(3)).join().unwrap();
                assert_eq!((seen, VALUE.get()), if own { (1, 2) } else { (2, 3) });
            });
        },
    );
}

#[test]
fn values_are_new_on_a_stack_that_was_used_before() {
    in_both(
        "values::values_are_new_on_a_stack_that_was_used_before",
        |own| {
            thread_local! {
                static CONSTANT: Cell<u32> = const { Cell::new(7) };
                static MADE: Cell<usize> = Cell::new("computed".to_owned().len());
                static TEXT: RefCell<String> = RefCell::new("new".to_owned());
            }
            let mut new = 0;
            for _ in 0..10_000 {
                let use_all = || {
                    let text = TEXT.replace("used".to_owned());
                    (CONSTANT.replace(0), MADE.replace(0), text == "new")
                };
                new += u32::from(thread::spawn(use_all).join().unwrap() == (7, 8, true));
            }
            assert_eq!(new, if own { 10_000 } else { 1 });
        },
    );
}

#[test]
fn an_initialiser_may_wait_and_a_borrow_may_last_over_a_wait() {
    let name = "values::an_initialiser_may_wait_and_a_borrow_may_last_over_a_wait";
    in_both(name, |own| {
        if !own {
            return; // Undefined there: the guide says so.
        }
        thread_local! {
            static SLOW: String = {
                thread::sleep(Duration::from_millis(5));
                format!("of {}", thread::current().id().as_u64())
            };
            static LIST: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
        }
        let all: Vec<_> = (0..8)
            .map(|_| {
                thread::spawn(|| {
                    let id = thread::current().id().as_u64().get();
                    SLOW.with(|slow| {
                        LIST.with_borrow_mut(|list| {
                            thread::sleep(Duration::from_millis(5));
                            list.push(id);
                            assert_eq!(*slow, format!("of {id}"));
                        });
                    });
                    LIST.with_borrow(|list| assert_eq!(*list, [id]));
                })
            })
            .collect();
        all.into_iter().for_each(|one| one.join().unwrap());
    });
}

#[test]
fn std_s_thread_is_another_in_each() {
    in_both("values::std_s_thread_is_another_in_each", |own| {
        let of = || {
            let thread = std::thread::current();
            (thread.id(), thread.name().map(str::to_owned))
        };
        let (first, name) = thread::spawn(of).join().unwrap();
        let (second, _) = thread::spawn(of).join().unwrap();
        assert_eq!(first != second, own);
        assert_eq!(
            name.as_deref(),
            if own { None } else { Some("green-hub-0") }
        );
    });
}

/// Says by its drop that it was there.
struct Counts;

static DROPPED: AtomicUsize = AtomicUsize::new(0);

impl Drop for Counts {
    fn drop(&mut self) {
        thread::sleep(Duration::from_millis(1));
        thread::yield_now();
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

thread_local!(static COUNTS: Counts = const { Counts });

#[test]
fn destructors_run_before_the_joiner_hears_and_may_wait() {
    let name = "values::destructors_run_before_the_joiner_hears_and_may_wait";
    in_both(name, |own| {
        for n in 1..=100 {
            thread::spawn(|| COUNTS.with(|_| ())).join().unwrap();
            assert_eq!(DROPPED.load(Ordering::Relaxed), if own { n } else { 0 });
        }
    });
}

#[test]
fn destructors_run_in_full_when_their_thread_was_killed() {
    let name = "values::destructors_run_in_full_when_their_thread_was_killed";
    in_both(name, |own| {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        let victim = thread::spawn(|| {
            COUNTS.with(|_| ());
            BEGUN.store(1, Ordering::Relaxed);
            thread::sleep(Duration::from_secs(3600));
        });
        while BEGUN.load(Ordering::Relaxed) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        victim.kill().unwrap();
        assert!(victim.join().is_err());
        assert_eq!(DROPPED.load(Ordering::Relaxed), usize::from(own));
    });
}

#[test]
fn a_kill_during_a_destructor_that_waits_does_not_cut_it_short() {
    let name = "values::a_kill_during_a_destructor_that_waits_does_not_cut_it_short";
    in_both(name, |own| {
        struct Slow;
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        impl Drop for Slow {
            fn drop(&mut self) {
                STARTED.store(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
        thread_local!(static SLOW: Slow = const { Slow });
        if !own {
            return; // No destructor runs.
        }
        let victim = thread::spawn(|| SLOW.with(|_| ()));
        while STARTED.load(Ordering::Relaxed) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        let _ = victim.kill();
        let _ = victim.join();
        assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_panic_in_a_destructor_ends_the_process_as_in_std() {
    let name = "values::a_panic_in_a_destructor_ends_the_process_as_in_std";
    let ended = alone(name, &[("GREEN_THREAD_LOCALS", "auto")], || {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("in the drop");
            }
        }
        thread_local!(static PANICS: Panics = const { Panics });
        thread::spawn(|| PANICS.with(|_| ())).join().unwrap();
        if green::report().thread_locals.starts_with("shared") {
            std::process::abort();
        }
    });
    ended.by(libc::SIGABRT);
}

#[test]
fn a_result_that_nobody_takes_may_use_thread_locals_when_it_is_dropped() {
    let name = "values::a_result_that_nobody_takes_may_use_thread_locals_when_it_is_dropped";
    in_both(name, |own| {
        struct Uses;
        impl Drop for Uses {
            fn drop(&mut self) {
                COUNTS.with(|_| ());
            }
        }
        // Let go of before it has a result.
        drop(thread::spawn(|| {
            thread::sleep(Duration::from_millis(20));
            Uses
        }));
        while own && DROPPED.load(Ordering::Relaxed) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    });
}

/// Keys of pthreads, whose destructors are called with what was set.
mod keys {
    use super::*;

    pub static CALLED: AtomicUsize = AtomicUsize::new(0);

    pub unsafe extern "C" fn called(value: *mut c_void) {
        CALLED.fetch_add(value as usize, Ordering::Relaxed);
    }

    pub fn make(destructor: unsafe extern "C" fn(*mut c_void)) -> libc::pthread_key_t {
        let mut key = 0;
        // SAFETY: `key` lives across the call.
        let made = unsafe { libc::pthread_key_create(&mut key, Some(destructor)) };
        assert_eq!(made, 0);
        key
    }

    pub fn set(key: libc::pthread_key_t, value: usize) {
        // SAFETY: the key was made.
        let set = unsafe { libc::pthread_setspecific(key, value as *const c_void) };
        assert_eq!(set, 0);
    }

    pub fn get(key: libc::pthread_key_t) -> usize {
        // SAFETY: the key was made.
        unsafe { libc::pthread_getspecific(key) as usize }
    }
}

#[test]
fn values_by_pthread_key_are_its_own_and_their_destructors_run() {
    let name = "values::values_by_pthread_key_are_its_own_and_their_destructors_run";
    in_both(name, |own| {
        // More than lie in the descriptor.
        let all: Vec<_> = (0..100).map(|_| keys::make(keys::called)).collect();
        for n in 1..=3 {
            let all = all.clone();
            let fresh = thread::spawn(move || {
                let fresh = all.iter().all(|&key| keys::get(key) == 0);
                all.iter().for_each(|&key| keys::set(key, 1));
                thread::yield_now();
                assert!(all.iter().all(|&key| keys::get(key) == 1));
                fresh
            });
            assert_eq!(fresh.join().unwrap(), own || n == 1);
            let called = keys::CALLED.load(Ordering::Relaxed);
            assert_eq!(called, if own { n * 100 } else { 0 });
        }
    });
}

#[test]
fn destructors_of_keys_come_round_four_times() {
    let name = "values::destructors_of_keys_come_round_four_times";
    in_both(name, |own| {
        static KEY: AtomicUsize = AtomicUsize::new(0);
        unsafe extern "C" fn again(value: *mut c_void) {
            // SAFETY: as above.
            unsafe { keys::called(value) };
            keys::set(KEY.load(Ordering::Relaxed) as libc::pthread_key_t, 1);
        }
        let key = keys::make(again);
        KEY.store(key as usize, Ordering::Relaxed);
        thread::spawn(move || keys::set(key, 1)).join().unwrap();
        assert_eq!(
            keys::CALLED.load(Ordering::Relaxed),
            if own { 4 } else { 0 }
        );
        assert_eq!(
            thread::spawn(move || keys::get(key)).join().unwrap() == 0,
            own
        );
    });
}

/// A key's destructor makes a thread-local of C++, whose destructor sets the key, and so on. An OS thread's last value is
/// lost.
#[test]
fn what_destructors_set_without_end_is_not_the_next_thread_s() {
    let name = "values::what_destructors_set_without_end_is_not_the_next_thread_s";
    in_both(name, |own| {
        static KEY: AtomicUsize = AtomicUsize::new(0);
        unsafe extern "C" fn of_cpp(value: *mut c_void) {
            keys::set(
                KEY.load(Ordering::Relaxed) as libc::pthread_key_t,
                value as usize,
            );
        }
        unsafe extern "C" fn of_the_key(value: *mut c_void) {
            type Destructor = unsafe extern "C" fn(*mut c_void);
            type Register = unsafe extern "C" fn(Destructor, *mut c_void, *const c_void) -> i32;
            // SAFETY: where there is a symbol, it is a function of this signature; the address lies in this program.
            unsafe {
                let at = libc::dlsym(libc::RTLD_DEFAULT, c"__cxa_thread_atexit_impl".as_ptr());
                if !at.is_null() {
                    let register = std::mem::transmute::<*mut c_void, Register>(at);
                    register(of_cpp, value, of_cpp as *const c_void);
                }
            }
        }
        // The second one does not lie in the descriptor.
        for others in [0, 100] {
            for _ in 0..others {
                keys::make(keys::called);
            }
            let key = keys::make(of_the_key);
            KEY.store(key as usize, Ordering::Relaxed);
            for n in 0..10 {
                let found = move || {
                    let found = keys::get(key);
                    keys::set(key, 1);
                    found
                };
                let found = thread::spawn(found).join().unwrap();
                assert_eq!(found == 0, own || n == 0);
            }
        }
    });
}

#[test]
fn nothing_stays_of_many_threads_that_used_all_of_it() {
    let name = "values::nothing_stays_of_many_threads_that_used_all_of_it";
    with_hubs(name, "2", |own| {
        if !own {
            return; // What keys keep is overwritten there, never freed.
        }
        unsafe extern "C" fn free(value: *mut c_void) {
            // SAFETY: made below.
            unsafe { libc::free(value) };
        }
        let key = keys::make(free);
        thread_local!(static BYTES: RefCell<Vec<u8>> = RefCell::new(vec![1; 100]));
        let full = std::env::var("GREEN_TRIALS").is_ok_and(|wanted| wanted == "full");
        let rounds = if full { 1_000 } else { 60 };
        let round = || {
            let all: Vec<_> = (0..1_000)
                .map(|_| {
                    thread::spawn(move || {
                        BYTES.with_borrow_mut(|bytes| bytes.push(2));
                        // SAFETY: its own memory, which the key's destructor frees.
                        unsafe {
                            libc::pthread_setspecific(key, libc::malloc(100));
                            libc::dlopen(c"/no/such/library".as_ptr(), libc::RTLD_NOW);
                        }
                        std::thread::current().id()
                    })
                })
                .collect();
            all.into_iter().for_each(|one| assert!(one.join().is_ok()));
        };
        (0..20).for_each(|_| round());
        let before = resident();
        (0..rounds).for_each(|_| round());
        let grown = resident().saturating_sub(before);
        assert!(grown < 4_000, "{grown} KiB were left behind");
    });
}

#[test]
fn errno_is_its_own() {
    in_both("values::errno_is_its_own", |_| {
        let all: Vec<_> = (1..50)
            .map(|n| {
                thread::spawn(move || {
                    // SAFETY: the running thread's own.
                    unsafe { *libc::__errno_location() = n };
                    thread::sleep(Duration::from_millis(2));
                    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(n));
                })
            })
            .collect();
        all.into_iter().for_each(|one| one.join().unwrap());
    });
}
