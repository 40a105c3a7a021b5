//! The channel itself: how operations try, wait, and take back.
//!
//! Everything a channel knows is its [`State`], behind one short lock that is never held across a
//! wait. An operation that cannot go on leaves an entry there and parks on its [`Context`]; whoever
//! makes it possible selects the context, and leaves what the operation is entitled to as a
//! [`Grant`] under the entry's [`Claim`]. A thread that is killed before it comes for its grant
//! gives it back.

use std::sync::Arc;

use greenhub::Deadline;
use greenhub::wait_queue::{ShortGuard, ShortLock, Wake, give_way};

use super::{
    context::Context,
    handoff::Handoff,
    readers::Readers,
    state::{Claim, Grant, Refusal, Side, State},
};

pub(super) struct Core<T> {
    state: ShortLock<State<T>>,
    readers: Arc<Readers>,
}

impl<T> Core<T> {
    pub(super) fn new(capacity: Option<usize>) -> Core<T> {
        let state = State::new(capacity);
        Core {
            readers: state.readers(),
            state: ShortLock::new(state),
        }
    }

    pub(super) fn try_send(&self, value: T) -> Result<(), (T, Refusal)> {
        self.state.lock().send(value)
    }

    /// Sends, and waits for room until the deadline.
    pub(super) fn send(&self, value: T, deadline: Deadline) -> Result<(), (T, Refusal)> {
        give_way();
        let mut state = self.state.lock();
        let value = match state.send(value) {
            Err((value, Refusal::WouldWait)) => value,
            done => return done,
        };
        let mut entry = Entry::new(self, Side::Sending, state);
        let (mut value, mut sent) = (Some(value), None);
        let selected = entry.wait("channel: send", deadline, |state| {
            match state.send(value.take()?) {
                Err((value, Refusal::WouldWait)) => Some(Some(value)),
                done => {
                    sent = Some(done);
                    None
                }
            }
        });
        let left = entry.leave();
        if let Some(done) = sent {
            return done;
        }
        match left {
            Some(Grant::Value(value)) if selected => Err((value, Refusal::Disconnected)),
            Some(Grant::Value(value)) => Err((value, Refusal::WouldWait)),
            _ => Ok(()),
        }
    }

    pub(super) fn try_recv(&self) -> Result<T, Refusal> {
        let grant = self.state.lock().receive()?;
        self.redeem(grant).ok_or(Refusal::WouldWait)
    }

    /// Receives, and waits for a value until the deadline.
    pub(super) fn recv(&self, deadline: Deadline) -> Result<T, Refusal> {
        give_way();
        loop {
            let mut state = self.state.lock();
            let grant = match state.receive() {
                Err(Refusal::WouldWait) if state.is_buffered() => {
                    state.begin_reading();
                    drop(state);
                    match self.read(deadline) {
                        (_, Some(value)) => return Ok(value),
                        (Wake::TimedOut, None) => return Err(Refusal::WouldWait),
                        (Wake::Woken | Wake::NotNeeded, None) => continue,
                    }
                }
                Err(Refusal::WouldWait) => {
                    let mut entry = Entry::new(self, Side::Receiving, state);
                    let mut received = None;
                    let selected =
                        entry.wait("channel: recv", deadline, |state| match state.receive() {
                            Err(Refusal::WouldWait) => Some(None),
                            done => {
                                received = Some(done);
                                None
                            }
                        });
                    let left = entry.leave();
                    received.unwrap_or_else(|| {
                        left.ok_or(if selected {
                            Refusal::Disconnected
                        } else {
                            Refusal::WouldWait
                        })
                    })
                }
                done => {
                    drop(state);
                    done
                }
            }?;
            if let Some(value) = self.redeem(grant) {
                return Ok(value);
            }
        }
    }

    /// Waits for a value in the queue of readers.
    fn read(&self, deadline: Deadline) -> (Wake, Option<T>) {
        let reading = Reading(self);
        let wake = self.readers.wait(deadline);
        std::mem::forget(reading);
        let value = self.state.lock().end_reading(wake == Wake::Woken);
        (wake, value)
    }

    /// Receives what a `select` was granted.
    pub(super) fn recv_claimed(&self, claim: Claim) -> Result<T, Refusal> {
        let grant = self.state.lock().collect(Side::Receiving, claim);
        match self.redeem(grant.ok_or(Refusal::Disconnected)?) {
            Some(value) => Ok(value),
            // The `select` on the other side let go of it.
            None => self.recv(Deadline::NEVER),
        }
    }

    /// Sends by what a `select` was granted.
    pub(super) fn send_claimed(&self, claim: Claim, value: T) -> Result<(), T> {
        let mut state = self.state.lock();
        match state.collect(Side::Sending, claim) {
            Some(Grant::Place) => state.send_reserved(value),
            Some(Grant::Owed(handoff)) => {
                drop(state);
                match handoff.deliver(value) {
                    Ok(()) => Ok(()),
                    // That receiver was killed: as if it had been just after.
                    Err(value) => self.state.lock().put_back(value).map_or(Ok(()), Err),
                }
            }
            Some(Grant::Value(_)) | None => Err(value),
        }
    }

    /// Tries an operation for a `select`. `Some` if it is selected: what it is entitled to waits
    /// under the claim.
    pub(super) fn try_select(&self, side: Side) -> Option<Claim> {
        let mut state = self.state.lock();
        let granted = match side {
            Side::Receiving => state.receive(),
            Side::Sending => state.reserve(),
        };
        if let Err(Refusal::WouldWait) = granted {
            return None;
        }
        let claim = state.new_claim();
        if let Ok(grant) = granted {
            state.grant(claim, grant);
        }
        Some(claim)
    }

    /// Queues an operation of a `select`; `None` if it can go on at once.
    pub(super) fn register(
        &self,
        side: Side,
        context: &Arc<Context>,
        operation: usize,
    ) -> Option<Claim> {
        let mut state = self.state.lock();
        if state.is_ready(side, Some(context)) {
            return None;
        }
        Some(state.queue(side, context, operation, None))
    }

    /// Lets `context` be selected when `side` may have become ready; `None` if it is ready now.
    pub(super) fn watch(
        &self,
        side: Side,
        context: &Arc<Context>,
        operation: usize,
    ) -> Option<Claim> {
        let mut state = self.state.lock();
        if state.is_ready(side, None) {
            return None;
        }
        Some(state.watch(side, context, operation))
    }

    /// Ends an operation, and gives back what it was granted.
    pub(super) fn cancel(&self, side: Side, claim: Claim) {
        // Values may do anything when they are dropped, so not under the lock.
        let left_over = self.state.lock().cancel(side, claim);
        drop(left_over);
    }

    pub(super) fn is_ready(&self, side: Side) -> bool {
        self.state.lock().is_ready(side, None)
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().len()
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.state.lock().capacity()
    }

    pub(super) fn add_handle(&self, side: Side) {
        self.state.lock().add_handle(side);
    }

    pub(super) fn remove_handle(&self, side: Side) {
        let left_over = self.state.lock().remove_handle(side);
        drop(left_over);
    }

    /// The value that a receiver was granted, waited for if it is owed. `None` if a `select` let go
    /// of it.
    fn redeem(&self, grant: Grant<T>) -> Option<T> {
        match grant {
            Grant::Value(value) => Some(value),
            Grant::Owed(handoff) => {
                let owed = Owed {
                    core: self,
                    handoff: &handoff,
                };
                let value = handoff.receive();
                std::mem::forget(owed);
                value
            }
            Grant::Place => unreachable!("places are granted to senders"),
        }
    }
}

/// A receiver in the queue of readers. If it is killed there, it has not been woken.
struct Reading<'a, T>(&'a Core<T>);

impl<T> Drop for Reading<'_, T> {
    fn drop(&mut self) {
        self.0.state.lock().end_reading(false);
    }
}

/// A thread's place in a queue while it waits for one operation. If it is killed there, it leaves,
/// and what it was granted in the meantime goes to another.
struct Entry<'a, T> {
    core: &'a Core<T>,
    side: Side,
    /// `None` until it has queued.
    claim: Option<Claim>,
    /// `None` once it has left.
    context: Option<Arc<Context>>,
}

impl<'a, T> Entry<'a, T> {
    fn new(core: &'a Core<T>, side: Side, mut state: ShortGuard<'_, State<T>>) -> Entry<'a, T> {
        Entry {
            core,
            side,
            claim: None,
            context: Some(state.context()),
        }
    }

    /// Parks until it is selected; false if the deadline passed before. `last_look` runs just before it
    /// queues, and gives what to queue with: for a sender, its value. `None` if there is nothing to
    /// wait for any more.
    fn wait(
        &mut self,
        what: &'static str,
        deadline: Deadline,
        last_look: impl FnOnce(&mut State<T>) -> Option<Option<T>>,
    ) -> bool {
        let Some(context) = &self.context else {
            return false;
        };
        let enter = || {
            let mut state = self.core.state.lock();
            let queued =
                last_look(&mut state).map(|value| state.queue(self.side, context, 0, value));
            self.claim = queued;
            queued.is_some()
        };
        context.wait(what, deadline, enter).is_some()
    }

    /// Leaves with what was granted, or with the value that was not sent.
    fn leave(mut self) -> Option<Grant<T>> {
        let mut state = self.core.state.lock();
        let granted = (self.claim).and_then(|claim| state.collect(self.side, claim));
        if let Some(context) = self.context.take() {
            state.keep(context);
        }
        granted
    }
}

impl<T> Drop for Entry<'_, T> {
    fn drop(&mut self) {
        if let Some(context) = &self.context {
            context.withdraw();
            if let Some(claim) = self.claim {
                self.core.cancel(self.side, claim);
            }
        }
    }
}

/// A receiver that waits for a value it is owed. If it is killed, the value goes to another.
struct Owed<'a, T> {
    core: &'a Core<T>,
    handoff: &'a Handoff<T>,
}

impl<T> Drop for Owed<'_, T> {
    fn drop(&mut self) {
        if let Some(value) = self.handoff.cancel() {
            let left_over = self.core.state.lock().put_back(value);
            drop(left_over);
        }
    }
}
