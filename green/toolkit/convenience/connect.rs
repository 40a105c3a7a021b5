//! Connecting from a chosen local address, and within a limit.

use crate::net::ToSocketAddrs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use greenhub::greenio::{Domain, GreenSocket, Protocol, Type};

use crate::net::TcpStream;
use crate::net::resolve::each_address;

/// How to connect over TCP.
///
/// ```
/// use std::time::Duration;
///
/// use green::convenience::Connect;
///
/// # fn main() -> std::io::Result<()> {
/// let listener = green::listen("127.0.0.1:0")?;
/// let stream = Connect::new()
///     .bind("127.0.0.1:0".parse().unwrap())
///     .timeout(Duration::from_secs(5))
///     .to(listener.local_addr()?)?;
/// # drop(stream);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "connects only when told where to"]
pub struct Connect {
    local: Option<SocketAddr>,
    limit: Option<Duration>,
}

impl Connect {
    /// Connects from any local address, without a limit.
    pub fn new() -> Connect {
        Connect::default()
    }

    /// Connects from this local address; port 0 leaves the port to the kernel. Only addresses of
    /// its family are tried then.
    ///
    /// ```
    /// use green::convenience::Connect;
    ///
    /// let listener = green::listen("127.0.0.1:0")?;
    /// let ours = Connect::new().bind("127.9.8.7:0".parse().unwrap());
    /// let stream = ours.to(listener.local_addr()?)?;
    /// assert_eq!(listener.accept()?.1.ip().to_string(), "127.9.8.7");
    /// # drop(stream);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(mut self, local: SocketAddr) -> Connect {
        self.local = Some(local);
        self
    }

    /// Gives up after this long: for the look-up of the name and all addresses together.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::convenience::Connect;
    ///
    /// let patient = Connect::new().timeout(Duration::from_secs(60));
    /// let listener = green::listen("127.0.0.1:0")?;
    /// assert!(patient.to(listener.local_addr()?).is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Connect {
        self.limit = Some(limit);
        self
    }

    /// Connects to the first address of `addr` that answers.
    ///
    /// ```
    /// use green::convenience::Connect;
    ///
    /// let listener = green::listen("127.0.0.1:0")?;
    /// let stream = Connect::new().to(listener.local_addr()?)?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the last address tried, such as
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused);
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) and
    /// [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable) for the local address;
    /// [`TimedOut`](io::ErrorKind::TimedOut) when the limit has passed;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address to try; that of the
    /// look-up if it fails. With a limit, `Unsupported` in a program built with `panic = "abort"`.
    pub fn to<A: ToSocketAddrs>(&self, addr: A) -> io::Result<TcpStream> {
        match self.limit {
            None => self.first_of(addr),
            Some(limit) => crate::timeout(limit, || self.first_of(addr))?,
        }
    }

    fn first_of<A: ToSocketAddrs>(&self, addr: A) -> io::Result<TcpStream> {
        each_address(addr, |address| {
            let socket = GreenSocket::new(
                Domain::for_address(*address),
                Type::STREAM,
                Some(Protocol::TCP),
            )?;
            if let Some(local) = self.local {
                if local.is_ipv4() != address.is_ipv4() {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        format!("{address} cannot be reached from {local}, of another family"),
                    ));
                }
                socket.set_reuse_address(true)?;
                socket.bind(&local.into())?;
            }
            socket.connect(&(*address).into())?;
            Ok(socket.into())
        })
    }
}
