//! Panics, kills and poisoning beside a neighbour that unwinds.

use std::sync::Mutex;
use std::time::Duration;

use green::thread;

use crate::{alone, in_both};

/// Waits while an unwind drops it.
struct WaitsInDrop(Duration);

impl Drop for WaitsInDrop {
    fn drop(&mut self) {
        thread::sleep(self.0);
    }
}

fn start_unwinding(for_long: Duration) -> thread::JoinHandle<()> {
    let neighbour = thread::spawn(move || {
        let _waits = WaitsInDrop(for_long);
        thread::sleep(Duration::from_secs(3600));
    });
    thread::sleep(Duration::from_millis(5));
    neighbour.kill().unwrap();
    thread::sleep(Duration::from_millis(5));
    neighbour
}

#[test]
fn whether_a_thread_panics_is_its_own() {
    in_both("unwinds::whether_a_thread_panics_is_its_own", |own| {
        green::run(move || {
            let neighbour = start_unwinding(Duration::from_millis(50));
            assert_eq!(std::thread::panicking(), !own);
            assert!(!thread::panicking());
            let mutex = Mutex::new(());
            drop(mutex.lock());
            let _ = neighbour.join();
        });
    });
}

#[test]
fn a_mutex_of_std_is_poisoned_by_its_own_holder_alone() {
    in_both(
        "unwinds::a_mutex_of_std_is_poisoned_by_its_own_holder_alone",
        |own| {
            static MUTEX: Mutex<()> = Mutex::new(());
            green::run(move || {
                let holder = thread::spawn(|| {
                    let _held = MUTEX.lock().unwrap();
                    let neighbour = start_unwinding(Duration::from_millis(20));
                    // Held over waits, and let go of while the neighbour unwinds.
                    drop(neighbour);
                });
                holder.join().unwrap();
                assert_eq!(MUTEX.is_poisoned(), !own);
            });
        },
    );
}

#[test]
fn a_kill_beside_a_neighbour_in_a_destructor_comes_at_once() {
    let name = "unwinds::a_kill_beside_a_neighbour_in_a_destructor_comes_at_once";
    in_both(name, |_| {
        green::run(|| {
            let neighbour = start_unwinding(Duration::from_secs(40));
            let victim = thread::spawn(|| thread::sleep(Duration::from_secs(3600)));
            thread::sleep(Duration::from_millis(2));
            let began = std::time::Instant::now();
            victim.kill().unwrap();
            assert!(victim.join().is_err());
            assert!(began.elapsed() < Duration::from_secs(20));
            drop(neighbour);
        });
    });
}

#[test]
fn a_panic_names_its_green_thread() {
    let name = "unwinds::a_panic_names_its_green_thread";
    for setting in ["auto", "shared"] {
        let ended = alone(name, &[("GREEN_THREAD_LOCALS", setting)], || {
            let named = thread::Builder::new().name("reader".to_owned());
            let _ = named.spawn(|| panic!("with words")).unwrap().join();
        })
        .well();
        let said = ended.errors;
        assert!(said.contains("green thread 'reader' (id "), "{said}");
        assert!(said.contains("with words"), "{said}");
    }
}

#[test]
fn a_hook_of_the_program_s_own_is_all_that_speaks() {
    let name = "unwinds::a_hook_of_the_program_s_own_is_all_that_speaks";
    let ended = alone(name, &[("GREEN_THREAD_LOCALS", "auto")], || {
        std::panic::set_hook(Box::new(|_| eprint!("hook")));
        let _ = thread::spawn(|| panic!("with words")).join();
    })
    .well();
    assert_eq!(ended.errors, "hook");
}

#[test]
fn a_neighbour_may_panic_while_one_waits_in_its_hook() {
    let name = "unwinds::a_neighbour_may_panic_while_one_waits_in_its_hook";
    in_both(name, |own| {
        if !own {
            return; // There the hook holds its hub.
        }
        std::panic::set_hook(Box::new(|_| thread::sleep(Duration::from_millis(20))));
        let all: Vec<_> = (0..5)
            .map(|n| thread::spawn(move || assert_eq!(n, 9)))
            .collect();
        for one in all {
            assert!(one.join().is_err());
        }
    });
}
