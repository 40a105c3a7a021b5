//! Cuts: which machines cannot reach each other, and what is held up between them until they can.
//!
//! Nothing gets through a cut. What a stream has under way there is sent again by the kernel, so it waits ([`Held`]), in
//! order, and whatever follows it waits behind it. Once the cut is healed it goes on, but not at once: attempts come at
//! intervals that double. It is given up when the limits of its socket have passed, as in `stream.rs`. Datagrams and
//! resets are not sent again.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::stream::patience;
use super::table::{Around, Cuts, Event, Held, Network, Number, State};

/// The longest time between two attempts of the kernel.
const LONGEST_PAUSE: u64 = 120_000_000_000;
/// How long the kernel tries for a socket that was closed.
const AFTER_CLOSE: u64 = 100_000_000_000;
/// How long a client waits for an answer.
const FOR_ANSWER: u64 = 127_000_000_000;

impl Cuts {
    fn between(&self, one: IpAddr, other: IpAddr) -> Option<u64> {
        let mut cuts = self.cuts.iter();
        let found = cuts.find(|(_, [left, right])| {
            left.contains(&one) && right.contains(&other)
                || left.contains(&other) && right.contains(&one)
        });
        found.map(|(number, _)| *number)
    }
}

impl Network {
    /// Cuts the network between two groups of machines, and gives the cut's number.
    pub(crate) fn cut(&mut self, around: &mut Around<'_>, groups: [Vec<IpAddr>; 2]) -> u64 {
        self.cuts.last += 1;
        let cut = self.cuts.last;
        let groups = groups.map(|group| group.iter().map(IpAddr::to_canonical).collect());
        self.cuts.cuts.insert(cut, groups);
        around.tell_of_network("is cut, for the nth time", cut as usize);
        let all: Vec<Number> = self.sockets.keys().copied().collect();
        all.into_iter().for_each(|end| self.probe(around, end));
        cut
    }

    /// The network is whole there; what was held up is tried again some time.
    pub(crate) fn heal(&mut self, around: &mut Around<'_>, cut: u64) {
        if self.cuts.cuts.remove(&cut).is_none() {
            return;
        }
        around.tell_of_network("heals from cut", cut as usize);
        let held = &self.cuts.held;
        let held: Vec<_> = held.iter().map(|(way, held)| (*way, held.since)).collect();
        for ((from, to), since) in held {
            let pause = (around.now - since).clamp(1, LONGEST_PAUSE);
            let when = around.latency() + around.random.below(pause);
            self.after(when, Event::Retry { from, to });
        }
    }

    /// The faults of the network may cut it between two machines.
    pub(super) fn may_cut(&mut self, around: &mut Around<'_>, one: IpAddr, other: IpAddr) {
        let faults = around.faults;
        let are_two = one != other && !one.is_loopback() && !other.is_loopback();
        let can = faults.partition > 0.0 && are_two && !self.is_cut(one, other);
        if can && around.random.happens(faults.partition) {
            let cut = self.cut(around, [vec![one], vec![other]]);
            let when = around.soon(&faults.partition_for);
            self.after(when, Event::Heal { cut });
        }
    }

    pub(super) fn is_cut(&self, one: IpAddr, other: IpAddr) -> bool {
        self.cuts.between(one, other).is_some()
    }

    /// The machines of a connection, by whichever end is still there.
    pub(super) fn machines_of(&self, from: Number, to: Number) -> Option<(IpAddr, IpAddr)> {
        let addresses = |end| {
            let socket = self.sockets.get(&end)?;
            let local = socket.local.as_ref()?.as_socket()?;
            let peer = socket.peer.as_ref()?.as_socket()?;
            Some((local.ip().to_canonical(), peer.ip().to_canonical()))
        };
        addresses(from).or_else(|| addresses(to).map(|(local, peer)| (peer, local)))
    }

    /// Whether the peer of this one cannot be reached.
    pub(super) fn is_cut_off(&self, end: Number) -> bool {
        self.cut_between(end, end).is_some()
    }

    fn cut_between(&self, from: Number, to: Number) -> Option<u64> {
        let (one, other) = self.machines_of(from, to)?;
        self.cuts.between(one, other)
    }

    /// Gives what is due to happen on the way between two ends, unless it is held up.
    pub(super) fn through(
        &mut self,
        around: &mut Around<'_>,
        from: Number,
        to: Number,
        event: Event,
    ) -> Option<Event> {
        let way = (from, to);
        let is_cut = self.cut_between(from, to).is_some();
        if !is_cut && !self.cuts.held.contains_key(&way) {
            return Some(event);
        }
        if is_cut && matches!(event, Event::Reset { .. }) {
            // It is not sent again, and who sends one has forgotten the rest.
            self.cuts.held.remove(&way);
            return None;
        }
        let held = self.cuts.held.entry(way).or_insert(Held {
            since: around.now,
            unconfirmed_since: None,
            events: VecDeque::new(),
        });
        match event {
            Event::Segment { .. } => {
                let is_first = held.unconfirmed_since.is_none();
                let since = *held.unconfirmed_since.get_or_insert(around.now);
                let sender = self.sockets.get(&from).map(|socket| socket.fd);
                let limit = match sender {
                    None => Some(AFTER_CLOSE),
                    Some(fd) if is_first => fd.map(|fd| patience(fd).0.as_nanos() as u64),
                    Some(_) => None,
                };
                if let Some(limit) = limit {
                    self.after(around.now + limit, Event::Overdue { from, to, since });
                }
            }
            Event::Answer { client, .. } => {
                self.after(around.now + FOR_ANSWER, Event::GiveUp { client });
            }
            _ => {}
        }
        if let Some(held) = self.cuts.held.get_mut(&way) {
            held.events.push_back(event);
        }
        None
    }

    /// What was held up goes on, if nothing is in its way now.
    pub(super) fn retry(&mut self, around: &mut Around<'_>, from: Number, to: Number) {
        if self.cut_between(from, to).is_none()
            && let Some(held) = self.cuts.held.remove(&(from, to))
        {
            let events = held.events.into_iter();
            events.for_each(|event| self.take_place(around, event));
        }
    }

    /// The sender gives up what it could not deliver, and with it the connection.
    pub(super) fn overdue(
        &mut self,
        around: &mut Around<'_>,
        from: Number,
        to: Number,
        since: u64,
    ) {
        let held = self.cuts.held.get(&(from, to));
        if held.is_some_and(|held| held.unconfirmed_since == Some(since)) {
            self.cuts.held.remove(&(from, to));
            self.fail(around, from, libc::ETIMEDOUT);
        }
    }

    pub(super) fn give_up(&mut self, around: &mut Around<'_>, client: Number) {
        let socket = self.sockets.get(&client);
        if socket.is_some_and(|socket| matches!(socket.state, State::Connecting)) {
            self.fail(around, client, libc::ETIMEDOUT);
        }
    }

    /// If the peer of an end is cut off: it is probed from now on, if the end's options say so.
    pub(super) fn probe(&mut self, around: &mut Around<'_>, at: Number) {
        let Some(other) = self.stream(at).map(|stream| stream.other) else {
            return;
        };
        if let Some(cut) = self.cut_between(at, other)
            && let Some(fd) = self.sockets.get(&at).and_then(|socket| socket.fd)
            && let Some(limit) = patience(fd).1
        {
            let when = around.now + limit.as_nanos() as u64;
            self.after(when, Event::Probed { at, cut });
        }
    }

    /// Nobody has answered the probes, if it is still cut off.
    pub(super) fn probed(&mut self, around: &mut Around<'_>, at: Number, cut: u64) {
        if self.cuts.cuts.contains_key(&cut) {
            self.fail(around, at, libc::ETIMEDOUT);
        }
    }
}
