//! A program that looks at its thread-locals, and at limits within limits: for builds of every kind, which inline in every
//! way.
//!
//! It is told what must hold, `own` or `shared`, and panics if it does not.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use greenhub::green_thread::{park, sleep, spawn, yield_now};
use greenhub::{on_green_thread, on_os_thread, timeout};

unsafe extern "C" {
    fn pthread_self() -> usize;
    fn pthread_getcpuclockid(thread: usize, clock: *mut i32) -> i32;
}

static DROPPED: AtomicU32 = AtomicU32::new(0);

struct Counts(u32);

impl Drop for Counts {
    fn drop(&mut self) {
        sleep(Duration::from_micros(100));
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

thread_local! {
    static VALUE: Cell<u32> = const { Cell::new(1) };
    static MADE: RefCell<Vec<u32>> = RefCell::new(vec![7; black_box(3)]);
    static SLOW: Counts = {
        sleep(Duration::from_millis(1));
        Counts(VALUE.get())
    };
}

/// All in one function, so that the compiler may keep an address over the waits.
fn look(n: u32) {
    // SAFETY: of the running thread. From glibc 2.43 on an error for one that has ended.
    let lives = unsafe { pthread_getcpuclockid(pthread_self(), &mut 0) };
    assert_eq!(lives, 0);
    assert_eq!(VALUE.replace(n), 1);
    yield_now();
    assert_eq!(VALUE.get(), n);
    for round in 0..20 {
        VALUE.set(VALUE.get() + 1);
        MADE.with_borrow_mut(|made| {
            made.push(round);
            yield_now();
        });
        sleep(Duration::from_micros(u64::from(n % 7)));
        assert_eq!(VALUE.get(), n + round + 1);
        let (os, own) = on_os_thread(|| {
            let os = VALUE.replace(0);
            let own = on_green_thread(|| VALUE.replace(VALUE.get() + 1));
            (os, own)
        });
        assert_eq!((os, own), (0, n + round + 1));
        VALUE.set(VALUE.get() - 1);
    }
    MADE.with_borrow(|made| assert_eq!(made.len(), 23));
    SLOW.with(|slow| assert_eq!(slow.0, n + 20));
    if cfg!(panic = "unwind") {
        let caught =
            std::panic::catch_unwind(|| on_os_thread(|| std::panic::resume_unwind(Box::new(n))));
        assert_eq!(*caught.unwrap_err().downcast::<u32>().unwrap(), n);
        assert!(!std::thread::panicking());
    }
}

/// Waits in its destructor, with a limit within another.
struct Waits;

impl Drop for Waits {
    fn drop(&mut self) {
        const FAR: Duration = Duration::from_secs(3600);
        let began = Instant::now();
        let outer = timeout(Duration::from_millis(10), || timeout(FAR, park));
        assert!(outer.is_err() && began.elapsed() < FAR);
        let inner = timeout(FAR, || timeout(Duration::from_millis(10), park));
        assert!(inner.unwrap().is_err());
    }
}

/// Where a compiler knows that a function catches everything, its caller's table has no entry for the call. That is no call
/// that must not unwind.
fn limits_in_an_unwind() {
    let unwinds = || {
        let caught = std::panic::catch_unwind(|| {
            let _waits = Waits;
            std::panic::resume_unwind(Box::new(7));
        });
        assert!(caught.is_err());
    };
    spawn(unwinds).join().unwrap();
    unwinds();
}

fn main() {
    let expected = std::env::args().nth(1).expect("own or shared");
    greenhub::run(|| on_os_thread(|| VALUE.set(0)));
    let told = greenhub::report().thread_locals;
    let are_own = told == "each green thread's own";
    assert_eq!(are_own, expected == "own", "{told}");
    println!("thread-locals are {told}");
    if cfg!(panic = "unwind") {
        limits_in_an_unwind();
    }
    if !are_own {
        return;
    }
    for hub in 0..greenhub::hub_count().unwrap() {
        let builder = greenhub::green_thread::Builder::new().hub(hub);
        let set = builder.spawn(|| on_os_thread(|| VALUE.set(0))).unwrap();
        set.join().unwrap();
    }
    let all: Vec<_> = (10..110).map(|n| spawn(move || look(n))).collect();
    all.into_iter().for_each(|one| one.join().unwrap());
    assert_eq!(DROPPED.load(Ordering::Relaxed), 100);
}
