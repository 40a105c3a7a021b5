//! The functions behind that hooks of several families call.
#![expect(unsafe_code, reason = "the C library's functions")]

use std::ffi::{c_int, c_long};

use libc::{nfds_t, pid_t, pollfd};

functions! {
    []
    fn close(fd: c_int) -> c_int;
    fn fcntl(fd: c_int, command: c_int, argument: usize) -> c_int;
    fn poll(entries: *mut pollfd, len: nfds_t, limit_ms: c_int) -> c_int;
    fn syscall(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> c_long;
    fn waitpid(child: pid_t, status: *mut c_int, options: c_int) -> pid_t;
}
