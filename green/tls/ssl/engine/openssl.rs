//! The engine on OpenSSL.

use std::any::Any;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use ::openssl::error::ErrorStack;
use ::openssl::ssl::{
    self, ErrorCode, NameType, ShutdownState, Ssl, SslRef, SslStream, SslVersion,
};
use ::openssl::x509::X509VerifyResult;
use ::openssl::x509::verify::X509CheckFlags;

use super::bio::Bio;
use super::{Engine, Factory};
use crate::ssl::certificate::Certificate;
use crate::ssl::context::Purpose;
use crate::ssl::error::{Reason, SslError};
use crate::ssl::facts::{Cipher, TlsVersion};
use crate::ssl::pipe::Progress;
use crate::ssl::session::SslSession;
use certificate::binding_digest;
use session::OpenSslSession;
use settings::to_openssl;

pub(crate) use certificate::details;
pub(crate) use settings::{factory, parse};

mod certificate;
mod session;
mod settings;

/// A context in OpenSSL's form.
struct OpenSslFactory {
    context: ssl::SslContext,
    purpose: Purpose,
    check_hostname: bool,
}

impl Factory for OpenSslFactory {
    fn engine(
        &self,
        server_name: Option<&str>,
        session: Option<&SslSession>,
        bio: Bio,
    ) -> io::Result<Box<dyn Engine>> {
        let mut ssl = Ssl::new(&self.context).map_err(refused)?;
        match self.purpose {
            Purpose::ClientAuth => ssl.set_accept_state(),
            Purpose::ServerAuth => {
                ssl.set_connect_state();
                if let Some(name) = server_name {
                    self.set_server_name(&mut ssl, name).map_err(refused)?;
                }
            }
        }
        if let Some(session) = session {
            self.resume(&mut ssl, session, server_name)?;
        }
        let stream = SslStream::new(ssl, bio).map_err(refused)?;
        Ok(Box::new(OpenSslEngine {
            stream,
            context: self.context.clone(),
            server_name: server_name.map(str::to_owned),
        }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl OpenSslFactory {
    fn set_server_name(&self, ssl: &mut SslRef, name: &str) -> Result<(), ErrorStack> {
        let address: Option<IpAddr> = name.parse().ok();
        if address.is_none() {
            ssl.set_hostname(name)?;
        }
        if !self.check_hostname {
            return Ok(());
        }
        let parameters = ssl.param_mut();
        parameters.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
        match address {
            Some(address) => parameters.set_ip(address),
            None => parameters.set_host(name),
        }
    }

    /// Offers an earlier session, if it is of the same settings and the same server.
    fn resume(
        &self,
        ssl: &mut SslRef,
        session: &SslSession,
        server_name: Option<&str>,
    ) -> io::Result<()> {
        let Some(session) = session.inner.downcast_ref::<OpenSslSession>() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the session is of another engine",
            ));
        };
        session.offer(ssl, server_name).map_err(refused)
    }
}

/// One connection.
pub(crate) struct OpenSslEngine {
    stream: SslStream<Bio>,
    /// The context it was made under; a server's may since have been changed by name.
    context: ssl::SslContext,
    /// The server's name, to a client.
    server_name: Option<String>,
}

impl OpenSslEngine {
    /// Sorts OpenSSL's answer into progress and failure. Its error queue belongs to the OS thread, so the call
    /// began by emptying it, and has emptied it again.
    fn sort<T>(&self, result: Result<T, ssl::Error>) -> Result<Progress<T>, SslError> {
        match result {
            Ok(value) => Ok(Progress::Done(value)),
            Err(error) if matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE) => {
                Ok(Progress::WantRead)
            }
            Err(error) if error.code() == ErrorCode::ZERO_RETURN => Err(SslError::new(
                Reason::Alert(0),
                "the peer ended the TLS session",
            )),
            Err(error) => Err(describe(&error, self.stream.ssl().verify_result())),
        }
    }
}

impl OpenSslEngine {
    /// Whether a read can only find that ciphertext is missing, which OpenSSL would take a while to find out: nothing
    /// lies decrypted, nothing is to be decrypted, no handshake is under way, and no end has come from the peer.
    /// Without read-ahead, which nobody turns on, OpenSSL keeps no whole record back.
    fn must_wait(&mut self) -> bool {
        self.stream.get_ref().is_dry()
            && self.stream.ssl().pending() == 0
            && self.stream.ssl().is_init_finished()
            && self.stream.get_shutdown().is_empty()
    }
}

impl Engine for OpenSslEngine {
    fn handshake(&mut self) -> Result<Progress<()>, SslError> {
        forget_old_errors();
        let result = self.stream.do_handshake();
        self.sort(result).map_err(|error| {
            let refused = self.stream.ssl().ex_data(settings::refusal());
            refused.cloned().unwrap_or(error)
        })
    }

    fn read(&mut self, plaintext: &mut [u8]) -> Result<Progress<usize>, SslError> {
        if self.must_wait() {
            return Ok(Progress::WantRead);
        }
        forget_old_errors();
        match self.stream.ssl_read(plaintext) {
            Err(error) if error.code() == ErrorCode::ZERO_RETURN => Ok(Progress::Done(0)),
            result => self.sort(result),
        }
    }

    fn write(&mut self, plaintext: &[u8]) -> Result<Progress<usize>, SslError> {
        forget_old_errors();
        let result = self.stream.ssl_write(plaintext);
        self.sort(result)
    }

    fn shutdown(&mut self) -> Result<(), SslError> {
        forget_old_errors();
        match self.stream.shutdown() {
            Ok(_) => Ok(()),
            Err(error) => Err(describe(&error, X509VerifyResult::OK)),
        }
    }

    fn pending(&self) -> usize {
        self.stream.ssl().pending()
    }

    fn version(&self) -> io::Result<Option<TlsVersion>> {
        Ok(self.stream.ssl().version2().and_then(from_openssl))
    }

    fn cipher(&self) -> io::Result<Option<Cipher>> {
        let cipher = self.stream.ssl().current_cipher();
        Ok(cipher.map(|cipher| Cipher {
            name: cipher.name().to_owned(),
            protocol: cipher.version().to_owned(),
            secret_bits: cipher.bits().secret,
        }))
    }

    fn peer_certificate(&self) -> io::Result<Option<Certificate>> {
        let certificate = self.stream.ssl().peer_certificate();
        certificate
            .map(|certificate| Ok(Certificate::of_der(certificate.to_der()?)))
            .transpose()
    }

    fn negotiated_alpn(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self
            .stream
            .ssl()
            .selected_alpn_protocol()
            .map(<[u8]>::to_vec))
    }

    fn tls_server_end_point(&self) -> io::Result<Option<Vec<u8>>> {
        let ssl = self.stream.ssl();
        let certificate = if ssl.is_server() {
            ssl.certificate().map(ToOwned::to_owned)
        } else {
            ssl.peer_certificate()
        };
        let Some(certificate) = certificate else {
            return Ok(None);
        };
        let Some(digest) = binding_digest(&certificate) else {
            return Ok(None);
        };
        Ok(Some(certificate.digest(digest)?.to_vec()))
    }

    fn server_name(&self) -> io::Result<Option<String>> {
        Ok(self
            .stream
            .ssl()
            .servername(NameType::HOST_NAME)
            .map(str::to_owned))
    }

    fn session(&self) -> io::Result<Option<SslSession>> {
        let ssl = self.stream.ssl();
        let session = ssl.session().filter(|_| !ssl.is_server());
        Ok(session.map(|session| SslSession {
            inner: Arc::new(OpenSslSession::new(
                session.to_owned(),
                self.context.clone(),
                self.server_name.clone(),
            )),
        }))
    }

    fn session_reused(&self) -> io::Result<bool> {
        Ok(self.stream.ssl().session_reused())
    }

    #[cfg(test)]
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for OpenSslEngine {
    /// Without this OpenSSL forbids the session to be resumed unless close_notify was sent, which no
    /// protocol since TLS 1.1 asks for. What broke the protocol is not resumable all the same.
    fn drop(&mut self) {
        if self.stream.ssl().is_init_finished() {
            self.stream
                .set_shutdown(ShutdownState::SENT | ShutdownState::RECEIVED);
        }
    }
}

#[cfg(test)]
impl OpenSslEngine {
    pub(crate) fn ssl(&self) -> &SslRef {
        self.stream.ssl()
    }
}

fn describe(error: &ssl::Error, verified: X509VerifyResult) -> SslError {
    let Some(stack) = error.ssl_error() else {
        return SslError::new(Reason::Protocol, error.to_string());
    };
    let mut message = summary(stack);
    let mut all = stack.to_string();
    if verified != X509VerifyResult::OK && message.contains("certificate verify failed") {
        message = format!("{message}: {verified}");
        all = format!("{all} {verified}");
    }
    SslError::new(Reason::from_text(&all), message)
}

/// The reasons in OpenSSL's queue, without its file names and line numbers.
fn summary(stack: &ErrorStack) -> String {
    let mut reasons: Vec<&str> = stack
        .errors()
        .iter()
        .filter_map(|error| error.reason())
        .collect();
    reasons.dedup();
    if reasons.is_empty() {
        stack.to_string()
    } else {
        reasons.join(", ")
    }
}

/// An error in what the user gave us: a certificate, a key, a list of ciphers.
fn refused(stack: ErrorStack) -> io::Error {
    malformed(summary(&stack))
}

fn malformed(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

/// Errors that other code left in this OS thread's queue would be taken for ours.
fn forget_old_errors() {
    drop(ErrorStack::get());
}

fn from_openssl(version: SslVersion) -> Option<TlsVersion> {
    [
        TlsVersion::Tls10,
        TlsVersion::Tls11,
        TlsVersion::Tls12,
        TlsVersion::Tls13,
    ]
    .into_iter()
    .find(|ours| to_openssl(*ours) == version)
}
