//! What an unwinder finds at each instruction of a switch: a profiler's signal may come at any.
#![expect(unsafe_code, reason = "unwinds in a handler")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use greenhub::green_thread::{spawn_local, yield_now};
use greenhub::on_os_thread;

use test_support::child::alone;
use test_support::steps::at_each_instruction;

static STEPS: AtomicUsize = AtomicUsize::new(0);
static FRAMES: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    fn _Unwind_Backtrace(
        one: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
}

extern "C" fn count(_: *mut c_void, _: *mut c_void) -> c_int {
    FRAMES.fetch_add(1, Ordering::Relaxed);
    0
}

fn unwind() {
    // SAFETY: `count` is called for each frame, with this argument.
    unsafe { _Unwind_Backtrace(count, std::ptr::null_mut()) };
}

fn on_step() {
    unwind();
    STEPS.fetch_add(1, Ordering::Relaxed);
}

fn look_at_each_instruction(name: &str, thread_locals: &str) {
    let environment = [("GREEN_HUBS", "1"), ("GREEN_THREAD_LOCALS", thread_locals)];
    alone(name, &environment, || {
        // The unwinder is loaded and warm.
        unwind();
        greenhub::run(|| {
            let neighbour = spawn_local(|| (0..4).for_each(|_| yield_now()));
            at_each_instruction(on_step, || {
                yield_now();
                spawn_local(yield_now).join().unwrap();
                yield_now();
                on_os_thread(|| std::hint::black_box(()));
            });
            neighbour.join().unwrap();
        });
        let (steps, frames) = (
            STEPS.load(Ordering::Relaxed),
            FRAMES.load(Ordering::Relaxed),
        );
        // Some switches, and most of the frames that a hub and a green thread have.
        assert!(steps > 500 && frames > 4 * steps, "{steps}: {frames}");
    })
    .well();
}

#[test]
fn an_unwinder_may_look_at_each_instruction_of_a_switch() {
    look_at_each_instruction(
        "steps::an_unwinder_may_look_at_each_instruction_of_a_switch",
        "shared",
    );
}

#[test]
fn an_unwinder_may_look_at_each_instruction_of_a_switch_of_the_base() {
    look_at_each_instruction(
        "steps::an_unwinder_may_look_at_each_instruction_of_a_switch_of_the_base",
        "auto",
    );
}
