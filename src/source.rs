//! A descriptor that threads wait for: its readiness in each direction, its waiters, its end.
//!
//! # Readiness
//!
//! A descriptor is registered once, edge-triggered, with the hub of the first
//! green thread that has to wait for it. What an edge said is remembered in a
//! `Line` per direction until a call finds nothing left, so a call is tried
//! first and most calls never see the hub.
//!
//! # Who is served
//!
//! An edge wakes the first waiter of its direction. Whoever has been woken
//! passes the turn on when its call has returned, if the direction is still
//! ready; if the call found nothing, it stands at the front again. A newcomer
//! stands behind those who wait. So any number of threads may read one
//! descriptor, each is served in its turn, and none is woken in vain.
//!
//! *Invariant*: if a line is ready and its queue is not empty, somebody who has
//! been woken, or an edge's delivery, is on the way to pass the turn on.
//!
//! # Closing
//!
//! [`close`](Source::close) marks, wakes every waiter, deregisters, and then
//! releases the open file while the number stays taken until the last owner is
//! gone. So a call under way on another thread can never meet another
//! descriptor under the number that it knows.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock::Nanos;
use crate::error::ClosedLocally;
use crate::hub::interrupt::in_panic_hook;
use crate::hub::os_parker::PollFor;
use crate::hub::registry::Ready;
use crate::hub::site::Site;
use crate::hub::task::Task;
use crate::hub::wait::{self, Request, Waiter, Woke};
use crate::hub::{Hub, current};
use crate::sys::{epoll, fd, poll};
use crate::trampoline;
use crate::wait_queue::{Place, WaitQueue, Wake};

/// One of the two ways to use a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Receiving, accepting.
    Read,
    /// Sending, connecting.
    Write,
}

/// How one call waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// Do not wait at all: EAGAIN goes to the caller.
    pub nonblocking: bool,
    /// The most that the whole call may take; `None` is for ever.
    pub limit: Option<Duration>,
}

impl Patience {
    /// Waits as long as it takes.
    pub const FOREVER: Patience = Patience {
        nonblocking: false,
        limit: None,
    };
}

/// A non-blocking descriptor that green threads and OS threads can wait for.
///
/// Dropping it deregisters and closes the descriptor.
pub struct Source {
    // Before `fd`: it is deregistered first, and closed then.
    lines: Registered,
    fd: OwnedFd,
    /// Whether a short read means that the buffer is empty.
    tcp_stream: bool,
}

// A panic leaves no source half-changed: its state is the kernel's and a few
// atomics. So what is made of one keeps its unwind safety, as std's have it.
impl UnwindSafe for Source {}
impl RefUnwindSafe for Source {}

impl Source {
    /// Takes `fd`, which must be in non-blocking mode (O_NONBLOCK): else a call
    /// would block the hub.
    pub fn new(fd: OwnedFd) -> Source {
        Source {
            lines: Registered(Lines::ready(fd.as_raw_fd())),
            fd,
            tcp_stream: false,
        }
    }

    /// As [`new`](Source::new), for a TCP connection: there a read that does
    /// not fill its buffer has emptied the kernel's (epoll(7), question 9), so
    /// the next one waits without asking the kernel first.
    ///
    /// Not for other streams: a Unix socket ends a read early where the
    /// sender's credentials change.
    pub fn new_tcp_stream(fd: OwnedFd) -> Source {
        Source {
            tcp_stream: true,
            ..Source::new(fd)
        }
    }

    /// Gives the descriptor back, deregistered, still in non-blocking mode.
    pub fn into_fd(self) -> OwnedFd {
        let Source { lines, fd, .. } = self;
        drop(lines);
        fd
    }

    /// Calls `operation` until it does not say EAGAIN, and waits for readiness
    /// between the tries.
    ///
    /// EINTR goes to the caller, as std has it for reads and writes.
    ///
    /// # Errors
    ///
    /// What `operation` returns. `WouldBlock` (EAGAIN) if the call may not wait
    /// or its time limit passed, as std reports an expired SO_RCVTIMEO;
    /// `NotConnected` with [`ClosedLocally`] inside if the source was closed.
    #[inline]
    pub fn retry<T>(
        &self,
        direction: Direction,
        patience: Patience,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.retry_until(direction, patience, operation, |_| false)
    }

    /// As [`retry`](Source::retry) in direction `Read`, for an operation that
    /// reads into `capacity` bytes and returns how many it read.
    #[inline]
    pub fn retry_read(
        &self,
        patience: Patience,
        capacity: usize,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let n = self.retry_until(Direction::Read, patience, operation, |&n| {
            self.tcp_stream && n > 0 && n < capacity
        })?;
        if n == 0 && capacity > 0 && self.is_closed() {
            // Our own shutdown in `close`, seen by a call under way: no end that
            // the peer has sent.
            return Err(ClosedLocally.into());
        }
        Ok(n)
    }

    /// The loop around EAGAIN, the only one. `exhausts` tells whether a result
    /// shows that nothing is left in the direction.
    #[inline]
    fn retry_until<T>(
        &self,
        direction: Direction,
        patience: Patience,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
        exhausts: impl Fn(&T) -> bool,
    ) -> io::Result<T> {
        let line = self.lines.line(direction);
        let mut deadline = None;
        let mut waited = false;
        loop {
            if self.is_closed() {
                return Err(ClosedLocally.into());
            }
            let seen = line.look();
            if waited || patience.nonblocking || (seen.is_ready() && line.waiters.is_empty()) {
                match operation(self.as_fd()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        line.exhausted(seen);
                        if patience.nonblocking {
                            return Err(error);
                        }
                    }
                    // The descriptor may have been taken away under the call.
                    Err(_) if self.is_closed() => return Err(ClosedLocally.into()),
                    result => {
                        if let Ok(value) = &result
                            && exhausts(value)
                            && !seen.is_ending()
                        {
                            line.exhausted(seen);
                        }
                        line.pass_on();
                        if !waited {
                            give_way();
                        }
                        return result;
                    }
                }
            }
            let deadline = *deadline.get_or_insert_with(|| match patience.limit {
                Some(limit) => Nanos::after(limit),
                None => Nanos::NEVER,
            });
            let place = if waited { Place::Front } else { Place::Back };
            match self.wait_in(direction, deadline, place)? {
                Wake::TimedOut => return Err(io::Error::from_raw_os_error(libc::EAGAIN)),
                Wake::Woken | Wake::NotNeeded => waited = true,
            }
        }
    }

    /// Parks the running thread until the direction is ready or `deadline`
    /// passes; `Ok(false)` is the latter. Ready means that a call is worth a
    /// try, also because the peer is gone.
    ///
    /// # Errors
    ///
    /// `NotConnected` with [`ClosedLocally`] inside if the source is or gets
    /// closed; what epoll_ctl(2) or eventfd(2) say at the first wait.
    pub fn wait(&self, direction: Direction, deadline: Option<Instant>) -> io::Result<bool> {
        let line = self.lines.line(direction);
        if self.is_closed() {
            return Err(ClosedLocally.into());
        }
        // What is remembered may be out of date: ask whether it is ready now.
        let seen = line.look();
        if poll_now(self.as_raw_fd(), direction)? {
            give_way();
            return Ok(true);
        }
        line.exhausted(seen);
        let woke = self.wait_in(direction, Nanos::deadline(deadline), Place::Back)?;
        if self.is_closed() {
            return Err(ClosedLocally.into());
        }
        line.pass_on();
        Ok(woke != Wake::TimedOut)
    }

    fn wait_in(&self, direction: Direction, deadline: Nanos, place: Place) -> io::Result<Wake> {
        self.lines.wait(direction, deadline, place)
    }

    /// Has those who wait in `direction` try again, because of something that the
    /// kernel reports to calls and not as an event.
    pub(crate) fn nudge(&self, direction: Direction) {
        self.lines.line(direction).edge(false);
    }

    /// As [`wait`](Source::wait), for either direction: for a layer that has
    /// something to send and something to receive and must not let one wait for
    /// the other. The caller tries both then.
    ///
    /// # Errors
    ///
    /// As [`wait`](Source::wait).
    pub fn wait_either(&self, deadline: Option<Instant>) -> io::Result<bool> {
        let woke = self.lines.wait_either(Nanos::deadline(deadline))?;
        if self.is_closed() {
            return Err(ClosedLocally.into());
        }
        Ok(woke != Woke::TimedOut)
    }

    /// Ends every wait on it with [`ClosedLocally`], now and from now on, shuts
    /// a socket down in both directions, so that the peer hears of it whoever
    /// else holds a duplicate, and closes the open file. Does not wait.
    ///
    /// The number of the descriptor stays taken until the source is dropped.
    pub fn close(&self) {
        if self.lines.mark_closed() {
            self.lines.deregister();
            fd::shutdown_both(self.as_fd());
            // With no descriptor to spare for the replacement the open file
            // lives on until the drop: shut down and marked it is no use.
            let _ = fd::replace_by_dead(self.as_fd());
        }
    }

    /// Whether [`close`](Source::close) was called.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.lines.closed.load(Ordering::Acquire)
    }
}

/// Deregisters when it is dropped.
struct Registered(Arc<Lines>);

impl Deref for Registered {
    type Target = Arc<Lines>;

    fn deref(&self) -> &Arc<Lines> {
        &self.0
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.0.deregister();
    }
}

impl AsFd for Source {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Source {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("fd", &self.as_raw_fd())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Sets or clears O_NONBLOCK on the open file behind `fd`, which its duplicates
/// share.
///
/// # Errors
///
/// What fcntl(2) says.
pub fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    fd::set_nonblocking(fd, nonblocking)
}

/// Whether a call in this direction is worth a try at this moment.
pub(crate) fn poll_now(fd: RawFd, direction: Direction) -> io::Result<bool> {
    let [revents] = poll::poll([(fd, poll_events(direction))], Some(Duration::ZERO))?;
    if revents & poll::INVALID != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(revents != 0)
}

fn poll_events(direction: Direction) -> i16 {
    match direction {
        Direction::Read => poll::IN,
        Direction::Write => poll::OUT,
    }
}

/// Lets others run if the green thread has made many calls without waiting.
#[inline]
pub(crate) fn give_way() {
    if current::is_green()
        && let Some(local) = current::local()
        && local.spend()
        && !in_panic_hook()
    {
        // No unwind here: the call's result would be lost.
        current::with(|task| {
            if let Some(green) = task.green() {
                local.push(task.clone());
                local.suspend(green, task.is_panicking());
            }
        });
    }
}

/// Both directions of one descriptor, shared with the hub it is registered with.
pub(crate) struct Lines {
    fd: RawFd,
    read: Line,
    write: Line,
    closed: AtomicBool,
    registration: Mutex<Option<Registration>>,
    /// Whether there has been a registration: a look without the lock.
    registered: AtomicBool,
}

#[derive(Clone, Copy)]
struct Registration {
    hub: &'static Hub,
    token: u64,
}

impl Lines {
    /// Ready, for all that is known: the first call is to try.
    fn ready(fd: RawFd) -> Arc<Lines> {
        Lines::new(fd, READY)
    }

    /// For one who has just seen that it is not ready.
    pub(crate) fn not_ready(fd: RawFd) -> Arc<Lines> {
        Lines::new(fd, 0)
    }

    fn new(fd: RawFd, word: u32) -> Arc<Lines> {
        Arc::new(Lines {
            fd,
            read: Line::new(word),
            write: Line::new(word),
            closed: AtomicBool::new(false),
            registration: Mutex::new(None),
            registered: AtomicBool::new(false),
        })
    }

    #[inline]
    fn line(&self, direction: Direction) -> &Line {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Registers with the running green thread's hub, unless done. False if
    /// epoll does not take such a descriptor (EPERM): then it is always ready.
    pub(crate) fn register(self: &Arc<Lines>) -> io::Result<bool> {
        let Some(local) = current::local() else {
            return Ok(true);
        };
        if self.registered.load(Ordering::Acquire) {
            return Ok(true);
        }
        let mut registration = self.registration.lock();
        if registration.is_some() || self.closed.load(Ordering::Acquire) {
            return Ok(true);
        }
        match local.hub.register(self.fd, self.clone()) {
            Ok(token) => {
                *registration = Some(Registration {
                    hub: local.hub,
                    token,
                });
                self.registered.store(true, Ordering::Release);
                drop(registration);
                trampoline::reissued(self);
                Ok(true)
            }
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn deregister(&self) {
        if let Some(Registration { hub, token }) = self.registration.lock().take() {
            hub.deregister(self.fd, token);
        }
    }

    /// `new` has registered our number: if our open file has been closed behind
    /// our back, ends every wait.
    pub(crate) fn end_if_reissued(&self, new: &Lines) {
        let new_hub = new.registration.lock().map(|registration| registration.hub);
        let stale = self.registration.lock().take_if(|old| {
            // One epoll instance does not take one open file twice, so on one
            // hub the new file is another; on two, ask the old one's.
            new_hub.is_some_and(|new_hub| std::ptr::eq(new_hub, old.hub))
                || !old.hub.still_registered(self.fd, old.token)
        });
        if let Some(Registration { hub, token }) = stale {
            // In the poller the number belongs to the new one by now.
            hub.registry.remove(token);
            self.mark_closed();
        }
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.fd
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Marks as closed and wakes everybody; false if it was already.
    pub(crate) fn mark_closed(&self) -> bool {
        if self.closed.swap(true, Ordering::SeqCst) {
            return false;
        }
        self.read.waiters.wake_all();
        self.write.waiters.wake_all();
        true
    }

    /// Parks until the direction is ready, the source closed, or `deadline`.
    pub(crate) fn wait(
        self: &Arc<Lines>,
        direction: Direction,
        deadline: Nanos,
        place: Place,
    ) -> io::Result<Wake> {
        if current::is_green() && !self.register()? {
            return Ok(Wake::NotNeeded);
        }
        let line = self.line(direction);
        let request = Request {
            site: match direction {
                Direction::Read => Site::Readable(self.fd),
                Direction::Write => Site::Writable(self.fd),
            },
            deadline,
            poll_for: Some(PollFor {
                fd: self.fd,
                events: poll_events(direction),
            }),
        };
        line.waiters.wait_for(request, place, |ahead| {
            // An OS thread looks for itself, with poll(2); a green thread
            // believes its hub, unless others wait whose turn it is.
            let ready = current::is_green()
                && line.look().is_ready()
                && (place == Place::Front || ahead == 0);
            !ready && !self.closed.load(Ordering::SeqCst)
        })
    }
}

impl Lines {
    /// Parks until one direction is ready, the source closed, or `deadline`: one
    /// ticket in two queues.
    fn wait_either(self: &Arc<Lines>, deadline: Nanos) -> io::Result<Woke> {
        if current::is_green() && !self.register()? {
            return Ok(Woke::NotNeeded);
        }
        let request = Request {
            site: Site::Readable(self.fd),
            deadline,
            poll_for: Some(PollFor {
                fd: self.fd,
                events: poll::IN | poll::OUT,
            }),
        };
        let needed = |line: &Line| {
            let ready = current::is_green() && line.look().is_ready();
            !ready && !self.closed.load(Ordering::SeqCst)
        };
        let leave = |task: &Arc<Task>, ticket| {
            self.read.waiters.remove(task, ticket);
            self.write.waiters.remove(task, ticket);
        };
        let mut queued = None;
        let woke = wait::wait(
            request,
            |waiter| {
                let (task, ticket) = (waiter.task.clone(), waiter.ticket);
                let second = Waiter {
                    task: task.clone(),
                    ticket,
                };
                queued = Some((task, ticket));
                self.read
                    .waiters
                    .enqueue(waiter, Place::Back, |_| needed(&self.read))
                    && self
                        .write
                        .waiters
                        .enqueue(second, Place::Back, |_| needed(&self.write))
            },
            leave,
        );
        if let Some((task, ticket)) = queued {
            leave(&task, ticket);
        }
        // We may have been chosen in a direction whose turn is another's.
        self.read.pass_on();
        self.write.pass_on();
        woke
    }
}

impl Ready for Lines {
    fn deliver(&self, events: u32) {
        // ERR and HUP come unasked and concern both directions: what ends one
        // may be all that ever happens on the other.
        const BOTH: u32 = epoll::ERR | epoll::HUP;
        if events & (epoll::IN | epoll::RDHUP | epoll::PRI | BOTH) != 0 {
            let ending = events & (epoll::RDHUP | epoll::PRI | BOTH) != 0;
            self.read.edge(ending);
        }
        if events & (epoll::OUT | BOTH) != 0 {
            self.write.edge(false);
        }
    }
}

/// What is known of one direction: ready or not, how many edges, who waits.
struct Line {
    /// Bit 0: ready. Bit 1: an end, an error or urgent data was seen, so a short
    /// read does not mean an empty buffer. The rest counts edges, so that a
    /// look before a call and a verdict after it fit together.
    word: AtomicU32,
    waiters: WaitQueue,
}

const READY: u32 = 1;
const ENDING: u32 = 2;
const EDGE: u32 = 4;

/// What a look at a line showed.
#[derive(Clone, Copy, Debug)]
struct Seen(u32);

impl Seen {
    #[inline]
    fn is_ready(self) -> bool {
        self.0 & READY != 0
    }

    #[inline]
    fn is_ending(self) -> bool {
        self.0 & ENDING != 0
    }
}

impl Line {
    fn new(word: u32) -> Line {
        Line {
            word: AtomicU32::new(word),
            waiters: WaitQueue::new(),
        }
    }

    #[inline]
    fn look(&self) -> Seen {
        Seen(self.word.load(Ordering::SeqCst))
    }

    /// Takes note that the direction has nothing left, unless an edge came
    /// since `seen`.
    #[inline]
    fn exhausted(&self, seen: Seen) {
        if seen.is_ready() {
            let _ = self.word.compare_exchange(
                seen.0,
                seen.0 & !READY,
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
        }
    }

    /// An edge: ready again, for the first in the queue. Called by the hub that
    /// the descriptor is registered with, or by whoever knows better.
    fn edge(&self, ending: bool) {
        let mut seen = self.word.load(Ordering::SeqCst);
        loop {
            let next = (seen.wrapping_add(EDGE)) | READY | if ending { ENDING } else { 0 };
            match self
                .word
                .compare_exchange_weak(seen, next, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        self.wake_next();
    }

    /// Called after a call has returned: the next in the queue may try, if
    /// there may be something left.
    #[inline]
    fn pass_on(&self) {
        if !self.waiters.is_empty() && self.look().is_ready() {
            self.wake_next();
        }
    }

    fn wake_next(&self) {
        if !self.waiters.is_empty() {
            self.waiters.wake_one_then(|_, _| ());
        }
    }
}

#[cfg(test)]
mod tests;
