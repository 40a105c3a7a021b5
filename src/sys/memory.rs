//! Mappings: how many a process may have, and whether one more stack fits.
#![expect(unsafe_code, reason = "system calls")]

use std::io;

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

/// Bytes of address space that this process may still map (RLIMIT_AS), `None` if
/// there is no limit.
pub(crate) fn address_space_left() -> Option<usize> {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` lives across the call.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) };
    if limit.rlim_cur == libc::RLIM_INFINITY {
        return None;
    }
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split(' ').next()?.parse().ok()?;
    let limit = usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX);
    Some(limit.saturating_sub(pages * page_size()))
}

/// Tries out whether a stack of `size` bytes with its guard page can be mapped
/// now, and gives it back.
pub(crate) fn probe_stack(size: usize) -> io::Result<()> {
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice,
    // touched by nobody and unmapped whole below.
    unsafe {
        let at = libc::mmap(
            std::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let guard = super::cvt(libc::mprotect(at, page_size(), libc::PROT_NONE));
        libc::munmap(at, size);
        guard.map(drop)
    }
}

/// Gives the contents of the page at `page` back to the kernel: it reads as zeros
/// from then on, and takes memory again when it is written to. In a process that
/// has locked its memory nothing happens.
///
/// # Safety
///
/// Nobody relies on what the page holds, and it is private memory of this process.
pub(crate) unsafe fn give_back(page: usize) {
    // SAFETY: handed on to the caller.
    unsafe { libc::madvise(page as *mut libc::c_void, page_size(), libc::MADV_DONTNEED) };
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
