//! The first function on a green thread's stack, and what happens at its end.
#![expect(unsafe_code, reason = "tells the thread who it is")]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::current;
use super::task::{Kind, PinnedBody, Start, Task};

/// Runs the current green thread from its first to its last instruction. Called by
/// the engine on the new stack.
pub(super) fn run(local: usize) {
    // SAFETY: the loop has the engine hand it over.
    unsafe { current::enter(local) };
    current::with(run_task);
    current::with(|task| {
        // Of destructors no kill ends a wait.
        task.interrupts.shield_for_life();
        // What wakers and the last handles' destructors made.
        task.end_values();
    });
}

// Never inlined, so that `base` lies in a frame of its own.
#[inline(never)]
fn run_task(task: &Arc<Task>) {
    let Kind::Green(green) = &task.kind else {
        return;
    };
    let base = 0u8;
    if let Some(carry) = green.carried {
        // Not this one's own stack. It may be gone when this returns, and somebody else run.
        return carry(&raw const base as usize);
    }
    green
        .base
        .store(&raw const base as usize, Ordering::Relaxed);
    // Looked at under the lock, so that `cancel` either comes before or finds
    // the body gone.
    let (body, start) = {
        let mut body = green.body.lock();
        let start = if task.interrupts.is_killed() && task.interrupts.masks() == 0 {
            Start::Killed
        } else {
            Start::Run
        };
        (body.take(), start)
    };
    if let Some(body) = body.and_then(PinnedBody::into_inner) {
        __rust_begin_short_backtrace(|| body(start));
    }
}

/// The name tells std's backtraces where the interesting frames end.
#[inline(never)]
fn __rust_begin_short_backtrace(f: impl FnOnce()) {
    f();
    std::hint::black_box(());
}
