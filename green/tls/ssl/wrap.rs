//! Wrapping a connected socket, or a listener, in TLS.

use std::io;

use greenhub::greenio::{GreenSocket, SockAddr};

use super::context::SslContext;
use super::settings::Purpose;
use super::socket::GreenSslSocket;

impl SslContext {
    /// Speaks TLS on a connected socket: `green::net::TcpStream`, `green::os::unix::net::UnixStream`, or any other.
    ///
    /// Whether this end is the client or the server follows from what the context is [for](SslContext::purpose). A
    /// client gives the name of the server, a server gives none. The handshake is done by the first read or write, or
    /// by [`do_handshake`](GreenSslSocket::do_handshake). Does not wait.
    ///
    /// # Errors
    ///
    /// Those of [`SslContext::pipe`]. The socket is closed then.
    ///
    /// # Differences from Python
    ///
    /// The context decides which side this is. Python's other arguments are methods here:
    /// [`connect`](SslContext::connect) does the handshake at once,
    /// [`set_suppress_ragged_eofs`](GreenSslSocket::set_suppress_ragged_eofs) accepts an end without close_notify as a
    /// clean one.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// use green::os::unix::net::UnixStream;
    /// use green::ssl::{Purpose, SslContext, VerifyLocation};
    /// use green::thread;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let server = SslContext::create_default_context(Purpose::ClientAuth)?;
    /// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
    /// # let client = SslContext::new(Purpose::ServerAuth)?;
    /// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
    /// let (near, far) = UnixStream::pair()?;
    /// let served = thread::spawn(move || -> std::io::Result<()> {
    ///     let mut tls = server.wrap_socket(far, None)?;
    ///     tls.write_all(b"welcome")?;
    ///     tls.shutdown_write()
    /// });
    /// let mut tls = client.wrap_socket(near, Some("localhost"))?;
    /// let mut answer = Vec::new();
    /// tls.read_to_end(&mut answer)?;
    /// assert_eq!(answer, b"welcome");
    /// # served.join().unwrap()
    /// # }
    /// ```
    pub fn wrap_socket(
        &self,
        socket: impl Into<GreenSocket>,
        server_hostname: Option<&str>,
    ) -> io::Result<GreenSslSocket> {
        Ok(GreenSslSocket::from_pipe(
            socket,
            self.pipe(server_hostname)?,
        ))
    }

    /// A client's connection to `server_hostname`, with the handshake done: waits for the peer, for 30 seconds at most.
    ///
    /// # Errors
    ///
    /// Those of [`wrap_socket`](SslContext::wrap_socket) and of [`do_handshake`](GreenSslSocket::do_handshake); `InvalidInput`
    /// if the context is for servers. The socket is closed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::os::unix::net::UnixStream;
    /// use green::ssl::{Purpose, Reason, SslContext, SslError};
    /// use green::thread;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let server = SslContext::create_default_context(Purpose::ClientAuth)?;
    /// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
    /// let (near, far) = UnixStream::pair()?;
    /// let served = thread::spawn(move || server.accept(far)?.do_handshake());
    ///
    /// // A server whose certificate nobody has vouched for.
    /// let client = SslContext::new(Purpose::ServerAuth)?;
    /// let error = client.connect(near, "localhost").unwrap_err();
    /// assert_eq!(SslError::of(&error).unwrap().reason(), Reason::UnknownIssuer);
    /// // It was told why we left.
    /// let told = served.join().unwrap().unwrap_err();
    /// assert_eq!(SslError::of(&told).unwrap().reason(), Reason::Alert(48));
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect(
        &self,
        socket: impl Into<GreenSocket>,
        server_hostname: &str,
    ) -> io::Result<GreenSslSocket> {
        let pipe = self.pipe_for(Purpose::ServerAuth, Some(server_hostname))?;
        let tls = GreenSslSocket::from_pipe(socket, pipe);
        tls.do_handshake()?;
        Ok(tls)
    }

    /// A server's connection. The handshake is done by the first read or write, on the connection's own green thread,
    /// since an accept loop must not wait for it.
    ///
    /// # Errors
    ///
    /// Those of [`pipe`](SslContext::pipe); `InvalidInput` if the context is for clients. The socket is closed then.
    pub fn accept(&self, socket: impl Into<GreenSocket>) -> io::Result<GreenSslSocket> {
        let pipe = self.pipe_for(Purpose::ClientAuth, None)?;
        Ok(GreenSslSocket::from_pipe(socket, pipe))
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
/// [`accept`](Self::accept) never waits for a handshake, so a client that sends nothing, or something other than TLS,
/// does not keep others from being served: the connection's first read reports it.
///
/// # Examples
///
/// ```
/// use std::io::{self, Read, Write};
///
/// use green::net::{TcpListener, TcpStream};
/// use green::ssl::{Purpose, SslContext, VerifyLocation};
/// use green::thread;
///
/// # fn main() -> io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let context = SslContext::create_default_context(Purpose::ClientAuth)?;
/// context.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let listener = context.wrap_listener(listener);
/// thread::spawn(move || {
///     for tls in listener.incoming() {
///         // A failed accept is no reason to stop.
///         let Ok(mut tls) = tls else { continue };
///         // The first read shakes hands here, where nobody else has to wait for it.
///         thread::spawn(move || -> io::Result<()> {
///             let mut name = String::new();
///             tls.read_to_string(&mut name)?;
///             write!(tls, "hello {name}")?;
///             tls.shutdown_write()
///         });
///     }
/// });
///
/// // A client that never speaks is in nobody's way.
/// let _silent = TcpStream::connect(address)?;
/// # let client = SslContext::new(Purpose::ServerAuth)?;
/// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
/// let mut tls = client.connect(TcpStream::connect(address)?, "localhost")?;
/// tls.write_all(b"you")?;
/// tls.shutdown_write()?;
/// let mut answer = String::new();
/// tls.read_to_string(&mut answer)?;
/// assert_eq!(answer, "hello you");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SslListener {
    socket: GreenSocket,
    context: SslContext,
}

impl SslListener {
    /// Waits for a connection, and uses the context's settings of that moment for it.
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
