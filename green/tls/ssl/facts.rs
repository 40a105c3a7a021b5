//! What two ends agreed on: protocol version and cipher.

use std::fmt;

/// A version of the protocol; they are ordered from the oldest to the newest.
///
/// # Examples
///
/// ```
/// use green::ssl::TlsVersion;
///
/// assert!(TlsVersion::Tls13 > TlsVersion::Tls12);
/// assert_eq!(TlsVersion::Tls13.to_string(), "TLSv1.3");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.0. Deprecated since 2021; most libraries refuse it at their usual security level.
    Tls10,
    /// TLS 1.1. Deprecated since 2021; most libraries refuse it at their usual security level.
    Tls11,
    /// TLS 1.2
    Tls12,
    /// TLS 1.3
    Tls13,
}

impl fmt::Display for TlsVersion {
    /// As Python and OpenSSL write it: `TLSv1.3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls10 => "TLSv1",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        })
    }
}

/// The cipher in use, as Python's `SSLSocket.cipher()` gives it.
///
/// ```
/// use green::os::unix::net::UnixStream;
/// use green::ssl::{EngineKind, Purpose, SslContext, VerifyLocation};
///
/// # fn main() -> std::io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let server = SslContext::with_engine(Purpose::ClientAuth, EngineKind::OpenSsl)?;
/// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
/// # let client = SslContext::with_engine(Purpose::ServerAuth, EngineKind::OpenSsl)?;
/// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
/// let (near, far) = UnixStream::pair()?;
/// let served = green::thread::spawn(move || server.accept(far)?.do_handshake());
/// let tls = client.connect(near, "localhost")?;
/// if let Some(cipher) = tls.cipher()? {
///     println!("{} with {} bits", cipher.name, cipher.secret_bits);
///     assert!(cipher.secret_bits >= 128);
/// }
/// # served.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cipher {
    /// OpenSSL's name of it, such as `TLS_AES_128_GCM_SHA256`.
    pub name: String,
    /// The version of the protocol that defines it.
    pub protocol: String,
    /// How many secret bits it uses.
    pub secret_bits: i32,
}
