//! How many stacks the system lets a process map, and what is said to whoever wants one more.

use std::io;
use std::sync::OnceLock;

use crate::sys::memory;

/// Mappings left to everything else.
const RESERVE: usize = 4096;
/// The most of a limited kind of memory that is left to everything else, in bytes: an eighth of the limit, if that is less.
const SPARE: usize = 64 << 20;

/// Bytes of address space that stacks may still take, `None` if there is no limit.
pub(crate) fn address_space_left() -> Option<usize> {
    let space = memory::Allowance::of_address_space()?;
    Some(space.left().saturating_sub(spare(space)))
}

/// Bytes that stacks may still take of what can be written to, `None` if there is no limit. A part of the limit is left
/// to everything else: an allocation that fails ends the process.
#[cfg(not(feature = "engine-may"))]
pub(crate) fn writable_left() -> Option<usize> {
    let tightest = memory::Allowance::tightest()?;
    Some(tightest.left().saturating_sub(spare(tightest)))
}

/// Whether enough of this is left to everything else.
#[cfg(not(feature = "engine-may"))]
pub(crate) fn leaves_spare(of: memory::Allowance) -> bool {
    of.left() >= spare(of)
}

/// What is left of it to everything else.
fn spare(of: memory::Allowance) -> usize {
    (of.limit / 8).min(SPARE)
}

/// The most stacks of two mappings that fit beside what was mapped at the first
/// call. At the system's limit the allocator could map nothing either, and the
/// process would abort; so green threads stop well before.
pub(crate) fn mapped_stacks() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let taken = memory::map_count() + RESERVE;
        (memory::max_map_count().saturating_sub(taken) / 2).max(16)
    })
}

/// The error that there are as many stacks as that already.
pub(crate) fn too_many() -> io::Error {
    let text = format!(
        "no room for another green thread's stack: {} green threads, two memory mappings each, \
         are what fits into vm.max_map_count = {}; raise that sysctl for more",
        mapped_stacks(),
        memory::max_map_count(),
    );
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}

/// The system refused memory for one of `size` bytes, of which `beside` are not for frames.
pub(crate) fn no_memory(size: usize, beside: usize, error: &io::Error) -> io::Error {
    let and = match beside {
        0 => String::new(),
        beside => format!(" and {beside} for its thread-locals"),
    };
    let size = size.saturating_sub(beside);
    let text = format!(
        "cannot map a green thread's stack of {size} bytes{and}: {error}; the limits are the address \
         space (ulimit -v), what can be written to (ulimit -d), what can be locked (ulimit -l) if all is, and \
         the sysctls vm.overcommit_memory and vm.max_map_count",
    );
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}
