//! The generator's connections, all served by one epoll loop.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use openssl::ssl::SslStream;
use program::MESSAGE;
use program::epoll::Epoll;

use super::tls::Client;

/// A server that answers nothing for so long has lost a message.
const STALL_MS: i32 = 20_000;

/// Open connections and the poller that watches them.
pub struct Connections {
    epoll: Epoll,
    all: Vec<Connection>,
}

/// What carries the messages.
enum Stream {
    Tcp(TcpStream),
    Tls(SslStream<TcpStream>),
}

/// One connection to the server.
pub struct Connection {
    stream: Stream,
    /// Bytes sent, or to be sent, whose echo has not come back.
    awaited: usize,
    /// Bytes of those that the socket did not take yet.
    unsent: usize,
}

impl Connections {
    /// Connects `count` times. Every connection does one exchange before the
    /// next one is opened, so that the listener's backlog never fills and the
    /// server is known to hold each.
    pub fn open(address: SocketAddr, count: usize, tls: bool) -> io::Result<Connections> {
        let client = tls.then(Client::new).transpose()?;
        let epoll = Epoll::new(1024)?;
        let mut all = Vec::with_capacity(count);
        for token in 0..count {
            let mut stream = match &client {
                None => Stream::Tcp(TcpStream::connect(address)?),
                Some(client) => Stream::Tls(client.connect(address)?),
            };
            stream.tcp().set_nodelay(true)?;
            let mut message = [b'.'; MESSAGE];
            stream.write_all(&message)?;
            stream.read_exact(&mut message)?;
            stream.tcp().set_nonblocking(true)?;
            epoll.add(&stream, token as u64)?;
            all.push(Connection {
                stream,
                awaited: 0,
                unsent: 0,
            });
        }
        Ok(Connections { epoll, all })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The connection at `index`.
    pub fn get(&mut self, index: usize) -> &mut Connection {
        &mut self.all[index]
    }

    /// Waits until some connection has news, and calls `each` for those with
    /// its index and how many answers are whole now. With `wait` false it only
    /// looks.
    pub fn poll(
        &mut self,
        wait: bool,
        mut each: impl FnMut(usize, usize, &mut Connection) -> io::Result<()>,
    ) -> io::Result<()> {
        let ready = self.epoll.wait(if wait { STALL_MS } else { 0 })?;
        if wait && ready == 0 {
            let waiting = self
                .all
                .iter()
                .filter(|connection| connection.awaited > 0)
                .count();
            return Err(io::Error::new(
                ErrorKind::TimedOut,
                format!("the server answers nothing; {waiting} connections wait"),
            ));
        }
        for index in 0..ready {
            let index = self.epoll.event(index).token as usize;
            let connection = &mut self.all[index];
            let answers = connection.receive()?;
            each(index, answers, connection)?;
        }
        Ok(())
    }
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Tls(stream) => stream.get_ref(),
        }
    }

    /// Whether a read of less than was asked for has emptied the socket. Over
    /// TLS it has emptied a record, and another may wait.
    fn ends_short(&self) -> bool {
        matches!(self, Stream::Tcp(_))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(buffer),
            Stream::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp().as_fd()
    }
}

impl Connection {
    /// Sends one message, or as much of it as the socket takes.
    pub fn send(&mut self) -> io::Result<()> {
        self.awaited += MESSAGE;
        self.unsent += MESSAGE;
        self.flush()
    }

    /// Sends what the socket did not take before.
    fn flush(&mut self) -> io::Result<()> {
        const MESSAGES: [u8; 16 * MESSAGE] = [b'.'; 16 * MESSAGE];
        while self.unsent > 0 {
            match self
                .stream
                .write(&MESSAGES[..self.unsent.min(MESSAGES.len())])
            {
                Ok(length) => self.unsent -= length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes what has arrived and says how many answers it completed.
    fn receive(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * MESSAGE];
        let before = self.awaited.div_ceil(MESSAGE);
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    return Err(io::Error::new(
                        ErrorKind::UnexpectedEof,
                        "the server closed",
                    ));
                }
                Ok(length) => {
                    self.awaited = self.awaited.checked_sub(length).ok_or_else(|| {
                        io::Error::new(ErrorKind::InvalidData, "more came back than was sent")
                    })?;
                    // A short read has emptied the socket; what comes later
                    // brings an edge of its own.
                    if length < buffer.len() && self.stream.ends_short() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.flush()?;
        Ok(before - self.awaited.div_ceil(MESSAGE))
    }
}
