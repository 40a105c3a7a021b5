//! The generator's connections, all served by one epoll loop.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use openssl::ssl::SslStream;
use program::epoll::Epoll;

use super::closed::Conversation;
use super::exchange::Exchange;
use super::tls::Client;

/// A server that answers nothing for so long has lost a message.
pub const STALL_MS: i32 = 20_000;

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
    exchange: Rc<Exchange>,
    /// Bytes of the answers that have not come.
    awaited: usize,
    /// Bytes of the requests that the socket did not take yet.
    unsent: usize,
}

impl Connections {
    /// Connects `count` times. Every connection does one exchange before the
    /// next one is opened, so that the listener's backlog never fills and the
    /// server is known to hold each.
    ///
    /// `first` does the first exchange of all, and says what every later one
    /// is like.
    pub fn open(
        address: SocketAddr,
        count: usize,
        tls: bool,
        first: impl Fn(&mut dyn ReadWrite) -> io::Result<Exchange>,
    ) -> io::Result<Connections> {
        let client = tls.then(Client::new).transpose()?;
        let epoll = Epoll::new(1024)?;
        let mut all: Vec<Connection> = Vec::with_capacity(count);
        for token in 0..count {
            let mut stream = match &client {
                None => Stream::Tcp(connect(address)?),
                Some(client) => Stream::Tls(client.connect(address)?),
            };
            stream.tcp().set_nodelay(true)?;
            let exchange = match all.first() {
                None => Rc::new(first(&mut stream)?),
                Some(connection) => {
                    connection.exchange.once(&mut stream)?;
                    connection.exchange.clone()
                }
            };
            stream.tcp().set_nonblocking(true)?;
            epoll.add(&stream, token as u64)?;
            all.push(Connection {
                stream,
                exchange,
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

/// Connects; a server that is about to listen is given a moment.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let last = Instant::now() + Duration::from_secs(2);
    loop {
        match TcpStream::connect(address) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < last => {
                thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome,
        }
    }
}

impl Conversation for Connections {
    fn begin(&mut self) -> io::Result<u64> {
        self.all.iter_mut().try_for_each(Connection::send)?;
        Ok(self.all.len() as u64)
    }

    fn go_on(&mut self, more: bool) -> io::Result<(u64, u64)> {
        let (mut answered, mut sent) = (0, 0);
        self.poll(true, |_, answers, connection| {
            answered += answers as u64;
            if more && answers > 0 {
                connection.send()?;
                sent += 1;
            }
            Ok(())
        })?;
        Ok((answered, sent))
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

/// A stream of either kind, before it is set non-blocking.
pub trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

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
    /// Sends one request, or as much of it as the socket takes.
    pub fn send(&mut self) -> io::Result<()> {
        self.awaited += self.exchange.answer();
        self.unsent += self.exchange.request();
        self.flush()
    }

    /// Sends what the socket did not take before.
    fn flush(&mut self) -> io::Result<()> {
        while self.unsent > 0 {
            match self.stream.write(self.exchange.tail(self.unsent)) {
                Ok(length) => self.unsent -= length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes what has arrived and says how many answers it completed.
    fn receive(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 1024];
        let answer = self.exchange.answer();
        let before = self.awaited.div_ceil(answer);
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
        Ok(before - self.awaited.div_ceil(answer))
    }
}
