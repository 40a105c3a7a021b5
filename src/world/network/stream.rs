//! Streams: how they come about, what they carry, and how they end.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::RawFd;
use std::time::Duration;

use libc::c_int;
use socket2::{Domain, SockAddr, Type};

use super::names::{meant, seen_from};
use super::table::{
    Around, Event, Network, Number, Piece, Socket, State, Stream, error, unbound, unknown,
};
use crate::sys::epoll;
use crate::sys::socket::int_option_by_number;

impl Stream {
    fn new(around: &mut Around<'_>, other: Number, accepted: bool) -> Stream {
        let buffer = &around.faults.buffer;
        let spread = buffer.end.saturating_sub(buffer.start).max(1) as u64;
        Stream {
            other,
            inbox: VecDeque::new(),
            ended: false,
            sent_end: false,
            shut_for_reading: false,
            broken: false,
            capacity: (buffer.start + around.random.below(spread) as usize).max(1),
            unread: 0,
            last_arrival: around.now,
            silent_until: around.now,
            was_accepted: accepted,
            told: accepted,
        }
    }
}

/// How a connection with the options of this descriptor treats a peer that is silent: how long what was sent may stay
/// unconfirmed, and how long the peer may keep silent if it is probed.
fn patience(fd: RawFd) -> (Duration, Option<Duration>) {
    /// The kernel gives up retransmitting then, by default.
    const RETRANSMISSION: Duration = Duration::from_secs(924);
    let tcp = |name| int_option_by_number(fd, libc::IPPROTO_TCP, name);
    let seconds = |name| tcp(name).map_or(0, |seconds| seconds as u64);
    let limit = match tcp(libc::TCP_USER_TIMEOUT) {
        None | Some(0) => RETRANSMISSION,
        Some(ms) => Duration::from_millis(ms as u64),
    };
    let is_probed = int_option_by_number(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE) == Some(1);
    let probes = seconds(libc::TCP_KEEPINTVL) * seconds(libc::TCP_KEEPCNT);
    let probed = Duration::from_secs(seconds(libc::TCP_KEEPIDLE) + probes);
    (limit, is_probed.then_some(probed))
}

impl Network {
    fn stream(&mut self, number: Number) -> Option<&mut Stream> {
        match &mut self.sockets.get_mut(&number)?.state {
            State::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    pub(crate) fn listen(
        &mut self,
        around: &mut Around<'_>,
        fd: RawFd,
        most: i32,
    ) -> io::Result<()> {
        let (number, socket) = self.socket(fd)?;
        let any = unbound(socket.domain)?;
        let backlog = match usize::try_from(most) {
            // One more than it says may wait.
            Ok(most) => (most + 1).min(4096),
            Err(_) => 4096,
        };
        let backlog = backlog.min(around.faults.backlog).max(1);
        match (&mut socket.state, &socket.local) {
            (State::Listening { backlog: old, .. }, _) => *old = backlog,
            (State::Idle, None) if socket.domain != Domain::UNIX => {
                self.bind(around, fd, &any, false)?;
                return self.listen(around, fd, most);
            }
            (State::Idle, Some(_)) => {
                let queue = VecDeque::new();
                socket.state = State::Listening { backlog, queue };
            }
            _ => return Err(error(libc::EINVAL)),
        }
        around.tell(number, "listens", backlog);
        Ok(())
    }

    pub(crate) fn connect(
        &mut self,
        around: &mut Around<'_>,
        fd: RawFd,
        address: &SockAddr,
    ) -> io::Result<()> {
        let (number, socket) = self.socket(fd)?;
        if let Some(raw) = socket.error.take() {
            return Err(error(raw));
        }
        if address.domain() != socket.domain {
            return Err(error(libc::EAFNOSUPPORT));
        }
        match &mut socket.state {
            State::Idle => {}
            State::Connecting => return Err(error(libc::EALREADY)),
            State::Stream(stream) if !stream.told => {
                stream.told = true;
                return Ok(());
            }
            State::Stream(_) => return Err(error(libc::EISCONN)),
            State::Listening { .. } => return Err(error(libc::EINVAL)),
            State::Datagrams(_) => return self.connect_datagrams(around, fd, address),
        }
        match address.as_socket() {
            Some(to) => {
                let to = meant(to);
                if socket.local.is_none() {
                    let domain = socket.domain;
                    let here = SocketAddr::new(to.ip(), 0);
                    let local = self.free_port(around, Type::STREAM, here)?;
                    let (_, socket) = self.socket(fd)?;
                    socket.local = Some(seen_from(domain, local).into());
                }
                let (_, socket) = self.socket(fd)?;
                socket.state = State::Connecting;
                socket.peer = Some(address.clone());
                let when = around.latency();
                let knock = Event::Knock {
                    client: number,
                    at: to,
                    attempt: 0,
                };
                self.after(when, knock);
                around.tell(number, "begins to connect", 0);
                Err(error(libc::EINPROGRESS))
            }
            None => self.connect_at_once(around, number, address),
        }
    }

    /// Connects to a Unix listener.
    fn connect_at_once(
        &mut self,
        around: &mut Around<'_>,
        number: Number,
        address: &SockAddr,
    ) -> io::Result<()> {
        let listener = self.at_path(Type::STREAM, address);
        let listener = listener.ok_or_else(|| error(libc::ENOENT))?;
        match self.sockets.get(&listener).map(|socket| &socket.state) {
            Some(State::Listening { backlog, queue }) if queue.len() < *backlog => {}
            Some(State::Listening { .. }) => return Err(error(libc::EAGAIN)),
            _ => return Err(error(libc::ECONNREFUSED)),
        }
        let local = self
            .sockets
            .get(&number)
            .and_then(|socket| socket.local.clone());
        let theirs = self.queue(around, listener, number, local);
        let mut stream = Stream::new(around, theirs, false);
        stream.told = true;
        if let Some(socket) = self.sockets.get_mut(&number) {
            socket.state = State::Stream(stream);
            socket.peer = Some(address.clone());
        }
        around.tell(number, "is connected", 0);
        self.touch(number);
        Ok(())
    }

    /// Makes the listener's end of a connection, which waits to be accepted.
    fn queue(
        &mut self,
        around: &mut Around<'_>,
        listener: Number,
        client: Number,
        peer: Option<SockAddr>,
    ) -> Number {
        let (domain, local) = match self.sockets.get(&listener) {
            Some(socket) => (socket.domain, socket.local.clone()),
            None => (Domain::UNIX, None),
        };
        let end = self.insert(domain, Type::STREAM);
        let stream = Stream::new(around, client, true);
        if let Some(socket) = self.sockets.get_mut(&end) {
            socket.local = local;
            socket.peer = peer.or_else(|| SockAddr::unix("").ok());
            socket.state = State::Stream(stream);
        }
        if let Some(State::Listening { queue, .. }) = self
            .sockets
            .get_mut(&listener)
            .map(|socket| &mut socket.state)
        {
            queue.push_back(end);
        }
        self.touch(listener);
        end
    }

    pub(super) fn knock(
        &mut self,
        around: &mut Around<'_>,
        client: Number,
        at: SocketAddr,
        attempt: u32,
    ) {
        /// Then a connection is given up.
        const ATTEMPTS: u32 = 7;
        let Some(socket) = self.sockets.get(&client) else {
            return;
        };
        let State::Connecting = socket.state else {
            return;
        };
        let from = socket.local.as_ref().and_then(SockAddr::as_socket);
        let mut when = around.latency();
        let listener = self.listener_at(at);
        let refused = around.random.happens(around.faults.refused);
        let answer = match listener.filter(|_| !refused) {
            None => Err(libc::ECONNREFUSED),
            Some(listener) => {
                let socket = &self.sockets[&listener];
                let State::Listening { backlog, queue } = &socket.state else {
                    return;
                };
                if queue.len() >= *backlog {
                    around.tell(client, "finds no room in the queue", attempt as usize);
                    when = around.now + 1_000_000_000 * (1 << attempt);
                    if attempt + 1 < ATTEMPTS {
                        let again = Event::Knock {
                            client,
                            at,
                            attempt: attempt + 1,
                        };
                        return self.after(when, again);
                    }
                    Err(libc::ETIMEDOUT)
                } else {
                    let peer = from.map(|from| seen_from(socket.domain, meant(from)).into());
                    let here = seen_from(socket.domain, at).into();
                    let end = self.queue(around, listener, client, peer);
                    if let Some(socket) = self.sockets.get_mut(&end) {
                        socket.local = Some(here);
                    }
                    if let Some(stream) = self.stream(end) {
                        // What it sends arrives after the answer.
                        stream.last_arrival = when;
                    }
                    Ok(end)
                }
            }
        };
        self.after(when, Event::Answer { client, answer });
    }

    pub(super) fn answer(
        &mut self,
        around: &mut Around<'_>,
        client: Number,
        answer: Result<Number, c_int>,
    ) {
        let connecting = matches!(
            self.sockets.get(&client).map(|socket| &socket.state),
            Some(State::Connecting)
        );
        match answer {
            Ok(end) if connecting => {
                let stream = Stream::new(around, end, false);
                if let Some(socket) = self.sockets.get_mut(&client) {
                    socket.state = State::Stream(stream);
                }
                around.tell(client, "is connected", 0);
                self.touch(client);
            }
            // The client has gone meanwhile.
            Ok(end) => self.fail(around, end, libc::ECONNRESET),
            Err(raw) if connecting => self.fail(around, client, raw),
            Err(_) => {}
        }
    }

    /// Takes the next one that waits to be accepted: its number, its domain, and its peer's address.
    pub(crate) fn accept(
        &mut self,
        around: &mut Around<'_>,
        fd: RawFd,
    ) -> io::Result<(Number, Domain, SockAddr)> {
        let number = self.number(fd)?;
        self.fault(around, number, epoll::IN)?;
        let (_, socket) = self.socket(fd)?;
        let State::Listening { queue, .. } = &mut socket.state else {
            return Err(error(libc::EINVAL));
        };
        let end = *queue.front().ok_or_else(|| error(libc::EAGAIN))?;
        if around.lacks_descriptors() {
            return Err(error(libc::EMFILE));
        }
        queue.pop_front();
        let domain = socket.domain;
        let peer = self
            .sockets
            .get(&end)
            .and_then(|socket| socket.peer.clone());
        around.tell(number, "accepts", end as usize);
        Ok((end, domain, peer.ok_or_else(|| error(libc::ECONNABORTED))?))
    }

    /// What was accepted has this descriptor.
    pub(crate) fn accepted(&mut self, number: Number, fd: RawFd) {
        self.own(fd, number);
    }

    /// What was accepted has got no descriptor.
    pub(crate) fn unaccepted(&mut self, fd: RawFd, number: Number) {
        if let Ok((_, socket)) = self.socket(fd)
            && let State::Listening { queue, .. } = &mut socket.state
        {
            queue.push_front(number);
        }
    }

    /// Connects two new sockets of the table to each other.
    pub(crate) fn pair(
        &mut self,
        around: &mut Around<'_>,
        one: RawFd,
        other: RawFd,
    ) -> io::Result<()> {
        let (one, other) = (self.number(one)?, self.number(other)?);
        for (end, to) in [(one, other), (other, one)] {
            let mut stream = Stream::new(around, to, true);
            stream.was_accepted = false;
            if let Some(socket) = self.sockets.get_mut(&end) {
                socket.peer = Some(SockAddr::unix("")?);
                match &mut socket.state {
                    State::Datagrams(datagrams) => datagrams.other = Some(to),
                    state => *state = State::Stream(stream),
                }
            }
        }
        Ok(())
    }

    pub(super) fn send_stream(
        &mut self,
        around: &mut Around<'_>,
        number: Number,
        bytes: &[u8],
    ) -> io::Result<usize> {
        self.fault(around, number, epoll::OUT)?;
        let socket = self.sockets.get_mut(&number).ok_or_else(unknown)?;
        if let Some(raw) = socket.error.take() {
            return Err(error(raw));
        }
        let (fd, is_unix) = (socket.fd, socket.domain == Domain::UNIX);
        let State::Stream(stream) = &mut socket.state else {
            let raw = if is_unix { libc::ENOTCONN } else { libc::EPIPE };
            return Err(error(raw));
        };
        if stream.broken || stream.sent_end {
            return Err(error(libc::EPIPE));
        }
        let room = stream.capacity.saturating_sub(stream.unread);
        if room == 0 && !bytes.is_empty() {
            return Err(error(libc::EAGAIN));
        }
        let mut count = bytes.len().min(room);
        let cut = count > 1 && around.random.happens(around.faults.short);
        if cut {
            count = 1 + around.random.below(count as u64) as usize;
        }
        stream.unread += count;
        around.tell(number, "sends", count);
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            let length = match cut {
                true => 1 + around.random.below(rest.len() as u64) as usize,
                false => rest.len(),
            };
            let (piece, more) = rest.split_at(length);
            rest = more;
            self.post(around, number, fd, is_unix, Piece::Bytes(piece.to_vec()));
        }
        Ok(count)
    }

    /// Sends a piece on its way.
    fn post(
        &mut self,
        around: &mut Around<'_>,
        from: Number,
        fd: Option<RawFd>,
        is_unix: bool,
        piece: Piece,
    ) {
        let Some(stream) = self.stream(from) else {
            return;
        };
        let to = stream.other;
        if is_unix {
            return self.arrive(around, from, to, piece);
        }
        let faults = around.faults;
        if around.random.happens(faults.silence) {
            self.be_silent(around, [from, to]);
        }
        let when = around.latency();
        let Some(stream) = self.stream(from) else {
            return;
        };
        stream.last_arrival = when.max(stream.last_arrival).max(stream.silent_until);
        let arrival = stream.last_arrival;
        if let Some(fd) = fd.filter(|_| arrival - around.now > 1_000_000_000) {
            let limit = around.now + patience(fd).0.as_nanos() as u64;
            if arrival > limit {
                let error = libc::ETIMEDOUT;
                self.after(limit, Event::Break { at: from, error });
            }
        }
        self.after(arrival, Event::Piece { from, to, piece });
        if around.random.happens(faults.reset) {
            for at in [from, to] {
                let error = libc::ECONNRESET;
                self.after(arrival, Event::Break { at, error });
            }
        }
    }

    /// From now on nothing gets through between two ends, for a while.
    fn be_silent(&mut self, around: &mut Around<'_>, ends: [Number; 2]) {
        let faults = around.faults;
        let until = around.soon(&faults.silence_for);
        around.tell(
            ends[0],
            "falls silent, in ms",
            ((until - around.now) / 1_000_000) as usize,
        );
        for at in ends {
            let fd = self.sockets.get(&at).and_then(|socket| socket.fd);
            if let Some(stream) = self.stream(at) {
                stream.silent_until = stream.silent_until.max(until);
            }
            if let Some(limit) = fd.and_then(|fd| patience(fd).1) {
                let limit = around.now + limit.as_nanos() as u64;
                if limit < until {
                    let error = libc::ETIMEDOUT;
                    self.after(limit, Event::Break { at, error });
                }
            }
        }
    }

    pub(super) fn arrive(
        &mut self,
        around: &mut Around<'_>,
        from: Number,
        to: Number,
        piece: Piece,
    ) {
        let Some(stream) = self.stream(to).filter(|stream| !stream.broken) else {
            if let Piece::Bytes(_) = piece {
                // Nobody is there any more.
                self.fail(around, from, libc::ECONNRESET);
            }
            return;
        };
        match piece {
            Piece::Bytes(bytes) => {
                around.tell(to, "is sent", bytes.len());
                stream.inbox.extend(bytes);
            }
            Piece::End => {
                stream.ended = true;
                around.tell(to, "is sent the end", 0);
            }
        }
        self.touch(to);
    }

    pub(super) fn make_room(&mut self, to: Number, bytes: usize) {
        if let Some(stream) = self.stream(to) {
            let was_full = stream.unread >= stream.capacity;
            stream.unread = stream.unread.saturating_sub(bytes);
            if was_full {
                self.touch(to);
            }
        }
    }

    /// A connection, or the attempt at one, is over.
    pub(super) fn fail(&mut self, around: &mut Around<'_>, at: Number, error: c_int) {
        let Some(socket) = self.sockets.get_mut(&at) else {
            return;
        };
        match &mut socket.state {
            State::Stream(stream) if !stream.broken => stream.broken = true,
            State::Connecting => socket.state = State::Idle,
            _ => return,
        }
        socket.error = Some(error);
        around.tell(at, "fails with error", error as usize);
        self.touch(at);
    }

    pub(super) fn receive_stream(
        &mut self,
        around: &mut Around<'_>,
        number: Number,
        bufs: &mut [io::IoSliceMut<'_>],
        peeks: bool,
    ) -> io::Result<usize> {
        self.fault(around, number, epoll::IN)?;
        let socket = self.sockets.get_mut(&number).ok_or_else(unknown)?;
        let is_unix = socket.domain == Domain::UNIX;
        let State::Stream(stream) = &mut socket.state else {
            let raw = socket.error.take().unwrap_or(match is_unix {
                true => libc::EINVAL,
                false => libc::ENOTCONN,
            });
            return Err(error(raw));
        };
        let room = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        if room == 0 {
            return Ok(0);
        }
        if stream.inbox.is_empty() {
            if let Some(raw) = socket.error.take() {
                return Err(error(raw));
            }
            let at_end = stream.ended || stream.shut_for_reading || stream.broken;
            return if at_end {
                Ok(0)
            } else {
                Err(error(libc::EAGAIN))
            };
        }
        let (mut count, (mut front, mut back)) = (0, stream.inbox.as_slices());
        for buf in bufs {
            // The whole of a buffer is filled, from both parts if need be.
            let length = front.read(buf)?;
            count += length + back.read(&mut buf[length..])?;
        }
        if peeks {
            return Ok(count);
        }
        stream.inbox.drain(..count);
        let other = stream.other;
        around.tell(number, "receives", count);
        match is_unix {
            true => self.make_room(other, count),
            false => {
                let when = around.latency();
                let room = Event::Room {
                    to: other,
                    bytes: count,
                };
                self.after(when, room);
            }
        }
        Ok(count)
    }

    pub(crate) fn shutdown(
        &mut self,
        around: &mut Around<'_>,
        fd: RawFd,
        how: Shutdown,
    ) -> io::Result<()> {
        let (number, socket) = self.socket(fd)?;
        let is_unix = socket.domain == Domain::UNIX;
        match &mut socket.state {
            State::Idle => return Err(error(libc::ENOTCONN)),
            State::Connecting => {
                socket.state = State::Idle;
                self.touch(number);
                return Ok(());
            }
            State::Listening { .. } => {
                if how == Shutdown::Write {
                    return Ok(());
                }
                if let State::Listening { queue, .. } =
                    std::mem::replace(&mut socket.state, State::Idle)
                {
                    for waiting in queue {
                        if let Some(end) = self.sockets.remove(&waiting) {
                            self.part(around, waiting, end, true);
                        }
                    }
                }
                self.touch(number);
                return Ok(());
            }
            State::Datagrams(datagrams) => {
                datagrams.shut_for_reading |= how != Shutdown::Write;
                datagrams.shut_for_writing |= how != Shutdown::Read;
                let connected = socket.peer.is_some();
                self.touch(number);
                return connected.then_some(()).ok_or_else(|| error(libc::ENOTCONN));
            }
            State::Stream(stream) => {
                if stream.broken {
                    return Err(error(libc::ENOTCONN));
                }
                stream.shut_for_reading |= how != Shutdown::Write;
                if how != Shutdown::Read && !stream.sent_end {
                    stream.sent_end = true;
                    around.tell(number, "sends its end", 0);
                    self.post(around, number, None, is_unix, Piece::End);
                }
            }
        }
        self.touch(number);
        Ok(())
    }

    /// An end of a connection is gone, and out of the table: the other one hears of it.
    pub(super) fn part(
        &mut self,
        around: &mut Around<'_>,
        number: Number,
        socket: Socket,
        resets: bool,
    ) {
        let State::Stream(stream) = socket.state else {
            return;
        };
        if stream.broken {
            return;
        }
        let other = stream.other;
        let resets = resets || !stream.inbox.is_empty();
        let when = around
            .latency()
            .max(stream.last_arrival)
            .max(stream.silent_until);
        let event = match resets {
            true => Event::Break {
                at: other,
                error: libc::ECONNRESET,
            },
            false if stream.sent_end => return,
            false => Event::Piece {
                from: number,
                to: other,
                piece: Piece::End,
            },
        };
        match (socket.domain == Domain::UNIX, event) {
            (true, Event::Piece { piece, .. }) => self.arrive(around, number, other, piece),
            (true, Event::Break { at, error }) => self.fail(around, at, error),
            (_, event) => self.after(when, event),
        }
    }
}
