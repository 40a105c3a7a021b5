//! The same end of a connection for futures, where the peer may be in the middle of a long body.

use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use greenhub::future::{Sleep, sleep};
use greenhub::greenio::GreenSocket;
use greenhub::source::Poller;

use super::{MOST_ANSWERED, ROUNDS, SILENCE};

/// Drops what the peer sends after our last byte, until it has ended too: unread bytes would make the kernel send a
/// reset on close, which can overtake the answer.
#[derive(Debug)]
pub(crate) struct Lingering {
    poller: Poller,
    silence: Sleep,
    heard: bool,
    rounds: u32,
    dropped: usize,
}

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
