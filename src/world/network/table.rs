//! The table of sockets, and what every part of the network does with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;
use std::time::Duration;

use libc::c_int;
use socket2::{Domain, SockAddr, Type};

use crate::sys::epoll;
use crate::world::faults::Faults;
use crate::world::random::Random;
use crate::world::trace::{Subject, Trace, TraceEvent};

/// A socket's number in the simulation, never used twice.
pub(crate) type Number = u32;

/// What the network needs of the world around it, for one call.
pub(crate) struct Around<'a> {
    /// Nanoseconds.
    pub(crate) now: u64,
    /// The same, since the beginning.
    pub(crate) elapsed: u64,
    pub(crate) random: &'a mut Random,
    pub(crate) trace: &'a mut Trace,
    pub(crate) faults: &'a Faults,
}

impl Around<'_> {
    pub(crate) fn tell_of_network(&mut self, what: &'static str, amount: usize) {
        let event = TraceEvent::new(self.elapsed, Subject::Network, what);
        self.trace.add(event.with(amount as u64));
    }

    pub(crate) fn tell(&mut self, socket: Number, what: &'static str, amount: usize) {
        let event = TraceEvent::new(self.elapsed, Subject::Socket(socket), what);
        self.trace.add(event.with(amount as u64));
    }

    /// Whether there is no descriptor for another socket.
    pub(crate) fn lacks_descriptors(&mut self) -> bool {
        let lacks = self.random.happens(self.faults.no_descriptor);
        if lacks {
            self.tell(0, "finds no descriptor", 0);
        }
        lacks
    }

    /// Some moment in the range from now.
    pub(crate) fn soon(&mut self, range: &std::ops::Range<Duration>) -> u64 {
        self.now + self.random.within(range)
    }

    pub(crate) fn latency(&mut self) -> u64 {
        let faults = self.faults;
        self.soon(&faults.latency)
    }

    pub(crate) fn a_moment(&mut self) -> u64 {
        self.soon(&(Duration::ZERO..Duration::from_millis(1)))
    }
}

#[derive(Debug)]
pub(crate) struct Socket {
    /// Not of one whose connection waits to be accepted.
    pub(crate) fd: Option<RawFd>,
    /// As the hub's registry knows it, once it was asked to tell of it.
    pub(crate) token: Option<u64>,
    pub(crate) domain: Domain,
    pub(crate) ty: Type,
    /// Whose it is; none's name if it is that of the machine that has every address.
    pub(crate) machine: Option<IpAddr>,
    pub(crate) local: Option<SockAddr>,
    pub(crate) peer: Option<SockAddr>,
    /// Taken by whoever is told of it.
    pub(crate) error: Option<c_int>,
    pub(crate) state: State,
}

#[derive(Debug)]
pub(crate) enum State {
    /// A stream that is neither connected nor listening.
    Idle,
    Listening {
        backlog: usize,
        queue: VecDeque<Number>,
    },
    Connecting,
    Stream(Stream),
    Datagrams(Datagrams),
}

/// What travels.
#[derive(Debug)]
pub(crate) enum Segment {
    Bytes(Vec<u8>),
    End,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) other: Number,
    pub(crate) inbox: VecDeque<u8>,
    /// The peer has sent its end.
    pub(crate) ended: bool,
    pub(crate) sent_end: bool,
    pub(crate) shut_for_reading: bool,
    pub(crate) broken: bool,
    /// How many bytes may be under way or unread at the other end, and how many are.
    pub(crate) capacity: usize,
    pub(crate) unread: usize,
    /// When the last segment arrives that was sent: segments do not overtake.
    pub(crate) last_arrival: u64,
    /// Nothing arrives before.
    pub(crate) silent_until: u64,
    pub(crate) was_accepted: bool,
    /// Whether `connect` has told that it is connected.
    pub(crate) told: bool,
}

impl Stream {
    pub(crate) fn readiness(&self) -> u32 {
        let when = |condition: bool, events| if condition { events } else { 0 };
        let at_end = self.ended || self.shut_for_reading || self.broken;
        when(!self.inbox.is_empty() || at_end, epoll::IN)
            | when(at_end, epoll::RDHUP)
            | when(
                self.unread < self.capacity || self.sent_end || self.broken,
                epoll::OUT,
            )
            | when(self.broken || self.ended && self.sent_end, epoll::HUP)
    }
}

/// What a socket for datagrams has received.
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    pub(crate) inbox: VecDeque<(SockAddr, Vec<u8>)>,
    /// Of a pair: the other one.
    pub(crate) other: Option<Number>,
    pub(crate) shut_for_reading: bool,
    pub(crate) shut_for_writing: bool,
}

impl Datagrams {
    pub(crate) fn readiness(&self) -> u32 {
        match self.inbox.is_empty() && !self.shut_for_reading {
            true => epoll::OUT,
            false => epoll::IN | epoll::OUT,
        }
    }
}

/// Something that is due at a moment.
#[derive(Debug)]
pub(crate) enum Event {
    /// Readiness that was withheld, or that is false.
    Look { at: Number, events: u32 },
    /// A client asks whoever listens there for a connection, for the nth time.
    Knock {
        client: Number,
        at: SocketAddr,
        attempt: u32,
    },
    /// What a client is told: an error, or that it is connected to the given end.
    Answer {
        client: Number,
        answer: Result<Number, c_int>,
    },
    /// A segment of a stream.
    Segment {
        from: Number,
        to: Number,
        segment: Segment,
    },
    /// The reader has made room.
    Room {
        from: Number,
        to: Number,
        bytes: usize,
    },
    /// An end has gone and wants to hear no more.
    Reset { from: Number, to: Number },
    /// A connection is broken.
    Break { at: Number, error: c_int },
    Datagram {
        from: Number,
        from_address: SocketAddr,
        from_machine: Option<IpAddr>,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    /// The network is whole again there.
    Heal { cut: u64 },
    /// What was held up between two ends is tried again.
    Retry { from: Number, to: Number },
    /// What has been held up since then is given up.
    Overdue {
        from: Number,
        to: Number,
        since: u64,
    },
    /// A client has waited long enough for the answer.
    GiveUp { client: Number },
    /// The probes of an end were not answered, if the cut is still there.
    Probed { at: Number, cut: u64 },
}

/// What keeps machines apart, and what waits there.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    pub(super) last: u64,
    /// Each between the machines of two groups.
    pub(super) cuts: BTreeMap<u64, [Vec<IpAddr>; 2]>,
    /// By who sent it and who is to get it.
    pub(super) held: BTreeMap<(Number, Number), Held>,
}

/// What is held up on its way from one end of a stream to the other.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) since: u64,
    /// Since when there is something that must be confirmed.
    pub(super) unconfirmed_since: Option<u64>,
    pub(super) events: VecDeque<Event>,
}

#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) sockets: BTreeMap<Number, Socket>,
    pub(crate) by_fd: BTreeMap<RawFd, Number>,
    pub(crate) last_number: Number,
    /// What is due, by moment and then in order of mention.
    pub(crate) due: BTreeMap<(u64, u64), Event>,
    pub(crate) mentioned: u64,
    /// Sockets that may have become ready.
    pub(crate) touched: Vec<(Number, u32)>,
    /// Those that have one address alone, which the machine that has every other one lacks.
    pub(crate) machines: BTreeSet<IpAddr>,
    pub(crate) cuts: Cuts,
}

/// The address of a socket that has none.
pub(crate) fn unbound(domain: Domain) -> io::Result<SockAddr> {
    match domain {
        Domain::IPV4 => Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()),
        Domain::IPV6 => Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into()),
        _ => SockAddr::unix(""),
    }
}

pub(crate) fn error(raw: c_int) -> io::Error {
    io::Error::from_raw_os_error(raw)
}

/// For whoever uses a descriptor here that is no simulated socket.
pub(crate) fn unknown() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this descriptor is none of the simulation's: see green::sim",
    )
}

impl Network {
    /// Takes a new descriptor into the table.
    pub(crate) fn add(
        &mut self,
        around: &mut Around<'_>,
        fd: RawFd,
        domain: Domain,
        ty: Type,
        machine: Option<IpAddr>,
    ) {
        let number = self.insert(domain, ty, machine);
        self.own(fd, number);
        around.tell(number, "is opened", 0);
    }

    pub(crate) fn insert(&mut self, domain: Domain, ty: Type, machine: Option<IpAddr>) -> Number {
        self.last_number += 1;
        let state = match ty == Type::STREAM {
            true => State::Idle,
            false => State::Datagrams(Datagrams::default()),
        };
        let socket = Socket {
            fd: None,
            token: None,
            domain,
            ty,
            machine,
            local: None,
            peer: None,
            error: None,
            state,
        };
        self.sockets.insert(self.last_number, socket);
        self.last_number
    }

    pub(crate) fn own(&mut self, fd: RawFd, number: Number) {
        if let Some(socket) = self.sockets.get_mut(&number) {
            socket.fd = Some(fd);
        }
        self.by_fd.insert(fd, number);
    }

    pub(crate) fn number(&self, fd: RawFd) -> io::Result<Number> {
        self.by_fd.get(&fd).copied().ok_or_else(unknown)
    }

    pub(crate) fn socket(&mut self, fd: RawFd) -> io::Result<(Number, &mut Socket)> {
        let number = self.number(fd)?;
        let socket = self.sockets.get_mut(&number).ok_or_else(unknown)?;
        Ok((number, socket))
    }

    pub(crate) fn after(&mut self, when: u64, event: Event) {
        self.mentioned += 1;
        self.due.insert((when, self.mentioned), event);
    }

    pub(crate) fn touch(&mut self, number: Number) {
        self.touched.push((number, 0));
    }

    /// Whether a call fails without a real cause: interrupted, or with EAGAIN and readiness a moment later. May also
    /// let false readiness follow.
    pub(crate) fn fault(
        &mut self,
        around: &mut Around<'_>,
        number: Number,
        events: u32,
    ) -> io::Result<()> {
        let faults = around.faults;
        if around.random.happens(faults.spurious) {
            let events = [epoll::IN, epoll::OUT][around.random.below(2) as usize];
            let when = around.a_moment();
            self.after(when, Event::Look { at: number, events });
        }
        if around.random.happens(faults.interrupted) {
            around.tell(number, "is interrupted", 0);
            return Err(error(libc::EINTR));
        }
        if around.random.happens(faults.would_block) {
            around.tell(number, "has nothing yet", 0);
            let when = around.a_moment();
            self.after(when, Event::Look { at: number, events });
            return Err(error(libc::EAGAIN));
        }
        Ok(())
    }

    /// The hub tells of the socket's readiness by `token` from now on.
    pub(crate) fn register(&mut self, fd: RawFd, token: u64) -> io::Result<()> {
        let (number, socket) = self.socket(fd)?;
        socket.token = Some(token);
        self.touch(number);
        Ok(())
    }

    pub(crate) fn deregister(&mut self, fd: RawFd, token: u64) {
        if let Ok((_, socket)) = self.socket(fd) {
            socket.token.take_if(|known| *known == token);
        }
    }

    /// By which token the hub tells of the socket.
    pub(crate) fn token(&mut self, fd: RawFd) -> io::Result<Option<u64>> {
        Ok(self.socket(fd)?.1.token)
    }

    /// What the socket is ready for, as epoll(7) has it.
    pub(crate) fn readiness(&mut self, fd: RawFd) -> io::Result<u32> {
        let (_, socket) = self.socket(fd)?;
        Ok(socket.readiness())
    }

    /// Tokens and events for the hub to hand out.
    pub(crate) fn take_touched(&mut self, to: &mut Vec<(u64, u32)>) {
        for (number, untrue) in std::mem::take(&mut self.touched) {
            if let Some(socket) = self.sockets.get(&number)
                && let Some(token) = socket.token
            {
                let events = socket.readiness() | untrue;
                if events != 0 {
                    to.push((token, events));
                }
            }
        }
    }

    /// When something is due.
    pub(crate) fn next(&self) -> Option<u64> {
        self.due.first_key_value().map(|((when, _), _)| *when)
    }

    pub(crate) fn local_addr(&mut self, fd: RawFd) -> io::Result<SockAddr> {
        let (_, socket) = self.socket(fd)?;
        let unbound = unbound(socket.domain);
        socket.local.clone().map_or(unbound, Ok)
    }

    pub(crate) fn peer_addr(&mut self, fd: RawFd) -> io::Result<SockAddr> {
        let (_, socket) = self.socket(fd)?;
        let peer = socket.peer.clone();
        peer.ok_or_else(|| error(libc::ENOTCONN))
    }

    pub(crate) fn take_error(&mut self, fd: RawFd) -> io::Result<Option<io::Error>> {
        Ok(self.socket(fd)?.1.error.take().map(error))
    }

    pub(crate) fn is_listener(&mut self, fd: RawFd) -> io::Result<bool> {
        let (_, socket) = self.socket(fd)?;
        Ok(matches!(socket.state, State::Listening { .. }))
    }
}

impl Socket {
    pub(crate) fn readiness(&self) -> u32 {
        let error = match self.error {
            Some(_) => epoll::ERR | epoll::IN | epoll::OUT,
            None => 0,
        };
        error
            | match &self.state {
                State::Idle => epoll::OUT | epoll::HUP,
                State::Connecting => 0,
                State::Listening { queue, .. } if queue.is_empty() => 0,
                State::Listening { .. } => epoll::IN,
                State::Stream(stream) => stream.readiness(),
                State::Datagrams(datagrams) => datagrams.readiness(),
            }
    }
}
