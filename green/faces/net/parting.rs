//! How a connection ends so that the peer gets all that was sent to it.

#[cfg(any(feature = "tls", feature = "backdoor"))]
mod ending;
#[cfg(feature = "http")]
mod lingering;

#[cfg(feature = "http")]
use std::time::Duration;

#[cfg(any(feature = "tls", feature = "backdoor"))]
pub(crate) use ending::end_direction;
#[cfg(feature = "http")]
pub(crate) use lingering::Lingering;

/// How much of what the peer sends is received and dropped: a peer that sends without end gets a reset.
#[cfg(any(feature = "tls", feature = "backdoor"))]
const MOST: usize = 64 * 1024;

/// The same for [`Lingering`]: a peer in the middle of a long body may not look for an answer before it has sent all.
#[cfg(feature = "http")]
const MOST_ANSWERED: usize = 256 << 20;
/// How long such a peer may be silent without ending, and how many such times it gets.
#[cfg(feature = "http")]
const SILENCE: Duration = Duration::from_secs(2);
#[cfg(feature = "http")]
const ROUNDS: u32 = 15;
