//! What `gdb.py` reads to find green threads in a process or a core file, where no function can be called.
//!
//! The numbers are offsets and addresses, so that it needs neither types nor
//! variables of a program's debugging information.

use std::mem::offset_of;
use std::sync::atomic::AtomicPtr;

use super::site::SiteCell;
use super::task::Task;
use crate::engine::Fiber;
use crate::stacks::{NEWEST_PIECE, Piece};

/// The script looks for it by its name, and knows it by its first word.
static FOR_GDB: ForGdb = ForGdb {
    mark: u64::from_le_bytes(*b"green 1\0"),
    newest_piece: &NEWEST_PIECE,
    head: Fiber::HEAD,
    owner: Fiber::OWNER,
    id: offset_of!(Task, id),
    name: offset_of!(Task, name),
    word: offset_of!(Task, word),
    site_kind: offset_of!(Task, site) + SiteCell::PARTS[0],
    site_first: offset_of!(Task, site) + SiteCell::PARTS[1],
    site_second: offset_of!(Task, site) + SiteCell::PARTS[2],
};

#[repr(C)]
struct ForGdb {
    mark: u64,
    newest_piece: &'static AtomicPtr<Piece>,
    /// Bytes of a fiber's head, and where in it its green thread is named.
    head: usize,
    owner: usize,
    /// In a task.
    id: usize,
    name: usize,
    word: usize,
    site_kind: usize,
    site_first: usize,
    site_second: usize,
}

/// Makes the linker keep it.
pub(super) fn keep() {
    std::hint::black_box(&FOR_GDB);
}
