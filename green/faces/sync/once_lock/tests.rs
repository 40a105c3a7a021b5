use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    thread,
};

use super::OnceLock;

#[test]
fn is_written_once() {
    static CELL: OnceLock<u32> = OnceLock::new();
    assert_eq!(CELL.get(), None);
    assert_eq!(CELL.set(1), Ok(()));
    assert_eq!(CELL.set(2), Err(2));
    assert_eq!(*CELL.get_or_init(|| unreachable!()), 1);
    assert_eq!(*CELL.wait(), 1);
}

#[test]
fn one_initialiser_of_many_wins_and_all_see_its_value() {
    let cell = Arc::new(OnceLock::new());
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let cell = Arc::clone(&cell);
            thread::spawn(move || *cell.get_or_init(|| number))
        })
        .collect();
    let mut seen: Vec<u32> = threads.into_iter().map(|it| it.join().unwrap()).collect();
    seen.dedup();
    assert_eq!(seen, [*cell.wait()]);
}

#[test]
fn stays_empty_when_the_initialiser_panics() {
    let cell = OnceLock::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        cell.get_or_init(|| panic!("in the initialiser"));
    }));
    assert!(panicked.is_err());
    assert_eq!(cell.get(), None);
    assert_eq!(*cell.get_or_init(|| 3), 3);
}

#[test]
fn owns_its_value() {
    let value = Rc::new(());
    let mut cell = OnceLock::from(Rc::clone(&value));
    let copy = cell.clone();
    assert_eq!(Rc::strong_count(&value), 3);
    assert_eq!(cell.get_mut(), Some(&mut Rc::clone(&value)));
    drop(cell.take());
    assert_eq!(cell.get(), None);
    drop(copy);
    assert_eq!(Rc::strong_count(&value), 1);
    assert_eq!(OnceLock::<Cell<u8>>::new().into_inner(), None);
    assert_eq!(OnceLock::from(4).into_inner(), Some(4));
}

#[test]
fn shows_and_compares_itself_as_std_does() {
    let cell = OnceLock::new();
    assert_eq!(format!("{cell:?}"), "OnceLock(<uninit>)");
    assert_eq!(cell, OnceLock::default());
    cell.set(5).unwrap();
    assert_eq!(format!("{cell:?}"), "OnceLock(5)");
    assert_eq!(cell, OnceLock::from(5));
}

/// Compiles only if the end of the cell is no use of what it holds.
#[test]
fn may_hold_a_reference_that_goes_before_it() {
    let cell = OnceLock::new();
    {
        let text = String::from("short-lived");
        cell.set(&text).unwrap();
        assert_eq!(cell.get(), Some(&&text));
    }
}

#[test]
fn drops_its_value_once() {
    let value = Arc::new(());
    drop(OnceLock::from(value.clone()));
    assert_eq!(Arc::strong_count(&value), 1);
    let mut cell = OnceLock::from(value.clone());
    assert!(cell.take().is_some() && cell.take().is_none());
    drop(cell);
    assert_eq!(Arc::strong_count(&value), 1);
}
