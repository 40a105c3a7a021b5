//! Bodies of requests of HTTP/2 that outlive their answers.
//!
//! What a peer has sent and nobody has read counts against the window of the whole connection. So a body that is kept, or
//! leaked, would in the end hold up every other upload on it.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use greenhub::wait_queue::ShortLock;
use http_body_util::Limited;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::same::Same;

type Next = Option<Result<Frame<Bytes>, Box<dyn Error + Send + Sync>>>;

/// A body that its connection can take back.
#[derive(Debug, Default)]
pub(super) struct Lent(ShortLock<State>);

#[derive(Debug, Default)]
struct State {
    /// None also while it is polled.
    body: Option<Limited<Incoming>>,
    taken_back: bool,
    /// How often somebody has asked for more.
    asked: u64,
}

impl Lent {
    pub(super) fn fill(&self, body: Limited<Incoming>) {
        self.0.lock().body = Some(body);
    }

    /// None once it was taken back.
    pub(super) fn poll_frame(&self, context: &mut Context<'_>) -> Option<Poll<Next>> {
        let mut body = {
            let mut state = self.0.lock();
            state.asked += 1;
            state.body.take()?
        };
        let polled = Pin::new(&mut body).poll_frame(context);
        let mut state = self.0.lock();
        if state.taken_back {
            drop(state);
            return None;
        }
        state.body = Some(body);
        Some(polled)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let state = self.0.lock();
        state.body.as_ref().is_some_and(Body::is_end_stream)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let state = self.0.lock();
        state.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }

    fn take_back(&self) {
        let body = {
            let mut state = self.0.lock();
            state.taken_back = true;
            state.body.take()
        };
        drop(body);
    }
}

/// A request's answer has it: when it goes, the body has outlived that.
#[derive(Debug)]
pub(super) struct Loan {
    pub(super) lent: Weak<Lent>,
    pub(super) kept: Arc<Outlived>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.lent.strong_count() > 0 {
            self.kept.add(std::mem::take(&mut self.lent));
        }
    }
}

/// The bodies of a connection that have outlived their answers.
#[derive(Debug, Default)]
pub(super) struct Outlived(ShortLock<Vec<(Weak<Lent>, Same<u64>)>>);

impl Outlived {
    fn add(&self, lent: Weak<Lent>) {
        let mut all = self.0.lock();
        if all.len() == all.capacity() {
            // Else those of a flood of requests that are given up would stay until somebody looks.
            all.retain(|(lent, _)| lent.strong_count() > 0);
        }
        all.push((lent, Same::default()));
    }

    /// Takes back those in which nobody has read on for so long. The stream of each is reset.
    pub(super) fn take_back(&self, limit: Option<Duration>, now: Instant) {
        // A last handle is dropped outside the lock.
        let mut seen = Vec::new();
        self.0.lock().retain_mut(|(lent, same)| {
            let Some(lent) = lent.upgrade() else {
                return false;
            };
            let asked = lent.0.lock().asked;
            let is_late = same.lasts(Some(asked), limit, now);
            seen.push((lent, is_late));
            !is_late
        });
        for (lent, _) in seen.iter().filter(|(_, is_late)| *is_late) {
            log::warn!("a body was kept beyond its answer and not read on: its stream is reset");
            lent.take_back();
        }
    }
}
