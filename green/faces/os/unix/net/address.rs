//! Unix addresses between std's type and the socket's.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use greenhub::greenio::SockAddr;

/// The address of a socket file. std's constructor finds what is wrong with a
/// path, and names it as std does.
pub(super) fn of_path(path: &Path) -> io::Result<SockAddr> {
    SocketAddr::from_pathname(path).and_then(|address| of_std(&address))
}

pub(super) fn of_std(address: &SocketAddr) -> io::Result<SockAddr> {
    if let Some(path) = address.as_pathname() {
        SockAddr::unix(path)
    } else if let Some(name) = address.as_abstract_name() {
        let marked = [b"\0", name].concat();
        SockAddr::unix(OsStr::from_bytes(&marked))
    } else {
        SockAddr::unix("")
    }
}

/// What has no family is a datagram's sender without a name.
pub(super) fn to_std(address: SockAddr) -> io::Result<SocketAddr> {
    if let Some(path) = address.as_pathname() {
        SocketAddr::from_pathname(path)
    } else if let Some(name) = address.as_abstract_namespace() {
        SocketAddr::from_abstract_name(name)
    } else if address.len() == 0 || address.is_unnamed() {
        SocketAddr::from_pathname("")
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "file descriptor did not correspond to a Unix socket",
        ))
    }
}
