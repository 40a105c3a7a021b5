//! Listening sockets that only permitted clients can reach.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use greenhub::greenio::{Domain, GreenSocket, SockAddr, Type};

const BACKLOG: i32 = 16;

/// Listens on `address`, if it may be used.
pub(super) fn tcp(address: SocketAddr, allow_remote: bool) -> io::Result<GreenSocket> {
    check_address(address, allow_remote)?;
    let socket = GreenSocket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn check_address(address: SocketAddr, allow_remote: bool) -> io::Result<()> {
    if allow_remote || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{address} is not a loopback address, and the backdoor was not told to allow others"
        ),
    ))
}

/// Checks a socket that somebody else has made.
pub(super) fn check(listener: &GreenSocket, allow_remote: bool) -> io::Result<()> {
    if listener.r#type()? != Type::STREAM || !listener.is_listener()? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the backdoor needs a stream socket that listens",
        ));
    }
    match listener.local_addr()?.as_socket() {
        Some(address) => check_address(address, allow_remote),
        None => Ok(()),
    }
}

/// Listens on `path`, for the program's own user alone.
pub(super) fn unix(path: &Path) -> io::Result<(GreenSocket, UnixFile)> {
    let socket = GreenSocket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        other => other?,
    }
    // Nobody can connect before it listens.
    let file = fs::set_permissions(path, Permissions::from_mode(0o600))
        .and_then(|()| UnixFile::new(path))
        .inspect_err(|_| drop(fs::remove_file(path)))?;
    socket.listen(BACKLOG)?;
    Ok((socket, file))
}

/// Whether `path` is a socket that nobody listens on any more: its program was
/// killed.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    // Answered at once, also by one who listens and does not accept: then with
    // EAGAIN, if its queue is full and the socket is non-blocking (unix(7)).
    let refused = || {
        let probe = GreenSocket::new(Domain::UNIX, Type::STREAM, None)?;
        probe.set_nonblocking(true);
        probe.connect(&SockAddr::unix(path)?)
    };
    is_socket && refused().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// The file of a Unix socket, removed when it is dropped if it is still ours.
#[derive(Debug)]
pub(super) struct UnixFile {
    path: PathBuf,
    identity: Identity,
}

impl UnixFile {
    fn new(path: &Path) -> io::Result<UnixFile> {
        Ok(UnixFile {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }
}

/// A number is used again when its file is gone; the time of the last change of
/// its mode tells two such files apart.
type Identity = (u64, u64, i64, i64);

fn identity(path: &Path) -> io::Result<Identity> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
}

impl Drop for UnixFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
