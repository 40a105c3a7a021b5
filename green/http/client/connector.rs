//! ureq's connections over green sockets, and a resolver that does not block the hub.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use greenhub::Deadline;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle,
    Transport,
};

use crate::net::{Shutdown, TcpStream, ToSocketAddrs};

/// Connects green TCP streams, unless a proxy's connector has.
#[derive(Debug)]
pub(super) struct GreenConnector;

impl<In: Transport> Connector<In> for GreenConnector {
    type Out = Either<In, GreenTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(connected) = chained {
            return Ok(Some(Either::A(connected)));
        }
        let deadline = Deadline::within(limit(&details.timeout));
        let mut failed = Error::HostNotFound;
        for address in &details.addrs {
            let connected = match deadline.remaining() {
                None => TcpStream::connect(address),
                // Zero is refused as an argument; the least there is times out all the same.
                Some(left) => {
                    TcpStream::connect_timeout(address, left.max(Duration::from_nanos(1)))
                }
            };
            match connected {
                Ok(stream) => {
                    let transport = GreenTransport::new(stream, details)?;
                    return Ok(Some(Either::B(transport)));
                }
                Err(error) => failed = told(error, &details.timeout),
            }
        }
        Err(failed)
    }
}

/// A connection of ureq's.
#[derive(Debug)]
pub(super) struct GreenTransport {
    stream: Arc<Connection>,
    buffers: LazyBuffers,
}

#[derive(Debug)]
struct Connection(TcpStream);

impl ShutdownHandle for Connection {
    fn shutdown(&self) {
        // It may have ended by itself.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl GreenTransport {
    fn new(stream: TcpStream, details: &ConnectionDetails<'_>) -> Result<GreenTransport, Error> {
        let config = details.config;
        stream.set_nodelay(config.no_delay())?;
        let stream = Arc::new(Connection(stream));
        let shared: Arc<dyn ShutdownHandle> = stream.clone();
        (details.register_shutdown)(Arc::downgrade(&shared))?;
        Ok(GreenTransport {
            stream,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        })
    }
}

impl Transport for GreenTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        let mut stream = &self.stream.0;
        // No system call: a green stream keeps its time limits itself.
        stream.set_write_timeout(limit(&timeout))?;
        let output = &self.buffers.output()[..amount];
        stream
            .write_all(output)
            .map_err(|error| told(error, &timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        let mut stream = &self.stream.0;
        stream.set_read_timeout(limit(&timeout))?;
        let read = stream.read(self.buffers.input_append_buf());
        let read = read.map_err(|error| told(error, &timeout))?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    /// A connection kept for later must be silent: data, an end or an error makes it useless.
    fn is_open(&mut self) -> bool {
        let stream = &self.stream.0;
        // ureq holds the lock of its pool meanwhile, which blocks OS threads: nobody else may run on the hub.
        greenhub::without_waiting("a kept connection is looked at under ureq's lock", || {
            let silent = stream.set_nonblocking(true).is_ok()
                && stream
                    .peek(&mut [0])
                    .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
            silent && stream.set_nonblocking(false).is_ok()
        })
    }
}

/// What ureq's array of addresses holds.
const MOST_ADDRESSES: usize = 16;

/// Looks names up on the blocking pool.
#[derive(Debug)]
pub(super) struct GreenResolver;

impl Resolver for GreenResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let usual = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(usual);
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(address) => vec![(address, port).into()],
            Err(_) => {
                let look_up = || {
                    (host.as_str(), port)
                        .to_socket_addrs()
                        .map(Iterator::collect)
                };
                match limit(&timeout) {
                    None => look_up()?,
                    Some(limit) => crate::timeout(limit, look_up)
                        .map_err(|_| Error::Timeout(timeout.reason))??,
                }
            }
        };
        let mut addresses = self.empty();
        found
            .into_iter()
            .take(MOST_ADDRESSES)
            .for_each(|address| addresses.push(address));
        if addresses.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(addresses)
    }
}

/// The time limit of a call: `None` for none, and never zero, which std's sockets refuse.
fn limit(timeout: &NextTimeout) -> Option<Duration> {
    timeout.not_zero().map(|limit| *limit)
}

/// A socket's error as ureq tells it.
fn told(error: io::Error, timeout: &NextTimeout) -> Error {
    if crate::is_timeout(&error) {
        Error::Timeout(timeout.reason)
    } else {
        Error::Io(error)
    }
}
