//! A time limit over a whole block of code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::Elapsed;
use crate::hub::current;
use crate::hub::interrupt::{CAN_UNWIND, Raised, resume_unwind};

/// Runs `block`, but for no longer than `limit`.
///
/// When the limit passes, the current wait, or the next one, ends by an unwind, which drops what
/// the block holds and is caught here. So code inside that retries on every error cannot swallow
/// it. Whoever catches it with [`catch_unwind`] meets it again at the next wait.
///
/// In a panic hook a limit is without effect, since an unwind there would be the end of the panic to std: give a
/// socket that is used there time limits of its own. (A hook that was set later on, and does not call the one before
/// it, is known as one on green threads alone.)
///
/// Blocks nest: only the one whose own limit passed reports it. A block that never waits is not
/// interrupted. On a plain OS thread only waits of this crate are ended. Inside a destructor that
/// an unwind runs, neither a kill nor an outer limit interrupts anything, but a block's own limit
/// still works.
///
/// ```
/// use std::time::Duration;
///
/// use green::{thread, timeout};
///
/// let slow = timeout(Duration::from_millis(5), || {
///     thread::sleep(Duration::from_secs(60));
/// });
/// assert!(slow.is_err());
/// assert_eq!(timeout(Duration::from_secs(60), || 7), Ok(7));
/// ```
///
/// # Errors
///
/// [`Elapsed`] when the limit has passed. In a program built with
/// `panic = "abort"` the block is not run and the error says so.
pub fn timeout<T>(limit: Duration, block: impl FnOnce() -> T) -> Result<T, Elapsed> {
    static NEXT_SCOPE: AtomicU64 = AtomicU64::new(1);
    if !CAN_UNWIND {
        return Err(Elapsed { refused: true });
    }
    let scope = NEXT_SCOPE.fetch_add(1, Ordering::Relaxed);
    let deadline = Deadline::after(limit);
    let task = current::with(Clone::clone);
    if task.is_in_hook() {
        return Ok(block());
    }
    let outer = task.interrupts.limit();
    // Outer limits and kills must not interrupt the destructor that we are in,
    // if we are in one that an unwind runs; this limit does not leave it.
    let is_nested = task.is_unwinding();
    let mut around = 0;
    let result = caught(block, |base| {
        if is_nested {
            around = task.interrupts.enter_nested((deadline, scope), base);
        } else if deadline < outer.0 {
            // Should the outer limit pass first, it stays in force: it ends
            // this block too.
            task.interrupts.set_limit((deadline, scope));
        }
    });
    match is_nested {
        true => task.interrupts.leave_nested(outer, around),
        false => task.interrupts.set_limit(outer),
    }
    let told = task.interrupts.was_told(scope);
    if told && result.is_ok() {
        return Err(Elapsed { refused: false });
    }
    result.or_else(|payload| match payload.downcast_ref::<Raised>() {
        Some(Raised(interrupt)) if interrupt.is_of(scope) => Err(Elapsed { refused: false }),
        _ => resume_unwind(payload),
    })
}

/// Runs `block`, and catches what it raises; tells `begin` an address in the
/// frame that does.
// Never inlined: no unwind around it is to be seen in that frame.
#[inline(never)]
fn caught<T>(block: impl FnOnce() -> T, begin: impl FnOnce(usize)) -> std::thread::Result<T> {
    let base = 0u8;
    begin(&raw const base as usize);
    catch_unwind(AssertUnwindSafe(block))
}
