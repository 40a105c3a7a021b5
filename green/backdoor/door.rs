//! A listener and the sessions that came in by it, on OS threads, so that it works even when every hub is held up.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use greenhub::greenio::GreenSocket;
use greenhub::wait_queue::ShortLock;

use crate::net::parting;

/// Sessions at once.
const SESSIONS: usize = 16;
/// A session makes text and little else.
const STACK: usize = 512 << 10;
/// Between two attempts to accept where one has failed.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a client may take to receive the last message.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Closes the listener and cuts its sessions when it is dropped.
pub(super) struct Door {
    inner: Arc<Inner>,
}

struct Inner {
    listener: GreenSocket,
    sessions: ShortLock<Sessions>,
}

#[derive(Default)]
struct Sessions {
    closed: bool,
    next: u64,
    open: HashMap<u64, Arc<GreenSocket>>,
}

impl Door {
    /// Serves each client with `serve` on an OS thread of its own; a client for which there is no room gets
    /// `full`.
    pub(super) fn open(
        listener: GreenSocket,
        full: &'static str,
        serve: impl Fn(&GreenSocket) -> io::Result<()> + Clone + Send + 'static,
    ) -> io::Result<Door> {
        let inner = Arc::new(Inner {
            listener,
            sessions: ShortLock::default(),
        });
        let accepting = inner.clone();
        spawn(move || accept(&accepting, full, serve))?;
        Ok(Door { inner })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let mut sessions = self.inner.sessions.lock();
        sessions.closed = true;
        self.inner.listener.close();
        let open = sessions.open.values();
        open.for_each(|socket| socket.source().close());
    }
}

fn spawn(body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name("green-backdoor".to_owned());
    builder.stack_size(STACK).spawn(body).map(drop)
}

fn accept(
    inner: &Arc<Inner>,
    full: &'static str,
    serve: impl Fn(&GreenSocket) -> io::Result<()> + Clone + Send + 'static,
) {
    while !inner.listener.is_closed() {
        // What fails concerns one client; `accept` itself pauses when there is
        // no room for another.
        let Ok((socket, _)) = inner.listener.accept() else {
            thread::sleep(PAUSE);
            continue;
        };
        let socket = Arc::new(socket);
        let Some(session) = Session::enter(inner, &socket) else {
            // A fresh socket has room for it.
            socket.set_nonblocking(true);
            let _ = socket.send(full.as_bytes());
            parting::end_direction(&socket, Duration::ZERO);
            continue;
        };
        let serve = serve.clone();
        // Without a thread the client finds itself cut.
        let _ = spawn(move || {
            // A client's departure, mostly: nobody to tell.
            let _ = serve(&socket);
            parting::end_direction(&socket, LAST_WAIT);
            drop(session);
        });
    }
}

/// A session's place, until it is dropped.
struct Session {
    inner: Arc<Inner>,
    number: u64,
}

impl Session {
    fn enter(inner: &Arc<Inner>, socket: &Arc<GreenSocket>) -> Option<Session> {
        let mut sessions = inner.sessions.lock();
        if sessions.closed || sessions.open.len() == SESSIONS {
            return None;
        }
        let number = sessions.next;
        sessions.next += 1;
        sessions.open.insert(number, socket.clone());
        Some(Session {
            inner: inner.clone(),
            number,
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.inner.sessions.lock().open.remove(&self.number);
    }
}
