//! The connection under a transport: a socket, in the clear or with TLS around it.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::greenio::{GreenSocket, NonBlocking};

use super::super::extra::ExtraInfo;
use super::super::options::Security;
use super::buffers::{Buffer, PIECE};
use super::callbacks::Callbacks;
use crate::net::parting;
use crate::ssl::GreenSslSocket;
use crate::tls::ssl::end::is_departure;

/// The longest record of TLS (RFC 8446, 5.1): what is decrypted at once.
const RECORD: usize = 16 * 1024;

#[derive(Debug)]
pub(in super::super) enum Link {
    Plain(GreenSocket),
    Tls(GreenSslSocket),
}

/// What came of receiving.
pub(super) enum Received {
    /// So many bytes at the front of a buffer.
    Data(Buffer, usize),
    /// The protocol has its bytes already, and this was its answer.
    Delivered(io::Result<()>),
    /// The peer has ended its direction.
    End,
}

impl Link {
    /// Does the TLS handshake over `socket`, if there is to be TLS, beginning with what was read from it before. On
    /// failure it is closed.
    pub(in super::super) fn open(
        socket: GreenSocket,
        security: &Security,
        unread: &[u8],
    ) -> io::Result<(Link, ExtraInfo)> {
        let Some(context) = &security.context else {
            let extra = ExtraInfo::of_socket(&socket);
            return Ok((Link::Plain(socket), extra));
        };
        let name = security.server_hostname.as_deref();
        let mut pipe = context.pipe_for(security.purpose, name.filter(|name| !name.is_empty()))?;
        if pipe.feed(unread) < unread.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "more came before the handshake than one takes",
            ));
        }
        let tls = GreenSslSocket::from_pipe(socket, pipe);
        tls.set_handshake_timeout(Some(security.handshake_timeout))?;
        if let Err(error) = tls.do_handshake() {
            tls.get_ref().source().close();
            return Err(error);
        }
        let extra = ExtraInfo::of_tls(&tls, context);
        Ok((Link::Tls(tls), extra))
    }

    pub(in super::super) fn socket(&self) -> &GreenSocket {
        match self {
            Link::Plain(socket) => socket,
            Link::Tls(tls) => tls.get_ref(),
        }
    }

    pub(in super::super) fn is_tls(&self) -> bool {
        matches!(self, Link::Tls(_))
    }

    /// Waits for bytes, and receives them into the protocol's own buffer or one that is lent; TLS decrypts into `own`.
    /// `Interrupted` once `stop` is set: nothing has been taken from the socket then.
    pub(super) fn receive(
        &self,
        own: &mut Option<Buffer>,
        protocol: &dyn Callbacks,
        stop: &AtomicBool,
    ) -> io::Result<Received> {
        match self {
            Link::Plain(socket) if protocol.has_buffer() => receive_into(socket, protocol, stop),
            Link::Plain(socket) => receive_lent(socket, stop),
            Link::Tls(tls) => {
                let mut buffer = own.take().unwrap_or_else(|| Buffer::of(RECORD));
                let read = tls.read_unless(&mut buffer, stop);
                match read {
                    Ok(0) => Ok(Received::End),
                    Ok(count) => Ok(Received::Data(buffer, count)),
                    Err(error) => {
                        *own = Some(buffer);
                        Err(error)
                    }
                }
            }
        }
    }

    /// Sends what can be sent without waiting; how much of `data` that was.
    pub(super) fn try_write_all(&self, data: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while taken < data.len() {
            let rest = &data[taken..];
            let sent = match self {
                Link::Plain(socket) => NonBlocking(socket).write(rest),
                Link::Tls(tls) => tls.try_write(rest),
            };
            match sent {
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Sends some of `data`, and waits until the kernel has that.
    pub(super) fn write(&self, data: &[u8]) -> io::Result<usize> {
        let sent = match self {
            Link::Plain(socket) => socket.send(data),
            Link::Tls(tls) => (&*tls).write(data),
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            sent => sent,
        }
    }

    /// How many bytes that were counted as written have not left.
    pub(super) fn unsent(&self) -> usize {
        match self {
            Link::Plain(_) => 0,
            Link::Tls(tls) => tls.unsent(),
        }
    }

    /// Waits until none are.
    pub(super) fn flush(&self) -> io::Result<()> {
        match self {
            Link::Plain(_) => Ok(()),
            Link::Tls(tls) => (&*tls).flush(),
        }
    }

    /// Ends our direction. Over TLS, where close_notify would end both for many a peer, it is not to be called.
    pub(super) fn end_writing(&self) -> io::Result<()> {
        self.socket().shutdown(Shutdown::Write)
    }

    /// Ends the conversation in order, before the connection is closed: with TLS, waits until `deadline`
    /// for the peer's close_notify. What it sends before that is dropped.
    pub(super) fn part(&self, deadline: Deadline) -> io::Result<()> {
        match self {
            Link::Plain(socket) => {
                parting::end_direction(socket, Duration::ZERO);
                Ok(())
            }
            Link::Tls(tls) => {
                tls.set_write_timeout(deadline.remaining().map(left))?;
                let mut outcome = tls.shutdown_write();
                while outcome.is_ok() {
                    match discard(tls, deadline, &AtomicBool::new(false)) {
                        Ok(false) => break,
                        heard => outcome = heard.map(drop),
                    }
                }
                match outcome {
                    // All was sent; that the peer goes without a word of parting is its own affair.
                    Err(error) if is_departure(&error) => Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                        Err(shutdown_timed_out())
                    }
                    outcome => outcome,
                }
            }
        }
    }

    /// Takes what the peer still says, until `deadline`, and drops it; false at its end. `Interrupted` once `stop` is set.
    /// Only for TLS.
    pub(super) fn discard(&self, deadline: Deadline, stop: &AtomicBool) -> io::Result<bool> {
        match self {
            Link::Plain(_) => Ok(false),
            Link::Tls(tls) => discard(tls, deadline, stop),
        }
    }

    /// Closes the connection as it is, for whoever waits on it too. The last handle to TLS sends close_notify if that
    /// needs no wait and nothing was left to send; this does not. Does not wait.
    pub(in super::super) fn close(&self) {
        self.socket().source().close();
    }
}

fn discard(tls: &GreenSslSocket, deadline: Deadline, stop: &AtomicBool) -> io::Result<bool> {
    // A peer that talks on would never keep a read waiting.
    if deadline.has_passed() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    tls.set_read_timeout(deadline.remaining().map(left))?;
    Ok(tls.read_unless(&mut [0; 4096], stop)? > 0)
}

/// Without the socket's limit, which is no concern of a transport.
fn deadline(socket: &GreenSocket) -> Deadline {
    match socket.nonblocking() {
        true => Deadline::NOW,
        false => Deadline::NEVER,
    }
}

/// Holds a buffer only while there is something to receive, so that a connection that waits holds none.
fn receive_lent(socket: &GreenSocket, stop: &AtomicBool) -> io::Result<Received> {
    let mut lent = None;
    let count = socket.source().retry_read(deadline(socket), PIECE, |_| {
        unless(stop)?;
        let mut buffer = Buffer::lend();
        let count = NonBlocking(socket).read(&mut buffer)?;
        lent = Some(buffer);
        Ok(count)
    })?;
    Ok(match lent {
        Some(buffer) if count > 0 => Received::Data(buffer, count),
        _ => Received::End,
    })
}

fn receive_into(
    socket: &GreenSocket,
    protocol: &dyn Callbacks,
    stop: &AtomicBool,
) -> io::Result<Received> {
    let mut answer = Ok(());
    // How long the protocol's buffer is shows only inside, so no short read is told apart: hence 0.
    let count = socket.source().retry_read(deadline(socket), 0, |_| {
        unless(stop)?;
        let received = protocol.receive_into(&mut |buf| NonBlocking(socket).read(buf));
        let (count, answered) = received.unwrap_or(Ok((0, Ok(()))))?;
        answer = answered;
        Ok(count)
    })?;
    Ok(match (count, answer) {
        (0, Ok(())) => Received::End,
        (_, answer) => Received::Delivered(answer),
    })
}

pub(in super::super) fn unless(stop: &AtomicBool) -> io::Result<()> {
    match stop.load(Ordering::SeqCst) {
        true => Err(io::ErrorKind::Interrupted.into()),
        false => Ok(()),
    }
}

/// The time left, never zero, since a timeout of zero is refused.
fn left(left: Duration) -> Duration {
    left.max(Duration::from_millis(1))
}

pub(super) fn shutdown_timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "TLS shutdown timed out")
}
