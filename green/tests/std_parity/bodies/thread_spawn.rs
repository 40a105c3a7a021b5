//! `thread::spawn`, `Builder`, `JoinHandle`, `Thread`, `ThreadId`, panics.

#![expect(unsafe_code, reason = "spawn_unchecked is what is tested")]

use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::lib::thread::{self, Builder, JoinHandle, Thread, ThreadId};
use super::support::{wait_until, without_numbers};
use crate::harness::Transcript;

parity! {
    topic: thread_spawn,
    items: [
        "spawn",
        "current",
        "panicking",
        "available_parallelism",
        "Result",
        "Builder::new",
        "Builder::name",
        "Builder::stack_size",
        "Builder::spawn",
        "Builder::spawn_unchecked",
        "impl Debug for Builder",
        "JoinHandle::thread",
        "JoinHandle::join",
        "JoinHandle::is_finished",
        "impl Debug for JoinHandle",
        "Thread::unpark",
        "Thread::id",
        "Thread::name",
        "impl Clone for Thread",
        "impl Debug for Thread",
        "impl Clone for ThreadId",
        "impl Debug for ThreadId",
        "impl Hash for ThreadId",
        "impl PartialEq for ThreadId",
        "impl Copy for ThreadId",
        "impl Eq for ThreadId",
        "impl JoinHandleExt for JoinHandle",
        "panicking() just after a caught panic",
    ],
    differs: [
        "panicking() just after a caught panic" =>
            "may still say true while another green thread of the hub waits \
             inside a destructor that a panic of its own runs: nothing tells \
             the hub that a panic was caught",
        "impl JoinHandleExt for JoinHandle" =>
            "a green thread has no pthread of its own to hand out",
        "Thread::unpark" => "with park, in the topic thread_park",
    ],
    bodies: {
        signatures: ["Result", "Builder::new"],
        join_gives_the_value: ["spawn", "JoinHandle::join"],
        join_gives_the_payload: ["JoinHandle::join"],
        values_of_every_size: ["JoinHandle::join"],
        join_from_another_thread: ["JoinHandle::join"],
        join_twice_removed: ["spawn", "JoinHandle::join"],
        detached: ["spawn"],
        result_of_a_detached_thread_is_dropped: ["spawn"],
        body_is_dropped_before_join: ["JoinHandle::join"],
        finished: ["JoinHandle::is_finished"],
        names: ["Builder::name", "Thread::name", "current", "JoinHandle::thread"],
        name_of_the_caller: ["current", "Thread::name"],
        name_with_nul: ["Builder::name", "Builder::spawn"],
        ids: [
            "Thread::id", "impl Hash for ThreadId", "impl PartialEq for ThreadId",
            "impl Eq for ThreadId", "impl Copy for ThreadId", "impl Clone for ThreadId",
        ],
        ids_of_the_current: ["current", "Thread::id", "impl Clone for Thread"],
        stack_sizes: ["Builder::stack_size", "Builder::spawn"],
        stack_too_large: ["Builder::stack_size", "Builder::spawn"],
        unchecked: ["Builder::spawn_unchecked"],
        debug: [
            "impl Debug for Builder", "impl Debug for JoinHandle", "impl Debug for Thread",
            "impl Debug for ThreadId",
        ],
        panics_are_seen: ["panicking"],
        panics_stay_in_their_thread: ["panicking", "spawn"],
        unwinding_drops_in_order: ["JoinHandle::join"],
        waits_while_unwinding: ["panicking", "JoinHandle::join"],
        many: ["spawn", "JoinHandle::join"],
        nested: ["spawn"],
        parallelism: ["available_parallelism"],
    },
}

/// Compiles only if every function has std's signature.
#[expect(clippy::type_complexity, reason = "signatures are written out")]
pub fn signatures(t: &mut Transcript) {
    use std::io;
    let _: fn(fn() -> u8) -> JoinHandle<u8> = thread::spawn::<fn() -> u8, u8>;
    let _: fn() -> Thread = thread::current;
    let _: fn() -> bool = thread::panicking;
    let _: fn() -> io::Result<std::num::NonZero<usize>> = thread::available_parallelism;
    let _: fn() -> Builder = Builder::new;
    let _: fn(Builder, String) -> Builder = Builder::name;
    let _: fn(Builder, usize) -> Builder = Builder::stack_size;
    let _: fn(Builder, fn() -> u8) -> io::Result<JoinHandle<u8>> = Builder::spawn::<fn() -> u8, u8>;
    let _: unsafe fn(Builder, fn() -> u8) -> io::Result<JoinHandle<u8>> =
        Builder::spawn_unchecked::<fn() -> u8, u8>;
    let _: fn(&JoinHandle<u8>) -> &Thread = JoinHandle::thread;
    let _: fn(JoinHandle<u8>) -> thread::Result<u8> = JoinHandle::join;
    let _: fn(&JoinHandle<u8>) -> bool = JoinHandle::is_finished;
    let _: fn(&Thread) -> ThreadId = Thread::id;
    let _: fn(&Thread) -> Option<&str> = Thread::name;
    t.see("compiles", true);
}

pub fn join_gives_the_value(t: &mut Transcript) {
    t.see("number", thread::spawn(|| 6 * 7).join().ok());
    t.see("text", thread::spawn(|| String::from("text")).join().ok());
    let moved = vec![1, 2, 3];
    let handle = thread::spawn(move || moved.into_iter().sum::<i32>());
    t.see("of what was moved in", handle.join().ok());
    t.see("nothing", thread::spawn(|| ()).join().is_ok());
}

pub fn join_gives_the_payload(t: &mut Transcript) {
    let text = "planned: dynamic";
    t.panic(
        "literal",
        thread::spawn(|| panic!("planned: literal"))
            .join()
            .map(|(): ()| ()),
    );
    t.panic(
        "formatted",
        thread::spawn(move || panic!("{text}"))
            .join()
            .map(|(): ()| ()),
    );
    let any = thread::spawn(|| panic::resume_unwind(Box::new(17_u16)));
    let payload = any.join().map(|(): ()| ()).expect_err("a panic");
    t.see("any", payload.downcast_ref::<u16>());
    let boxed = thread::spawn(|| {
        panic::resume_unwind(Box::new(Box::new("inner") as Box<dyn std::any::Any + Send>))
    });
    let payload = boxed.join().map(|(): ()| ()).expect_err("a panic");
    t.see("boxed", payload.is::<Box<dyn std::any::Any + Send>>());
    let owned = thread::spawn(|| panic::resume_unwind(Box::new(String::from("owned"))));
    t.panic("String", owned.join().map(|(): ()| ()));
    // A payload goes on through the thread that joins.
    let outer = thread::spawn(|| {
        let inner = thread::spawn(|| panic!("planned: inner"));
        if let Err(payload) = inner.join().map(|(): ()| ()) {
            panic::resume_unwind(payload);
        }
    });
    t.panic("carried on", outer.join());
}

pub fn values_of_every_size(t: &mut Transcript) {
    #[derive(Debug)]
    #[repr(align(256))]
    struct Aligned(#[expect(dead_code, reason = "seen through Debug")] u8);
    let array = thread::spawn(|| [7_u8; 16_384]).join().expect("join");
    t.see(
        "large",
        array.iter().map(|&byte| u32::from(byte)).sum::<u32>(),
    );
    let aligned = thread::spawn(|| Aligned(3)).join().expect("join");
    t.see("aligned", (&raw const aligned).addr() % 256);
    t.see("value", aligned);
    let result: Result<u8, String> = thread::spawn(|| Err("no".into())).join().expect("join");
    t.see("an error is a value", result);
}

pub fn join_from_another_thread(t: &mut Transcript) {
    let first = thread::spawn(|| "first");
    let second = thread::spawn(move || first.join().ok());
    t.see("through the second", second.join().ok().flatten());
}

pub fn join_twice_removed(t: &mut Transcript) {
    let outer = thread::spawn(|| thread::spawn(|| thread::spawn(|| 5)));
    let middle = outer.join().expect("join");
    let inner = middle.join().expect("join");
    t.see("value", inner.join().ok());
}

pub fn detached(t: &mut Transcript) {
    let done = Arc::new(AtomicBool::new(false));
    let signal = Arc::clone(&done);
    drop(thread::spawn(move || {
        thread::yield_now();
        signal.store(true, Ordering::Release);
    }));
    wait_until("the detached thread has run", || {
        done.load(Ordering::Acquire)
    });
    // One that outlives the thread that started it.
    let done = Arc::new(AtomicUsize::new(0));
    let signal = Arc::clone(&done);
    let parent = thread::spawn(move || {
        thread::spawn(move || {
            while signal.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            signal.store(2, Ordering::Release);
        });
    });
    t.see("parent ended well", parent.join().is_ok());
    done.store(1, Ordering::Release);
    wait_until("the child has gone on", || {
        done.load(Ordering::Acquire) == 2
    });
    t.see("done", true);
}

/// Sets the flag when dropped.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn flag() -> (Flag, Arc<AtomicBool>) {
    let shared = Arc::new(AtomicBool::new(false));
    (Flag(Arc::clone(&shared)), shared)
}

pub fn result_of_a_detached_thread_is_dropped(t: &mut Transcript) {
    let (value, dropped) = flag();
    drop(thread::spawn(move || value));
    wait_until("the value is dropped", || dropped.load(Ordering::Acquire));
    let (value, dropped) = flag();
    drop(thread::spawn(move || panic::resume_unwind(Box::new(value))).join());
    let (value, dropped_too) = flag();
    drop(thread::spawn(move || -> () {
        panic::resume_unwind(Box::new(value))
    }));
    wait_until("the payload of a detached one too", || {
        dropped_too.load(Ordering::Acquire)
    });
    wait_until("the payload is dropped", || dropped.load(Ordering::Acquire));
    let (value, dropped) = flag();
    let handle = thread::spawn(move || value);
    wait_until("it has ended", || handle.is_finished());
    t.see("kept for the handle", dropped.load(Ordering::Acquire));
    drop(handle);
    t.see("dropped with the handle", dropped.load(Ordering::Acquire));
}

pub fn body_is_dropped_before_join(t: &mut Transcript) {
    let (value, dropped) = flag();
    let handle = thread::spawn(move || {
        let _kept = &value;
    });
    t.see("ended well", handle.join().is_ok());
    t.see("captured values are gone", dropped.load(Ordering::Acquire));
    let (value, dropped) = flag();
    let handle = thread::spawn(move || {
        let _kept = &value;
        panic!("planned: with a captured value");
    });
    t.see("panicked", handle.join().map(|(): ()| ()).is_err());
    t.see("captured values are gone", dropped.load(Ordering::Acquire));
}

pub fn finished(t: &mut Transcript) {
    let go = Arc::new(AtomicBool::new(false));
    let waits = Arc::clone(&go);
    let handle = thread::spawn(move || {
        while !waits.load(Ordering::Acquire) {
            thread::yield_now();
        }
    });
    t.see("at first", handle.is_finished());
    go.store(true, Ordering::Release);
    wait_until("it has ended", || handle.is_finished());
    t.see("joins at once", handle.join().is_ok());
    let handle = thread::spawn(|| panic!("planned: and finished"));
    wait_until("it has ended", || handle.is_finished());
    t.panic("panicked", handle.join().map(|(): ()| ()));
}

pub fn names(t: &mut Transcript) {
    let seen = || thread::current().name().map(str::to_owned);
    t.see("of a spawned one", thread::spawn(seen).join().ok());
    let named = |name: &str| {
        Builder::new()
            .name(name.to_owned())
            .spawn(seen)
            .expect("spawn")
    };
    let handle = named("worker");
    t.see(
        "through the handle",
        handle.thread().name().map(str::to_owned),
    );
    t.see("of itself", handle.join().ok());
    t.see(
        "longer than a thread's in Linux",
        named(&"long name ".repeat(20)).join().ok(),
    );
    t.see("empty", named("").join().ok());
    t.see("not ASCII", named("grün 🌱").join().ok());
    t.see(
        "none from the builder",
        Builder::new().spawn(seen).expect("spawn").join().ok(),
    );
    let child = Builder::new()
        .name("parent".into())
        .spawn(move || thread::spawn(seen).join());
    t.see(
        "not inherited",
        child.expect("spawn").join().ok().and_then(Result::ok),
    );
    let handle = named("kept");
    let thread = handle.thread().clone();
    t.see("ended well", handle.join().is_ok());
    t.see("after the end", thread.name());
}

pub fn name_of_the_caller(t: &mut Transcript) {
    t.see("of the body's thread", thread::current().name());
}

pub fn name_with_nul(t: &mut Transcript) {
    let builder = Builder::new().name("a\0b".to_owned());
    let spawned = panic::catch_unwind(|| builder.spawn(|| ()));
    t.see("panics", spawned.is_err());
}

pub fn ids(t: &mut Transcript) {
    let handles: Vec<_> = (0..16)
        .map(|_| thread::spawn(|| thread::current().id()))
        .collect();
    let mut seen = HashSet::from([thread::current().id()]);
    for handle in handles {
        let id = handle.thread().id();
        t.see("the same inside", handle.join().ok() == Some(id));
        t.see("new", seen.insert(id));
    }
    let id = thread::current().id();
    let copy = id;
    t.see("equal", id == copy);
}

pub fn ids_of_the_current(t: &mut Transcript) {
    let id = thread::current().id();
    thread::yield_now();
    t.see("stays", thread::current().id() == id);
    t.see("of a clone", thread::current().clone().id() == id);
    let other = thread::spawn(move || thread::current().id() == id);
    t.see("not shared", other.join().ok());
    t.see("after a join", thread::current().id() == id);
}

pub fn stack_sizes(t: &mut Transcript) {
    #[inline(never)]
    fn deep(levels: usize) -> usize {
        let frame = std::hint::black_box([levels; 64]);
        if levels == 0 {
            0
        } else {
            deep(levels - 1) + frame[0] - levels + 1
        }
    }
    for size in [0, 1, 4096, 100_001, 16 << 20] {
        let handle = Builder::new().stack_size(size).spawn(move || size);
        t.see("runs", handle.expect("spawn").join().ok());
    }
    let handle = Builder::new().stack_size(32 << 20).spawn(|| deep(20_000));
    t.see("deep recursion", handle.expect("spawn").join().ok());
}

pub fn stack_too_large(t: &mut Transcript) {
    let spawned = Builder::new().stack_size(1 << 50).spawn(|| ());
    t.see("is an error", spawned.is_err());
}

pub fn unchecked(t: &mut Transcript) {
    let numbers = [1, 2, 3];
    // SAFETY: the thread is joined below, before `numbers` goes away.
    let handle = unsafe { Builder::new().spawn_unchecked(|| numbers.iter().sum::<i32>()) };
    t.see("sum", handle.expect("spawn").join().ok());
}

pub fn debug(t: &mut Transcript) {
    let handle = Builder::new()
        .name("shown".into())
        .spawn(|| ())
        .expect("spawn");
    t.see("handle", &handle);
    t.see("thread", without_numbers(handle.thread()));
    t.see("id", without_numbers(&handle.thread().id()));
    t.see("ended well", handle.join().is_ok());
    let unnamed = thread::spawn(thread::current).join().expect("join");
    t.see("unnamed", without_numbers(&unnamed));
    let shown = format!("{:?}", Builder::new().name("x".into()).stack_size(9));
    t.see(
        "builder",
        shown.starts_with("Builder { name: Some(\"x\"), stack_size: Some(9)"),
    );
}

/// Writes down in its destructor whether the thread is panicking.
struct Witness(Arc<AtomicUsize>);

impl Drop for Witness {
    fn drop(&mut self) {
        let seen = if thread::panicking() { 2 } else { 1 };
        self.0.store(seen, Ordering::Release);
    }
}

fn witness() -> (Witness, Arc<AtomicUsize>) {
    let shared = Arc::new(AtomicUsize::new(0));
    (Witness(Arc::clone(&shared)), shared)
}

pub fn panics_are_seen(t: &mut Transcript) {
    t.see("at rest", thread::panicking());
    let (inside, seen) = witness();
    let caught = panic::catch_unwind(AssertUnwindSafe(move || {
        let _inside = inside;
        panic!("planned: caught");
    }));
    t.panic("caught", caught.map(|(): ()| ()));
    t.see("while unwinding", seen.load(Ordering::Acquire));
    wait_until("it is over", || !thread::panicking());
    let (inside, seen) = witness();
    let handle = thread::spawn(move || {
        let _inside = inside;
        panic!("planned: in a thread");
    });
    t.panic("joined", handle.join().map(|(): ()| ()));
    t.see("while unwinding", seen.load(Ordering::Acquire));
    t.see("here", thread::panicking());
    let (inside, seen) = witness();
    t.see(
        "ended well",
        thread::spawn(move || drop(inside)).join().is_ok(),
    );
    t.see("without a panic", seen.load(Ordering::Acquire));
}

pub fn panics_stay_in_their_thread(t: &mut Transcript) {
    /// Starts a thread while unwinding and asks it whether it is panicking.
    struct Asks(Arc<AtomicUsize>);
    impl Drop for Asks {
        fn drop(&mut self) {
            let mut seen = 0;
            if thread::panicking() {
                seen += 1;
            }
            if let Ok(true) = thread::spawn(thread::panicking).join() {
                seen += 10;
            }
            // The join above was a wait: the state must have come back.
            if thread::panicking() {
                seen += 100;
            }
            self.0.store(seen, Ordering::Release);
        }
    }
    let seen = Arc::new(AtomicUsize::new(0));
    let asks = Asks(Arc::clone(&seen));
    let handle = thread::spawn(move || {
        let _asks = asks;
        panic!("planned: asks");
    });
    t.panic("joined", handle.join().map(|(): ()| ()));
    t.see("seen", seen.load(Ordering::Acquire));
    t.see("here", thread::panicking());
}

pub fn unwinding_drops_in_order(t: &mut Transcript) {
    let counter = Arc::new(AtomicUsize::new(0));
    let (first, second) = (Arc::clone(&counter), Arc::clone(&counter));
    struct Ordered(Arc<AtomicUsize>, usize);
    impl Drop for Ordered {
        fn drop(&mut self) {
            let so_far = self.0.load(Ordering::Acquire);
            self.0.store(so_far * 10 + self.1, Ordering::Release);
        }
    }
    let handle = thread::spawn(move || {
        let _first = Ordered(first, 1);
        let _second = Ordered(second, 2);
        panic!("planned: in order");
    });
    t.panic("joined", handle.join().map(|(): ()| ()));
    t.see("order", counter.load(Ordering::Acquire));
}

pub fn waits_while_unwinding(t: &mut Transcript) {
    /// Sleeps in its destructor.
    struct Sleeps(Arc<AtomicBool>);
    impl Drop for Sleeps {
        fn drop(&mut self) {
            thread::sleep(std::time::Duration::from_millis(10));
            self.0.store(thread::panicking(), Ordering::Release);
        }
    }
    let slept = Arc::new(AtomicBool::new(false));
    let sleeps = Sleeps(Arc::clone(&slept));
    let unwinding = thread::spawn(move || {
        let _sleeps = sleeps;
        panic!("planned: sleeps while unwinding");
    });
    let neighbours: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(|| {
                let mut seen = false;
                for _ in 0..10 {
                    seen |= thread::panicking();
                    thread::sleep(std::time::Duration::from_millis(2));
                }
                seen
            })
        })
        .collect();
    t.panic("joined", unwinding.join().map(|(): ()| ()));
    t.see("slept", slept.load(Ordering::Acquire));
    for neighbour in neighbours {
        t.see("seen by a neighbour", neighbour.join().ok());
    }
}

pub fn many(t: &mut Transcript) {
    let count = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..200)
        .map(|number| {
            let count = Arc::clone(&count);
            thread::spawn(move || {
                count.fetch_add(1, Ordering::AcqRel);
                number
            })
        })
        .collect();
    let sum: usize = handles
        .into_iter()
        .map(|handle| handle.join().expect("join"))
        .sum();
    t.see("sum", sum);
    t.see("count", count.load(Ordering::Acquire));
}

pub fn nested(t: &mut Transcript) {
    fn nest(levels: usize) -> usize {
        if levels == 0 {
            return 0;
        }
        thread::spawn(move || nest(levels - 1))
            .join()
            .expect("join")
            + 1
    }
    t.see("levels", nest(20));
}

pub fn parallelism(t: &mut Transcript) {
    t.see("of this machine", thread::available_parallelism().ok());
}
