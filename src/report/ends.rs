//! The names of a socket's two ends, found by its descriptor's number.

use std::fmt;
use std::os::fd::RawFd;

use socket2::SockAddr;

use super::{Site, State, ThreadReport};
use crate::calls;
use crate::sys::fd::look_at_number;

/// The names of the two ends of a socket: addresses, or paths of Unix sockets.
///
/// ```
/// use std::net::TcpListener;
///
/// use green::{Site, State, net, report, thread};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut stream = net::TcpStream::connect(listener.local_addr()?)?;
/// let peer = listener.local_addr()?.to_string();
/// let reader = thread::spawn(move || std::io::Read::read(&mut stream, &mut [0]));
/// let ends = loop {
///     let threads = report().threads;
///     let found = threads.iter().find(|thread| thread.id == reader.thread().id()).unwrap();
///     if let Some(ends) = found.socket() {
///         break ends;
///     }
/// };
/// assert_eq!(ends.peer, Some(peer));
/// # drop(listener);
/// # let _ = reader.join();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketEnds {
    /// Our own.
    pub local: String,
    /// The peer's; `None` if there is no peer, as for a listener.
    pub peer: Option<String>,
}

impl SocketEnds {
    /// Those of the socket that has the number now; `None` if it is no socket, or if its ends have no names.
    pub(crate) fn of(fd: RawFd) -> Option<SocketEnds> {
        let (local, peer) = look_at_number(fd, |fd| {
            Some((calls::local_addr(fd).ok()?, calls::peer_addr(fd).ok()))
        })??;
        let ends = [Some(&local), peer.as_ref()].map(|end| end.and_then(name));
        match ends {
            [None, None] => None,
            [local, of_peer] => Some(SocketEnds {
                local: local.unwrap_or_else(unnamed),
                peer: peer.map(|_| of_peer.unwrap_or_else(unnamed)),
            }),
        }
    }
}

fn unnamed() -> String {
    "unnamed".to_owned()
}

/// `None` for an end that has no name. The name is on one line, whatever is in it, since the text may go to a terminal.
fn name(end: &SockAddr) -> Option<String> {
    if let Some(address) = end.as_socket() {
        let is_bound = address.port() != 0 || !address.ip().is_unspecified();
        return is_bound.then(|| address.to_string());
    }
    let unix = match (end.as_pathname(), end.as_abstract_namespace()) {
        (Some(path), _) => path.to_string_lossy().into_owned(),
        (None, Some(name)) => format!("@{}", String::from_utf8_lossy(name)),
        (None, None) => return None,
    };
    Some(unix.escape_debug().to_string())
}

impl fmt::Display for SocketEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "local {}", self.local)?;
        match &self.peer {
            Some(peer) => write!(f, ", peer {peer}"),
            None => Ok(()),
        }
    }
}

impl ThreadReport {
    /// The ends of the socket that it waits for, found by the descriptor's number at the moment of this call; `None` if
    /// it waits for no socket.
    pub fn socket(&self) -> Option<SocketEnds> {
        match self.state {
            State::Waiting(site) => SiteWithEnds(site).socket(),
            State::New | State::Running | State::Ready => None,
        }
    }
}

/// What a thread waits for, with the ends of a socket.
pub(crate) struct SiteWithEnds(pub(crate) Site);

impl SiteWithEnds {
    fn socket(&self) -> Option<SocketEnds> {
        match self.0 {
            Site::Readable(fd) | Site::Writable(fd) => SocketEnds::of(fd),
            Site::Sleep | Site::Park | Site::Join(_) | Site::Queue(_) => None,
        }
    }
}

impl fmt::Display for SiteWithEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match self.socket() {
            Some(ends) => write!(f, " [{ends}]"),
            None => Ok(()),
        }
    }
}
