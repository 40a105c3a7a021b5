//! How large TLS records are, and how many of them a pipe holds.

use crate::io::byte_queue::LARGE;

/// The most plaintext that one TLS record carries (RFC 8446, 5.1).
pub(crate) const PLAINTEXT: usize = 16 * 1024;

/// The most that a record's header, padding and tag add to its plaintext.
pub(crate) const OVERHEAD: usize = 5 + 256;

/// How much ciphertext a pipe accepts before its engine has looked at it: four whole records, in one reception.
/// The engine takes all of it, the beginning of a record too, so that a slow peer's connection holds none.
pub(crate) const INCOMING_CAPACITY: usize = 4 * (PLAINTEXT + OVERHEAD);

/// How often an engine reads what has arrived before it must let others look: a header and a body for each of sixteen
/// records. A key update costs an engine 20 µs, and a pipe holds thousands of them.
pub(crate) const READS_AT_ONCE: u32 = 2 * 16;

/// At this amount a writer must first let ciphertext be sent: three whole records, 48 KiB of plaintext. One send of
/// them fits into one TCP segment, which the loopback interface makes as large as 65,483 bytes. Of four records, some
/// hundred bytes would be left over; the kernel may hold so few back until an acknowledgement comes, which the peer's
/// kernel may put off for 40 ms.
pub(crate) const OUTGOING_MARK: usize = 3 * (PLAINTEXT + OVERHEAD);

/// Both have storage that is used again.
const _: () = assert!(INCOMING_CAPACITY <= LARGE && OUTGOING_MARK <= LARGE);
