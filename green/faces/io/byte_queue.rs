//! Queues of bytes whose storage is borrowed from a pool only while they hold something.
//!
//! An idle connection owns no storage. It comes from a free list of the current OS thread. Green threads are pinned to
//! their hub's thread, so that is one pool for each hub, without a lock, and no function has to be passed one.
//! Only two sizes are kept; anything larger is allocated and freed.

use std::cell::RefCell;

/// What one TLS record needs, and what four need: the most that arrives in one reception. A send has less.
const SMALL: usize = 17 * 1024;
pub(crate) const LARGE: usize = 4 * (16 * 1024 + 261);

/// At most this much free storage is kept for each OS thread: 136 KiB and 520 KiB.
const SMALL_KEPT: usize = 8;
const LARGE_KEPT: usize = 8;

greenhub::thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { small: Vec::new(), large: Vec::new() }) };
}

struct Pool {
    small: Vec<Box<[u8]>>,
    large: Vec<Box<[u8]>>,
}

/// Storage of at least `size` bytes, from the pool where it has some.
fn take_storage(size: usize) -> Box<[u8]> {
    // The pool is gone while its thread ends; buffers dropped then are simply freed.
    let pooled = POOL.try_with_shared(|pool| {
        let mut pool = pool.borrow_mut();
        if size <= SMALL {
            pool.small.pop()
        } else if size <= LARGE {
            pool.large.pop()
        } else {
            None
        }
    });
    pooled.ok().flatten().unwrap_or_else(|| {
        let size = if size <= SMALL {
            SMALL
        } else if size <= LARGE {
            LARGE
        } else {
            size.next_power_of_two()
        };
        vec![0; size].into_boxed_slice()
    })
}

fn give_back(storage: Box<[u8]>) {
    let _ = POOL.try_with_shared(|pool| {
        let mut pool = pool.borrow_mut();
        let (list, kept) = match storage.len() {
            SMALL => (&mut pool.small, SMALL_KEPT),
            LARGE => (&mut pool.large, LARGE_KEPT),
            _ => return,
        };
        if list.len() < kept {
            list.push(storage);
        }
    });
}

/// A queue of bytes: appended at the end, consumed from the front, without storage while empty.
#[derive(Default)]
pub(crate) struct ByteQueue {
    storage: Box<[u8]>,
    start: usize,
    end: usize,
}

impl ByteQueue {
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    /// How much storage it holds at present.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.storage.len()
    }

    /// Makes room for `additional` bytes at the end, in one step for a caller who knows what is coming.
    pub(crate) fn reserve(&mut self, additional: usize) {
        if self.storage.len() - self.end >= additional {
            return;
        }
        let len = self.len();
        if self.storage.len() - len >= additional {
            self.storage.copy_within(self.start..self.end, 0);
        } else {
            let mut storage = take_storage(len + additional);
            storage[..len].copy_from_slice(self.as_slice());
            give_back(std::mem::replace(&mut self.storage, storage));
        }
        self.start = 0;
        self.end = len;
    }

    /// The free space at the end, at least `additional` bytes of it; [`commit`](Self::commit) says how much was filled.
    pub(crate) fn space(&mut self, additional: usize) -> &mut [u8] {
        self.reserve(additional);
        &mut self.storage[self.end..]
    }

    /// Counts the first `filled` bytes of [`space`](Self::space) in. Zero gives the storage of an empty buffer back.
    pub(crate) fn commit(&mut self, filled: usize) {
        assert!(
            filled <= self.storage.len() - self.end,
            "filled beyond the space"
        );
        self.end += filled;
        self.release_when_empty();
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.commit(bytes.len());
    }

    /// Moves bytes from the front into `into`.
    pub(crate) fn take(&mut self, into: &mut [u8]) -> usize {
        let taken = self.len().min(into.len());
        into[..taken].copy_from_slice(&self.as_slice()[..taken]);
        self.consume(taken);
        taken
    }

    pub(crate) fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "consumed more than there is");
        self.start += count;
        self.release_when_empty();
    }

    fn release_when_empty(&mut self) {
        if self.is_empty() {
            give_back(std::mem::take(&mut self.storage));
            (self.start, self.end) = (0, 0);
        }
    }
}

impl Drop for ByteQueue {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.storage));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled() -> (usize, usize) {
        POOL.try_with_shared(|pool| (pool.borrow().small.len(), pool.borrow().large.len()))
            .unwrap()
    }

    #[test]
    fn bytes_leave_in_the_order_they_came_across_growth_and_compaction() {
        let mut buffer = ByteQueue::default();
        let mut next_in = 0_u8;
        let mut next_out = 0_u8;
        for round in 0..2_000_usize {
            let count = round * 37 % 500;
            let bytes: Vec<u8> = (0..count).map(|i| next_in.wrapping_add(i as u8)).collect();
            next_in = next_in.wrapping_add(count as u8);
            buffer.append(&bytes);
            let mut out = vec![0; round * 41 % 520];
            let taken = buffer.take(&mut out);
            for byte in &out[..taken] {
                assert_eq!(*byte, next_out);
                next_out = next_out.wrapping_add(1);
            }
        }
    }

    #[test]
    fn an_empty_buffer_holds_no_storage_and_the_pool_gets_it_back() {
        let mut buffer = ByteQueue::default();
        buffer.append(b"x");
        assert_eq!(buffer.storage.len(), SMALL);
        let (small, _) = pooled();
        buffer.consume(1);
        assert_eq!(buffer.storage.len(), 0);
        assert_eq!(pooled().0, small + 1);
        assert!(!buffer.space(1).is_empty());
        buffer.commit(0);
        assert_eq!(buffer.storage.len(), 0);
    }

    #[test]
    fn the_pool_is_bounded_and_keeps_only_its_two_sizes() {
        let mut buffers: Vec<ByteQueue> = (0..100).map(|_| ByteQueue::default()).collect();
        for (index, buffer) in buffers.iter_mut().enumerate() {
            let size = [1, SMALL + 1, LARGE + 1][index % 3];
            buffer.append(&vec![0; size]);
        }
        drop(buffers);
        assert_eq!(pooled(), (SMALL_KEPT, LARGE_KEPT));
    }
}
