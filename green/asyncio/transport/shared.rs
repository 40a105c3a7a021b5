//! What the handles of a transport, its reader and its sender share.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use greenhub::wait_queue::WaitQueue;
use greenhub::{ClosedLocally, Killed};
use parking_lot::Mutex;

use super::super::cell::Callbacks;
use super::super::extra::ExtraInfo;
use super::super::server::Attachment;
use super::attention::Attention;
use super::flow::Flow;
use super::link::Link;
use crate::thread::Thread;

#[derive(Debug)]
pub(in super::super) struct Shared {
    pub(in super::super) link: Link,
    pub(super) extra: ExtraInfo,
    /// How long the end of TLS may take, with the flush before it.
    pub(super) shutdown_timeout: Duration,
    pub(in super::super) state: Mutex<State>,
    /// The reader: makes every call of the protocol.
    pub(super) reader: OnceLock<Thread>,
    pub(super) attention: Attention,
    /// Whoever waits for something that is not the reader's: that the connection is made, that writing may go on.
    pub(super) changed: WaitQueue,
}

pub(in super::super) struct State {
    /// None once `connection_lost` has been called.
    pub(in super::super) callbacks: Option<Arc<dyn Callbacks>>,
    /// Written, and not taken by the sender.
    pub(super) outgoing: Vec<u8>,
    /// Taken by the sender, and not sent.
    pub(super) in_flight: usize,
    /// Whether somebody has the turn to send.
    pub(super) sending: bool,
    pub(super) flow: Flow,
    pub(super) eof: Eof,
    pub(super) reading_paused: bool,
    pub(super) made: bool,
    /// No more is to be received: `close`, `abort` or a failure.
    pub(super) closing: bool,
    /// Whether it was the peer, or the network, that ended the connection, before anybody here did.
    pub(super) left: bool,
    /// What is written will not be sent any more, because sending failed: what the peer has said before is still to be
    /// delivered.
    pub(super) broken: Option<io::Error>,
    /// It is over.
    pub(super) dead: bool,
    /// Whether something that was written was not sent, as far as we know.
    pub(super) dropped: bool,
    /// Why, if not for `abort`; for `connection_lost`.
    pub(super) cause: Option<io::Error>,
    /// When TLS must have ended, once it is to; none for a limit that no clock can name.
    pub(super) deadline: Option<Instant>,
    pub(super) handover: Handover,
    pub(super) attachment: Option<Attachment>,
}

/// The end of our direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eof {
    Open,
    /// `write_eof` was called: it comes after what is still to be sent.
    Asked,
    Sent,
}

/// How `start_tls` takes the connection over.
#[derive(Debug)]
pub(super) enum Handover {
    No,
    Asked,
    /// The reader has let go. These bytes it had received already.
    Given(Vec<u8>),
    /// This transport has the connection and the protocol now.
    Taken(Arc<Shared>),
}

impl State {
    pub(super) fn may_write(&self) -> io::Result<()> {
        if self.closing {
            Err(self.refusal())
        } else if self.eof != Eof::Open {
            Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "write_eof() has been called",
            ))
        } else {
            Ok(())
        }
    }

    /// Why nothing can be done any more.
    pub(super) fn refusal(&self) -> io::Error {
        match self.left {
            true => lost(),
            false => ClosedLocally.into(),
        }
    }

    /// To be called before the end that the peer has brought about begins.
    pub(super) fn peer_left(&mut self) {
        self.left |= !self.closing;
    }

    pub(super) fn is_paused(&self) -> bool {
        self.flow.is_paused()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("outgoing", &(self.outgoing.len() + self.in_flight))
            .field("closing", &self.closing)
            .field("lost", &self.callbacks.is_none())
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(in super::super) fn new(
        link: Link,
        callbacks: Arc<dyn Callbacks>,
        extra: ExtraInfo,
        shutdown_timeout: Duration,
        attachment: Option<Attachment>,
    ) -> Arc<Shared> {
        Arc::new(Shared {
            link,
            extra,
            shutdown_timeout,
            state: Mutex::new(State {
                callbacks: Some(callbacks),
                outgoing: Vec::new(),
                in_flight: 0,
                sending: false,
                flow: Flow::default(),
                eof: Eof::Open,
                reading_paused: false,
                made: false,
                closing: false,
                left: false,
                broken: None,
                dead: false,
                dropped: false,
                cause: None,
                deadline: None,
                handover: Handover::No,
                attachment,
            }),
            reader: OnceLock::new(),
            attention: Attention::default(),
            changed: WaitQueue::new(),
        })
    }

    /// Has the reader look at the state, wherever it waits.
    pub(super) fn call_reader(&self) {
        self.attention.call(self.link.socket().source());
    }

    /// Begins the end: nothing more is received, what is written is sent first.
    pub(in super::super) fn close(&self) {
        {
            let mut state = self.state.lock();
            if state.closing {
                return;
            }
            state.closing = true;
            if self.link.is_tls() {
                state.deadline = Instant::now().checked_add(self.shutdown_timeout);
            }
        }
        self.call_reader();
    }

    /// Ends the connection now. The first cause is the one that `connection_lost` is told.
    pub(in super::super) fn end(&self, cause: Option<io::Error>) {
        {
            let mut state = self.state.lock();
            if state.dead {
                return;
            }
            state.closing = true;
            state.dead = true;
            state.dropped = cause.is_some() || state.sending || !state.outgoing.is_empty();
            state.cause = cause;
            state.outgoing = Vec::new();
        }
        self.link.close();
        self.call_reader();
        self.changed.wake_all();
    }

    /// Sending has failed: a peer that answers early and leaves has its answer delivered all the same.
    pub(super) fn sending_failed(&self, error: io::Error) {
        {
            let mut state = self.state.lock();
            state.sending = false;
            state.peer_left();
            if !state.closing && !state.reading_paused {
                state.closing = true;
                state.dropped = true;
                state.outgoing = Vec::new();
                state.in_flight = 0;
                state.broken = Some(error);
                // The reader asks, from here on, and does not wait.
                self.link.socket().set_nonblocking(true);
                drop(state);
                self.call_reader();
                self.changed.wake_all();
                return;
            }
        }
        self.end(Some(error));
    }

    /// What a call of the protocol returned.
    pub(super) fn answered(&self, answer: io::Result<()>) {
        let successor = match &self.state.lock().handover {
            Handover::Taken(successor) => Some(Arc::clone(successor)),
            _ => None,
        };
        if let Some(successor) = successor {
            return successor.answered(answer);
        }
        match answer {
            // One who did not see the end coming had his write refused.
            Err(error) if self.state.lock().closing && is_refusal(&error) => {}
            Err(error) => self.end(Some(error)),
            Ok(()) => {}
        }
    }

    /// To be called under the lock, after every change of what waits to be sent; whether a mark was passed, which
    /// [`mark_passed`](Self::mark_passed) is to be told without it.
    pub(super) fn note_size(&self, state: &mut State) -> bool {
        let size = self.size(state);
        state.flow.update(size)
    }

    pub(super) fn size(&self, state: &State) -> usize {
        if state.dead {
            return 0;
        }
        state.outgoing.len() + state.in_flight + self.link.unsent()
    }

    pub(super) fn mark_passed(&self) {
        self.call_reader();
        self.changed.wake_all();
    }

    /// Waits until `connection_made` has returned. An error if it never will: the reader was killed.
    pub(in super::super) fn wait_until_made(&self) -> io::Result<()> {
        let coming = || {
            let state = self.state.lock();
            !state.made && state.callbacks.is_some()
        };
        while coming() {
            self.changed.wait("asyncio connection", None, coming);
        }
        match self.state.lock().made {
            true => Ok(()),
            false => Err(io::Error::other(Killed)),
        }
    }

    /// Waits until writing need not pause.
    pub(super) fn drain(&self) -> io::Result<()> {
        let above = || {
            let state = self.state.lock();
            !state.dead && !state.dropped && state.is_paused()
        };
        while above() {
            self.changed.wait("asyncio drain", None, above);
        }
        // One who has all that he needs may close while we are about to drain.
        match self.state.lock().dropped {
            true => Err(lost()),
            false => Ok(()),
        }
    }
}

/// asyncio's `ConnectionResetError('Connection lost')`.
fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection is lost")
}

fn is_refusal(error: &io::Error) -> bool {
    ClosedLocally::caused(error) || error.kind() == io::ErrorKind::ConnectionReset
}
