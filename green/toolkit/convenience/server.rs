//! The accept loop, and how it stops.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, Ordering::Relaxed};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::wait_queue::ShortLock;

use super::connections::{Connections, Count, Entry};
use super::listen::Accept;
use super::outcome::Outcome;
#[cfg(doc)]
use super::outcome::StopServe;
#[cfg(feature = "signal")]
use super::signals::StopSignals;
use crate::metrics::{Figure, Metrics};
use crate::thread::{Builder, JoinHandle};

/// eventlet's number.
const CONCURRENCY: usize = 1000;
const GRACE: Duration = Duration::from_secs(30);
/// What the green threads of connections are called.
const CONNECTION: &str = "connection";

/// A listener and the settings of the server on it.
///
/// ```
/// use std::io::Write;
/// use std::time::Duration;
///
/// use green::convenience::Server;
///
/// # fn main() -> std::io::Result<()> {
/// let server = Server::new(green::listen("127.0.0.1:0")?)
///     .concurrency(500)
///     .grace(Duration::from_secs(5));
/// let stop = server.stop_handle();
/// let running = green::thread::spawn(move || {
///     server.run(|mut stream, peer| {
///         let _ = writeln!(stream, "hello, {peer}");
///     })
/// });
/// // From wherever it is known that the time has come: a signal, say.
/// stop.stop();
/// let served = running.join().unwrap()?;
/// assert_eq!(served.cut, 0);
/// # Ok(())
/// # }
/// ```
#[must_use = "serves only when it is run"]
pub struct Server<L> {
    listener: Arc<L>,
    count: Arc<Count>,
    grace: Duration,
    stop: Arc<Stop>,
    #[cfg(feature = "signal")]
    signals: Option<StopSignals>,
}

/// What a server did.
///
/// ```
/// use std::io::Read;
///
/// use green::convenience::{Server, StopServe};
///
/// let server = Server::new(green::listen("127.0.0.1:0")?);
/// let address = server.listener().local_addr()?;
/// let running = green::thread::spawn(|| server.run(|_, _| Err(StopServe::new())));
/// green::connect(address)?.read_to_end(&mut Vec::new())?;
/// let served = running.join().unwrap()?;
/// assert_eq!((served.connections, served.cut), (1, 0));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Connections that were handed to the handler.
    pub connections: u64,
    /// Those that were ended because they took longer than the grace.
    pub cut: usize,
}

/// The wish to stop.
struct Stop {
    asked: AtomicBool,
    /// What the first handler to ask for it wants returned.
    result: ShortLock<Option<io::Result<()>>>,
    /// Ends the waits of a server that runs.
    wake: ShortLock<Option<Box<dyn Fn() + Send + Sync>>>,
}

impl Stop {
    /// The first to ask decides what is returned.
    fn ask_for(&self, result: io::Result<()>) {
        let mut first = self.result.lock();
        let late = match *first {
            None => first.replace(result),
            Some(_) => Some(result),
        };
        drop(first);
        self.ask();
        // A user's error, so not under the lock.
        drop(late);
    }

    fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        let wake = self.wake.lock().take();
        if let Some(wake) = wake {
            wake();
        }
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Stops a [`Server`] from outside, from any thread.
///
/// ```
/// use green::convenience::Server;
///
/// let server = Server::new(green::listen("127.0.0.1:0")?);
/// let stop = server.stop_handle();
/// let running = green::thread::spawn(|| server.run(|_, _| ()));
/// assert!(!stop.is_stopping());
/// stop.stop();
/// assert!(stop.is_stopping());
/// running.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct StopHandle(Arc<Stop>);

impl StopHandle {
    /// Makes the server accept no more connections: those that wait in the listener's queue and all
    /// later ones are refused. The server then waits for those under way, as [`Server::grace`] says.
    /// Returns at once. A server that is not running yet will not begin.
    pub fn stop(&self) {
        self.0.ask();
    }

    /// Whether the server was told to stop, by a handle or by a handler.
    pub fn is_stopping(&self) -> bool {
        self.0.is_asked()
    }
}

/// What a [`Server`] counts: its connections, how many it may have at once, and how many there were.
///
/// ```
/// use green::convenience::Server;
/// use green::metrics::{Metrics, prometheus};
///
/// let server = Server::new(green::listen("127.0.0.1:0")?).concurrency(500);
/// let text = prometheus([("", &server.counters() as &dyn Metrics)]);
/// assert!(text.contains("\ngreen_server_connections_max 500\n"), "{text}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Counters(Arc<Count>);

impl Metrics for Counters {
    fn tell(&self, to: &mut dyn FnMut(Figure<'_>)) {
        let gauge = |name, help, value: u64| Figure::gauge(name, help, value as f64);
        // In this order: none has ended that has not begun.
        let ended = self.0.ended.load(Ordering::Acquire);
        let begun = self.0.begun.load(Relaxed);
        let open = "Connections of the server.";
        to(gauge("green_server_connections", open, begun - ended));
        let most = "Connections that the server may have at once.";
        let limit = self.0.most.load(Relaxed) as u64;
        to(gauge("green_server_connections_max", most, limit));
        let total = "Connections that the server has had.";
        to(Figure::counter(
            "green_server_connections_total",
            total,
            begun,
        ));
    }
}

impl<L: Accept> Server<L> {
    /// At most 1000 connections at once, and 30 s to finish.
    pub fn new(listener: L) -> Server<L> {
        Server {
            listener: Arc::new(listener),
            count: Arc::new(Count {
                most: CONCURRENCY.into(),
                ..Count::default()
            }),
            grace: GRACE,
            stop: Arc::new(Stop {
                asked: AtomicBool::new(false),
                result: ShortLock::new(None),
                wake: ShortLock::new(None),
            }),
            #[cfg(feature = "signal")]
            signals: None,
        }
    }

    /// How many connections are handled at once. The next one is accepted when one of them has
    /// ended; until then it waits in the listener's queue.
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// use green::convenience::{Server, StopServe};
    ///
    /// // One after the other.
    /// let server = Server::new(green::listen("127.0.0.1:0")?).concurrency(1);
    /// let address = server.listener().local_addr()?;
    /// let running = green::thread::spawn(|| {
    ///     server.run(|mut stream, _| {
    ///         let mut order = [0];
    ///         match stream.read_exact(&mut order) {
    ///             Ok(()) if order == *b"q" => Err(StopServe::new()),
    ///             _ => Ok(drop(stream.write_all(b"done"))),
    ///         }
    ///     })
    /// });
    /// for order in [b"a", b"q"] {
    ///     let mut client = green::connect(address)?;
    ///     client.write_all(order)?;
    ///     client.read_to_end(&mut Vec::new())?;
    /// }
    /// assert_eq!(running.join().unwrap()?.connections, 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If it is 0: such a server would wait for ever.
    pub fn concurrency(self, most: usize) -> Server<L> {
        assert!(most > 0, "a server must be able to serve");
        self.count.most.store(most, Relaxed);
        self
    }

    /// How long connections may take to finish when the server stops. Those that are not done by then
    /// are ended: their green threads unwind where they wait, and the connections are closed.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::time::Duration;
    ///
    /// use green::{convenience::Server, thread};
    ///
    /// let server = Server::new(green::listen("127.0.0.1:0")?).grace(Duration::from_millis(10));
    /// let (address, stop) = (server.listener().local_addr()?, server.stop_handle());
    /// let running = thread::spawn(|| {
    ///     server.run(|mut stream, _| {
    ///         let _ = stream.write_all(b"?");
    ///         thread::sleep(Duration::from_secs(3600)); // Not that long.
    ///     })
    /// });
    /// let mut client = green::connect(address)?;
    /// client.read_exact(&mut [0])?;
    /// stop.stop();
    /// assert_eq!(client.read(&mut [0])?, 0);
    /// assert_eq!(running.join().unwrap()?.cut, 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn grace(mut self, limit: Duration) -> Server<L> {
        self.grace = limit;
        self
    }

    /// Stops the server from elsewhere.
    ///
    /// ```
    /// use green::convenience::Server;
    ///
    /// let server = Server::new(green::listen("127.0.0.1:0")?);
    /// // It is told to stop before it begins.
    /// server.stop_handle().stop();
    /// assert_eq!(server.run(|_, _| ())?.connections, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(self.stop.clone())
    }

    /// Stops it, as a [`StopHandle`] does, when the process gets SIGTERM or Ctrl-C (SIGINT) from now on. A second one ends the
    /// process at once, as if nobody had heard it. The signals are heard until [`run`](Server::run) returns, and ignored
    /// after that; other listeners hear them too.
    ///
    /// ```
    /// use green::convenience::Server;
    ///
    /// let server = Server::new(green::listen("127.0.0.1:0")?).stop_on_signals()?;
    /// # signal_hook::low_level::raise(signal_hook::consts::SIGTERM)?;
    /// let served = server.run(|_, _| ())?;
    /// println!("stopped after {} connections", served.connections);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As those of [`Signals::new`](crate::signal::Signals::new), or if there is no stack for who waits for them.
    #[cfg(feature = "signal")]
    pub fn stop_on_signals(mut self) -> io::Result<Server<L>> {
        let stop = self.stop_handle();
        self.signals = Some(StopSignals::new(move || stop.stop())?);
        Ok(self)
    }

    /// How many connections there are, for whoever collects it; it goes on telling while the server runs, and after
    /// that.
    ///
    /// ```
    /// use std::io::Read;
    ///
    /// use green::convenience::{Server, StopServe};
    /// use green::metrics::{Metrics, prometheus};
    ///
    /// let server = Server::new(green::listen("127.0.0.1:0")?);
    /// let (address, counters) = (server.listener().local_addr()?, server.counters());
    /// let running = green::thread::spawn(|| server.run(|_, _| Err(StopServe::new())));
    /// green::connect(address)?.read_to_end(&mut Vec::new())?;
    /// running.join().unwrap()?;
    /// let text = prometheus([("", &counters as &dyn Metrics)]);
    /// assert!(text.contains("\ngreen_server_connections_total 1\n"), "{text}");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn counters(&self) -> Counters {
        Counters(self.count.clone())
    }

    /// The listener.
    ///
    /// ```
    /// use green::convenience::Server;
    ///
    /// let server = Server::new(green::listen("127.0.0.1:0")?);
    /// assert_ne!(server.listener().local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn listener(&self) -> &L {
        &self.listener
    }

    /// Accepts connections and calls `handler` for each, on a green thread of its own, until it is
    /// told to stop: by a handler's [`StopServe`], or by a [`StopHandle`]. It returns when the
    /// connections under way have ended, or were ended. The listener is closed then, even if others
    /// have a handle to it.
    ///
    /// A handler's panic ends only its own connection, and is reported as a thread's panic is. If an
    /// accept fails, that is logged and the server goes on; while descriptors or memory are short, it
    /// pauses. If `run` itself is killed or runs into a time limit, the connections under way are
    /// ended at once. It may be called from green threads and from OS threads.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::time::Duration;
    ///
    /// use green::convenience::Server;
    ///
    /// let server = Server::new(green::listen("127.0.0.1:0")?);
    /// let (address, stop) = (server.listener().local_addr()?, server.stop_handle());
    /// let running = green::thread::spawn(|| {
    ///     server.run(|mut stream, _| {
    ///         let mut line = [0; 5];
    ///         // How a client goes is its own affair.
    ///         let _ = stream.read_exact(&mut line).and_then(|()| stream.write_all(&line));
    ///     })
    /// });
    /// let mut client = green::connect(address)?;
    /// client.write_all(b"hello")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert_eq!(answer, "hello");
    /// stop.stop();
    /// assert_eq!(running.join().unwrap()?.connections, 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// That of the first [`StopServe::because`]; that of accept(2) when the listener can bring no
    /// more connections: it was closed, is non-blocking, or is no listener.
    pub fn run<H, O>(self, handler: H) -> io::Result<Served>
    where
        H: Fn(L::Stream, L::Address) -> O + Send + Sync + 'static,
        O: Outcome,
    {
        let (handler, stop) = (Arc::new(handler), self.stop.clone());
        self.run_by(move |stream, address, entry| {
            let (handler, stop) = (handler.clone(), stop.clone());
            let thread = Builder::new().name(CONNECTION.to_owned());
            thread.spawn(move || {
                // Also if it is killed before its first turn, the connection is closed before its place is free.
                let (stream, address, _entry) = (stream, address, entry);
                if let Some(wish) = handler(stream, address).stop() {
                    stop.ask_for(wish.into_result());
                }
            })
        })
    }

    /// As [`run`](Server::run), but a connection is a future that shares the stacks of its hub: `serve` gives
    /// what makes it there.
    #[cfg(feature = "http")]
    pub(crate) fn run_futures<M, F>(self, serve: impl Fn(L::Stream) -> M) -> io::Result<Served>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        self.run_by(move |stream, _, entry| {
            let make = serve(stream);
            let future = crate::future::Builder::new().name(CONNECTION.to_owned());
            future.spawn_pinned(move || {
                let (make, entry) = (make, entry);
                let connection = make();
                async move {
                    let (connection, _entry) = (connection, entry);
                    connection.await;
                }
            })
        })
    }

    fn run_by(
        self,
        start: impl Fn(L::Stream, L::Address, Entry) -> io::Result<JoinHandle<()>>,
    ) -> io::Result<Served> {
        let connections = Connections::new(self.count.clone());
        let teardown = Teardown {
            server: &self,
            connections: &connections,
        };
        self.stop.wake.lock().replace(Box::new({
            let (listener, connections) = (self.listener.clone(), connections.clone());
            move || {
                (*listener).as_ref().close();
                // The loop may wait for room instead.
                connections.room.release();
            }
        }));
        let accepted = self.accept(&connections, start);
        (*self.listener).as_ref().close();
        let cut = connections.drain(self.grace);
        drop(teardown);
        accepted?;
        self.stop.result.lock().take().unwrap_or(Ok(()))?;
        Ok(Served {
            connections: self.count.begun.load(Relaxed),
            cut,
        })
    }

    fn accept(
        &self,
        connections: &Arc<Connections>,
        start: impl Fn(L::Stream, L::Address, Entry) -> io::Result<JoinHandle<()>>,
    ) -> io::Result<()> {
        loop {
            connections.room.acquire(Deadline::NEVER);
            let accepted = loop {
                if self.stop.is_asked() {
                    return Ok(());
                }
                match self.listener.accept() {
                    Ok(accepted) => break accepted,
                    Err(_) if self.stop.is_asked() => return Ok(()),
                    Err(error) if is_final(&error) => return Err(error),
                    Err(error) => log::warn!("a connection was not accepted: {error}"),
                }
            };
            let (stream, address) = accepted;
            let started = connections.begin(|entry| start(stream, address, entry));
            if let Err(error) = started {
                log::warn!("a connection was dropped: {error}");
            }
        }
    }
}

/// Ends everything, also if the server's own thread unwinds.
struct Teardown<'a, L: Accept> {
    server: &'a Server<L>,
    connections: &'a Connections,
}

impl<L: Accept> Drop for Teardown<'_, L> {
    fn drop(&mut self) {
        self.server.stop.wake.lock().take();
        (*self.server.listener).as_ref().close();
        self.connections.cut();
    }
}

/// Whether the next accept fails as well. accept(2) lists what is a connection's or the network's
/// fault; those pass.
fn is_final(error: &io::Error) -> bool {
    crate::ClosedLocally::caused(error)
        || error.kind() == io::ErrorKind::WouldBlock
        || matches!(
            error.raw_os_error(),
            Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EFAULT)
        )
}

impl<L: fmt::Debug> fmt::Debug for Server<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listener", &self.listener)
            .field("concurrency", &self.count.most.load(Relaxed))
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopHandle")
            .field("stopping", &self.is_stopping())
            .finish()
    }
}
