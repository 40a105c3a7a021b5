//! The inside of a datagram endpoint: the green thread that receives and calls the protocol, and the one that sends
//! what the kernel did not take at once.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, OnceLock};

use greenhub::Deadline;
use greenhub::greenio::{GreenSocket, SockAddr};
use greenhub::source::Direction;
use greenhub::wait_queue::{ShortLock, WaitQueue, give_way};
use greenhub::{ClosedLocally, Killed};

use super::super::extra::ExtraInfo;
use super::super::transport::{Attention, Flow, unless};
use crate::thread::{self, Builder, Thread, current};

/// As long as a datagram can be, of UDP and, unless its limits were raised, of a Unix socket.
const LONGEST: usize = 256 * 1024;

/// How many errors may wait for the protocol; it is not told of more.
const ERRORS: usize = 64;

pub(in crate::asyncio) struct Endpoint {
    socket: GreenSocket,
    pub(super) extra: ExtraInfo,
    pub(super) state: ShortLock<State>,
    attention: Attention,
    /// Whoever waits for `connection_made`.
    changed: WaitQueue,
    reader: OnceLock<Thread>,
}

pub(super) struct State {
    pub(super) callbacks: Option<Arc<dyn Callbacks>>,
    outgoing: VecDeque<(Vec<u8>, Option<SockAddr>)>,
    /// Of what is in `outgoing` and in the sender's hand.
    pub(super) size: usize,
    sending: bool,
    pub(super) flow: Flow,
    errors: VecDeque<io::Error>,
    made: bool,
    pub(super) closing: bool,
    dead: bool,
    cause: Option<io::Error>,
}

impl State {
    /// After every change of the size; whether a mark was passed.
    pub(super) fn note_size(&mut self) -> bool {
        self.flow.update(self.size)
    }
}

/// The protocol, whatever its type.
pub(in super::super) trait Callbacks: Send + Sync {
    fn received(&self, data: &[u8], from: &SockAddr) -> io::Result<()>;
    fn failed(&self, error: io::Error) -> io::Result<()>;
    fn paused(&self, paused: bool) -> io::Result<()>;
    fn lost(&self, error: Option<io::Error>) -> io::Result<()>;
    /// The `Arc<Cell<P>>`.
    fn cell(&self) -> Arc<dyn Any + Send + Sync>;
}

/// What the reader does next.
enum Step {
    Tell { paused: bool },
    Fail(io::Error),
    Receive,
    Wait,
    Over,
}

impl Endpoint {
    pub(in crate::asyncio) fn new(
        socket: GreenSocket,
        callbacks: Arc<dyn Callbacks>,
    ) -> Arc<Endpoint> {
        Arc::new(Endpoint {
            extra: ExtraInfo::of_socket(&socket),
            socket,
            state: ShortLock::new(State {
                callbacks: Some(callbacks),
                outgoing: VecDeque::new(),
                size: 0,
                sending: false,
                flow: Flow::default(),
                errors: VecDeque::new(),
                made: false,
                closing: false,
                dead: false,
                cause: None,
            }),
            attention: Attention::default(),
            changed: WaitQueue::new(),
            reader: OnceLock::new(),
        })
    }

    /// An error if it never will be: the reader was killed.
    pub(in crate::asyncio) fn wait_until_made(&self) -> io::Result<()> {
        let coming = || {
            let state = self.state.lock();
            !state.made && state.callbacks.is_some()
        };
        while coming() {
            self.changed
                .wait("asyncio endpoint", Deadline::NEVER, coming);
        }
        match self.state.lock().made {
            true => Ok(()),
            false => Err(io::Error::other(Killed)),
        }
    }

    pub(super) fn call_reader(&self) {
        self.attention.call(self.socket.source());
    }

    /// Begins the end: what was given is sent first.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.call_reader();
    }

    /// Ends it now. `connection_lost` is told the first cause.
    pub(super) fn end(&self, cause: Option<io::Error>) {
        {
            let mut state = self.state.lock();
            if state.dead {
                return;
            }
            (state.closing, state.dead) = (true, true);
            state.cause = cause;
            state.outgoing.clear();
            state.size = 0;
        }
        self.socket.close();
        self.call_reader();
    }

    /// The reader's life, from the protocol's first call, which is `made`.
    pub(in crate::asyncio) fn serve(self: &Arc<Endpoint>, made: impl FnOnce() -> io::Result<()>) {
        let _ = self.reader.set(current());
        let conclusion = Conclusion(self);
        let mut buffer = vec![0; LONGEST];
        self.answered(made());
        self.state.lock().made = true;
        self.changed.wake_all();
        loop {
            match self.next() {
                Step::Tell { paused } => self.answered(self.callbacks().paused(paused)),
                Step::Fail(error) => self.answered(self.callbacks().failed(error)),
                Step::Receive => self.receive(&mut buffer),
                Step::Wait => drop(self.attention.wait("asyncio endpoint", Deadline::NEVER)),
                Step::Over => break,
            }
        }
        self.end(None);
        drop(conclusion);
    }

    fn next(&self) -> Step {
        self.attention.lower();
        let mut state = self.state.lock();
        if state.dead {
            return Step::Over;
        }
        if let Some(paused) = state.flow.news() {
            return Step::Tell { paused };
        }
        if let Some(error) = state.errors.pop_front() {
            return Step::Fail(error);
        }
        match (state.closing, state.sending) {
            (false, _) => Step::Receive,
            (true, true) => Step::Wait,
            (true, false) => Step::Over,
        }
    }

    fn callbacks(&self) -> Arc<dyn Callbacks> {
        let callbacks = &self.state.lock().callbacks;
        Arc::clone(callbacks.as_ref().expect("the protocol stays to the end"))
    }

    fn receive(&self, buffer: &mut [u8]) {
        let received = self.attention.at_socket(|stop| {
            let source = self.socket.source();
            source.retry(Direction::Read, Deadline::NEVER, |_| {
                unless(stop)?;
                self.socket.recv_from_with_flags(buffer, libc::MSG_DONTWAIT)
            })
        });
        match received {
            Ok((count, from)) => {
                // Closed meanwhile by another thread: then nothing more is delivered.
                if !self.state.lock().closing {
                    self.answered(self.callbacks().received(&buffer[..count], &from));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if ClosedLocally::caused(&error) => self.end(Some(error)),
            Err(error) => self.failed(error),
        }
    }

    fn answered(&self, answer: io::Result<()>) {
        match answer {
            Err(error) if ClosedLocally::caused(&error) && self.state.lock().closing => {}
            Err(error) => self.end(Some(error)),
            Ok(()) => {}
        }
    }

    /// Keeps an error for the protocol.
    fn failed(&self, error: io::Error) {
        {
            let mut state = self.state.lock();
            if state.errors.len() < ERRORS {
                state.errors.push_back(error);
            }
        }
        self.call_reader();
    }

    pub(super) fn send(self: &Arc<Endpoint>, data: &[u8], to: Option<SockAddr>) -> io::Result<()> {
        // It never waits, not even for the sender of what it keeps.
        give_way();
        {
            let mut state = self.state.lock();
            if state.closing {
                return Err(ClosedLocally.into());
            }
            if state.sending {
                self.keep(state, data, to);
                return Ok(());
            }
            state.sending = true;
        }
        // The right to send is ours; the lock is not.
        let sent = match &to {
            Some(to) => self.socket.send_to_with_flags(data, to, libc::MSG_DONTWAIT),
            None => self.socket.send_with_flags(data, libc::MSG_DONTWAIT),
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let state = self.state.lock();
                self.keep(state, data, to);
            }
            Err(error) if !ClosedLocally::caused(&error) => self.failed(error),
            _ => {}
        }
        self.send_rest();
        Ok(())
    }

    /// For the sender. Others may have given datagrams behind ours, which the kernel does not promise to keep in order.
    fn keep(
        &self,
        mut state: greenhub::wait_queue::ShortGuard<'_, State>,
        data: &[u8],
        to: Option<SockAddr>,
    ) {
        if state.dead {
            return;
        }
        state.outgoing.push_back((data.to_vec(), to));
        state.size += data.len();
        let passed = state.note_size();
        drop(state);
        if passed {
            self.call_reader();
        }
    }

    /// Gives the right to send back, or to the sender if something is left.
    fn send_rest(self: &Arc<Endpoint>) {
        {
            let mut state = self.state.lock();
            if state.outgoing.is_empty() {
                state.sending = false;
                let closing = state.closing;
                drop(state);
                if closing {
                    self.call_reader();
                }
                return;
            }
        }
        let mut builder = Builder::new().name("asyncio sender".to_owned());
        if let Some(reader) = self.reader.get() {
            builder = builder.beside(reader);
        }
        let endpoint = self.clone();
        match builder.spawn(move || endpoint.send_all()) {
            Ok(sender) => {
                let endpoint = self.clone();
                sender.link(move |ending| endpoint.sender_ended(ending));
            }
            Err(error) => {
                self.state.lock().sending = false;
                self.end(Some(error));
            }
        }
    }

    /// If the sender was killed, even before it began, what it held is lost, and with it the endpoint.
    fn sender_ended(&self, ending: thread::Ending) {
        if ending != thread::Ending::Returned {
            self.state.lock().sending = false;
            self.end(Some(io::Error::other(Killed)));
        }
    }

    /// The sender's life.
    fn send_all(&self) {
        while let Some((data, to)) = self.next_to_send() {
            let sent = match &to {
                Some(to) => self.socket.send_to(&data, to),
                None => self.socket.send(&data),
            };
            match sent {
                Err(error) if !ClosedLocally::caused(&error) => self.failed(error),
                _ => {}
            }
            let mut state = self.state.lock();
            state.size = state.size.saturating_sub(data.len());
            let passed = state.note_size();
            drop(state);
            if passed {
                self.call_reader();
            }
        }
        self.call_reader();
    }

    fn next_to_send(&self) -> Option<(Vec<u8>, Option<SockAddr>)> {
        let mut state = self.state.lock();
        let next = state.outgoing.pop_front();
        state.sending = next.is_some();
        next
    }
}

/// Tells the protocol of the end, also if the reader is killed.
struct Conclusion<'a>(&'a Arc<Endpoint>);

impl Drop for Conclusion<'_> {
    fn drop(&mut self) {
        self.0.conclude(true);
    }
}

impl Endpoint {
    /// Makes `reader`, which is to call [`serve`](Endpoint::serve), end it even if it is killed before it begins.
    pub(in crate::asyncio) fn is_read_by(self: &Arc<Endpoint>, reader: &thread::JoinHandle<()>) {
        let endpoint = self.clone();
        // Without effect, if it has begun.
        reader.link(move |_| endpoint.conclude(false));
    }

    /// The end of the reader, and of the endpoint. `told`: whether the protocol knows of it at all.
    fn conclude(&self, told: bool) {
        // Without effect, unless the reader is unwound or has never run.
        self.end(Some(io::Error::other(Killed)));
        let (callbacks, cause) = {
            let mut state = self.state.lock();
            (state.callbacks.take(), state.cause.take())
        };
        if let Some(callbacks) = callbacks.filter(|_| told) {
            // Nobody is left who could be told of a panic in here; its message has been printed.
            let _ = callbacks.lost(cause);
        }
        self.changed.wake_all();
    }
}
