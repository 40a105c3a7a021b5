//! What the two ends of a pipe agreed on, and who the peer is.

use std::io;

use super::SslPipe;
use crate::ssl::certificate::Certificate;
use crate::ssl::engine::Engine;
use crate::ssl::facts::{Cipher, TlsVersion};
use crate::ssl::session::SslSession;

impl SslPipe {
    /// The protocol version in use, once the handshake is done.
    ///
    /// # Errors
    ///
    /// `Unsupported` by the native-tls engine.
    pub fn version(&self) -> io::Result<Option<TlsVersion>> {
        self.fact(|engine| engine.version())
    }

    /// The cipher in use, once the handshake is done.
    ///
    /// # Errors
    ///
    /// `Unsupported` by the native-tls engine.
    pub fn cipher(&self) -> io::Result<Option<Cipher>> {
        self.fact(|engine| engine.cipher())
    }

    /// The peer's certificate, if it showed one. Python's `getpeercert` is [`Certificate::details`] of it.
    ///
    /// # Errors
    ///
    /// The engine's, of kind `Other`.
    #[doc(alias = "getpeercert")]
    pub fn peer_certificate(&self) -> io::Result<Option<Certificate>> {
        self.fact(|engine| engine.peer_certificate())
    }

    /// The application protocol that was agreed on, such as `h2`.
    ///
    /// # Errors
    ///
    /// The engine's, of kind `Other`.
    #[doc(alias = "selected_alpn_protocol")]
    pub fn negotiated_alpn(&self) -> io::Result<Option<Vec<u8>>> {
        self.fact(|engine| engine.negotiated_alpn())
    }

    /// The channel binding `tls-server-end-point` of RFC 5929: a digest of the server's certificate.
    ///
    /// # Errors
    ///
    /// The engine's, of kind `Other`.
    #[doc(alias = "get_channel_binding")]
    pub fn tls_server_end_point(&self) -> io::Result<Option<Vec<u8>>> {
        self.fact(|engine| engine.tls_server_end_point())
    }

    /// The host name that the client asked for (SNI).
    ///
    /// # Errors
    ///
    /// `Unsupported` by the native-tls engine.
    pub fn server_name(&self) -> io::Result<Option<String>> {
        self.fact(|engine| engine.server_name())
    }

    /// The session, for a client to resume later.
    ///
    /// In TLS 1.3 the server sends the session after the handshake, so take it once something has been read;
    /// one that was taken earlier cannot be resumed.
    ///
    /// # Errors
    ///
    /// `Unsupported` by the native-tls engine.
    pub fn session(&self) -> io::Result<Option<SslSession>> {
        self.fact(|engine| engine.session())
    }

    /// Whether the handshake resumed an earlier session. `false` until it is done.
    ///
    /// # Errors
    ///
    /// `Unsupported` by the native-tls engine.
    pub fn session_reused(&self) -> io::Result<bool> {
        if self.is_handshaken() {
            self.engine.session_reused()
        } else {
            Ok(false)
        }
    }

    fn fact<T>(
        &self,
        ask: impl FnOnce(&dyn Engine) -> io::Result<Option<T>>,
    ) -> io::Result<Option<T>> {
        if self.is_handshaken() {
            ask(&*self.engine)
        } else {
            Ok(None)
        }
    }
}
