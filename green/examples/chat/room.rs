//! Who is there, and what is still to be sent to each.

use std::collections::BTreeMap;
use std::sync::Arc;

use green::net::{Shutdown, TcpStream};
use green::queue::LightQueue;
use green::sync::{Mutex, MutexGuard};

use crate::note;

/// How many lines may wait for a guest before it is shown out.
const BACKLOG: usize = 256;

/// What is to be sent to a guest.
pub enum Parcel {
    Line(Arc<str>),
    /// The last one.
    Farewell,
}

/// A guest's queue, from the room's end.
#[derive(Clone)]
pub struct Outbox {
    parcels: Arc<LightQueue<Parcel>>,
    stream: Arc<TcpStream>,
}

impl Outbox {
    pub fn new(stream: &Arc<TcpStream>) -> Outbox {
        Outbox {
            parcels: Arc::new(LightQueue::bounded(BACKLOG)),
            stream: stream.clone(),
        }
    }

    /// Never waits: a guest that is too slow is cut off, and the rest of its queue with it.
    pub fn send(&self, parcel: Parcel) {
        if self.parcels.try_put(parcel).is_err() {
            self.cut();
        }
    }

    /// The next line to be sent, once there is one; `None` after the last.
    pub fn next(&self) -> Option<Arc<str>> {
        match self.parcels.get() {
            Parcel::Line(line) => Some(line),
            Parcel::Farewell => None,
        }
    }

    /// Whoever reads or writes the stream finds its end. It may have ended already.
    pub fn cut(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

#[derive(Default)]
pub struct Room {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// All who are connected, by number.
    visitors: BTreeMap<u64, Outbox>,
    visits: u64,
    /// Those of them who have given a name, by it.
    guests: BTreeMap<String, Outbox>,
    closed: bool,
}

impl State {
    fn tell(&self, line: &str, except: &str) {
        let line: Arc<str> = format!("{line}\n").into();
        for (name, outbox) in &self.guests {
            if name != except {
                outbox.send(Parcel::Line(line.clone()));
            }
        }
    }
}

impl Room {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics in there")
    }

    /// Takes note of somebody who has connected; `None` if the chat has ended.
    pub fn arrive(&self, outbox: &Outbox) -> Option<Visit<'_>> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        state.visits += 1;
        let number = state.visits;
        state.visitors.insert(number, outbox.clone());
        Some(Visit { room: self, number })
    }

    /// Lets a guest in, unless somebody has that name.
    pub fn enter(&self, name: &str, outbox: &Outbox) -> bool {
        let mut state = self.state();
        if state.closed || state.guests.contains_key(name) {
            return false;
        }
        state.tell(&format!("* {name} has come"), name);
        let others: Vec<&str> = state.guests.keys().map(String::as_str).collect();
        let there = match others.as_slice() {
            [] => "nobody else is there".to_owned(),
            names => format!("there are {}", names.join(", ")),
        };
        let welcome = format!("* welcome, {name}: {there}\n");
        outbox.send(Parcel::Line(welcome.into()));
        state.guests.insert(name.to_owned(), outbox.clone());
        let count = state.guests.len();
        drop(state);
        note(&format!("{name} has come, {count} there"));
        true
    }

    pub fn say(&self, name: &str, words: &str) {
        self.state().tell(&format!("{name}: {words}"), name);
    }

    pub fn leave(&self, name: &str) {
        let mut state = self.state();
        state.guests.remove(name);
        state.tell(&format!("* {name} has left"), name);
        let count = state.guests.len();
        drop(state);
        note(&format!("{name} has left, {count} there"));
    }

    /// Sees all guests off, and shows out those who have not given their names yet.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.tell("* the chat ends here, good-bye", "");
        for outbox in state.visitors.values() {
            outbox.send(Parcel::Farewell);
        }
    }

    /// Cuts off those who are still there.
    pub fn cut(&self) {
        self.state().visitors.values().for_each(Outbox::cut);
    }
}

/// Somebody is connected, for as long as this lives.
pub struct Visit<'a> {
    room: &'a Room,
    number: u64,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.room.state().visitors.remove(&self.number);
    }
}
