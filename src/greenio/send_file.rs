//! Sending from a file, without a copy of it here.

use std::io;
use std::os::fd::AsFd;

use super::GreenSocket;
use crate::calls;
use crate::source::Direction;

/// # Sending a file
impl GreenSocket {
    /// Sends up to `count` bytes of `file` from `offset` on, by `sendfile(2)`, and moves `offset` past them; 0 at the
    /// end of the file. The file's own position stays.
    ///
    /// Waits only for the socket: while data that the page cache does not hold is read from the disk, the hub stands
    /// still.
    ///
    /// # Errors
    ///
    /// See [Sending](#sending). [`InvalidInput`](io::ErrorKind::InvalidInput) for a `file` that cannot be sent from, such
    /// as a terminal.
    pub fn send_file(&self, file: impl AsFd, offset: &mut u64, count: usize) -> io::Result<usize> {
        let deadline = self.deadline(Direction::Write)?;
        self.source()
            .retry(Direction::Write, deadline, |fd| {
                calls::send_file(fd, file.as_fd(), offset, count)
            })
            .inspect_err(|error| self.note(error))
    }
}
