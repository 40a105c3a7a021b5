//! The echo server as a bare edge-triggered epoll loop on one thread: the
//! least that the kernel lets an echo server cost.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use program::epoll::{Epoll, Event};
use program::{Arguments, BUFFER};

const LISTENER: u64 = u64::MAX;

pub fn serve(arguments: &Arguments) -> io::Result<()> {
    // A process with two threads pays for it in each system call, even if one
    // sleeps for ever: the kernel counts references to the descriptor's file,
    // and libc sets the thread up for cancellation.
    for _ in 0..arguments.workers {
        thread::Builder::new().spawn(|| {
            loop {
                thread::park()
            }
        })?;
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let mut epoll = Epoll::new(1024)?;
    epoll.add(&listener, LISTENER)?;
    program::announce(listener.local_addr()?)?;
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    let mut buffer = [0; BUFFER];
    loop {
        for index in 0..epoll.wait(-1)? {
            let event = epoll.event(index);
            if event.token == LISTENER {
                accept_all(&listener, &epoll, &mut connections)?;
                continue;
            }
            let slot = &mut connections[event.token as usize];
            if let Some(stream) = slot
                && !echo(stream, event, &mut buffer)
            {
                *slot = None;
            }
        }
    }
}

fn accept_all(
    listener: &TcpListener,
    epoll: &Epoll,
    connections: &mut Vec<Option<TcpStream>>,
) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                epoll.add(&stream, connections.len() as u64)?;
                connections.push(Some(stream));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Echoes what has arrived; false when the connection is over. A short read
/// has emptied the socket's buffer, so only a full one, or a peer that hung
/// up, asks for another.
fn echo(stream: &mut TcpStream, event: Event, buffer: &mut [u8]) -> bool {
    loop {
        match stream.read(buffer) {
            Ok(0) => return false,
            Ok(length) => {
                if stream.write_all(&buffer[..length]).is_err() {
                    return false;
                }
                if length < buffer.len() && !event.hung_up {
                    return true;
                }
            }
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}
