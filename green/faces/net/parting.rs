//! How a connection ends so that the peer gets all that was sent to it.

use std::io::Read;
use std::net::Shutdown;
use std::time::{Duration, Instant};
#[cfg(feature = "http")]
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

#[cfg(feature = "http")]
use greenhub::future::{Sleep, sleep};
use greenhub::greenio::{GreenSocket, NonBlocking};
#[cfg(feature = "http")]
use greenhub::source::Poller;

/// How much of what the peer has sent is taken: one that sends without end gets its reset.
const MOST: usize = 64 * 1024;

/// Ends our direction, and drops what the peer has sent and sends within `wait`, or until its end: unread bytes would
/// make the kernel send a reset on close, which can overtake what was sent before. With a `wait` of zero it does not wait.
///
/// The socket is to be closed then; its timeout may be another.
pub(crate) fn end_direction(socket: &GreenSocket, wait: Duration) {
    if socket.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let began = Instant::now();
    let mut piece = [0; 4096];
    let mut dropped = 0;
    while dropped < MOST {
        let left = wait.saturating_sub(began.elapsed());
        let heard = match left.is_zero() {
            true => NonBlocking(socket).read(&mut piece),
            false => socket
                .set_read_timeout(Some(left))
                .and_then(|()| socket.recv(&mut piece)),
        };
        match heard {
            Ok(count @ 1..) => dropped += count,
            _ => return,
        }
    }
}

/// How long a peer that was answered may send nothing and not end, and how often it may be heard within that.
#[cfg(feature = "http")]
const SILENCE: Duration = Duration::from_secs(2);
#[cfg(feature = "http")]
const ROUNDS: u32 = 15;
/// How much of what an answered peer still sends is taken. It may not look for an answer before it has sent all.
#[cfg(feature = "http")]
const MOST_ANSWERED: usize = 256 << 20;

/// The same for a task that polls: our direction has been ended, and the peer may be in the middle of a long body.
#[cfg(feature = "http")]
#[derive(Debug)]
pub(crate) struct Lingering {
    poller: Poller,
    silence: Sleep,
    heard: bool,
    rounds: u32,
    dropped: usize,
}

#[cfg(feature = "http")]
impl Lingering {
    /// Ends our direction.
    pub(crate) fn begin(socket: &GreenSocket) -> Lingering {
        // It fails where the connection has failed; then so does the first reception.
        let _ = socket.shutdown(Shutdown::Write);
        Lingering {
            poller: socket.source().poller(),
            silence: sleep(SILENCE),
            heard: false,
            rounds: ROUNDS,
            dropped: 0,
        }
    }

    /// Ready when the peer has ended, or has had enough time.
    pub(crate) fn poll(&mut self, socket: &GreenSocket, context: &mut Context<'_>) -> Poll<()> {
        let mut piece = [0; 4096];
        while self.dropped < MOST_ANSWERED {
            match socket.poll_recv(&self.poller, context, &mut piece) {
                Poll::Ready(Ok(count @ 1..)) => {
                    self.heard = true;
                    self.dropped += count;
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    ready!(Pin::new(&mut self.silence).poll(context));
                    self.rounds -= 1;
                    if !self.heard || self.rounds == 0 {
                        break;
                    }
                    self.heard = false;
                    self.silence = sleep(SILENCE);
                }
            }
        }
        Poll::Ready(())
    }
}
