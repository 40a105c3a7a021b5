//! A look inside a live program: a line console on a local socket, figures for Prometheus, a page for a browser.
//!
//! A program opens it where it starts, and keeps the [`Server`] as long as the
//! backdoor is to be open:
//!
//! ```
//! use green::backdoor::Server;
//! # use std::io::{Read, Write};
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("shop.sock");
//!
//! let _backdoor = Server::new().unix(&path)?;
//! # green::run(|| ());
//! # let mut client = std::os::unix::net::UnixStream::connect(&path)?;
//! # client.write_all(b"hubs\nquit\n")?;
//! # let mut answer = String::new();
//! # client.read_to_string(&mut answer)?;
//! # assert!(answer.contains("hub 0: "), "{answer}");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! To see what the program does, connect to it:
//!
//! ```sh
//! $ socat - UNIX-CONNECT:/run/shop/backdoor.sock    # or: nc -U …
//! green> threads
//!      1 accept on hub 0: waits for fd 9 readable [local 0.0.0.0:8080] since 2.1s
//! …
//! green> top
//! ```
//!
//! # Commands
//!
//! | command | answer |
//! |---|---|
//! | `threads [TEXT]` | every green thread, or those whose line contains `TEXT`: where it waits, who the peer of its socket is, and since when |
//! | `thread ID` | one green thread, which thread started it and which ones it has started |
//! | `tree` | every green thread under the one that started it |
//! | `hubs` | a line for each hub: what it has done and what it has to do |
//! | `stats` | the sums over all hubs, and how many green threads wait for each kind of thing |
//! | `listeners` | the descriptors that each hub watches, for sockets with the addresses of both ends, and who waits for them |
//! | `timers` | the deadlines, the nearest first |
//! | `top [SECONDS]` | who used the CPU in the next seconds: one if none is given, sixty at most |
//! | `metrics` | the figures as Prometheus reads them |
//! | `kill ID` | ends a green thread: see [`JoinHandle::kill`](crate::thread::JoinHandle::kill) |
//! | `help`, `quit` | |
//!
//! Each answer ends with the prompt `green> `, so that a program can tell where
//! it ends. A last line without an end is a command too: `echo -n hubs | nc -U …`.
//!
//! # It answers when the hubs do not
//!
//! The backdoor runs on OS threads of its own: one that accepts, and one for each session. So it takes no time from the
//! hubs, its own work is not in what it shows, and it answers even when green threads hold up every hub.
//!
//! # Who may come in
//!
//! Whoever can connect can read the names of green threads and end each of them.
//!
//! - A Unix socket has mode 0600: only the program's own user, and root, can
//!   connect. This is the one to prefer.
//! - A TCP address is refused if it is not a loopback address, unless [`allow_remote`](Server::allow_remote) was
//!   called. Every user of the machine can connect to a loopback address.
//! - [`read_only`](Server::read_only) refuses `kill`.
//! - There is neither a password nor encryption. From another machine use ssh, which has both: `ssh -L
//!   7000:/run/shop/backdoor.sock host`.
//! - Pages of other sites in a browser cannot use the console: a line that is the beginning of an HTTP request ends the
//!   session. Nor can they reach the page of [`http`](Server::http) under a name of their own, since only a `Host` that
//!   is an address or `localhost` is answered; and nothing there changes the program.
//!
//! # What a client can do to the program
//!
//! Up to 16 sessions are served at once by each listener; further clients are
//! told so and cut. A line may have 1024 bytes; a longer one ends the session. A client that does not take an answer
//! within 30 seconds is cut. Nothing that a client sends, or fails to send, affects any other session.

mod answers;
mod door;
mod http;
mod json;
mod line;
mod listen;
mod report_json;
mod session;
mod settings;
mod top;

use crate::net::ToSocketAddrs;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use greenhub::debug::CpuAccounting;
use greenhub::greenio::GreenSocket;

use self::door::Door;
use self::listen::UnixFile;
use self::settings::Settings;
use crate::metrics::Metrics;
use crate::net::resolve::each_address;

/// The backdoor of a program: listeners, and the sessions of their clients.
///
/// Dropping it closes both. A Unix socket's file is removed; a file that a killed program left behind is replaced by
/// the next program that uses the path.
///
/// See the [module](self) for what the console answers and who may come in.
///
/// ```
/// use green::backdoor::Server;
///
/// let backdoor = Server::new().read_only().tcp("127.0.0.1:0")?;
/// println!("telnet {}", backdoor.address().unwrap());
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "the backdoor is closed when it is dropped"]
pub struct Server {
    settings: Settings,
    doors: Vec<Door>,
    files: Vec<UnixFile>,
    address: Option<SocketAddr>,
    page: Option<SocketAddr>,
    counting: Option<CpuAccounting>,
    health: Option<Arc<http::Health>>,
}

impl Server {
    /// A backdoor without a listener yet.
    pub fn new() -> Server {
        Server {
            settings: Settings::default(),
            doors: Vec::new(),
            files: Vec::new(),
            address: None,
            page: None,
            counting: None,
            health: None,
        }
    }

    /// Allows any TCP addresses in the calls after this one, not just loopback addresses.
    ///
    /// Whoever can reach these addresses can look into the program and end its green threads; nothing is encrypted.
    ///
    /// ```
    /// use green::backdoor::Server;
    ///
    /// let refused = Server::new().tcp("0.0.0.0:0").unwrap_err();
    /// assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    /// assert!(Server::new().allow_remote().tcp("0.0.0.0:0").is_ok());
    /// ```
    pub fn allow_remote(mut self) -> Server {
        self.settings.allow_remote = true;
        self
    }

    /// Refuses `kill` in the sessions of listeners that are opened after this call.
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// use green::backdoor::Server;
    ///
    /// let backdoor = Server::new().read_only().tcp("127.0.0.1:0")?;
    /// let mut client = green::connect(backdoor.address().unwrap())?;
    /// client.write_all(b"kill 1\nquit\n")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.contains("for reading only"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_only(mut self) -> Server {
        self.settings.read_only = true;
        self
    }

    /// Opens the console on a TCP address; port 0 lets the system choose one, see
    /// [`address`](Server::address).
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// use green::backdoor::Server;
    ///
    /// let backdoor = Server::new().tcp("127.0.0.1:0")?;
    /// let mut client = green::connect(backdoor.address().unwrap())?;
    /// client.write_all(b"help
    /// quit
    /// ")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.contains("threads"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the address, or one that the name stands for, is not
    /// a loopback address, unless [`allow_remote`](Server::allow_remote) was
    /// called; those of bind(2) and of the look-up; if the OS thread could not be
    /// started.
    pub fn tcp(mut self, address: impl ToSocketAddrs) -> io::Result<Server> {
        let remote = self.settings.allow_remote;
        let listener = each_address(address, |address| listen::tcp(*address, remote))?;
        self.address = listener.local_addr()?.as_socket();
        self.open(listener)
    }

    /// Opens the console on a Unix socket that only the program's own user can
    /// connect to (mode 0600).
    ///
    /// ```
    /// use std::os::unix::fs::PermissionsExt;
    ///
    /// use green::backdoor::Server;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("shop.sock");
    /// let backdoor = Server::new().unix(&path)?;
    /// assert_eq!(path.metadata()?.permissions().mode() & 0o777, 0o600);
    /// drop(backdoor);
    /// assert!(!path.exists());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `AddrInUse` if somebody listens there, or if the path is a file of another
    /// kind, which is left alone; those of bind(2) and chmod(2); if the OS thread
    /// could not be started.
    pub fn unix(mut self, path: impl AsRef<Path>) -> io::Result<Server> {
        let (listener, file) = listen::unix(path.as_ref())?;
        self.files.push(file);
        self.open(listener)
    }

    /// Opens the console on a socket that listens already, such as one that the
    /// system's supervisor passed on, as eventlet's `backdoor_server(listener)`
    /// does.
    ///
    /// ```
    /// use green::backdoor::Server;
    /// use green::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("[::1]:0").or_else(|_| TcpListener::bind("127.0.0.1:0"))?;
    /// let _backdoor = Server::new().listener(listener)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `PermissionDenied` as with [`tcp`](Server::tcp); `InvalidInput` if it is not
    /// a stream socket that listens; if the OS thread could not be started.
    pub fn listener(mut self, listener: impl Into<GreenSocket>) -> io::Result<Server> {
        let listener = listener.into();
        listen::check(&listener, self.settings.allow_remote)?;
        self.address = listener.local_addr()?.as_socket().or(self.address);
        self.open(listener)
    }

    /// Serves a page for a browser at a TCP address: a live table of green threads
    /// and hubs, and a chart of how many green threads are resumed each second. [`url`](Server::url) says where.
    ///
    /// | path | what |
    /// |---|---|
    /// | `/` | the page; it needs nothing from other hosts |
    /// | `/metrics` | the figures of hubs and green threads, and those of [`metrics`](Server::metrics), as Prometheus reads them |
    /// | `/health` | 200, or 503 while [`health`](Server::health) says no |
    /// | `/report.json` | what the page shows: hubs, and 200 green threads; `?limit=N` (2,000 at most), `sort=` `id`, `name`, `hub`, `state`, `since` or `cpu`, `match=TEXT` |
    ///
    /// It answers only `GET` and `HEAD`, one request for each connection, and only if `Host` is an address or
    /// `localhost`. Nothing can be changed from here. The request must have come within ten seconds, and the answer
    /// must be taken within ten seconds.
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// use green::backdoor::Server;
    /// use green::net::TcpStream;
    ///
    /// let backdoor = Server::new().http("127.0.0.1:0")?;
    /// let url = backdoor.url().unwrap();
    /// let host = url.trim_start_matches("http://").trim_end_matches('/');
    ///
    /// let mut client = TcpStream::connect(host)?;
    /// write!(client, "GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`tcp`](Server::tcp).
    pub fn http(mut self, address: impl ToSocketAddrs) -> io::Result<Server> {
        let remote = self.settings.allow_remote;
        let listener = each_address(address, |address| listen::tcp(*address, remote))?;
        self.page = listener.local_addr()?.as_socket();
        let (health, counted) = (self.health.clone(), self.settings.counted.clone());
        let door = Door::open(listener, http::FULL, move |socket| {
            http::serve(socket, health.as_deref(), &counted)
        })?;
        self.doors.push(door);
        Ok(self)
    }

    /// Calls `is_well` at each request for `/health` of the pages that are opened after this call. A load balancer asks
    /// there, say, so that it sends no more clients once the server is to stop. `is_well` is called on an OS thread
    /// that answers even when every hub is held up, and should not wait; a panic counts as no. Without it the answer is
    /// 200 as long as the process lives.
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// use green::backdoor::Server;
    ///
    /// let server = green::convenience::Server::new(green::listen("127.0.0.1:0")?);
    /// let stop = server.stop_handle();
    /// let asked = stop.clone();
    /// let backdoor = Server::new().health(move || !asked.is_stopping()).http("127.0.0.1:0")?;
    /// let url = backdoor.url().unwrap();
    /// let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    /// let health = || -> std::io::Result<String> {
    ///     let mut client = green::connect(&*host)?;
    ///     write!(client, "GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
    ///     let mut answer = String::new();
    ///     client.read_to_string(&mut answer)?;
    ///     Ok(answer)
    /// };
    /// assert!(health()?.starts_with("HTTP/1.1 200 OK\r\n"));
    /// stop.stop();
    /// assert!(health()?.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn health(mut self, is_well: impl Fn() -> bool + Send + Sync + 'static) -> Server {
        self.health = Some(Arc::new(is_well));
        self
    }

    /// Tells what `source` counts, beside what hubs do, at `/metrics` and by the command `metrics` of what is opened after
    /// this call: the pools and servers of the program, or figures of its own. `name` tells them apart; see
    /// [`prometheus`](crate::metrics::prometheus). `source` is asked on an OS thread that answers even when every hub
    /// is held up, and should not wait.
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// use green::backdoor::Server;
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::new(20);
    /// let backdoor = Server::new().metrics("resizing", pool.clone()).tcp("127.0.0.1:0")?;
    /// pool.spawn(|| ()).join().unwrap();
    /// let mut client = green::connect(backdoor.address().unwrap())?;
    /// client.write_all(b"metrics\nquit\n")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.contains("green_pool_started_total{name=\"resizing\"} 1\n"), "{answer}");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn metrics(mut self, name: &str, source: impl Metrics + Send + Sync + 'static) -> Server {
        self.settings.counted.add(name, source);
        self
    }

    /// Counts CPU time for each green thread as long as the server lives, as a [`CpuAccounting`] does; the page then
    /// shows it. `top` counts by itself.
    ///
    /// ```
    /// use green::{backdoor::Server, debug::CpuAccounting};
    ///
    /// let backdoor = Server::new().count_cpu().http("127.0.0.1:0")?;
    /// assert!(CpuAccounting::is_on());
    /// # drop(backdoor);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn count_cpu(mut self) -> Server {
        self.counting = Some(CpuAccounting::start());
        self
    }

    fn open(mut self, listener: GreenSocket) -> io::Result<Server> {
        let settings = self.settings.clone();
        let door = Door::open(listener, session::FULL, move |socket| {
            session::serve(socket, &settings)
        })?;
        self.doors.push(door);
        Ok(self)
    }

    /// The TCP address of the console opened last.
    ///
    /// ```
    /// use green::backdoor::Server;
    ///
    /// let backdoor = Server::new().tcp("127.0.0.1:0")?;
    /// assert!(backdoor.address().unwrap().ip().is_loopback());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The address of the page opened last, as a URL for a browser.
    ///
    /// ```
    /// use green::backdoor::Server;
    ///
    /// let backdoor = Server::new().http("127.0.0.1:0")?;
    /// assert!(backdoor.url().unwrap().starts_with("http://127.0.0.1:"));
    /// assert_eq!(backdoor.address(), None);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn url(&self) -> Option<String> {
        self.page.map(|address| format!("http://{address}/"))
    }

    /// The paths of the Unix sockets.
    ///
    /// ```
    /// use green::backdoor::Server;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("shop.sock");
    /// let backdoor = Server::new().unix(&path)?;
    /// assert!(backdoor.paths().eq([&path]));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().map(UnixFile::path)
    }
}

impl Default for Server {
    fn default() -> Server {
        Server::new()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("settings", &self.settings)
            .field("address", &self.address)
            .field("url", &self.url())
            .field("paths", &self.paths().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
