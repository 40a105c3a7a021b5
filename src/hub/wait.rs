//! The one way to wait: open a ticket, queue up, suspend, and say why it ended.

use std::cell::Cell;
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::interrupt::{self, Interrupt, Masked};
use super::local::Local;
use super::os_parker::{OsParker, PollFor};
use super::site::Site;
use super::task::{Green, Kind, Task};
use super::wait_word::{Phase, Ticket};
use super::{current, held};
use crate::clock::Nanos;
use crate::contain::abort;
use crate::deadline::Deadline;
use crate::sys::lock::is_any_held;
use crate::sys::poll;

/// A thread's open ticket, as its waker holds it.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) task: Arc<Task>,
    pub(crate) ticket: Ticket,
}

impl Waiter {
    /// Ends the wait as if by its event; returns whether it was still open.
    pub(crate) fn wake(self) -> bool {
        self.task.wake_owned(self.ticket, Phase::Event)
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// What it waited for has happened: in a queue, a waker chose this thread.
    Woken,
    /// The deadline passed first.
    TimedOut,
    /// `still_needed` said no: there was no wait.
    NotNeeded,
}

/// What a wait is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) site: Site,
    pub(crate) deadline: Deadline,
    /// On a plain OS thread: wait for this descriptor as well.
    pub(crate) poll_for: Option<PollFor>,
}

/// For a wait of the running thread for a descriptor: does beforehand what can fail.
///
/// # Errors
///
/// An OS thread may fail to make its eventfd.
#[inline(always)]
pub(crate) fn poll_for(fd: RawFd, events: i16) -> io::Result<PollFor> {
    if !current::is_green() || held::is_held() {
        make_bell()?;
    }
    Ok(PollFor { fd, events })
}

/// The eventfd of the OS thread that [`wait`] would park here.
#[cold]
fn make_bell() -> io::Result<()> {
    match &waiting_task().kind {
        Kind::Os(parker) => parker.make_bell(),
        Kind::Green(_) => Ok(()),
    }
}

/// Parks the running thread, green or not.
///
/// `enqueue` gives the ticket to whoever will wake it, or declines. A wait that does not end by its event calls
/// `dequeue`, and then, if the thread is being killed or a block's time limit passed, unwinds.
///
/// # Panics
///
/// In the hub's own context, which must not wait. No code of a user runs there.
#[inline(always)]
pub(crate) fn wait(
    request: &Request,
    enqueue: impl FnOnce(Waiter) -> bool,
    dequeue: impl FnOnce(&Arc<Task>, Ticket),
) -> Wake {
    match wait_quietly(request, None, enqueue, dequeue) {
        Ok(woke) => woke,
        Err(interrupt) => raise(interrupt),
    }
}

#[cold]
fn raise(interrupt: Interrupt) -> ! {
    current::with(|task| task.raise(interrupt))
}

/// As [`wait`], but returns an interrupt instead of raising it. `mask` says what must not end the wait; without it,
/// the thread's state decides.
///
/// # Panics
///
/// As [`wait`].
#[inline(always)]
pub(crate) fn wait_quietly(
    request: &Request,
    mask: Option<Masked>,
    enqueue: impl FnOnce(Waiter) -> bool,
    dequeue: impl FnOnce(&Arc<Task>, Ticket),
) -> Result<Wake, Interrupt> {
    if held::is_held() {
        // In the green thread's stead, within the limits that it has set.
        current::with(|by| {
            current::with_os_task(|task| {
                refuse_under_lock(task);
                wait_as(task, by, request, mask, enqueue, dequeue)
            })
        })
    } else {
        assert!(
            current::is_green() || current::local().is_none(),
            "the hub itself cannot wait"
        );
        current::with(|task| wait_as(task, task, request, mask, enqueue, dequeue))
    }
}

/// The thread that [`wait`] would park here.
pub(crate) fn waiting_task() -> Arc<Task> {
    match held::is_held() {
        true => current::with_os_task(Clone::clone),
        false => current::with(Clone::clone),
    }
}

/// Parks `task` for `by`, whose kills and limits end the wait, except for a kill if the two differ.
fn wait_as(
    task: &Arc<Task>,
    by: &Arc<Task>,
    request: &Request,
    mask: Option<Masked>,
    enqueue: impl FnOnce(Waiter) -> bool,
    dequeue: impl FnOnce(&Arc<Task>, Ticket),
) -> Result<Wake, Interrupt> {
    refuse_under_lock(by);
    let masked = match mask.unwrap_or_else(|| by.masked()) {
        Masked::Nothing if !Arc::ptr_eq(task, by) => Masked::Kills,
        masked => masked,
    };
    if let Some(interrupt) = by.pending(masked) {
        return Err(interrupt);
    }
    let (limit, scope) = if masked == Masked::All {
        (Deadline::NEVER, 0)
    } else {
        by.interrupts.limit()
    };
    let deadline = request.deadline.min(limit);
    let local = current::local().filter(|_| task.green().is_some());
    let since = match &task.kind {
        Kind::Green(_) => local.map_or(Nanos::LONG_AGO, |local| local.time.get()),
        Kind::Os(parker) => begin_on_os_thread(parker, request),
    };
    let ticket = match open(task, request.site, since, masked) {
        Ok(ticket) => ticket,
        Err(ticket) => {
            leave(task, ticket, request);
            return Err(Interrupt::Kill);
        }
    };
    let waiter = Waiter {
        task: local.map_or_else(|| task.clone(), |local| local.handle(task)),
        ticket,
    };
    let opened = Opened {
        task,
        ticket,
        request,
    };
    task.stays.store(true, Ordering::Relaxed);
    if !enqueue(waiter) {
        drop(opened);
        return Ok(Wake::NotNeeded);
    }
    task.stays.store(false, Ordering::Relaxed);
    mem::forget(opened);
    suspend(task, local, ticket, deadline, request);
    match task.word.phase() {
        Phase::Event => Ok(Wake::Woken),
        Phase::Polled => {
            dequeue(task, ticket);
            Ok(Wake::Woken)
        }
        Phase::TimedOut => {
            dequeue(task, ticket);
            match limit < request.deadline {
                true => Err(Interrupt::Elapsed { scope }),
                false => Ok(Wake::TimedOut),
            }
        }
        Phase::Interrupted => {
            dequeue(task, ticket);
            Err(Interrupt::Kill)
        }
        phase => unreachable!("a thread was resumed in the middle of its wait: {phase:?}"),
    }
}

/// Opens the ticket of a wait; as an error, if the thread was killed before.
#[inline(always)]
fn open(task: &Task, site: Site, since: Nanos, masked: Masked) -> Result<Ticket, Ticket> {
    task.site.set(site, since);
    let ticket = task.word.open(masked != Masked::Nothing);
    // The killer sets its flag, then looks for an open ticket; we open, then
    // look at the flag: one of the two sees the other.
    match masked == Masked::Nothing && task.interrupts.is_killed() {
        true => Err(ticket),
        false => Ok(ticket),
    }
}

/// A waiter checks whether it still needs to wait while it holds the lock of the queue that it is about to join: a
/// wait there would hold up everybody who comes to that queue, even its own waker.
#[inline]
pub(crate) fn refuse_under_lock(task: &Task) {
    // A look at each wait at locks that nobody of ours waits under is left to debug builds.
    if task.stays.load(Ordering::Relaxed) || cfg!(debug_assertions) && is_any_held() {
        refuse(task);
    }
}

#[cold]
fn refuse(task: &Task) -> ! {
    const QUEUING: &str = "the function that tells whether a wait is still needed cannot wait itself, nor can a switch hook";
    const HOLDING: &str = "a wait under a short lock";
    let queues = task.stays.load(Ordering::Relaxed);
    let otherwise = if queues { QUEUING } else { HOLDING };
    let (why, masks) = WHY.get().unwrap_or((otherwise, 0));
    // Code that shields its wait may rely on that it does not unwind.
    if task.interrupts.masks() > masks {
        abort(format_args!(
            "a shielded wait cannot end by a panic ({why})"
        ));
    }
    panic!("{why}");
}

thread_local! {
    /// Why the running thread must not wait, if the reason is not a queue's lock, and what kept interrupts
    /// off when that began.
    static WHY: Cell<Option<(&'static str, u32)>> = const { Cell::new(None) };
}

/// Calls `f`, in which this thread must not wait, since it holds a lock that blocks OS threads, or since frames of C
/// have called it.
///
/// A call that would wait panics with `why` as its message, and no other thread runs on the hub meanwhile. A kill or a
/// time limit that is due takes effect at the first wait after `f`. A wait that is [shielded](crate::shield()) inside `f`
/// aborts the process instead, with a message: whoever shields a wait may rely on that it does not unwind.
///
/// # Panics
///
/// As `f` does.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let refused = std::panic::catch_unwind(|| {
///     greenhub::without_waiting("nobody sleeps here", || {
///         green::thread::sleep(Duration::from_secs(3600));
///     });
/// });
/// assert_eq!(*refused.unwrap_err().downcast::<String>().unwrap(), "nobody sleeps here");
/// ```
pub fn without_waiting<R>(why: &'static str, f: impl FnOnce() -> R) -> R {
    struct Stay {
        outer: bool,
        why: Option<(&'static str, u32)>,
    }
    impl Drop for Stay {
        fn drop(&mut self) {
            current::with(|task| task.stays.store(self.outer, Ordering::Relaxed));
            WHY.set(self.why);
        }
    }
    let (outer, masks) = current::with(|task| {
        let outer = task.stays.swap(true, Ordering::Relaxed);
        (outer, task.interrupts.masks())
    });
    let _stay = Stay {
        outer,
        why: WHY.replace(Some((why, masks))),
    };
    f()
}

/// A ticket that has not been given away: it is closed also when `enqueue`
/// panics.
struct Opened<'a> {
    task: &'a Arc<Task>,
    ticket: Ticket,
    request: &'a Request,
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.task.stays.store(false, Ordering::Relaxed);
        leave(self.task, self.ticket, self.request);
    }
}

/// Ends a wait that nobody knows of except, perhaps, a killer. If the killer has closed the ticket, it has scheduled
/// the thread, which must then suspend once.
#[inline(never)]
fn leave(task: &Arc<Task>, ticket: Ticket, request: &Request) {
    if !task.word.close(ticket, Phase::Event) {
        suspend(task, current::local(), ticket, Deadline::NEVER, request);
    }
}

fn suspend(
    task: &Arc<Task>,
    local: Option<&Local>,
    ticket: Ticket,
    deadline: Deadline,
    request: &Request,
) {
    match &task.kind {
        Kind::Green(green) => {
            let local = local.expect("a green thread runs on its hub");
            suspend_green(task, local, green, deadline);
        }
        Kind::Os(parker) => park_os_thread(task, parker, ticket, deadline, request),
    }
}

// What OS threads do when they wait is kept out of the many places where a wait is compiled.

#[inline(never)]
fn begin_on_os_thread(parker: &OsParker, request: &Request) -> Nanos {
    parker.prepare(request.poll_for);
    Nanos::now()
}

#[inline(never)]
fn park_os_thread(
    task: &Arc<Task>,
    parker: &OsParker,
    ticket: Ticket,
    deadline: Deadline,
    request: &Request,
) {
    if waits_in_a_hook() {
        park_in_hook(task, ticket, deadline, request);
    } else {
        parker.park(&task.word, ticket, deadline, request.poll_for);
    }
}

/// Whether the OS thread waits in the stead of a green thread that is in a panic hook.
fn waits_in_a_hook() -> bool {
    held::is_held() && held::is_in_hook() && current::is_green() && current::local().is_some()
}

/// How long a panic hook holds its hub while it waits. It is much longer than a
/// lock or a pipe is usually taken.
const HOOKS_PATIENCE: Duration = Duration::from_millis(100);
/// Between two looks.
const HOOKS_LOOK: Duration = Duration::from_millis(1);

/// Waits as `task`, the OS thread, in a panic hook of a green thread. What it waits
/// for may be a parked neighbour's, so the green thread is suspended in the end and
/// the hub runs on. But not at first: should a neighbour panic meanwhile, std ends
/// the process.
fn park_in_hook(task: &Arc<Task>, ticket: Ticket, deadline: Deadline, request: &Request) {
    let patience = Deadline::after(HOOKS_PATIENCE);
    let is_ready = |poll_for: PollFor| {
        let polled = poll::poll([(poll_for.fd, poll_for.events)], Some(Duration::ZERO));
        !matches!(polled, Ok([0]))
    };
    while task.word.open_ticket() == Some(ticket) {
        if request.poll_for.is_some_and(is_ready) {
            task.word.close(ticket, Phase::Polled);
        } else if deadline.has_passed() {
            task.word.close(ticket, Phase::TimedOut);
        } else if !patience.has_passed() {
            std::thread::sleep(HOOKS_LOOK);
        } else {
            interrupt::suspend_in_hook(|| sleep(Deadline::after(HOOKS_LOOK)));
        }
    }
}

fn suspend_green(task: &Arc<Task>, local: &Local, green: &Green, deadline: Deadline) {
    set_timer(task, local, green, deadline);
    local.suspend(task, green);
    if !deadline.is_never() {
        green.deadline.set(Deadline::NEVER);
    }
}

#[inline]
fn set_timer(task: &Arc<Task>, local: &Local, green: &Green, deadline: Deadline) {
    if !deadline.is_never() {
        green.deadline.set(deadline);
        local
            .timers
            .borrow_mut()
            .at_latest(green, deadline, || task.clone());
    }
}

/// As [`sleep`], for a green thread whose hub has just found, at `now`, that it is to start later:
/// it has no stack to be suspended on yet. When it is to start, or is killed, it is ready again.
/// False if it was killed before.
pub(super) fn sleep_unstarted(local: &Local, task: &Arc<Task>, green: &Green, now: Nanos) -> bool {
    match open(task, Site::Sleep, now, Masked::Nothing) {
        Ok(_) => {
            set_timer(task, local, green, green.start.into());
            true
        }
        // A killer that has found the ticket has made it ready.
        Err(ticket) => !task.word.close(ticket, Phase::Interrupted),
    }
}

/// Between two tries of one that found no stack.
const STACKS_LOOK: Duration = Duration::from_millis(10);

/// Lets `task`, whose future is to be polled, look again soon whether there is a stack for it. Not
/// even a kill can be seen to without one.
pub(super) fn await_stack(local: &Local, task: &Arc<Task>, green: &Green) {
    let now = local.time.get();
    // Masked, so that nobody has closed it.
    let _ = open(task, Site::Queue("a stack"), now, Masked::All);
    set_timer(task, local, green, Deadline::after(STACKS_LOOK));
}

/// Leaves `task`, whose future has just been polled and is not ready, until its waker is called or it is
/// killed. If that has happened already, it is ready at once. It has no stack meanwhile.
pub(super) fn await_waker(local: &Local, task: &Arc<Task>) {
    if task.woken.load(Ordering::SeqCst) {
        return local.push(task.clone());
    }
    let opened = open(
        task,
        Site::Queue("its waker"),
        local.time.get(),
        Masked::Nothing,
    );
    let (Ok(ticket) | Err(ticket)) = opened;
    task.awaiting.store(ticket, Ordering::SeqCst);
    // A waker sets its flag, then looks for our ticket; we the other way round.
    let is_due = opened.is_err() || task.woken.load(Ordering::SeqCst);
    if is_due && task.word.close(ticket, Phase::Event) {
        local.push(task.clone());
    }
}

/// Parks the running thread until `deadline`.
pub(crate) fn sleep(deadline: Deadline) {
    let request = Request {
        site: Site::Sleep,
        deadline,
        poll_for: None,
    };
    wait(&request, |_| true, |_, _| ());
}

/// Lets the other ready green threads run; on a plain OS thread, other OS
/// threads. A kill or a passed time limit is raised here too.
pub(crate) fn yield_now() {
    current::with(|task| {
        refuse_under_lock(task);
        let masked = task.masked();
        task.raise_pending(masked);
        match (&task.kind, current::local()) {
            (Kind::Green(_), Some(local)) if !held::is_held() => {
                local.requeue(task);
                task.raise_pending(masked);
            }
            _ => std::thread::yield_now(),
        }
    });
}

/// Lets `first`, which was just made ready, run before the running green thread goes on, if both are of one hub.
pub(crate) fn give_precedence(first: &Arc<Task>) {
    if let (Some(green), Some(local)) = (first.green(), current::local())
        && current::is_green()
        && !held::is_held()
        && ptr::eq(green.home, &local.hub.home)
    {
        current::with(|task| {
            if !Arc::ptr_eq(task, first) && !task.stays.load(Ordering::Relaxed) {
                local.hurry(first);
                local.requeue(task);
            }
        });
    }
}

/// Lets the other ready green threads run, and raises nothing.
pub(crate) fn requeue() {
    if let Some(local) = current::local().filter(|_| current::is_green()) {
        current::with(|task| local.requeue(task));
    }
}

/// Lets others run if the green thread has made many calls without waiting. For
/// a call of the system's; a call in memory is worth [`look_up`] alone.
#[inline]
pub(crate) fn give_way() {
    #[cfg(feature = "sim")]
    if crate::world::here().is_some() {
        return look_at_the_clock();
    }
    if current::is_green() {
        give_way_if(Local::spend);
    }
}

/// In the midst of a long call that has nothing to return yet, and so nothing to lose: raises a kill or a limit that is
/// due, and lets others run if the green thread has had its time. Where it must not wait, others run when it does.
pub(crate) fn checkpoint() {
    current::with(|task| {
        if !task.stays.load(Ordering::Relaxed) {
            task.raise_pending(task.masked());
        }
    });
    look_at_the_clock();
}

thread_local! {
    /// Calls in memory that have been made on this OS thread.
    static IN_MEMORY: Cell<u32> = const { Cell::new(0) };
}

/// Calls in memory between two looks at the clock: they cost so little that a
/// look after each four would cost as much.
const IN_MEMORY_PER_LOOK: u32 = 64;

/// As [`give_way`], for a call that costs next to nothing.
#[inline]
pub(crate) fn look_up() {
    #[cfg(feature = "sim")]
    if crate::world::here().is_some() {
        return look_at_the_clock();
    }
    let calls = IN_MEMORY.get().wrapping_add(1);
    IN_MEMORY.set(calls);
    if calls.is_multiple_of(IN_MEMORY_PER_LOOK) {
        look_at_the_clock();
    }
}

#[cold]
fn look_at_the_clock() {
    if current::is_green() {
        give_way_if(Local::spend_in_memory);
    }
}

fn give_way_if(spent: fn(&Local) -> bool) {
    if let Some(local) = current::local()
        && spent(local)
        && !held::is_held()
    {
        // No unwind here: the call's result would be lost.
        current::with(|task| {
            if !task.stays.load(Ordering::Relaxed) {
                local.requeue(task);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::time::Duration;

    use super::*;
    use crate::hub::Hub;

    #[test]
    fn the_hub_itself_cannot_wait_and_says_so_at_once() {
        let on_a_hub = || {
            current::set_local(Local::new(Box::leak(Box::new(Hub::new(1_000).unwrap()))));
            yield_now();
            catch_unwind(|| sleep(Deadline::after(Duration::from_secs(3600))))
        };
        let refused = std::thread::spawn(on_a_hub).join().unwrap();
        let panic = refused.unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"the hub itself cannot wait"));
    }
}
