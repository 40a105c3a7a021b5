//! A pipe around any stream, with one owner: the loops between calls that wait and an engine that does not.

use std::error;
use std::fmt;
use std::io::{self, Read, Write};
use std::mem;
use std::result;

use greenhub::greenio::OneCall;
use greenhub::wait_queue::checkpoint;

use super::{Certificate, Error, Result};
use crate::ssl::{Progress, SslPipe};

/// Bytes received at first, on the stack: an idle connection owns no larger buffer. If they fill it, the rest goes
/// straight into the engine's own buffer.
const FIRST: usize = 1024;

/// A TLS connection over `S`.
///
/// Its calls wait as those of `S` do: over a green stream a green thread parks, under the stream's own timeouts, which cover
/// each call as a whole. A stream that has no green one below keeps its own limits: one may hold for each reception and
/// each sending that a call takes. Bytes that could not be sent, because a write timed out or the stream is non-blocking, do not
/// block reads: a read first takes what has arrived, and sends the rest if that needs no wait.
///
/// ```
/// use std::io::{Read, Write};
/// use std::time::Duration;
///
/// use green::native_tls::{Certificate, Identity, TlsAcceptor, TlsConnector, TlsStream};
/// use green::net::TcpStream;
///
/// /// Asks, and waits a second for the answer.
/// fn ask(mut stream: TlsStream<TcpStream>) -> std::io::Result<String> {
///     stream.get_ref().set_read_timeout(Some(Duration::from_secs(1)))?;
///     stream.write_all(b"who are you?\n")?;
///     let mut answer = String::new();
///     stream.read_to_string(&mut answer)?;
///     Ok(answer)
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let identity = Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes())?;
/// # let acceptor = TlsAcceptor::new(identity)?;
/// # let listener = green::listen("127.0.0.1:0")?;
/// # let address = listener.local_addr()?;
/// # green::thread::spawn(move || {
/// #     let mut stream = acceptor.accept(listener.accept().unwrap().0).unwrap();
/// #     stream.read(&mut [0; 100]).unwrap();
/// #     stream.write_all(b"localhost").unwrap();
/// #     stream.shutdown().unwrap();
/// # });
/// let connector = TlsConnector::builder()
///     .add_root_certificate(Certificate::from_pem(certificate.as_bytes())?)
///     .build()?;
/// let stream = connector.connect("localhost", TcpStream::connect(address)?)?;
/// assert_eq!(ask(stream)?, "localhost");
/// # Ok(())
/// # }
/// ```
pub struct TlsStream<S> {
    pipe: SslPipe,
    stream: S,
}

/// A handshake that can go on once the stream is ready.
///
/// ```
/// use std::time::Duration;
///
/// use green::native_tls::{HandshakeError, TlsConnector};
/// use green::os::unix::net::UnixStream;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (near, silent) = UnixStream::pair()?;
/// near.set_read_timeout(Some(Duration::from_millis(10)))?;
/// let connector = TlsConnector::new()?;
/// let Err(HandshakeError::WouldBlock(handshake)) = connector.connect("example.org", near) else {
///     panic!("a silent server cannot have shaken hands");
/// };
/// // It can be carried on, here in vain: the server goes.
/// drop(silent);
/// assert!(matches!(handshake.handshake(), Err(HandshakeError::Failure(_))));
/// # Ok(())
/// # }
/// ```
pub struct MidHandshakeTlsStream<S>(Box<TlsStream<S>>);

/// Why a handshake was not completed.
///
/// ```
/// use std::io::{self, ErrorKind, Read, Write};
///
/// use green::native_tls::{HandshakeError, TlsConnector, TlsStream};
/// use green::os::unix::net::UnixStream;
///
/// /// A stream that blocks has time limits alone to stop for.
/// fn connect<S: Read + Write>(name: &str, stream: S) -> io::Result<TlsStream<S>> {
///     let connector = TlsConnector::new().map_err(green::native_tls::Error::into_io)?;
///     connector.connect(name, stream).map_err(|error| match error {
///         HandshakeError::Failure(error) => error.into_io(),
///         HandshakeError::WouldBlock(_) => ErrorKind::TimedOut.into(),
///     })
/// }
///
/// let (near, far) = UnixStream::pair()?;
/// drop(far);
/// assert!(connect("example.org", near).is_err());
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug)]
pub enum HandshakeError<S> {
    /// It failed.
    Failure(Error),
    /// The stream would block; the handshake can go on.
    WouldBlock(MidHandshakeTlsStream<S>),
}

pub(super) fn handshake<S: Read + Write>(
    pipe: io::Result<SslPipe>,
    stream: S,
) -> result::Result<TlsStream<S>, HandshakeError<S>> {
    let pipe = pipe.map_err(|error| HandshakeError::Failure(error.into()))?;
    MidHandshakeTlsStream(Box::new(TlsStream { pipe, stream })).handshake()
}

impl<S> MidHandshakeTlsStream<S> {
    /// The stream underneath.
    pub fn get_ref(&self) -> &S {
        &self.0.stream
    }

    /// The stream underneath.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.0.stream
    }
}

impl<S: Read + Write> MidHandshakeTlsStream<S> {
    /// Goes on with the handshake.
    ///
    /// # Errors
    ///
    /// As [`TlsConnector::connect`](super::TlsConnector::connect).
    pub fn handshake(mut self) -> result::Result<TlsStream<S>, HandshakeError<S>> {
        match self.0.finish_handshake() {
            Ok(()) => Ok(*self.0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(HandshakeError::WouldBlock(self))
            }
            Err(error) => Err(HandshakeError::Failure(error.into())),
        }
    }
}

impl<S> TlsStream<S> {
    /// The stream underneath: what it reads and writes is ciphertext.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream underneath: reading or writing it breaks the connection.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }
}

impl<S: Read + Write> TlsStream<S> {
    /// How many decrypted bytes can be read without asking the stream.
    ///
    /// # Errors
    ///
    /// None.
    pub fn buffered_read_size(&self) -> Result<usize> {
        Ok(self.pipe.pending())
    }

    /// The peer's certificate, if it showed one.
    ///
    /// # Errors
    ///
    /// If the TLS library cannot give it.
    pub fn peer_certificate(&self) -> Result<Option<Certificate>> {
        match self.pipe.peer_certificate()? {
            Some(certificate) => Ok(Some(Certificate::from_der(certificate.der())?)),
            None => Ok(None),
        }
    }

    /// The channel binding `tls-server-end-point` (RFC 5929).
    ///
    /// # Errors
    ///
    /// If the TLS library cannot give it.
    pub fn tls_server_end_point(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.pipe.tls_server_end_point()?)
    }

    /// The application protocol that was agreed on.
    ///
    /// # Errors
    ///
    /// If the TLS library cannot give it.
    pub fn negotiated_alpn(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.pipe.negotiated_alpn()?)
    }

    /// Sends close_notify, once, and does not wait for the peer's. Reading goes on.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub fn shutdown(&mut self) -> io::Result<()> {
        let _call = OneCall::begin();
        self.pipe.shutdown()?;
        self.send()
    }

    fn finish_handshake(&mut self) -> io::Result<()> {
        let _call = OneCall::begin();
        loop {
            match self.pipe.handshake() {
                Ok(Progress::Done(())) => return self.send(),
                Ok(progress) => self.satisfy(progress)?,
                Err(error) => {
                    // The alert that tells the peer.
                    let _ = self.send();
                    return Err(error);
                }
            }
        }
    }

    /// Does what a call wants before it can go on. What the engine has made is sent before the peer is waited for.
    fn satisfy<T>(&mut self, wanted: Progress<T>) -> io::Result<()> {
        self.send()?;
        match wanted {
            Progress::WantRead => {
                checkpoint();
                self.receive()
            }
            Progress::WantWrite | Progress::Done(_) => Ok(()),
        }
    }

    /// Sends what was made, before anything else is done.
    fn send(&mut self) -> io::Result<()> {
        while self.pipe.outgoing() > 0 {
            match self.pipe.drain_to(&mut self.stream) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends what the stream takes now.
    fn send_in_passing(&mut self) {
        let _call = OneCall::in_passing();
        // An error of the stream is the pipe's to answer, to writes.
        let _ = self.send();
    }

    /// Receives at least a byte, or the end, which is the pipe's to answer.
    fn receive(&mut self) -> io::Result<()> {
        if self.pipe.holds_input() {
            // The rest of a record: straight into its place.
            return match self.pipe.feed_from(&mut self.stream) {
                Err(error) if is_transient(&error) => Err(error),
                _ => Ok(()),
            };
        }
        let mut first = [0; FIRST];
        match self.stream.read(&mut first) {
            Ok(0) => self.pipe.feed_eof(),
            Ok(count) => {
                let taken = self.pipe.feed(&first[..count]);
                debug_assert_eq!(taken, count, "an empty pipe has room");
            }
            Err(error) if is_transient(&error) => return Err(error),
            Err(error) => self.pipe.feed_error(error),
        }
        Ok(())
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

impl<S: Read + Write> Read for TlsStream<S> {
    /// Reads decrypted bytes, at most one record. `Ok(0)` is the peer's close_notify.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the stream ended without it; the stream's own; `InvalidData` if the peer broke the protocol.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let _call = OneCall::begin();
        // What an earlier call could not send waits on: the peer may take nothing until it is read from.
        let behind = self.pipe.outgoing() > 0;
        let mut received = false;
        loop {
            match self.pipe.read_in_part(buf) {
                Ok(Some(Progress::WantRead)) => {
                    if behind {
                        self.send_in_passing();
                    } else {
                        // The answer to a renewed handshake: the peer waits for it. That it cannot be told ends no reading.
                        let _ = self.send();
                    }
                    if mem::replace(&mut received, true) {
                        // What came carries nothing, and the stream may have more of it for ever.
                        checkpoint();
                    }
                    self.receive()?;
                }
                // So many answers wait that no more may be made.
                Ok(Some(Progress::WantWrite)) => self.send()?,
                Ok(None) => checkpoint(),
                Ok(Some(Progress::Done(count))) => {
                    self.send_in_passing();
                    return Ok(count);
                }
                // An alert that says why.
                Err(error) => {
                    self.send_in_passing();
                    return Err(error);
                }
            }
        }
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    /// Encrypts and sends up to 48 KiB.
    ///
    /// # Errors
    ///
    /// The stream's own. After `WouldBlock` nothing of `buf` has been taken.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let _call = OneCall::begin();
        // What an earlier call left.
        self.send()?;
        loop {
            match self.pipe.write(buf)? {
                Progress::Done(count) => {
                    return match self.send() {
                        // Taken, and to be sent by the next call or a flush.
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(count),
                        sent => sent.map(|()| count),
                    };
                }
                wanted => self.satisfy(wanted)?,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let _call = OneCall::begin();
        self.send()?;
        self.stream.flush()
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

impl<S: fmt::Debug> fmt::Debug for MidHandshakeTlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<S: fmt::Debug> fmt::Display for HandshakeError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::Failure(error) => error.fmt(f),
            HandshakeError::WouldBlock(_) => f.write_str("the handshake process was interrupted"),
        }
    }
}

impl<S: fmt::Debug> error::Error for HandshakeError<S> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            HandshakeError::Failure(error) => Some(error),
            HandshakeError::WouldBlock(_) => None,
        }
    }
}
