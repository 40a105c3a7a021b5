//! The engine on native-tls.

use std::any::Any;
use std::io::{self, Read, Write};
use std::sync::Arc;

use ::native_tls::{
    HandshakeError, MidHandshakeTlsStream, Protocol, TlsAcceptor, TlsConnector, TlsStream,
};

use super::bio::Bio;
use super::{Engine, Factory};
use crate::ssl::certificate::Certificate;
use crate::ssl::error::{Reason, SslError};
use crate::ssl::facts::{Cipher, TlsVersion};
use crate::ssl::progress::Progress;
use crate::ssl::refusal::{forget_old_errors, unsupported};
use crate::ssl::session::SslSession;
use crate::ssl::settings::{Identity, Purpose, Settings, VerifyMode};

/// Refuses the settings that native-tls does not have.
pub(crate) fn check(settings: &Settings) -> io::Result<()> {
    if settings.ciphers.is_some() {
        return Err(unsupported("native-tls chooses its own ciphers"));
    }
    if settings.purpose == Purpose::ServerAuth {
        return Ok(());
    }
    if settings.verify_mode != VerifyMode::None {
        return Err(unsupported(
            "a native-tls server cannot ask clients for certificates",
        ));
    }
    if settings.minimum_version == Some(TlsVersion::Tls13) {
        return Err(unsupported("a native-tls server cannot speak TLS 1.3"));
    }
    Ok(())
}

/// Refuses a choice by the client's server name, which native-tls does not tell of.
pub(crate) fn refuse_choosing() -> io::Result<()> {
    Err(unsupported(
        "a native-tls server cannot choose by server name",
    ))
}

/// Builds a connector or an acceptor from `settings`.
pub(crate) fn factory(settings: &Settings) -> io::Result<Arc<dyn Factory>> {
    settings.identity.as_ref().map_or(Ok(()), check_identity)?;
    Ok(match settings.purpose {
        Purpose::ServerAuth => Arc::new(connector(settings).map_err(refused)?),
        Purpose::ClientAuth => Arc::new(acceptor(settings)?),
    })
}

fn connector(settings: &Settings) -> ::native_tls::Result<TlsConnector> {
    let mut builder = TlsConnector::builder();
    builder
        .min_protocol_version(settings.minimum_version.map(protocol))
        .max_protocol_version(settings.maximum_version.map(protocol))
        .disable_built_in_roots(!settings.default_roots)
        .danger_accept_invalid_certs(settings.verify_mode == VerifyMode::None)
        .danger_accept_invalid_hostnames(!settings.check_hostname);
    for root in &settings.roots {
        builder.add_root_certificate(::native_tls::Certificate::from_der(root.der())?);
    }
    if let Some(identity) = &settings.identity {
        builder.identity(parse(identity)?);
    }
    let alpn: Vec<String> = settings
        .alpn
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    builder.request_alpns(&alpn.iter().map(String::as_str).collect::<Vec<_>>());
    builder.build()
}

fn acceptor(settings: &Settings) -> io::Result<TlsAcceptor> {
    let Some(identity) = &settings.identity else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a server needs a certificate: load_cert_chain",
        ));
    };
    let mut builder = TlsAcceptor::builder(parse(identity).map_err(refused)?);
    // TLS 1.3 is beyond it, so a higher maximum means what it has.
    builder
        .min_protocol_version(settings.minimum_version.map(protocol))
        .max_protocol_version(settings.maximum_version.map(protocol));
    let alpn: Vec<String> = settings
        .alpn
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    builder.accept_alpn(&alpn);
    builder.build().map_err(refused)
}

/// native-tls on OpenSSL takes a key that is not the certificate's, and then has none.
fn check_identity(identity: &Identity) -> io::Result<()> {
    super::openssl::parse(identity).map(drop)
}

fn parse(identity: &Identity) -> ::native_tls::Result<::native_tls::Identity> {
    match identity {
        Identity::Pem { chain, key, .. } => {
            // The key may follow the certificates in one file.
            let marker = b"-----BEGIN PRIVATE KEY-----";
            let start = key
                .windows(marker.len())
                .position(|window| window == marker);
            ::native_tls::Identity::from_pkcs8(chain, &key[start.unwrap_or(0)..])
        }
        Identity::Pkcs12 { der, password } => ::native_tls::Identity::from_pkcs12(der, password),
    }
}

impl Factory for TlsConnector {
    fn engine(
        &self,
        server_name: Option<&str>,
        session: Option<&SslSession>,
        bio: Bio,
    ) -> io::Result<Box<dyn Engine>> {
        if session.is_some() {
            return Err(unsupported("native-tls cannot resume a session"));
        }
        let Some(name) = server_name else {
            return Err(unsupported("native-tls needs the server's name"));
        };
        let start = Start::Client(self.clone(), name.to_owned());
        Ok(Box::new(NativeTlsEngine {
            state: State::Fresh(start, bio),
        }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Factory for TlsAcceptor {
    fn engine(
        &self,
        _: Option<&str>,
        _: Option<&SslSession>,
        bio: Bio,
    ) -> io::Result<Box<dyn Engine>> {
        Ok(Box::new(NativeTlsEngine {
            state: State::Fresh(Start::Server(self.clone()), bio),
        }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What begins a handshake.
enum Start {
    Client(TlsConnector, String),
    Server(TlsAcceptor),
}

/// native-tls hands a connection from type to type as its handshake goes on.
enum State {
    Fresh(Start, Bio),
    Between(MidHandshakeTlsStream<Bio>),
    Established(TlsStream<Bio>),
    Failed,
}

/// One connection.
struct NativeTlsEngine {
    state: State,
}

impl NativeTlsEngine {
    fn established(&mut self) -> Result<&mut TlsStream<Bio>, SslError> {
        match &mut self.state {
            State::Established(stream) => Ok(stream),
            _ => Err(SslError::new(
                Reason::Protocol,
                "the TLS handshake is not done",
            )),
        }
    }

    fn fact<T>(
        &self,
        ask: impl FnOnce(&TlsStream<Bio>) -> ::native_tls::Result<Option<T>>,
    ) -> io::Result<Option<T>> {
        match &self.state {
            State::Established(stream) => ask(stream).map_err(io::Error::other),
            _ => Ok(None),
        }
    }
}

impl Engine for NativeTlsEngine {
    fn handshake(&mut self) -> Result<Progress<()>, SslError> {
        forget_old_errors();
        let result = match std::mem::replace(&mut self.state, State::Failed) {
            State::Fresh(Start::Client(connector, domain), bio) => connector.connect(&domain, bio),
            State::Fresh(Start::Server(acceptor), bio) => acceptor.accept(bio),
            State::Between(stream) => stream.handshake(),
            State::Established(stream) => Ok(stream),
            State::Failed => {
                return Err(SslError::new(
                    Reason::Protocol,
                    "the TLS handshake has failed",
                ));
            }
        };
        match result {
            Ok(stream) => {
                self.state = State::Established(stream);
                Ok(Progress::Done(()))
            }
            Err(HandshakeError::WouldBlock(stream)) => {
                self.state = State::Between(stream);
                Ok(Progress::WantRead)
            }
            Err(HandshakeError::Failure(error)) => Err(SslError::from_text(error.to_string())),
        }
    }

    fn read(&mut self, plaintext: &mut [u8]) -> Result<Progress<usize>, SslError> {
        forget_old_errors();
        sort(self.established()?.read(plaintext))
    }

    fn write(&mut self, plaintext: &[u8]) -> Result<Progress<usize>, SslError> {
        forget_old_errors();
        sort(self.established()?.write(plaintext))
    }

    fn shutdown(&mut self) -> Result<(), SslError> {
        forget_old_errors();
        self.established()?
            .shutdown()
            .map_err(|error| SslError::from_text(error.to_string()))
    }

    fn pending(&self) -> usize {
        match &self.state {
            State::Established(stream) => stream.buffered_read_size().unwrap_or(0),
            _ => 0,
        }
    }

    fn version(&self) -> io::Result<Option<TlsVersion>> {
        Err(unsupported("native-tls does not tell the protocol version"))
    }

    fn cipher(&self) -> io::Result<Option<Cipher>> {
        Err(unsupported("native-tls does not tell the cipher"))
    }

    fn peer_certificate(&self) -> io::Result<Option<Certificate>> {
        let certificate = self.fact(|stream| stream.peer_certificate())?;
        certificate
            .map(|certificate| {
                Ok(Certificate::of_der(
                    certificate.to_der().map_err(io::Error::other)?,
                ))
            })
            .transpose()
    }

    fn negotiated_alpn(&self) -> io::Result<Option<Vec<u8>>> {
        self.fact(|stream| stream.negotiated_alpn())
    }

    fn tls_server_end_point(&self) -> io::Result<Option<Vec<u8>>> {
        self.fact(|stream| stream.tls_server_end_point())
    }

    fn server_name(&self) -> io::Result<Option<String>> {
        Err(unsupported("native-tls does not tell the server name"))
    }

    fn session(&self) -> io::Result<Option<SslSession>> {
        Err(unsupported("native-tls gives no session out"))
    }

    fn session_reused(&self) -> io::Result<bool> {
        Err(unsupported("native-tls cannot resume a session"))
    }

    #[cfg(test)]
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn sort(result: io::Result<usize>) -> Result<Progress<usize>, SslError> {
    match result {
        Ok(count) => Ok(Progress::Done(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Progress::WantRead),
        Err(error) => Err(SslError::from_text(error.to_string())),
    }
}

fn refused(error: ::native_tls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn protocol(version: TlsVersion) -> Protocol {
    match version {
        TlsVersion::Tls10 => Protocol::Tlsv10,
        TlsVersion::Tls11 => Protocol::Tlsv11,
        TlsVersion::Tls12 => Protocol::Tlsv12,
        TlsVersion::Tls13 => Protocol::Tlsv13,
    }
}
