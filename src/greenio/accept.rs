//! Accepting connections, and what to do when there is no room for another.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use socket2::{SockAddr, Socket};

use super::GreenSocket;
use super::settings::Settings;
use crate::calls;
use crate::deadline::Deadline;
use crate::green_thread::sleep;
use crate::hub::current;
use crate::source::Direction;

/// # Accepting
impl GreenSocket {
    /// Waits for a connection and returns its socket and the peer's address.
    ///
    /// The new socket is in blocking mode and has no timeouts. When there is no descriptor or
    /// memory left for it, the call returns the error after a pause: 5 ms at first, up to 1 s if
    /// that goes on. So a loop that goes on accepting after errors does not spin.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`. The limit is that of
    /// [`set_read_timeout`](Self::set_read_timeout).
    pub fn accept(&self) -> io::Result<(GreenSocket, SockAddr)> {
        let deadline = self.deadline(Direction::Read)?;
        let _first = Accepting::begin();
        match self.source().retry(Direction::Read, deadline, accept_one) {
            Ok((socket, address)) => {
                self.shared().backoff.reset();
                let kind = self.shared().kind;
                let accepted = GreenSocket::from_parts(socket.into(), kind, Settings::default());
                if self.source().may_linger() {
                    accepted.source().note_may_linger();
                }
                Ok((accepted, address))
            }
            Err(error) => {
                if is_exhaustion(&error) && deadline != Deadline::NOW {
                    sleep(self.shared().backoff.next());
                }
                Err(error)
            }
        }
    }
}

/// While this lives, the running green thread goes before the others of its hub that do not accept.
struct Accepting;

impl Accepting {
    fn begin() -> Accepting {
        Accepting::set(true);
        Accepting
    }

    fn set(accepting: bool) {
        if current::is_green() {
            current::with(|task| {
                if let Some(green) = task.green() {
                    green.accepting.store(accepting, Ordering::Relaxed);
                }
            });
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        Accepting::set(false);
    }
}

/// std retries an interrupted accept (and only reports interrupted transfers).
fn accept_one(fd: BorrowedFd<'_>) -> io::Result<(Socket, SockAddr)> {
    loop {
        match calls::accept(fd) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}
