//! `thread::scope`, `Scope`, `ScopedJoinHandle`.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::lib::thread::{self, Builder, Scope, ScopedJoinHandle, Thread};
use super::support::wait_until;
use crate::harness::Transcript;

parity! {
    topic: thread_scope,
    items: [
        "scope",
        "Scope::spawn",
        "impl Debug for Scope",
        "Builder::spawn_scoped",
        "ScopedJoinHandle::thread",
        "ScopedJoinHandle::join",
        "ScopedJoinHandle::is_finished",
        "impl Debug for ScopedJoinHandle",
    ],
    differs: [],
    bodies: {
        signatures: [],
        borrows: ["scope", "Scope::spawn"],
        joins_before_it_returns: ["scope"],
        joins_before_it_unwinds: ["scope"],
        values: ["scope", "ScopedJoinHandle::join"],
        spawns_from_inside: ["Scope::spawn"],
        spawns_while_the_result_is_dropped: ["Scope::spawn"],
        panic_of_an_unjoined_thread: ["scope"],
        panic_of_a_joined_thread: ["scope", "ScopedJoinHandle::join"],
        panic_of_the_body: ["scope"],
        panic_of_both: ["scope"],
        finished: ["ScopedJoinHandle::is_finished"],
        builder: ["Builder::spawn_scoped", "ScopedJoinHandle::thread"],
        nested: ["scope"],
        empty: ["scope"],
        debug: ["impl Debug for Scope", "impl Debug for ScopedJoinHandle"],
    },
}

/// Compiles only if every function has std's signature.
#[expect(clippy::type_complexity, reason = "signatures are written out")]
pub fn signatures(t: &mut Transcript) {
    fn of_scope<'scope, 'env>(scope: &'scope Scope<'scope, 'env>) {
        let _: fn(&'scope Scope<'scope, 'env>, fn() -> u8) -> ScopedJoinHandle<'scope, u8> =
            Scope::spawn::<fn() -> u8, u8>;
        let handle = scope.spawn(|| 1);
        let _: for<'a> fn(&'a ScopedJoinHandle<'scope, u8>) -> &'a Thread =
            ScopedJoinHandle::thread;
        let _: fn(&ScopedJoinHandle<'scope, u8>) -> bool = ScopedJoinHandle::is_finished;
        let _: fn(ScopedJoinHandle<'scope, u8>) -> thread::Result<u8> = ScopedJoinHandle::join;
        let _: thread::Result<i32> = handle.join();
        let built: std::io::Result<ScopedJoinHandle<'scope, u8>> =
            Builder::new().spawn_scoped(scope, || 1);
        drop(built);
    }
    thread::scope(|scope| of_scope(scope));
    t.see("compiles", true);
}

pub fn borrows(t: &mut Transcript) {
    let mut numbers = vec![1, 2, 3];
    let mut total = 0;
    thread::scope(|scope| {
        scope.spawn(|| total += numbers.iter().sum::<i32>());
        scope.spawn(|| assert_eq!(numbers.len(), 3));
    });
    t.see("total", total);
    numbers.push(4);
    thread::scope(|scope| {
        for number in &mut numbers {
            scope.spawn(move || *number *= 2);
        }
    });
    t.see("numbers", numbers);
}

pub fn joins_before_it_returns(t: &mut Transcript) {
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(5));
                done.fetch_add(1, Ordering::AcqRel);
            });
        }
    });
    t.see("done", done.load(Ordering::Acquire));
}

pub fn joins_before_it_unwinds(t: &mut Transcript) {
    let done = AtomicBool::new(false);
    let ended = panic::catch_unwind(AssertUnwindSafe(|| {
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(10));
                done.store(true, Ordering::Release);
            });
            panic!("planned: in the body");
        });
    }));
    t.see("done", done.load(Ordering::Acquire));
    t.panic("panic", ended);
}

pub fn values(t: &mut Transcript) {
    let text = String::from("borrowed");
    let length = thread::scope(|scope| scope.spawn(|| text.len()).join().expect("join"));
    t.see("of the scope", length);
    let slice: &str = thread::scope(|scope| scope.spawn(|| &text[..3]).join().expect("join"));
    t.see("a borrow", slice);
    let sum: usize = thread::scope(|scope| {
        let handles: Vec<_> = (0..10).map(|n| scope.spawn(move || n * n)).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().expect("join"))
            .sum()
    });
    t.see("sum", sum);
}

pub fn spawns_from_inside(t: &mut Transcript) {
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            scope.spawn(|| {
                scope.spawn(|| count.fetch_add(1, Ordering::AcqRel));
                count.fetch_add(10, Ordering::AcqRel);
            });
            count.fetch_add(100, Ordering::AcqRel);
        });
    });
    t.see("count", count.load(Ordering::Acquire));
}

pub fn spawns_while_the_result_is_dropped(t: &mut Transcript) {
    /// Starts a thread of the scope in its destructor.
    struct Spawns<'scope, 'env>(&'scope Scope<'scope, 'env>, &'env AtomicBool);
    impl Drop for Spawns<'_, '_> {
        fn drop(&mut self) {
            let done = self.1;
            self.0.spawn(move || done.store(true, Ordering::Release));
        }
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Not joined: the thread's result is dropped at its end.
        scope.spawn(|| Spawns(scope, &done));
    });
    t.see("done", done.load(Ordering::Acquire));
}

pub fn panic_of_an_unjoined_thread(t: &mut Transcript) {
    let other = AtomicBool::new(false);
    let ended = panic::catch_unwind(AssertUnwindSafe(|| {
        thread::scope(|scope| {
            scope.spawn(|| panic!("planned: unjoined"));
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(10));
                other.store(true, Ordering::Release);
            });
            "value"
        })
    }));
    t.panic("panic", ended);
    t.see("the other ended", other.load(Ordering::Acquire));
}

pub fn panic_of_a_joined_thread(t: &mut Transcript) {
    let ended = panic::catch_unwind(AssertUnwindSafe(|| {
        thread::scope(|scope| {
            let handle = scope.spawn(|| panic!("planned: joined"));
            handle.join().map(|(): ()| ())
        })
    }));
    match ended {
        Ok(joined) => t.panic("joined", joined),
        Err(_) => t.see("the scope panicked", true),
    }
}

pub fn panic_of_the_body(t: &mut Transcript) {
    let ended = panic::catch_unwind(AssertUnwindSafe(|| {
        thread::scope(|_| panic!("planned: body"));
    }));
    t.panic("panic", ended);
}

pub fn panic_of_both(t: &mut Transcript) {
    let ended = panic::catch_unwind(AssertUnwindSafe(|| {
        thread::scope(|scope| {
            scope.spawn(|| panic!("planned: thread"));
            panic!("planned: body before its threads");
        });
    }));
    t.panic("panic", ended);
}

pub fn finished(t: &mut Transcript) {
    let go = AtomicBool::new(false);
    thread::scope(|scope| {
        let handle = scope.spawn(|| {
            while !go.load(Ordering::Acquire) {
                thread::yield_now();
            }
        });
        t.see("at first", handle.is_finished());
        go.store(true, Ordering::Release);
        wait_until("it has ended", || handle.is_finished());
        t.see("joins", handle.join().is_ok());
    });
}

pub fn builder(t: &mut Transcript) {
    let text = String::from("borrowed");
    thread::scope(|scope| {
        let handle = Builder::new()
            .name("scoped".into())
            .stack_size(1 << 20)
            .spawn_scoped(scope, || {
                (text.len(), thread::current().name().map(str::to_owned))
            })
            .expect("spawn");
        t.see("name", handle.thread().name().map(str::to_owned));
        let id = handle.thread().id();
        t.see("another thread", id != thread::current().id());
        t.see("value", handle.join().ok());
        t.see("unnamed", scope.spawn(|| ()).thread().name());
        let nul = Builder::new().name("a\0b".into());
        let spawned = panic::catch_unwind(AssertUnwindSafe(|| {
            nul.spawn_scoped(scope, || ()).map(drop)
        }));
        t.see("NUL panics", spawned.is_err());
    });
}

pub fn nested(t: &mut Transcript) {
    let outer = 1;
    let sum = thread::scope(|scope| {
        let inner = 10;
        let part = thread::scope(|within| {
            let first = within.spawn(|| outer + inner);
            let second = scope.spawn(|| outer * 100);
            first.join().expect("join") + second.join().expect("join")
        });
        part + 1000
    });
    t.see("sum", sum);
}

pub fn empty(t: &mut Transcript) {
    t.see("value", thread::scope(|_| "nothing to join"));
}

pub fn debug(t: &mut Transcript) {
    thread::scope(|scope| {
        // std shows its counters, which are no one's business.
        let shown = format!("{scope:?}");
        t.see(
            "scope",
            shown.starts_with("Scope { ") && shown.ends_with(", .. }") || shown == "Scope { .. }",
        );
        let handle = scope.spawn(|| ());
        t.see("handle", &handle);
    });
}
