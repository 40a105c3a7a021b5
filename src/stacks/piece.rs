//! The address space that stacks lie in. Pieces are never given back. Debuggers know them, and find the stacks in them
//! by arithmetic.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The newest piece of any size.
pub(crate) static NEWEST: AtomicPtr<Piece> = AtomicPtr::new(ptr::null_mut());

/// Stacks of one size, one behind the other.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Piece {
    /// The one that came before.
    before: AtomicPtr<Piece>,
    start: usize,
    /// Bytes from one stack to the next. Each lies at the upper end of its stride.
    stride: usize,
    /// Stacks that fit, and that were made so far, from the start on.
    room: usize,
    made: AtomicUsize,
}

impl Piece {
    /// What is known of newly reserved address space.
    pub(super) fn new(start: usize, stride: usize, room: usize) -> &'static Piece {
        let piece: &Piece = Box::leak(Box::new(Piece {
            before: AtomicPtr::new(ptr::null_mut()),
            start,
            stride,
            room,
            made: AtomicUsize::new(0),
        }));
        let mut newest = NEWEST.load(Ordering::Relaxed);
        loop {
            piece.before.store(newest, Ordering::Relaxed);
            let this = ptr::from_ref(piece).cast_mut();
            match NEWEST.compare_exchange_weak(newest, this, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return piece,
                Err(now) => newest = now,
            }
        }
    }

    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// How many more stacks can be made out of it.
    pub(super) fn left(&self) -> usize {
        self.room - self.made.load(Ordering::Relaxed)
    }

    /// Where the next one begins.
    pub(super) fn next(&self) -> usize {
        self.start + self.made.load(Ordering::Relaxed) * self.stride
    }

    /// By the holder of the arena's lock.
    pub(super) fn add_made(&self, stacks: usize) {
        self.made.fetch_add(stacks, Ordering::Relaxed);
    }
}
