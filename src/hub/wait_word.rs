//! The wait word: one atomic that decides which of several wakers ends a wait.
//!
//! A thread (green or OS) that is about to wait opens a *ticket*. Whoever wants
//! to wake it must still find that ticket open: the first compare-and-swap
//! wins and says why, and every later one, and every one with an old ticket,
//! does nothing.
//!
//! | phase         | means                                      | entered by          |
//! |---------------|--------------------------------------------|---------------------|
//! | `Running`     | not waiting                                | the thread itself   |
//! | `Open`        | waiting, a kill may end it                 | the thread itself   |
//! | `OpenMasked`  | waiting, a kill may not                    | the thread itself   |
//! | `Event`       | what it waited for has happened            | a waker             |
//! | `TimedOut`    | the deadline passed                        | its hub, or itself  |
//! | `Interrupted` | it is being killed                         | a killer            |
//! | `Polled`      | poll(2) says that its descriptor is ready  | the OS thread itself|
//!
//! A waker that wins must also schedule the thread, exactly once; the thread
//! must then suspend exactly once for it.

use std::sync::atomic::{AtomicU64, Ordering};

/// One wait of one thread.
pub(crate) type Ticket = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    Running = 0,
    Open = 1,
    OpenMasked = 2,
    Event = 3,
    TimedOut = 4,
    Interrupted = 5,
    Polled = 6,
}

const PHASE_BITS: u32 = 3;
const PHASE_MASK: u64 = (1 << PHASE_BITS) - 1;

#[derive(Debug, Default)]
pub(crate) struct WaitWord(AtomicU64);

impl WaitWord {
    /// Opens the next ticket. Only the thread itself may call this.
    pub(crate) fn open(&self, masked: bool) -> Ticket {
        let ticket = (self.0.load(Ordering::Relaxed) >> PHASE_BITS) + 1;
        let phase = if masked {
            Phase::OpenMasked
        } else {
            Phase::Open
        };
        // SeqCst pairs with the killer's, who sets its flag and then looks
        // here, while the thread opens and then looks at the flag.
        self.0.swap(pack(ticket, phase), Ordering::SeqCst);
        ticket
    }

    /// Ends the wait of `ticket` for the reason `why`, if it is still open.
    pub(crate) fn close(&self, ticket: Ticket, why: Phase) -> bool {
        let mut seen = self.0.load(Ordering::SeqCst);
        loop {
            let open = match phase(seen) {
                Phase::Open => true,
                Phase::OpenMasked => why != Phase::Interrupted,
                _ => false,
            };
            if !open || seen >> PHASE_BITS != ticket {
                return false;
            }
            match self.0.compare_exchange_weak(
                seen,
                pack(ticket, why),
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// The ticket now open, if any.
    pub(crate) fn open_ticket(&self) -> Option<Ticket> {
        let seen = self.0.load(Ordering::SeqCst);
        matches!(phase(seen), Phase::Open | Phase::OpenMasked).then_some(seen >> PHASE_BITS)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open_ticket().is_some()
    }

    pub(crate) fn phase(&self) -> Phase {
        phase(self.0.load(Ordering::Acquire))
    }
}

fn pack(ticket: Ticket, phase: Phase) -> u64 {
    ticket << PHASE_BITS | phase as u64
}

fn phase(word: u64) -> Phase {
    match word & PHASE_MASK {
        0 => Phase::Running,
        1 => Phase::Open,
        2 => Phase::OpenMasked,
        3 => Phase::Event,
        4 => Phase::TimedOut,
        5 => Phase::Interrupted,
        _ => Phase::Polled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_ticket_wakes_nobody() {
        let word = WaitWord::default();
        let first = word.open(false);
        assert!(word.close(first, Phase::TimedOut));
        let second = word.open(false);
        assert!(!word.close(first, Phase::Event));
        assert_eq!(word.open_ticket(), Some(second));
    }

    #[test]
    fn the_first_waker_wins() {
        let word = WaitWord::default();
        let ticket = word.open(false);
        assert!(word.close(ticket, Phase::Event));
        assert!(!word.close(ticket, Phase::TimedOut));
        assert_eq!(word.phase(), Phase::Event);
        assert_eq!(word.open_ticket(), None);
    }

    #[test]
    fn a_masked_wait_is_not_interrupted() {
        let word = WaitWord::default();
        let ticket = word.open(true);
        assert!(!word.close(ticket, Phase::Interrupted));
        assert!(word.close(ticket, Phase::Event));
    }
}
