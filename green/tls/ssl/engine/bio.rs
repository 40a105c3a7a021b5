//! The handle through which an engine reads and writes ciphertext, and the two buffers behind it.
//!
//! The buffers outlive the engine's own stream: a failed handshake drops that stream together with its handle,
//! yet the alert it wrote must still reach the peer. So the pipe keeps one handle and gives the engine another.

use std::io::{self, Read, Write};
use std::sync::Arc;

use greenhub::greenio::{GreenSocket, NonBlocking};
use greenhub::wait_queue::{ShortGuard, ShortLock};

use crate::io::byte_queue::ByteQueue;
use crate::ssl::end::End;
use crate::ssl::record::INCOMING_CAPACITY;

/// Both directions of ciphertext between an engine and the world.
#[derive(Default)]
pub(crate) struct Wire {
    /// Arrived, not yet seen by the engine.
    pub(crate) incoming: ByteQueue,
    /// Made by the engine, not yet taken.
    pub(crate) outgoing: ByteQueue,
    /// Why nothing will follow what is in `incoming`.
    pub(crate) end: Option<End>,
    /// The engine has been told of `end`: it had used up everything before it.
    pub(crate) end_reported: bool,
    /// Nobody will take `outgoing` any more, so what the engine writes is dropped.
    pub(crate) discarding: bool,
    /// Where the engine's next write goes straight to, as far as that takes it, if `outgoing` is empty.
    pub(crate) straight: Option<GreenSocket>,
    /// What that one failed with: to be told to whoever drains what it did not take.
    pub(crate) straight_failed: Option<io::Error>,
    /// Bytes ever put in `incoming`.
    pub(crate) fed: u64,
    /// Bytes ever put in `outgoing`, and ever taken out of it.
    pub(crate) produced: u64,
    pub(crate) taken: u64,
    /// How often the engine may still read in the call under way; without a number, as often as it likes.
    reads_left: Option<u32>,
    /// It wanted more reads than it had.
    held_back: bool,
    /// The first bytes that ever arrived, which tell TLS from anything else: a record's header, and what it begins with.
    opening: [Option<u8>; 6],
}

impl Wire {
    /// How much more may arrive before the engine has taken what is there.
    pub(crate) fn room(&self) -> usize {
        match self.end {
            Some(_) => 0,
            None => INCOMING_CAPACITY - self.incoming.len(),
        }
    }

    /// Counts the first `filled` bytes of `incoming`'s space as arrived.
    pub(crate) fn arrived(&mut self, filled: usize) {
        if self.opening.contains(&None) {
            let free = self.opening.iter_mut().filter(|byte| byte.is_none());
            for (free, byte) in free.zip(&self.incoming.space(0)[..filled]) {
                *free = Some(*byte);
            }
        }
        self.incoming.commit(filled);
        self.fed += filled as u64;
    }

    /// Lets the engine read `most` times in the call to come.
    pub(crate) fn allow_reads(&mut self, most: u32) {
        self.reads_left = Some(most);
        self.held_back = false;
    }

    /// After that call: whether it was over because of this. Later calls read as often as they like.
    pub(crate) fn was_held_back(&mut self) -> bool {
        self.reads_left = None;
        self.held_back
    }

    /// Counts a read of the engine's, unless it has none left.
    fn may_read(&mut self) -> bool {
        match &mut self.reads_left {
            Some(0) => {
                self.held_back = true;
                false
            }
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    /// Whether the peer's first bytes cannot open a TLS conversation: a record starts with its type
    /// (20 to 23) and a major version of 3.
    pub(crate) fn opened_without_tls(&self) -> bool {
        match self.opening {
            [Some(kind), second, ..] => {
                !(20..=23).contains(&kind) || second.is_some_and(|major| major != 3)
            }
            _ => false,
        }
    }

    /// Whether the peer opened with a ClientHello: a handshake's record (22), whose message is of type 1.
    pub(crate) fn opened_as_client(&self) -> bool {
        matches!(self.opening, [Some(22), _, _, _, _, Some(1)])
    }
}

/// A handle to a [`Wire`]. Reading takes from `incoming`, within what is allowed, and never waits; writing adds to `outgoing` and always succeeds.
#[derive(Clone, Default)]
pub(crate) struct Bio(Arc<ShortLock<Wire>>);

impl std::fmt::Debug for Bio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bio")
    }
}

impl Bio {
    /// The pipe and its engine are used by one caller at a time, so this lock is never contended. It must
    /// not be held across a call of the engine.
    pub(crate) fn wire(&self) -> ShortGuard<'_, Wire> {
        self.0.lock()
    }

    /// Takes the buffer of what arrived, or of what goes out, while the world fills or empties it: that may wait, and no
    /// lock is held across a wait. The engine must not be called meanwhile.
    pub(crate) fn lend(&self, buffer: fn(&mut Wire) -> &mut ByteQueue) -> Lent<'_> {
        let queue = std::mem::take(buffer(&mut self.wire()));
        Lent {
            bio: self,
            buffer,
            queue,
        }
    }

    /// Whether reading would find nothing, not even an end.
    pub(crate) fn is_dry(&self) -> bool {
        let wire = self.wire();
        wire.incoming.is_empty() && wire.end.is_none()
    }
}

/// A buffer that is out of its [`Wire`]; its drop puts it back, also when a kill or a limit ends the wait.
pub(crate) struct Lent<'a> {
    bio: &'a Bio,
    buffer: fn(&mut Wire) -> &mut ByteQueue,
    pub(crate) queue: ByteQueue,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *(self.buffer)(&mut self.bio.wire()) = std::mem::take(&mut self.queue);
    }
}

/// Whether an error of the transport's says no more than "not now".
pub(crate) fn is_for_now(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

impl Read for Bio {
    /// Never answers `Ok(0)`: engines take that for a clean end, in the middle of a record too. The end is
    /// told as `UnexpectedEof` whatever it was, because engines retry on some kinds of error; the pipe knows the true one.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.wire();
        if !wire.incoming.is_empty() {
            match wire.may_read() {
                true => Ok(wire.incoming.take(buffer)),
                false => Err(io::ErrorKind::WouldBlock.into()),
            }
        } else if wire.end.is_some() {
            wire.end_reported = true;
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
}

impl Write for Bio {
    fn write(&mut self, ciphertext: &[u8]) -> io::Result<usize> {
        let straight = {
            let mut wire = self.wire();
            let straight = wire.straight.take();
            straight.filter(|_| !wire.discarding && wire.outgoing.is_empty())
        };
        // Not under the lock of the wire: the kernel copies it.
        let sent = straight.map_or(Ok(0), |socket| NonBlocking(&socket).write(ciphertext));
        let mut wire = self.wire();
        if !wire.discarding {
            let taken = match sent {
                Ok(taken) => taken,
                Err(error) => {
                    wire.straight_failed = Some(error).filter(|error| !is_for_now(error));
                    0
                }
            };
            if taken < ciphertext.len() {
                wire.outgoing.append(&ciphertext[taken..]);
            }
            wire.produced += ciphertext.len() as u64;
            wire.taken += taken as u64;
        }
        Ok(ciphertext.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
