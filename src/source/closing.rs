//! What must be done before a descriptor is closed, so that nobody waits too long.
//!
//! # Lingering
//!
//! close(2) of a socket that lingers (`SO_LINGER`) waits until the peer has everything or the time
//! has passed, O_NONBLOCK or not, and would block the hub. For the connection it makes no
//! difference: without lingering, too, the kernel goes on sending in the background. So lingering
//! is switched off.
//!
//! Asking the kernel costs a system call, so it is remembered whether lingering may be on: it was
//! switched on here, inherited from a listener, or the descriptor was lent to, or came from, somebody
//! who may have switched it on, or may yet.
//!
//! # Waits by number
//!
//! The poller says nothing of a descriptor that is closed, so whoever waits for it
//! in the [`trampoline`](mod@trampoline) is told.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "sim")]
use crate::calls;
use crate::sys::fd;
use crate::trampoline::watch;

/// Dropped just before the descriptor that it is about.
pub(super) struct Closing {
    fd: RawFd,
    may_linger: AtomicBool,
    /// Other processes have it too, and go on with it.
    is_shared: AtomicBool,
}

impl Closing {
    pub(super) fn of(fd: RawFd) -> Closing {
        Closing {
            fd,
            may_linger: AtomicBool::new(false),
            is_shared: AtomicBool::new(false),
        }
    }

    pub(super) fn share(&self) {
        self.is_shared.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::Relaxed)
    }

    pub(super) fn may_linger(&self) -> bool {
        self.may_linger.load(Ordering::Relaxed)
    }

    pub(super) fn note_may_linger(&self) {
        // Looked at first, so that the usual case writes nothing shared.
        if !self.may_linger() {
            self.may_linger.store(true, Ordering::Relaxed);
        }
    }

    /// From here on a close does not wait.
    pub(super) fn linger_in_background(&self) {
        if self.may_linger.swap(false, Ordering::Relaxed) {
            fd::linger_in_background(self.fd);
        }
    }

    pub(super) fn end_waits_by_number(&self) {
        watch::closing(self.fd);
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.end_waits_by_number();
        #[cfg(feature = "sim")]
        calls::closing(self.fd);
        self.linger_in_background();
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::os::fd::AsFd;
    use std::time::Duration;

    use crate::greenio::{Domain, GreenSocket, Type};

    /// The kernel is asked about lingering only where it may be on.
    #[test]
    fn an_ordinary_connection_is_closed_without_a_question() {
        let listener = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.set_reuse_address(true).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        listener.bind(&any.into()).unwrap();
        listener.listen(8).unwrap();
        let client = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.connect(&listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nodelay(true).unwrap();
        client.send_all(b"x").unwrap();
        assert_eq!(server.recv(&mut [0; 8]).unwrap(), 1);
        client.set_linger(None).unwrap();
        client.set_linger(Some(Duration::ZERO)).unwrap();
        for socket in [&listener, &client, &server] {
            assert!(!socket.source().may_linger(), "{socket:?}");
        }

        let _ = server.as_fd();
        assert!(server.source().may_linger(), "somebody may have set it");
    }
}
