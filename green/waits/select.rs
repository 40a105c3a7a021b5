//! `poll` and `select` over any descriptors: green sockets and pipes, std's types, raw ones.
//!
//! poll(2), asked without a time limit, says who is ready; that is the only judge, so regular files, errors and hang-ups
//! come out exactly as the kernel has them. While nobody is, the descriptors sit in an epoll instance made for this
//! call, and the calling thread waits for that one descriptor on its hub: the instance becomes readable when one of its
//! members becomes ready.
//!
//! Readiness is the kernel's. What a type has read already and keeps in a buffer (`BufReader`, a TLS socket, `Stdin`)
//! is not seen: ask such a type first.
//!
//! # Examples
//!
//! ```
//! use std::io::Write;
//!
//! use green::select::{Interest, PollFd, poll};
//!
//! let (quiet, _open) = green::io::pipe()?;
//! let (loud, mut writer) = green::io::pipe()?;
//! green::thread::spawn(move || writer.write_all(b"news"));
//!
//! let mut both = [&quiet, &loud].map(|pipe| PollFd::new(pipe, Interest::READABLE));
//! assert_eq!(poll(&mut both, None)?, 1);
//! assert!(both[1].readiness().is_readable());
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::source::{Direction, Source};
use greenhub::wait_queue::give_way;
use rustix::event::{PollFlags, Timespec, epoll};
use rustix::io::Errno;

/// What a [`PollFd`] waits for.
///
/// # Examples
///
/// ```
/// use green::os::unix::net::UnixStream;
/// use green::select::{Interest, PollFd, poll};
///
/// let (stream, _peer) = UnixStream::pair()?;
/// let mut one = [PollFd::new(&stream, Interest::READABLE | Interest::WRITABLE)];
/// poll(&mut one, None)?;
/// let readiness = one[0].readiness();
/// assert!(readiness.is_writable() && !readiness.is_readable());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interest(PollFlags);

impl Interest {
    /// Reading would not wait: there are bytes, a connection to accept, the end, or an error.
    pub const READABLE: Interest = Interest(PollFlags::IN);
    /// Writing would not wait: there is room, or an error.
    pub const WRITABLE: Interest = Interest(PollFlags::OUT);
    /// Something exceptional: out-of-band bytes on a TCP socket.
    pub const PRIORITY: Interest = Interest(PollFlags::PRI);
    /// Nothing but errors and hang-ups, which are always reported.
    pub const NONE: Interest = Interest(PollFlags::empty());
}

impl std::ops::BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

/// What [`poll`] found out about one descriptor.
///
/// # Examples
///
/// ```
/// use green::select::{Interest, PollFd, poll};
///
/// let (reader, writer) = green::io::pipe()?;
/// drop(writer);
/// let mut one = [PollFd::new(&reader, Interest::READABLE)];
/// poll(&mut one, None)?;
/// let readiness = one[0].readiness();
/// assert!(readiness.is_readable() && readiness.is_hang_up() && !readiness.is_error());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Readiness(PollFlags);

impl Readiness {
    /// Whether anything at all was found.
    pub fn any(self) -> bool {
        !self.0.is_empty()
    }

    /// Reading would not wait. True also at the end and after an error, when the read says which.
    pub fn is_readable(self) -> bool {
        self.0
            .intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)
    }

    /// Writing would not wait. True also after an error, when the write says which.
    pub fn is_writable(self) -> bool {
        self.0.intersects(PollFlags::OUT | PollFlags::ERR)
    }

    /// Something exceptional is there: out-of-band bytes on a TCP socket.
    pub fn is_priority(self) -> bool {
        self.0.contains(PollFlags::PRI)
    }

    /// An error is pending, or the reader of this pipe has gone.
    pub fn is_error(self) -> bool {
        self.0.contains(PollFlags::ERR)
    }

    /// The peer has closed; there may still be bytes to read.
    pub fn is_hang_up(self) -> bool {
        self.0.contains(PollFlags::HUP)
    }

    /// The number is not that of an open descriptor.
    pub fn is_invalid(self) -> bool {
        self.0.contains(PollFlags::NVAL)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter_names().map(|(name, _)| name).collect();
        write!(f, "Readiness({})", names.join(" | "))
    }
}

/// One descriptor for [`poll`]: what is waited for and, afterwards, what was found.
///
/// # Examples
///
/// ```
/// use green::select::{Interest, PollFd, poll};
/// use std::time::Duration;
///
/// let (reader, _writer) = green::io::pipe()?;
/// let mut fds = [PollFd::new(&reader, Interest::READABLE)];
/// assert_eq!(poll(&mut fds, Some(Duration::ZERO))?, 0);
/// assert!(!fds[0].readiness().any());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PollFd<'fd> {
    fd: BorrowedFd<'fd>,
    interest: Interest,
    readiness: Readiness,
}

impl<'fd> PollFd<'fd> {
    /// Waits for `interest` on a descriptor.
    pub fn new<Fd: AsFd + ?Sized>(fd: &'fd Fd, interest: Interest) -> PollFd<'fd> {
        PollFd {
            fd: fd.as_fd(),
            interest,
            readiness: Readiness(PollFlags::empty()),
        }
    }

    /// What the last [`poll`] found.
    pub fn readiness(&self) -> Readiness {
        self.readiness
    }
}

impl AsFd for PollFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd
    }
}

/// Waits until at least one descriptor is ready, or `limit` has passed, and returns how many are.
///
/// All that are ready are marked, see [`PollFd::readiness`]. `None` waits without limit; a zero limit only looks. The
/// calling green thread parks; an OS thread blocks. With no descriptor at all it waits for the limit.
///
/// # Errors
///
/// `Ok(0)` is the time limit. An error is the kernel's: too many open descriptors, out of memory.
///
/// # Examples
///
/// ```
/// use green::select::{Interest, PollFd, poll};
/// use std::io::Write;
/// use std::time::Duration;
///
/// let (quiet, _kept) = green::io::pipe()?;
/// let (ready, mut writer) = green::io::pipe()?;
/// writer.write_all(b"x")?;
///
/// let mut both = [PollFd::new(&quiet, Interest::READABLE), PollFd::new(&ready, Interest::READABLE)];
/// assert_eq!(poll(&mut both, Some(Duration::from_secs(1)))?, 1);
/// assert!(!both[0].readiness().any());
/// assert!(both[1].readiness().is_readable());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn poll(fds: &mut [PollFd<'_>], limit: Option<Duration>) -> io::Result<usize> {
    give_way();
    let ready = ready_now(fds)?;
    if ready > 0 || limit.is_some_and(|limit| limit.is_zero()) {
        return Ok(ready);
    }
    let deadline = Deadline::within(limit);
    let alarm = alarm_for(fds)?;
    let found = alarm.retry(Direction::Read, deadline, |_| match ready_now(fds)? {
        0 => Err(Errno::AGAIN.into()),
        ready => Ok(ready),
    });
    match found {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        found => found,
    }
}

/// poll(2) that does not wait.
fn ready_now(fds: &mut [PollFd<'_>]) -> rustix::io::Result<usize> {
    // The system knows nothing of what a simulated socket is ready for.
    #[cfg(feature = "sim")]
    if greenhub::sim::is_simulated() {
        return Err(Errno::OPNOTSUPP);
    }
    let mut asked: Vec<_> = fds
        .iter()
        .map(|fd| rustix::event::PollFd::from_borrowed_fd(fd.fd, fd.interest.0))
        .collect();
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let ready = loop {
        match rustix::event::poll(&mut asked, Some(&at_once)) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    for (fd, asked) in fds.iter_mut().zip(&asked) {
        fd.readiness = Readiness(asked.revents());
    }
    Ok(ready)
}

/// An epoll instance that becomes readable when one of the descriptors becomes ready.
fn alarm_for(fds: &[PollFd<'_>]) -> io::Result<Source> {
    let alarm = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for fd in fds {
        match epoll::add(&alarm, fd.fd, NO_DATA, events(fd.interest)) {
            Ok(()) => {}
            // epoll keeps one entry a descriptor, and a caller may name one twice, to read and to write.
            Err(Errno::EXIST) => {
                let same = fds
                    .iter()
                    .filter(|other| other.fd.as_raw_fd() == fd.fd.as_raw_fd());
                let all = same.fold(Interest::NONE, |all, other| all | other.interest);
                epoll::modify(&alarm, fd.fd, NO_DATA, events(all))?;
            }
            // A regular file, say. poll(2) calls it ready if it is waited for; if not, it has nothing to tell.
            Err(Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Source::new(alarm))
}

/// Nobody reads the events: poll(2) tells who is ready.
const NO_DATA: epoll::EventData = epoll::EventData::new_u64(0);

fn events(interest: Interest) -> epoll::EventFlags {
    epoll::EventFlags::from_bits_retain(u32::from(interest.0.bits()))
}

/// Which descriptors [`select`] found ready, as positions in the lists it was given.
///
/// # Examples
///
/// ```
/// use green::select::select;
/// use std::time::Duration;
///
/// let (reader, _writer) = green::io::pipe()?;
/// let selected = select(&[&reader], &[], &[], Some(Duration::from_millis(5)))?;
/// assert!(selected.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Positions in the first list: reading would not wait.
    pub readable: Vec<usize>,
    /// Positions in the second list: writing would not wait.
    pub writable: Vec<usize>,
    /// Positions in the third list: out-of-band bytes.
    pub exceptional: Vec<usize>,
}

impl Selected {
    /// Whether nothing was ready when the time limit passed.
    pub fn is_empty(&self) -> bool {
        self.readable.is_empty() && self.writable.is_empty() && self.exceptional.is_empty()
    }
}

/// Waits until a descriptor of `read` can be read, one of `write` written, or one of `except` has out-of-band bytes.
///
/// As Python's `select.select`: all that are ready are returned, and empty lists after `limit`. `None` waits without
/// limit. Descriptors may be numbered above 1023.
///
/// # Errors
///
/// As [`poll`], and EBADF when a number is not that of an open descriptor.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// let (reader, mut writer) = green::io::pipe()?;
/// writer.write_all(b"x")?;
/// let selected = green::select::select(&[&reader], &[&writer], &[], None)?;
/// assert_eq!((selected.readable, selected.writable), (vec![0], vec![0]));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn select(
    read: &[&dyn AsFd],
    write: &[&dyn AsFd],
    except: &[&dyn AsFd],
    limit: Option<Duration>,
) -> io::Result<Selected> {
    let lists = [
        (read, Interest::READABLE),
        (write, Interest::WRITABLE),
        (except, Interest::PRIORITY),
    ];
    let mut fds: Vec<_> = lists
        .iter()
        .flat_map(|(list, interest)| list.iter().map(|fd| PollFd::new(*fd, *interest)))
        .collect();
    poll(&mut fds, limit)?;
    if fds.iter().any(|fd| fd.readiness.is_invalid()) {
        return Err(io::Error::from(Errno::BADF));
    }
    let found = |part: &[PollFd<'_>], ready: fn(Readiness) -> bool| {
        part.iter()
            .enumerate()
            .filter(|(_, fd)| ready(fd.readiness))
            .map(|(position, _)| position)
            .collect()
    };
    let (read_part, rest) = fds.split_at(read.len());
    let (write_part, except_part) = rest.split_at(write.len());
    Ok(Selected {
        readable: found(read_part, Readiness::is_readable),
        writable: found(write_part, Readiness::is_writable),
        exceptional: found(except_part, Readiness::is_priority),
    })
}
