//! What a channel knows, and every change to it.
//!
//! A value passes by the first of these ways that is open:
//!
//! 1. to the receiver that has waited longest, threads in `recv` and threads in a `select` in turn;
//! 2. into the buffer, if it has room;
//! 3. into its sender's entry in the queue of senders, from where a receiver takes it (no buffer)
//!    or moves it into the buffer (as soon as it has made room).
//!
//! So a channel of capacity zero is no special case, values come out in the order in which they
//! went in, and a value is always owned by exactly one of: a sender, the buffer, a receiver.

use std::{collections::VecDeque, sync::Arc};

use super::{context::Context, handoff::Handoff, readers::Readers};

pub(super) struct State<T> {
    buffer: VecDeque<T>,
    capacity: Option<usize>,
    /// Places in the buffer that are promised to a `select` which has chosen to send.
    reserved: usize,
    /// Living [`Sender`](super::Sender)s.
    senders: usize,
    /// Living [`Receiver`](super::Receiver)s.
    receivers: usize,
    sending: VecDeque<Waiter<T>>,
    receiving: VecDeque<Waiter<T>>,
    readers: Arc<Readers>,
    /// How many threads are in `readers`, or on their way there or back.
    reading: usize,
    /// A value for each of those that has been woken, unless the last sender's end woke it.
    handed: VecDeque<T>,
    /// Whether the next value goes to one in `receiving` although one in `readers` waits as well.
    select_is_next: bool,
    /// Who wants to know when a side becomes ready, without taking part.
    watching: Vec<(Side, Waiter<T>)>,
    granted: Vec<(Claim, Grant<T>)>,
    last_claim: Claim,
    /// For the next thread that waits here for one operation.
    spare: Option<Arc<Context>>,
}

/// Names one operation of one thread on one channel.
pub(super) type Claim = u64;

/// A thread that waits for one operation.
struct Waiter<T> {
    context: Arc<Context>,
    operation: usize,
    claim: Claim,
    /// What a sender sends; a `select` does not say before it is selected.
    value: Option<T>,
}

/// What an operation that was selected is entitled to. None at all: the channel is disconnected.
pub(super) enum Grant<T> {
    /// Received, or given back to the sender because it was not sent.
    Value(T),
    /// A place in the buffer.
    Place,
    /// A value that will follow, or a receiver that waits for it.
    Owed(Arc<Handoff<T>>),
}

/// Why an operation did not take place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Refusal {
    WouldWait,
    Disconnected,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Side {
    Sending,
    Receiving,
}

impl<T> State<T> {
    pub(super) fn new(capacity: Option<usize>) -> State<T> {
        State {
            buffer: VecDeque::new(),
            capacity,
            reserved: 0,
            senders: 1,
            receivers: 1,
            sending: VecDeque::new(),
            receiving: VecDeque::new(),
            readers: Arc::default(),
            reading: 0,
            handed: VecDeque::new(),
            select_is_next: false,
            watching: Vec::new(),
            granted: Vec::new(),
            last_claim: 0,
            spare: None,
        }
    }

    pub(super) fn send(&mut self, value: T) -> Result<(), (T, Refusal)> {
        if self.receivers == 0 {
            return Err((value, Refusal::Disconnected));
        }
        let Err(value) = self.hand_over(value) else {
            return Ok(());
        };
        if !self.has_room() {
            return Err((value, Refusal::WouldWait));
        }
        self.buffer.push_back(value);
        self.notify(Side::Receiving);
        Ok(())
    }

    pub(super) fn receive(&mut self) -> Result<Grant<T>, Refusal> {
        if let Some(value) = self.buffer.pop_front() {
            let value = self.in_turn(value);
            self.fill_room();
            return Ok(Grant::Value(value));
        }
        match self.next_sender() {
            Some(Waiter {
                value: Some(value), ..
            }) => Ok(Grant::Value(self.in_turn(value))),
            Some(sender) => Ok(self.owe(sender.claim)),
            None if self.senders == 0 => Err(Refusal::Disconnected),
            None => Err(Refusal::WouldWait),
        }
    }

    /// Keeps for a `select` what it needs to send later without waiting.
    pub(super) fn reserve(&mut self) -> Result<Grant<T>, Refusal> {
        if self.receivers == 0 {
            return Err(Refusal::Disconnected);
        }
        if self.has_room() {
            self.reserved += 1;
            return Ok(Grant::Place);
        }
        if self.capacity == Some(0)
            && let Some(receiver) = next_waiter(&mut self.receiving)
        {
            return Ok(self.owe(receiver.claim));
        }
        Err(Refusal::WouldWait)
    }

    /// Sends to a place that was reserved.
    pub(super) fn send_reserved(&mut self, value: T) -> Result<(), T> {
        self.reserved -= 1;
        if self.receivers == 0 {
            return Err(value);
        }
        match self.hand_over(value) {
            Ok(()) => self.fill_room(),
            Err(value) => {
                self.buffer.push_back(value);
                self.notify(Side::Receiving);
            }
        }
        Ok(())
    }

    /// Queues an operation that [`send`](State::send), [`receive`](State::receive) or
    /// [`reserve`](State::reserve) just refused.
    pub(super) fn queue(
        &mut self,
        side: Side,
        context: &Arc<Context>,
        operation: usize,
        value: Option<T>,
    ) -> Claim {
        let waiter = self.waiter(context, operation, value);
        let claim = waiter.claim;
        self.queue_of(side).push_back(waiter);
        // With no buffer, one who waits is what the other side watches for.
        self.notify(side.other());
        claim
    }

    /// Lets `context` be selected as soon as something happens that may make `side` ready.
    pub(super) fn watch(&mut self, side: Side, context: &Arc<Context>, operation: usize) -> Claim {
        let waiter = self.waiter(context, operation, None);
        let claim = waiter.claim;
        self.watching.push((side, waiter));
        claim
    }

    /// Takes what was granted under the claim; or, for a sender nobody came for, its own value.
    pub(super) fn collect(&mut self, side: Side, claim: Claim) -> Option<Grant<T>> {
        if let Some(place) = self.granted.iter().position(|(other, _)| *other == claim) {
            return Some(self.granted.swap_remove(place).1);
        }
        let queue = self.queue_of(side);
        if let Some(place) = queue.iter().position(|waiter| waiter.claim == claim) {
            return queue.remove(place)?.value.map(Grant::Value);
        }
        self.watching.retain(|(_, waiter)| waiter.claim != claim);
        None
    }

    /// Ends an operation without using what it was granted. The value that is left over, if any, is
    /// for the caller to drop once the lock is released.
    pub(super) fn cancel(&mut self, side: Side, claim: Claim) -> Option<T> {
        match self.collect(side, claim)? {
            Grant::Value(value) if side == Side::Sending => Some(value),
            Grant::Value(value) => self.put_back(value),
            Grant::Place => {
                self.reserved -= 1;
                self.fill_room();
                None
            }
            Grant::Owed(handoff) => self.put_back(handoff.cancel()?),
        }
    }

    /// Puts a value back that was taken out for a receiver which was killed before it took it: it is
    /// the next to go out. Returns it if there is no receiver left.
    pub(super) fn put_back(&mut self, value: T) -> Option<T> {
        let value = self.hand_over(value).err()?;
        if self.receivers == 0 {
            return Some(value);
        }
        self.buffer.push_front(value);
        self.notify(Side::Receiving);
        None
    }

    /// Gives the value to the receiver that has waited longest, or back.
    fn hand_over(&mut self, value: T) -> Result<(), T> {
        let to_select = self.reading == 0 || self.select_is_next;
        if self.reading > 0 && !self.receiving.is_empty() {
            self.select_is_next = !to_select;
        }
        if to_select {
            self.hand_to_select(value)
                .or_else(|value| self.hand_to_reader(value))
        } else {
            self.hand_to_reader(value)
                .or_else(|value| self.hand_to_select(value))
        }
    }

    fn hand_to_select(&mut self, value: T) -> Result<(), T> {
        match next_waiter(&mut self.receiving) {
            Some(receiver) => {
                let value = self.in_turn(value);
                self.grant(receiver.claim, Grant::Value(value));
                Ok(())
            }
            None => Err(value),
        }
    }

    /// The value that a thread which takes `value` now gets: for readers that were woken and have
    /// not come yet, older values are put aside, and any value will do for them. So a thread that
    /// takes two gets the older one first.
    fn in_turn(&mut self, value: T) -> T {
        match self.handed.pop_front() {
            Some(older) => {
                self.handed.push_back(value);
                older
            }
            None => value,
        }
    }

    fn hand_to_reader(&mut self, value: T) -> Result<(), T> {
        if self.reading > 0 && self.readers.wake_one() {
            self.handed.push_back(value);
            Ok(())
        } else {
            Err(value)
        }
    }

    /// Whether receivers wait in [`readers`](State::readers). With no buffer, a `select` that would
    /// send must know exactly who waits.
    pub(super) fn is_buffered(&self) -> bool {
        self.capacity != Some(0)
    }

    /// A receiver that was refused is about to wait in [`readers`](State::readers).
    pub(super) fn begin_reading(&mut self) {
        self.reading += 1;
        self.readers.prepare();
    }

    /// It is back. `woken` tells whether it was chosen there: then a value has been put aside for
    /// it, or it is to try again.
    pub(super) fn end_reading(&mut self, woken: bool) -> Option<T> {
        self.reading -= 1;
        if woken { self.handed.pop_front() } else { None }
    }

    pub(super) fn readers(&self) -> Arc<Readers> {
        Arc::clone(&self.readers)
    }

    pub(super) fn grant(&mut self, claim: Claim, grant: Grant<T>) {
        self.granted.push((claim, grant));
    }

    /// Whether an operation would go on without waiting, be it with an error. A thread's own
    /// entries, under `context`, are no partners for it.
    pub(super) fn is_ready(&self, side: Side, context: Option<&Arc<Context>>) -> bool {
        let is_partner = |waiter: &Waiter<T>| {
            waiter.context.is_waiting()
                && context.is_none_or(|own| !Arc::ptr_eq(own, &waiter.context))
        };
        match side {
            Side::Receiving => {
                !self.buffer.is_empty() || self.senders == 0 || self.sending.iter().any(is_partner)
            }
            Side::Sending => {
                self.has_room()
                    || self.receivers == 0
                    || self.capacity == Some(0) && self.receiving.iter().any(is_partner)
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity
    }

    pub(super) fn is_connected(&self, side: Side) -> bool {
        match side {
            Side::Sending => self.senders > 0,
            Side::Receiving => self.receivers > 0,
        }
    }

    pub(super) fn add_handle(&mut self, side: Side) {
        *self.handles(side) += 1;
    }

    /// One sender or receiver less. Returns the buffered values if nobody is left to receive them,
    /// for the caller to drop once the lock is released.
    pub(super) fn remove_handle(&mut self, side: Side) -> VecDeque<T> {
        *self.handles(side) -= 1;
        if self.is_connected(side) {
            return VecDeque::new();
        }
        // The other side waits in vain now.
        if side == Side::Sending && self.reading > 0 {
            self.readers.wake_all();
        }
        for waiter in std::mem::take(self.queue_of(side.other())) {
            waiter.context.select(waiter.operation);
            if let Some(value) = waiter.value {
                self.grant(waiter.claim, Grant::Value(value));
            }
        }
        self.notify(side.other());
        match side {
            Side::Sending => VecDeque::new(),
            Side::Receiving => std::mem::take(&mut self.buffer),
        }
    }

    fn has_room(&self) -> bool {
        self.capacity
            .is_none_or(|capacity| self.buffer.len() + self.reserved < capacity)
    }

    /// Lets senders that wait move up into the room there is.
    fn fill_room(&mut self) {
        while self.has_room() {
            match self.next_sender() {
                Some(Waiter {
                    value: Some(value), ..
                }) => self.buffer.push_back(value),
                Some(sender) => {
                    self.reserved += 1;
                    self.grant(sender.claim, Grant::Place);
                }
                None => return self.notify(Side::Sending),
            }
        }
    }

    /// The sender that has waited longest, selected and out of the queue.
    fn next_sender(&mut self) -> Option<Waiter<T>> {
        while let Some(waiter) = self.sending.pop_front() {
            if waiter.context.select(waiter.operation) {
                return Some(waiter);
            }
            // On its way out: it comes for its value.
            if let Some(value) = waiter.value {
                self.grant(waiter.claim, Grant::Value(value));
            }
        }
        None
    }

    /// Binds a `select` and its partner: one grant goes to `partner`, the other is returned.
    fn owe(&mut self, partner: Claim) -> Grant<T> {
        let handoff = Arc::new(Handoff::new());
        self.grant(partner, Grant::Owed(Arc::clone(&handoff)));
        Grant::Owed(handoff)
    }

    fn notify(&mut self, side: Side) {
        self.watching.retain(|(watched, waiter)| {
            let keep = *watched != side;
            if !keep {
                waiter.context.select(waiter.operation);
            }
            keep
        });
    }

    fn waiter(&mut self, context: &Arc<Context>, operation: usize, value: Option<T>) -> Waiter<T> {
        Waiter {
            context: Arc::clone(context),
            operation,
            claim: self.new_claim(),
            value,
        }
    }

    /// A context for a thread that waits for one operation of this channel.
    pub(super) fn context(&mut self) -> Arc<Context> {
        self.spare
            .take()
            .unwrap_or_else(|| Arc::new(Context::new()))
    }

    /// Takes the context of a wait that is over, and of its entry.
    pub(super) fn keep(&mut self, mut context: Arc<Context>) {
        if Context::renew(&mut context) {
            self.spare = Some(context);
        }
    }

    pub(super) fn new_claim(&mut self) -> Claim {
        self.last_claim += 1;
        self.last_claim
    }

    fn queue_of(&mut self, side: Side) -> &mut VecDeque<Waiter<T>> {
        match side {
            Side::Sending => &mut self.sending,
            Side::Receiving => &mut self.receiving,
        }
    }

    fn handles(&mut self, side: Side) -> &mut usize {
        match side {
            Side::Sending => &mut self.senders,
            Side::Receiving => &mut self.receivers,
        }
    }
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Sending => Side::Receiving,
            Side::Receiving => Side::Sending,
        }
    }
}

/// The waiter that has waited longest, selected and out of the queue.
fn next_waiter<T>(queue: &mut VecDeque<Waiter<T>>) -> Option<Waiter<T>> {
    while let Some(waiter) = queue.pop_front() {
        if waiter.context.select(waiter.operation) {
            return Some(waiter);
        }
    }
    None
}
