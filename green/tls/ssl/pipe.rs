//! TLS without I/O: plaintext at one end, ciphertext at the other, and calls that never wait.
//!
//! An [`SslPipe`] holds a TLS engine between two buffers of ciphertext. Whoever owns the transport feeds it what
//! arrived and takes from it what must be sent; nothing in here knows what a socket is, so a pipe works over anything
//! that keeps bytes in order.
//!
//! ```text
//!                    feed, feed_from, feed_eof, feed_error
//!   transport  ───────────────────────────────────────────▶ incoming ─┐
//!                                                                   engine ◀─▶ handshake, read, write, shutdown
//!   transport  ◀─────────────────────────────────────────── outgoing ─┘
//!                                drain_to
//! ```
//!
//! # States
//!
//! | state | entered by | `handshake` | `read`, `write` | `shutdown` |
//! |---|---|---|---|---|
//! | unwrapped | creation | begins | `NotConnected` | `NotConnected` |
//! | handshaking | the first `handshake` | goes on | `NotConnected` | `NotConnected` |
//! | wrapped | a `handshake` that is `Done` | `Done` | yes | sends close_notify |
//! | shut down | `shutdown` | `Done` | reads on; writes are `BrokenPipe` | `Done` again, sends nothing |
//!
//! # Answers
//!
//! A call that cannot finish says what it needs: [`Progress::WantRead`], more ciphertext from the peer;
//! [`Progress::WantWrite`], room in `outgoing`. After every call, even one that failed, `outgoing` may hold bytes that
//! must be sent: a read can answer a key update, a failed handshake leaves an alert. So the loop around every call is:
//! call; drain as much of `outgoing` as the transport takes; if the call wanted to read, feed, whether or not all could
//! be drained. A reader that first waited until the rest is sent could wait for ever, since the peer may be waiting
//! until it is read from. The same loop serves a `write` that wants to read: in TLS 1.2 the peer may begin a new
//! handshake.
//!
//! ```
//! use std::io::{self, Read, Write};
//! use green::ssl::{Progress, Purpose, SslContext, SslPipe, VerifyLocation};
//!
//! /// Sends until nothing is left, or the transport takes no more: non-blocking, or its time limit has passed.
//! fn drain(pipe: &mut SslPipe, transport: &mut impl Write) -> io::Result<()> {
//!     loop {
//!         match pipe.drain_to(transport) {
//!             Ok(0) => return Ok(()),
//!             Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
//!             _ => {}
//!         }
//!     }
//! }
//!
//! /// Finishes one call on a pipe over a transport.
//! fn finish<T>(
//!     pipe: &mut SslPipe,
//!     transport: &mut (impl Read + Write),
//!     mut call: impl FnMut(&mut SslPipe) -> io::Result<Progress<T>>,
//! ) -> io::Result<T> {
//!     loop {
//!         let progress = call(pipe);
//!         let sent = drain(pipe, transport);
//!         // What the call met says more than a peer that takes nothing, or is gone already.
//!         match progress? {
//!             Progress::Done(value) => return Ok(value),
//!             Progress::WantRead => match pipe.feed_from(transport) {
//!                 Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
//!                 fed => drop(fed?),
//!             },
//!             Progress::WantWrite => sent?,
//!         }
//!     }
//! }
//!
//! # use std::os::unix::net::UnixStream;
//! # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
//! # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
//! # let (mut near, mut far) = UnixStream::pair()?;
//! # let server = SslContext::new(Purpose::ClientAuth)?;
//! # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
//! # let served = std::thread::spawn(move || -> io::Result<()> {
//! #     let mut pipe = server.pipe(None)?;
//! #     finish(&mut pipe, &mut far, SslPipe::handshake)?;
//! #     let mut question = [0; 16];
//! #     let count = finish(&mut pipe, &mut far, |pipe| pipe.read(&mut question))?;
//! #     finish(&mut pipe, &mut far, |pipe| pipe.write(&question[..count]))?;
//! #     Ok(())
//! # });
//! let context = SslContext::new(Purpose::ServerAuth)?;
//! context.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
//! let mut pipe = context.pipe(Some("localhost"))?;
//! finish(&mut pipe, &mut near, SslPipe::handshake)?;
//! finish(&mut pipe, &mut near, |pipe| pipe.write(b"echo"))?;
//! let mut answer = [0; 16];
//! let count = finish(&mut pipe, &mut near, |pipe| pipe.read(&mut answer))?;
//! assert_eq!(&answer[..count], b"echo");
//! # served.join().unwrap()?;
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # Ends
//!
//! The first end of a direction is recorded, and every later call returns it again, once what was decrypted before it
//! has been read. close_notify is `Done(0)`. A transport that ends without one is `UnexpectedEof`, since data may be
//! missing. A reset or any other error given to [`feed_error`](SslPipe::feed_error) keeps its kind and code. A TLS
//! failure is `InvalidData` with an [`SslError`] inside, in both directions. The end of one direction is not the end of
//! the other: after the peer's close_notify, or its FIN, writes still work.
//!
//! # Bounds
//!
//! `incoming` takes 65 KiB, four records; `feed` takes no more until a read has used it. A write stops at three
//! records in `outgoing`; a read, whose answers to key updates may add to them, at twice that.
//! Anything beyond that waits in the transport, or with the peer.

use std::fmt;
use std::io::{self, Read, Write};

use greenhub::greenio::GreenSocket;
use greenhub::on_os_thread;

use super::end::End;
use super::engine::bio::{Bio, is_for_now};
use super::engine::{Engine, Factory};
use super::error::SslError;
pub use super::progress::Progress;
use super::record::{self, OUTGOING_MARK, READS_AT_ONCE};
use super::session::SslSession;
use crate::io::kept_error::KeptError;

mod agreed;
#[cfg(test)]
mod tests;

/// Where reads stop adding answers to an `outgoing` that nobody empties.
const OUTGOING_LIMIT: usize = 2 * OUTGOING_MARK;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unwrapped,
    Handshaking,
    Wrapped,
    ShutDown,
}

/// A TLS connection without a transport. The [module](self) says how it is used.
///
/// Made by [`SslContext::pipe`](super::SslContext::pipe).
///
/// # Examples
///
/// ```
/// use green::ssl::{Progress, Purpose, SslContext};
///
/// let context = SslContext::create_default_context(Purpose::ServerAuth)?;
/// let mut pipe = context.pipe(Some("example.org"))?;
/// assert_eq!(pipe.handshake()?, Progress::WantRead);
///
/// // A whole flight of the handshake leaves at once.
/// let mut flight = Vec::new();
/// pipe.drain_to(&mut flight)?;
/// assert_eq!(flight[..2], [22, 3]);
///
/// // The peer goes away instead of answering.
/// pipe.feed_eof();
/// assert_eq!(pipe.handshake().unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct SslPipe {
    engine: Box<dyn Engine>,
    bio: Bio,
    state: State,
    server_side: bool,
    /// How reading ended. With `writing`, the whole of what later calls answer once a direction is over.
    reading: Option<End>,
    writing: Option<End>,
    /// Whether the transport's end is our own doing.
    shut_for_reading: bool,
    /// Plaintext decrypted by [`look_ahead`](Self::look_ahead), before anybody asked for it.
    early: Vec<u8>,
}

impl SslPipe {
    /// A new connection under a context in its engine's form.
    pub(crate) fn new(
        factory: &dyn Factory,
        server_side: bool,
        server_name: Option<&str>,
        session: Option<&SslSession>,
    ) -> io::Result<Self> {
        let bio = Bio::default();
        let engine = on_os_thread(|| factory.engine(server_name, session, bio.clone()))?;
        Ok(Self {
            engine,
            bio,
            state: State::Unwrapped,
            server_side,
            reading: None,
            writing: None,
            shut_for_reading: false,
            early: Vec::new(),
        })
    }

    /// Takes ciphertext that arrived from the peer, as much as there is room for, and returns how much that was.
    ///
    /// Nothing is taken after an end was fed.
    pub fn feed(&mut self, ciphertext: &[u8]) -> usize {
        let mut wire = self.bio.wire();
        let taken = ciphertext.len().min(wire.room());
        if taken > 0 {
            wire.incoming.space(taken)[..taken].copy_from_slice(&ciphertext[..taken]);
            wire.arrived(taken);
        }
        taken
    }

    /// Takes ciphertext by one `read` of `source`, straight into the buffer, and returns how much that was.
    ///
    /// The buffer is borrowed from the pool for the length of the call, and kept only when something arrived. `Ok(0)` from the source is its end, as by [`feed_eof`](Self::feed_eof).
    /// If there is no room, the source is not read and the result is `Ok(0)` too; read plaintext first.
    ///
    /// # Errors
    ///
    /// The source's own. Kinds other than `WouldBlock` and `Interrupted` are recorded, as by [`feed_error`](Self::feed_error).
    pub fn feed_from(&mut self, source: &mut (impl Read + ?Sized)) -> io::Result<usize> {
        let room = self.bio.wire().room();
        if room == 0 {
            return Ok(0);
        }
        let mut incoming = self.bio.lend(|wire| &mut wire.incoming);
        let result = source.read(&mut incoming.queue.space(room)[..room]);
        drop(incoming);
        self.bio.wire().arrived(*result.as_ref().unwrap_or(&0));
        match result {
            Ok(count) => {
                if count == 0 {
                    self.feed_eof();
                }
                Ok(count)
            }
            Err(error) => {
                let end = lasting(error)?;
                self.end_transport(end.clone());
                Err(end.error())
            }
        }
    }

    /// Records that the transport has ended: nothing follows what was fed.
    ///
    /// Unless a close_notify was among it, reads end with `UnexpectedEof`. Writes still work.
    pub fn feed_eof(&mut self) {
        let end = match self.shut_for_reading {
            true => End::ShutRead,
            false => End::Eof,
        };
        self.bio.wire().end.get_or_insert(end);
    }

    /// Says that the transport's end, unless it has come already, is our own doing: reads end with `Done(0)` then.
    pub(super) fn shut_for_reading(&mut self) {
        self.shut_for_reading = true;
    }

    /// Records that the transport has failed, for reads after what was fed, and for writes at once.
    ///
    /// `WouldBlock` and `Interrupted` are no failures and are not recorded. Only the first end counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Error, ErrorKind};
    ///
    /// use green::ssl::{Purpose, SslContext};
    ///
    /// let context = SslContext::create_default_context(Purpose::ServerAuth)?;
    /// let mut pipe = context.pipe(Some("example.org"))?;
    /// pipe.feed_error(ErrorKind::ConnectionReset.into());
    /// // For ever the same, whatever the transport says later.
    /// pipe.feed_eof();
    /// for _ in 0..2 {
    ///     assert_eq!(pipe.handshake().unwrap_err().kind(), ErrorKind::ConnectionReset);
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    pub fn feed_error(&mut self, error: io::Error) {
        if let Ok(end) = lasting(error) {
            self.end_transport(end);
        }
    }

    /// Gives waiting ciphertext to `sink` by one `write`, and returns how much it took.
    ///
    /// `Ok(0)` when nothing waits. What the sink did not take stays, in order, so a sender that gives up
    /// loses nothing, and it does not matter which of several senders comes next.
    ///
    /// # Errors
    ///
    /// The sink's own. Kinds other than `WouldBlock` and `Interrupted` are recorded: later writes return the same
    /// error, waiting ciphertext is dropped, and reads go on.
    pub fn drain_to(&mut self, sink: &mut (impl Write + ?Sized)) -> io::Result<usize> {
        let mut outgoing = self.bio.lend(|wire| &mut wire.outgoing);
        if outgoing.queue.is_empty() {
            return Ok(0);
        }
        let failed = self.bio.wire().straight_failed.take();
        let written = failed.map_or_else(|| sink.write(outgoing.queue.as_slice()), Err);
        match written {
            Ok(count) => {
                outgoing.queue.consume(count);
                drop(outgoing);
                self.bio.wire().taken += count as u64;
                Ok(count)
            }
            Err(error) => {
                drop(outgoing);
                let end = lasting(error)?;
                self.end_writing(end.clone());
                Err(end.error())
            }
        }
    }

    /// How many bytes of ciphertext wait to be drained.
    pub fn outgoing(&self) -> usize {
        self.bio.wire().outgoing.len()
    }

    /// How many bytes of ciphertext were ever made. Once [`drained`](Self::drained) has reached the value seen
    /// after a write, that write has left.
    pub fn produced(&self) -> u64 {
        self.bio.wire().produced
    }

    /// How many bytes of ciphertext were ever drained, or dropped since nobody could take them.
    pub fn drained(&self) -> u64 {
        self.bio.wire().taken
    }

    /// How many bytes [`feed`](Self::feed) would take: none once the end was fed.
    pub fn room(&self) -> usize {
        self.bio.wire().room()
    }

    /// Whether ciphertext has been fed that the engine has not taken yet: part of a record, as a rule.
    pub(crate) fn holds_input(&self) -> bool {
        !self.bio.wire().incoming.is_empty()
    }

    /// How many bytes of ciphertext were ever fed. A call that wants to read may do more once this has grown,
    /// whoever fed them.
    pub fn fed(&self) -> u64 {
        self.bio.wire().fed
    }

    /// Begins the handshake, or carries it on with what was fed.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the transport ended, its own error when it failed, `InvalidData` with an
    /// [`SslError`] that names the cause when the two ends could not agree. Every later call returns the same error. An
    /// alert that tells the peer waits in `outgoing`.
    pub fn handshake(&mut self) -> io::Result<Progress<()>> {
        match self.state {
            State::Wrapped | State::ShutDown => return Ok(Progress::Done(())),
            State::Unwrapped => self.state = State::Handshaking,
            State::Handshaking => {}
        }
        if let Some(end) = &self.reading {
            return Err(end.error());
        }
        if self.outgoing() >= OUTGOING_LIMIT {
            return Ok(Progress::WantWrite);
        }
        let result = on_os_thread(|| self.engine.handshake());
        match result {
            Ok(Progress::Done(())) => {
                self.state = State::Wrapped;
                Ok(Progress::Done(()))
            }
            Ok(wanted) => Ok(wanted),
            Err(error) => {
                let end = self.fail(error);
                // Without a handshake there is nothing to write either.
                self.writing.get_or_insert_with(|| end.clone());
                Err(end.error())
            }
        }
    }

    /// Decrypts into `plaintext`, at most one record. `Done(0)` is the clean end, the peer's close_notify
    /// (or an empty `plaintext`).
    ///
    /// # Errors
    ///
    /// `NotConnected` before the handshake is done; the recorded end of reading.
    pub fn read(&mut self, plaintext: &mut [u8]) -> io::Result<Progress<usize>> {
        loop {
            if let Some(progress) = self.read_in_part(plaintext)? {
                return Ok(progress);
            }
        }
    }

    /// As [`read`](Self::read), but it ends after a few records that carry nothing: `None`, if more was fed. A peer may
    /// send such records without end, and they cost more than others.
    pub(crate) fn read_in_part(
        &mut self,
        plaintext: &mut [u8],
    ) -> io::Result<Option<Progress<usize>>> {
        self.require_handshake()?;
        if !self.early.is_empty() {
            let count = self.early.len().min(plaintext.len());
            plaintext[..count].copy_from_slice(&self.early[..count]);
            self.early.drain(..count);
            return Ok(Some(Progress::Done(count)));
        }
        self.decrypt(plaintext)
    }

    /// Decrypts what was fed and keeps it for later reads, to find out whether a fatal alert is behind it: for
    /// somebody who cannot write any more and wants to know why.
    pub(super) fn look_ahead(&mut self) -> Option<io::Error> {
        if self.reading.is_none() && self.is_handshaken() {
            let mut record = vec![0; record::PLAINTEXT];
            loop {
                match self.decrypt(&mut record) {
                    Ok(Some(Progress::Done(count @ 1..))) => {
                        self.early.extend_from_slice(&record[..count]);
                    }
                    // Records that carry nothing. They were fed, so there is an end of them.
                    Ok(None) => {}
                    _ => break,
                }
            }
        }
        match &self.reading {
            Some(end @ End::Ssl(_)) => Some(end.error()),
            _ => None,
        }
    }

    fn decrypt(&mut self, plaintext: &mut [u8]) -> io::Result<Option<Progress<usize>>> {
        match &self.reading {
            Some(End::CloseNotify | End::ShutRead) => return Ok(Some(Progress::Done(0))),
            Some(end) => return Err(end.error()),
            None => {}
        }
        if plaintext.is_empty() {
            return Ok(Some(Progress::Done(0)));
        }
        if self.outgoing() >= OUTGOING_LIMIT {
            return Ok(Some(Progress::WantWrite));
        }
        self.bio.wire().allow_reads(READS_AT_ONCE);
        let read = on_os_thread(|| self.engine.read(plaintext));
        let held_back = self.bio.wire().was_held_back();
        match read {
            Ok(Progress::Done(0)) => {
                self.reading = Some(End::CloseNotify);
                Ok(Some(Progress::Done(0)))
            }
            Ok(Progress::WantRead) if held_back => Ok(None),
            Ok(progress) => Ok(Some(progress)),
            Err(error) => match self.fail(error) {
                End::ShutRead => Ok(Some(Progress::Done(0))),
                end => Err(end.error()),
            },
        }
    }

    /// Encrypts from `plaintext` until it is used up or `outgoing` is full, and returns how many bytes were taken.
    ///
    /// `Done` with fewer bytes than given means: drain, and go on with the rest. The bytes taken now belong to the
    /// pipe: do not write them again; the next call may bring any others.
    ///
    /// # Errors
    ///
    /// `NotConnected` before the handshake is done; the recorded end of writing; `BrokenPipe` after [`shutdown`](Self::shutdown).
    pub fn write(&mut self, plaintext: &[u8]) -> io::Result<Progress<usize>> {
        self.require_handshake()?;
        if let Some(end) = &self.writing {
            return Err(end.error());
        }
        let room = OUTGOING_MARK.saturating_sub(self.outgoing());
        self.bio
            .wire()
            .outgoing
            .reserve(ciphertext_bound(plaintext.len()).min(room));
        let result = self.write_records(plaintext);
        // Storage reserved for a record that did not come is given back.
        self.bio.wire().outgoing.commit(0);
        result
    }

    /// As [`write`](Self::write), but what fits into one record leaves straight from the engine's own memory, as far as
    /// `socket` takes it without a wait: no copy of it is made. Of more than that, records leave together.
    pub(super) fn write_straight(
        &mut self,
        plaintext: &[u8],
        socket: &GreenSocket,
    ) -> io::Result<Progress<usize>> {
        if plaintext.len() > record::PLAINTEXT || self.outgoing() > 0 || self.writing.is_some() {
            return self.write(plaintext);
        }
        self.require_handshake()?;
        self.bio.wire().straight = socket.try_clone().ok();
        let result = self.write_records(plaintext);
        self.bio.wire().straight = None;
        result
    }

    fn write_records(&mut self, plaintext: &[u8]) -> io::Result<Progress<usize>> {
        let mut done = 0;
        while done < plaintext.len() {
            let record = &plaintext[done..(done + record::PLAINTEXT).min(plaintext.len())];
            let wanted = if self.outgoing() + record.len() + record::OVERHEAD > OUTGOING_MARK {
                Progress::WantWrite
            } else {
                match on_os_thread(|| self.engine.write(record)) {
                    Ok(Progress::Done(count)) => {
                        done += count;
                        continue;
                    }
                    Ok(wanted) => wanted,
                    // What was encrypted before the failure has been taken; the next call answers it.
                    Err(error) if done > 0 => {
                        self.fail(error);
                        break;
                    }
                    Err(error) => return Err(self.fail(error).error()),
                }
            };
            return Ok(if done > 0 {
                Progress::Done(done)
            } else {
                wanted
            });
        }
        Ok(Progress::Done(done))
    }

    /// Ends our direction: close_notify is put in `outgoing`, and nothing can be written after it. Reading goes on.
    ///
    /// A second call sends nothing. Neither does a call on a connection whose writing is already over, so that closing
    /// does not fail because the connection has failed before.
    ///
    /// # Errors
    ///
    /// `NotConnected` before the handshake is done, `InvalidData` in the middle of a renewed one.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.require_handshake()?;
        self.state = State::ShutDown;
        if self.writing.is_some() {
            return Ok(());
        }
        self.writing = Some(End::ShutDown);
        Ok(on_os_thread(|| self.engine.shutdown())?)
    }

    /// Returns what arrived after the peer's close_notify: bytes of whatever protocol follows TLS on the connection.
    ///
    /// # Errors
    ///
    /// `InvalidInput` unless a read has met the close_notify, since until then the bytes are TLS's own.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    ///
    /// use green::ssl::{Progress, Purpose, SslContext, SslPipe, VerifyLocation};
    ///
    /// /// Carries all that waits in one pipe to another.
    /// fn carry(from: &mut SslPipe, to: &mut SslPipe) -> io::Result<()> {
    ///     let mut ciphertext = Vec::new();
    ///     while from.drain_to(&mut ciphertext)? > 0 {}
    ///     assert_eq!(to.feed(&ciphertext), ciphertext.len());
    ///     Ok(())
    /// }
    ///
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let server = SslContext::create_default_context(Purpose::ClientAuth)?;
    /// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
    /// # let client = SslContext::new(Purpose::ServerAuth)?;
    /// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
    /// let (mut near, mut far) = (client.pipe(Some("localhost"))?, server.pipe(None)?);
    /// while near.handshake()? != Progress::Done(()) || far.handshake()? != Progress::Done(()) {
    ///     carry(&mut near, &mut far)?;
    ///     far.handshake()?;
    ///     carry(&mut far, &mut near)?;
    /// }
    ///
    /// // The far end says goodbye, and goes on in the clear.
    /// far.shutdown()?;
    /// carry(&mut far, &mut near)?;
    /// near.feed(b"250 plain again\r\n");
    /// assert_eq!(near.read(&mut [0; 16])?, Progress::Done(0));
    /// assert!(near.peer_closed_cleanly());
    /// assert_eq!(near.take_unread()?, b"250 plain again\r\n");
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn take_unread(&mut self) -> io::Result<Vec<u8>> {
        if !self.peer_closed_cleanly() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the peer has not ended the TLS session",
            ));
        }
        let mut wire = self.bio.wire();
        let unread = wire.incoming.as_slice().to_vec();
        wire.incoming.consume(unread.len());
        Ok(unread)
    }

    /// Whether reading has ended with the peer's close_notify, so that nothing is missing.
    pub fn peer_closed_cleanly(&self) -> bool {
        matches!(self.reading, Some(End::CloseNotify))
    }

    /// Whether the connection broke in either direction; not by a `ragged` end of the peer's, if that is none.
    pub(super) fn has_failed(&self, ragged: bool) -> bool {
        let reading = match &self.reading {
            None | Some(End::CloseNotify | End::ShutRead) => false,
            Some(End::Eof) => !ragged,
            Some(_) => true,
        };
        reading || !matches!(self.writing, None | Some(End::ShutDown))
    }

    /// Whether this is the server's end.
    pub fn server_side(&self) -> bool {
        self.server_side
    }

    /// Whether the handshake is done.
    pub fn is_handshaken(&self) -> bool {
        matches!(self.state, State::Wrapped | State::ShutDown)
    }

    /// How many decrypted bytes wait in the engine. Zero does not mean that a read must wait: records may have been fed.
    pub fn pending(&self) -> usize {
        if self.is_handshaken() {
            self.early.len() + self.engine.pending()
        } else {
            0
        }
    }

    fn require_handshake(&self) -> io::Result<()> {
        match (&self.reading, self.is_handshaken()) {
            (_, true) => Ok(()),
            (Some(end), false) => Err(end.error()),
            (None, false) => Err(io::Error::new(
                io::ErrorKind::NotConnected,
                "the TLS handshake is not done",
            )),
        }
    }

    /// Records why the engine failed: the transport's end if that is what it met, otherwise its own reason,
    /// which ends both directions.
    fn fail(&mut self, error: SslError) -> End {
        let wire = self.bio.wire();
        let end = match &wire.end {
            Some(end) if wire.end_reported => end.clone(),
            _ if !self.is_handshaken() && wire.opened_without_tls() => End::Ssl(error.not_tls()),
            _ if !self.server_side && !self.is_handshaken() && wire.opened_as_client() => {
                End::Ssl(error.by_a_client())
            }
            _ => End::Ssl(error),
        };
        drop(wire);
        // The peer's alert tells more than the broken pipe that it left behind.
        if matches!(end, End::Ssl(_)) && matches!(self.writing, None | Some(End::Transport(_))) {
            self.writing = Some(end.clone());
        }
        self.reading.get_or_insert(end).clone()
    }

    fn end_transport(&mut self, end: End) {
        self.bio.wire().end.get_or_insert_with(|| end.clone());
        self.end_writing(end);
    }

    /// Records that nothing can be sent any more. What the engine still writes is dropped.
    fn end_writing(&mut self, end: End) {
        self.writing.get_or_insert(end);
        let mut wire = self.bio.wire();
        wire.discarding = true;
        wire.taken = wire.produced;
        let waiting = wire.outgoing.len();
        wire.outgoing.consume(waiting);
    }
}

impl fmt::Debug for SslPipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = self.bio.wire();
        f.debug_struct("SslPipe")
            .field("server_side", &self.server_side)
            .field("state", &self.state)
            .field("incoming", &wire.incoming.len())
            .field("outgoing", &wire.outgoing.len())
            .field("reading", &self.reading)
            .field("writing", &self.writing)
            .finish_non_exhaustive()
    }
}

/// The most ciphertext that `plaintext` bytes become.
fn ciphertext_bound(plaintext: usize) -> usize {
    plaintext + plaintext.div_ceil(record::PLAINTEXT) * record::OVERHEAD
}

/// The end in a transport's error, or the error itself where it says no more than "not now".
fn lasting(error: io::Error) -> io::Result<End> {
    match is_for_now(&error) {
        true => Err(error),
        false => Ok(End::Transport(KeptError::new(error))),
    }
}
