//! Byte buffers that travel to the blocking pool and back, and are used again.

use greenhub::wait_queue::ShortLock;

/// The size of a buffer that is kept for the next call.
const KEPT_BYTES: usize = 64 * 1024;

/// How many are kept: 4 MiB in all.
const KEPT_MAX: usize = 64;

/// What one call moves at most. Larger buffers than [`KEPT_BYTES`] are made for the call.
const BYTES_MAX: usize = 1024 * 1024;

static KEPT: ShortLock<Vec<Vec<u8>>> = ShortLock::new(Vec::new());

/// An owned buffer. Wherever it is dropped, on the pool when the caller has gone, it goes back to the kept ones.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    len: usize,
}

impl Buffer {
    /// A buffer of `wanted` bytes, or of as many as one call may move.
    pub(super) fn new(wanted: usize) -> Buffer {
        let len = wanted.min(BYTES_MAX);
        if len > KEPT_BYTES {
            return Buffer {
                bytes: vec![0; len],
                len,
            };
        }
        let kept = KEPT.lock().pop();
        Buffer {
            bytes: kept.unwrap_or_else(|| vec![0; KEPT_BYTES]),
            len,
        }
    }

    /// The bytes of `pieces` in turn, as many as one call may move.
    pub(super) fn gather<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> Buffer {
        let mut buffer = Buffer::new(pieces.clone().map(<[u8]>::len).sum());
        let mut rest = buffer.as_mut();
        for piece in pieces {
            let count = piece.len().min(rest.len());
            rest[..count].copy_from_slice(&piece[..count]);
            rest = &mut rest[count..];
        }
        buffer
    }

    /// Copies the first `count` bytes to `pieces` in turn.
    pub(super) fn scatter<'a>(&self, count: usize, pieces: impl Iterator<Item = &'a mut [u8]>) {
        let mut rest = &self.bytes[..count];
        for piece in pieces {
            let count = piece.len().min(rest.len());
            piece[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.len() == KEPT_BYTES {
            let mut kept = KEPT.lock();
            if kept.len() < KEPT_MAX {
                kept.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests;
