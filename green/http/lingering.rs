//! How a connection ends so that the peer gets its last answer, though it may be in the middle of a long body.

use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use greenhub::future::{Sleep, sleep};
use greenhub::greenio::GreenSocket;
use greenhub::source::Poller;

/// How long a peer that was answered may be silent without ending, and how many such times it gets.
const SILENCE: Duration = Duration::from_secs(2);
const ROUNDS: u32 = 15;
/// How much of what an answered peer still sends is taken. It may not look for an answer before it has sent all.
const MOST_ANSWERED: usize = 256 << 20;

/// Drops what the peer sends after our last byte, until it has ended too: unread bytes would make the kernel send a
/// reset on close, which can overtake the answer.
#[derive(Debug)]
pub(super) struct Lingering {
    poller: Poller,
    silence: Sleep,
    heard: bool,
    rounds: u32,
    dropped: usize,
}

impl Lingering {
    /// Ends our direction.
    pub(super) fn begin(socket: &GreenSocket) -> Lingering {
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
    pub(super) fn poll(&mut self, socket: &GreenSocket, context: &mut Context<'_>) -> Poll<()> {
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
