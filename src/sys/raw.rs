//! A system call without libc: no cancellation point, no `errno`, and nobody who has put himself in libc's place sees it.
#![expect(unsafe_code, reason = "system calls")]

use std::arch::asm;
use std::io;

use libc::c_long;

/// The kernel answers errors as their negative number, and has none beyond this one (signal(7) and errno(3); Linux,
/// `include/linux/err.h`).
const LAST_ERROR: isize = 4095;

/// Makes a system call and answers what it returns.
///
/// # Errors
///
/// What the kernel says.
///
/// # Safety
///
/// Each argument is what the call's manual page asks for, and memory that the kernel writes holds nothing that its bytes
/// could break.
#[inline(always)]
pub(super) unsafe fn call(number: c_long, arguments: [usize; 6]) -> io::Result<usize> {
    let [a, b, c, d, e, f] = arguments;
    let answer: isize;
    // SAFETY: the kernel keeps every register but those that are named as outputs, and no memory but what the arguments
    // name; the rest is the caller's promise.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            "syscall",
            inlateout("rax") number as isize => answer,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack, preserves_flags),
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            "svc 0",
            in("x8") number as isize,
            inlateout("x0") a as isize => answer,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            in("x5") f,
            options(nostack, preserves_flags),
        );
    }
    if (-LAST_ERROR..0).contains(&answer) {
        return Err(io::Error::from_raw_os_error(-answer as i32));
    }
    Ok(answer as usize)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn arguments_reach_the_kernel_in_their_places_and_errors_come_back() {
        let (reader, writer) = io::pipe().unwrap();
        let (from, to) = (writer.as_raw_fd() as usize, reader.as_raw_fd() as usize);
        let text = b"over the pipe";
        let mut heard = [0; 32];
        // SAFETY: both name memory that lives for the length of the call, with its length.
        let (written, read) = unsafe {
            let text_at = text.as_ptr() as usize;
            let heard_at = heard.as_mut_ptr() as usize;
            (
                call(libc::SYS_write, [from, text_at, text.len(), 0, 0, 0]).unwrap(),
                call(libc::SYS_read, [to, heard_at, heard.len(), 0, 0, 0]).unwrap(),
            )
        };
        assert_eq!((written, &heard[..read]), (text.len(), &text[..]));

        // The last two: the sixth of mmap(2) is an offset, which must be one of a page; no descriptor is number -1.
        let mapping = |fd: usize, offset| {
            let (access, kind) = (libc::PROT_READ as usize, libc::MAP_PRIVATE as usize);
            // SAFETY: neither maps anything: one descriptor is none, the other a pipe.
            unsafe { call(libc::SYS_mmap, [0, 4096, access, kind, fd, offset]) }
        };
        let code = |answer: io::Result<usize>| answer.unwrap_err().raw_os_error();
        assert_eq!(code(mapping(to, 1)), Some(libc::EINVAL));
        assert_eq!(code(mapping(usize::MAX, 0)), Some(libc::EBADF));
        assert_eq!(code(mapping(to, 0)), Some(libc::ENODEV));
    }
}
