//! Both directions of a descriptor, as the hub that it is registered with knows it.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use crate::sys::lock::Lock;

use super::Direction;
use super::line::Line;
use crate::deadline::Deadline;
use crate::direction::poll_events;
use crate::future;
use crate::hub::registry::{Known, Ready};
use crate::hub::site::Site;
use crate::hub::task::Task;
use crate::hub::wait::{self, Request, Waiter, Wake, poll_for};
use crate::hub::{Hub, Registration, current, placement};
use crate::sys::{epoll, poll};
use crate::trampoline::watch;
use crate::wait_queue::QueueEnd;

/// Both directions of one descriptor, shared with the hub it is registered with.
pub(crate) struct Lines {
    fd: RawFd,
    pub(super) read: Line,
    pub(super) write: Line,
    closed: AtomicBool,
    registration: Lock<Option<Registration>>,
    /// Whether there has been a registration: a look without the lock.
    registered: AtomicBool,
}

impl Lines {
    /// Counts as ready at first, so the first call is tried.
    pub(super) fn ready(fd: RawFd) -> Arc<Lines> {
        Arc::new(Lines {
            fd,
            read: Line::new(true),
            write: Line::new(true),
            closed: AtomicBool::new(false),
            registration: Lock::new(None),
            registered: AtomicBool::new(false),
        })
    }

    #[inline]
    pub(super) fn line(&self, direction: Direction) -> &Line {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Registers with the running green thread's hub, unless done. False if
    /// epoll does not take such a descriptor (EPERM): then it is always ready.
    pub(crate) fn register(self: &Arc<Lines>) -> io::Result<bool> {
        match current::local() {
            Some(local) => self.register_with(local.hub),
            None => Ok(true),
        }
    }

    #[inline(always)]
    fn register_with(self: &Arc<Lines>, hub: &'static Hub) -> io::Result<bool> {
        match self.registered.load(Ordering::Acquire) {
            true => Ok(true),
            false => self.register_first(hub),
        }
    }

    #[cold]
    fn register_first(self: &Arc<Lines>, hub: &'static Hub) -> io::Result<bool> {
        let mut registration = self.registration.lock();
        if registration.is_some() || self.closed.load(Ordering::Acquire) {
            return Ok(true);
        }
        match hub.register(self.fd, self.clone()) {
            Ok(token) => {
                let new = Registration { hub, token };
                *registration = Some(new);
                self.registered.store(true, Ordering::Release);
                drop(registration);
                watch::reissued(self.fd, new);
                Ok(true)
            }
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn deregister(&self) {
        if let Some(Registration { hub, token }) = self.registration.lock().take() {
            hub.deregister(self.fd, token, self.address());
        }
    }

    /// As the registry knows it.
    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }

    pub(super) fn fd(&self) -> RawFd {
        self.fd
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Marks as closed and wakes everybody; false if it was already.
    pub(crate) fn mark_closed(&self) -> bool {
        if self.closed.swap(true, Ordering::SeqCst) {
            return false;
        }
        for line in [&self.read, &self.write] {
            line.waiters.wake_all();
            line.wakers.wake_all();
        }
        true
    }

    /// How many edges either direction has seen.
    pub(super) fn edges(&self) -> [u32; 2] {
        [self.read.look().edges(), self.write.look().edges()]
    }

    /// Makes sure that a hub reports events, and can call `waker`.
    pub(super) fn be_polled(self: &Arc<Lines>, waker: &Waker) -> io::Result<()> {
        if self.registered.load(Ordering::Acquire) && future::is_a_thread(waker) {
            return Ok(());
        }
        let registered = self
            .registration
            .lock()
            .map(|registration| registration.hub);
        let hub = match (registered, current::local()) {
            (Some(hub), _) => hub,
            (None, Some(local)) => local.hub,
            (None, None) => placement::choose(placement::hubs()?),
        };
        future::prepare(waker, hub)?;
        self.register_with(hub)?;
        Ok(())
    }

    /// Parks until the direction is ready, the source closed, or `deadline`.
    pub(crate) fn wait(
        self: &Arc<Lines>,
        direction: Direction,
        deadline: Deadline,
        place: QueueEnd,
    ) -> io::Result<Wake> {
        if current::is_green() && !self.register()? {
            return match place {
                QueueEnd::Back => Ok(Wake::NotNeeded),
                // It was tried, and is not ready. Without the poller nobody tells when it is.
                QueueEnd::Front => Err(io::Error::from_raw_os_error(libc::EPERM)),
            };
        }
        let line = self.line(direction);
        let request = Request {
            site: match direction {
                Direction::Read => Site::Readable(self.fd),
                Direction::Write => Site::Writable(self.fd),
            },
            deadline,
            poll_for: Some(poll_for(self.fd, poll_events(direction))?),
        };
        Ok(line.waiters.wait_for(&request, place, |ahead| {
            // There was an edge since the last try, unless others wait whose turn it is. An OS thread looks for itself,
            // with poll(2), but that does not tell of a nudge.
            let ready = line.look().is_ready() && (place == QueueEnd::Front || ahead == 0);
            !ready && !self.closed.load(Ordering::SeqCst)
        }))
    }

    /// Parks until one direction is ready, the source closed, or `deadline`: one
    /// ticket in two queues.
    pub(super) fn wait_either(self: &Arc<Lines>, deadline: Deadline) -> io::Result<Wake> {
        if current::is_green() && !self.register()? {
            // Both were tried.
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        let request = Request {
            site: Site::Readable(self.fd),
            deadline,
            poll_for: Some(poll_for(self.fd, poll::IN | poll::OUT)?),
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
            &request,
            |waiter| {
                let (task, ticket) = (waiter.task.clone(), waiter.ticket);
                let second = Waiter {
                    task: task.clone(),
                    ticket,
                };
                queued = Some((task, ticket));
                self.read
                    .waiters
                    .enqueue(waiter, QueueEnd::Back, |_| needed(&self.read))
                    && self
                        .write
                        .waiters
                        .enqueue(second, QueueEnd::Back, |_| needed(&self.write))
            },
            leave,
        );
        if let Some((task, ticket)) = queued {
            leave(&task, ticket);
        }
        // We may have been chosen in a direction whose turn is another's.
        self.read.pass_on();
        self.write.pass_on();
        Ok(woke)
    }
}

impl Ready for Lines {
    fn known(&self) -> Known {
        Known {
            fd: self.fd,
            readable: self.read.look().is_ready(),
            writable: self.write.look().is_ready(),
        }
    }

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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Each has found it unregistered, and comes when the other one is done.
    #[test]
    fn two_that_wait_first_at_once_register_once() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let lines = Lines::ready(ours.as_raw_fd());
        let hubs = placement::hubs().unwrap();
        let held = lines.registration.lock();
        let (begun, begins) = mpsc::channel();
        let waiters = [hubs[0], hubs[hubs.len() - 1]].map(|hub| {
            let (lines, begun) = (lines.clone(), begun.clone());
            thread::spawn(move || {
                begun
                    .send(fs::read_link("/proc/thread-self").unwrap())
                    .unwrap();
                lines.register_with(hub).unwrap()
            })
        });
        for waiter in begins.iter().take(2) {
            let stat = Path::new("/proc").join(waiter).join("stat");
            // Asleep: it waits for the lock.
            while !fs::read_to_string(&stat).unwrap().contains(") S ") {
                thread::sleep(Duration::from_millis(1));
            }
        }
        drop(held);
        assert!(
            waiters
                .map(|waiter| waiter.join().unwrap())
                .iter()
                .all(|&it| it)
        );
        lines.deregister();
        assert_eq!(Arc::strong_count(&lines), 1, "no hub holds it");
    }
}
