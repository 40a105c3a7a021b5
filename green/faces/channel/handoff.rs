//! A value that one thread owes another.
//!
//! On a channel of capacity zero, a `select` that has chosen to send has a receiver bound to it
//! before it has the value: the value is handed in afterwards, by
//! [`SelectedOperation::send`](super::SelectedOperation::send). Until then the receiver waits here.

use greenhub::Deadline;
use greenhub::wait_queue::{ShortLock, WaitQueue};

pub(super) struct Handoff<T> {
    state: ShortLock<State<T>>,
    receiver: WaitQueue,
}

enum State<T> {
    Owed,
    Delivered(T),
    /// One side is gone, or has what it came for.
    Over,
}

impl<T> Handoff<T> {
    pub(super) fn new() -> Handoff<T> {
        Handoff {
            state: ShortLock::new(State::Owed),
            receiver: WaitQueue::new(),
        }
    }

    /// Hands the value in.
    ///
    /// # Errors
    ///
    /// Gives it back if the receiver has been killed.
    pub(super) fn deliver(&self, value: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if let State::Over = *state {
            return Err(value);
        }
        *state = State::Delivered(value);
        drop(state);
        self.receiver.wake_one();
        Ok(())
    }

    /// Waits for the value; `None` if the sender let go without handing it in.
    pub(super) fn receive(&self) -> Option<T> {
        loop {
            if !matches!(*self.state.lock(), State::Owed) {
                return self.cancel();
            }
            self.receiver
                .wait("channel: a selected send", Deadline::NEVER, || {
                    matches!(*self.state.lock(), State::Owed)
                });
        }
    }

    /// Lets go, from either side; gives what had been delivered.
    pub(super) fn cancel(&self) -> Option<T> {
        let state = std::mem::replace(&mut *self.state.lock(), State::Over);
        self.receiver.wake_one();
        match state {
            State::Delivered(value) => Some(value),
            State::Owed | State::Over => None,
        }
    }
}
