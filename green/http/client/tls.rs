//! TLS for ureq's connections: the pipe over whatever the earlier connectors have connected, such as a proxy's
//! tunnel.

use std::error::Error as _;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::OnceLock;

use parking_lot::Mutex;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use crate::native_tls::{self, TlsStream};

/// Trusts the certificates that the system trusts.
#[derive(Default)]
pub(super) struct TlsConnector {
    made: OnceLock<native_tls::TlsConnector>,
}

impl TlsConnector {
    fn made(&self) -> Result<&native_tls::TlsConnector, Error> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let made = native_tls::TlsConnector::new().map_err(io::Error::other)?;
        Ok(self.made.get_or_init(|| made))
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().ok_or(Error::HostNotFound)?;
        let host = host.trim_matches(['[', ']']);
        let mut below = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        below.set_timeout(details.timeout);
        let stream = self
            .made()?
            .connect(host, below)
            .map_err(|error| match error {
                native_tls::HandshakeError::Failure(error) => failed(error),
                native_tls::HandshakeError::WouldBlock(_) => {
                    Error::Io(io::ErrorKind::WouldBlock.into())
                }
            })?;
        let config = details.config;
        Ok(Some(Either::B(TlsTransport {
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            stream: Mutex::new(stream),
        })))
    }
}

/// Of a handshake that the transport below has ended, why: a time limit, say.
fn failed(error: native_tls::Error) -> Error {
    let below = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<Error>());
    match below {
        Some(Error::Timeout(reason)) => Error::Timeout(*reason),
        _ => Error::Io(io::Error::other(error)),
    }
}

pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    /// For ureq's sake: it is never locked.
    stream: Mutex<TlsStream<TransportAdapter>>,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let stream = self.stream.get_mut();
        stream.get_mut().set_timeout(timeout);
        Ok(stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let stream = self.stream.get_mut();
        stream.get_mut().set_timeout(timeout);
        let read = stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
