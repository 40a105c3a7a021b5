//! What the handles of a transport, its reader and its sender share.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::wait_queue::{ShortLock, WaitQueue, give_way};
use greenhub::{ClosedLocally, Killed};

use super::super::connections::Attachment;
use super::super::extra::ExtraInfo;
use super::attention::Attention;
use super::callbacks::Callbacks;
use super::flow::Flow;
use super::life::{Ender, Life};
use super::link::Link;
use crate::thread::Thread;

#[derive(Debug)]
pub(in super::super) struct Shared {
    pub(in super::super) link: Link,
    pub(super) extra: ExtraInfo,
    /// How long the end of TLS may take, with the flush before it.
    pub(super) shutdown_timeout: Duration,
    pub(in super::super) state: ShortLock<State>,
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
    /// Whether somebody has the right to send.
    pub(super) sending: bool,
    pub(super) flow: Flow,
    pub(super) eof: Eof,
    pub(super) reading_paused: bool,
    /// Whether the protocol knows of the connection.
    pub(super) made: bool,
    pub(super) life: Life,
    pub(super) handover: Handover,
    /// Its place at its server, if it is one's.
    pub(super) attachment: Option<Attachment<Shared>>,
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
        if self.life.is_ending() {
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
        match self.life.ended_by() {
            Some(Ender::Theirs) => lost(),
            _ => ClosedLocally.into(),
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.flow.is_paused()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("outgoing", &(self.outgoing.len() + self.in_flight))
            .field("life", &self.life)
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
        attachment: Option<Attachment<Shared>>,
    ) -> Arc<Shared> {
        Arc::new(Shared {
            link,
            extra,
            shutdown_timeout,
            state: ShortLock::new(State {
                callbacks: Some(callbacks),
                outgoing: Vec::new(),
                in_flight: 0,
                sending: false,
                flow: Flow::default(),
                eof: Eof::Open,
                reading_paused: false,
                made: false,
                life: Life::Open,
                handover: Handover::No,
                attachment,
            }),
            reader: OnceLock::new(),
            attention: Attention::default(),
            changed: WaitQueue::new(),
        })
    }

    /// Makes the reader look at the state, wherever it waits.
    pub(super) fn call_reader(&self) {
        self.attention.call(self.link.socket().source());
    }

    /// Begins the end: nothing more is received, what is written is sent first.
    pub(in super::super) fn close(&self) {
        self.close_by(Ender::Ours);
    }

    pub(super) fn close_by(&self, by: Ender) {
        let limit = self.link.is_tls().then_some(self.shutdown_timeout);
        let deadline = Deadline::within(limit);
        if self.state.lock().life.close(by, deadline) {
            self.call_reader();
        }
    }

    /// Ends the connection now, from this end. `connection_lost` is told the first cause.
    pub(in super::super) fn end(&self, cause: Option<io::Error>) {
        self.end_by(Ender::Ours, cause);
    }

    pub(super) fn end_by(&self, by: Ender, mut cause: Option<io::Error>) {
        {
            let mut state = self.state.lock();
            let all_sent = !state.sending && state.outgoing.is_empty();
            if !state.life.end(by, &mut cause, all_sent) {
                return;
            }
            state.outgoing = Vec::new();
        }
        self.link.close();
        self.call_reader();
        self.changed.wake_all();
    }

    /// Sending has failed. What the peer has sent before is still delivered, since it may have answered early and
    /// left.
    pub(super) fn sending_failed(&self, error: io::Error) {
        {
            let mut state = self.state.lock();
            state.sending = false;
            if state.life.is_ending() || state.reading_paused {
                drop(state);
                return self.end_by(Ender::Theirs, Some(error));
            }
            state.life = Life::Broken(error);
            state.outgoing = Vec::new();
            state.in_flight = 0;
            // The reader asks, from here on, and does not wait.
            self.link.socket().set_nonblocking(true);
        }
        self.call_reader();
        self.changed.wake_all();
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
            Err(error) if self.state.lock().life.is_ending() && is_refusal(&error) => {}
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
        if state.life.is_over() {
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
            self.changed
                .wait("asyncio connection", Deadline::NEVER, coming);
        }
        match self.state.lock().made {
            true => Ok(()),
            false => Err(io::Error::other(Killed)),
        }
    }

    /// Waits until writing need not pause.
    pub(super) fn drain(&self) -> io::Result<()> {
        give_way();
        let above = || {
            let state = self.state.lock();
            !state.life.is_over() && !state.life.has_lost() && state.is_paused()
        };
        while above() {
            self.changed.wait("asyncio drain", Deadline::NEVER, above);
        }
        // One who has all that he needs may close while we are about to drain.
        match self.state.lock().life.has_lost() {
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
