//! CPU time by green thread.

use crate::hub::meter::{self, Asking};

/// Makes the hubs count CPU time, as long as this lives.
///
/// Fills [`ThreadReport::cpu`](crate::ThreadReport::cpu),
/// [`HubReport::cpu`](crate::HubReport::cpu) and
/// [`HubReport::longest_turn`](crate::HubReport::longest_turn). When the last one is dropped, the
/// counts stay, and the next one goes on from there. A hub begins with its next turn; a green
/// thread's time is added when it waits or gives way, so one that has not done so yet shows none.
///
/// Each switch to a green thread then costs one reading of the OS thread's CPU
/// clock, a system call of some 200 ns. Without any, a switch costs nothing.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use green::debug::CpuAccounting;
/// use green::thread::{sleep, spawn};
///
/// let _counting = CpuAccounting::start();
/// let busy = spawn(|| {
///     sleep(Duration::from_millis(1)); // The hub's next turn is counted.
///     let begun = Instant::now();
///     while begun.elapsed() < Duration::from_millis(20) {}
///     sleep(Duration::from_secs(3600));
/// });
/// let used = || {
///     let threads = green::report().threads;
///     threads.iter().find(|thread| thread.id == busy.thread().id()).unwrap().cpu
/// };
/// while used() < Duration::from_millis(1) {
///     std::thread::sleep(Duration::from_millis(1));
/// }
/// ```
#[derive(Debug)]
#[must_use = "counting ends when it is dropped"]
pub struct CpuAccounting(Asking);

impl CpuAccounting {
    /// Starts counting, if nobody else has.
    pub fn start() -> CpuAccounting {
        CpuAccounting(Asking::new())
    }

    /// Whether time is being counted.
    ///
    /// ```
    /// use green::debug::CpuAccounting;
    ///
    /// let _counting = CpuAccounting::start();
    /// assert!(CpuAccounting::is_on());
    /// ```
    pub fn is_on() -> bool {
        meter::is_asked_for()
    }
}
