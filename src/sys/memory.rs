//! Memory of stacks: how much a process may map, and what a part of it is for.
#![expect(unsafe_code, reason = "system calls")]

use std::io;
#[cfg(not(feature = "engine-may"))]
use std::sync::OnceLock;

/// Size of a page in bytes.
pub(crate) fn page_size() -> usize {
    // SAFETY: no pointer is passed.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// `vm.max_map_count`: mappings that this process may have.
pub(crate) fn max_map_count() -> usize {
    std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(65_530)
}

/// Mappings that this process has now.
pub(crate) fn map_count() -> usize {
    std::fs::read("/proc/self/maps")
        .map(|text| text.iter().filter(|&&byte| byte == b'\n').count())
        .unwrap_or(256)
}

/// A limit of this process's, by getrlimit(2), whose first argument is of another type in each C library. `None` if there is
/// none.
fn limit_by(ask: impl FnOnce(&mut libc::rlimit) -> libc::c_int) -> Option<usize> {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    ask(&mut limit);
    let limit = Some(limit.rlim_cur).filter(|&limit| limit != libc::RLIM_INFINITY)?;
    Some(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// A limit of memory, in bytes, and how much of it is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) limit: usize,
    pub(crate) taken: usize,
}

impl Allowance {
    pub(crate) fn left(self) -> usize {
        self.limit.saturating_sub(self.taken)
    }

    /// The limit of address space that this process may map (RLIMIT_AS), `None` if there is none.
    pub(crate) fn of_address_space() -> Option<Allowance> {
        // SAFETY: the call writes what it is lent.
        let limit = limit_by(|limit| unsafe { libc::getrlimit(libc::RLIMIT_AS, limit) })?;
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: usize = statm.split(' ').next()?.parse().ok()?;
        Some(Allowance {
            limit,
            taken: pages * page_size(),
        })
    }
}

#[cfg(not(feature = "engine-may"))]
impl Allowance {
    /// The limit of memory that this process may lock (RLIMIT_MEMLOCK), if the `len` bytes at `at` count as such, since it
    /// locks all that it maps (mlockall(2)). `None` too if it may lock what it likes (CAP_IPC_LOCK).
    ///
    /// # Safety
    ///
    /// They are mapped, and nobody relies on what they hold.
    pub(crate) unsafe fn locked_by(at: usize, len: usize) -> Option<Allowance> {
        const CAP_IPC_LOCK: u32 = 14;
        // Of all advice this one is refused for locked memory alone.
        // SAFETY: handed on to the caller.
        let advised = unsafe { libc::madvise(at as *mut _, len, libc::MADV_DONTNEED) };
        // SAFETY: the call writes what it is lent.
        let limit = limit_by(|limit| unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, limit) })
            .filter(|_| advised != 0)?;
        let text = std::fs::read_to_string("/proc/self/status").ok()?;
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let rights = u64::from_str_radix(value("CapEff:")?.trim(), 16).ok()?;
        let kilobytes: usize = value("VmLck:")?.split_whitespace().next()?.parse().ok()?;
        (rights >> CAP_IPC_LOCK & 1 == 0).then_some(Allowance {
            limit,
            taken: kilobytes * 1024,
        })
    }

    /// The limit of memory that this process may make writable which leaves least: its own (RLIMIT_DATA), or the system's
    /// where that promises no more than it has (vm.overcommit_memory = 2). `None` if there is neither.
    pub(crate) fn tightest() -> Option<Allowance> {
        let all = [Allowance::of_the_process(), Allowance::of_the_system()];
        all.into_iter().flatten().min_by_key(|limit| limit.left())
    }

    fn of_the_process() -> Option<Allowance> {
        // SAFETY: the call writes what it is lent.
        let limit = limit_by(|limit| unsafe { libc::getrlimit(libc::RLIMIT_DATA, limit) })?;
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: usize = statm.split_whitespace().nth(5)?.parse().ok()?;
        Some(Allowance {
            limit,
            taken: pages * page_size(),
        })
    }

    fn of_the_system() -> Option<Allowance> {
        static IS_STRICT: OnceLock<bool> = OnceLock::new();
        let is_strict = || {
            let mode = std::fs::read_to_string("/proc/sys/vm/overcommit_memory");
            mode.is_ok_and(|mode| mode.trim() == "2")
        };
        if !*IS_STRICT.get_or_init(is_strict) {
            return None;
        }
        Allowance::promised(&std::fs::read_to_string("/proc/meminfo").ok()?)
    }

    /// By the text of /proc/meminfo.
    fn promised(text: &str) -> Option<Allowance> {
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kilobytes: usize = line.split_whitespace().next()?.parse().ok()?;
            kilobytes.checked_mul(1024)
        };
        Some(Allowance {
            limit: bytes("CommitLimit:")?,
            taken: bytes("Committed_AS:")?,
        })
    }
}

/// Tries out whether a stack of `size` bytes with a guard page of its own can be
/// mapped now, and gives it back.
#[cfg(feature = "engine-may")]
pub(crate) fn probe(size: usize) -> io::Result<()> {
    let at = reserve(size)?;
    let page = page_size();
    // SAFETY: what was reserved is ours, and unmapped whole.
    unsafe {
        let made = make_accessible(at, size).and_then(|()| make_inaccessible(at, page));
        libc::munmap(at as *mut libc::c_void, size);
        made
    }
}

/// Reserves `len` bytes of address space for stacks: inaccessible, and without
/// any memory behind it.
pub(crate) fn reserve(len: usize) -> io::Result<usize> {
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice. The
    // second call only gives advice on it: huge pages would make a parked green
    // thread take 2 MiB.
    unsafe {
        let at = libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK,
            -1,
            0,
        );
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        libc::madvise(at, len, libc::MADV_NOHUGEPAGE);
        Ok(at as usize)
    }
}

/// Gives back what was reserved.
///
/// # Safety
///
/// Nobody uses it any more.
#[cfg(not(feature = "engine-may"))]
pub(crate) unsafe fn release(at: usize, len: usize) {
    // SAFETY: handed on to the caller.
    unsafe { libc::munmap(at as *mut libc::c_void, len) };
}

/// Makes memory readable and writable.
///
/// # Safety
///
/// The caller owns the memory, and nobody relies on its being inaccessible.
pub(crate) unsafe fn make_accessible(at: usize, len: usize) -> io::Result<()> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: handed on to the caller.
    super::cvt(unsafe { libc::mprotect(at as *mut _, len, access) }).map(drop)
}

/// Makes memory fault at any access, as a mapping of its own.
///
/// # Safety
///
/// The caller owns the memory, and nobody uses it.
pub(crate) unsafe fn make_inaccessible(at: usize, len: usize) -> io::Result<()> {
    // SAFETY: handed on to the caller.
    super::cvt(unsafe { libc::mprotect(at as *mut _, len, libc::PROT_NONE) }).map(drop)
}

/// Makes memory fault at any access, by marks in the page table.
///
/// # Errors
///
/// `InvalidInput` (EINVAL) from a kernel before 6.13, and in locked memory.
///
/// # Safety
///
/// The caller owns the memory, and nobody uses it.
#[cfg(not(feature = "engine-may"))]
pub(crate) unsafe fn install_guard(at: usize, len: usize) -> io::Result<()> {
    /// Not in every libc's headers yet.
    const MADV_GUARD_INSTALL: libc::c_int = 102;
    // SAFETY: handed on to the caller.
    super::cvt(unsafe { libc::madvise(at as *mut _, len, MADV_GUARD_INSTALL) }).map(drop)
}

/// Whether the kernel can write to this address. If so, the byte there changes.
///
/// # Safety
///
/// The caller owns the memory, and nobody uses it.
#[cfg(not(feature = "engine-may"))]
pub(crate) unsafe fn is_writable(at: usize) -> bool {
    // Not by libc's function, which may write from user space.
    // SAFETY: handed on to the caller; the kernel checks the address.
    unsafe { libc::syscall(libc::SYS_getrandom, at, 1usize, libc::GRND_NONBLOCK) == 1 }
}

/// Gives the memory behind these pages back to the kernel: they read as zeros
/// from then on, and take memory again when they are written to. Guards stay. In a
/// process that has locked its memory nothing happens.
///
/// # Safety
///
/// The caller owns the memory, and nobody relies on what it holds.
pub(crate) unsafe fn give_back(at: usize, len: usize) {
    // SAFETY: handed on to the caller.
    unsafe { libc::madvise(at as *mut libc::c_void, len, libc::MADV_DONTNEED) };
}

/// Tells the processor that the memory at `address` is about to be used. A hint
/// that never faults; where there is none, nothing happens.
#[inline]
pub(crate) fn prefetch(address: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address whatever has no effect but on the
        // cache.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address as *const i8) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(all(test, not(feature = "engine-may")))]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_has_promised_is_read_from_its_text() {
        let text = "MemTotal:       2000 kB\nCommitLimit:    1000 kB\nCommitted_AS:    400 kB\n";
        let promised = Allowance::promised(text).unwrap();
        assert_eq!(promised.limit, 1000 * 1024);
        assert_eq!(promised.left(), 600 * 1024);
        assert!(Allowance::promised("MemTotal: 2000 kB\n").is_none());
    }
}
