//! The event loop's calls on a socket, over a [`GreenSocket`].

use std::io::{self, Read, Seek, SeekFrom};

use greenhub::greenio::{GreenSocket, SockAddr};

use crate::fs::File;

/// What the fallback of [`sock_sendfile`] reads at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// What one sendfile(2) moves at most; it refuses larger counts that would pass the largest offset.
const KERNEL_BYTES_MAX: u64 = 0x7fff_f000;

/// Receives up to `max_bytes`; an empty result is the end of the stream.
///
/// For all of these calls the socket must be in blocking mode, which is the default; only the calling green thread
/// waits. In non-blocking mode the call would not wait. The socket's time limits apply.
///
/// # Errors
///
/// As [`GreenSocket::recv`].
///
/// # Examples
///
/// ```
/// use std::net::Shutdown;
///
/// use green::asyncio::{sock_recv, sock_sendall};
/// use green::greenio::{Domain, GreenSocket, Type};
///
/// let (ours, theirs) = GreenSocket::pair(Domain::UNIX, Type::STREAM, None)?;
/// sock_sendall(&theirs, b"hello")?;
/// assert_eq!(sock_recv(&ours, 100)?, b"hello");
/// theirs.shutdown(Shutdown::Write)?;
/// assert_eq!(sock_recv(&ours, 100)?, b"");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn sock_recv(sock: &GreenSocket, max_bytes: usize) -> io::Result<Vec<u8>> {
    let mut data = vec![0; max_bytes];
    let len = sock.recv(&mut data)?;
    data.truncate(len);
    Ok(data)
}

/// Receives into `buf` and returns the number of bytes; 0 is the end of the stream.
///
/// # Errors
///
/// As [`GreenSocket::recv`].
///
/// # Examples
///
/// ```
/// use green::asyncio::{sock_recv_into, sock_sendall};
/// use green::greenio::{Domain, GreenSocket, Type};
///
/// let (ours, theirs) = GreenSocket::pair(Domain::UNIX, Type::STREAM, None)?;
/// sock_sendall(&theirs, b"hello")?;
/// let mut buffer = [0; 100];
/// assert_eq!(sock_recv_into(&ours, &mut buffer)?, 5);
/// assert_eq!(&buffer[..5], b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn sock_recv_into(sock: &GreenSocket, buf: &mut [u8]) -> io::Result<usize> {
    sock.recv(buf)
}

/// Receives a datagram, of which it keeps the first `max_bytes`, and tells who sent it.
///
/// # Errors
///
/// As [`GreenSocket::recv_from`].
///
/// # Examples
///
/// ```
/// use std::net::SocketAddr;
///
/// use green::asyncio::{sock_recvfrom, sock_sendto};
/// use green::greenio::{Domain, GreenSocket, Type};
///
/// let ours = GreenSocket::new(Domain::IPV4, Type::DGRAM, None)?;
/// ours.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
/// sock_sendto(&ours, b"to myself", ours.local_addr()?)?;
/// assert_eq!(sock_recvfrom(&ours, 2)?, (b"to".to_vec(), ours.local_addr()?));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn sock_recvfrom(sock: &GreenSocket, max_bytes: usize) -> io::Result<(Vec<u8>, SockAddr)> {
    let mut data = vec![0; max_bytes];
    let (len, sender) = sock.recv_from(&mut data)?;
    data.truncate(len);
    Ok((data, sender))
}

/// Receives a datagram into `buf` and tells how long it is and who sent it.
///
/// # Errors
///
/// As [`GreenSocket::recv_from`].
///
/// # Examples
///
/// ```
/// use std::net::SocketAddr;
///
/// use green::asyncio::{sock_recvfrom_into, sock_sendto};
/// use green::greenio::{Domain, GreenSocket, Type};
///
/// let ours = GreenSocket::new(Domain::IPV4, Type::DGRAM, None)?;
/// ours.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
/// sock_sendto(&ours, b"to myself", ours.local_addr()?)?;
/// let mut buffer = [0; 100];
/// let (len, sender) = sock_recvfrom_into(&ours, &mut buffer)?;
/// assert_eq!(&buffer[..len], b"to myself");
/// assert_eq!(sender, ours.local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn sock_recvfrom_into(sock: &GreenSocket, buf: &mut [u8]) -> io::Result<(usize, SockAddr)> {
    sock.recv_from(buf)
}

/// Sends all of `data`.
///
/// # Errors
///
/// As [`GreenSocket::send_all`], which also tells how much was sent.
///
/// # Examples
///
/// ```
/// use green::asyncio::{sock_recv, sock_sendall};
/// use green::greenio::{Domain, GreenSocket, Type};
///
/// let (ours, theirs) = GreenSocket::pair(Domain::UNIX, Type::STREAM, None)?;
/// // More than the kernel keeps for a reader who is slow.
/// let sender = green::thread::spawn(move || sock_sendall(&theirs, &vec![7; 3_000_000]));
/// let mut count = 0;
/// while count < 3_000_000 {
///     count += sock_recv(&ours, 65_536)?.len();
/// }
/// sender.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn sock_sendall(sock: &GreenSocket, data: &[u8]) -> io::Result<()> {
    Ok(sock.send_all(data)?)
}

/// Sends a datagram to `address` and returns how many bytes were sent.
///
/// # Errors
///
/// As [`GreenSocket::send_to`].
///
/// # Examples
///
/// ```
/// use std::net::SocketAddr;
///
/// use green::asyncio::{sock_recvfrom, sock_sendto};
/// use green::greenio::{Domain, GreenSocket, Type};
///
/// let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
/// let ours = GreenSocket::new(Domain::IPV4, Type::DGRAM, None)?;
/// ours.bind(&loopback.into())?;
/// let theirs = GreenSocket::new(Domain::IPV4, Type::DGRAM, None)?;
/// theirs.bind(&loopback.into())?;
///
/// sock_sendto(&theirs, b"a datagram", ours.local_addr()?)?;
/// let (data, sender) = sock_recvfrom(&ours, 1500)?;
/// assert_eq!(data, b"a datagram");
/// assert_eq!(sender, theirs.local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn sock_sendto(
    sock: &GreenSocket,
    data: &[u8],
    address: impl Into<SockAddr>,
) -> io::Result<usize> {
    sock.send_to(data, &address.into())
}

/// Connects to `address`.
///
/// # Errors
///
/// As [`GreenSocket::connect`].
///
/// # Differences from asyncio
///
/// Names are not looked up: [`green::net::TcpStream::connect`](crate::net::TcpStream::connect) does that.
///
/// # Examples
///
/// ```
/// use std::net::SocketAddr;
///
/// use green::asyncio::{sock_accept, sock_connect};
/// use green::greenio::{Domain, GreenSocket, Type};
///
/// let listener = GreenSocket::new(Domain::IPV4, Type::STREAM, None)?;
/// listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
/// listener.listen(100)?;
///
/// let client = GreenSocket::new(Domain::IPV4, Type::STREAM, None)?;
/// sock_connect(&client, listener.local_addr()?)?;
/// let (_server, address) = sock_accept(&listener)?;
/// assert_eq!(address, client.local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn sock_connect(sock: &GreenSocket, address: impl Into<SockAddr>) -> io::Result<()> {
    sock.connect(&address.into())
}

/// Waits for a connection and returns its socket and the peer's address.
///
/// # Errors
///
/// As [`GreenSocket::accept`].
///
/// # Examples
///
/// ```
/// use std::net::SocketAddr;
///
/// use green::asyncio::{sock_accept, sock_recv};
/// use green::greenio::{Domain, GreenSocket, Type};
///
/// let listener = GreenSocket::new(Domain::IPV4, Type::STREAM, None)?;
/// listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
/// listener.listen(100)?;
/// let address = listener.local_addr()?.as_socket().unwrap();
/// let client = green::net::TcpStream::connect(address)?;
/// let (served, from) = sock_accept(&listener)?;
/// assert_eq!(from.as_socket(), client.local_addr().ok());
/// drop(client);
/// assert_eq!(sock_recv(&served, 100)?, b"");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn sock_accept(sock: &GreenSocket) -> io::Result<(GreenSocket, SockAddr)> {
    sock.accept()
}

/// Sends `count` bytes of `file` from `offset` on, or all from there to its end, and returns how many that were: fewer
/// than `count` if the file ends before.
///
/// The kernel copies them (sendfile(2)). Where it cannot for this pair of file and socket, they are read on the
/// [blocking pool](crate::blocking()) and sent, unless `fallback` is false. When the call returns, even with an error,
/// the file's position is after the last byte sent. The socket's time limit for writing applies to each wait for the
/// socket.
///
/// While data that the page cache does not hold is read from the disk, the hub stands still, as asyncio's loop does.
///
/// # Errors
///
/// Those of [sending](GreenSocket#sending) and of reading the file; `Unsupported` if `fallback` is false and the kernel
/// cannot.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// use green::asyncio::{sock_recv, sock_sendfile};
/// use green::fs::File;
/// use green::greenio::{Domain, GreenSocket, Type};
///
/// let mut file = tempfile::tempfile()?;
/// file.write_all(b"what is in the file")?;
/// let (ours, theirs) = GreenSocket::pair(Domain::UNIX, Type::STREAM, None)?;
/// assert_eq!(sock_sendfile(&ours, &File::from(file), 5, Some(5), true)?, 5);
/// assert_eq!(sock_recv(&theirs, 100)?, b"is in");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn sock_sendfile(
    sock: &GreenSocket,
    mut file: &File,
    offset: u64,
    count: Option<u64>,
    fallback: bool,
) -> io::Result<u64> {
    let end = count.map_or(u64::MAX, |count| offset.saturating_add(count));
    let mut place = offset;
    let mut outcome = by_the_kernel(sock, file, &mut place, end);
    if outcome.as_ref().is_err_and(cannot) {
        outcome = match fallback {
            true => by_hand(sock, file, &mut place, end),
            false => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the kernel cannot send this file to this socket",
            )),
        };
    }
    let moved = file.seek(SeekFrom::Start(place));
    outcome?;
    moved?;
    Ok(place - offset)
}

fn by_the_kernel(sock: &GreenSocket, file: &File, place: &mut u64, end: u64) -> io::Result<()> {
    while *place < end {
        let most = (end - *place).min(KERNEL_BYTES_MAX);
        match sock.send_file(file, place, most as usize) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What sendfile(2) says of a file that cannot be mapped, or a kernel that has no such call.
fn cannot(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINVAL | libc::ENOSYS | libc::EOVERFLOW | libc::ESPIPE | libc::EOPNOTSUPP)
    )
}

fn by_hand(sock: &GreenSocket, mut file: &File, place: &mut u64, end: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(*place))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    while *place < end {
        let most = (end - *place).min(CHUNK_BYTES as u64);
        let len = file.read(&mut chunk[..most as usize])?;
        if len == 0 {
            break;
        }
        let sent = sock.send_all(&chunk[..len]);
        *place += sent
            .as_ref()
            .map_or_else(|failure| failure.sent(), |()| len) as u64;
        sent?;
    }
    Ok(())
}
