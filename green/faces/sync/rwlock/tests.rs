use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind},
    sync::TryLockError,
};

use super::{RwLock, RwLockReadGuard, RwLockWriteGuard};

#[test]
fn reads_together_and_writes_alone() {
    static LOCK: RwLock<i32> = RwLock::new(1);
    {
        let one = LOCK.read().unwrap();
        let two = LOCK.try_read().unwrap();
        assert_eq!(*one + *two, 2);
        assert!(matches!(LOCK.try_write(), Err(TryLockError::WouldBlock)));
    }
    let mut writer = LOCK.write().unwrap();
    *writer += 1;
    assert!(matches!(LOCK.try_read(), Err(TryLockError::WouldBlock)));
    let reader = RwLockWriteGuard::downgrade(writer);
    assert_eq!(*reader, 2);
    assert_eq!(*LOCK.read().unwrap(), 2);
}

#[test]
fn a_writer_that_panics_poisons_it_and_a_reader_does_not() {
    let mut lock = RwLock::new(1);
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.read().unwrap();
        panic!("while reading");
    }));
    assert!(!lock.is_poisoned());
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.write().unwrap();
        panic!("while writing");
    }));
    assert!(lock.is_poisoned());
    assert_eq!(*lock.read().unwrap_err().into_inner(), 1);
    assert!(lock.write().is_err());
    assert!(matches!(lock.try_read(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(lock.try_write(), Err(TryLockError::Poisoned(_))));
    assert!(lock.get_mut().is_err());
    lock.clear_poison();
    assert_eq!(lock.into_inner().unwrap(), 1);
}

#[test]
fn shows_itself_as_std_does() {
    let lock = RwLock::from(1);
    assert_eq!(
        format!("{lock:?}"),
        "RwLock { data: 1, poisoned: false, .. }"
    );
    let guard = lock.write().unwrap();
    assert_eq!(
        format!("{lock:?} {guard:?} {guard}"),
        "RwLock { data: <locked>, poisoned: false, .. } 1 1"
    );
    drop(guard);
    let guard = lock.read().unwrap();
    assert_eq!(format!("{guard:?} {guard}"), "1 1");
    assert_eq!(*RwLock::<u8>::default().read().unwrap(), 0);
}

#[test]
fn has_stds_auto_traits_and_variance() {
    fn all<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    fn guard<T: Sync + UnwindSafe + RefUnwindSafe>() {}
    fn send<T: Send>() {}
    fn shorten<'a, 'b>(guard: RwLockReadGuard<'a, &'static str>) -> RwLockReadGuard<'a, &'b str> {
        guard
    }
    all::<RwLock<i32>>();
    send::<RwLock<Cell<i32>>>();
    guard::<RwLockReadGuard<'_, i32>>();
    guard::<RwLockWriteGuard<'_, i32>>();
    let lock = RwLock::new("a");
    assert_eq!(*shorten(lock.read().unwrap()), "a");
}

#[test]
fn holds_unsized_data() {
    let lock: &RwLock<[i32]> = &RwLock::new([1, 2, 3]);
    lock.write().unwrap()[0] = 4;
    assert_eq!(&*lock.read().unwrap(), &[4, 2, 3]);
}
