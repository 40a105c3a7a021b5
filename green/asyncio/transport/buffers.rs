//! Buffers to receive into, lent while there is something to receive: a connection that waits holds none.

use std::cell::RefCell;
use std::mem;
use std::ops::{Deref, DerefMut};

/// How much is received at once, at most.
pub(super) const PIECE: usize = 64 * 1024;

/// How many each hub keeps for the next to come: those of protocols that wait in the midst of a call are beside them.
const KEPT: usize = 16;

greenhub::thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer. One of [`PIECE`] bytes is given back when dropped.
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    pub(super) fn lend() -> Buffer {
        let kept = FREE.try_with_shared(|free| free.borrow_mut().pop());
        kept.ok()
            .flatten()
            .map_or_else(|| Buffer::of(PIECE), Buffer)
    }

    /// One that nobody else gets.
    pub(super) fn of(size: usize) -> Buffer {
        Buffer(vec![0; size])
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let buffer = mem::take(&mut self.0);
        // When the OS thread ends, there is no list any more.
        let _ = FREE.try_with_shared(|free| {
            let mut free = free.borrow_mut();
            if buffer.len() == PIECE && free.len() < KEPT {
                free.push(buffer);
            }
        });
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_was_given_back_is_lent_again() {
        let mut buffer = Buffer::lend();
        assert_eq!(buffer.len(), PIECE);
        buffer[0] = 7;
        let place = buffer.as_ptr();
        drop(buffer);
        assert_eq!(Buffer::lend().as_ptr(), place);
        let many: Vec<Buffer> = (0..2 * KEPT).map(|_| Buffer::lend()).collect();
        drop(many);
        assert_eq!(FREE.with_borrow(Vec::len), KEPT);
    }
}
