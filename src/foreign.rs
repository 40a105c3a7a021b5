//! Waits of code that was not written for green threads: they end by an error code, never by an
//! unwind.
//!
//! This is for layers between such code and the system, such as the package `green-monkey`: an
//! unwind must not cross frames of C. A kill is reported as `ECANCELED`, a limit of
//! [`timeout`](crate::timeout()) that has passed as `ETIMEDOUT`, never as `EINTR`, after which all
//! code tries again. Both stay in force: the next wait reports them too, or is ended by an unwind if
//! it is a wait of this crate; and `timeout` returns [`Elapsed`](crate::Elapsed) once the limit was
//! reported.
//!
//! Code that ignores errors and tries again would never rest, since each of its waits ends at once. So one interrupt ends
//! one [`sleep`] alone, and later ones last: most such loops sleep between two tries. One that does not is made to: from
//! the seventeenth report of the same interrupt on, each comes a little later.
//!
//! Call a function that parks only if [`may_park`] has just returned true; none of them asks it
//! itself.

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::blocking::{Cut, on_the_pool};
use crate::deadline::Deadline;
use crate::direction::Direction;
use crate::hub::interrupt::{Interrupt, Masked};
use crate::hub::site::Site;
use crate::hub::wait::{self, Request, Waiter, Wake};
use crate::hub::{current, held, placement};
use crate::sys::{fork, lock, unwind};
use crate::thread_locals;
use crate::trampoline::watch::{self, Watched};

/// The process that has the hubs; 0 before this module was asked to start them.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Starts the hubs, and checks that green threads have thread-locals of their own, since foreign
/// code keeps much there over its waits.
///
/// # Errors
///
/// What keeps the hubs from starting; `Unsupported` if thread-locals are shared.
pub fn prepare() -> io::Result<()> {
    placement::hubs()?;
    if !thread_locals::are_own() {
        let told = thread_locals::told().unwrap_or_default();
        let text = format!("green threads have no thread-locals of their own: these are {told}");
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    Ok(())
}

/// Whether the running thread is a green one that may be parked at this place.
///
/// Not inside the runtime: there it has an open wait, or holds a lock. Not in
/// [`without_waiting`](crate::without_waiting), nor in a signal handler that has a stack of its
/// own, nor in a child process that has a copy of this one's memory, nor in a simulation. A child of vfork(2) cannot be
/// told from its parent: nothing of this module may be called in it, but for [`closing`] and [`closed`].
pub fn may_park() -> bool {
    if !current::is_green() {
        return false;
    }
    // There is no system that foreign code could wait for.
    #[cfg(feature = "sim")]
    if crate::world::here().is_some() {
        return false;
    }
    let here = 0u8;
    let is_on_its_stack = || {
        let address = &raw const here as usize;
        let own = current::occupant().map(|o| o.bottom..o.bottom + o.size);
        own.is_some_and(|own| own.contains(&address))
    };
    thread_locals::are_set()
        && !is_inside()
        && !held::is_held()
        && current::with(|task| !task.stays.load(Ordering::Relaxed) && !task.word.is_open())
        && is_on_its_stack()
        && !fork::is_child()
}

/// Parks until `fd` is ready in `direction`, which gives true, or `deadline` passes. Ready means
/// that a call is worth a try.
///
/// To be called after a call that found nothing in this direction, and no wait since. The number stays registered until
/// [`closing`] says that it will be closed. A close that nobody tells of, after which the number is another file's, is
/// found half a second late.
///
/// # Errors
///
/// `ECANCELED`, `ETIMEDOUT`; `EBADF` if the number was closed meanwhile; what epoll_ctl(2) says.
pub fn wait_fd(fd: RawFd, direction: Direction, deadline: Deadline) -> io::Result<bool> {
    wait_for(fd, direction, deadline, None)
}

/// As [`wait_fd`], but neither a kill nor a limit ends it: for callers that know no error.
///
/// # Errors
///
/// `EBADF` if the number was closed meanwhile; what epoll_ctl(2) says.
pub fn wait_fd_uncut(fd: RawFd, direction: Direction, deadline: Deadline) -> io::Result<bool> {
    wait_for(fd, direction, deadline, Some(Masked::All))
}

fn wait_for(
    fd: RawFd,
    direction: Direction,
    deadline: Deadline,
    mask: Option<Masked>,
) -> io::Result<bool> {
    let waited = watch::wait(fd, direction, deadline, mask, true)?;
    match waited.map_err(told)? {
        Watched::Ready => Ok(true),
        Watched::TimedOut => Ok(false),
        Watched::Closed => Err(io::Error::from_raw_os_error(libc::EBADF)),
    }
}

/// To be called before `fd` is closed: ends all waits for it by number.
///
/// Does nothing in a child process, or where the running thread may be inside the runtime, as in a
/// signal handler.
pub fn closing(fd: RawFd) {
    if may_tell() {
        watch::closing(fd);
    }
}

/// To be called after `fd` was closed: ends the waits that began between [`closing`] and the
/// close.
pub fn closed(fd: RawFd) {
    if may_tell() {
        watch::closed(fd);
    }
}

fn may_tell() -> bool {
    watch::are_any() && !is_inside() && is_our_process()
}

/// Whether the running thread is inside the runtime, because of an allocator that is called there,
/// or of a signal: then nothing of this crate may be called, not even [`Waker::wake`].
pub fn is_inside() -> bool {
    lock::is_any_held() || current::local().is_some_and(|local| !local.is_settled())
}

/// Not in a child that has our memory, or a copy of it.
fn is_our_process() -> bool {
    PROCESS.load(Ordering::Relaxed) == std::process::id()
}

/// Sleeps until `deadline`, for code that sleeps. An interrupt that has ended such a sleep before does not end another: it
/// lasts, and what comes meanwhile is met by the next wait.
///
/// # Errors
///
/// `ECANCELED`, `ETIMEDOUT`.
pub fn sleep(deadline: Deadline) -> io::Result<()> {
    if current::with(|task| task.has_been_woken()) {
        last_until(deadline);
        return Ok(());
    }
    nap(deadline, None).map_err(|interrupt| {
        let before = current::with(|task| task.tell_asleep(interrupt));
        after_telling(interrupt, before)
    })
}

/// Parks until `deadline`, whatever comes.
fn last_until(deadline: Deadline) {
    let _ = nap(deadline, Some(Masked::All));
}

fn nap(deadline: Deadline, mask: Option<Masked>) -> Result<(), Interrupt> {
    let request = Request {
        site: Site::Sleep,
        deadline,
        poll_for: None,
    };
    wait::wait_quietly(&request, mask, |_| true, |_, _| ()).map(drop)
}

/// Parks until `deadline`: for waits that have to look again now and then.
///
/// # Errors
///
/// `ECANCELED`, `ETIMEDOUT`.
pub fn sleep_until(deadline: Deadline) -> io::Result<()> {
    nap(deadline, None).map_err(told)
}

/// Lets other green threads run.
pub fn yield_now() {
    wait::requeue();
}

/// To be called after a call that did not have to wait: now and then it lets others run, if the
/// running thread may be parked.
pub fn give_way() {
    if current::local().is_some_and(|local| current::is_green() && local.spend()) && may_park() {
        wait::requeue();
    }
}

/// Whether a kill or a limit is due that would end a wait.
pub fn is_interrupted() -> bool {
    current::with(|task| task.pending(task.masked()).is_some())
}

/// Whether one of `functions`, by their addresses, has called the caller. One that the compiler put into its own callers is
/// not found. It takes some microseconds.
pub fn is_called_by(functions: &[*const ()]) -> bool {
    unwind::is_called_by(functions)
}

/// The right to end one wait that [`park`] has begun. It may be used by any thread.
pub struct Waker(Waiter);

impl Waker {
    /// Ends the wait; returns whether it was still under way.
    pub fn wake(self) -> bool {
        self.0.wake()
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Waker").field(&self.0.task).finish()
    }
}

/// Parks until the waker is used, which gives true, or `deadline` passes. Neither a kill nor a
/// limit ends it: for locks, whose callers know no error. `what` names them in a report.
///
/// `enqueue` hands the waker to whoever will use it; or it drops the waker and returns false, and
/// then `park` returns true at once. It must not wait. `dequeue` takes the waker back after the
/// deadline.
pub fn park(
    what: &'static str,
    deadline: Deadline,
    enqueue: impl FnOnce(Waker) -> bool,
    dequeue: impl FnOnce(),
) -> bool {
    let request = Request {
        site: Site::Queue(what),
        deadline,
        poll_for: None,
    };
    let mask = Some(Masked::All);
    let waited = wait::wait_quietly(
        &request,
        mask,
        |waiter| enqueue(Waker(waiter)),
        |_, _| dequeue(),
    );
    !matches!(waited, Ok(Wake::TimedOut))
}

/// Runs `f`, which may block and must not panic, on the pool of [`blocking`](crate::blocking()),
/// and parks until it is done. If a kill or a limit ends the wait, `f` runs on to its end, and its
/// result is dropped there.
///
/// # Errors
///
/// `ECANCELED`, `ETIMEDOUT`; `EAGAIN` if no thread can be started.
pub fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    on_a_thread(f, Cut::AtAnyTime)
}

/// As [`blocking`], but neither a kill nor a limit ends it once a thread has begun `f`, or if it was due before the call. One
/// that comes while no thread is free for `f` ends it, and `f` is dropped.
///
/// # Errors
///
/// As [`blocking`].
pub fn blocking_uncut<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    on_a_thread(
        f,
        match is_interrupted() {
            true => Cut::Never,
            false => Cut::BeforeItBegins,
        },
    )
}

fn on_a_thread<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
    cut: Cut,
) -> io::Result<T> {
    let no_thread = || io::Error::from_raw_os_error(libc::EAGAIN);
    let done = catch_unwind(AssertUnwindSafe(|| on_the_pool(f, cut))).map_err(|_| no_thread())?;
    done.map_err(told)?.map_err(|_| no_thread())
}

/// How often an interrupt is told without delay.
const PATIENCE: u32 = 16;
/// Each later time it takes so much longer, up to the most.
const DELAY: Duration = Duration::from_millis(1);
const LONGEST_DELAY: u32 = 16;

/// The code for an interrupt.
fn told(interrupt: Interrupt) -> io::Error {
    let before = current::with(|task| task.tell(interrupt));
    after_telling(interrupt, before)
}

/// The code for an interrupt that the thread has been told `before` times already. Whoever does not listen waits.
fn after_telling(interrupt: Interrupt, before: u32) -> io::Error {
    let delay = DELAY * before.saturating_sub(PATIENCE - 1).min(LONGEST_DELAY);
    if !delay.is_zero() {
        last_until(Deadline::after(delay));
    }
    io::Error::from_raw_os_error(match interrupt {
        Interrupt::Kill => libc::ECANCELED,
        Interrupt::Elapsed { .. } => libc::ETIMEDOUT,
    })
}
