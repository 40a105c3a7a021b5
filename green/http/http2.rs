//! A connection of HTTP/2: hyper's, with the limits that hyper does not keep.
//!
//! A peer holds back an answer by a window of its own, and takes pings and all else meanwhile. So the stream's limit for
//! writes never passes, nor hyper's for pings. What tells is the data that leaves, beside the answers that wait.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use greenhub::future::sleep;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service;

use super::framing::Exchange;
use super::lent::Outlived;
use super::pace::Pace;
use super::reply::Running;
use super::rt::{Crew, PolledNap, PolledTimer};
use super::same::Same;
use super::stream::Io;
use super::transport::Transport;
use super::waits::{Stop, stopping};

/// What a connection has besides its stream and its service.
pub(super) struct Http2 {
    pub(super) idle_limit: Option<Duration>,
    pub(super) read_limit: Option<Duration>,
    pub(super) write_limit: Option<Duration>,
    pub(super) streams: u32,
    pub(super) pace: Arc<Pace>,
    pub(super) kept: Arc<Outlived>,
    pub(super) crew: Crew,
    pub(super) exchange: Exchange,
    pub(super) stop: Stop,
}

impl Http2 {
    /// To the connection's end.
    pub(super) async fn serve<T, S>(self, io: Io<T>, service: S) -> io::Result<()>
    where
        T: Transport,
        S: Service<Request<Incoming>, Response = Response<Running>, Error = Infallible>,
        S::Future: 'static,
    {
        let timer = PolledTimer::new();
        let connection = http2::Builder::new(self.crew.clone())
            .timer(timer.clone())
            .keep_alive_interval(self.idle_limit)
            .max_concurrent_streams(self.streams)
            .serve_connection(io, service);
        let mut connection = pin!(connection);
        let mut stopping = pin!(stopping(self.stop.clone()));
        let (mut idle, mut stuck) = (Same::default(), Same::default());
        let mut tick = Tick::new([self.idle_limit, self.read_limit, self.write_limit]);
        let mut told = false;
        poll_fn(|context| {
            timer.begin_poll();
            let mut ends = !told && stopping.as_mut().poll(context).is_ready();
            while tick.poll(context).is_ready() {
                let now = Instant::now();
                self.kept.take_back(self.read_limit, now);
                if stuck.lasts(self.pace.waits(), self.write_limit, now) {
                    self.exchange.cut();
                    return Poll::Ready(Err(late("the peer takes nothing")));
                }
                let rests = self.crew.rests().map(|begun| (begun, self.pace.sent()));
                if idle.lasts(rests, self.idle_limit, now) {
                    if told {
                        return Poll::Ready(Err(late("the peer does not go")));
                    }
                    ends = true;
                }
            }
            if ends {
                told = true;
                idle = Same::default();
                self.exchange.set_unanswered();
                connection.as_mut().graceful_shutdown();
            }
            let over = connection.as_mut().poll(context);
            over.map(|over| over.map_err(io::Error::other))
        })
        .await
    }
}

fn late(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

/// A timer that is set anew only when it has run out, however often the connection is looked at.
struct Tick(Option<(Duration, PolledNap)>);

impl Tick {
    fn new(limits: [Option<Duration>; 3]) -> Tick {
        let least = limits.into_iter().flatten().min();
        // Zero would never come to an end.
        let least = least.map(|least| least.max(Duration::from_millis(1)));
        Tick(least.map(|limit| (limit, PolledNap(sleep(limit)))))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some((limit, next)) = &mut self.0 else {
            return Poll::Pending;
        };
        let polled = Pin::new(&mut *next).poll(context);
        if polled.is_ready() {
            *next = PolledNap(sleep(*limit));
        }
        polled
    }
}
