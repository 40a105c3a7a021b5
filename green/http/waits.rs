//! What a connection waits for without hyper: its first byte, and the end of the server.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use greenhub::future::sleep;
use greenhub::greenio::GreenSocket;
use tokio::sync::watch;

/// How long after a stop a connection may still bring a request: its peer may have sent it before it could know.
const LAST: Duration = Duration::from_millis(500);

/// Waits until the peer says something, or false: until the server is to stop.
pub(super) async fn begins(
    socket: &GreenSocket,
    limit: Option<Duration>,
    stop: watch::Receiver<bool>,
) -> io::Result<bool> {
    let poller = socket.source().poller();
    let mut stopping = pin!(last_call(stop));
    let mut late = limit.map(sleep);
    poll_fn(|context| {
        if let Poll::Ready(peeked) = socket.poll_peek(&poller, context, &mut [0]) {
            return Poll::Ready(peeked.map(|_| true));
        }
        if stopping.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(false));
        }
        match &mut late {
            None => Poll::Pending,
            Some(late) => Pin::new(late)
                .poll(context)
                .map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    })
    .await
}

/// Ready when the server is to stop.
pub(super) async fn stopping(mut stop: watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        if stop.changed().await.is_err() {
            pending().await
        }
    }
}

/// Ready when the server is to stop, and what was sent before anybody could know has come.
pub(super) async fn last_call(stop: watch::Receiver<bool>) {
    stopping(stop).await;
    sleep(LAST).await;
}
