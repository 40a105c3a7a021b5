//! The socket calls that `socket2` offers only for uninitialised memory, or not
//! at all, as safe functions on a borrowed descriptor.
//!
//! Every transfer carries `MSG_DONTWAIT`: whether a call may wait is decided by
//! the caller of these functions, never by a flag of the open file that another
//! process (or C code in this one) may have changed behind our back. Every send
//! carries `MSG_NOSIGNAL`, so that a vanished peer is an error and not a signal.
//!
//! # Safety
//!
//! The kernel writes bytes, and nothing but bytes, into the buffers it is given:
//! an initialised buffer stays initialised. That is what makes it sound to lend
//! a `&mut [u8]` as uninitialised memory for the length of one system call.

#![expect(
    unsafe_code,
    reason = "getsockopt, setsockopt, recvmsg, sendmsg, and buffers lent to the kernel"
)]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
#[cfg(feature = "sim")]
use std::os::fd::RawFd;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{c_int, c_void, msghdr, socklen_t};
use socket2::{SockAddr, SockAddrStorage, SockRef};

use super::raw;

/// What one `recvmsg` brought.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) len: usize,
    pub(crate) control_len: usize,
    pub(crate) flags: c_int,
    pub(crate) address: SockAddr,
}

/// `recv(2)`. Made without libc, as `send` is: in a process with several threads
/// glibc prepares each of these calls for `pthread_cancel`, which no Rust thread
/// may meet, and that costs four locked instructions for a request.
#[inline]
pub(crate) fn recv(fd: BorrowedFd<'_>, buf: &mut [u8], flags: c_int) -> io::Result<usize> {
    let flags = flags | libc::MSG_DONTWAIT;
    let arguments = [
        fd.as_raw_fd() as usize,
        buf.as_mut_ptr() as usize,
        buf.len(),
        flags as usize,
        0,
        0,
    ];
    // SAFETY: `buf` is lent for the length of the call; the kernel writes bytes.
    unsafe { raw::call(libc::SYS_recvfrom, arguments) }
}

/// The same into memory that need not be initialised: what it was received into is.
#[inline]
pub(crate) fn recv_into<'room>(
    fd: BorrowedFd<'_>,
    room: &'room mut [MaybeUninit<u8>],
) -> io::Result<&'room mut [u8]> {
    let arguments = [
        fd.as_raw_fd() as usize,
        room.as_mut_ptr() as usize,
        room.len(),
        libc::MSG_DONTWAIT as usize,
        0,
        0,
    ];
    // SAFETY: `room` is lent for the length of the call, and without MSG_TRUNC the kernel returns how many of its bytes it
    // has written, from the first one on.
    unsafe {
        let received = raw::call(libc::SYS_recvfrom, arguments)?;
        Ok(room[..received].assume_init_mut())
    }
}

/// `recvfrom(2)`.
pub(crate) fn recv_from(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    flags: c_int,
) -> io::Result<(usize, SockAddr)> {
    SockRef::from(&fd).recv_from_with_flags(as_uninit(buf), flags | libc::MSG_DONTWAIT)
}

/// `recvmsg(2)`. Descriptors that arrive are closed on exec.
pub(crate) fn recvmsg(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    control: &mut [u8],
    flags: c_int,
) -> io::Result<Received> {
    let mut header = empty_header();
    header.msg_iov = bufs.as_mut_ptr().cast();
    header.msg_iovlen = iov_len(bufs.len()) as _;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = control_len(control) as _;
    let flags = flags | libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `recvmsg` writes at most `msg_namelen` bytes to `storage`, which
    // is that large, and leaves the written length there. `bufs` has the layout
    // of an array of iovec (std promises it), and both it and `control` are
    // exclusively borrowed and outlive the call.
    let (len, address) = unsafe {
        SockAddr::try_init(|storage, storage_len| {
            header.msg_name = storage.cast();
            header.msg_namelen = *storage_len;
            let len = checked(libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags))?;
            *storage_len = header.msg_namelen;
            Ok(len)
        })
    }?;
    Ok(Received {
        len,
        control_len: header.msg_controllen as _,
        flags: header.msg_flags,
        address,
    })
}

/// `send(2)`.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, buf: &[u8], flags: c_int) -> io::Result<usize> {
    let arguments = [
        fd.as_raw_fd() as usize,
        buf.as_ptr() as usize,
        buf.len(),
        for_sending(flags) as usize,
        0,
        0,
    ];
    // SAFETY: the kernel reads `buf`, which is lent for the length of the call.
    unsafe { raw::call(libc::SYS_sendto, arguments) }
}

/// `sendto(2)`.
pub(crate) fn send_to(
    fd: BorrowedFd<'_>,
    buf: &[u8],
    address: &SockAddr,
    flags: c_int,
) -> io::Result<usize> {
    SockRef::from(&fd).send_to_with_flags(buf, address, for_sending(flags))
}

/// `sendmsg(2)`.
pub(crate) fn sendmsg(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    address: Option<&SockAddr>,
    control: &[u8],
    flags: c_int,
) -> io::Result<usize> {
    let mut header = empty_header();
    if let Some(address) = address {
        header.msg_name = address.as_ptr().cast_mut().cast();
        header.msg_namelen = address.len();
    }
    header.msg_iov = bufs.as_ptr().cast_mut().cast();
    header.msg_iovlen = iov_len(bufs.len()) as _;
    if !control.is_empty() {
        header.msg_control = control.as_ptr().cast_mut().cast();
        header.msg_controllen = control_len(control) as _;
    }
    // SAFETY: `sendmsg` only reads, despite the `*mut` in its C type. `bufs`
    // has the layout of an array of iovec (std promises it), and everything the
    // header points to is borrowed until the call returns.
    checked(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, for_sending(flags)) })
}

/// `sendfile(2)`, which has no flags: the socket must be non-blocking, and Rust's runtime ignores SIGPIPE.
pub(crate) fn send_file(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    count: usize,
) -> io::Result<usize> {
    let mut place = libc::off64_t::try_from(*offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: both descriptors are open; `place` is valid for the call.
    let sent = checked(unsafe {
        libc::sendfile64(socket.as_raw_fd(), file.as_raw_fd(), &raw mut place, count)
    })?;
    *offset += sent as u64;
    Ok(sent)
}

/// `getsockopt(2)`: fills `value` and returns the length that the kernel wrote,
/// in bytes.
///
/// The kernel writes to memory of ours that is zeroed and longer than it is told.
/// A few options take what they find for a request that holds addresses, to
/// which they would then write; and some families write an `int` or a structure
/// of theirs without looking at the length (Bluetooth, NFC, ATM).
pub(crate) fn option(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &mut [u8],
) -> io::Result<usize> {
    /// More than any of these writes unasked.
    const SPARE: usize = 256;
    // All but one count in bytes: a filter's program counts in instructions.
    let unit = match (level, name) {
        (libc::SOL_SOCKET, libc::SO_GET_FILTER) => size_of::<libc::sock_filter>(),
        _ => 1,
    };
    value.fill(0);
    let mut room = vec![0_u8; value.len() + SPARE];
    let mut len = option_len(value.len() / unit);
    let pointer = room.as_mut_ptr().cast::<c_void>();
    // SAFETY: the kernel writes at most `len` units, which fit into `value.len()`
    // bytes, or, where it does not look at `len`, less than `SPARE` bytes; `room`
    // has both. It is zeroed, so it holds no address for the kernel to follow.
    checked(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, pointer, &raw mut len) })?;
    value.copy_from_slice(&room[..value.len()]);
    Ok(len as usize * unit)
}

/// `setsockopt(2)`.
///
/// # Safety
///
/// If the option's value holds an address, the kernel must be allowed to do
/// there what the option says.
pub(crate) unsafe fn set_option(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &[u8],
) -> io::Result<()> {
    let (pointer, len) = (value.as_ptr().cast::<c_void>(), option_len(value.len()));
    // SAFETY: the kernel reads `len` bytes of `value`; the caller answers for
    // addresses among them.
    checked(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, pointer, len) }).map(drop)
}

/// `setsockopt(2)` for the many options whose value is an `int`.
pub(crate) fn set_int_option(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: c_int,
) -> io::Result<()> {
    // SAFETY: an address does not fit into an int.
    unsafe { set_option(fd, level, name, &value.to_ne_bytes()) }
}

/// `getsockopt(2)` for the many options whose value is an `int`.
pub(crate) fn int_option(fd: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value = [0; size_of::<c_int>()];
    option(fd, level, name, &mut value)?;
    Ok(c_int::from_ne_bytes(value))
}

/// As [`int_option`], of a descriptor that is known by its number.
#[cfg(feature = "sim")]
pub(crate) fn int_option_by_number(fd: RawFd, level: c_int, name: c_int) -> Option<c_int> {
    let (mut value, mut len) = (0, size_of::<c_int>() as socklen_t);
    let pointer = (&raw mut value).cast();
    // SAFETY: `value` is valid for `len` bytes; a wrong `fd` is an error (EBADF).
    let asked = unsafe { libc::getsockopt(fd, level, name, pointer, &raw mut len) };
    (asked == 0).then_some(value)
}

/// Whether a TCP connection was ended here and the peer has not confirmed all that
/// was sent; it is what close(2) waits for where the socket lingers.
pub(crate) fn is_closing(fd: BorrowedFd<'_>) -> bool {
    // The kernel's numbers, from its tcp_states.h.
    const FIN_WAIT1: u8 = 4;
    const LAST_ACK: u8 = 9;
    const CLOSING: u8 = 11;
    // The first byte of tcp_info is the state.
    let mut state = [0];
    let told = option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, &mut state);
    told.is_ok() && [FIN_WAIT1, LAST_ACK, CLOSING].contains(&state[0])
}

/// The address of a sender that has none.
pub(crate) fn no_address() -> SockAddr {
    // SAFETY: all of the address's zero bytes are initialised.
    unsafe { SockAddr::new(SockAddrStorage::zeroed(), 0) }
}

fn for_sending(flags: c_int) -> c_int {
    flags | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL
}

/// std's vectored calls take any number of buffers and use the first 1024.
fn iov_len(buffers: usize) -> usize {
    buffers.min(libc::UIO_MAXIOV as usize)
}

/// The fields of a header are 32 bits wide in musl, and this and [`iov_len`] fit.
fn control_len(control: &[u8]) -> usize {
    control.len().min(u32::MAX as usize)
}

fn option_len(len: usize) -> socklen_t {
    socklen_t::try_from(len).unwrap_or(socklen_t::MAX)
}

fn empty_header() -> msghdr {
    // SAFETY: msghdr is plain data, for which all zeroes mean "nothing".
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn as_uninit(buf: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: same layout; only system calls get the result, and they write
    // nothing but initialised bytes.
    unsafe { &mut *(ptr::from_mut(buf) as *mut [MaybeUninit<u8>]) }
}

fn checked<T: TryInto<usize>>(returned: T) -> io::Result<usize> {
    returned.try_into().map_err(|_| io::Error::last_os_error())
}
