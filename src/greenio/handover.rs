//! Taking over descriptors from std, `socket2` and others, and giving them back.
//!
//! A descriptor that comes in keeps its settings: if it was non-blocking, the green socket is in non-blocking
//! mode; its kernel timeouts become the socket's limits. A descriptor that goes out takes them along, so that it
//! behaves in std's hands as it did in ours. In between, the descriptor itself is non-blocking.

#![expect(unsafe_code, reason = "implements FromRawFd, whose method is unsafe")]

use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::Arc;

use socket2::{SockRef, Socket};

use super::GreenSocket;
use super::settings::Settings;
use super::socket::Kind;
use crate::calls;

/// # Giving the descriptor back
impl GreenSocket {
    /// From now on [`close`](Self::close) ends only this process's part: for a listener that other processes
    /// have too. Otherwise close calls shutdown(2), which tells the peer of a connection at once, but would end
    /// a listener for all of them.
    ///
    /// ```
    /// use green::greenio::GreenSocket;
    /// use green::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let elsewhere = listener.try_clone()?; // Another process's, say.
    /// let socket = GreenSocket::from(std::os::fd::OwnedFd::from(listener));
    /// socket.leave_open_elsewhere();
    /// socket.close();
    /// let _client = green::connect(elsewhere.local_addr()?)?;
    /// elsewhere.accept()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn leave_open_elsewhere(&self) {
        self.source().share();
    }

    /// Gives the descriptor away, blocking again unless the socket is in
    /// non-blocking mode, and with the socket's timeouts.
    ///
    /// While other handles live, the result is a duplicate of the descriptor they
    /// share. Of a listener that duplicate stays non-blocking, for a blocking one
    /// would make the others' `accept` block the hub.
    ///
    /// # Errors
    ///
    /// Too many open files, if a duplicate is needed.
    pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
        let nonblocking = self.nonblocking();
        let limits = (self.read_timeout(), self.write_timeout());
        let (descriptor, shared) = match Arc::try_unwrap(self.into_shared()) {
            Ok(last) => (last.source.into_fd(), false),
            Err(shared) => (shared.source.as_fd().try_clone_to_owned()?, true),
        };
        let socket = SockRef::from(&descriptor);
        let keep = nonblocking || shared && calls::is_listener(descriptor.as_fd()).unwrap_or(true);
        if !keep {
            socket.set_nonblocking(false)?;
        }
        // What is no socket (a closed one's placeholder, say) has no timeouts.
        socket.set_read_timeout(limits.0).ok();
        socket.set_write_timeout(limits.1).ok();
        Ok(descriptor)
    }
}

impl From<OwnedFd> for GreenSocket {
    /// Takes over a socket of any kind, with its settings. The poller learns of
    /// it when a thread first waits. Dropping the last handle does not wait: if lingering is on by then, it is
    /// switched off, also for whoever has a duplicate.
    fn from(descriptor: OwnedFd) -> GreenSocket {
        let socket = SockRef::from(&descriptor);
        // Nothing is known of the descriptor: what cannot be asked has its
        // default, and the calls to come report what is wrong with it.
        let settings = Settings::new(
            socket.nonblocking().unwrap_or(false),
            socket.read_timeout().unwrap_or(None),
            socket.write_timeout().unwrap_or(None),
        );
        let kind = match (socket.domain(), socket.r#type(), socket.protocol()) {
            (Ok(domain), Ok(ty), Ok(protocol)) => Kind::new(domain, ty, protocol),
            _ => Kind::Other,
        };
        if !settings.nonblocking() {
            socket.set_nonblocking(true).ok();
        }
        let socket = GreenSocket::from_parts(descriptor, kind, settings);
        // Now, or later by whoever has a duplicate.
        socket.source().note_may_linger();
        socket
    }
}

impl From<GreenSocket> for OwnedFd {
    /// See [`GreenSocket::into_owned_fd`].
    ///
    /// # Panics
    ///
    /// If other handles live and there is no descriptor free for a duplicate.
    fn from(socket: GreenSocket) -> OwnedFd {
        socket
            .into_owned_fd()
            .expect("a socket that is shared by clones is given away as a duplicate")
    }
}

impl FromRawFd for GreenSocket {
    /// # Safety
    ///
    /// As [`OwnedFd::from_raw_fd`].
    unsafe fn from_raw_fd(descriptor: RawFd) -> GreenSocket {
        // SAFETY: the caller's promise is the one asked for.
        GreenSocket::from(unsafe { OwnedFd::from_raw_fd(descriptor) })
    }
}

impl IntoRawFd for GreenSocket {
    /// See [`GreenSocket::into_owned_fd`].
    ///
    /// # Panics
    ///
    /// If other handles live and there is no descriptor free for a duplicate.
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

macro_rules! exchange_with {
    ($($twin:ty),+) => {$(
        impl From<$twin> for GreenSocket {
            fn from(socket: $twin) -> GreenSocket {
                GreenSocket::from(OwnedFd::from(socket))
            }
        }

        impl From<GreenSocket> for $twin {
            /// See [`GreenSocket::into_owned_fd`].
            ///
            /// # Panics
            ///
            /// If other handles live and there is no descriptor free for a
            /// duplicate.
            fn from(socket: GreenSocket) -> $twin {
                OwnedFd::from(socket).into()
            }
        }
    )+};
}

exchange_with!(
    TcpStream,
    TcpListener,
    UdpSocket,
    UnixStream,
    UnixListener,
    UnixDatagram,
    Socket
);
