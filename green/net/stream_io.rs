//! Writing to a stream as the kernel's blocking calls do: until all is taken.
//!
//! A single non-blocking call takes what fits. Code that was written for std may
//! not look at the count, and would lose the rest.

use std::io::{self, IoSlice};

use greenhub::greenio::{GreenSocket, SendAllError};

/// Writes all of `buf`, unless an error or the time limit comes between.
pub(crate) fn write(socket: &GreenSocket, buf: &[u8]) -> io::Result<usize> {
    if buf.is_empty() {
        return socket.send(buf);
    }
    written(socket.send_all(buf), buf.len())
}

/// As [`write`], for `writev(2)`.
pub(crate) fn write_vectored(socket: &GreenSocket, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let bufs = &bufs[..bufs.len().min(libc::UIO_MAXIOV as usize)];
    match bufs.iter().map(|buf| buf.len()).sum() {
        0 => socket.send_vectored(bufs),
        total => written(socket.send_all_vectored(bufs), total),
    }
}

/// What was sent before an error counts first. The kernel tells the error once, so the next write finds
/// `BrokenPipe` where std's finds the error itself; reads go on to report it.
fn written(outcome: Result<(), SendAllError>, total: usize) -> io::Result<usize> {
    match outcome {
        Ok(()) => Ok(total),
        Err(failure) if failure.sent() > 0 => Ok(failure.sent()),
        Err(failure) => Err(failure.into()),
    }
}
