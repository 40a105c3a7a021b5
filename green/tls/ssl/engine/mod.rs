//! What a pipe needs of a TLS library, and the libraries that offer it.
//!
//! Two small traits: a [`Factory`] is a context's settings in a library's own form, made once and shared by
//! connections; an [`Engine`] is one connection. Engines move ciphertext through a [`Bio`](bio::Bio) only, so
//! they never wait, and nothing of ours parks above a C library's frame.

use std::io;
use std::sync::Arc;

use super::settings::Settings;

pub(crate) mod bio;
mod native_tls;
pub(crate) mod openssl;
mod traits;

pub(crate) use traits::{Choice, ChooseByName, Engine, Factory};

/// The TLS library under a context.
///
/// ```
/// use std::io::ErrorKind;
///
/// use green::ssl::{EngineKind, Purpose, SslContext, TlsVersion};
///
/// let server = SslContext::with_engine(Purpose::ClientAuth, EngineKind::NativeTls)?;
/// let error = server.set_minimum_version(TlsVersion::Tls13).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Unsupported);
///
/// let server = SslContext::with_engine(Purpose::ClientAuth, EngineKind::OpenSsl)?;
/// server.set_minimum_version(TlsVersion::Tls13)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// OpenSSL through the `openssl` crate: everything that this module offers.
    OpenSsl,
    /// The platform's own library through `native-tls`. It has no TLS 1.3 for servers, and cannot ask clients
    /// for a certificate, resume a session, choose a certificate by name, or tell the version or the cipher.
    NativeTls,
}

impl Default for EngineKind {
    /// OpenSSL, unless the cargo feature `native-tls-engine` is on.
    fn default() -> Self {
        if cfg!(feature = "native-tls-engine") {
            Self::NativeTls
        } else {
            Self::OpenSsl
        }
    }
}

impl EngineKind {
    /// Refuses what this library cannot do.
    pub(crate) fn check(self, settings: &Settings) -> io::Result<()> {
        match self {
            Self::OpenSsl => Ok(()),
            Self::NativeTls => native_tls::check(settings),
        }
    }

    /// Refuses a choice by the client's server name, if this library has none.
    pub(crate) fn check_choosing(self) -> io::Result<()> {
        match self {
            Self::OpenSsl => Ok(()),
            Self::NativeTls => native_tls::refuse_choosing(),
        }
    }

    /// `choose` is for servers of a library that has the choice.
    pub(crate) fn factory(
        self,
        settings: &Settings,
        choose: Option<&ChooseByName>,
    ) -> io::Result<Arc<dyn Factory>> {
        match self {
            Self::OpenSsl => openssl::factory(settings, choose),
            Self::NativeTls => native_tls::factory(settings),
        }
    }
}
