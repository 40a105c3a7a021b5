//! What a connection waits for without hyper: its first byte, and the end of the server.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use greenhub::future::{Sleep, sleep};
use greenhub::greenio::GreenSocket;
use greenhub::source::Poller;
use tokio::sync::watch;

/// How long after a stop a connection may still bring a request: its peer may have sent it before it could know.
const LAST: Duration = Duration::from_millis(500);

/// Waits until the peer says something, or false: until the server is to stop.
pub(super) async fn begins(
    socket: &GreenSocket,
    limit: Option<Duration>,
    stop: Stop,
) -> io::Result<bool> {
    let mut beginning = Beginning::new(socket, limit, stop);
    poll_fn(|context| beginning.poll(socket, context)).await
}

/// Such a wait.
pub(super) struct Beginning {
    poller: Poller,
    stopping: Pin<Box<dyn Future<Output = ()>>>,
    late: Option<Sleep>,
}

impl Beginning {
    pub(super) fn new(socket: &GreenSocket, limit: Option<Duration>, stop: Stop) -> Beginning {
        Beginning {
            poller: socket.source().poller(),
            stopping: Box::pin(last_call(stop)),
            late: limit.map(sleep),
        }
    }

    /// Of the same socket.
    pub(super) fn poll(
        &mut self,
        socket: &GreenSocket,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        if let Poll::Ready(peeked) = socket.poll_peek(&self.poller, context, &mut [0]) {
            return Poll::Ready(peeked.map(|_| true));
        }
        if self.stopping.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(false));
        }
        match &mut self.late {
            None => Poll::Pending,
            Some(late) => Pin::new(late)
                .poll(context)
                .map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

/// Whether the server is to stop, for one of its connections. It is never taken note of: that it has changed is that it
/// is set, which is known without a lock.
#[derive(Clone, Debug)]
pub(super) struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(super) fn of(sender: &watch::Sender<bool>) -> Stop {
        let mut receiver = sender.subscribe();
        if *receiver.borrow() {
            receiver.mark_changed();
        }
        Stop(receiver)
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.has_changed().unwrap_or(true)
    }
}

/// Ready when the server is to stop.
pub(super) async fn stopping(Stop(mut stop): Stop) {
    while !*stop.borrow_and_update() {
        if stop.changed().await.is_err() {
            pending().await
        }
    }
}

/// Ready when the server is to stop, and what was sent before anybody could know has come.
pub(super) async fn last_call(stop: Stop) {
    stopping(stop).await;
    sleep(LAST).await;
}
