//! The connections of a server, of whatever kind.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use greenhub::greenio::GreenSocket;
use greenhub::wait_queue::ShortLock;
use greenhub::wait_queue::WaitQueue;

pub(super) struct Connections<C> {
    live: ShortLock<HashMap<u64, Live<C>>>,
    next: AtomicU64,
    /// Whoever waits for the server's end.
    pub(super) changed: WaitQueue,
}

enum Live<C> {
    Handshaking(GreenSocket),
    Made(Weak<C>),
}

impl<C> Connections<C> {
    pub(super) fn new() -> Arc<Connections<C>> {
        Arc::new(Connections {
            live: ShortLock::default(),
            next: AtomicU64::new(0),
            changed: WaitQueue::new(),
        })
    }

    /// Notes a connection that is being made over `socket`.
    pub(super) fn attach(self: &Arc<Self>, socket: GreenSocket) -> Attachment<C> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.live.lock().insert(id, Live::Handshaking(socket));
        Attachment {
            connections: self.clone(),
            id,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.live.lock().len()
    }

    /// Those that have been made; the others are closed.
    pub(super) fn made(&self) -> Vec<Arc<C>> {
        let live = self.live.lock();
        live.values()
            .filter_map(|live| match live {
                Live::Made(connection) => connection.upgrade(),
                Live::Handshaking(socket) => {
                    socket.source().close();
                    None
                }
            })
            .collect()
    }
}

/// A connection's place among those of its server, given up when dropped.
pub(super) struct Attachment<C> {
    connections: Arc<Connections<C>>,
    id: u64,
}

impl<C> Attachment<C> {
    /// `connection` has the place from now on.
    pub(super) fn belongs_to(&self, connection: &Arc<C>) {
        if let Some(live) = self.connections.live.lock().get_mut(&self.id) {
            *live = Live::Made(Arc::downgrade(connection));
        }
    }
}

impl<C> Drop for Attachment<C> {
    fn drop(&mut self) {
        self.connections.live.lock().remove(&self.id);
        self.connections.changed.wake_all();
    }
}

impl<C> fmt::Debug for Attachment<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").field("id", &self.id).finish()
    }
}
