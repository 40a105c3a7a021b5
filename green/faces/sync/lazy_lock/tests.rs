use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
};

use super::LazyLock;

#[test]
fn is_made_once_at_its_first_use() {
    static MADE: AtomicU32 = AtomicU32::new(0);
    static LAZY: LazyLock<u32> = LazyLock::new(|| 5 + MADE.fetch_add(1, Relaxed));
    assert_eq!(LazyLock::get(&LAZY), None);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(*LAZY, 5));
        }
    });
    assert_eq!(*LazyLock::force(&LAZY), 5);
    assert_eq!(MADE.load(Relaxed), 1);
}

#[test]
fn may_be_changed_by_its_owner() {
    let mut lazy = LazyLock::new(|| String::from("a"));
    assert_eq!(LazyLock::get_mut(&mut lazy), None);
    lazy.push('b');
    LazyLock::force_mut(&mut lazy).push('c');
    assert_eq!(LazyLock::get(&lazy).map(String::as_str), Some("abc"));
    assert_eq!(*LazyLock::<u8>::default(), 0);
}

#[test]
fn stays_poisoned_when_its_maker_panics() {
    let lazy: LazyLock<u32> = LazyLock::new(|| panic!("in the maker"));
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| *lazy)).is_err());
    }
    let message = catch_unwind(AssertUnwindSafe(|| *lazy)).unwrap_err();
    assert_eq!(
        message.downcast_ref::<&str>(),
        Some(&"LazyLock instance has previously been poisoned")
    );
}

#[test]
fn shows_itself_as_std_does() {
    let lazy = LazyLock::new(|| 1);
    assert_eq!(format!("{lazy:?}"), "LazyLock(<uninit>)");
    assert_eq!(*lazy, 1);
    assert_eq!(format!("{lazy:?}"), "LazyLock(1)");
}

/// Compiles only if the end of the cell is no use of what it holds.
#[test]
fn may_hold_a_reference_that_goes_before_it() {
    let cell: LazyLock<std::cell::Cell<Option<&String>>> = LazyLock::new(Default::default);
    {
        let text = String::from("short-lived");
        cell.set(Some(&text));
        assert_eq!(cell.get(), Some(&text));
    }
}
