//! What a TLS library has to offer: contexts and connections.

use std::any::Any;
use std::io;
use std::sync::Arc;

use super::bio::Bio;
use crate::ssl::certificate::Certificate;
use crate::ssl::error::SslError;
use crate::ssl::facts::{Cipher, TlsVersion};
use crate::ssl::progress::Progress;
use crate::ssl::session::SslSession;

/// A context's settings in a library's own form.
pub(crate) trait Factory: Send + Sync {
    /// A connection that has done nothing yet. `server_name` is the peer's, for clients.
    fn engine(
        &self,
        server_name: Option<&str>,
        session: Option<&SslSession>,
        bio: Bio,
    ) -> io::Result<Box<dyn Engine>>;

    fn as_any(&self) -> &dyn Any;
}

/// Chooses what a server's connection is made under, by the name that the client asks for: `None`, as it is.
pub(crate) type ChooseByName =
    Arc<dyn Fn(Option<&str>) -> io::Result<Option<Choice>> + Send + Sync>;

/// Makes what was chosen.
pub(crate) type Choice = Box<dyn FnOnce() -> io::Result<Arc<dyn Factory>>>;

/// One TLS connection. An engine answers `WantRead` when the bio is empty, never `WantWrite`.
/// After an error of its own it is not called again; after one of the bio's, which is the end of what arrives,
/// it may still be asked to write and to shut down.
pub(crate) trait Engine: Send {
    fn handshake(&mut self) -> Result<Progress<()>, SslError>;

    /// `Done(0)` means the peer's close_notify and nothing else.
    fn read(&mut self, plaintext: &mut [u8]) -> Result<Progress<usize>, SslError>;

    /// Takes one record's worth at most. `WantRead`: the peer has begun a new handshake.
    fn write(&mut self, plaintext: &[u8]) -> Result<Progress<usize>, SslError>;

    /// Writes close_notify. Called once.
    fn shutdown(&mut self) -> Result<(), SslError>;

    /// Decrypted bytes that `read` would give without looking at the bio.
    fn pending(&self) -> usize;

    fn version(&self) -> io::Result<Option<TlsVersion>>;
    fn cipher(&self) -> io::Result<Option<Cipher>>;
    fn peer_certificate(&self) -> io::Result<Option<Certificate>>;
    fn negotiated_alpn(&self) -> io::Result<Option<Vec<u8>>>;
    fn tls_server_end_point(&self) -> io::Result<Option<Vec<u8>>>;
    fn server_name(&self) -> io::Result<Option<String>>;
    fn session(&self) -> io::Result<Option<SslSession>>;
    fn session_reused(&self) -> io::Result<bool>;

    /// The library's own object, for tests that ask of it what no setting does.
    #[cfg(test)]
    fn as_any(&self) -> &dyn Any;
}
