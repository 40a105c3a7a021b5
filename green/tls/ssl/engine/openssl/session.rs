#![expect(
    unsafe_code,
    reason = "OpenSSL wants a session and its connection to share a context, and trusts the caller for it"
)]
//! A session of OpenSSL, together with the context to which it belongs.
//!
//! # Safety
//!
//! `SSL_set_session` is sound for a session that was made under the connection's own context. [`OpenSslSession`]
//! keeps that context alive, so its address cannot come to mean another one, and compares it before each use.

use openssl::error::ErrorStack;
use openssl::ssl::{SslContext, SslRef, SslSession};

pub(super) struct OpenSslSession {
    session: SslSession,
    context: SslContext,
    server_name: Option<String>,
}

impl OpenSslSession {
    /// `context` is the one under which the connection of `session` was made, to `server_name`.
    pub(super) fn new(
        session: SslSession,
        context: SslContext,
        server_name: Option<String>,
    ) -> Self {
        Self {
            session,
            context,
            server_name,
        }
    }

    /// Makes `ssl` ask for this session to be resumed, unless it has another context or another server's name:
    /// OpenSSL does not check the certificate again, so it would not notice a wrong one. If it does not ask, a
    /// whole handshake follows.
    pub(super) fn offer(
        &self,
        ssl: &mut SslRef,
        server_name: Option<&str>,
    ) -> Result<(), ErrorStack> {
        if !std::ptr::eq(&*self.context, ssl.ssl_context())
            || self.server_name.as_deref() != server_name
        {
            return Ok(());
        }
        // SAFETY: the session was made under the very context of `ssl`, as just compared.
        unsafe { ssl.set_session(&self.session) }
    }
}
