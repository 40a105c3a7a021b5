//! Stacks of green threads: an arena for each size, and what a hub keeps of them.
//!
//! An [`Arena`] takes address space in pieces, each twice as large as the one
//! before, so a million stacks are a few mappings. Each stack has a guard below
//! it ([`guards`]). A [`Stack`] is the right to use one: it is taken when a green
//! thread is spawned, so that whoever spawns hears of a limit, and when the green
//! thread has ended, the hub's [`Store`] has it for ever.
//!
//! ```text
//!   a piece:  guard stack | guard stack | guard stack | …  not yet accessible
//!             └─ stride ──┘
//! ```
//!
//! The stride is an odd number of pages. If it were a power of two, the tops of
//! all stacks would share a few sets of the cache: an echo request beside a
//! thousand connections took 14 % longer so.

#![expect(unsafe_code, reason = "stacks are mapped memory")]

use std::io;

use crate::limits;
use crate::sys::lock::Lock;
use crate::sys::{memory, valgrind};
use crate::thread_locals;

mod guards;
mod piece;
mod store;

pub(crate) use piece::{NEWEST as NEWEST_PIECE, Piece};
pub(crate) use store::Store;

/// Stacks made accessible at once, at most: a system with strict overcommit
/// charges them all at that moment.
const BATCH: usize = 256;
/// Bytes of the first batch, and of the first piece.
const SMALL: usize = 8 << 20;
/// Bytes of a piece, at most, unless one stack takes more.
const PIECE: usize = 16 << 30;

/// The right to use a stack. It is never used twice, since it cannot be copied.
#[derive(Debug)]
pub(crate) struct Stack {
    top: usize,
    arena: &'static Arena,
}

impl Stack {
    /// Where it ends: a page boundary. It reaches `size` bytes down from there.
    #[inline]
    pub(crate) fn top(&self) -> usize {
        self.top
    }

    #[inline]
    pub(crate) fn bottom(&self) -> usize {
        self.top - self.arena.size
    }

    /// Gives its memory back to the system.
    fn clear(&self) {
        // SAFETY: the token says that nobody uses the stack.
        unsafe {
            thread_locals::forget(self.top);
            memory::give_back(self.bottom(), self.arena.size);
        }
    }
}

#[cfg(test)]
impl Stack {
    fn set_lowest_byte(&self, byte: u8) {
        // SAFETY: nobody runs on the stack, and it reaches down to there.
        unsafe { *(self.bottom() as *mut u8) = byte };
    }

    fn lowest_byte(&self) -> u8 {
        // SAFETY: as above.
        unsafe { *(self.bottom() as *const u8) }
    }
}

/// All stacks of one size. There are as many arenas as sizes that were asked for,
/// and they live as long as the process.
#[derive(Debug)]
struct Arena {
    /// Bytes of a stack, and from one to the next.
    size: usize,
    stride: usize,
    state: Lock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Tops of stacks that nobody has had yet. The last one goes first.
    free: Vec<usize>,
    /// The newest one.
    piece: Option<&'static Piece>,
    /// Stacks that were made so far.
    made: usize,
}

impl Arena {
    /// The arena for stacks of `size` bytes, a multiple of the page size.
    fn of(size: usize) -> io::Result<&'static Arena> {
        static ARENAS: Lock<Vec<&'static Arena>> = Lock::new(Vec::new());
        let page = memory::page_size();
        let pages = size / page + 1;
        let stride = (pages + 1 - pages % 2)
            .checked_mul(page)
            .filter(|&bytes| bytes <= isize::MAX as usize)
            .ok_or_else(|| no_memory(size, &io::Error::from_raw_os_error(libc::ENOMEM)))?;
        let mut arenas = ARENAS.lock();
        let known = arenas.iter().find(|arena| arena.size == size);
        Ok(known.copied().unwrap_or_else(|| {
            let arena: &Arena = Box::leak(Box::new(Arena {
                size,
                stride,
                state: Lock::default(),
            }));
            arenas.push(arena);
            arena
        }))
    }

    /// A stack that holds no memory.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` that names the limits.
    fn take(&'static self) -> io::Result<Stack> {
        let mut state = self.state.lock();
        if state.free.is_empty() {
            self.make(&mut state)?;
        }
        let top = state.free.pop().expect("some were made");
        Ok(Stack { top, arena: self })
    }

    /// Makes a batch of stacks out of the newest piece, or of a new one.
    fn make(&self, state: &mut State) -> io::Result<()> {
        let piece = match state.piece {
            Some(piece) if piece.left() > 0 => piece,
            full => *state.piece.insert(self.map(full)?),
        };
        let start = piece.next();
        let mut batch = state
            .made
            .clamp(self.least(), self.least().max(BATCH))
            .min(piece.left());
        if let Some(left) = limits::writable_left() {
            batch = batch.min(left / self.stride);
            if batch == 0 {
                return Err(self.refused());
            }
        }
        let mut made;
        loop {
            // SAFETY: this part of the piece has not been handed out.
            made = unsafe { guards::make(start, self.stride, self.size, batch) };
            let short = |error: &io::Error| error.raw_os_error() == Some(libc::ENOMEM);
            if batch == 1 || !made.as_ref().is_err_and(short) {
                break;
            }
            // Memory may be charged at this moment, and there be some for fewer.
            batch /= 2;
        }
        let made = made.map_err(|error| match error.raw_os_error() {
            Some(_) => no_memory(self.size, &error),
            None => error,
        })?;
        let tops = (0..made).map(|n| start + (n + 1) * self.stride);
        tops.clone()
            .for_each(|top| valgrind::register_stack(top - self.size, top));
        // The lowest one goes first.
        state.free.extend(tops.rev());
        state.made += made;
        piece.add_made(made);
        Ok(())
    }

    /// The error that what is left of a limit is for everything else.
    fn refused(&self) -> io::Error {
        no_memory(self.size, &io::Error::from_raw_os_error(libc::ENOMEM))
    }

    /// Stacks in the first batch and in the first piece.
    fn least(&self) -> usize {
        (SMALL / self.stride).clamp(1, BATCH)
    }

    /// Reserves the address space of a new piece, twice that of the one before.
    fn map(&self, before: Option<&Piece>) -> io::Result<&'static Piece> {
        let most = (PIECE / self.stride).max(self.least());
        let mut stacks = (2 * before.map_or(0, Piece::room)).clamp(self.least(), most);
        if let Some(left) = limits::address_space_left() {
            let room = left / self.stride;
            if room == 0 {
                return Err(self.refused());
            }
            stacks = stacks.min(room.div_ceil(4));
        }
        loop {
            let len = stacks * self.stride;
            let error = match memory::reserve(len) {
                Ok(at) => {
                    // SAFETY: just reserved, and nobody knows of it.
                    let lockable = unsafe { memory::Allowance::locked_by(at, len) };
                    if lockable.is_none_or(limits::leaves_spare) {
                        return Ok(Piece::new(at, self.stride, stacks));
                    }
                    // SAFETY: as above.
                    unsafe { memory::release(at, len) };
                    self.refused()
                }
                Err(error) => no_memory(self.size, &error),
            };
            if stacks == 1 {
                return Err(error);
            }
            stacks /= 2;
        }
    }
}

/// The system refused memory for a stack of `size` bytes: says how many are the caller's.
fn no_memory(size: usize, error: &io::Error) -> io::Error {
    limits::no_memory(size, thread_locals::room(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_twice_the_room_of_the_one_before() {
        let arena = Arena::of(7 << 16).unwrap();
        let take = |_| {
            arena.take().unwrap();
            arena.state.lock().piece.unwrap().room()
        };
        let mut rooms: Vec<usize> = (0..100).map(take).collect();
        rooms.dedup();
        assert!(rooms.len() > 2, "{rooms:?}");
        assert!(
            rooms.windows(2).all(|two| two[1] == 2 * two[0]),
            "{rooms:?}"
        );
    }
}
