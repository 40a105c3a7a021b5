//! A pipe around a green socket: the loops that move ciphertext, each way under a right of its own.
//!
//! The pipe is behind a lock that is held while the engine works or the kernel copies, never while anybody is
//! parked. Two rights, handed out first come, first served, keep order:
//!
//! - *reading*: one reader at a time feeds and decrypts, so a reader never sleeps on the descriptor while a
//!   record that another one fed lies decrypted;
//! - *sending*: one sender at a time drains `outgoing`, so ciphertext leaves in the order it was made.
//!
//! A reader may leave bytes to send (answers to a key update or a renegotiation). It sends them in passing, if
//! that needs no wait; if a writer has the right, the writer drains them too; if the socket is full, the reader
//! waits for either direction, since the peer may be waiting in both as well.
//!
//! A thread that is killed, or whose block runs out of time, gives its rights back as it unwinds.

use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::green_thread::panicking;
use greenhub::greenio::{GreenSocket, NonBlocking};
use greenhub::semaphore::Semaphore;
use greenhub::source::Direction;
use greenhub::wait_queue::{ShortLock, WaitQueue, Wake, give_way};

use super::TlsVersion;
use super::patience::{Patience, check, over};
use super::pipe::SslPipe;
use super::progress::Progress;
use crate::net::parting;

pub(super) struct Duplex {
    pub(super) socket: GreenSocket,
    pub(super) pipe: ShortLock<SslPipe>,
    reading: Semaphore,
    sending: Semaphore,
    /// Whether the handshake is done: a look without the lock.
    handshaken: AtomicBool,
    /// Set when a write was cut short on its way out: what the peer has of it is unknown.
    torn: AtomicBool,
    /// Set when a call that must not wait found a right taken. The kernel has no event for a right that is free again,
    /// so whoever gives it back nudges the source.
    missed: AtomicBool,
    /// Writers that need the peer's answer (TLS 1.2 renegotiation) while a reader has the right to receive it.
    fed: WaitQueue,
}

/// When a call in `direction` that begins now is to be over, as the socket is set.
pub(super) fn deadline(socket: &GreenSocket, direction: Direction) -> io::Result<Deadline> {
    // That it is over already is no news of a socket in non-blocking mode.
    socket
        .deadline(direction)
        .map_err(|_| over(Deadline::NEVER))
}

/// The `stop` of a call that nobody stops.
static NEVER: AtomicBool = AtomicBool::new(false);

/// What became of an attempt to send in passing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pushed {
    /// Nothing is left to send, or nothing can be sent any more.
    All,
    /// Somebody has the right to send, and will send this too.
    Busy,
    /// The socket takes no more.
    Full,
}

/// A right that is given back when dropped. The queue holds those who watch for a free right without standing in line.
struct Right<'a> {
    duplex: &'a Duplex,
    right: &'a Semaphore,
    watchers: Option<&'a WaitQueue>,
}

impl Drop for Right<'_> {
    fn drop(&mut self) {
        self.right.release();
        if let Some(watchers) = self.watchers {
            watchers.wake_all();
        }
        // The other half of `Duplex::take`.
        fence(Ordering::SeqCst);
        let missed = &self.duplex.missed;
        if missed.load(Ordering::SeqCst) && missed.swap(false, Ordering::SeqCst) {
            let source = self.duplex.socket.source();
            source.nudge(Direction::Read);
            source.nudge(Direction::Write);
        }
    }
}

/// Marks a stream as torn when dropped: by an unwind out of a send too.
struct Tear<'a>(&'a AtomicBool);

impl Drop for Tear<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Duplex {
    pub(super) fn new(socket: GreenSocket, pipe: SslPipe) -> Duplex {
        Duplex {
            socket,
            pipe: ShortLock::new(pipe),
            reading: Semaphore::named("right to read TLS", 1),
            sending: Semaphore::named("right to send TLS", 1),
            handshaken: AtomicBool::new(false),
            torn: AtomicBool::new(false),
            missed: AtomicBool::new(false),
            fed: WaitQueue::new(),
        }
    }

    pub(super) fn is_handshaken(&self) -> bool {
        self.handshaken.load(Ordering::Acquire)
    }

    /// Begins the handshake, or goes on with it, to its end.
    pub(super) fn handshake(&self, deadline: Deadline) -> io::Result<()> {
        let _reading = self.reading(deadline)?;
        let sending = self.sending(deadline)?;
        let mut patience = Patience::within(deadline);
        loop {
            let progress = self.pipe.lock().handshake();
            match progress {
                Ok(progress) => {
                    if let Err(error) = self.drain(deadline) {
                        if progress == Progress::Done(()) && self.owes_tickets_alone(&error) {
                            break;
                        }
                        // An alert tells more than the broken pipe that follows it.
                        let alert = self
                            .feed(Deadline::NOW)
                            .and_then(|()| self.pipe.lock().handshake().map(drop));
                        return Err(if is_broken(&error) {
                            alert.err().unwrap_or(error)
                        } else {
                            error
                        });
                    }
                    match progress {
                        Progress::Done(()) => break,
                        Progress::WantRead => {
                            patience.step(self.socket.source(), false)?;
                            self.feed(deadline)?;
                        }
                        Progress::WantWrite => {}
                    }
                }
                Err(error) => {
                    // The peer should hear why, if that needs no wait.
                    let _ = self.drain(Deadline::NOW);
                    return Err(error);
                }
            }
        }
        self.handshaken.store(true, Ordering::Release);
        self.end_sending(sending);
        Ok(())
    }

    /// Whether all that a finished handshake could not send is what the peer did not wait for: in TLS 1.3 a server's
    /// session tickets leave after the last word of the client, who may have said more and gone. What it said can
    /// be read, and the next write fails. OpenSSL over a socket does the same.
    fn owes_tickets_alone(&self, error: &io::Error) -> bool {
        let gone = matches!(
            error.kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
        );
        let pipe = self.pipe.lock();
        gone && pipe.server_side() && matches!(pipe.version(), Ok(Some(TlsVersion::Tls13)))
    }

    /// Decrypts into `buf`. `Ok(0)` is the peer's close_notify.
    pub(super) fn read(&self, buf: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        self.read_unless(buf, deadline, &NEVER)
    }

    /// As [`read`](Self::read), but `Interrupted` once `stop` is set: whoever sets it nudges the source.
    pub(super) fn read_unless(
        &self,
        buf: &mut [u8],
        deadline: Deadline,
        stop: &AtomicBool,
    ) -> io::Result<usize> {
        let _reading = self.reading(deadline)?;
        self.read_by_right(buf, deadline, Patience::within(deadline), stop)
    }

    /// As [`read`](Self::read), for a future's poll, which is made again if it has left something.
    #[cfg(feature = "async")]
    pub(super) fn poll_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let _reading = self.reading(Deadline::NOW)?;
        self.read_by_right(buf, Deadline::NOW, Patience::of_a_poll(), &NEVER)
    }

    fn read_by_right(
        &self,
        buf: &mut [u8],
        deadline: Deadline,
        mut patience: Patience,
        stop: &AtomicBool,
    ) -> io::Result<usize> {
        let stopped = || stop.load(Ordering::SeqCst);
        loop {
            if stopped() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let (progress, unsent) = {
                let mut pipe = self.pipe.lock();
                (pipe.read_in_part(buf), pipe.outgoing() > 0)
            };
            let pushed = if unsent { self.push() } else { Pushed::All };
            let progress = progress?;
            if let Some(Progress::Done(count)) = progress {
                return Ok(count);
            }
            let fed = progress != Some(Progress::WantRead);
            patience.step(self.socket.source(), fed)?;
            match progress {
                Some(Progress::WantRead) if pushed == Pushed::Full && deadline != Deadline::NOW => {
                    // It looks at `stop` before it may find nothing, which forgets a nudge.
                    match self.feed_unless(Deadline::NOW, stopped) {
                        Err(error) if would_block(&error) => {
                            if !self.socket.source().wait_either(deadline)? {
                                return Err(over(deadline));
                            }
                        }
                        fed => fed?,
                    }
                }
                Some(Progress::WantRead) => self.feed_unless(deadline, stopped)?,
                // So many answers wait to be sent that no more may be made.
                Some(Progress::WantWrite) => {
                    let sending = self.sending(deadline)?;
                    self.drain(deadline)?;
                    self.end_sending(sending);
                }
                Some(Progress::Done(_)) | None => {}
            }
        }
    }

    /// Receives once, with the right to read. An error or end of the connection is the pipe's to answer.
    fn feed(&self, deadline: Deadline) -> io::Result<()> {
        self.feed_unless(deadline, || false)
    }

    /// As [`feed`](Self::feed), but `Interrupted` when it is to `stop`.
    fn feed_unless(&self, deadline: Deadline, stop: impl Fn() -> bool) -> io::Result<()> {
        check(deadline)?;
        let room = self.pipe.lock().room();
        let mut answered = false;
        let fed = self.socket.source().retry_read(deadline, room, |_| {
            if stop() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            loop {
                match self.pipe.lock().feed_from(&mut NonBlocking(&self.socket)) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    fed => {
                        answered = fed.as_ref().is_err_and(|error| !would_block(error));
                        return fed;
                    }
                }
            }
        });
        // The pipe's count of what was fed is what they wait for.
        self.fed.wake_all();
        match fed {
            Ok(_) => Ok(()),
            Err(_) if answered => Ok(()),
            Err(error) if would_block(&error) => Err(over(deadline)),
            Err(error) => Err(error),
        }
    }

    /// Encrypts from `buf` and sends; returns how many bytes were taken, at most 48 KiB.
    pub(super) fn write(&self, buf: &[u8], deadline: Deadline) -> io::Result<usize> {
        let sending = self.sending(deadline)?;
        match self.write_by_right(buf, deadline) {
            Ok(count) => {
                self.end_sending(sending);
                Ok(count)
            }
            Err(error) if is_broken(&error) => Err(self.last_words().unwrap_or(error)),
            Err(error) => Err(error),
        }
    }

    fn write_by_right(&self, buf: &[u8], deadline: Deadline) -> io::Result<usize> {
        self.check_whole()?;
        // What an earlier call left. Nothing of this one has been taken yet.
        self.drain(deadline)?;
        let mut patience = Patience::within(deadline);
        let count = loop {
            // It may send, and does not wait for that.
            let source = self.socket.source();
            let (progress, fed) = source.retry(Direction::Write, Deadline::NOW, |_| {
                let mut pipe = self.pipe.lock();
                Ok((pipe.write_straight(buf, &self.socket), pipe.fed()))
            })?;
            match progress? {
                Progress::Done(count) => break count,
                Progress::WantWrite => self.drain(deadline)?,
                Progress::WantRead => {
                    self.drain(deadline)?;
                    patience.step(self.socket.source(), false)?;
                    self.await_input(fed, deadline)?;
                }
            }
        };
        let tear = Tear(&self.torn);
        let drained = self.drain(deadline);
        match drained {
            Err(error) if error.kind() == io::ErrorKind::TimedOut && !is_broken(&error) => {
                Err(error)
            }
            drained => {
                mem::forget(tear);
                match drained {
                    // To the pipe the bytes are sent; the caller must not send them again.
                    Err(error) if !would_block(&error) => Err(error),
                    _ => Ok(count),
                }
            }
        }
    }

    fn check_whole(&self) -> io::Result<()> {
        match self.torn.load(Ordering::Relaxed) {
            true => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "an earlier write was cut short half sent: the stream cannot go on",
            )),
            false => Ok(()),
        }
    }

    /// For a write that cannot go on before more than `fed` bytes of the peer's have come (TLS 1.2 renegotiation).
    fn await_input(&self, fed: u64, deadline: Deadline) -> io::Result<()> {
        if let Some(_reading) = self.try_reading() {
            return self.feed(deadline);
        }
        if deadline == Deadline::NOW {
            return Err(over(deadline));
        }
        check(deadline)?;
        let still = || self.pipe.lock().fed() == fed && self.reading.available() == 0;
        match self.fed.wait("TLS renegotiation", deadline, still) {
            Wake::TimedOut => Err(over(deadline)),
            Wake::Woken | Wake::NotNeeded => Ok(()),
        }
    }

    /// The peer's alert, if it has arrived: a better reason than the broken pipe that follows it. A reader at work
    /// will meet it by itself.
    fn last_words(&self) -> Option<io::Error> {
        // More than this before the alert, and it is not looked for.
        const ROUNDS: usize = 8;
        let _reading = self.try_reading()?;
        (0..ROUNDS).find_map(|_| {
            // What there is to say about the transport has been said.
            let _ = self.feed(Deadline::NOW);
            self.pipe.lock().look_ahead()
        })
    }

    /// Waits until all that earlier calls made has left.
    pub(super) fn flush(&self, deadline: Deadline) -> io::Result<()> {
        let sending = self.sending(deadline)?;
        self.drain(deadline)?;
        self.end_sending(sending);
        Ok(())
    }

    /// Sends close_notify after all that was written.
    pub(super) fn shutdown(&self, deadline: Deadline) -> io::Result<()> {
        let sending = self.sending(deadline)?;
        self.check_whole()?;
        self.drain(deadline)?;
        self.pipe.lock().shutdown()?;
        self.drain(deadline)?;
        self.end_sending(sending);
        Ok(())
    }

    /// Sends `outgoing`. To be called with the right to send.
    fn drain(&self, deadline: Deadline) -> io::Result<()> {
        if self.pipe.lock().outgoing() == 0 {
            return Ok(());
        }
        let drained = self.socket.source().retry(Direction::Write, deadline, |_| {
            let mut pipe = self.pipe.lock();
            loop {
                match pipe.drain_to(&mut NonBlocking(&self.socket)) {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        });
        drained.map_err(|error| match would_block(&error) {
            true => over(deadline),
            false => error,
        })
    }

    /// Sends what waits, if that needs no waiting. Errors are the pipe's to answer.
    fn push(&self) -> Pushed {
        loop {
            let Some(sending) = self.try_sending() else {
                return Pushed::Busy;
            };
            match self.drain(Deadline::NOW) {
                Ok(()) => drop(sending),
                Err(error) if would_block(&error) => return Pushed::Full,
                // Of a socket that was closed here, what waits is never asked for.
                Err(_) => return Pushed::All,
            }
            // Somebody may have found the right taken meanwhile.
            if self.pipe.lock().outgoing() == 0 {
                return Pushed::All;
            }
        }
    }

    /// Gives the right to send back, and sends what a reader left to us in the last moment.
    fn end_sending(&self, sending: Right<'_>) {
        drop(sending);
        if self.pipe.lock().outgoing() > 0 {
            self.push();
        }
    }

    /// Sends close_notify if that needs no wait, unless the peer must not take what it has for complete: an end without
    /// it means that something is missing (RFC 8446, 6.1). Prevents our FIN from becoming a reset. Does not wait.
    ///
    /// `whole`: nobody who might have had more to say left by an unwind before. `ragged`: an end of the peer's without
    /// close_notify counts as one with it.
    pub(super) fn part(&self, whole: bool, ragged: bool) {
        // Who lingers for no time wants the reset, and the peer must not take it for a clean end.
        if let Ok(Some(Duration::ZERO)) = self.socket.linger() {
            return;
        }
        // So may whoever unwinds now, or found the connection broken.
        let whole = whole
            && !panicking()
            && !self.torn.load(Ordering::Relaxed)
            && !self.pipe.lock().has_failed(ragged);
        if whole {
            // Before the handshake there is nothing to end.
            let _ = self.pipe.lock().shutdown();
            self.push();
        }
        // Of what is unread there may be a server's session tickets.
        parting::end_direction(&self.socket, Duration::ZERO);
    }

    fn reading(&self, deadline: Deadline) -> io::Result<Right<'_>> {
        self.take(&self.reading, deadline)?;
        Ok(self.reading_right())
    }

    fn try_reading(&self) -> Option<Right<'_>> {
        self.reading.try_acquire().then(|| self.reading_right())
    }

    fn reading_right(&self) -> Right<'_> {
        Right {
            duplex: self,
            right: &self.reading,
            watchers: Some(&self.fed),
        }
    }

    fn sending(&self, deadline: Deadline) -> io::Result<Right<'_>> {
        self.take(&self.sending, deadline)?;
        Ok(self.sending_right())
    }

    fn try_sending(&self) -> Option<Right<'_>> {
        self.sending.try_acquire().then(|| self.sending_right())
    }

    fn sending_right(&self) -> Right<'_> {
        Right {
            duplex: self,
            right: &self.sending,
            watchers: None,
        }
    }

    fn take(&self, right: &Semaphore, deadline: Deadline) -> io::Result<()> {
        // What the pipe has, or has recorded, is given without a call on the socket.
        give_way();
        let taken = right.try_acquire()
            || match deadline == Deadline::NOW {
                // Whoever has it gives it back and then looks whether somebody missed it; we say so and then
                // look again.
                true => {
                    self.missed.store(true, Ordering::SeqCst);
                    fence(Ordering::SeqCst);
                    right.try_acquire()
                }
                false => right.acquire(deadline),
            };
        taken.then_some(()).ok_or_else(|| over(deadline))
    }
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Whether the kernel says that the connection is broken, rather than we that the call is over.
fn is_broken(error: &io::Error) -> bool {
    error.raw_os_error().is_some() && !would_block(error)
}
