//! TLS in the terms of Python's `ssl` module.
//!
//! | here | what it is |
//! |---|---|
//! | [`SslContext`] | settings for many connections: certificates, trust, versions, protocols |
//! | [`GreenSslSocket`] | a connection in blocking style |
//! | [`SslListener`] | a listener whose connections speak TLS |
//! | [`SslPipe`] | one connection without a transport; its [module](pipe) says how it is used |
//! | [`SslError`] | why a conversation failed, by [cause](Reason) |
//!
//! Defaults are the safe ones: TLS 1.2 and 1.3 at both ends, certificates and host names checked, ciphers with
//! forward secrecy and authenticated encryption only, and a truncated stream is an error.
//!
//! # Engines
//!
//! This is built on OpenSSL, or, with the cargo feature `native-tls-engine`, on the platform's library through
//! native-tls, which on Linux is OpenSSL too. What an engine cannot do is refused with `Unsupported`; [`EngineKind`]
//! lists it.
//!
//! # Where a certificate comes from
//!
//! A server needs a certificate and its key. For others' clients an authority issues them, such as Let's Encrypt by
//! `certbot`. For a first try, this makes both, for `localhost`:
//!
//! ```sh
//! openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
//!     -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
//! ```
//!
//! The server loads both by [`load_cert_chain`](SslContext::load_cert_chain). No system trusts such a certificate, so
//! the client is told to, by [`load_verify_locations`](SslContext::load_verify_locations) of `cert.pem`, and connects to
//! the name `localhost`. In tests the crate rcgen makes certificates in memory.
//!
//! # Differences from Python's `ssl`
//!
//! A connection that ends without close_notify is an error (`UnexpectedEof`) by default. A folder of trusted certificates
//! is read whole, at once, and need not be hashed. A session may be offered after the settings have changed, but then
//! it is not resumed.
//!
//! # Examples
//!
//! ```
//! use std::io::{Read, Write};
//!
//! use green::os::unix::net::UnixStream;
//! use green::ssl::{Purpose, SslContext, VerifyLocation};
//!
//! # fn main() -> std::io::Result<()> {
//! # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
//! # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
//! let server = SslContext::create_default_context(Purpose::ClientAuth)?;
//! server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
//! let client = SslContext::new(Purpose::ServerAuth)?;
//! client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
//!
//! // Any two sockets will do.
//! let (near, far) = UnixStream::pair()?;
//! green::thread::spawn(move || server.accept(far)?.write_all(b"welcome"));
//! let mut tls = client.connect(near, "localhost")?;
//! let mut answer = [0; 7];
//! tls.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"welcome");
//! # Ok(())
//! # }
//! ```

pub use certificate::{Certificate, CertificateDetails};
pub use context::{ServerNameCallback, SslContext, VerifyLocation};
pub use engine::EngineKind;
pub use error::{Reason, SslError};
pub use facts::{Cipher, TlsVersion};
pub use pipe::SslPipe;
pub use progress::Progress;
pub use session::SslSession;
pub use settings::{Purpose, VerifyMode};
pub use socket::{DEFAULT_HANDSHAKE_TIMEOUT, GreenSslSocket, ReadHalf, Unwrapped, WriteHalf};
pub use wrap::SslListener;

mod certificate;
mod context;
mod duplex;
pub(crate) mod end;
mod engine;
mod error;
mod facts;
mod patience;
pub mod pipe;
mod progress;
mod record;
mod refusal;
mod session;
mod settings;
mod socket;
#[cfg(test)]
pub(crate) mod testing;
mod wrap;
