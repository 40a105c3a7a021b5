//! What went wrong in a TLS conversation, by cause.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Why a TLS conversation failed, found inside the `io::Error` of kind `InvalidData` that reports it.
///
/// Trying again does not help against any of these: the peer, its certificate or our settings must change first.
///
/// ```
/// use green::ssl::{Purpose, Reason, SslContext, SslError};
///
/// let context = SslContext::new(Purpose::ServerAuth)?;
/// let mut pipe = context.pipe(Some("example.org"))?;
/// pipe.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n");
/// let error = pipe.handshake().unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
/// assert_eq!(SslError::of(&error).unwrap().reason(), Reason::NotTls);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SslError {
    reason: Reason,
    message: Arc<str>,
}

/// The cause of an [`SslError`].
///
/// ```
/// use green::os::unix::net::UnixStream;
/// use green::ssl::{Purpose, Reason, SslContext, SslError, VerifyLocation};
///
/// # fn main() -> std::io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let server = SslContext::create_default_context(Purpose::ClientAuth)?;
/// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
/// # let client = SslContext::new(Purpose::ServerAuth)?;
/// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
/// /// What to tell a user.
/// fn advice(error: &std::io::Error) -> &'static str {
///     match SslError::of(error).map(SslError::reason) {
///         Some(Reason::HostnameMismatch) => "is the address right?",
///         Some(Reason::CertificateExpired | Reason::CertificateNotYetValid) => "is the clock right?",
///         Some(_) => "the server is not to be trusted",
///         None => "is the network there?",
///     }
/// }
///
/// let (near, far) = UnixStream::pair()?;
/// green::thread::spawn(move || server.accept(far)?.do_handshake());
/// // The server's certificate is for "localhost".
/// let error = client.connect(near, "example.org").unwrap_err();
/// assert_eq!(advice(&error), "is the address right?");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The peer's certificate, or one in its chain, has expired.
    CertificateExpired,
    /// The peer's certificate, or one in its chain, is not valid yet.
    CertificateNotYetValid,
    /// The peer's certificate is for another host.
    HostnameMismatch,
    /// The peer's certificate is self-signed, or issued by nobody whom we trust.
    UnknownIssuer,
    /// The peer's certificate was refused for another reason; the message tells it.
    CertificateRejected,
    /// The peer showed no certificate where one is required.
    CertificateMissing,
    /// The peer does not speak TLS at all.
    NotTls,
    /// The peer refused or ended the conversation with this fatal alert (its number in the TLS registry).
    Alert(u8),
    /// The two ends have no protocol version in common, no cipher, or no application protocol though both name some. A server
    /// without a certificate has no cipher for anybody; on OpenSSL the message says so.
    NothingInCommon,
    /// Our [server-name callback](super::SslContext::set_server_name_callback) refused the name that the client asked for, or
    /// panicked; the message tells which.
    NameRefused,
    /// Any other violation of the protocol: a record that was changed on its way, a message that was not expected.
    Protocol,
}

impl SslError {
    pub(crate) fn new(reason: Reason, message: impl Into<Arc<str>>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// The cause.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The TLS failure inside `error`, if it reports one.
    pub fn of(error: &io::Error) -> Option<&SslError> {
        error.get_ref()?.downcast_ref()
    }

    /// The same failure, once it is known that the peer's first bytes were not TLS.
    pub(crate) fn not_tls(self) -> Self {
        Self::new(
            Reason::NotTls,
            format!("the peer does not speak TLS ({})", self.message),
        )
    }

    /// The same failure of a client, once it is known that the peer's first bytes were a client's.
    pub(crate) fn by_a_client(self) -> Self {
        let message = format!(
            "the peer greets as a client does: it sends back what it gets, or is a client too ({})",
            self.message
        );
        Self::new(self.reason, message)
    }

    /// The failure that an engine can only describe by `text`, which is OpenSSL's wherever native-tls stands on it.
    pub(crate) fn from_text(text: String) -> Self {
        Self::new(Reason::from_text(&text), text)
    }
}

impl Reason {
    /// Reads the cause from an engine's words. Words unknown to us are [`Reason::Protocol`].
    pub(crate) fn from_text(text: &str) -> Self {
        const WORDS: [(&str, Reason); 18] = [
            ("certificate has expired", Reason::CertificateExpired),
            ("not yet valid", Reason::CertificateNotYetValid),
            ("hostname mismatch", Reason::HostnameMismatch),
            ("IP address mismatch", Reason::HostnameMismatch),
            ("self-signed certificate", Reason::UnknownIssuer),
            ("self signed certificate", Reason::UnknownIssuer),
            ("unable to get local issuer", Reason::UnknownIssuer),
            ("unable to get issuer", Reason::UnknownIssuer),
            ("unable to verify the first", Reason::UnknownIssuer),
            (
                "peer did not return a certificate",
                Reason::CertificateMissing,
            ),
            ("certificate verify failed", Reason::CertificateRejected),
            ("http request", Reason::NotTls),
            ("https proxy request", Reason::NotTls),
            ("no shared cipher", Reason::NothingInCommon),
            ("unsupported protocol", Reason::NothingInCommon),
            ("no protocols available", Reason::NothingInCommon),
            ("no application protocol", Reason::NothingInCommon),
            ("no suitable signature algorithm", Reason::NothingInCommon),
        ];
        if let Some(number) = alert_number(text) {
            return Reason::Alert(number);
        }
        let found = WORDS.iter().find(|(words, _)| text.contains(words));
        found.map_or(Reason::Protocol, |(_, reason)| *reason)
    }
}

/// OpenSSL names a received alert in its reason ("tlsv1 alert unknown ca") and its number in the data ("SSL alert number 48").
fn alert_number(text: &str) -> Option<u8> {
    let (_, rest) = text.split_once("SSL alert number ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

impl fmt::Display for SslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for SslError {}

impl From<SslError> for io::Error {
    fn from(error: SslError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}
