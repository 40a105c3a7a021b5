//! Streams: what they carry, and how they end.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::RawFd;
use std::time::Duration;

use libc::c_int;
use socket2::Domain;

use super::table::{
    Around, Event, Network, Number, Segment, Socket, State, Stream, error, unknown,
};
use crate::sys::epoll;
use crate::sys::socket::int_option_by_number;

impl Stream {
    pub(super) fn new(around: &mut Around<'_>, other: Number, accepted: bool) -> Stream {
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
pub(super) fn patience(fd: RawFd) -> (Duration, Option<Duration>) {
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
    pub(super) fn stream(&mut self, number: Number) -> Option<&mut Stream> {
        match &mut self.sockets.get_mut(&number)?.state {
            State::Stream(stream) => Some(stream),
            _ => None,
        }
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
            self.post(around, number, fd, is_unix, Segment::Bytes(piece.to_vec()));
        }
        Ok(count)
    }

    /// Sends a segment on its way.
    fn post(
        &mut self,
        around: &mut Around<'_>,
        from: Number,
        fd: Option<RawFd>,
        is_unix: bool,
        segment: Segment,
    ) {
        let Some(stream) = self.stream(from) else {
            return;
        };
        let to = stream.other;
        if is_unix {
            return self.arrive(around, from, to, segment);
        }
        let faults = around.faults;
        if around.random.happens(faults.silence) {
            self.be_silent(around, [from, to]);
        }
        if let Some((one, other)) = self.machines_of(from, to) {
            self.may_cut(around, one, other);
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
        self.after(arrival, Event::Segment { from, to, segment });
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
        segment: Segment,
    ) {
        let Some(stream) = self.stream(to).filter(|stream| !stream.broken) else {
            if let Segment::Bytes(_) = segment {
                // Nobody is there any more.
                self.fail(around, from, libc::ECONNRESET);
            }
            return;
        };
        match segment {
            Segment::Bytes(bytes) => {
                around.tell(to, "is sent", bytes.len());
                stream.inbox.extend(bytes);
            }
            Segment::End => {
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
            if stream.ended || stream.shut_for_reading || stream.broken {
                return Ok(0);
            }
            // It has options now that it may not have had when its peer was cut off.
            self.probe(around, number);
            return Err(error(libc::EAGAIN));
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
                    from: number,
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
                    self.post(around, number, None, is_unix, Segment::End);
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
            true => Event::Reset {
                from: number,
                to: other,
            },
            false if stream.sent_end => return,
            false => Event::Segment {
                from: number,
                to: other,
                segment: Segment::End,
            },
        };
        match (socket.domain == Domain::UNIX, event) {
            (true, Event::Segment { segment, .. }) => self.arrive(around, number, other, segment),
            (true, _) => self.fail(around, other, libc::ECONNRESET),
            (false, event) => self.after(when, event),
        }
    }
}
