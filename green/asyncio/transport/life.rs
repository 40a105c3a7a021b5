//! The state of a connection, from open to over.
//!
//! | life | what goes on | who moves it, and where to |
//! |---|---|---|
//! | `Open` | bytes are received and sent | `close`, by us, or by the peer's end: `Closing`; a failure to send: `Broken`; anything else that ends it at once: `Over` |
//! | `Closing` | nothing more is received; what was written is sent, then the connection is ended | the reader, once all is done or the time is up, `abort`, or a failure: `Over` |
//! | `Broken` | nothing more is sent; what the peer has sent before is delivered | the reader, once that is done, `abort`, or another failure: `Over` |
//! | `Over` | nothing | |
//!
//! It never goes back. The protocol is told the first cause.

use greenhub::Deadline;
use std::io;
use std::mem;

#[derive(Debug)]
pub(super) enum Life {
    Open,
    Closing {
        by: Ender,
        /// When TLS must have ended; never, if the limit is too long for the clock, and without TLS.
        deadline: Deadline,
    },
    /// Sending has failed with this error, which is the peer's or the network's doing.
    Broken(io::Error),
    Over {
        by: Ender,
        /// For `connection_lost`, which takes it; none for an end in order, and for `abort`.
        cause: Option<io::Error>,
        /// Whether all that was written was sent, as far as we know.
        all_sent: bool,
    },
}

/// Who brought the end about, at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ender {
    Ours,
    /// The peer's, or the network's.
    Theirs,
}

impl Life {
    /// Whether it is coming to an end, or has come there: no more is to be received, and nothing written.
    pub(super) fn is_ending(&self) -> bool {
        !matches!(self, Life::Open)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Life::Over { .. })
    }

    /// Whether something that was written was not sent, as far as we know.
    pub(super) fn has_lost(&self) -> bool {
        match self {
            Life::Open | Life::Closing { .. } => false,
            Life::Broken(_) => true,
            Life::Over { all_sent, .. } => !all_sent,
        }
    }

    /// Who ends it, if it is ending.
    pub(super) fn ended_by(&self) -> Option<Ender> {
        match self {
            Life::Open => None,
            Life::Closing { by, .. } | Life::Over { by, .. } => Some(*by),
            Life::Broken(_) => Some(Ender::Theirs),
        }
    }

    pub(super) fn deadline(&self) -> Deadline {
        match self {
            Life::Closing { deadline, .. } => *deadline,
            _ => Deadline::NEVER,
        }
    }

    /// Begins the end in order; false if it has begun.
    pub(super) fn close(&mut self, by: Ender, deadline: Deadline) -> bool {
        let open = matches!(self, Life::Open);
        if open {
            *self = Life::Closing { by, deadline };
        }
        open
    }

    /// Ends it now; false if it is over. `all_sent`: whether nothing is left that was written. What is left of `cause`
    /// was not the first: it may be a user's error, which is dropped without the lock.
    pub(super) fn end(&mut self, by: Ender, cause: &mut Option<io::Error>, all_sent: bool) -> bool {
        if self.is_over() {
            return false;
        }
        let by = self.ended_by().unwrap_or(by);
        let all_sent = all_sent && cause.is_none() && !self.has_lost();
        let cause = match mem::replace(self, Life::Open) {
            Life::Broken(first) => Some(first),
            _ => cause.take(),
        };
        *self = Life::Over {
            by,
            cause,
            all_sent,
        };
        true
    }

    /// What ended it, once.
    pub(super) fn take_cause(&mut self) -> Option<io::Error> {
        match self {
            Life::Over { cause, .. } => cause.take(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: io::ErrorKind) -> io::Error {
        kind.into()
    }

    #[test]
    fn the_first_to_end_a_connection_is_the_one_who_did() {
        let mut life = Life::Open;
        assert!(
            life.close(Ender::Theirs, Deadline::NEVER) && !life.close(Ender::Ours, Deadline::NEVER)
        );
        assert!(life.is_ending() && !life.is_over());
        assert!(life.end(Ender::Ours, &mut None, true) && !life.end(Ender::Ours, &mut None, false));
        assert_eq!(life.ended_by(), Some(Ender::Theirs));
        assert!(life.is_over() && !life.has_lost());
    }

    #[test]
    fn the_first_cause_is_told_and_only_once() {
        let mut life = Life::Broken(error(io::ErrorKind::BrokenPipe));
        assert!(life.has_lost() && life.ended_by() == Some(Ender::Theirs));
        assert!(life.end(Ender::Ours, &mut Some(error(io::ErrorKind::Other)), true));
        assert!(!life.end(Ender::Ours, &mut Some(error(io::ErrorKind::TimedOut)), true));
        assert_eq!(life.take_cause().unwrap().kind(), io::ErrorKind::BrokenPipe);
        assert!(life.take_cause().is_none() && life.has_lost());
    }

    #[test]
    fn a_failure_counts_as_a_loss_though_nothing_was_left_to_send() {
        let mut life = Life::Open;
        assert!(life.end(
            Ender::Theirs,
            &mut Some(error(io::ErrorKind::ConnectionReset)),
            true
        ));
        assert!(life.has_lost());
        let mut life = Life::Open;
        assert!(life.end(Ender::Ours, &mut None, false) && life.has_lost());
    }
}
