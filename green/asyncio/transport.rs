//! Transports: a connection that sends without waiting, and calls a protocol with what it receives.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::cell::ProtocolRef;
use super::extra::ExtraInfo;

mod attention;
mod buffers;
mod callbacks;
mod flow;
mod life;
mod link;
mod reader;
mod sender;
mod shared;
mod upgrade;

pub(super) use attention::Attention;
pub(super) use callbacks::{Callbacks, Receive};
pub(super) use flow::Flow;
pub(super) use link::{Link, unless};
pub(super) use reader::run;
pub(super) use shared::Shared;
use shared::State;
pub use upgrade::start_tls;
pub(super) use upgrade::upgrade;

/// A stream's connection: asyncio's `Transport`.
///
/// It is made by [`create_connection`](super::create_connection), [`create_server`](super::create_server) and the like,
/// and handed to the protocol's `connection_made`. Clones are handles to the same connection; any thread may use any of
/// them, and dropping them closes nothing. No method waits except [`drain`](Self::drain).
///
/// # When it ends
///
/// | ended by | what is still to be sent | `connection_lost` gets |
/// |---|---|---|
/// | [`close`](Self::close), or the peer's end if `eof_received` returns `false` | is sent first | `None` |
/// | [`abort`](Self::abort) | is dropped | `None` |
/// | an error of the connection, or of the protocol | is dropped | that error |
/// | TLS whose peer ends without close_notify | is dropped | `UnexpectedEof` |
/// | TLS whose peer is silent for the shutdown limit after `close` | was sent | `TimedOut` |
///
/// # Differences from asyncio
///
/// Transports may be used from any thread. [`write`](Self::write) returns an error where asyncio raises one or silently
/// drops the data. A truncated TLS stream is an error. After a call of `close` nothing is received over TLS either.
///
/// # Examples
///
/// ```
/// use std::io::{self, Read, Write};
///
/// use green::asyncio::{ConnectionOptions, Protocol, create_connection_over};
/// use green::os::unix::net::UnixStream;
///
/// struct Quiet;
///
/// impl Protocol for Quiet {
///     fn data_received(&mut self, _: &[u8]) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let (transport, _) = create_connection_over(|| Quiet, ours, ConnectionOptions::new())?;
/// assert!(transport.is_reading() && transport.can_write_eof());
/// transport.write(b"one, ")?;
/// transport.writelines(&["two, ", "three"])?;
/// transport.close();
/// assert!(transport.is_closing() && !transport.is_reading());
/// assert!(transport.write(b"four").is_err());
/// let mut heard = String::new();
/// theirs.read_to_string(&mut heard)?;
/// assert_eq!(heard, "one, two, three");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
}

impl Transport {
    pub(super) fn of(shared: &Arc<Shared>) -> Transport {
        Transport {
            shared: Arc::clone(shared),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Sends `data`, without waiting: what the kernel does not take at once is kept and sent later.
    ///
    /// An error while sending is reported to the protocol's `connection_lost`.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` after [`write_eof`](Self::write_eof); `NotConnected` with [`ClosedLocally`](crate::ClosedLocally)
    /// inside when the transport is closing, but `ConnectionReset` if the peer has ended the connection: over TLS, both
    /// directions end when the peer ends its own. Nothing of `data` is sent then.
    pub fn write(&self, data: &[u8]) -> io::Result<()> {
        self.shared.write(data)
    }

    /// Sends all of `pieces`, one after the other, as one [`write`](Self::write) of them all would.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn writelines(&self, pieces: &[impl AsRef<[u8]>]) -> io::Result<()> {
        match pieces {
            [piece] => self.write(piece.as_ref()),
            pieces => {
                let joined: Vec<u8> = pieces
                    .iter()
                    .flat_map(|piece| piece.as_ref())
                    .copied()
                    .collect();
                self.write(&joined)
            }
        }
    }

    /// Ends our direction once everything written has been sent; the peer's goes on. A second call does nothing.
    ///
    /// # Errors
    ///
    /// `Unsupported` over TLS; see [`can_write_eof`](Self::can_write_eof).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{self, Read};
    ///
    /// use green::asyncio::{ConnectionOptions, open_connection_over};
    /// use green::os::unix::net::UnixStream;
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let (_reader, writer) = open_connection_over(ours, ConnectionOptions::new())?;
    /// let transport = writer.transport();
    /// transport.write(b"that is all")?;
    /// transport.write_eof()?;
    /// assert_eq!(transport.write(b"!").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    /// let mut heard = String::new();
    /// theirs.read_to_string(&mut heard)?;
    /// assert_eq!(heard, "that is all");
    /// assert!(!transport.is_closing());
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn write_eof(&self) -> io::Result<()> {
        self.shared.write_eof()
    }

    /// Whether one direction can be ended alone: false over TLS, as in asyncio, since many peers end both when they
    /// receive close_notify.
    pub fn can_write_eof(&self) -> bool {
        !self.shared.link.is_tls()
    }

    /// If more than the high mark waits to be sent, waits until it is down to the low mark; otherwise returns at once.
    ///
    /// asyncio has this in its `StreamWriter`. It may also be called inside a protocol's call, but nothing is received
    /// on the connection meanwhile: the peer has to read before anything more is read from it.
    ///
    /// # Errors
    ///
    /// `ConnectionReset` when the connection was lost before all that was written had been sent. If the connection was
    /// ended in order, that is no error here; the next `write` returns one.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{self, Read};
    ///
    /// use green::asyncio::{ConnectionOptions, open_connection_over};
    /// use green::os::unix::net::UnixStream;
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let (_reader, writer) = open_connection_over(ours, ConnectionOptions::new())?;
    /// let transport = writer.transport().clone();
    /// let reading = green::thread::spawn(move || theirs.read_exact(&mut vec![0; 3_000_000]));
    /// for _ in 0..30 {
    ///     transport.write(&[7; 100_000])?;
    ///     transport.drain()?;
    ///     let (low, high) = transport.get_write_buffer_limits();
    ///     assert!(transport.get_write_buffer_size() <= high && low < high);
    /// }
    /// reading.join().unwrap()?;
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn drain(&self) -> io::Result<()> {
        self.shared.drain()
    }

    /// Closes the connection: receives nothing more, sends what was written, then calls `connection_lost(None)`. A
    /// second call does nothing. Sending takes as long as the peer lets it; [`abort`](Self::abort) cuts it short.
    ///
    /// Over TLS, the shutdown limit covers sending and the exchange of close_notify together.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Closes the connection at once. What was not sent is dropped; over TLS the peer gets no close_notify.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    ///
    /// use green::asyncio::{ConnectionOptions, open_connection_over};
    /// use green::os::unix::net::UnixStream;
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let (reader, writer) = open_connection_over(ours, ConnectionOptions::new())?;
    /// // More than the kernel takes for a peer that does not read.
    /// writer.write(&vec![7; 3_000_000])?;
    /// writer.transport().abort();
    /// assert_eq!(writer.transport().get_write_buffer_size(), 0);
    /// assert_eq!(reader.read_to_eof()?, b"");
    /// # drop(theirs);
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn abort(&self) {
        self.shared.end(None);
    }

    /// Whether the transport is closing or closed, for whatever reason.
    pub fn is_closing(&self) -> bool {
        self.shared.state.lock().life.is_ending()
    }

    /// Receives nothing until [`resume_reading`](Self::resume_reading): what the peer sends waits in the kernel, and
    /// once that is full, at the peer. A second call does nothing. While paused, the peer's end is not noticed.
    pub fn pause_reading(&self) {
        self.shared.state.lock().reading_paused = true;
        self.shared.call_reader();
    }

    /// Receives again.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{self, Write};
    ///
    /// use green::asyncio::{ConnectionOptions, Future, Protocol, Transport, create_connection_over};
    /// use green::os::unix::net::UnixStream;
    ///
    /// /// Takes one piece, and then has to be asked.
    /// struct Sip {
    ///     transport: Option<Transport>,
    ///     first: Future<()>,
    ///     second: Future<Vec<u8>>,
    /// }
    ///
    /// impl Protocol for Sip {
    ///     fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
    ///         self.transport = Some(transport);
    ///         Ok(())
    ///     }
    ///
    ///     fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
    ///         if self.first.done() {
    ///             return Ok(self.second.set_result(data.to_vec())?);
    ///         }
    ///         self.transport.as_ref().unwrap().pause_reading();
    ///         Ok(self.first.set_result(())?)
    ///     }
    /// }
    ///
    /// let (first, second) = (Future::new(), Future::new());
    /// let sip = Sip { transport: None, first: first.clone(), second: second.clone() };
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let (transport, _) = create_connection_over(|| sip, ours, ConnectionOptions::new())?;
    /// theirs.write_all(b"one")?;
    /// first.wait(None)?;
    /// theirs.write_all(b"two")?;
    /// assert!(!transport.is_reading() && !second.done());
    /// transport.resume_reading();
    /// assert_eq!(second.wait(None)?, b"two");
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn resume_reading(&self) {
        self.shared.state.lock().reading_paused = false;
        self.shared.call_reader();
    }

    /// Whether it receives: neither paused nor closing.
    pub fn is_reading(&self) -> bool {
        let state = self.shared.state.lock();
        !state.reading_paused && !state.life.is_ending()
    }

    /// How many bytes wait to be sent; over TLS this includes what is encrypted already.
    pub fn get_write_buffer_size(&self) -> usize {
        self.shared.size(&self.shared.state.lock())
    }

    /// The low and the high mark, in bytes: 16 KiB and 64 KiB unless set.
    pub fn get_write_buffer_limits(&self) -> (usize, usize) {
        self.shared.state.lock().flow.limits()
    }

    /// Sets the marks for [`pause_writing`](super::Protocol::pause_writing), in bytes. If only one is given, the other
    /// follows from it: low is a quarter of high. A high mark of zero pauses as soon as anything waits.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if low is above high.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::{ConnectionOptions, open_connection_over};
    /// use green::os::unix::net::UnixStream;
    ///
    /// let (ours, _theirs) = UnixStream::pair()?;
    /// let (_reader, writer) = open_connection_over(ours, ConnectionOptions::new())?;
    /// let transport = writer.transport();
    /// assert_eq!(transport.get_write_buffer_limits(), (16 * 1024, 64 * 1024));
    /// transport.set_write_buffer_limits(Some(1000), None)?;
    /// assert_eq!(transport.get_write_buffer_limits(), (250, 1000));
    /// assert!(transport.set_write_buffer_limits(Some(1), Some(2)).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_write_buffer_limits(
        &self,
        high: Option<usize>,
        low: Option<usize>,
    ) -> io::Result<()> {
        let passed = {
            let mut state = self.shared.state.lock();
            state.flow.set_limits(high, low)?;
            self.shared.note_size(&mut state)
        };
        if passed {
            self.shared.mark_passed();
        }
        Ok(())
    }

    /// Has other callbacks serve the connection.
    pub(super) fn set_callbacks(&self, callbacks: Arc<dyn Callbacks>) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        let Some(served) = &mut state.callbacks else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let replaced = std::mem::replace(served, callbacks);
        drop(state);
        // It may be about to receive into the other one's buffer.
        self.shared.call_reader();
        // A destructor of the user's, hence not under the lock.
        drop(replaced);
        Ok(())
    }

    /// The protocol, if it is a `P`. None once `connection_lost` has been called.
    pub fn get_protocol<P: Send + 'static>(&self) -> Option<ProtocolRef<P>> {
        let cell: Arc<dyn Any + Send + Sync> = self.shared.state.lock().callbacks.as_ref()?.cell();
        let cell = Arc::downcast(cell).ok()?;
        Some(ProtocolRef { cell })
    }

    /// Addresses, the socket, what TLS agreed on.
    pub fn get_extra_info(&self) -> &ExtraInfo {
        &self.shared.extra
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state: &State = &self.shared.state.lock();
        f.debug_struct("Transport")
            .field("link", &self.shared.link)
            .field("state", state)
            .finish_non_exhaustive()
    }
}
