//! Several calls on sockets that somebody outside sees as one, such as a read of TLS.

use std::io;
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use super::GreenSocket;
use crate::clock::Nanos;
use crate::deadline::Deadline;
use crate::hub::current;
use crate::source::Direction;

/// While it lives, the [timeouts](GreenSocket::set_read_timeout) of the calls that this thread makes on green sockets
/// count from the first of them: together they take no longer than one call may.
///
/// For a protocol over a stream whose calls receive or send several times: without it, each of these would have the
/// whole limit again, and with a peer that sends a byte at a time it would never pass. Once the limit has passed,
/// further calls in that direction fail with `WouldBlock` without looking at the socket. A `OneCall` inside another is
/// part of that one.
///
/// # Examples
///
/// ```
/// use std::io::{self, Read};
/// use std::time::Duration;
///
/// use green::greenio::OneCall;
/// use green::net::TcpStream;
///
/// /// Reads a record that begins with its length, under the stream's read timeout as a whole.
/// fn read_record(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
///     let _call = OneCall::begin();
///     let mut length = [0; 2];
///     stream.read_exact(&mut length)?;
///     let mut record = vec![0; u16::from_be_bytes(length).into()];
///     stream.read_exact(&mut record)?;
///     Ok(record)
/// }
/// # use std::io::Write;
/// # let listener = green::net::TcpListener::bind("127.0.0.1:0")?;
/// # let mut near = TcpStream::connect(listener.local_addr()?)?;
/// # let (mut far, _) = listener.accept()?;
/// # far.write_all(b"\0\x05hello")?;
/// near.set_read_timeout(Some(Duration::from_secs(5)))?;
/// assert_eq!(read_record(&mut near)?, b"hello");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct OneCall {
    outer: u64,
    /// It belongs to the thread that began it.
    _thread: PhantomData<*const ()>,
}

impl OneCall {
    /// Begins such a call.
    pub fn begin() -> OneCall {
        OneCall::enter(|outer| outer.max(BEGUN))
    }

    /// As [`begin`](Self::begin), for calls that are not to wait at all.
    pub fn in_passing() -> OneCall {
        OneCall::enter(|_| IN_PASSING)
    }

    fn enter(state: impl FnOnce(u64) -> u64) -> OneCall {
        let outer = current::with(|task| {
            let outer = task.call.load(Ordering::Relaxed);
            task.call.store(state(outer), Ordering::Relaxed);
            outer
        });
        OneCall {
            outer,
            _thread: PhantomData,
        }
    }
}

impl Drop for OneCall {
    fn drop(&mut self) {
        current::with(|task| {
            let call = &task.call;
            // When the outer one's first call was made.
            if self.outer != BEGUN || call.load(Ordering::Relaxed) == IN_PASSING {
                call.store(self.outer, Ordering::Relaxed);
            }
        });
    }
}

/// Stands for a call that has begun and has not yet called the socket: instead of the time of the first such call.
const BEGUN: u64 = 1;
const IN_PASSING: u64 = u64::MAX;

impl GreenSocket {
    /// When a call in `direction` that begins now is to be over, by the socket's settings: [`NOW`](Deadline::NOW) in
    /// non-blocking mode. Within a [`OneCall`] the limit counts from the first call.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it is over already.
    pub fn deadline(&self, direction: Direction) -> io::Result<Deadline> {
        let settings = self.settings();
        let limit = settings.limit(direction);
        let part_of = current::with_known(|task| match task.call.load(Ordering::Relaxed) {
            BEGUN if limit.is_some() => {
                let now = Nanos::now().0.max(BEGUN + 1);
                task.call.store(now, Ordering::Relaxed);
                now
            }
            state => state,
        });
        Ok(match (part_of.unwrap_or(0), limit) {
            (IN_PASSING, _) => Deadline::NOW,
            _ if settings.nonblocking() => Deadline::NOW,
            (_, None) => Deadline::NEVER,
            (0 | BEGUN, Some(limit)) => Deadline::after(limit),
            (began, Some(limit)) => {
                let deadline = Deadline::counted_from(Nanos(began), limit);
                if deadline.has_passed() {
                    return Err(io::Error::from_raw_os_error(libc::EAGAIN));
                }
                deadline
            }
        })
    }
}
