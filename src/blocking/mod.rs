//! Blocking calls on OS threads of a pool, while the calling green thread parks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::sys::lock::Lock;

use crate::green_thread::drop_unrun;
use crate::hub::current;
use crate::hub::interrupt::{Interrupt, Masked, resume_unwind};
use crate::hub::wait::refuse_under_lock;
use crate::wait_queue::WaitQueue;

mod job;
mod pool;

use self::job::Job;
pub(crate) use self::pool::busy;

/// Runs `f`, which may block, on an OS thread of a bounded pool, and parks the calling green thread
/// until it is done, while its neighbours go on.
///
/// The pool's threads are named `green-blocking-N`, start when they are needed,
/// [`Config::blocking_threads`](crate::Config::blocking_threads) at most, and
/// end after ten idle seconds; calls beyond that wait their turn. A caller whose time limit passes,
/// or that is killed, does not wait any longer; `f` runs on to its end and its result is dropped
/// there.
///
/// On a plain OS thread without a time limit `f` runs right here, and so it does in a
/// simulation, where the calling green thread sleeps for a moment first.
///
/// # Panics
///
/// With `f`'s panic, if it panics. If not even one thread can be started, as
/// [`std::thread::spawn`] does.
///
/// ```
/// let size = green::blocking(|| std::fs::metadata("/proc/self/exe").map(|m| m.len()));
/// assert!(size.unwrap() > 0);
/// ```
pub fn blocking<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run(f, Cut::AtAnyTime)
}

/// When a kill or a limit ends the wait for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Always; the call is made all the same.
    AtAnyTime,
    /// Until a thread has begun it: it is taken back then.
    BeforeItBegins,
    Never,
}

fn run<F, T>(f: F, cut: Cut) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let limited = || current::with(|task| !task.interrupts.limit().0.is_never());
    if !current::is_green() && !limited() {
        return f();
    }
    // Also if the call should be over before there is anything to wait for.
    current::with(|task| refuse_under_lock(task));
    #[cfg(feature = "sim")]
    if let Some(world) = crate::world::here() {
        crate::green_thread::sleep(world.moment());
        return f();
    }
    match on_the_pool(f, cut) {
        Ok(result) => result.unwrap_or_else(|panic| resume_unwind(panic)),
        Err(interrupt) => current::with(|task| task.raise(interrupt)),
    }
}

/// Runs `f` on the pool and waits for it, as `cut` says.
///
/// # Panics
///
/// If not even one thread can be started.
pub(crate) fn on_the_pool<F, T>(f: F, cut: Cut) -> Result<std::thread::Result<T>, Interrupt>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let call = Arc::new(Call {
        job: Lock::new(Some(f)),
        result: Lock::new(None),
        caller: WaitQueue::new(),
    });
    have_done(call.clone(), cut)?;
    let result = call.result.lock().take();
    Ok(result.expect("a call that is done has its result"))
}

/// As [`blocking`], but once begun it cannot be cut short: for a call whose result must not be lost, such as
/// one that starts a process.
///
/// A kill or a time limit that comes before a thread of the pool has begun `f` is raised, and `f` is dropped; one that
/// comes later takes effect at the caller's next wait.
///
/// # Panics
///
/// As [`blocking`].
///
/// ```
/// use std::time::Duration;
///
/// let begun = green::timeout(Duration::from_millis(200), || {
///     greenhub::blocking_uncut(|| std::thread::sleep(Duration::from_millis(300)));
///     "it has ended"
/// });
/// assert_eq!(begun.unwrap(), "it has ended");
/// assert!(green::timeout(Duration::ZERO, || greenhub::blocking_uncut(|| ())).is_err());
/// ```
pub fn blocking_uncut<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    current::with(|task| {
        refuse_under_lock(task);
        task.raise_pending(task.masked());
    });
    run(f, Cut::BeforeItBegins)
}

struct Call<F, T> {
    /// Until it begins.
    job: Lock<Option<F>>,
    result: Lock<Option<std::thread::Result<T>>>,
    caller: WaitQueue,
}

impl<F, T> Job for Call<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn make(&self) {
        let job = self.job.lock().take();
        if let Some(f) = job {
            let result = catch_unwind(AssertUnwindSafe(f));
            *self.result.lock() = Some(result);
        }
    }

    fn has_begun(&self) -> bool {
        self.job.lock().is_none()
    }

    fn take_back(&self) -> bool {
        let job = self.job.lock().take();
        job.map(|f| drop_unrun(|| drop(f))).is_some()
    }

    fn is_done(&self) -> bool {
        self.result.lock().is_some()
    }

    fn caller(&self) -> &WaitQueue {
        &self.caller
    }
}

/// Has `job` done on the pool, and waits for that as `cut` says.
fn have_done(job: Arc<dyn Job>, cut: Cut) -> Result<(), Interrupt> {
    pool::submit(job.clone());
    while !job.is_done() {
        let is_waited_for = match cut {
            Cut::AtAnyTime => false,
            Cut::BeforeItBegins => job.has_begun(),
            Cut::Never => true,
        };
        let mask = is_waited_for.then_some(Masked::All);
        let still_needed = || !job.is_done();
        let waited = job
            .caller()
            .wait_quietly("blocking call", mask, still_needed);
        if let Err(interrupt) = waited
            && (cut == Cut::AtAnyTime || job.take_back())
        {
            return Err(interrupt);
        }
    }
    Ok(())
}
