//! Transports: a connection that is written to without waiting, and calls a protocol with what it receives.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::cell::{Cell, ProtocolRef};
use super::extra::ExtraInfo;
use super::protocol::StreamProtocol;

mod attention;
mod buffers;
mod flow;
mod link;
mod reader;
mod sender;
mod shared;
mod upgrade;

pub(super) use attention::Attention;
pub(super) use flow::Flow;
pub(super) use link::{Link, unless};
pub(super) use reader::run;
pub(super) use shared::Shared;
use shared::State;
pub use upgrade::start_tls;
pub(super) use upgrade::upgrade;

/// A stream's connection: asyncio's `Transport`.
///
/// It is made by [`create_connection`](super::create_connection), [`create_server`](super::create_server) and their
/// kin, and handed to the protocol's `connection_made`. Clones are handles to the same connection; any thread may use
/// any of them, and dropping them closes nothing. No method waits, but for [`drain`](Self::drain).
///
/// # When it ends
///
/// | ended by | what is still to be sent | `connection_lost` is told |
/// |---|---|---|
/// | [`close`](Self::close), or the peer's end and `eof_received` says `false` | is sent first | `None` |
/// | [`abort`](Self::abort) | is dropped | `None` |
/// | an error of the connection, or of the protocol | is dropped | that error |
/// | TLS whose peer ends without close_notify | is dropped | `UnexpectedEof` |
/// | TLS whose peer is silent for the shutdown limit after `close` | was sent | `TimedOut` |
///
/// # Differences from asyncio
///
/// Transports may be used from any thread. [`write`](Self::write) returns an error where asyncio raises or drops in
/// silence. A truncated TLS stream is an error. After a call of `close` nothing is received over TLS either.
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

    /// Sends `data`, without waiting: what the kernel does not take at once is kept and sent by and by.
    ///
    /// An error of sending comes to the protocol, by `connection_lost`.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` after [`write_eof`](Self::write_eof); `NotConnected` with [`ClosedLocally`](crate::ClosedLocally)
    /// inside when the transport is closing. Nothing of `data` is sent then.
    pub fn write(&self, data: &[u8]) -> io::Result<()> {
        self.shared.write(data)
    }

    /// Sends all of `pieces`, one behind the other: as [`write`](Self::write) of what they make together.
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

    /// Ends our direction when what was written has been sent; the peer's goes on. A second call does nothing.
    ///
    /// # Errors
    ///
    /// `Unsupported` over TLS; see [`can_write_eof`](Self::can_write_eof).
    pub fn write_eof(&self) -> io::Result<()> {
        self.shared.write_eof()
    }

    /// Whether one direction can be ended alone: false over TLS, as in asyncio, since many a peer ends both at the
    /// first close_notify.
    pub fn can_write_eof(&self) -> bool {
        !self.shared.link.is_tls()
    }

    /// Waits until what is to be sent has sunk to the low mark, if it has passed the high one; else returns at once.
    ///
    /// What asyncio has in its `StreamWriter`. It may be called inside a protocol's call too, which holds the
    /// connection's receiving up: the peer then has to read before it is read from.
    ///
    /// # Errors
    ///
    /// `ConnectionReset` when the connection was lost before all that was written had been sent. The end of a connection
    /// in order is no error: that is the next `write`'s.
    pub fn drain(&self) -> io::Result<()> {
        self.shared.drain()
    }

    /// Closes the connection: receives nothing more, sends what was written, then calls `connection_lost(None)`. A
    /// second call does nothing. Sending may take as long as the peer wishes; [`abort`](Self::abort) cuts it short.
    ///
    /// Over TLS, sending and the exchange of close_notify together have the shutdown limit.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Closes the connection at once. What was not sent is dropped; over TLS the peer hears no close_notify.
    pub fn abort(&self) {
        self.shared.end(None);
    }

    /// Whether the transport is closing or closed, for whatever reason.
    pub fn is_closing(&self) -> bool {
        self.shared.state.lock().closing
    }

    /// Receives nothing until [`resume_reading`](Self::resume_reading): what the peer sends waits in the kernel, and
    /// then at the peer's. A second call does nothing. While paused, the peer's end is not noticed.
    pub fn pause_reading(&self) {
        self.shared.state.lock().reading_paused = true;
        self.shared.call_reader();
    }

    /// Receives again.
    pub fn resume_reading(&self) {
        self.shared.state.lock().reading_paused = false;
        self.shared.call_reader();
    }

    /// Whether it receives: neither paused nor closing.
    pub fn is_reading(&self) -> bool {
        let state = self.shared.state.lock();
        !state.reading_paused && !state.closing
    }

    /// How many bytes wait to be sent; over TLS, with what is encrypted already.
    pub fn get_write_buffer_size(&self) -> usize {
        self.shared.size(&self.shared.state.lock())
    }

    /// The low and the high mark, in bytes: 16 KiB and 64 KiB unless set.
    pub fn get_write_buffer_limits(&self) -> (usize, usize) {
        self.shared.state.lock().flow.limits()
    }

    /// Sets the marks for [`pause_writing`](super::Protocol::pause_writing), in bytes. Of one alone the other follows:
    /// low is a quarter of high. A high mark of zero pauses as soon as anything waits.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if low is above high.
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

    /// Has another protocol take the connection over: the next call is its, and no `connection_made` comes before.
    ///
    /// # Errors
    ///
    /// `NotConnected` if `connection_lost` has been called; the protocol is dropped then.
    pub fn set_protocol<P, Kind>(&self, protocol: P) -> io::Result<ProtocolRef<P>>
    where
        P: StreamProtocol<Kind>,
    {
        let cell = Cell::new(protocol);
        let mut state = self.shared.state.lock();
        let Some(callbacks) = &mut state.callbacks else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let replaced = std::mem::replace(callbacks, P::callbacks(Arc::clone(&cell)));
        drop(state);
        // A destructor of the user's, hence not under the lock.
        drop(replaced);
        Ok(ProtocolRef { cell })
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
