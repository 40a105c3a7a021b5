//! What happened in a simulation: who ran when, and what the network did.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// How many of the last events are kept as text.
const KEPT: usize = 2_000;

/// What happened in a simulation, in order: who ran when, and what the network did.
///
/// It prints as text, a line for each event: the last two thousand. Two runs in which the same things happened at
/// the same moments have the same [`fingerprint`](Trace::fingerprint).
///
/// ```
/// use green::sim::Simulation;
/// use green::thread;
///
/// let program = || thread::spawn(|| 1).join().unwrap();
/// let (first, second) = (Simulation::new(7).run(program), Simulation::new(7).run(program));
/// assert_eq!(first.trace.fingerprint(), second.trace.fingerprint());
/// println!("{}", first.trace);
/// ```
#[derive(Clone, Debug)]
pub struct Trace {
    last: VecDeque<TraceEvent>,
    count: u64,
    hash: u64,
}

impl Default for Trace {
    fn default() -> Trace {
        Trace {
            last: VecDeque::new(),
            count: 0,
            hash: FNV_BASIS,
        }
    }
}

/// Whom an event is about, by a number of the simulation's own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject {
    Thread(u32),
    Socket(u32),
    Network,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct TraceEvent {
    /// Nanoseconds since the simulation began.
    at: u64,
    who: Subject,
    what: &'static str,
    amount: u64,
}

impl TraceEvent {
    pub(super) fn new(at: u64, who: Subject, what: &'static str) -> TraceEvent {
        TraceEvent {
            at,
            who,
            what,
            amount: 0,
        }
    }

    /// Bytes, or whatever `what` ends in.
    pub(super) fn with(self, amount: u64) -> TraceEvent {
        TraceEvent { amount, ..self }
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

impl Trace {
    pub(super) fn add(&mut self, event: TraceEvent) {
        self.count += 1;
        let (kind, number) = match event.who {
            Subject::Thread(number) => (0, number),
            Subject::Socket(number) => (1, number),
            Subject::Network => (2, 0),
        };
        self.hash(&event.at.to_le_bytes());
        self.hash(&[kind]);
        self.hash(&number.to_le_bytes());
        self.hash(event.what.as_bytes());
        self.hash(&event.amount.to_le_bytes());
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(event);
    }

    /// FNV-1a.
    fn hash(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
    }

    /// A number that stands for all that happened, including what is not kept as text.
    pub fn fingerprint(&self) -> u64 {
        self.hash
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.count
    }
}

impl fmt::Display for Trace {
    /// The last events, a line each; with a precision, as in `{:.20}`, no more of them than that.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.last.len().min(f.precision().unwrap_or(KEPT));
        let left_out = self.count - shown as u64;
        if left_out > 0 {
            writeln!(f, "({left_out} earlier events are not shown)")?;
        }
        let mut shown = self.last.iter().skip(self.last.len() - shown);
        shown.try_for_each(|event| writeln!(f, "{event}"))
    }
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Duration::from_nanos(self.at);
        write!(f, "{:>16.6?} ", at)?;
        match self.who {
            Subject::Thread(number) => write!(f, "thread {number}")?,
            Subject::Socket(0) => write!(f, "a new socket")?,
            Subject::Socket(number) => write!(f, "socket {number}")?,
            Subject::Network => write!(f, "the network")?,
        }
        write!(f, " {}", self.what)?;
        match self.amount {
            0 => Ok(()),
            amount => write!(f, " {amount}"),
        }
    }
}
