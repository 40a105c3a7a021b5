//! The PROXY protocol, versions 1 and 2: from which client a proxy in front has passed on a connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use greenhub::greenio::{GreenSocket, OneCall};
use ppp::v2::Command;
use ppp::{v1, v2};

/// The longest header of version 1 has 107 bytes, its line end included.
const LONGEST_LINE: usize = 107;
/// What each header of version 2 begins with, its length last.
const FIXED: usize = 16;
/// Of version 2: addresses of Unix sockets, and some fields behind them.
const LONGEST: usize = 2048;
const PATIENCE: Duration = Duration::from_secs(5);

type Trusted = dyn Fn(IpAddr) -> bool + Send + Sync;

/// Learns from a proxy in front, such as HAProxy or nginx, from which client it has passed on a connection.
///
/// A proxy that is configured for it (`send-proxy`, `send-proxy-v2`, `proxy_protocol on`) begins each connection with a
/// short header. The header is believed only if the connection comes from a [trusted](ProxyProtocol::trusting) address,
/// since anybody could send one.
///
/// ```
/// use std::io::{Read, Write};
///
/// use green::convenience::ProxyProtocol;
///
/// let proxy = ProxyProtocol::trusting(|peer| peer.is_loopback());
/// let listener = green::listen("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// green::thread::spawn(|| {
///     green::serve(
///         listener,
///         move |mut stream, _| -> std::io::Result<()> {
///             // Before anything else is read, also before TLS.
///             match proxy.client(&stream)? {
///                 Some(client) => write!(stream, "you are {client}"),
///                 None => write!(stream, "the proxy asks for itself"),
///             }
///         },
///         100,
///     )
/// });
/// let mut stream = green::connect(address)?;
/// stream.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 443\r\n")?;
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer)?;
/// assert_eq!(answer, "you are 192.0.2.7:50000");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct ProxyProtocol {
    trusted: Arc<Trusted>,
    limit: Duration,
}

impl ProxyProtocol {
    /// Believes a peer if `trusted` returns true for its address; a peer on a Unix socket is always believed.
    pub fn trusting(trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> ProxyProtocol {
        ProxyProtocol {
            trusted: Arc::new(trusted),
            limit: PATIENCE,
        }
    }

    /// How long it may take until the whole header has come; five seconds by default.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> ProxyProtocol {
        self.limit = limit;
        self
    }

    /// Reads the header, and not a byte more, and returns the client's address; `None` if the proxy does not tell it,
    /// or if the connection is the proxy's own, such as a health check.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if the peer is not trusted; `InvalidData` if it does not begin with a header, or with one
    /// longer than the protocol's (version 1) or 2048 bytes (version 2); `UnexpectedEof` if it ends in the middle;
    /// `WouldBlock` if the limit passes. The connection is of no use then.
    pub fn client(&self, stream: &impl AsRef<GreenSocket>) -> io::Result<Option<SocketAddr>> {
        let socket = stream.as_ref();
        let peer = socket.peer_addr()?.as_socket();
        if let Some(peer) = peer
            && !(self.trusted)(peer.ip().to_canonical())
        {
            let text = format!("{peer} is not trusted to say whose connection it is");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        let before = socket.read_timeout();
        socket.set_read_timeout(Some(self.limit))?;
        // The limit covers all receptions.
        let _one = OneCall::begin();
        let client = read(socket);
        socket.set_read_timeout(before)?;
        client
    }
}

fn read(socket: &GreenSocket) -> io::Result<Option<SocketAddr>> {
    let mut head = [0; FIXED];
    // No header of either version is shorter than this: `PROXY UNKNOWN\r\n` has 15 bytes.
    receive(socket, &mut head[..FIXED - 1])?;
    match v2::PROTOCOL_PREFIX.starts_with(&head[..v2::PROTOCOL_PREFIX.len()]) {
        true => binary(socket, head),
        false => line(socket, &head[..FIXED - 1]),
    }
}

fn binary(socket: &GreenSocket, mut head: [u8; FIXED]) -> io::Result<Option<SocketAddr>> {
    receive(socket, &mut head[FIXED - 1..])?;
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if FIXED + length > LONGEST {
        return Err(wrong("it is too long"));
    }
    let mut header = vec![0; FIXED + length];
    header[..FIXED].copy_from_slice(&head);
    receive(socket, &mut header[FIXED..])?;
    let header = v2::Header::try_from(&header[..]).map_err(wrong)?;
    Ok(match (header.command, header.addresses) {
        (Command::Proxy, v2::Addresses::IPv4(both)) => {
            Some((both.source_address, both.source_port).into())
        }
        (Command::Proxy, v2::Addresses::IPv6(both)) => {
            Some((both.source_address, both.source_port).into())
        }
        _ => None,
    })
}

fn line(socket: &GreenSocket, begin: &[u8]) -> io::Result<Option<SocketAddr>> {
    if !begin.starts_with(b"PROXY ") {
        return Err(wrong("there is none"));
    }
    let mut line = begin.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.contains(&b'\n') {
            return Err(wrong("its line does not end so"));
        }
        if line.len() == LONGEST_LINE {
            return Err(wrong("it is too long"));
        }
        // What is behind it must stay: look, and take what belongs to it.
        let mut ahead = [0; LONGEST_LINE];
        let seen = socket.peek(&mut ahead[..LONGEST_LINE - line.len()])?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = ahead[..seen].iter().position(|&byte| byte == b'\n');
        let own = end.map_or(seen, |end| end + 1);
        receive(socket, &mut ahead[..own])?;
        line.extend_from_slice(&ahead[..own]);
    }
    let header = v1::Header::try_from(&line[..]).map_err(wrong)?;
    let client: SocketAddr = match header.addresses {
        v1::Addresses::Tcp4(both) => (both.source_address, both.source_port).into(),
        v1::Addresses::Tcp6(both) => (both.source_address, both.source_port).into(),
        v1::Addresses::Unknown => return Ok(None),
    };
    // The crate takes ports as std's `parse` does, with a sign.
    match line.contains(&b'+') {
        true => Err(wrong("a port has a sign")),
        false => Ok(Some(client)),
    }
}

fn receive(socket: &GreenSocket, mut room: &mut [u8]) -> io::Result<()> {
    while !room.is_empty() {
        match socket.recv(room)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => room = &mut room[count..],
        }
    }
    Ok(())
}

fn wrong(why: impl fmt::Display) -> io::Error {
    let text = format!("no header of the PROXY protocol: {why}");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl fmt::Debug for ProxyProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyProtocol")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
