//! The server: its settings, its connections, and how it stops.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use greenhub::future::prepare_sleeps;
use greenhub::one_line;
use http::header::{CONNECTION, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use hyper::service::{HttpService, Service, service_fn};
use tokio::sync::watch;

use super::body::Limits;
use super::counters::{Counters, Requests};
use super::framing::{Exchange, Framing};
use super::handler::{self, Handler, Peer, Place, Responding};
use super::http1::{Http1, Kept};
use super::http2::Http2;
use super::lent::{Lent, Loan, Outlived};
use super::pace::{Leaving, Pace, Waits};
use super::reply::{Reply, Running};
use super::rt::Crew;
use super::stream::Io;
use super::transport::{self, Cut, Protocol, Transport};
use super::upgrade::open;
use super::waits::{Stop, begins};
#[cfg(feature = "signal")]
use crate::convenience::StopSignals;
use crate::convenience::{self, Accept, Served};
use crate::thread::panicking;

/// How long a peer may take for what it has to send or to receive, unless set otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// A listener and the settings of the HTTP server on it.
///
/// The listener is a `TcpListener`, a `UnixListener`, or one with TLS made by [`wrap_ssl`](crate::wrap_ssl): then the
/// context's ALPN decides between HTTP/2 and HTTP/1.1 (`context.set_alpn_protocols(&http::ALPN)`). In the clear, a
/// client that begins with HTTP/2 is answered in HTTP/2.
///
/// ```
/// use green::http::{Body, Request, Server};
///
/// let server = Server::new(green::listen("127.0.0.1:0")?).concurrency(10_000).max_body(1 << 20);
/// let (address, stop) = (server.listener().local_addr()?, server.stop_handle());
/// let running = green::thread::spawn(|| {
///     server.run(|request: Request<Body>| format!("you asked for {}", request.uri().path()))
/// });
/// # use std::io::{Read, Write};
/// # let mut client = green::connect(address)?;
/// # client.write_all(b"GET /news HTTP/1.0\r\n\r\n")?;
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer)?;
/// # assert!(answer.ends_with("you asked for /news"), "{answer}");
/// stop.stop();
/// running.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "serves only when it is run"]
pub struct Server<L> {
    server: convenience::Server<L>,
    settings: Settings,
    requests: Arc<Requests>,
    stop: watch::Sender<bool>,
    #[cfg(feature = "signal")]
    signals: Option<StopSignals>,
}

#[derive(Clone, Debug)]
struct Settings {
    head: Option<Duration>,
    read: Option<Duration>,
    write: Option<Duration>,
    body: u64,
    streams: u32,
    keep_alive: bool,
    end_abandoned: bool,
    #[cfg(feature = "proxy-protocol")]
    proxy: Option<convenience::ProxyProtocol>,
}

/// Stops a [`Server`] from outside, from any thread.
///
/// ```
/// use green::http::{Body, Request, Server};
///
/// let server = Server::new(green::listen("127.0.0.1:0")?);
/// let stop = server.stop_handle();
/// let running = green::thread::spawn(|| server.run(|_: Request<Body>| "hello"));
/// // Where the end of the program is decided: after `green::signal::ctrl_c()`, say.
/// stop.stop();
/// running.join().unwrap()?;
/// assert!(stop.is_stopping());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StopHandle {
    server: convenience::StopHandle,
    stop: watch::Sender<bool>,
}

impl StopHandle {
    /// Makes the server accept no more connections, and ends those under way: an idle one is closed half a second
    /// later, since its client may have sent a request just now; one that is answering is closed after its answer; a
    /// client of HTTP/2 gets GOAWAY. Those that are not done within [`Server::grace`] are cut. Returns at once.
    pub fn stop(&self) {
        self.server.stop();
        self.stop.send_replace(true);
    }

    /// Whether the server was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.server.is_stopping()
    }
}

impl<L> Server<L>
where
    L: Accept,
    L::Stream: Transport,
{
    /// At most 1000 connections at once; 30 s each for a request's head, for the next piece of a body, for a peer that
    /// takes nothing, and for connections to finish when the server stops.
    pub fn new(listener: L) -> Server<L> {
        Server {
            server: convenience::Server::new(listener),
            settings: Settings {
                head: Some(PATIENCE),
                read: Some(PATIENCE),
                write: Some(PATIENCE),
                body: u64::MAX,
                streams: 200,
                keep_alive: true,
                end_abandoned: false,
                #[cfg(feature = "proxy-protocol")]
                proxy: None,
            },
            requests: Arc::default(),
            stop: watch::Sender::new(false),
            #[cfg(feature = "signal")]
            signals: None,
        }
    }

    /// How many connections there may be at once. The next one waits in the listener's queue.
    ///
    /// # Panics
    ///
    /// If it is 0.
    pub fn concurrency(mut self, most: usize) -> Server<L> {
        self.server = self.server.concurrency(most);
        self
    }

    /// How long connections may take to finish when the server stops.
    pub fn grace(mut self, limit: Duration) -> Server<L> {
        self.server = self.server.grace(limit);
        self
    }

    /// How long it may take until the whole head of a request has come, and so how long a connection may be idle.
    /// `None` is for ever.
    ///
    /// A connection of HTTP/2 is told to end when it has been idle for so long or up to twice as long. It is idle while no
    /// request is under way and nothing is sent; a peer that answers pings may be.
    pub fn head_timeout(mut self, limit: Option<Duration>) -> Server<L> {
        self.settings.head = limit;
        self
    }

    /// How long the next piece of a request's body may take; after that a read of it fails, see [`Body`](super::Body). A
    /// connection of HTTP/1 whose request has been answered is ended when nobody has read on in its body for so long; over
    /// HTTP/2 the request's stream is reset, after up to twice as long.
    pub fn read_timeout(mut self, limit: Option<Duration>) -> Server<L> {
        self.settings.read = limit;
        self
    }

    /// How long a peer may take nothing of what it is sent, also after an upgrade; after that its connection is cut. One
    /// of HTTP/2 that is held back by the peer's windows alone is cut after up to twice as long.
    pub fn write_timeout(mut self, limit: Option<Duration>) -> Server<L> {
        self.settings.write = limit;
        self
    }

    /// How many bytes a request's body may have. If the request says that it has more, it is answered with 413 at once;
    /// if it does not say its length, a read fails.
    pub fn max_body(mut self, bytes: u64) -> Server<L> {
        self.settings.body = bytes;
        self
    }

    /// How many requests a connection of HTTP/2 may have under way at once: each whose handler waits takes a stack.
    pub fn max_streams(mut self, most: u32) -> Server<L> {
        self.settings.streams = most;
        self
    }

    /// Whether a connection of HTTP/1 serves more than one request.
    pub fn keep_alive(mut self, on: bool) -> Server<L> {
        self.settings.keep_alive = on;
        self
    }

    /// Whether a request that its client has given up is given up here, too: its handler, and what reads or writes its
    /// body, are ended where they wait, as by a [kill](crate::thread::JoinHandle::kill). A proxy wants that, and whoever
    /// waits long for something costly.
    ///
    /// A client has given up when it has reset its stream of HTTP/2, or when its connection of HTTP/1 has ended. One
    /// that ends its own direction after a request counts as gone, as with nginx; without this it is answered. A body
    /// that nobody reads hides its going, and so does what it has sent behind its request. Each handler has a green thread
    /// of its own then.
    ///
    /// ```
    /// use green::channel::{Sender, bounded};
    /// use green::http::{Body, Request, Server};
    ///
    /// /// Something costly, which tells when it is dropped.
    /// struct Search(Sender<&'static str>);
    ///
    /// impl Drop for Search {
    ///     fn drop(&mut self) {
    ///         let _ = self.0.send("given up");
    ///     }
    /// }
    ///
    /// let (tell, told) = bounded(2);
    /// let server = Server::new(green::listen("127.0.0.1:0")?).end_abandoned(true);
    /// let mut client = green::connect(server.listener().local_addr()?)?;
    /// green::thread::spawn(|| {
    ///     server.run(move |_: Request<Body>| {
    ///         tell.send("begun").unwrap();
    ///         let _search = Search(tell.clone());
    ///         green::thread::park();
    ///         "found"
    ///     })
    /// });
    /// # use std::io::Write;
    /// client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")?;
    /// assert_eq!(told.recv(), Ok("begun"));
    /// drop(client);
    /// assert_eq!(told.recv(), Ok("given up"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn end_abandoned(mut self, on: bool) -> Server<L> {
        self.settings.end_abandoned = on;
        self
    }

    /// Expects each connection to begin with the header of a proxy in front: [`Peer`] is the client that it names. A
    /// connection without one, or from elsewhere, is closed.
    #[cfg(feature = "proxy-protocol")]
    pub fn proxy_protocol(mut self, proxy: convenience::ProxyProtocol) -> Server<L> {
        self.settings.proxy = Some(proxy);
        self
    }

    /// Stops the server from elsewhere.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle {
            server: self.server.stop_handle(),
            stop: self.stop.clone(),
        }
    }

    /// Stops it, as a [`StopHandle`] does, when the process gets SIGTERM or Ctrl-C (SIGINT) from now on. A second one ends the
    /// process at once, as if nobody had heard it. The signals are heard until [`run`](Server::run) returns, and ignored
    /// after that; other listeners hear them too.
    ///
    /// ```
    /// use green::http::{Body, Request, Server};
    ///
    /// let server = Server::new(green::listen("127.0.0.1:0")?).stop_on_signals()?;
    /// # signal_hook::low_level::raise(signal_hook::consts::SIGTERM)?;
    /// let served = server.run(|_: Request<Body>| "hello")?;
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

    /// What the server counts, for whoever collects it; it goes on telling while the server runs.
    pub fn counters(&self) -> Counters {
        Counters::new(self.server.counters(), self.requests.clone())
    }

    /// The listener.
    pub fn listener(&self) -> &L {
        self.server.listener()
    }

    /// Answers requests by `handler` until it is told to stop.
    ///
    /// A connection is a [spawned future](crate::future::spawn), and so is each request of HTTP/2: they take a stack only
    /// while they are at work. A request of HTTP/1 whose body is not short has a green thread. A
    /// handler may wait anywhere, and holds up nobody else. Its panic is answered with 500 and logged.
    ///
    /// Each request is logged by the target `green::http`, level info, when its answer begins: the peer's address, the
    /// request line, the status, the bytes of the body, and how long the handler took, as in `127.0.0.1:40514 "GET / HTTP/1.1" 200 5 83 µs`.
    /// `-` stands for a body of unknown length, and for a peer without address.
    ///
    /// What a handler leaves in thread-locals of std the next one may find, whosever request that is: they are those of
    /// a stack of the hub, as [`spawn`](crate::future::spawn) says. While a handler waits nobody sees them. Values of
    /// `green::thread_local!` are the connection's, or the stream's.
    ///
    /// # Errors
    ///
    /// As those of [`convenience::Server::run`], and `OutOfMemory` if there is no stack for what keeps the time limits.
    pub fn run<H: Handler>(self, handler: H) -> io::Result<Served> {
        // A connection could only panic where its first time limit finds nobody to keep it.
        prepare_sleeps()?;
        #[cfg(feature = "signal")]
        let _heard = self.signals;
        let (settings, requests, stop) = (Arc::new(self.settings), self.requests, self.stop);
        let handler = Arc::new(handler);
        self.server.run_futures(move |stream: L::Stream| {
            let (settings, handler, stop) = (settings.clone(), handler.clone(), Stop::of(&stop));
            let requests = requests.clone();
            move || {
                Box::pin(async move {
                    let outcome = connection(stream, handler, settings, requests, stop).await;
                    if let Err(error) = outcome {
                        log::debug!("a connection failed: {}", one_line(error));
                    }
                })
            }
        })
    }
}

impl<L: fmt::Debug> fmt::Debug for Server<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("server", &self.server)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Ends who works for the connection, if that is killed.
struct Killed(Crew);

impl Drop for Killed {
    fn drop(&mut self) {
        if panicking() {
            self.0.end();
        }
    }
}

/// Serves a connection. What it calls may wait in blocking style: it keeps a stack then.
///
/// What serves it, and what waits for its first byte, is in a box of its own: so an idle connection has room for what it
/// does now, and for nothing else.
async fn connection<T: Transport, H: Handler>(
    stream: T,
    handler: Arc<H>,
    settings: Arc<Settings>,
    requests: Arc<Requests>,
    stop: Stop,
) -> io::Result<()> {
    let crew = Crew::new(settings.end_abandoned);
    let _killed = Killed(crew.clone());
    let begins = begins(stream.socket(), settings.head, stop.clone());
    if !Box::pin(begins).await? {
        return Ok(());
    }
    let outcome = {
        let mut serving = begun(stream, handler, settings, requests, stop, crew.clone())?;
        poll_fn(|context| match &mut serving {
            Serving::Http1(connection) => connection.poll(context),
            Serving::Http2(connection) => connection.as_mut().poll(context),
        })
        .await
    };
    crew.gone().await;
    outcome
}

/// What serves a connection that has begun, to its end.
fn begun<T: Transport, H: Handler>(
    stream: T,
    handler: Arc<H>,
    settings: Arc<Settings>,
    requests: Arc<Requests>,
    stop: Stop,
    crew: Crew,
) -> io::Result<Serving<T, impl OfHttp1>> {
    // A proxy's header comes before all else, TLS included.
    #[cfg(feature = "proxy-protocol")]
    let peer = match &settings.proxy {
        Some(proxy) => proxy.client(stream.socket())?,
        None => transport::peer(&stream),
    };
    #[cfg(not(feature = "proxy-protocol"))]
    let peer = transport::peer(&stream);
    let (protocol, early) = stream.protocol(settings.head)?;
    let place = Place {
        peer: peer.map(Peer),
        limits: Limits {
            wait: settings.read,
            size: settings.body,
        },
        ends_abandoned: settings.end_abandoned,
        crew: crew.clone(),
        opens: open::<T>,
        requests,
    };
    let cut = Cut::of(&stream)?;
    let exchange = Exchange::of(cut.clone());
    if protocol == Protocol::Http1 {
        let framing = Some(Framing::new(exchange.clone()));
        let io = Io::new(stream, framing, settings.write, exchange.clone(), cut).behind(early);
        let common = (exchange.clone(), stop.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let refusal = common.0.begin();
            let connects = request.method() == Method::CONNECT;
            let finish =
                move |place: &Place, common: &(Exchange, Stop), mut answer: Response<Reply>| {
                    let (exchange, stop) = common;
                    let status = answer.status();
                    let goes_on = status == StatusCode::SWITCHING_PROTOCOLS;
                    if !goes_on && stop.is_set() {
                        let close = HeaderValue::from_static("close");
                        answer.headers_mut().insert(CONNECTION, close);
                    }
                    // As hyper sees it.
                    exchange.answered(goes_on || connects && status.is_success());
                    answer.map(|reply| reply.of_http1(&place.crew, exchange.clone()))
                };
            handler::serve(&handler, request, refusal, &place, &common, finish)
        });
        let kept = Kept {
            exchange,
            head_limit: settings.head,
            body_limit: settings.read,
            keep_alive: settings.keep_alive,
            half_close: !settings.end_abandoned,
            stop,
        };
        return Ok(Serving::Http1(Http1::new(io, service, kept)));
    }
    let (pace, kept) = (Arc::<Pace>::default(), Arc::<Outlived>::default());
    let io = Io::new(stream, None, settings.write, exchange.clone(), cut);
    let io = io.behind(early).leaving(Leaving::new(pace.clone()));
    // A stream that is still served keeps no descriptor of a client that has gone.
    let common = Arc::new(OfHttp2 {
        handler,
        place,
        pace: pace.clone(),
        kept: kept.clone(),
    });
    let service = service_fn(move |request| Stream::Asked(Some((request, common.clone()))));
    let connection = Http2 {
        idle_limit: settings.head,
        read_limit: settings.read,
        write_limit: settings.write,
        streams: settings.streams,
        pace,
        kept,
        crew,
        exchange,
        stop,
    };
    Ok(Serving::Http2(Box::pin(connection.serve(io, service))))
}

/// What a connection of HTTP/1 calls.
trait OfHttp1:
    Service<Request<Incoming>, Response = Response<Running>, Error = Infallible, Future: 'static>
    + Unpin
{
}

impl<S> OfHttp1 for S where
    S: Service<
            Request<Incoming>,
            Response = Response<Running>,
            Error = Infallible,
            Future: 'static,
        > + Unpin
{
}

/// What the streams of a connection of HTTP/2 have in common.
struct OfHttp2<H> {
    handler: Arc<H>,
    place: Place,
    pace: Arc<Pace>,
    kept: Arc<Outlived>,
}

/// A request of HTTP/2. Its handler is called by the first poll, which is on the stream's own stack.
enum Stream<H> {
    Asked(Option<(Request<Incoming>, Arc<OfHttp2<H>>)>),
    Answering(Responding),
}

impl<H: Handler> Future for Stream<H> {
    type Output = Result<Response<Running>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stream::Asked(asked) = &mut *self {
            let (mut request, common) = asked.take().expect("a request is asked once");
            let OfHttp2 {
                handler,
                place,
                pace,
                kept,
            } = &*common;
            let loan = (!request.body().is_end_stream()).then(|| {
                let lent = Arc::<Lent>::default();
                let loan = Loan {
                    lent: Arc::downgrade(&lent),
                    kept: kept.clone(),
                };
                request.extensions_mut().insert(lent);
                loan
            });
            let finish = |place: &Place, pace: &Arc<Pace>, answer: Response<Reply>| {
                let waits = Waits::new(pace.clone(), loan);
                answer.map(|reply| reply.of_http2(&place.crew, waits))
            };
            let responding = handler::serve(handler, request, None, place, pace, finish);
            *self = Stream::Answering(responding);
        }
        match &mut *self {
            Stream::Answering(responding) => Pin::new(responding).poll(context),
            Stream::Asked(_) => unreachable!("it has just been answered"),
        }
    }
}

/// What serves a connection.
#[expect(
    clippy::large_enum_variant,
    reason = "a connection of HTTP/1 is in one piece of memory, and small beside one of HTTP/2"
)]
enum Serving<T, S>
where
    S: HttpService<Incoming>,
{
    Http1(Http1<T, S>),
    Http2(Pin<Box<dyn Future<Output = io::Result<()>>>>),
}
