//! What a pipe owes to a TLS library, and the libraries that give it.
//!
//! Two small traits: a [`Factory`] is a context's settings in a library's own form, made once and shared by
//! connections; an [`Engine`] is one connection. Engines move ciphertext through a [`Bio`](bio::Bio) only, so
//! they never wait, and nothing of ours parks above a C library's frame.

use std::any::Any;
use std::io;
use std::sync::Arc;

use super::certificate::Certificate;
use super::context::Settings;
use super::error::SslError;
use super::facts::{Cipher, TlsVersion};
use super::pipe::Progress;
use super::session::SslSession;
use bio::Bio;

pub(crate) mod bio;
pub(crate) mod native_tls;
pub(crate) mod openssl;

/// The TLS library under a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// OpenSSL through the `openssl` crate: everything that this module offers.
    OpenSsl,
    /// The platform's own library through `native-tls`. It has no TLS 1.3 for servers, asks clients for no
    /// certificate, resumes no session, chooses no certificate by name, and tells neither version nor cipher.
    NativeTls,
}

impl Default for EngineKind {
    /// OpenSSL where there is one, unless the cargo feature `native-tls-engine` is on.
    fn default() -> Self {
        if cfg!(feature = "native-tls-engine") {
            Self::NativeTls
        } else {
            Self::OpenSsl
        }
    }
}

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

impl EngineKind {
    /// Refuses what this library cannot do.
    pub(crate) fn check(self, settings: &Settings) -> io::Result<()> {
        match self {
            Self::OpenSsl => Ok(()),
            Self::NativeTls => native_tls::check(settings),
        }
    }

    pub(crate) fn factory(self, settings: &Settings) -> io::Result<Arc<dyn Factory>> {
        match self {
            Self::OpenSsl => openssl::factory(settings),
            Self::NativeTls => native_tls::factory(settings),
        }
    }
}

/// The refusal of what an engine cannot do.
pub(crate) fn unsupported(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what)
}
