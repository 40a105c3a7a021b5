//! The writing end of a stream.

use std::fmt;
use std::io;

use greenhub::green_thread::panicking;

use super::super::transport::upgrade;
use super::super::{ExtraInfo, Future, TlsOptions, Transport};
use super::reader::StreamReader;
use crate::io::kept_error::KeptError;

/// What writes to a connection, and closes it.
///
/// [`write`](StreamWriter::write) never waits; a [`drain`](StreamWriter::drain) after it keeps the amount that waits to
/// be sent small. Any number of green and OS threads may use one writer at once, through an [`Arc`](std::sync::Arc).
///
/// Dropping it closes the connection as [`close`](StreamWriter::close) does, for the [`StreamReader`] too. If a thread
/// that unwinds drops it, a TLS connection is [aborted](Transport::abort) instead: the peer must not take half an
/// answer for a whole one.
///
/// It is also an [`io::Write`], which drains after each write, so that data copied to it does not pile up.
///
/// # Differences from asyncio
///
/// Errors of `write` are returned, where asyncio drops the data. [`start_tls`](StreamWriter::start_tls) needs the writer for
/// itself.
///
/// # Examples
///
/// See [`open_connection`](super::open_connection).
///
/// ```
/// use std::io::{self, Read};
///
/// use green::asyncio::{ConnectionOptions, open_connection_over};
/// use green::os::unix::net::UnixStream;
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let (_reader, writer) = open_connection_over(ours, ConnectionOptions::new())?;
/// writer.write(b"one, ")?;
/// writer.writelines(&["two, ", "three"])?;
/// writer.drain()?;
/// assert!(writer.can_write_eof() && !writer.is_closing());
/// writer.close();
/// writer.wait_closed()?;
/// assert!(writer.is_closing());
/// let mut heard = String::new();
/// theirs.read_to_string(&mut heard)?;
/// assert_eq!(heard, "one, two, three");
/// # Ok::<(), io::Error>(())
/// ```
pub struct StreamWriter {
    transport: Transport,
    reader: StreamReader,
    closed: Future<Option<KeptError>>,
}

impl StreamWriter {
    pub(super) fn new(
        transport: Transport,
        reader: StreamReader,
        closed: Future<Option<KeptError>>,
    ) -> StreamWriter {
        StreamWriter {
            transport,
            reader,
            closed,
        }
    }

    /// Sends `data`, without waiting: what the kernel does not take at once is kept, however much, and sent later.
    ///
    /// Where [`std::io::Write`] is in scope and the writer is a `&mut StreamWriter`, `writer.write(..)` is that trait's,
    /// which waits as [`drain`](Self::drain) does. There, [`writelines`](Self::writelines) has no such double:
    ///
    /// ```
    /// use std::io::{self, Write};
    ///
    /// use green::asyncio::{ConnectionOptions, StreamWriter, open_connection_over};
    /// use green::os::unix::net::UnixStream;
    ///
    /// fn send(writer: &mut StreamWriter) -> io::Result<()> {
    ///     // More than a socket takes, and it does not wait. Nor does `StreamWriter::write(writer, ..)`.
    ///     writer.writelines(&[vec![7; 32 << 20]])?;
    ///     StreamWriter::write(writer, b"the rest")
    /// }
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let (_reader, mut writer) = open_connection_over(ours, ConnectionOptions::new())?;
    /// send(&mut writer)?;
    /// // Nobody has read.
    /// assert!(writer.transport().get_write_buffer_size() > 0);
    /// let reading = green::thread::spawn(move || io::copy(&mut theirs, &mut io::sink()));
    /// writer.flush()?; // Waits.
    /// drop(writer);
    /// assert_eq!(reading.join().unwrap()?, (32 << 20) + 8);
    /// # Ok::<(), io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What broke the connection; otherwise as [`Transport::write`].
    pub fn write(&self, data: &[u8]) -> io::Result<()> {
        self.explained(self.transport.write(data))
    }

    /// Sends all of `pieces`, one after the other, without waiting.
    ///
    /// # Errors
    ///
    /// As [`write`](StreamWriter::write).
    pub fn writelines(&self, pieces: &[impl AsRef<[u8]>]) -> io::Result<()> {
        self.explained(self.transport.writelines(pieces))
    }

    /// If more than the high mark waits to be sent, waits until it is down to the low mark; otherwise returns at once.
    /// The marks are the [transport's](Transport::set_write_buffer_limits): 16 KiB and 64 KiB unless set.
    ///
    /// # Errors
    ///
    /// What broke the connection; otherwise as [`Transport::drain`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{self, Read};
    ///
    /// use green::asyncio::{ConnectionOptions, open_connection_over};
    /// use green::os::unix::net::UnixStream;
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let (_reader, writer) = open_connection_over(ours, ConnectionOptions::new())?;
    /// let reading = green::thread::spawn(move || theirs.read_to_end(&mut Vec::new()));
    /// for _ in 0..30 {
    ///     writer.write(&[7; 100_000])?;
    ///     writer.drain()?;
    ///     assert!(writer.transport().get_write_buffer_size() <= 64 * 1024);
    /// }
    /// writer.close();
    /// assert_eq!(reading.join().unwrap()?, 3_000_000);
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn drain(&self) -> io::Result<()> {
        if let Some(error) = self.reader.exception() {
            return Err(error);
        }
        self.explained(self.transport.drain())
    }

    /// Ends our direction once everything written has been sent; the peer's goes on.
    ///
    /// # Errors
    ///
    /// As [`Transport::write_eof`]: `Unsupported` over TLS.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    ///
    /// use green::asyncio::{ConnectionOptions, ServerOptions, open_connection, start_server};
    ///
    /// let echo = |reader: green::asyncio::StreamReader, writer: green::asyncio::StreamWriter| {
    ///     writer.write(&reader.read_to_eof()?)
    /// };
    /// let server = start_server(echo, "127.0.0.1:0", ServerOptions::new())?;
    /// let (reader, writer) = open_connection(server.local_addr()?, ConnectionOptions::new())?;
    /// writer.write(b"all of it")?;
    /// writer.write_eof()?;
    /// assert_eq!(writer.write(b"!").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    /// assert_eq!(reader.read_to_eof()?, b"all of it");
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn write_eof(&self) -> io::Result<()> {
        self.explained(self.transport.write_eof())
    }

    /// Whether one direction can be ended alone: false over TLS.
    pub fn can_write_eof(&self) -> bool {
        self.transport.can_write_eof()
    }

    /// Begins to close the connection: what was written is still sent. Returns at once; see
    /// [`wait_closed`](StreamWriter::wait_closed). A second call does nothing.
    pub fn close(&self) {
        self.transport.close();
    }

    /// Whether the connection is closed, or about to be, for whatever reason.
    pub fn is_closing(&self) -> bool {
        self.transport.is_closing()
    }

    /// Waits until the connection is closed and what was written has been sent.
    ///
    /// # Errors
    ///
    /// What broke the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    ///
    /// use green::asyncio::{ConnectionOptions, open_connection_over};
    /// use green::os::unix::net::UnixStream;
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let (_reader, writer) = open_connection_over(ours, ConnectionOptions::new())?;
    /// writer.write(b"never read")?;
    /// drop(theirs);
    /// let error = writer.wait_closed().unwrap_err();
    /// assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn wait_closed(&self) -> io::Result<()> {
        self.closed.wait_done(None);
        match self.closed.get() {
            Ok(Some(failure)) => Err(failure.error()),
            _ => Ok(()),
        }
    }

    /// Speaks TLS from here on: sends what was written before in the clear, and does the handshake.
    ///
    /// What has come and was not read counts as part of the handshake, so everything that the peer sent in the clear
    /// must have been read before.
    ///
    /// # Errors
    ///
    /// As [`start_tls`](super::super::start_tls()).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::{
    ///     ConnectionOptions, ServerOptions, StreamReader, StreamWriter, TlsOptions, open_connection,
    ///     start_server,
    /// };
    /// use green::ssl::{Purpose, SslContext, VerifyLocation};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// let theirs = SslContext::new(Purpose::ClientAuth)?;
    /// theirs.load_cert_chain_bytes(cert.as_bytes(), key.as_bytes(), None)?;
    /// let handler = move |reader: StreamReader, mut writer: StreamWriter| {
    ///     assert_eq!(reader.readline()?, b"STARTTLS\n");
    ///     writer.write(b"go ahead\n")?;
    ///     writer.start_tls(&TlsOptions::server(&theirs))?;
    ///     writer.write(&reader.readline()?)
    /// };
    /// let server = start_server(handler, "127.0.0.1:0", ServerOptions::new())?;
    ///
    /// let (reader, mut writer) = open_connection(server.local_addr()?, ConnectionOptions::new())?;
    /// writer.write(b"STARTTLS\n")?;
    /// assert_eq!(reader.readline()?, b"go ahead\n");
    /// let ours = SslContext::new(Purpose::ServerAuth)?;
    /// ours.load_verify_locations(VerifyLocation::Bytes(cert.as_bytes()))?;
    /// writer.start_tls(&TlsOptions::client(&ours, "localhost"))?;
    /// assert!(!writer.can_write_eof());
    /// writer.write(b"in secret\n")?;
    /// assert_eq!(reader.readline()?, b"in secret\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_tls(&mut self, options: &TlsOptions) -> io::Result<()> {
        self.transport = upgrade(&self.transport, options, || self.reader.take_all())?;
        self.reader.set_source(Box::new(self.transport.clone()));
        Ok(())
    }

    /// Addresses, the socket, and what was agreed on for TLS.
    pub fn get_extra_info(&self) -> &ExtraInfo {
        self.transport.get_extra_info()
    }

    /// The connection's transport.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Says why the connection is closing, if something broke it.
    fn explained(&self, outcome: io::Result<()>) -> io::Result<()> {
        outcome.map_err(|error| self.reader.exception().unwrap_or(error))
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        // Over TLS an orderly end says that nothing is missing.
        if panicking() && !self.can_write_eof() {
            self.transport.abort();
        }
        self.close();
    }
}

impl io::Write for &StreamWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        StreamWriter::write(self, buf)?;
        self.drain()?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.drain()
    }
}

impl io::Write for StreamWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut &*self, buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.drain()
    }
}

impl fmt::Debug for StreamWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamWriter")
            .field("transport", &self.transport)
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}
