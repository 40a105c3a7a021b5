//! Where a protocol is kept: its transport calls it there, and the program looks at it.

use std::fmt;
use std::sync::Arc;

use greenhub::wait_queue::ShortLock;

use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::thread::{ThreadId, current};

/// A protocol, with whoever is using it at the moment.
#[derive(Debug)]
pub struct Cell<P> {
    protocol: Mutex<P>,
    user: ShortLock<Option<ThreadId>>,
}

impl<P> Cell<P> {
    pub(super) fn new(protocol: P) -> Arc<Cell<P>> {
        Arc::new(Cell {
            protocol: Mutex::new(protocol),
            user: ShortLock::new(None),
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
    user: &'a ShortLock<Option<ThreadId>>,
}

impl<P> Drop for Using<'_, P> {
    fn drop(&mut self) {
        *self.user.lock() = None;
    }
}

/// A handle to the protocol of a transport, which `create_connection` returns together with the transport.
///
/// It outlives the connection, so the protocol may keep results, to be taken from there afterwards.
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
    /// Looks at the protocol, or changes it, while its transport does not call it: `look` runs once the call under
    /// way, if any, has returned, and later calls wait until `look` has returned.
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
