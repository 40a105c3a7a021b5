//! Where a protocol lives: its transport calls it there, and its program looks at it.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex as ShortMutex;

use super::Transport;
use super::protocol::{BufferedProtocol, Protocol, ProtocolPanicked};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::thread::{ThreadId, current};

/// A protocol, with whoever is using it at the moment.
#[derive(Debug)]
pub struct Cell<P> {
    protocol: Mutex<P>,
    user: ShortMutex<Option<ThreadId>>,
}

impl<P> Cell<P> {
    pub(super) fn new(protocol: P) -> Arc<Cell<P>> {
        Arc::new(Cell {
            protocol: Mutex::new(protocol),
            user: ShortMutex::new(None),
        })
    }

    /// Waits until nobody uses the protocol.
    ///
    /// # Panics
    ///
    /// If it is the running thread that does.
    pub(super) fn lock(&self) -> Using<'_, P> {
        let me = current().id();
        assert!(
            *self.user.lock() != Some(me),
            "a protocol's own call looks at the protocol through its `ProtocolRef`: use `self`"
        );
        // A panic has ended the connection already; its end is to be told all the same.
        let protocol = self.protocol.lock().unwrap_or_else(PoisonError::into_inner);
        *self.user.lock() = Some(me);
        Using {
            protocol,
            user: &self.user,
        }
    }
}

/// A protocol in use.
pub(super) struct Using<'a, P> {
    pub(super) protocol: MutexGuard<'a, P>,
    user: &'a ShortMutex<Option<ThreadId>>,
}

impl<P> Drop for Using<'_, P> {
    fn drop(&mut self) {
        *self.user.lock() = None;
    }
}

/// A handle to the protocol of a transport, beside the transport: what `create_connection` returns with it.
///
/// It outlives the connection, so results may be left in the protocol and taken from there.
///
/// # Examples
///
/// ```
/// use std::io::{self, Write};
///
/// use green::asyncio::{ConnectionOptions, Future, Protocol, create_connection_over};
/// use green::os::unix::net::UnixStream;
///
/// struct Count {
///     bytes: usize,
///     over: Future<()>,
/// }
///
/// impl Protocol for Count {
///     fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
///         self.bytes += data.len();
///         Ok(())
///     }
///
///     fn connection_lost(&mut self, _: Option<io::Error>) {
///         self.over.set_result(()).unwrap();
///     }
/// }
///
/// let over = Future::new();
/// let count = Count { bytes: 0, over: over.clone() };
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let (_, protocol) = create_connection_over(|| count, ours, ConnectionOptions::new())?;
/// protocol.with(|count| count.bytes = 1000);
/// theirs.write_all(b"five!")?;
/// drop(theirs);
/// over.wait(None)?;
/// assert_eq!(protocol.with(|count| count.bytes), 1005);
/// # Ok::<(), io::Error>(())
/// ```
pub struct ProtocolRef<P> {
    pub(super) cell: Arc<Cell<P>>,
}

impl<P> ProtocolRef<P> {
    /// Looks at the protocol, or changes it, while its transport does not call it: `look` is run when the call under
    /// way, if any, has returned, and calls wait until it has.
    ///
    /// # Panics
    ///
    /// Inside one of the protocol's own calls, where it would wait for itself.
    pub fn with<T>(&self, look: impl FnOnce(&mut P) -> T) -> T {
        look(&mut self.cell.lock().protocol)
    }
}

impl<P> Clone for ProtocolRef<P> {
    fn clone(&self) -> Self {
        ProtocolRef {
            cell: Arc::clone(&self.cell),
        }
    }
}

impl<P> fmt::Debug for ProtocolRef<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtocolRef").finish_non_exhaustive()
    }
}

/// How bytes are received that a protocol has given room for.
pub type Receive<'a> = &'a mut dyn FnMut(&mut [u8]) -> io::Result<usize>;

/// The protocol of a stream, whatever its type: its calls, made while nobody else uses it. What a call returns or
/// panics with comes back as an error.
pub trait Callbacks: Send + Sync {
    fn made(&self, transport: Transport) -> io::Result<()>;

    fn received(&self, data: &[u8]) -> io::Result<()>;

    /// For a protocol with a buffer of its own: receives into that. The outer error is that of `receive`, the inner
    /// result that of the protocol.
    fn receive_into(&self, _receive: Receive<'_>) -> Option<io::Result<(usize, io::Result<()>)>> {
        None
    }

    fn has_buffer(&self) -> bool {
        false
    }

    fn ended(&self) -> io::Result<bool>;

    fn lost(&self, error: Option<io::Error>) -> io::Result<()>;

    fn paused(&self, paused: bool) -> io::Result<()>;

    /// The `Arc<Cell<P>>`.
    fn cell(&self) -> Arc<dyn Any + Send + Sync>;
}

/// Runs a call of a protocol, and makes an error of a panic.
pub(super) fn guarded<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
        // It may panic in turn.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(payload))).map_err(std::mem::forget);
        Err(io::Error::other(ProtocolPanicked { message }))
    })
}

#[derive(Debug)]
pub struct InPieces<P>(pub(super) Arc<Cell<P>>);

impl<P: Protocol> Callbacks for InPieces<P> {
    fn made(&self, transport: Transport) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| using.protocol.connection_made(transport))
    }

    fn received(&self, data: &[u8]) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| using.protocol.data_received(data))
    }

    fn ended(&self) -> io::Result<bool> {
        let mut using = self.0.lock();
        guarded(|| using.protocol.eof_received())
    }

    fn lost(&self, error: Option<io::Error>) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| {
            using.protocol.connection_lost(error);
            Ok(())
        })
    }

    fn paused(&self, paused: bool) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| {
            match paused {
                true => using.protocol.pause_writing(),
                false => using.protocol.resume_writing(),
            }
            Ok(())
        })
    }

    fn cell(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.0) as _
    }
}

#[derive(Debug)]
pub struct IntoOwnBuffer<P>(pub(super) Arc<Cell<P>>);

impl<P: BufferedProtocol> IntoOwnBuffer<P> {
    /// The protocol's buffer, which must have room.
    fn room(protocol: &mut P, size_hint: usize) -> io::Result<&mut [u8]> {
        match protocol.get_buffer(size_hint) {
            [] => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "get_buffer() returned an empty buffer",
            )),
            buffer => Ok(buffer),
        }
    }
}

impl<P: BufferedProtocol> Callbacks for IntoOwnBuffer<P> {
    fn made(&self, transport: Transport) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| using.protocol.connection_made(transport))
    }

    fn received(&self, mut data: &[u8]) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| {
            while !data.is_empty() {
                let room = Self::room(&mut using.protocol, data.len())?;
                let count = room.len().min(data.len());
                room[..count].copy_from_slice(&data[..count]);
                using.protocol.buffer_updated(count)?;
                data = &data[count..];
            }
            Ok(())
        })
    }

    fn receive_into(&self, receive: Receive<'_>) -> Option<io::Result<(usize, io::Result<()>)>> {
        let mut using = self.0.lock();
        let protocol = &mut *using.protocol;
        let received = guarded(|| Ok(receive(Self::room(protocol, 0)?)));
        Some(match received {
            Ok(Ok(0)) => Ok((0, Ok(()))),
            Ok(Ok(count)) => Ok((count, guarded(|| protocol.buffer_updated(count)))),
            Ok(Err(error)) => Err(error),
            // The protocol's own failure is no matter of the socket.
            Err(error) => Ok((0, Err(error))),
        })
    }

    fn has_buffer(&self) -> bool {
        true
    }

    fn ended(&self) -> io::Result<bool> {
        let mut using = self.0.lock();
        guarded(|| using.protocol.eof_received())
    }

    fn lost(&self, error: Option<io::Error>) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| {
            using.protocol.connection_lost(error);
            Ok(())
        })
    }

    fn paused(&self, paused: bool) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| {
            match paused {
                true => using.protocol.pause_writing(),
                false => using.protocol.resume_writing(),
            }
            Ok(())
        })
    }

    fn cell(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.0) as _
    }
}
