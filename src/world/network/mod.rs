//! The network of a simulation: sockets that exist in memory alone, and what is under way between them.
//!
//! A simulated socket has a descriptor of the kernel's, a socket that is never bound nor connected. So its number
//! belongs to it alone, it is closed as usual, and its options are kept by the kernel. What it sends, receives and is
//! ready for is kept in the table here.
//!
//! Whatever happens later is an [`table::Event`], due at a moment. The hub of the simulation has it happen ([`Network::happen`]) and is told who is
//! to look again ([`Network::take_touched`]).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::RawFd;

use libc::c_int;
use socket2::{SockAddr, Type};

use crate::sys::socket::no_address;

mod connecting;
mod cut;
mod datagram;
mod names;
mod stream;
mod table;

pub(super) use table::{Around, Network};
use table::{Event, State, error};

impl Network {
    /// A descriptor of the simulation is about to be closed; one that `resets` ends its connection by a reset.
    pub(super) fn close(&mut self, around: &mut Around<'_>, fd: RawFd, resets: bool) {
        let Some(number) = self.by_fd.remove(&fd) else {
            return;
        };
        around.tell(number, "is closed", 0);
        let Some(socket) = self.sockets.remove(&number) else {
            return;
        };
        match socket.state {
            State::Listening { queue, .. } => {
                for waiting in queue {
                    if let Some(end) = self.sockets.remove(&waiting) {
                        self.part(around, waiting, end, true);
                    }
                }
            }
            State::Stream(_) => self.part(around, number, socket, resets),
            State::Idle | State::Connecting | State::Datagrams(_) => {}
        }
    }

    /// Lets everything happen that is due.
    pub(super) fn happen(&mut self, around: &mut Around<'_>) {
        while self.next().is_some_and(|when| when <= around.now) {
            let Some((_, event)) = self.due.pop_first() else {
                break;
            };
            self.pass(around, event);
        }
    }

    /// What is due happens, unless the network is cut there.
    fn pass(&mut self, around: &mut Around<'_>, event: Event) {
        let way = match &event {
            Event::Segment { from, to, .. }
            | Event::Room { from, to, .. }
            | Event::Reset { from, to } => Some((*from, *to)),
            Event::Answer {
                client,
                answer: Ok(end),
            } => Some((*end, *client)),
            Event::Answer {
                client,
                answer: Err(_),
            } if self.is_cut_off(*client) => return self.knock_anew(around, *client),
            _ => None,
        };
        let event = match way {
            Some((from, to)) => self.through(around, from, to, event),
            None => Some(event),
        };
        if let Some(event) = event {
            self.take_place(around, event);
        }
    }

    /// What was under way has come through.
    fn take_place(&mut self, around: &mut Around<'_>, event: Event) {
        match event {
            Event::Look { at, events } => self.touched.push((at, events)),
            Event::Knock {
                client,
                at,
                attempt,
            } => self.knock(around, client, at, attempt),
            Event::Answer { client, answer } => self.answer(around, client, answer),
            Event::Segment { from, to, segment } => self.arrive(around, from, to, segment),
            Event::Room { to, bytes, .. } => self.make_room(to, bytes),
            Event::Reset { to, .. } => self.fail(around, to, libc::ECONNRESET),
            Event::Break { at, error } => self.fail(around, at, error),
            Event::Datagram {
                from,
                from_address,
                from_machine,
                to,
                bytes,
            } => self.deliver(around, from, (from_machine, from_address), to, bytes),
            Event::Heal { cut } => self.heal(around, cut),
            Event::Retry { from, to } => self.retry(around, from, to),
            Event::Overdue { from, to, since } => self.overdue(around, from, to, since),
            Event::GiveUp { client } => self.give_up(around, client),
            Event::Probed { at, cut } => self.probed(around, at, cut),
        }
    }

    pub(super) fn send(
        &mut self,
        around: &mut Around<'_>,
        fd: RawFd,
        bufs: &[IoSlice<'_>],
        to: Option<&SockAddr>,
    ) -> io::Result<usize> {
        let (number, socket) = self.socket(fd)?;
        let is_stream = socket.ty == Type::STREAM;
        let mut bytes = Vec::with_capacity(bufs.iter().map(|buf| buf.len()).sum());
        bufs.iter().for_each(|buf| bytes.extend_from_slice(buf));
        match is_stream {
            true => self.send_stream(around, number, &bytes),
            false => self.send_datagram(around, fd, bytes, to),
        }
    }

    /// Gives the length, the flags, and who sent it, which streams do not tell.
    pub(super) fn receive(
        &mut self,
        around: &mut Around<'_>,
        fd: RawFd,
        bufs: &mut [IoSliceMut<'_>],
        flags: c_int,
    ) -> io::Result<(usize, c_int, SockAddr)> {
        if flags & libc::MSG_OOB != 0 {
            return Err(error(libc::EINVAL));
        }
        let (number, socket) = self.socket(fd)?;
        if socket.ty == Type::STREAM {
            let peeks = flags & libc::MSG_PEEK != 0;
            let count = self.receive_stream(around, number, bufs, peeks)?;
            return Ok((count, 0, no_address()));
        }
        self.receive_datagram(around, number, bufs, flags)
    }
}
