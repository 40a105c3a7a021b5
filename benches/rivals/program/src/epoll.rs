//! The thinnest safe cover of epoll, for the raw loop and the load generator.
#![expect(unsafe_code, reason = "std has no epoll")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// An epoll instance with room for the events of one wait.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

/// One ready descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The token given to [`Epoll::add`].
    pub token: u64,
    /// The peer closed its side, or the socket failed.
    pub hung_up: bool,
}

impl Epoll {
    /// An instance that hands out at most `capacity` events a wait.
    ///
    /// # Errors
    ///
    /// As `epoll_create1(2)`.
    pub fn new(capacity: usize) -> io::Result<Epoll> {
        // SAFETY: takes no pointer; a descriptor that is not -1 is ours.
        let fd = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd == -1 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Epoll {
            fd,
            events: Vec::with_capacity(capacity),
        })
    }

    /// Watches a descriptor for readability, edge-triggered.
    ///
    /// # Errors
    ///
    /// As `epoll_ctl(2)`.
    pub fn add(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        let events = (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET) as u32;
        let mut event = libc::epoll_event { events, u64: token };
        let fd = fd.as_fd().as_raw_fd();
        // SAFETY: `event` lives across the call, which only reads it.
        let result =
            unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) };
        if result == -1 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Waits up to `milliseconds` (-1: for ever) and says how many are ready.
    ///
    /// # Errors
    ///
    /// As `epoll_wait(2)`, but for EINTR, which counts as nothing ready.
    pub fn wait(&mut self, milliseconds: i32) -> io::Result<usize> {
        self.events.clear();
        let capacity = self.events.capacity();
        // SAFETY: the kernel writes at most `capacity` events, for which there
        // is room, and says how many it wrote; so many are initialised.
        unsafe {
            let count = libc::epoll_wait(
                self.fd.as_raw_fd(),
                self.events.as_mut_ptr(),
                capacity as i32,
                milliseconds,
            );
            if count == -1 {
                let error = io::Error::last_os_error();
                let interrupted = error.kind() == io::ErrorKind::Interrupted;
                return if interrupted { Ok(0) } else { Err(error) };
            }
            self.events.set_len(count as usize);
        }
        Ok(self.events.len())
    }

    /// The event at `index` of the last wait.
    ///
    /// # Panics
    ///
    /// When the last wait found fewer events.
    pub fn event(&self, index: usize) -> Event {
        let event = self.events[index];
        let hang_up = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;
        Event {
            token: event.u64,
            hung_up: event.events & hang_up != 0,
        }
    }
}
