//! How large TLS records are, and how many of them a pipe holds.

use crate::io::byte_queue::LARGE;

/// The most plaintext that one TLS record carries (RFC 8446, 5.1).
pub(crate) const PLAINTEXT: usize = 16 * 1024;

/// The most that a record's header, padding and tag add to its plaintext.
pub(crate) const OVERHEAD: usize = 5 + 256;

/// How much ciphertext a pipe accepts before its engine has looked at it: four whole records, in one reception.
/// The engine takes all of it, the beginning of a record too, so that a slow peer's connection holds none.
pub(crate) const INCOMING_CAPACITY: usize = 4 * (PLAINTEXT + OVERHEAD);

/// Where a writer is told to let ciphertext leave: four whole records, 64 KiB of plaintext.
pub(crate) const OUTGOING_MARK: usize = 4 * (PLAINTEXT + OVERHEAD);

/// Both have storage that is used again.
const _: () = assert!(INCOMING_CAPACITY <= LARGE && OUTGOING_MARK <= LARGE);
