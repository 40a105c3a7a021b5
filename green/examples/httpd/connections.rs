//! All open connections: how many there may be, and how they end when the server stops.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use green::net::{Shutdown, TcpStream};
use green::sync::{Condvar, Mutex};

/// The open connections.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    stopping: AtomicBool,
    open: Mutex<Open>,
    /// Told whenever a connection ends, and when the server stops.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Open {
    next_id: u64,
    by_id: HashMap<u64, Arc<Entry>>,
}

#[derive(Debug)]
struct Entry {
    stream: TcpStream,
    /// Between two requests: may be closed without harm.
    idle: AtomicBool,
}

/// A connection's place among the open ones, given back when it is dropped.
#[derive(Debug)]
pub struct Ticket {
    connections: Arc<Connections>,
    id: u64,
    entry: Arc<Entry>,
}

impl Connections {
    /// Room for at most `most` connections.
    pub fn new(most: usize) -> Arc<Connections> {
        Arc::new(Connections {
            most,
            stopping: AtomicBool::new(false),
            open: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Waits until there is room for one more. False: the server stops.
    pub fn wait_for_room(&self) -> bool {
        let open = self.open.lock().unwrap();
        let full = |open: &mut Open| open.by_id.len() >= self.most && !self.is_stopping();
        drop(self.changed.wait_while(open, full).unwrap());
        !self.is_stopping()
    }

    /// Takes a new connection in.
    pub fn add(self: &Arc<Connections>, stream: TcpStream) -> Ticket {
        let entry = Arc::new(Entry {
            stream,
            idle: AtomicBool::new(true),
        });
        let mut open = self.open.lock().unwrap();
        if self.is_stopping() {
            entry.stop_reading();
        }
        let id = open.next_id;
        open.next_id += 1;
        open.by_id.insert(id, entry.clone());
        Ticket {
            connections: self.clone(),
            id,
            entry,
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    /// From now on connections end as soon as they are idle; those that are already, end now.
    pub fn stop(&self) {
        let open = self.open.lock().unwrap();
        // Set before `idle` is read, as `Ticket::answered` sets `idle` before it reads this: one
        // of the two sees the other.
        self.stopping.store(true, SeqCst);
        self.changed.notify_all();
        for entry in open.by_id.values().filter(|entry| entry.idle.load(SeqCst)) {
            entry.stop_reading();
        }
    }

    /// Waits for the last connection to end, up to `limit`, and cuts off those that have not.
    /// Gives the number of the latter.
    pub fn drain(&self, limit: Duration) -> usize {
        let open = self.open.lock().unwrap();
        let any = |open: &mut Open| !open.by_id.is_empty();
        let (open, _) = self.changed.wait_timeout_while(open, limit, any).unwrap();
        for entry in open.by_id.values() {
            let _ = entry.stream.shutdown(Shutdown::Both);
        }
        open.by_id.len()
    }
}

impl Entry {
    /// Lets reading go on to the end of what has come in, and no further: a request that crossed
    /// our decision to stop on its way is still answered.
    fn stop_reading(&self) {
        let _ = self.stream.shutdown(Shutdown::Read);
    }
}

impl Ticket {
    pub fn stream(&self) -> &TcpStream {
        &self.entry.stream
    }

    /// A request begins to come in.
    pub fn asked(&self) {
        self.entry.idle.store(false, SeqCst);
    }

    /// A request has been answered. False: the server stops, so there will be no other.
    pub fn answered(&self) -> bool {
        self.entry.idle.store(true, SeqCst);
        !self.is_stopping()
    }

    pub fn is_stopping(&self) -> bool {
        self.connections.is_stopping()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.connections.open.lock().unwrap().by_id.remove(&self.id);
        self.connections.changed.notify_all();
    }
}
