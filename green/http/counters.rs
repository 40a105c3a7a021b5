//! What a server counts: its connections, and the requests on them.

use std::fmt;
use std::mem;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use http::StatusCode;

use crate::convenience;
use crate::metrics::{Figure, Metrics};

/// Responses are told by the first digit of their status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Of all connections of a server.
#[derive(Debug, Default)]
pub(super) struct Requests {
    under_way: AtomicUsize,
    answered: [AtomicU64; CLASSES.len()],
}

/// A request under way, until this is dropped.
pub(super) struct Answering<R: Deref<Target = Requests>>(R);

impl Requests {
    pub(super) fn begin(&self) -> Answering<&Requests> {
        self.under_way.fetch_add(1, Relaxed);
        Answering(self)
    }
}

impl<R: Deref<Target = Requests>> Answering<R> {
    /// The same, by another handle.
    pub(super) fn by<S: Deref<Target = Requests>>(self, handle: S) -> Answering<S> {
        mem::forget(self);
        Answering(handle)
    }

    pub(super) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).checked_sub(1);
        if let Some(count) = class.and_then(|class| self.0.answered.get(class)) {
            count.fetch_add(1, Relaxed);
        }
    }
}

impl<R: Deref<Target = Requests>> Drop for Answering<R> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

/// What a [`Server`](super::Server) counts: its connections, as
/// [`convenience::Counters`](crate::convenience::Counters) has them, the requests whose handlers are under way, and the
/// responses by the first digit of their status.
///
/// ```
/// use green::http::{Body, Request, Server};
/// use green::metrics::{Metrics, prometheus};
///
/// let server = Server::new(green::listen("127.0.0.1:0")?);
/// let (address, counters) = (server.listener().local_addr()?, server.counters());
/// green::thread::spawn(|| {
///     // A program may answer who asks for them itself; `green::backdoor` has an address of its own for that.
///     let counters = server.counters();
///     server.run(move |_: Request<Body>| prometheus([("", &counters as &dyn Metrics)]))
/// });
/// # use std::io::{Read, Write};
/// # let mut client = green::connect(address)?;
/// # client.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer)?;
/// # assert!(answer.contains("\ngreen_http_requests 1\n"), "{answer}");
/// let text = prometheus([("", &counters as &dyn Metrics)]);
/// assert!(text.contains("\ngreen_http_responses_total{status=\"2xx\"} 1\n"), "{text}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Counters {
    connections: convenience::Counters,
    requests: Arc<Requests>,
}

impl Counters {
    pub(super) fn new(connections: convenience::Counters, requests: Arc<Requests>) -> Counters {
        Counters {
            connections,
            requests,
        }
    }
}

impl Metrics for Counters {
    fn tell(&self, to: &mut dyn FnMut(Figure<'_>)) {
        self.connections.tell(to);
        let under_way = self.requests.under_way.load(Relaxed) as f64;
        let help = "Requests whose handlers are under way.";
        to(Figure::gauge("green_http_requests", help, under_way));
        for (class, count) in CLASSES.into_iter().zip(&self.requests.answered) {
            let help = "Responses of the server by the first digit of their status.";
            let figure = Figure::counter("green_http_responses_total", help, count.load(Relaxed));
            to(figure.labelled("status", class));
        }
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}
