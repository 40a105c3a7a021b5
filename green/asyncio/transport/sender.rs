//! Sending: what can go at once goes from the caller, the rest by a green thread that lives until all is sent.

use std::io;
use std::mem;
use std::sync::Arc;

use greenhub::Killed;
use greenhub::wait_queue::give_way;

use super::shared::{Eof, Shared, State};
use crate::thread::{Builder, Ending};

impl Shared {
    pub(super) fn write(self: &Arc<Shared>, data: &[u8]) -> io::Result<()> {
        // It never waits, not even for the sender of what it keeps.
        give_way();
        {
            let mut state = self.state.lock();
            state.may_write()?;
            if data.is_empty() {
                return Ok(());
            }
            if state.sending {
                state.outgoing.extend_from_slice(data);
                return self.written(state);
            }
            state.sending = true;
        }
        // The right is ours, so that nobody overtakes; the lock is not.
        match self.link.try_write_all(data) {
            Ok(count) => {
                let mut state = self.state.lock();
                if !state.life.is_over() {
                    // Others may have written behind us.
                    let behind = mem::take(&mut state.outgoing);
                    state.outgoing = [&data[count..], &behind].concat();
                }
                self.send_rest(state)
            }
            Err(error) => {
                self.sending_failed(error);
                Ok(())
            }
        }
    }

    pub(super) fn write_eof(self: &Arc<Shared>) -> io::Result<()> {
        if self.link.is_tls() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "TLS cannot end one direction alone",
            ));
        }
        let mut state = self.state.lock();
        if state.life.is_ending() || state.eof != Eof::Open {
            return Ok(());
        }
        state.eof = Eof::Asked;
        if state.sending {
            return Ok(());
        }
        state.sending = true;
        self.send_rest(state)
    }

    /// Gives the right to send back, or to the sender if something is left.
    fn send_rest(
        self: &Arc<Shared>,
        mut state: greenhub::wait_queue::ShortGuard<'_, State>,
    ) -> io::Result<()> {
        let left = !state.outgoing.is_empty() || self.link.unsent() > 0;
        if !left && state.eof == Eof::Asked {
            state.eof = Eof::Sent;
            // The peer may have gone: then the reader hears of it.
            let _ = self.link.end_writing();
        }
        if !left || state.life.is_over() {
            state.sending = false;
            let ending = state.life.is_ending();
            drop(state);
            if ending {
                self.call_reader();
            }
            self.changed.wake_all();
            return Ok(());
        }
        let written = self.written(state);
        let shared = Arc::clone(self);
        let builder = Builder::new().name("asyncio sender".to_owned());
        let builder = match self.reader.get() {
            Some(reader) => builder.beside(reader),
            None => builder,
        };
        match builder.spawn(move || shared.send_all()) {
            Ok(sender) => {
                let shared = Arc::clone(self);
                sender.link(move |ending| shared.sender_ended(ending));
            }
            Err(error) => {
                self.state.lock().sending = false;
                self.end(Some(error));
            }
        }
        written
    }

    fn written(&self, mut state: greenhub::wait_queue::ShortGuard<'_, State>) -> io::Result<()> {
        let passed = self.note_size(&mut state);
        drop(state);
        if passed {
            self.mark_passed();
        }
        Ok(())
    }

    /// If the sender was killed, even before it began, what it held is lost, and with it the connection.
    fn sender_ended(&self, ending: Ending) {
        if ending != Ending::Returned {
            self.state.lock().sending = false;
            self.end(Some(io::Error::other(Killed)));
        }
    }

    /// The sender's life.
    fn send_all(&self) {
        let sent = self.send_until_empty();
        if let Err(error) = sent {
            self.sending_failed(error);
        }
        // For whoever waits until all is sent.
        self.call_reader();
        self.changed.wake_all();
    }

    /// Sends what is written and what is written meanwhile, and gives the right back.
    fn send_until_empty(&self) -> io::Result<()> {
        loop {
            let taken = {
                let mut state = self.state.lock();
                state.in_flight = 0;
                let done = state.outgoing.is_empty() && self.link.unsent() == 0;
                if state.life.is_over() || (done && state.eof != Eof::Asked) {
                    state.sending = false;
                    return self.written(state);
                }
                if done {
                    state.eof = Eof::Sent;
                    let _ = self.link.end_writing();
                    continue;
                }
                let taken = mem::take(&mut state.outgoing);
                state.in_flight = taken.len();
                taken
            };
            if taken.is_empty() {
                self.link.flush()?;
            }
            let mut rest = &taken[..];
            while !rest.is_empty() {
                rest = &rest[self.link.write(rest)?..];
                let mut state = self.state.lock();
                state.in_flight = rest.len();
                self.written(state)?;
            }
        }
    }
}
