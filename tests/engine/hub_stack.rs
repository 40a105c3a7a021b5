//! Calls on the hub's own stack: what is deep leaves a small stack alone, and everything else is as without.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};

use greenhub::green_thread::{Builder, sleep, spawn, yield_now};
use greenhub::on_os_thread;

use super::LIMIT;

/// Larger than the small stack below.
const DEEP: usize = 512 * 1024;

#[inline(never)]
fn deep(by: u8) -> u8 {
    let mut page = [0u8; DEEP];
    page[by as usize * 1024] = by;
    black_box(&page)[by as usize * 1024]
}

fn address_of_a_frame() -> usize {
    let here = 0u8;
    black_box(&raw const here) as usize
}

#[test]
fn a_small_stack_is_enough_for_a_deep_call() {
    test_support::bounded("deep", LIMIT, || {
        let threads: Vec<_> = (1..100)
            .map(|n| {
                let body = move || {
                    yield_now();
                    let own = address_of_a_frame();
                    let (seen, there) = on_os_thread(|| (deep(n), address_of_a_frame()));
                    yield_now();
                    (seen, own.abs_diff(there))
                };
                Builder::new().stack_size(64 * 1024).spawn(body).unwrap()
            })
            .collect();
        for (thread, n) in threads.into_iter().zip(1..) {
            let (seen, apart) = thread.join().unwrap();
            assert_eq!(seen, n);
            assert!(apart > DEEP, "{apart} bytes apart");
        }
    });
}

#[test]
fn a_call_within_a_call_leaves_the_outer_ones_frames_alone() {
    test_support::bounded("within", LIMIT, || {
        let body = || {
            on_os_thread(|| {
                let kept = black_box([7u8; 4096]);
                let inner = on_os_thread(|| greenhub::on_green_thread(|| on_os_thread(|| deep(9))));
                (inner, black_box(kept).iter().all(|byte| *byte == 7))
            })
        };
        assert_eq!(spawn(body).join().unwrap(), (9, true));
    });
}

#[test]
fn a_panic_comes_out_and_a_wait_is_refused() {
    test_support::bounded("unwinds", LIMIT, || {
        let body = || {
            let panics = || on_os_thread(|| std::panic::resume_unwind(Box::new(7)));
            let panic: Result<(), _> = catch_unwind(panics);
            let waits = || on_os_thread(|| sleep(LIMIT));
            let refused = catch_unwind(AssertUnwindSafe(waits)).unwrap_err();
            assert!(!std::thread::panicking());
            yield_now();
            let refused = greenhub::panic_message(&*refused).unwrap().to_owned();
            (*panic.unwrap_err().downcast::<i32>().unwrap(), refused)
        };
        let (panic, refused) = spawn(body).join().unwrap();
        assert_eq!(panic, 7);
        assert_eq!(refused, "a call on the hub's own stack cannot wait");
    });
}

#[test]
fn a_backtrace_goes_on_with_the_green_threads_frames() {
    #[inline(never)]
    fn the_caller_of_all() -> String {
        let trace =
            on_os_thread(|| black_box(std::backtrace::Backtrace::force_capture().to_string()));
        black_box(trace)
    }
    test_support::bounded("backtrace", LIMIT, || {
        let trace = spawn(the_caller_of_all).join().unwrap();
        assert!(trace.contains("the_caller_of_all"), "{trace}");
    });
}

#[test]
fn an_os_thread_calls_where_it_is() {
    let own = address_of_a_frame();
    let there = on_os_thread(address_of_a_frame);
    assert!(own.abs_diff(there) < 16 * 1024);
}
