//! Settings for connections to be made: what asyncio's functions take by keyword.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::ssl::{Purpose, SslContext};

/// asyncio's defaults.
const HANDSHAKE: Duration = Duration::from_secs(60);
const SHUTDOWN: Duration = Duration::from_secs(30);

/// How long a line may be, and half of what is buffered before reading from the connection pauses.
pub(super) const DEFAULT_LIMIT: usize = 64 * 1024;

/// TLS, if any, and its limits.
#[derive(Clone, Debug)]
pub(super) struct Security {
    pub(super) context: Option<SslContext>,
    /// Which side we are.
    pub(super) purpose: Purpose,
    pub(super) server_hostname: Option<String>,
    pub(super) handshake_timeout: Duration,
    pub(super) shutdown_timeout: Duration,
}

impl Default for Security {
    fn default() -> Security {
        Security {
            context: None,
            purpose: Purpose::ServerAuth,
            server_hostname: None,
            handshake_timeout: HANDSHAKE,
            shutdown_timeout: SHUTDOWN,
        }
    }
}

impl Security {
    /// Refuses the limits that asyncio refuses.
    pub(super) fn check(&self) -> io::Result<()> {
        let zero = self.handshake_timeout.is_zero() || self.shutdown_timeout.is_zero();
        if self.context.is_some() && zero {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a limit of TLS may not be zero",
            ));
        }
        Ok(())
    }
}

macro_rules! tls_limits {
    ($field:ident) => {
        /// Limits the TLS handshake as a whole; 60 seconds by default, as in asyncio. Zero is refused, with
        /// `InvalidInput`, by the call that is given these settings.
        pub fn ssl_handshake_timeout(mut self, limit: Duration) -> Self {
            self.$field.handshake_timeout = limit;
            self
        }

        /// Limits the orderly end of TLS after a `close`: sending the rest and waiting for the peer's close_notify. 30
        /// seconds by default, as in asyncio. When they pass, `connection_lost` gets `TimedOut`, also as there. Zero is
        /// refused likewise.
        pub fn ssl_shutdown_timeout(mut self, limit: Duration) -> Self {
            self.$field.shutdown_timeout = limit;
            self
        }
    };
}

macro_rules! limit {
    () => {
        /// How long, in bytes, a line may be for a [`StreamReader`](super::StreamReader), which buffers up to twice as
        /// much; 64 KiB unless set. It has no effect on other protocols.
        pub fn limit(mut self, bytes: usize) -> Self {
            self.limit = bytes;
            self
        }
    };
}

/// Settings for a connection to be made.
///
/// # Examples
///
/// ```
/// use std::io;
/// use std::net::TcpListener;
/// use std::time::Duration;
///
/// use green::asyncio::{ConnectionOptions, open_connection};
/// use green::ssl::{Purpose, SslContext};
///
/// // Takes connections, and says nothing.
/// let silent = TcpListener::bind("127.0.0.1:0")?;
/// let options = ConnectionOptions::new()
///     .local_addr(([127, 0, 0, 1], 0).into())
///     .ssl(&SslContext::new(Purpose::ServerAuth)?, "localhost")
///     .ssl_handshake_timeout(Duration::from_millis(20))
///     .ssl_shutdown_timeout(Duration::from_secs(1))
///     .limit(1024);
/// let error = open_connection(silent.local_addr()?, options).unwrap_err();
/// assert_eq!(error.kind(), io::ErrorKind::TimedOut);
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing by themselves"]
pub struct ConnectionOptions {
    pub(super) security: Security,
    pub(super) local_address: Option<SocketAddr>,
    pub(super) limit: usize,
}

impl Default for ConnectionOptions {
    fn default() -> ConnectionOptions {
        ConnectionOptions {
            security: Security::default(),
            local_address: None,
            limit: DEFAULT_LIMIT,
        }
    }
}

impl ConnectionOptions {
    /// A plain connection from any local address.
    pub fn new() -> ConnectionOptions {
        ConnectionOptions::default()
    }

    /// Speaks TLS with the settings of `context` to a server that shows a certificate for `server_hostname`. An empty
    /// name means none; the connection is then refused unless the context checks no names.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::{
    ///     ConnectionOptions, ServerOptions, StreamReader, StreamWriter, open_connection, start_server,
    /// };
    /// use green::ssl::{Purpose, SslContext, VerifyLocation};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// let theirs = SslContext::new(Purpose::ClientAuth)?;
    /// theirs.load_cert_chain_bytes(cert.as_bytes(), key.as_bytes(), None)?;
    /// let echo = |reader: StreamReader, writer: StreamWriter| writer.write(&reader.readline()?);
    /// let server = start_server(echo, "127.0.0.1:0", ServerOptions::new().ssl(&theirs))?;
    ///
    /// let ours = SslContext::new(Purpose::ServerAuth)?;
    /// ours.load_verify_locations(VerifyLocation::Bytes(cert.as_bytes()))?;
    /// let options = ConnectionOptions::new().ssl(&ours, "localhost");
    /// let (reader, writer) = open_connection(server.local_addr()?, options)?;
    /// writer.write(b"a secret\n")?;
    /// assert_eq!(reader.readline()?, b"a secret\n");
    ///
    /// // The certificate is not that of another name.
    /// let options = ConnectionOptions::new().ssl(&ours, "example.org");
    /// let error = open_connection(server.local_addr()?, options).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    /// # Ok(())
    /// # }
    /// ```
    pub fn ssl(mut self, context: &SslContext, server_hostname: &str) -> Self {
        self.security.context = Some(context.clone());
        self.security.server_hostname = Some(server_hostname.to_owned());
        self
    }

    tls_limits!(security);

    /// Connects from this address. Only for TCP.
    pub fn local_addr(mut self, address: SocketAddr) -> Self {
        self.local_address = Some(address);
        self
    }

    limit!();
}

/// Settings for a server to be made.
///
/// # Examples
///
/// ```
/// use green::asyncio::{ServerOptions, start_server};
///
/// // Two servers share an address, and the kernel spreads connections over them.
/// let options = ServerOptions::new()
///     .backlog(500)
///     .reuse_address(true)
///     .reuse_port(true)
///     .limit(1024)
///     .start_serving(false);
/// let one = start_server(|_, _| Ok(()), "127.0.0.1:0", options.clone())?;
/// let two = start_server(|_, _| Ok(()), one.local_addr()?, options)?;
/// assert_eq!(one.local_addr()?, two.local_addr()?);
/// assert!(!one.is_serving());
/// one.start_serving()?;
/// two.start_serving()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing by themselves"]
pub struct ServerOptions {
    pub(super) security: Security,
    pub(super) backlog: i32,
    pub(super) reuse_address: bool,
    pub(super) reuse_port: bool,
    pub(super) start_serving: bool,
    pub(super) cleanup_socket: bool,
    pub(super) limit: usize,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            security: Security {
                purpose: Purpose::ClientAuth,
                ..Security::default()
            },
            backlog: 100,
            reuse_address: true,
            reuse_port: false,
            start_serving: true,
            cleanup_socket: true,
            limit: DEFAULT_LIMIT,
        }
    }
}

impl ServerOptions {
    /// asyncio's defaults: plain, a backlog of 100, addresses reused, serving from the start.
    pub fn new() -> ServerOptions {
        ServerOptions::default()
    }

    /// Speaks TLS with the settings of `context`, which has the certificate.
    pub fn ssl(mut self, context: &SslContext) -> Self {
        self.security.context = Some(context.clone());
        self
    }

    tls_limits!(security);

    /// How many connections may wait to be accepted; 100 unless set.
    pub fn backlog(mut self, connections: i32) -> Self {
        self.backlog = connections;
        self
    }

    /// Whether an address may be bound while connections of an earlier server linger (SO_REUSEADDR); true unless set.
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.reuse_address = reuse;
        self
    }

    /// Whether other servers may be bound to the same address, to share its connections (SO_REUSEPORT).
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// Whether to serve at once, or from [`start_serving`](super::Server::start_serving) on. Until then nobody can
    /// connect.
    pub fn start_serving(mut self, start: bool) -> Self {
        self.start_serving = start;
        self
    }

    /// Whether closing a server of a Unix socket removes its file; true unless set.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::{ServerOptions, start_unix_server};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("socket");
    /// let options = ServerOptions::new().cleanup_socket(false);
    /// drop(start_unix_server(|_, _| Ok(()), &path, options)?);
    /// assert!(path.exists());
    /// drop(start_unix_server(|_, _| Ok(()), &path, ServerOptions::new())?);
    /// assert!(!path.exists());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn cleanup_socket(mut self, cleanup: bool) -> Self {
        self.cleanup_socket = cleanup;
        self
    }

    limit!();
}

/// Settings of [`start_tls`](super::start_tls()) and [`StreamWriter::start_tls`](super::StreamWriter::start_tls).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use green::asyncio::{ServerOptions, StreamReader, StreamWriter, TlsOptions, open_connection, start_server};
/// use green::ssl::{Purpose, SslContext, VerifyLocation};
///
/// # fn main() -> std::io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let theirs = SslContext::new(Purpose::ClientAuth)?;
/// theirs.load_cert_chain_bytes(cert.as_bytes(), key.as_bytes(), None)?;
/// let settings = TlsOptions::server(&theirs).ssl_handshake_timeout(Duration::from_secs(10));
/// let handler = move |_: StreamReader, mut writer: StreamWriter| {
///     writer.write(b"in the clear\n")?;
///     writer.start_tls(&settings)?;
///     writer.write(b"in secret\n")
/// };
/// let server = start_server(handler, "127.0.0.1:0", ServerOptions::new())?;
///
/// let ours = SslContext::new(Purpose::ServerAuth)?;
/// ours.load_verify_locations(VerifyLocation::Bytes(cert.as_bytes()))?;
/// let (reader, mut writer) = open_connection(server.local_addr()?, Default::default())?;
/// assert_eq!(reader.readline()?, b"in the clear\n");
/// writer.start_tls(&TlsOptions::client(&ours, "localhost"))?;
/// assert_eq!(reader.readline()?, b"in secret\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing by themselves"]
pub struct TlsOptions {
    pub(super) security: Security,
}

impl TlsOptions {
    /// For a client, whose server shows a certificate for `server_hostname`; as [`ConnectionOptions::ssl`].
    pub fn client(context: &SslContext, server_hostname: &str) -> TlsOptions {
        let ConnectionOptions { security, .. } =
            ConnectionOptions::new().ssl(context, server_hostname);
        TlsOptions { security }
    }

    /// For a server.
    pub fn server(context: &SslContext) -> TlsOptions {
        let ServerOptions { security, .. } = ServerOptions::new().ssl(context);
        TlsOptions { security }
    }

    tls_limits!(security);
}
