//! The green thread of a connection: it receives, and makes every call of the protocol, one after the other.

use std::io;
use std::mem;
use std::sync::Arc;

use greenhub::Deadline;
use greenhub::Killed;

use super::buffers::Buffer;
use super::callbacks::Callbacks;
use super::life::{Ender, Life};
use super::link::{Received, shutdown_timed_out};
use super::shared::{Handover, Shared};
use crate::thread::{JoinHandle, current};

struct Reader<'a> {
    shared: &'a Arc<Shared>,
    /// Where TLS decrypts to.
    own: Option<Buffer>,
    /// What has been received and not been delivered.
    received: Undelivered,
    /// Nothing more comes from the peer, or at least we look for nothing.
    ended: bool,
}

enum Undelivered {
    Nothing,
    Data(Buffer, usize),
    End,
}

/// What to do next.
enum Step {
    Tell {
        paused: bool,
    },
    Deliver,
    Receive,
    Wait(Deadline),
    Discard(Deadline),
    HandOver,
    /// Another transport has the connection.
    Gone,
    /// Sending has failed, and nothing is left to deliver.
    Broken,
    Over,
}

/// Serves a connection from its first call, which is `made`, to its last.
pub(in super::super) fn run(shared: &Arc<Shared>, made: impl FnOnce() -> io::Result<()>) {
    let _ = shared.reader.set(current());
    let conclusion = Conclusion(shared);
    let mut reader = Reader {
        shared,
        own: None,
        received: Undelivered::Nothing,
        ended: false,
    };
    shared.answered(made());
    shared.state.lock().made = true;
    shared.changed.wake_all();
    if reader.serve() {
        conclusion.part();
    } else {
        mem::forget(conclusion);
    }
}

impl Reader<'_> {
    /// Until the connection is to end (true), or has gone to another transport.
    fn serve(&mut self) -> bool {
        loop {
            match self.next() {
                Step::Tell { paused } => self.shared.answered(self.callbacks().paused(paused)),
                Step::Deliver => self.deliver(),
                Step::Receive => self.receive(),
                Step::Wait(deadline) => self.wait(deadline),
                Step::Discard(deadline) => self.discard(deadline),
                Step::HandOver => self.hand_over(),
                Step::Gone => return false,
                // By what broke it.
                Step::Broken => self.shared.end(None),
                Step::Over => return true,
            }
        }
    }

    fn next(&self) -> Step {
        // First: what changes from here on calls again.
        self.shared.attention.lower();
        let mut state = self.shared.state.lock();
        if matches!(state.handover, Handover::Taken(_)) {
            return Step::Gone;
        }
        match state.life {
            Life::Over { .. } => return Step::Over,
            // What the peer said before is delivered, and then it is over.
            Life::Broken(_) => {
                return match self.received {
                    Undelivered::Data(..) => Step::Deliver,
                    Undelivered::Nothing if !self.ended => Step::Receive,
                    _ => Step::Broken,
                };
            }
            Life::Open | Life::Closing { .. } => {}
        }
        if let Some(paused) = state.flow.news() {
            return Step::Tell { paused };
        }
        if let Life::Closing { deadline, .. } = state.life {
            let heard_all = self.ended || matches!(self.received, Undelivered::End);
            return match state.sending {
                false => Step::Over,
                // A peer that waits until we take what it says would not take what we say.
                true if self.shared.link.is_tls() && !heard_all => Step::Discard(deadline),
                true => Step::Wait(deadline),
            };
        }
        if matches!(state.handover, Handover::Asked) {
            return Step::HandOver;
        }
        if state.reading_paused || self.ended {
            return Step::Wait(Deadline::NEVER);
        }
        match self.received {
            Undelivered::Nothing => Step::Receive,
            _ => Step::Deliver,
        }
    }

    fn callbacks(&self) -> Arc<dyn Callbacks> {
        let callbacks = &self.shared.state.lock().callbacks;
        Arc::clone(callbacks.as_ref().expect("the protocol stays to the end"))
    }

    fn receive(&mut self) {
        let shared = self.shared;
        let callbacks = self.callbacks();
        let received = shared
            .attention
            .at_socket(|stop| shared.link.receive(&mut self.own, &*callbacks, stop));
        match received {
            Ok(Received::Data(buffer, count)) => self.received = Undelivered::Data(buffer, count),
            Ok(Received::Delivered(answer)) => shared.answered(answer),
            Ok(Received::End) => self.received = Undelivered::End,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => shared.end_by(Ender::Theirs, Some(error)),
        }
    }

    fn deliver(&mut self) {
        match mem::replace(&mut self.received, Undelivered::Nothing) {
            Undelivered::Nothing => {}
            Undelivered::Data(buffer, count) => {
                let answer = self.callbacks().received(&buffer[..count]);
                self.shared.answered(answer);
                if self.shared.link.is_tls() {
                    self.own = Some(buffer);
                }
            }
            Undelivered::End => {
                self.ended = true;
                match self.callbacks().ended() {
                    // Both directions of TLS end together.
                    Ok(true) if !self.shared.link.is_tls() => {}
                    Ok(_) => self.shared.close_by(Ender::Theirs),
                    Err(error) => self.shared.answered(Err(error)),
                }
            }
        }
    }

    fn wait(&self, deadline: Deadline) {
        if !self.shared.attention.wait("asyncio transport", deadline) {
            self.too_late();
        }
    }

    fn discard(&mut self, deadline: Deadline) {
        let shared = self.shared;
        let heard = shared
            .attention
            .at_socket(|stop| shared.link.discard(deadline, stop));
        match heard {
            Ok(true) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => self.too_late(),
            // Whether the peer still takes what we say is for the sender to learn.
            Ok(false) | Err(_) => self.ended = true,
        }
    }

    fn too_late(&self) {
        self.shared.end(Some(shutdown_timed_out()));
    }

    /// Lets go of the connection, and waits until another transport has taken it or it has ended.
    fn hand_over(&mut self) {
        let shared = self.shared;
        let unread = match &self.received {
            Undelivered::Data(buffer, count) => buffer[..*count].to_vec(),
            _ => Vec::new(),
        };
        shared.state.lock().handover = Handover::Given(unread);
        shared.changed.wake_all();
        // By being called.
        while !shared.state.lock().life.is_over() {
            shared.attention.wait("start_tls", Deadline::NEVER);
            shared.attention.lower();
        }
    }
}

/// Ends the connection and tells the protocol, also if the reader is killed.
struct Conclusion<'a>(&'a Arc<Shared>);

impl Conclusion<'_> {
    /// The orderly end, if nothing has gone wrong: what was written has been sent.
    fn part(self) {
        let shared = self.0;
        let (over, deadline) = {
            let state = shared.state.lock();
            (state.life.is_over(), state.life.deadline())
        };
        if !over {
            let parted = shared.link.part(deadline);
            // One who aborts meanwhile has ended it before.
            shared.end(parted.err());
        }
    }
}

impl Drop for Conclusion<'_> {
    fn drop(&mut self) {
        self.0.conclude(true);
    }
}

impl Shared {
    /// Makes `reader`, which is to call [`run`], end the connection even if it is killed before it begins.
    pub(in super::super) fn is_read_by(self: &Arc<Shared>, reader: &JoinHandle<()>) {
        let shared = Arc::clone(self);
        reader.link(move |_| {
            let (made, taken) = {
                let state = shared.state.lock();
                (state.made, matches!(state.handover, Handover::Taken(_)))
            };
            if !taken {
                // Without effect, if it has begun.
                shared.conclude(made);
            }
        });
    }

    /// The end of the reader, and of the connection. `told`: whether the protocol knows of it at all.
    fn conclude(&self, told: bool) {
        // Without effect, unless the reader is unwound or has never run.
        self.end(Some(io::Error::other(Killed)));
        let (callbacks, cause) = {
            let mut state = self.state.lock();
            (state.callbacks.take(), state.life.take_cause())
        };
        if let Some(callbacks) = callbacks.filter(|_| told) {
            // Nobody is left who could be told of a panic in here; its message has been printed.
            let _ = callbacks.lost(cause);
        }
        let attachment = self.state.lock().attachment.take();
        drop(attachment);
        self.changed.wake_all();
    }
}
