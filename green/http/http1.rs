//! A connection of HTTP/1: hyper's while there is something to do, and nobody's while it rests between two requests.
//!
//! hyper keeps two buffers of 8 KiB for as long as it has a connection, and sets a timer for each head. So a connection
//! that has been at rest for a moment is taken from it until the next byte comes, and the timer is one that is set anew
//! only when it has run out.

use std::convert::Infallible;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use greenhub::future::{Sleep, sleep_until};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::{HttpService, Service};

use super::framing::{Awaits, Exchange, Mark};
use super::reply::Running;
use super::stream::Io;
use super::transport::Transport;
use super::waits::{Beginning, Stop, last_call};

/// How long a connection is at rest before hyper has it no more. One that is asked again and again never gets there.
const MOMENT: Duration = Duration::from_millis(100);

/// How long it may be until that is seen, of one that was asked again and again.
const LONG: Duration = Duration::from_secs(1);

/// Longer than anybody waits.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// All that it has is in one piece of memory, whatever it does: with a thousand connections each piece that a request
/// touches is in no cache.
pub(super) struct Http1<T, S>
where
    S: HttpService<Incoming>,
{
    stage: Stage<T, S>,
    kept: Kept,
    patience: Patience,
    /// Whether the server is to stop.
    stops: bool,
}

/// What stays the same whether hyper has the connection or not.
pub(super) struct Kept {
    pub(super) exchange: Exchange,
    pub(super) head_limit: Option<Duration>,
    pub(super) body_limit: Option<Duration>,
    pub(super) keep_alive: bool,
    pub(super) half_close: bool,
    pub(super) stop: Stop,
}

#[expect(
    clippy::large_enum_variant,
    reason = "there is nothing to gain: see Http1"
)]
enum Stage<T, S>
where
    S: HttpService<Incoming>,
{
    AtWork(Work<T, S>),
    AtRest {
        io: Io<T>,
        service: S,
        beginning: Beginning,
    },
    Over,
}

/// What hyper does with it.
struct Work<T, S>
where
    S: HttpService<Incoming>,
{
    connection: UpgradeableConnection<Io<T>, S>,
    stopping: Pin<Box<dyn Future<Output = ()>>>,
    /// Whether `stopping` has been polled; and whether hyper has been told.
    asked: bool,
    told: bool,
}

impl<T, S> Http1<T, S>
where
    T: Transport,
    S: Service<Request<Incoming>, Response = Response<Running>, Error = Infallible> + Unpin,
    S::Future: 'static,
{
    pub(super) fn new(io: Io<T>, service: S, kept: Kept) -> Http1<T, S> {
        Http1 {
            stage: Stage::AtWork(Work::begin(io, service, &kept)),
            patience: Patience::new(kept.head_limit, kept.body_limit),
            kept,
            stops: false,
        }
    }

    /// Ready at the connection's end.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.stage {
                Stage::AtWork(work) => {
                    let (kept, patience) = (&self.kept, &mut self.patience);
                    let rests = ready!(work.poll(kept, patience, &mut self.stops, context))?;
                    let Stage::AtWork(work) = mem::replace(&mut self.stage, Stage::Over) else {
                        unreachable!("it was at work just now")
                    };
                    let parts = rests.then(|| work.connection.into_parts());
                    let Some(parts) = parts.flatten() else {
                        return Poll::Ready(Ok(()));
                    };
                    debug_assert!(parts.read_buf.is_empty(), "hyper has read on at rest");
                    let left = self.patience.left();
                    if parts.io.holds_input() {
                        // There may be a request in it.
                        let work = Work::begin(parts.io, parts.service, &self.kept);
                        self.stage = Stage::AtWork(work);
                        continue;
                    }
                    let socket = parts.io.socket();
                    let beginning = Beginning::new(socket, left, self.kept.stop.clone());
                    self.stage = Stage::AtRest {
                        io: parts.io,
                        service: parts.service,
                        beginning,
                    };
                }
                Stage::AtRest { io, beginning, .. } => {
                    self.stops = !ready!(beginning.poll(io.socket(), context))?;
                    let rest = mem::replace(&mut self.stage, Stage::Over);
                    if let Stage::AtRest { io, service, .. } = rest {
                        self.stage = Stage::AtWork(Work::begin(io, service, &self.kept));
                    }
                }
                Stage::Over => unreachable!("a connection was polled after its end"),
            }
        }
    }
}

impl<T, S> Work<T, S>
where
    T: Transport,
    S: Service<Request<Incoming>, Response = Response<Running>, Error = Infallible> + Unpin,
    S::Future: 'static,
{
    fn begin(io: Io<T>, service: S, kept: &Kept) -> Work<T, S> {
        Work {
            connection: http1::Builder::new()
                .keep_alive(kept.keep_alive)
                .half_close(kept.half_close)
                .serve_connection(io, service)
                .with_upgrades(),
            stopping: Box::pin(last_call(kept.stop.clone())),
            asked: false,
            told: false,
        }
    }

    /// Ready when the connection is over, or with true when it rests.
    fn poll(
        &mut self,
        kept: &Kept,
        patience: &mut Patience,
        stops: &mut bool,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        // Polled once, it wakes this one when the server is to stop.
        if !*stops && (!self.asked || kept.stop.is_set()) {
            self.asked = true;
            *stops = self.stopping.as_mut().poll(context).is_ready();
        }
        let mut connection = Pin::new(&mut self.connection);
        if *stops && !self.told {
            self.told = true;
            kept.exchange.set_unanswered();
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(over) = connection.poll(context) {
            return Poll::Ready(over.map(|()| false).map_err(io::Error::other));
        }
        patience.poll(&kept.exchange, !self.told, context)
    }
}

/// How long the next head may take, and the next piece of a body that has outlived its request.
struct Patience {
    head: Duration,
    body: Duration,
    /// Which wait there is, and when it ends.
    wait: Option<(Mark, Instant)>,
    tick: Option<Tick>,
    /// How long the next tick is: longer after one in which there were requests.
    moment: Duration,
}

struct Tick {
    sleep: Sleep,
    /// Whether it comes with the end of the wait.
    last: bool,
}

impl Patience {
    fn new(head: Option<Duration>, body: Option<Duration>) -> Patience {
        let known = |limit: Option<Duration>| limit.unwrap_or(FOREVER).min(FOREVER);
        Patience {
            head: known(head),
            body: known(body),
            wait: None,
            tick: None,
            moment: MOMENT,
        }
    }

    /// What is left of the wait for a connection that rests.
    fn left(&mut self) -> Option<Duration> {
        self.tick = None;
        self.moment = MOMENT;
        let (_, end) = self.wait?;
        Some(end.saturating_duration_since(Instant::now()))
    }

    /// Ready with true when the connection has been at rest for a moment. Before that its timer is left as it is, however many
    /// requests come.
    ///
    /// # Errors
    ///
    /// `TimedOut` when no head has come in time, or nobody has read on in a body.
    fn poll(
        &mut self,
        exchange: &Exchange,
        may_rest: bool,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        let Some((mark, awaits)) = exchange.awaits() else {
            return Poll::Pending;
        };
        let limit = match awaits {
            Awaits::Body => self.body,
            _ => self.head,
        };
        let same = |&(before, _): &(Mark, Instant)| before == mark;
        self.tick
            .take_if(|tick| tick.last && !self.wait.as_ref().is_some_and(same));
        loop {
            if let Some(tick) = &mut self.tick {
                // It wakes this task.
                if tick.sleep.is_under_way() {
                    return Poll::Pending;
                }
                ready!(Pin::new(&mut tick.sleep).poll(context));
            }
            let now = Instant::now();
            // Where the timer ran for the wait before, this one begins only now.
            let before = self.wait.filter(same);
            let (_, end) = *self.wait.insert(before.unwrap_or((mark, now + limit)));
            if end <= now {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            let last = self.tick.is_some() && before.is_some();
            if last && may_rest && awaits == Awaits::Request {
                return Poll::Ready(Ok(true));
            }
            if self.tick.is_some() && !last {
                // What a peer may take of its time beyond the limit is a small part of that.
                let longest = LONG.min(limit / 8).max(MOMENT);
                self.moment = (self.moment * 4).min(longest);
            }
            let next = if last {
                end
            } else {
                end.min(now + self.moment)
            };
            let sleep = sleep_until(next);
            self.tick = Some(Tick { sleep, last });
        }
    }
}
