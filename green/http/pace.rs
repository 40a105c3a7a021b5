//! How the peer of a connection of HTTP/2 takes what it is sent: the data that leaves, and the answers that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::lent::Loan;

/// How the peer takes what the streams of a connection have for it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Bytes of bodies that have left.
    sent: AtomicU64,
    /// Answers of which a piece waits for the peer.
    waiting: AtomicUsize,
    /// How often one has begun to wait.
    waits: AtomicU64,
}

impl Pace {
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// What stays the same while the same answers wait, and nothing leaves.
    pub(super) fn waits(&self) -> Option<(u64, u64)> {
        (self.waiting.load(Relaxed) > 0).then(|| (self.waits.load(Relaxed), self.sent()))
    }
}

/// An answer's part in that.
#[derive(Debug)]
pub(super) struct Waits {
    pace: Arc<Pace>,
    waits: bool,
    /// The request's body may outlive the answer.
    _loan: Option<Loan>,
}

impl Waits {
    pub(super) fn new(pace: Arc<Pace>, loan: Option<Loan>) -> Waits {
        Waits {
            pace,
            waits: false,
            _loan: loan,
        }
    }

    /// Whether a piece is there, which waits until the next one is asked for.
    pub(super) fn set(&mut self, waits: bool) {
        match (self.waits, waits) {
            (false, true) => {
                self.pace.waiting.fetch_add(1, Relaxed);
            }
            (true, false) => {
                self.pace.waiting.fetch_sub(1, Relaxed);
            }
            _ => {}
        }
        if waits {
            self.pace.waits.fetch_add(1, Relaxed);
        }
        self.waits = waits;
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// The frames of a connection, as they leave.
#[derive(Debug)]
pub(super) struct Leaving {
    pace: Arc<Pace>,
    /// Of the next frame, so far.
    header: [u8; HEADER],
    there: usize,
    /// What is to come of this frame's payload.
    left: usize,
}

const HEADER: usize = 9;
const DATA: u8 = 0;

impl Leaving {
    pub(super) fn new(pace: Arc<Pace>) -> Leaving {
        Leaving {
            pace,
            header: [0; HEADER],
            there: 0,
            left: 0,
        }
    }

    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count;
            if self.left > 0 {
                count = self.left.min(bytes.len());
                self.left -= count;
                if self.header[3] == DATA {
                    self.pace.sent.fetch_add(count as u64, Relaxed);
                }
            } else {
                count = (HEADER - self.there).min(bytes.len());
                self.header[self.there..][..count].copy_from_slice(&bytes[..count]);
                self.there += count;
                if self.there == HEADER {
                    let [high, middle, low, ..] = self.header;
                    self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
                    self.there = 0;
                }
            }
            bytes = &bytes[count..];
        }
    }
}
