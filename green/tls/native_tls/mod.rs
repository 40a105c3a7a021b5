//! The `native-tls` crate's names, for programs that use it: change `native_tls::` to `green::native_tls::`.
//!
//! A [`TlsStream`] works over any stream that reads and writes in blocking style: `green::net::TcpStream`,
//! `green::os::unix::net::UnixStream`, or another. No green thread is parked inside the TLS library, so those of one
//! OS thread do not mix up its error queue.
//!
//! For TLS 1.3 servers, client certificates, sessions, and for reading and writing at once, see
//! [`green::ssl`](crate::ssl).
//!
//! # Differences from native-tls
//!
//! - An end without close_notify is `UnexpectedEof`, not `Ok(0)`; a reset stays a reset on every later read.
//! - [`Error`] is green's own type. Its source is an [`SslError`](crate::ssl::SslError) with the cause, or the
//!   stream's own error.
//!
//! # Examples
//!
//! ```
//! use std::io::{Read, Write};
//!
//! use green::native_tls::{Certificate, Identity, TlsAcceptor, TlsConnector};
//! use green::os::unix::net::UnixStream;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
//! # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
//! let acceptor = TlsAcceptor::new(Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes())?)?;
//! let connector = TlsConnector::builder()
//!     .add_root_certificate(Certificate::from_pem(certificate.as_bytes())?)
//!     .build()?;
//!
//! let (near, far) = UnixStream::pair()?;
//! green::thread::spawn(move || acceptor.accept(far).unwrap().write_all(b"welcome"));
//! let mut stream = connector.connect("localhost", near)?;
//! let mut answer = [0; 7];
//! stream.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"welcome");
//! # Ok(())
//! # }
//! ```

use std::error;
use std::fmt;
use std::io;
use std::result;

pub use native_tls::{Certificate, Identity, Protocol};

pub use acceptor::{TlsAcceptor, TlsAcceptorBuilder};
pub use connector::{TlsConnector, TlsConnectorBuilder};
pub use stream::{HandshakeError, MidHandshakeTlsStream, TlsStream};

mod acceptor;
mod connector;
mod stream;

/// What most functions here return.
pub type Result<T> = result::Result<T, Error>;

/// Why something failed.
///
/// ```
/// use std::io::{self, Write};
///
/// use green::native_tls::{HandshakeError, TlsConnector};
/// use green::os::unix::net::UnixStream;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (near, mut far) = UnixStream::pair()?;
/// far.write_all(b"220 mail.example.org ESMTP\r\n")?;
/// let Err(HandshakeError::Failure(error)) = TlsConnector::new()?.connect("mail.example.org", near) else {
///     panic!("that was no TLS");
/// };
/// assert_eq!(error.into_io().kind(), io::ErrorKind::InvalidData);
/// # Ok(())
/// # }
/// ```
pub struct Error(Cause);

enum Cause {
    Settings(native_tls::Error),
    Connection(io::Error),
}

impl Error {
    /// The failure as an `io::Error`. Its kind is `InvalidData` for a failure of TLS, otherwise that of the stream's
    /// error.
    pub fn into_io(self) -> io::Error {
        match self.0 {
            Cause::Settings(error) => io::Error::new(io::ErrorKind::InvalidInput, error),
            Cause::Connection(error) => error,
        }
    }
}

impl From<native_tls::Error> for Error {
    fn from(error: native_tls::Error) -> Error {
        Error(Cause::Settings(error))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error(Cause::Connection(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Settings(error) => error.fmt(f),
            Cause::Connection(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Settings(error) => error.fmt(f),
            Cause::Connection(error) => error.fmt(f),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Cause::Settings(error) => error.source(),
            Cause::Connection(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests;
