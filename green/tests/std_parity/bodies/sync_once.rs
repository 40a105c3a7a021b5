//! `sync`: what runs or is made once.

use std::cell::Cell;
use std::rc::Rc;

use super::lib::sync::atomic::{AtomicU32, Ordering};
use super::lib::sync::{LazyLock, Once, OnceLock, OnceState};
use super::lib::thread;
use super::support::{SHORT, panics};
use crate::harness::{PLANNED, Transcript};

parity! {
    topic: sync_once,
    items: [
        "Once::new", "Once::call_once", "Once::call_once_force", "Once::is_completed",
        "Once::wait", "Once::wait_force", "impl Debug for Once", "OnceState::is_poisoned",
        "impl Debug for OnceState", "ONCE_INIT",
        "OnceLock::new", "OnceLock::get", "OnceLock::get_mut", "OnceLock::wait", "OnceLock::set",
        "OnceLock::get_or_init", "OnceLock::into_inner", "OnceLock::take",
        "impl Clone for OnceLock", "impl Debug for OnceLock", "impl Default for OnceLock",
        "impl From for OnceLock", "impl PartialEq for OnceLock", "impl Drop for OnceLock",
        "LazyLock::new", "LazyLock::force", "LazyLock::force_mut", "LazyLock::get",
        "LazyLock::get_mut", "impl Debug for LazyLock", "impl Default for LazyLock",
        "impl Deref for LazyLock", "impl DerefMut for LazyLock", "impl Drop for LazyLock",
    ],
    differs: [],
    bodies: {
        traits: [],
        signatures: ["Once::new", "OnceLock::new", "LazyLock::new"],
        once_runs_once: ["Once::call_once", "Once::is_completed", "Once::wait",
            "Once::wait_force", "impl Debug for Once", "ONCE_INIT"],
        once_poison: ["Once::call_once", "Once::call_once_force", "Once::wait",
            "OnceState::is_poisoned", "impl Debug for OnceState"],
        once_others_wait: ["Once::call_once", "Once::wait", "Once::wait_force"],
        once_lock_is_written_once: ["OnceLock::get", "OnceLock::get_mut", "OnceLock::set",
            "OnceLock::get_or_init", "OnceLock::wait", "OnceLock::into_inner", "OnceLock::take"],
        once_lock_traits: ["impl Clone for OnceLock", "impl Debug for OnceLock",
            "impl Default for OnceLock", "impl From for OnceLock", "impl PartialEq for OnceLock",
            "impl Drop for OnceLock"],
        once_lock_after_a_panic: ["OnceLock::get_or_init"],
        lazy_lock_is_made_once: ["LazyLock::force", "LazyLock::force_mut", "LazyLock::get",
            "LazyLock::get_mut", "impl Deref for LazyLock", "impl DerefMut for LazyLock",
            "impl Default for LazyLock", "impl Debug for LazyLock", "impl Drop for LazyLock"],
        lazy_lock_poison: ["LazyLock::force", "LazyLock::get", "LazyLock::get_mut",
            "impl Debug for LazyLock"],
    },
}

pub fn traits(t: &mut Transcript) {
    trait_table!(t, [
        Once, OnceState,
        OnceLock<u8>, OnceLock<Cell<u8>>, OnceLock<Rc<u8>>,
        LazyLock<u8>, LazyLock<Cell<u8>>, LazyLock<Rc<u8>>,
    ]);
}

/// Compiles only if the constructors are `const` and the functions have std's signatures.
pub fn signatures(t: &mut Transcript) {
    static _ONCE: Once = Once::new();
    static _CELL: OnceLock<u8> = OnceLock::new();
    static _LAZY: LazyLock<u8> = LazyLock::new(|| 1);
    let _: fn(&OnceState) -> bool = OnceState::is_poisoned;
    let _: fn(&OnceLock<u8>, u8) -> Result<(), u8> = OnceLock::set;
    let _: for<'a> fn(&'a LazyLock<u8>) -> &'a u8 = LazyLock::force;
    t.see("compiles", true);
}

pub fn once_runs_once(t: &mut Transcript) {
    let once = Once::new();
    t.see("before", (once.is_completed(), format!("{once:?}")));
    let runs = Cell::new(0);
    for _ in 0..3 {
        once.call_once(|| runs.set(runs.get() + 1));
        once.call_once_force(|_| runs.set(runs.get() + 1));
    }
    once.wait();
    once.wait_force();
    t.see("after", (runs.get(), once.is_completed()));
    #[expect(deprecated, reason = "std has it still")]
    static OLD: Once = super::lib::sync::ONCE_INIT;
    OLD.call_once(|| ());
    t.see("old", OLD.is_completed());
}

pub fn once_poison(t: &mut Transcript) {
    let once = Once::new();
    t.panic(
        "first",
        panics(|| once.call_once(|| panic!("{PLANNED}first"))),
    );
    t.see("completed", once.is_completed());
    let _hushed = panics(|| {
        // The message is std's own; it is compared, not printed.
        once.call_once_force(|state| {
            t.see("forced", (state.is_poisoned(), format!("{state:?}")));
            panic!("{PLANNED}second");
        });
    });
    once.call_once_force(|state| t.see("again", state.is_poisoned()));
    t.see("completed", once.is_completed());
    once.wait();
    let fresh = Once::new();
    fresh.call_once_force(|state| t.see("fresh", state.is_poisoned()));
}

pub fn once_others_wait(t: &mut Transcript) {
    let (once, value) = (Once::new(), AtomicU32::new(0));
    thread::scope(|scope| {
        for number in 0..6 {
            let (once, value) = (&once, &value);
            scope.spawn(move || {
                match number % 3 {
                    0 => once.call_once(|| {
                        thread::sleep(SHORT);
                        value.fetch_add(1, Ordering::SeqCst);
                    }),
                    1 => once.wait(),
                    _ => once.wait_force(),
                }
                assert_eq!(value.load(Ordering::SeqCst), 1);
            });
        }
    });
    t.see("value", value.into_inner());
}

pub fn once_lock_is_written_once(t: &mut Transcript) {
    let mut cell = OnceLock::new();
    t.see("empty", (cell.get().is_some(), cell.get_mut().is_some()));
    t.see("set", cell.set(String::from("a")));
    t.see("set again", cell.set(String::from("b")));
    t.see("init", cell.get_or_init(|| unreachable!()));
    t.see("wait", cell.wait());
    if let Some(value) = cell.get_mut() {
        value.push('c');
    }
    t.see("take", cell.take());
    t.see("taken", (cell.get().is_some(), cell.take()));
    t.see("init after", cell.get_or_init(|| String::from("d")).clone());
    t.see("inner", cell.into_inner());
    let shared = OnceLock::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SHORT);
            shared.set(5).unwrap();
        });
        t.see("waited", shared.wait());
    });
}

pub fn once_lock_traits(t: &mut Transcript) {
    let counted = Rc::new(1);
    let full = OnceLock::from(Rc::clone(&counted));
    let copy = full.clone();
    t.see("owners", Rc::strong_count(&counted));
    t.see(
        "equal",
        (
            full == copy,
            full == OnceLock::new(),
            OnceLock::<u8>::default().get(),
        ),
    );
    t.see(
        "shown",
        format!("{full:?} {:?} {full:#?}", OnceLock::<u8>::new()),
    );
    drop((full, copy));
    t.see("owners", Rc::strong_count(&counted));
}

pub fn once_lock_after_a_panic(t: &mut Transcript) {
    let cell = OnceLock::new();
    t.panic(
        "first",
        panics(|| *cell.get_or_init(|| panic!("{PLANNED}first"))),
    );
    t.see("empty", cell.get());
    t.see("second", cell.get_or_init(|| 2));
}

pub fn lazy_lock_is_made_once(t: &mut Transcript) {
    let made = Rc::new(Cell::new(0));
    let counter = Rc::clone(&made);
    let mut lazy = LazyLock::new(move || {
        counter.set(counter.get() + 1);
        String::from("a")
    });
    t.see(
        "before",
        (
            format!("{lazy:?}"),
            LazyLock::get(&lazy).cloned(),
            made.get(),
        ),
    );
    t.see("get_mut before", LazyLock::get_mut(&mut lazy).is_some());
    t.see("value", (lazy.as_str(), LazyLock::force(&lazy)));
    lazy.push('b');
    LazyLock::force_mut(&mut lazy).push('c');
    t.see(
        "after",
        (
            format!("{lazy:?}"),
            LazyLock::get(&lazy).cloned(),
            made.get(),
        ),
    );
    t.see("get_mut after", LazyLock::get_mut(&mut lazy).cloned());
    t.see("owners", Rc::strong_count(&made));
    drop(lazy);
    t.see("default", *LazyLock::<u8>::default());
    let owned = Rc::new(());
    let inside = Rc::clone(&owned);
    drop(LazyLock::new(move || inside));
    t.see("dropped unmade", Rc::strong_count(&owned));
    let inside = Rc::clone(&owned);
    let lazy = LazyLock::new(move || inside);
    LazyLock::force(&lazy);
    drop(lazy);
    t.see("dropped made", Rc::strong_count(&owned));
}

pub fn lazy_lock_poison(t: &mut Transcript) {
    let mut lazy: LazyLock<u8> = LazyLock::new(|| panic!("{PLANNED}in the maker"));
    t.panic("first", panics(|| *lazy));
    t.see("get", LazyLock::get(&lazy).copied());
    t.see("get_mut", LazyLock::get_mut(&mut lazy).copied());
    t.see("shown", format!("{lazy:?}"));
}
