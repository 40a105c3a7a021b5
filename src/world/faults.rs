//! What the simulated network does to a program.

use std::ops::Range;
use std::time::Duration;

/// What the network of a simulation does, and how often. A chance is from 0 (never) to 1 (each time); the seed decides
/// when it happens.
///
/// ```
/// use green::sim::{Faults, Simulation};
/// use green::{net::{TcpListener, TcpStream}, thread};
///
/// let mut faults = Faults::mild();
/// faults.refused = 1.0;
/// let outcome = Simulation::new(1).faults(faults).run(|| {
///     let listener = TcpListener::bind("10.0.0.1:80").unwrap();
///     TcpStream::connect(listener.local_addr().unwrap()).unwrap_err().kind()
/// });
/// assert_eq!(outcome.result.unwrap(), std::io::ErrorKind::ConnectionRefused);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// How long a piece of a TCP stream or a datagram is under way.
    pub latency: Range<Duration>,
    /// How many bytes that are sent and not yet read one direction of a stream can hold. Chosen for each connection.
    pub buffer: Range<usize>,
    /// The chance that a send takes only a part, and that what it took arrives in several pieces.
    pub short: f64,
    /// The chance that a call finds nothing although there is something; its readiness is reported a moment later.
    pub would_block: f64,
    /// The chance that a call is interrupted, as by a signal: an error of kind `Interrupted`.
    pub interrupted: f64,
    /// The chance that after a call readiness is reported that is false.
    pub spurious: f64,
    /// The chance that a piece of a TCP stream is followed by the reset of its connection, at both ends.
    pub reset: f64,
    /// The chance that a piece of a TCP stream finds the connection silent: nothing gets through, either way, for a
    /// while.
    pub silence: f64,
    /// How long the silence lasts.
    pub silence_for: Range<Duration>,
    /// The chance that a piece of a TCP stream, an attempt at a connection or a datagram finds the network cut between the two machines, as by
    /// [`partition`](crate::sim::partition). Only between different addresses: see [`on_machine`](crate::sim::on_machine).
    pub partition: f64,
    /// How long such a cut lasts.
    pub partition_for: Range<Duration>,
    /// The chance that a TCP connection is refused although somebody listens.
    pub refused: f64,
    /// The chance that a new socket, also an accepted one, finds no descriptor left (EMFILE).
    pub no_descriptor: f64,
    /// The chance that a datagram is lost. Those of Unix sockets are not.
    pub lost: f64,
    /// The chance that a datagram arrives twice.
    pub doubled: f64,
    /// The most connections that can wait to be accepted, whatever `listen` was given. TCP clients that find no room
    /// try again after a second, two, four and so on.
    pub backlog: usize,
    /// Local ports for those who do not ask for one.
    pub ports: Range<u16>,
    /// The chance that the look-up of a name fails for now.
    pub no_answer: f64,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Faults {
    /// None: whatever is sent arrives within a tenth of a millisecond, in one piece if it fits.
    pub fn none() -> Faults {
        Faults {
            latency: Duration::ZERO..Duration::from_micros(100),
            buffer: 256 * 1024..256 * 1024 + 1,
            short: 0.0,
            would_block: 0.0,
            interrupted: 0.0,
            spurious: 0.0,
            reset: 0.0,
            silence: 0.0,
            silence_for: ms(100)..ms(60_000),
            partition: 0.0,
            partition_for: ms(100)..ms(60_000),
            refused: 0.0,
            no_descriptor: 0.0,
            lost: 0.0,
            doubled: 0.0,
            backlog: usize::MAX,
            ports: 32_768..61_000,
            no_answer: 0.0,
        }
    }

    /// Faults that must not disturb any program: latency, small buffers, pieces of any size, readiness that is late or
    /// false.
    pub fn mild() -> Faults {
        Faults {
            latency: Duration::ZERO..ms(5),
            buffer: 1..100_000,
            short: 0.2,
            would_block: 0.05,
            spurious: 0.05,
            ..Faults::none()
        }
    }

    /// In addition, faults that every program must handle: interrupted calls, resets, silence, partitions, refusals, lost and
    /// doubled datagrams, short queues, no descriptors and no answers now and then.
    pub fn harsh() -> Faults {
        Faults {
            interrupted: 0.02,
            reset: 0.01,
            silence: 0.01,
            partition: 0.005,
            refused: 0.1,
            no_descriptor: 0.02,
            lost: 0.1,
            doubled: 0.05,
            backlog: 2,
            no_answer: 0.1,
            ..Faults::mild()
        }
    }
}

impl Default for Faults {
    /// As [`mild`](Faults::mild).
    fn default() -> Faults {
        Faults::mild()
    }
}
