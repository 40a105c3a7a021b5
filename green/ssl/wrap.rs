//! Wrapping a connected socket, or a listener, in TLS.

use std::io;

use greenhub::greenio::{GreenSocket, SockAddr};

use super::context::SslContext;
use super::socket::GreenSslSocket;

impl SslContext {
    /// Speaks TLS on a connected socket: `green::net::TcpStream`, `green::os::unix::net::UnixStream`, or any other.
    ///
    /// With `do_handshake_on_connect` the handshake is done before this returns; else by the first read or write, or by
    /// [`do_handshake`](GreenSslSocket::do_handshake). [`set_suppress_ragged_eofs`](GreenSslSocket::set_suppress_ragged_eofs)
    /// explains the last argument; `false` is the safe choice.
    ///
    /// # Errors
    ///
    /// Those of [`SslContext::pipe`] and of [`do_handshake`](GreenSslSocket::do_handshake). The socket is closed then.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::{Read, Write};
    ///
    /// use green::net::TcpStream;
    /// use green::ssl::{Purpose, SslContext};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let context = SslContext::create_default_context(Purpose::ServerAuth)?;
    /// let tcp = TcpStream::connect("example.org:443")?;
    /// let mut tls = context.wrap_socket(tcp, false, Some("example.org"), true, false)?;
    /// tls.write_all(b"GET / HTTP/1.0\r\nHost: example.org\r\n\r\n")?;
    /// let mut answer = Vec::new();
    /// tls.read_to_end(&mut answer)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wrap_socket(
        &self,
        socket: impl Into<GreenSocket>,
        server_side: bool,
        server_hostname: Option<&str>,
        do_handshake_on_connect: bool,
        suppress_ragged_eofs: bool,
    ) -> io::Result<GreenSslSocket> {
        let pipe = self.pipe(server_side, server_hostname)?;
        let tls = GreenSslSocket::from_pipe(socket, pipe);
        tls.set_suppress_ragged_eofs(suppress_ragged_eofs);
        if do_handshake_on_connect {
            tls.do_handshake()?;
        }
        Ok(tls)
    }

    /// A client's connection to `server_hostname`, with the handshake done.
    ///
    /// # Errors
    ///
    /// Those of [`wrap_socket`](SslContext::wrap_socket).
    pub fn connect(
        &self,
        socket: impl Into<GreenSocket>,
        server_hostname: &str,
    ) -> io::Result<GreenSslSocket> {
        self.wrap_socket(socket, false, Some(server_hostname), true, false)
    }

    /// A server's connection. The handshake is left to the first read or write, which are the connection's own green
    /// thread's: an accept loop must not wait for it.
    ///
    /// # Errors
    ///
    /// Those of [`pipe`](SslContext::pipe).
    pub fn accept(&self, socket: impl Into<GreenSocket>) -> io::Result<GreenSslSocket> {
        self.wrap_socket(socket, true, None, false, false)
    }

    /// A listener whose connections speak TLS: `green::net::TcpListener`, `green::os::unix::net::UnixListener`, or any other.
    pub fn wrap_listener(&self, listener: impl Into<GreenSocket>) -> SslListener {
        SslListener {
            socket: listener.into(),
            context: self.clone(),
        }
    }
}

/// A listener whose connections speak TLS.
///
/// [`accept`](Self::accept) never waits for a handshake, so a client that says nothing, or something else than TLS,
/// keeps nobody else from being served: the connection's first read reports it.
#[derive(Debug)]
pub struct SslListener {
    socket: GreenSocket,
    context: SslContext,
}

impl SslListener {
    /// Waits for a connection, and takes it under the context's settings of this moment.
    ///
    /// # Errors
    ///
    /// Those of [`GreenSocket::accept`], and of [`SslContext::pipe`].
    pub fn accept(&self) -> io::Result<(GreenSslSocket, SockAddr)> {
        let (socket, address) = self.socket.accept()?;
        Ok((self.context.accept(socket)?, address))
    }

    /// Connections without end, each as from [`accept`](Self::accept).
    pub fn incoming(&self) -> impl Iterator<Item = io::Result<GreenSslSocket>> + '_ {
        std::iter::from_fn(|| Some(self.accept().map(|(tls, _)| tls)))
    }

    /// The listening socket.
    pub fn get_ref(&self) -> &GreenSocket {
        &self.socket
    }

    /// The settings of the connections to come.
    pub fn context(&self) -> &SslContext {
        &self.context
    }
}

impl AsRef<GreenSocket> for SslListener {
    fn as_ref(&self) -> &GreenSocket {
        &self.socket
    }
}
