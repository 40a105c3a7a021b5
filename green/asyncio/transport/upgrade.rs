//! TLS on a connection that has begun in the clear.

use std::io;
use std::mem;
use std::sync::Arc;

use super::super::options::TlsOptions;
use super::Transport;
use super::life::Ender;
use super::link::Link;
use super::reader::run;
use super::shared::{Eof, Handover, Shared};
use crate::ssl::SslError;
use crate::thread::{Builder, current};
use greenhub::Deadline;
use greenhub::Killed;

/// Speaks TLS on the connection of `transport` from here on, and returns the transport that takes its place, with the
/// same protocol: asyncio's `start_tls`.
///
/// Sends what was written before, in the clear, does the handshake, and returns. It may be called inside the protocol's
/// own call, or by any other thread. The protocol is not told, not even by a second `connection_made`: give it the new
/// transport. The old one is of no use any more; for its methods it is closing. If its `close` is called in the middle
/// of the handshake, that takes effect when the handshake is over, within its limit; its `abort` takes effect at once.
///
/// What the peer sends after its request for TLS must not have been received already. So a protocol should make the
/// peer wait for an answer, as STARTTLS of SMTP and IMAP does.
///
/// # Errors
///
/// `Unsupported` if the connection speaks TLS already; `NotConnected` with [`ClosedLocally`](crate::ClosedLocally) inside if
/// the transport is closing, `ConnectionReset` if the peer has ended it; `BrokenPipe` after `write_eof`;
/// `AlreadyExists` while another call is under way; `InvalidInput` for a limit of zero; those of
/// [`do_handshake`](crate::ssl::GreenSslSocket::do_handshake), after which the connection is over, and
/// `connection_lost` is told the same.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use green::asyncio::{
///     ConnectionOptions, Protocol, ServerOptions, StreamReader, StreamWriter, TlsOptions,
///     create_connection, start_server, start_tls,
/// };
/// use green::ssl::{Purpose, SslContext, VerifyLocation};
///
/// /// What has been said to us, a piece at a time.
/// struct Hear(green::channel::Sender<Vec<u8>>);
///
/// impl Protocol for Hear {
///     fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
///         self.0.send(data.to_vec()).map_err(io::Error::other)
///     }
/// }
///
/// # fn main() -> io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let theirs = SslContext::new(Purpose::ClientAuth)?;
/// theirs.load_cert_chain_bytes(cert.as_bytes(), key.as_bytes(), None)?;
/// let handler = move |reader: StreamReader, mut writer: StreamWriter| {
///     assert_eq!(reader.readline()?, b"STARTTLS\n");
///     writer.write(b"go ahead\n")?;
///     writer.start_tls(&TlsOptions::server(&theirs))?;
///     writer.write(b"in secret\n")?;
///     reader.read_to_eof().map(drop)
/// };
/// let server = start_server(handler, "127.0.0.1:0", ServerOptions::new())?;
///
/// let (said, heard) = green::channel::unbounded();
/// let (plain, _) =
///     create_connection(|| Hear(said), server.local_addr()?, ConnectionOptions::new())?;
/// plain.write(b"STARTTLS\n")?;
/// assert_eq!(heard.recv().unwrap(), b"go ahead\n");
///
/// let ours = SslContext::new(Purpose::ServerAuth)?;
/// ours.load_verify_locations(VerifyLocation::Bytes(cert.as_bytes()))?;
/// let tls = start_tls(&plain, &TlsOptions::client(&ours, "localhost"))?;
/// assert!(tls.get_extra_info().peercert().is_some());
/// assert_eq!(heard.recv().unwrap(), b"in secret\n");
/// assert!(plain.is_closing() && !tls.is_closing());
/// tls.close();
/// # Ok(())
/// # }
/// ```
pub fn start_tls(transport: &Transport, options: &TlsOptions) -> io::Result<Transport> {
    upgrade(transport, options, Vec::new)
}

/// As [`start_tls`], for a protocol that keeps what it has received: once nothing more comes in the clear, `untouched`
/// takes what has come since the request for TLS.
pub(in super::super) fn upgrade(
    transport: &Transport,
    options: &TlsOptions,
    untouched: impl FnOnce() -> Vec<u8>,
) -> io::Result<Transport> {
    options.security.check()?;
    let old = transport.shared();
    ask(old)?;
    let abandoned = EndWhenUnwound(old);
    let upgraded = take(old).and_then(|unread| {
        let socket = old.link.socket().try_clone()?;
        let unread = [untouched(), unread].concat();
        Link::open(socket, &options.security, &unread)
    });
    mem::forget(abandoned);
    let (link, extra) = upgraded.inspect_err(|error| old.end(Some(again(error))))?;
    let (new, closing) = {
        let mut state = old.state.lock();
        let closing = state.life.is_ending();
        if state.life.is_over() {
            return Err(state.refusal());
        }
        let callbacks = state.callbacks.take().expect("there until it is dead");
        let limit = options.security.shutdown_timeout;
        let new = Shared::new(link, callbacks, extra, limit, state.attachment.take());
        {
            let mut new_state = new.state.lock();
            new_state.made = true;
            // With what the protocol has been told.
            new_state.flow = mem::take(&mut state.flow);
            if let Some(attachment) = &new_state.attachment {
                attachment.belongs_to(&new);
            }
        }
        state.handover = Handover::Taken(Arc::clone(&new));
        state.life.end(Ender::Ours, &mut None, true);
        (new, closing)
    };
    if closing {
        // Asked of the old one while the two ends shook hands.
        new.close();
    }
    old.call_reader();
    old.changed.wake_all();
    let mut builder = Builder::new().name("asyncio transport".to_owned());
    if let Some(reader) = old.reader.get() {
        builder = builder.beside(reader);
    }
    let readers = Arc::clone(&new);
    let started = builder.spawn(move || run(&readers, || Ok(())));
    let reader = started.inspect_err(|error| new.end(Some(again(error))))?;
    new.is_read_by(&reader);
    Ok(Transport::of(&new))
}

fn ask(old: &Shared) -> io::Result<()> {
    let mut state = old.state.lock();
    if matches!(old.link, Link::Tls(_)) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the connection speaks TLS already",
        ));
    }
    state.may_write()?;
    debug_assert_eq!(state.eof, Eof::Open);
    match state.handover {
        Handover::No => state.handover = Handover::Asked,
        _ => return Err(io::ErrorKind::AlreadyExists.into()),
    }
    Ok(())
}

/// Makes the reader let go, and waits until all is sent; returns what was received and not delivered.
fn take(old: &Arc<Shared>) -> io::Result<Vec<u8>> {
    let own_call = old.reader.get().map(|reader| reader.id()) == Some(current().id());
    if own_call {
        // The reader is inside the call that we are in, away from the socket.
        old.state.lock().handover = Handover::Given(Vec::new());
    } else {
        old.call_reader();
    }
    let busy = || {
        let state = old.state.lock();
        !state.life.is_over() && (state.sending || !matches!(state.handover, Handover::Given(_)))
    };
    while busy() {
        old.changed.wait("start_tls", Deadline::NEVER, busy);
    }
    let mut state = old.state.lock();
    match &mut state.handover {
        Handover::Given(unread) => Ok(mem::take(unread)),
        _ => Err(state.refusal()),
    }
}

/// A copy of an error that is reported twice: to the caller and to the protocol.
fn again(error: &io::Error) -> io::Error {
    match (error.raw_os_error(), SslError::of(error)) {
        (Some(code), _) => io::Error::from_raw_os_error(code),
        (None, Some(error)) => error.clone().into(),
        (None, None) => io::Error::new(error.kind(), error.to_string()),
    }
}

/// For a caller who is killed: the connection is then neither plain nor TLS.
struct EndWhenUnwound<'a>(&'a Shared);

impl Drop for EndWhenUnwound<'_> {
    fn drop(&mut self) {
        self.0.end(Some(io::Error::other(Killed)));
    }
}
