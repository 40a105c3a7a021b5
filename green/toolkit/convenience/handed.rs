//! Listeners that come from another process and go to another: from systemd, and to the process that takes this
//! one's place.
//!
//! # From systemd
//!
//! A socket unit listens before its service runs, and hands the listener over by number (sd_listen_fds(3)):
//! [`Handed::from_environment`].
//!
//! # A restart that loses no connection
//!
//! The new process connects to a Unix socket that the old one serves, is sent the listeners, and says when it is
//! [ready](Handed::ready). The old one then accepts no more and finishes what is under way. In between both accept, and
//! connections that nobody has accepted yet wait in the queue of the one listener that they share; so nobody is
//! refused.
//!
//! ```
//! use green::convenience::{Handed, HandOver, Server};
//!
//! # use std::io::Write;
//! fn serve(path: &std::path::Path) -> std::io::Result<()> {
//!     let mut handed = Handed::from_process(path)?;
//!     let listener = match handed.tcp("web")? {
//!         Some(listener) => listener,
//!         None => green::listen("127.0.0.1:0")?,
//!     };
//!     let server = Server::new(listener);
//!     let stop = server.stop_handle();
//!     let next = HandOver::new(path)?.listener("web", server.listener())?;
//!     green::thread::spawn(move || {
//!         // Until a successor is ready.
//!         if next.wait().is_ok() {
//!             stop.stop();
//!         }
//!     });
//!     handed.ready()?;
//!     server.run(|mut stream, _| stream.write_all(b"hello"))?;
//!     Ok(())
//! }
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("next");
//! # let first = { let path = path.clone(); green::thread::spawn(move || serve(&path)) };
//! # while !path.exists() { green::thread::sleep(std::time::Duration::from_millis(1)); }
//! # let mut handed = Handed::from_process(&path)?;
//! # let listener = handed.tcp("web")?.unwrap();
//! # handed.ready()?;
//! # first.join().unwrap()?;
//! # let client = green::connect(listener.local_addr()?)?;
//! # listener.accept()?;
//! # Ok::<(), std::io::Error>(())
//! ```
#![expect(
    unsafe_code,
    reason = "descriptors that a process begins with, and its environment"
)]

use std::env;
use std::fs::{self, Permissions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use greenhub::greenio::{ControlMessage, ControlWriter, Domain, GreenSocket, SockAddr, Type};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

use crate::net::TcpListener;
use crate::os::unix::net::UnixListener;

/// The first descriptor that systemd hands over.
const FIRST: RawFd = 3;
/// As many descriptors as the kernel sends at once (SCM_MAX_FD).
const MOST: usize = 253;
/// What a listener is called that was given no name, as sd_listen_fds_with_names(3) has it.
const UNKNOWN: &str = "unknown";
/// How long the other process may take for its part of a hand-over.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a successor may take until it is ready, unless set otherwise: it may have much to prepare.
const PREPARATION: Duration = Duration::from_secs(60);
const READY: u8 = b'R';

/// Listeners that this process was handed, by name.
///
/// A listener is taken out by its name and kind. Those that are not taken are closed when this is dropped. Closing a
/// listener that was handed over, as a server does when it stops, leaves it open for the other processes that have it.
///
/// ```
/// use green::convenience::Handed;
///
/// // Whoever started us: systemd, a process like this one, or a shell.
/// # let path = std::env::temp_dir().join("green-nobody-offers-here");
/// let mut handed = Handed::from_environment()?;
/// let listener = match handed.tcp("web")? {
///     Some(listener) => listener,
///     None => green::listen("127.0.0.1:0")?,
/// };
/// assert!(listener.local_addr()?.ip().is_loopback());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "what is not taken out is closed"]
pub struct Handed {
    listeners: Vec<(String, GreenSocket)>,
    /// The process before, which waits to hear that this one is ready.
    before: Option<GreenSocket>,
}

impl Handed {
    /// The listeners that the environment names: `LISTEN_FDS` of them, from descriptor 3 on, with the names in
    /// `LISTEN_FDNAMES` (systemd's `FileDescriptorName=`), if `LISTEN_PID` is this process. None otherwise, and none
    /// when called again.
    ///
    /// Call it at the beginning of `main`: while the process has only one thread, the variables are removed from the
    /// environment, so that its children do not see them (`LISTEN_PID` would not be theirs either). The descriptors are
    /// closed on exec.
    ///
    /// ```
    /// use green::convenience::Handed;
    ///
    /// let mut handed = Handed::from_environment()?;
    /// let listener = match handed.tcp("web")? {
    ///     Some(listener) => listener,
    ///     None => green::listen("127.0.0.1:0")?, // Not started by systemd.
    /// };
    /// # drop(listener);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidData` if the variables cannot be understood; EBADF, by its code, if a descriptor is not there.
    pub fn from_environment() -> io::Result<Handed> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let is_meant = number("LISTEN_PID")?.is_some_and(|pid| pid == std::process::id() as usize);
        if !is_meant || TAKEN.swap(true, Ordering::SeqCst) {
            return Ok(Handed::default());
        }
        let count = number("LISTEN_FDS")?.unwrap_or(0);
        if count > MOST {
            return Err(wrong(format!("LISTEN_FDS is {count}")));
        }
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = match names.is_empty() {
            true => vec![UNKNOWN; count],
            false => names.split(':').collect(),
        };
        if names.len() != count {
            let text = format!("LISTEN_FDNAMES has {} names for {count}", names.len());
            return Err(wrong(text));
        }
        forget_environment();
        let mut handed = Handed::default();
        for (name, fd) in names.into_iter().zip(FIRST..) {
            // SAFETY: who has started this process says that these descriptors are its own, and
            // `TAKEN` that nobody has taken them from here before. One that is not open is
            // found by the next call, and then not closed.
            let descriptor = unsafe { OwnedFd::from_raw_fd(fd) };
            let flags = match fcntl_getfd(&descriptor) {
                Ok(flags) => flags,
                Err(error) => {
                    std::mem::forget(descriptor);
                    return Err(error.into());
                }
            };
            fcntl_setfd(&descriptor, flags | FdFlags::CLOEXEC)?;
            handed.add(name.to_owned(), descriptor);
        }
        Ok(handed)
    }

    /// The listeners of the process that serves [`HandOver`] at `path`; none if there is no such process.
    ///
    /// This process can then accept too, and tells the other by [`ready`](Handed::ready) to stop. If this is dropped
    /// before that, the other goes on alone.
    ///
    /// # Errors
    ///
    /// Those of connect(2), except when no process serves there; `InvalidData` if something else answers there;
    /// `WouldBlock` if it does not within ten seconds.
    pub fn from_process(path: impl AsRef<Path>) -> io::Result<Handed> {
        let socket = GreenSocket::new(Domain::UNIX, Type::STREAM, None)?;
        match socket.connect(&SockAddr::unix(path)?) {
            Err(error) if is_nobody(&error) => return Ok(Handed::default()),
            connected => connected?,
        }
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut names = vec![0; 64 << 10];
        let mut room = vec![0; 4096];
        let mut received = socket.recvmsg(&mut [IoSliceMut::new(&mut names)], &mut room, 0)?;
        let descriptors: Vec<OwnedFd> = received
            .control
            .by_ref()
            .flat_map(|message| match message {
                ControlMessage::Rights(descriptors) => descriptors,
                _ => Vec::new(),
            })
            .collect();
        let names = names[..received.len].strip_suffix(b"\0");
        let names = names.map(|names| names.split(|&byte| byte == 0).collect::<Vec<_>>());
        let names = names.filter(|names| names.len() == descriptors.len());
        let names = names.ok_or_else(|| wrong("no hand-over is offered there".to_owned()))?;
        let mut handed = Handed::default();
        for (name, descriptor) in names.into_iter().zip(descriptors) {
            handed.add(String::from_utf8_lossy(name).into_owned(), descriptor);
        }
        handed.before = Some(socket);
        Ok(handed)
    }

    fn add(&mut self, name: String, descriptor: OwnedFd) {
        let socket = GreenSocket::from(descriptor);
        // The other process's mode is none of ours.
        socket.set_nonblocking(false);
        socket.leave_open_elsewhere();
        self.listeners.push((name, socket));
    }

    /// Takes out the first TCP listener of this name; `None` if no listener has it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if what has this name is no TCP listener; it stays.
    pub fn tcp(&mut self, name: &str) -> io::Result<Option<TcpListener>> {
        let socket = self.take(name, &[Domain::IPV4, Domain::IPV6])?;
        Ok(socket.map(TcpListener::from))
    }

    /// As [`tcp`](Handed::tcp), a listener on a Unix stream socket.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if what has this name is no such listener; it stays.
    pub fn unix(&mut self, name: &str) -> io::Result<Option<UnixListener>> {
        let socket = self.take(name, &[Domain::UNIX])?;
        Ok(socket.map(UnixListener::from))
    }

    fn take(&mut self, name: &str, domains: &[Domain]) -> io::Result<Option<GreenSocket>> {
        let place = self.listeners.iter().position(|(other, _)| other == name);
        let Some(place) = place else {
            return Ok(None);
        };
        let socket = &self.listeners[place].1;
        let is_right = socket
            .domain()
            .is_ok_and(|domain| domains.contains(&domain))
            && socket.r#type().is_ok_and(|kind| kind == Type::STREAM)
            && socket.is_listener().unwrap_or(false);
        if !is_right {
            let text = format!("what was handed over as {name:?} is no listener of this kind");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Some(self.listeners.remove(place).1))
    }

    /// The names of the listeners that have not been taken out.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().map(|(name, _)| name.as_str())
    }

    /// Tells the previous process, if there is one, that this one accepts from now on.
    ///
    /// # Errors
    ///
    /// Those of send(2), such as `BrokenPipe` if that process has ended, or has [waited too long](HandOver::ready_within).
    pub fn ready(self) -> io::Result<()> {
        match self.before {
            Some(before) => Ok(before.send_all(&[READY])?),
            None => Ok(()),
        }
    }
}

/// Offers this process's listeners to the one that takes its place.
///
/// The path belongs to the last process that offered there: a successor that offers at the same path takes it over.
///
/// ```
/// use green::convenience::{HandOver, Handed};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("next");
/// let listener = green::listen("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let next = HandOver::new(&path)?.listener("web", &listener)?;
/// let waiting = green::thread::spawn(move || next.wait());
///
/// // The process that takes our place:
/// let mut handed = Handed::from_process(&path)?;
/// let taken = handed.tcp("web")?.expect("it was offered");
/// assert_eq!(taken.local_addr()?, address);
/// handed.ready()?;
///
/// // Ours hears of it, and can go.
/// waiting.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "nobody is served before `wait`"]
pub struct HandOver {
    socket: GreenSocket,
    names: Vec<u8>,
    listeners: Vec<GreenSocket>,
    preparation: Duration,
}

impl HandOver {
    /// Listens on `path`, for this user alone (mode 0600), in place of any process that did so before.
    ///
    /// # Errors
    ///
    /// Those of bind(2) and rename(2).
    pub fn new(path: impl AsRef<Path>) -> io::Result<HandOver> {
        let path = path.as_ref();
        let mut own: PathBuf = path.to_owned();
        own.as_mut_os_string()
            .push(format!(".{}", std::process::id()));
        let _ = fs::remove_file(&own);
        let socket = GreenSocket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(&own)?)?;
        // Nobody can connect before it listens.
        fs::set_permissions(&own, Permissions::from_mode(0o600))
            .and_then(|()| socket.listen(8))
            .and_then(|()| fs::rename(&own, path))
            .inspect_err(|_| drop(fs::remove_file(&own)))?;
        Ok(HandOver {
            socket,
            names: Vec::new(),
            listeners: Vec::new(),
            preparation: PREPARATION,
        })
    }

    /// How long a successor may take from when it has the listeners until it is ready, a minute unless set here. One
    /// that takes longer is given up: its [`ready`](Handed::ready) fails, and the next may come.
    pub fn ready_within(mut self, limit: Duration) -> HandOver {
        self.preparation = limit;
        self
    }

    /// Offers a listener by this name. From now on closing it here leaves it open for others.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a name with a NUL byte, or the 254th listener.
    pub fn listener(
        mut self,
        name: &str,
        listener: &impl AsRef<GreenSocket>,
    ) -> io::Result<HandOver> {
        if name.contains('\0') || self.listeners.len() == MOST {
            let text = format!("a listener cannot be handed over as {name:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let listener = listener.as_ref().try_clone()?;
        listener.leave_open_elsewhere();
        self.names.extend_from_slice(name.as_bytes());
        self.names.push(0);
        self.listeners.push(listener);
        Ok(self)
    }

    /// Parks until a successor has the listeners and is ready. One that goes away without having said so, or is not ready
    /// [in time](HandOver::ready_within), changes nothing.
    ///
    /// # Errors
    ///
    /// Those of accept(2), after which no successor can come any more.
    pub fn wait(&self) -> io::Result<()> {
        loop {
            let (successor, _) = self.socket.accept()?;
            match self.hand_over(&successor) {
                Ok(true) => return Ok(()),
                Ok(false) => log::warn!("a successor came and went"),
                Err(error) => log::warn!("a successor was given up: {error}"),
            }
        }
    }

    fn hand_over(&self, successor: &GreenSocket) -> io::Result<bool> {
        successor.set_write_timeout(Some(PATIENCE))?;
        // Others may come while this one prepares, and it may hang.
        successor.set_read_timeout(Some(self.preparation.max(Duration::from_nanos(1))))?;
        let descriptors: Vec<_> = self.listeners.iter().map(AsFd::as_fd).collect();
        let mut control = ControlWriter::new();
        control.rights(&descriptors);
        successor.sendmsg(&[IoSlice::new(&self.names)], None, &control, 0)?;
        let mut word = [0];
        match successor.recv(&mut word) {
            Ok(count) => Ok(count == 1 && word == [READY]),
            Err(error) if crate::is_timeout(&error) => {
                let late = "it was not ready in time";
                Err(io::Error::new(io::ErrorKind::TimedOut, late))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether nobody listens at a path.
fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// A variable of the environment as a number.
fn number(name: &str) -> io::Result<Option<usize>> {
    match env::var(name) {
        Ok(text) => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(wrong(format!("{name} is {text:?}, which is no number"))),
        },
        Err(_) => Ok(None),
    }
}

fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Takes the variables out, if nobody else can be reading the environment.
fn forget_environment() {
    let threads = fs::read_dir("/proc/self/task").map(Iterator::count);
    if threads.is_ok_and(|threads| threads == 1) {
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            // SAFETY: there is no other thread.
            unsafe { env::remove_var(name) };
        }
    }
}
