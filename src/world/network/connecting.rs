//! How streams come about: listeners, the attempts at a connection, and what waits to be accepted.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use libc::c_int;
use socket2::{Domain, SockAddr, Type};

use super::names::{meant, seen_from, source};
use super::table::{Around, Event, Network, Number, State, Stream, error, unbound};
use crate::sys::epoll;

impl Network {
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
                    let (domain, machine) = (socket.domain, socket.machine);
                    let here = SocketAddr::new(source(machine, to.ip())?, 0);
                    let local = self.free_port(around, Type::STREAM, machine, here)?;
                    let (_, socket) = self.socket(fd)?;
                    socket.local = Some(seen_from(domain, local).into());
                }
                self.name_machine(fd, address)?;
                let (_, socket) = self.socket(fd)?;
                socket.state = State::Connecting;
                socket.peer = Some(match address.as_socket() {
                    Some(there) if there.ip().is_unspecified() => {
                        seen_from(socket.domain, to).into()
                    }
                    _ => address.clone(),
                });
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
        let machine = self.sockets.get(&number).and_then(|socket| socket.machine);
        let listener = self.at_path(Type::STREAM, machine, address);
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
        let (domain, machine, local) = match self.sockets.get(&listener) {
            Some(socket) => (socket.domain, socket.machine, socket.local.clone()),
            None => (Domain::UNIX, None, None),
        };
        let end = self.insert(domain, Type::STREAM, machine);
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
        let Some(socket) = self.sockets.get(&client) else {
            return;
        };
        let State::Connecting = socket.state else {
            return;
        };
        let from = socket.local.as_ref().and_then(SockAddr::as_socket);
        let machine = socket.machine;
        let is_cut = match from.map(|from| from.ip().to_canonical()) {
            None => false,
            Some(from) => {
                self.may_cut(around, from, at.ip());
                self.is_cut(from, at.ip())
            }
        };
        if is_cut {
            around.tell(client, "is not heard, at attempt", attempt as usize + 1);
            return self.knock_again(around, client, at, attempt);
        }
        let when = around.latency();
        let listener = self.listener_at(at, machine);
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
                    return self.knock_again(around, client, at, attempt);
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

    /// A client was not told what it was answered.
    pub(super) fn knock_anew(&mut self, around: &mut Around<'_>, client: Number) {
        let peer = self
            .sockets
            .get(&client)
            .and_then(|socket| socket.peer.as_ref());
        if let Some(at) = peer.and_then(SockAddr::as_socket) {
            self.knock_again(around, client, meant(at), 0);
        }
    }

    /// Nobody answers a client, so it tries again after a while, or gives up.
    fn knock_again(
        &mut self,
        around: &mut Around<'_>,
        client: Number,
        at: SocketAddr,
        attempt: u32,
    ) {
        /// Then a connection is given up.
        const ATTEMPTS: u32 = 7;
        let when = around.now + 1_000_000_000 * (1 << attempt);
        let next = match attempt + 1 < ATTEMPTS {
            true => Event::Knock {
                client,
                at,
                attempt: attempt + 1,
            },
            false => Event::GiveUp { client },
        };
        self.after(when, next);
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
}
