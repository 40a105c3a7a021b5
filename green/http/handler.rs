//! From hyper's requests to a handler's, and back.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use greenhub::{catch_panic, discard_panic, one_line};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;

use super::announced::Allowed;
use super::body::{Body, Limits};
use super::counters::Requests;
use super::head;
use super::named::Named;
use super::reply::{IntoResponse, Reply, Running};
use super::rt::Crew;
use super::upgrade::Opens;

/// Request bodies up to this length are received whole before the handler is called.
const SMALL: u64 = 16 * 1024;

/// The client's address: an extension of every request that came by TCP.
///
/// ```
/// use green::http::{self, Body, Peer, Request};
///
/// fn greet(request: Request<Body>) -> String {
///     match request.extensions().get() {
///         Some(Peer(address)) => format!("hello {address}"),
///         None => "hello neighbour".to_owned(), // By a Unix socket.
///     }
/// }
///
/// let listener = green::listen("127.0.0.1:0")?;
/// let mut client = green::connect(listener.local_addr()?)?;
/// green::thread::spawn(|| http::serve(listener, greet));
/// # use std::io::{Read, Write};
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with(&format!("hello {}", client.local_addr()?)));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What a connection's requests have in common.
#[derive(Clone, Debug)]
pub struct Place {
    pub(super) peer: Option<Peer>,
    pub(super) limits: Limits,
    pub(super) crew: Crew,
    /// Whether the crew ends what nobody waits for any more.
    pub(super) ends_abandoned: bool,
    pub(super) opens: Opens,
    pub(super) requests: Arc<Requests>,
}

/// A response, or one on its way.
#[doc(hidden)]
pub enum Answer {
    Now(Response<Reply>),
    Later(Pin<Box<dyn Future<Output = Response<Reply>>>>),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Answer::Now(_) => "Now",
            Answer::Later(_) => "Later",
        })
    }
}

impl Answer {
    pub(super) fn later(answer: impl Future<Output = Response<Reply>> + 'static) -> Answer {
        Answer::Later(Box::pin(answer))
    }
}

/// Answers requests: a function, or a service in a [`Tower`](super::Tower).
///
/// A function gets a [`Request`] with a [`Body`] and returns whatever can be made a response, see [`IntoResponse`]. It
/// may wait: its own connection waits with it, or, over HTTP/2, its own stream.
///
/// ```
/// use std::io;
/// use std::net::SocketAddr;
///
/// use green::http::{Body, Handler, Request, Server, StopHandle};
///
/// /// Serves on a port of the system's choice, as a test wants it.
/// fn start(handler: impl Handler) -> io::Result<(SocketAddr, StopHandle)> {
///     let server = Server::new(green::listen("127.0.0.1:0")?);
///     let started = (server.listener().local_addr()?, server.stop_handle());
///     green::thread::spawn(|| server.run(handler));
///     Ok(started)
/// }
///
/// let greeting = "hello".to_owned();
/// let (address, stop) = start(move |_: Request<Body>| greeting.clone())?;
/// # use std::io::{Read, Write};
/// let mut client = green::connect(address)?;
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("hello"));
/// stop.stop();
/// # Ok::<(), io::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not answer requests",
    note = "a handler is a function or a closure from `Request<Body>` to what can be a response",
    note = "a service of tower, such as axum's `Router`, goes in a `green::http::Tower` (feature `tower`)"
)]
pub trait Handler: Send + Sync + 'static {
    #[doc(hidden)]
    fn answer(self: &Arc<Self>, request: Request<Incoming>, place: &Place) -> Answer;
}

impl<F, R> Handler for F
where
    F: Fn(Request<Body>) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn answer(self: &Arc<Self>, request: Request<Incoming>, place: &Place) -> Answer {
        let own_thread = request.version() == Version::HTTP_2;
        let ended = request.body().is_end_stream();
        let length = || request.body().size_hint().exact();
        let is_small = || length().is_some_and(|length| length <= SMALL.min(place.limits.size));
        // Whoever may be ended alone has a green thread that does nothing else.
        let apart = place.ends_abandoned;
        if (own_thread || ended) && !apart {
            // Of HTTP/2 each stream has a green thread. Of HTTP/1 the connection's does nothing else meanwhile,
            // and there is no body that only it could receive.
            Answer::Now(call(&**self, Body::of(request, place.limits)))
        } else if !apart && is_small() && !request.headers().contains_key(header::EXPECT) {
            let (handler, limits) = (self.clone(), place.limits);
            Answer::later(async move { collected(&*handler, request, limits).await })
        } else {
            let (handler, crew, limits) = (self.clone(), place.crew.clone(), place.limits);
            Answer::later(async move {
                let (sender, receiver) = oneshot::channel();
                let _interest = crew.start_for("http request", move || {
                    let _ = sender.send(call(&*handler, Body::of(request, limits)));
                });
                // It was killed, or there was no stack.
                let gone = |_| StatusCode::SERVICE_UNAVAILABLE.into_response();
                receiver.await.unwrap_or_else(gone)
            })
        }
    }
}

/// Receives a small body first.
async fn collected<F, R>(handler: &F, request: Request<Incoming>, limits: Limits) -> Response<Reply>
where
    F: Fn(Request<Body>) -> R,
    R: IntoResponse,
{
    let (head, body) = request.into_parts();
    let collected = match limits.wait {
        None => Ok(body.collect().await),
        Some(limit) => greenhub::future::timeout(limit, body.collect()).await,
    };
    match collected {
        Ok(Ok(collected)) => {
            let trailers = collected.trailers().cloned();
            let body = Body::whole(collected.to_bytes(), trailers);
            call(handler, Request::from_parts(head, body))
        }
        Ok(Err(_)) => StatusCode::BAD_REQUEST.into_response(),
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

/// A panic is 500 and a line in the log; a kill passes.
fn call<F, R>(handler: &F, request: Request<Body>) -> Response<Reply>
where
    F: Fn(Request<Body>) -> R,
    R: IntoResponse,
{
    let named = Named::of(&request);
    catch_panic(|| handler(request).into_response()).unwrap_or_else(|payload| {
        discard_panic(payload);
        log::error!("{named}: the handler panicked");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

/// How a response becomes one that is on its way, by what its connection's requests have in common.
pub(super) trait Finish<C>:
    FnOnce(&Place, &C, Response<Reply>) -> Response<Running>
{
}

impl<C, F: FnOnce(&Place, &C, Response<Reply>) -> Response<Running>> Finish<C> for F {}

/// What is the same for all handlers: the handler is called here, unless it answers later.
///
/// `refusal` is the status for one that was refused where it was received.
pub(super) fn serve<H: Handler, C: Clone + 'static>(
    handler: &Arc<H>,
    mut request: Request<Incoming>,
    refusal: Option<StatusCode>,
    place: &Place,
    common: &C,
    finish: impl Finish<C> + 'static,
) -> Responding {
    let answering = place.requests.begin();
    let asked = Asked::of(&request);
    // Of HTTP/1 hyper takes one with a transfer coding for one with a body.
    let has_coding = request.version() > Version::HTTP_11 || !request.body().is_end_stream();
    let announced = request.body().size_hint().lower();
    let refusal = refusal.or_else(|| head::refusal(&request, has_coding));
    let answer = if let Some(status) = refusal {
        let mut response = status.into_response();
        // In HTTP/2 nobody can differ on where a request ends.
        if request.version() < Version::HTTP_2 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Answer::Now(response)
    } else if announced > place.limits.size {
        Answer::Now(StatusCode::PAYLOAD_TOO_LARGE.into_response())
    } else {
        if request.extensions().get::<OnUpgrade>().is_some() {
            request.extensions_mut().insert(super::upgrade::Place {
                opens: place.opens,
                crew: place.crew.clone(),
            });
        }
        if let Some(peer) = place.peer {
            request.extensions_mut().insert(peer);
        }
        handler.answer(request, place)
    };
    match answer {
        Answer::Now(mut response) => {
            asked.answered(&mut response, place);
            answering.answered(response.status());
            Responding::Now(Some(finish(place, common, response)))
        }
        Answer::Later(later) => {
            let (place, common) = (place.clone(), common.clone());
            let answering = answering.by(place.requests.clone());
            Responding::Later(Box::pin(async move {
                let mut response = later.await;
                asked.answered(&mut response, &place);
                answering.answered(response.status());
                finish(&place, &common, response)
            }))
        }
    }
}

/// The response to a request, or one on its way.
pub(super) enum Responding {
    /// None once it was taken.
    Now(Option<Response<Running>>),
    Later(Pin<Box<dyn Future<Output = Response<Running>>>>),
}

impl Future for Responding {
    type Output = Result<Response<Running>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Responding::Now(response) => {
                let response = response.take();
                Poll::Ready(Ok(response.expect("a response is taken once")))
            }
            Responding::Later(later) => later.as_mut().poll(context).map(Ok),
        }
    }
}

/// What is to be known of a request when it has its answer.
struct Asked {
    log: Option<(Instant, String)>,
    named: Named,
    allowed: Allowed,
    is_head: bool,
    is_of_2: bool,
}

impl Asked {
    fn of(request: &Request<Incoming>) -> Asked {
        let (method, version) = (request.method(), request.version());
        let logs = log::log_enabled!(target: "green::http", log::Level::Info);
        Asked {
            log: logs.then(|| {
                let asked = format!("\"{method} {} {version:?}\"", one_line(request.uri()));
                (Instant::now(), asked)
            }),
            named: Named::of(request),
            allowed: Allowed::by(request),
            is_head: method == Method::HEAD,
            is_of_2: version == Version::HTTP_2,
        }
    }

    fn answered(self, response: &mut Response<Reply>, place: &Place) {
        let known = response.body().length();
        let left = self.allowed.check(response, known).unwrap_or_else(|what| {
            let named = &self.named;
            log::error!(
                "{named}: the handler's response cannot be sent: {}",
                one_line(what)
            );
            std::mem::take(response.body_mut()).discard();
            *response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
            Some(0)
        });
        // That is the connection's matter.
        *response.version_mut() = Version::HTTP_11;
        let status = response.status();
        if let Some((begun, asked)) = self.log {
            let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let peer = or_none(place.peer.map(|Peer(peer)| peer.to_string()));
            let is_sent = !self.is_head && status != StatusCode::NOT_MODIFIED;
            let size = or_none(if is_sent { left } else { Some(0) }.map(|it| it.to_string()));
            let (status, took) = (status.as_u16(), begun.elapsed().as_micros());
            log::info!(target: "green::http", "{peer} {asked} {status} {size} {took} µs");
        }
        if matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::SWITCHING_PROTOCOLS
        ) {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        let has_body = !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if self.is_of_2 && (self.is_head || !has_body) {
            // hyper does it for HTTP/1 alone.
            if let Some(length) = known.filter(|_| has_body)
                && length > 0
            {
                let entry = response.headers_mut().entry(header::CONTENT_LENGTH);
                entry.or_insert_with(|| length.into());
            }
            response.body_mut().announce(self.named, left);
            std::mem::take(response.body_mut()).discard();
        } else {
            response.body_mut().announce(self.named, left);
        }
    }
}
