//! Values that new green threads inherit, with thread-locals of their own and shared ones.

use std::sync::Arc;
use std::time::Duration;

use green::pool::GreenPool;
use green::thread::{self, Builder, Inherited};

use crate::with_hubs;

static NUMBER: Inherited<u32> = Inherited::new();
static NAME: Inherited<Arc<str>> = Inherited::new();

#[test]
fn a_green_thread_begins_with_its_spawners_values_and_keeps_its_own() {
    let name = "inherited::a_green_thread_begins_with_its_spawners_values_and_keeps_its_own";
    with_hubs(name, "2", |_| {
        // Nobody has set anything.
        assert_eq!(thread::spawn(|| NUMBER.get()).join().unwrap(), None);
        let set = NUMBER.set(1);
        let _name = NAME.set("ann".into());
        let both = || (NUMBER.get(), NAME.get().map(|name| name.to_string()));
        let as_set = (Some(1), Some("ann".to_owned()));
        // By whichever way it is started, from an OS thread and from a green thread.
        for hub in [0, 1] {
            assert_eq!(
                Builder::new().hub(hub).spawn(both).unwrap().join().unwrap(),
                as_set
            );
        }
        let pool = GreenPool::new(1);
        let nested = thread::spawn(move || {
            let spawned = thread::spawn_local(both).join().unwrap();
            let pooled = pool.spawn(both).join().unwrap();
            let scoped = thread::scope(|scope| scope.spawn(both).join().unwrap());
            [spawned, pooled, scoped]
        });
        assert_eq!(
            nested.join().unwrap(),
            [as_set.clone(), as_set.clone(), as_set.clone()]
        );
        // What counts is when it is spawned, not when it starts.
        let later = thread::spawn_after(Duration::from_millis(20), both);
        let theirs = thread::spawn(|| {
            let set = NUMBER.set(2);
            // Neighbours run meanwhile.
            thread::sleep(Duration::from_millis(5));
            let child = thread::spawn(|| NUMBER.get()).join().unwrap();
            drop(set);
            (child, NUMBER.get())
        });
        let neighbour = thread::spawn(|| {
            thread::sleep(Duration::from_millis(2));
            NUMBER.get()
        });
        assert_eq!(theirs.join().unwrap(), (Some(2), Some(1)));
        assert_eq!(neighbour.join().unwrap(), Some(1));
        drop(set);
        assert_eq!(both(), (None, Some("ann".to_owned())));
        assert_eq!(thread::spawn(both).join().unwrap(), both());
        assert_eq!(later.join().unwrap(), as_set);
    });
}

#[test]
fn what_was_inherited_goes_before_a_join_returns_however_its_owner_ends() {
    let name = "inherited::what_was_inherited_goes_before_a_join_returns_however_its_owner_ends";
    with_hubs(name, "1", |_| {
        let value: Arc<str> = "counted".into();
        let set = NAME.set(value.clone());
        let kept = |f: fn()| {
            let handle = thread::spawn(f);
            while !handle.is_started() {
                thread::yield_now();
            }
            let _ = handle.kill();
            handle.wait();
            // The handle is here, the values are gone.
            Arc::strong_count(&value)
        };
        assert_eq!(kept(|| ()), 2);
        assert_eq!(kept(thread::park), 2);
        assert_eq!(kept(|| std::mem::forget(NUMBER.set(1))), 2);
        assert_eq!(kept(|| std::panic::resume_unwind(Box::new(()))), 2);
        let never = thread::spawn_after(Duration::from_secs(3600), || ());
        assert!(never.cancel());
        never.wait();
        drop(set);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}
