//! `copy` with its buffer on the heap, because a green thread's stack is small.

use std::io::{ErrorKind, Read, Result, Write};

/// What one pipe holds: larger pieces would only wait in the middle.
const PIECE_BYTES: usize = 64 * 1024;

/// Copies everything from `reader` to `writer` and returns the number of bytes.
///
/// It waits, as a green thread, for whichever of the two is not ready, and goes on after an interrupted read.
///
/// # Errors
///
/// The first error of the reader or of the writer. What was copied before stays copied.
///
/// # Differences from std
///
/// The bytes always pass through a buffer of 64 KiB, which lives on the heap.
///
/// # Examples
///
/// ```
/// let mut copied = Vec::new();
/// assert_eq!(green::io::copy(&mut &b"bytes"[..], &mut copied)?, 5);
/// assert_eq!(copied, b"bytes");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn copy<R, W>(reader: &mut R, writer: &mut W) -> Result<u64>
where
    R: Read + ?Sized,
    W: Write + ?Sized,
{
    let mut piece = vec![0; PIECE_BYTES];
    let mut copied = 0;
    loop {
        let count = match reader.read(&mut piece) {
            Ok(0) => return Ok(copied),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        writer.write_all(&piece[..count])?;
        copied += count as u64;
    }
}
