//! A session to resume: what a client keeps from one connection to shorten the next handshake.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A resumable session, from [`SslPipe::session`](super::SslPipe::session), for [`SslContext::pipe_resuming`](super::SslContext::pipe_resuming).
///
/// It holds secrets of the connection that it came from. In TLS 1.3 the server sends it after the handshake,
/// so it is there once something has been read, and is best used once.
///
/// ```
/// use std::io::{Read, Write};
///
/// use green::os::unix::net::UnixStream;
/// use green::ssl::{EngineKind, GreenSslSocket, Purpose, SslContext, VerifyLocation};
///
/// # fn main() -> std::io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let server = SslContext::with_engine(Purpose::ClientAuth, EngineKind::OpenSsl)?;
/// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
/// # let client = SslContext::with_engine(Purpose::ServerAuth, EngineKind::OpenSsl)?;
/// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
/// # let served = |far, server: &SslContext| -> std::io::Result<()> {
/// #     let mut tls = server.accept(far)?;
/// #     green::thread::spawn(move || tls.write_all(b"welcome"));
/// #     Ok(())
/// # };
/// let (near, far) = UnixStream::pair()?;
/// # served(far, &server)?;
/// let mut first = client.connect(near, "localhost")?;
/// first.read_exact(&mut [0; 7])?;
/// let session = first.session()?.expect("the server gives sessions out");
///
/// let (near, far) = UnixStream::pair()?;
/// # served(far, &server)?;
/// let pipe = client.pipe_resuming(Some("localhost"), &session)?;
/// let mut second = GreenSslSocket::from_pipe(near, pipe);
/// second.read_exact(&mut [0; 7])?;
/// assert!(second.session_reused()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SslSession {
    /// The engine's own form of it, with the settings under which it was made.
    pub(crate) inner: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for SslSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SslSession").finish_non_exhaustive()
    }
}
