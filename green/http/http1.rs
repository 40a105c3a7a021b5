//! A connection of HTTP/1: hyper's while there is something to do, and nobody's while it rests between two requests.
//!
//! hyper keeps two buffers of 8 KiB for as long as it has a connection, and sets a timer for each head. So a connection
//! that has been at rest for a moment is taken from it until the next byte comes, and the timer is one that is set anew
//! only when it has run out.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use greenhub::future::{Sleep, sleep_until};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use tokio::sync::watch;

use super::framing::{Awaits, Exchange};
use super::reply::Running;
use super::stream::{Io, Unanswered};
use super::transport::Transport;
use super::waits::{begins, last_call};

/// How long a connection is at rest before hyper has it no more. One that is asked again and again never gets there.
const MOMENT: Duration = Duration::from_millis(100);

/// Longer than anybody waits.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

pub(super) struct Http1<T, S> {
    pub(super) io: Io<T>,
    pub(super) service: S,
    pub(super) kept: Kept,
}

/// What stays the same whether hyper has the connection or not.
pub(super) struct Kept {
    pub(super) exchange: Exchange,
    pub(super) unanswered: Unanswered,
    pub(super) head_limit: Option<Duration>,
    pub(super) keep_alive: bool,
    pub(super) half_close: bool,
    pub(super) stop: watch::Receiver<bool>,
}

impl<T, S> Http1<T, S>
where
    T: Transport,
    S: Service<Request<Incoming>, Response = Response<Running>, Error = Infallible> + Unpin,
    S::Future: 'static,
{
    /// To the connection's end. What is done is in boxes, so that a connection has room for what it does now alone.
    pub(super) async fn serve(mut self) -> io::Result<()> {
        let mut patience = Patience::new(self.kept.head_limit);
        let mut stops = false;
        while let Some(rests) = Box::pin(self.at_work(&mut patience, stops)).await? {
            self = rests;
            let left = patience.left();
            let begins = begins(self.io.socket(), left, self.kept.stop.clone());
            stops = !Box::pin(begins).await?;
        }
        Ok(())
    }

    /// Until it is over, or rests.
    async fn at_work(
        self,
        patience: &mut Patience,
        mut stops: bool,
    ) -> io::Result<Option<Http1<T, S>>> {
        let Http1 { io, service, kept } = self;
        let connection = http1::Builder::new()
            .keep_alive(kept.keep_alive)
            .half_close(kept.half_close)
            .serve_connection(io, service)
            .with_upgrades();
        let mut connection = Box::pin(connection);
        let mut stopping = pin!(last_call(kept.stop.clone()));
        let (mut told, mut asked) = (false, false);
        let rests = poll_fn(|context| {
            // Polled once, it wakes this one when the server is to stop.
            if !stops && (!asked || *kept.stop.borrow()) {
                asked = true;
                stops = stopping.as_mut().poll(context).is_ready();
            }
            if stops && !told {
                told = true;
                kept.unanswered.set();
                connection.as_mut().graceful_shutdown();
            }
            if let Poll::Ready(over) = connection.as_mut().poll(context) {
                return Poll::Ready(over.map(|()| false).map_err(io::Error::other));
            }
            patience.poll(&kept.exchange, !told, context)
        })
        .await?;
        let parts = rests.then(|| Pin::into_inner(connection).into_parts());
        Ok(parts.flatten().map(|parts| {
            debug_assert!(parts.read_buf.is_empty(), "hyper has read on at rest");
            Http1 {
                io: parts.io,
                service: parts.service,
                kept,
            }
        }))
    }
}

/// How long the next head may take.
struct Patience {
    limit: Duration,
    /// How many requests there were when the wait for the next began, and when it ends.
    wait: Option<(u64, Instant)>,
    tick: Option<Tick>,
}

struct Tick {
    sleep: Sleep,
    /// Whether it comes with the end of the wait.
    last: bool,
}

impl Patience {
    fn new(limit: Option<Duration>) -> Patience {
        Patience {
            limit: limit.unwrap_or(FOREVER).min(FOREVER),
            wait: None,
            tick: None,
        }
    }

    /// What is left of the wait for a connection that rests.
    fn left(&mut self) -> Option<Duration> {
        self.tick = None;
        let (_, end) = self.wait?;
        Some(end.saturating_duration_since(Instant::now()))
    }

    /// Ready with true when the connection has been at rest for a moment. Before that its timer is left as it is, however many
    /// requests come.
    ///
    /// # Errors
    ///
    /// `TimedOut` when no head has come in time.
    fn poll(
        &mut self,
        exchange: &Exchange,
        may_rest: bool,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        let Some((asked, awaits)) = exchange.awaits() else {
            return Poll::Pending;
        };
        let same = |&(before, _): &(u64, Instant)| before == asked;
        self.tick
            .take_if(|tick| tick.last && !self.wait.as_ref().is_some_and(same));
        loop {
            if let Some(tick) = &mut self.tick {
                ready!(Pin::new(&mut tick.sleep).poll(context));
            }
            let now = Instant::now();
            // Where the timer ran for the wait before, this one begins only now.
            let before = self.wait.filter(same);
            let (_, end) = *self
                .wait
                .insert(before.unwrap_or((asked, now + self.limit)));
            if end <= now {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            let last = self.tick.is_some() && before.is_some();
            if last && may_rest && awaits == Awaits::Request {
                return Poll::Ready(Ok(true));
            }
            let next = if last { end } else { end.min(now + MOMENT) };
            let sleep = sleep_until(next);
            self.tick = Some(Tick { sleep, last });
        }
    }
}
