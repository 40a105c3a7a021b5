//! Which errors may pass by themselves.

#![expect(unsafe_code, reason = "asks the C library for the words of an error")]

use std::ffi::CStr;
use std::io::{self, ErrorKind};

use greenhub::ClosedLocally;

/// Whether trying again may help against `error`.
///
/// It may if the peer or the network was at fault: refused, reset, aborted, broken pipe, unexpected end, unreachable, a
/// time limit of any kind, a name server that did not answer; or if this machine was short of descriptors, ports or
/// buffers. It does not help against a rejected certificate or any other [`SslError`](crate::ssl::SslError), a name that
/// does not exist, an address that is none, a missing permission, nor when
/// [this process closed](crate::ClosedLocally) the connection.
///
/// ```
/// use std::io::{Error, ErrorKind};
///
/// use green::reconnect::is_worth_retrying;
///
/// assert!(is_worth_retrying(&ErrorKind::ConnectionRefused.into()));
/// assert!(!is_worth_retrying(&ErrorKind::PermissionDenied.into()));
/// ```
pub fn is_worth_retrying(error: &io::Error) -> bool {
    match error.kind() {
        ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable
        | ErrorKind::TimedOut
        | ErrorKind::WouldBlock => true,
        ErrorKind::NotConnected => !ClosedLocally::caused(error),
        // std has no kind for these.
        _ => match error.raw_os_error() {
            Some(number) => matches!(
                number,
                libc::EHOSTDOWN | libc::EMFILE | libc::ENFILE | libc::ENOBUFS
            ),
            None => name_server_is_silent(error),
        },
    }
}

/// std passes on a resolver's error by its words alone.
fn name_server_is_silent(error: &io::Error) -> bool {
    // SAFETY: for a number that the library itself defines it returns a string that ends in NUL and is never freed.
    let words = unsafe { CStr::from_ptr(libc::gai_strerror(libc::EAI_AGAIN)) };
    words
        .to_str()
        .is_ok_and(|words| error.to_string().ends_with(words))
}
