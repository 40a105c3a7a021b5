//! One connection of OpenSSL's.

#[cfg(test)]
use std::any::Any;
use std::io;
use std::sync::{Arc, OnceLock};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
#[cfg(test)]
use openssl::ssl::SslRef;
use openssl::ssl::{self, ErrorCode, NameType, ShutdownState, Ssl, SslStream};
use openssl::x509::{X509Ref, X509VerifyResult};

use super::session::OpenSslSession;
use super::versions::from_openssl;
use crate::ssl::certificate::Certificate;
use crate::ssl::engine::Engine;
use crate::ssl::engine::bio::Bio;
use crate::ssl::error::{Reason, SslError};
use crate::ssl::facts::{Cipher, TlsVersion};
use crate::ssl::progress::Progress;
use crate::ssl::refusal::{forget_old_errors, summary};
use crate::ssl::session::SslSession;

pub(crate) struct OpenSslEngine {
    stream: SslStream<Bio>,
    /// The context it was made under; a server's may since have been changed by name.
    context: ssl::SslContext,
    /// The server's name, to a client.
    server_name: Option<String>,
}

impl OpenSslEngine {
    pub(super) fn new(
        ssl: Ssl,
        bio: Bio,
        context: ssl::SslContext,
        server_name: Option<String>,
    ) -> Result<Self, ErrorStack> {
        Ok(Self {
            stream: SslStream::new(ssl, bio)?,
            context,
            server_name,
        })
    }

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
    /// OpenSSL counts a certificate that is missing among what the client cannot use.
    fn blame(&self, error: SslError) -> SslError {
        const WORDS: [&str; 2] = ["no shared cipher", "no suitable signature algorithm"];
        let ssl = self.stream.ssl();
        let said = error.to_string();
        if ssl.is_server()
            && ssl.certificate().is_none()
            && WORDS.iter().any(|words| said.contains(words))
        {
            let message =
                format!("the server's context has no certificate, see load_cert_chain ({said})");
            return SslError::new(error.reason(), message);
        }
        error
    }

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
            let refused = REFUSAL
                .get()
                .and_then(|&place| self.stream.ssl().ex_data(place));
            refused.cloned().unwrap_or_else(|| self.blame(error))
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

static REFUSAL: OnceLock<Index<Ssl, SslError>> = OnceLock::new();

/// Where a connection keeps why its name was refused. If there is no memory for it, the next call tries again.
pub(super) fn refusal() -> Result<Index<Ssl, SslError>, ErrorStack> {
    match REFUSAL.get() {
        Some(place) => Ok(*place),
        None => {
            let place = Ssl::new_ex_index()?;
            Ok(*REFUSAL.get_or_init(|| place))
        }
    }
}

/// RFC 5929: the hash of the certificate's own signature, SHA-256 in place of MD5 and SHA-1.
fn binding_digest(certificate: &X509Ref) -> Option<MessageDigest> {
    let signature = certificate
        .signature_algorithm()
        .object()
        .nid()
        .signature_algorithms()?;
    match signature.digest {
        Nid::MD5 | Nid::SHA1 => Some(MessageDigest::sha256()),
        digest => MessageDigest::from_nid(digest),
    }
}
