//! What the two ends of a connection have agreed on, as the pipe tells it.

use std::io;

use super::GreenSslSocket;
use crate::tls::ssl::certificate::Certificate;
use crate::tls::ssl::facts::{Cipher, TlsVersion};
use crate::tls::ssl::pipe::SslPipe;
use crate::tls::ssl::session::SslSession;

impl GreenSslSocket {
    /// The protocol version, once the handshake is done.
    ///
    /// # Errors
    ///
    /// `Unsupported` by the native-tls engine.
    pub fn version(&self) -> io::Result<Option<TlsVersion>> {
        self.pipe(SslPipe::version)
    }

    /// The cipher, once the handshake is done.
    ///
    /// # Errors
    ///
    /// `Unsupported` by the native-tls engine.
    pub fn cipher(&self) -> io::Result<Option<Cipher>> {
        self.pipe(SslPipe::cipher)
    }

    /// The peer's certificate, if it showed one.
    ///
    /// # Errors
    ///
    /// The engine's, of kind `Other`.
    #[doc(alias = "getpeercert")]
    pub fn peer_certificate(&self) -> io::Result<Option<Certificate>> {
        self.pipe(SslPipe::peer_certificate)
    }

    /// The application protocol that was agreed on.
    ///
    /// # Errors
    ///
    /// The engine's, of kind `Other`.
    pub fn negotiated_alpn(&self) -> io::Result<Option<Vec<u8>>> {
        self.pipe(SslPipe::negotiated_alpn)
    }

    /// The channel binding `tls-server-end-point` (RFC 5929).
    ///
    /// # Errors
    ///
    /// The engine's, of kind `Other`.
    pub fn tls_server_end_point(&self) -> io::Result<Option<Vec<u8>>> {
        self.pipe(SslPipe::tls_server_end_point)
    }

    /// The host name that the client asked for.
    ///
    /// # Errors
    ///
    /// `Unsupported` by the native-tls engine.
    pub fn server_name(&self) -> io::Result<Option<String>> {
        self.pipe(SslPipe::server_name)
    }

    /// The session, to be resumed by a later connection.
    ///
    /// # Errors
    ///
    /// `Unsupported` by the native-tls engine.
    pub fn session(&self) -> io::Result<Option<SslSession>> {
        self.pipe(SslPipe::session)
    }

    /// Whether the handshake resumed an earlier session.
    ///
    /// # Errors
    ///
    /// `Unsupported` by the native-tls engine.
    pub fn session_reused(&self) -> io::Result<bool> {
        self.pipe(SslPipe::session_reused)
    }
}
