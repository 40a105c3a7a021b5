//! What the bodies share: connected pairs, ports that answer in a given way,
//! raw descriptor flags.

#![expect(
    unsafe_code,
    reason = "fcntl and getsockopt, to see a descriptor's state"
)]

use std::fmt::Debug;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::lib::net::{SocketAddr, TcpListener, TcpStream};
use super::lib::thread;

/// Short enough to wait for in every run.
pub const SHORT: Duration = Duration::from_millis(50);

/// A guard for reads that must succeed: nothing in a passing run waits so long.
pub const LONG: Duration = Duration::from_secs(20);

/// Any port of 127.0.0.1.
pub const ANY_PORT: &str = "127.0.0.1:0";

/// A listener on a free port.
pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(ANY_PORT).expect("a listener on loopback");
    let addr = listener.local_addr().expect("its address");
    (listener, addr)
}

/// Two ends of a TCP connection: the one that connected, the accepted one.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = listener();
    let client = TcpStream::connect(addr).expect("a connection over loopback");
    let (server, _) = listener.accept().expect("its other end");
    (client, server)
}

/// A pair whose first end has been reset by the second one.
pub fn reset_pair() -> TcpStream {
    let (client, server) = tcp_pair();
    // Closing with unread data in the buffer makes the kernel send a reset.
    (&client).write_all_of(b"unread");
    let mut byte = [0];
    server.peek(&mut byte).expect("the data has arrived");
    drop(server);
    client
}

trait WriteAll {
    fn write_all_of(self, bytes: &[u8]);
}

impl WriteAll for &TcpStream {
    fn write_all_of(mut self, bytes: &[u8]) {
        io::Write::write_all(&mut self, bytes).expect("room in the buffer");
    }
}

/// A port that refuses connections, for as long as the socket is kept: it is
/// bound, but nobody listens.
pub fn refusing_port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: std::net::SocketAddr = ANY_PORT.parse().expect("an address");
    socket.bind(&any.into()).expect("a free port");
    let addr = socket.local_addr().expect("its address");
    (socket, addr.as_socket().expect("an IP address"))
}

/// A port that never answers, for as long as the sockets are kept: its queue of
/// connections is full, so the kernel drops what else arrives.
pub fn silent_port() -> (Vec<Socket>, SocketAddr) {
    let (listener, addr) = refusing_port();
    listener.listen(0).expect("to listen");
    let target = SockAddr::from(addr);
    let mut kept = vec![listener];
    for _ in 0..4 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        filler.set_nonblocking(true).expect("non-blocking mode");
        let _ = filler.connect(&target);
        kept.push(filler);
    }
    (kept, addr)
}

/// A directory that goes away with the value.
pub fn directory() -> (tempfile::TempDir, impl Fn(&str) -> PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().to_owned();
    (directory, move |name: &str| path.join(name))
}

/// Waits until `holds`, giving way to other threads; panics after a while.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "waited too long until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The text of `value` with each of `hidden` replaced by its name: addresses
/// and descriptor numbers differ from run to run.
pub fn masked(value: &dyn Debug, hidden: &[(&dyn Debug, &str)]) -> String {
    let mut text = format!("{value:?}");
    for (part, name) in hidden {
        text = text.replace(&format!("{part:?}"), name);
    }
    // std's Unix sockets show the types around the number, which no one can
    // name.
    text.replace("FileDesc(OwnedFd { fd: FD })", "FD")
}

/// The text of `value` with every run of digits replaced by `#`.
pub fn without_numbers(value: &dyn Debug) -> String {
    let mut text = String::new();
    for letter in format!("{value:?}").chars() {
        if !letter.is_ascii_digit() {
            text.push(letter);
        } else if !text.ends_with('#') {
            text.push('#');
        }
    }
    text
}

/// Whether the descriptor is closed by exec.
pub fn closes_on_exec(fd: &impl AsRawFd) -> bool {
    // SAFETY: F_GETFD takes no argument and touches no memory.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
    assert!(flags >= 0, "F_GETFD: {}", io::Error::last_os_error());
    flags & libc::FD_CLOEXEC != 0
}

/// Whether the open file is in the kernel's non-blocking mode.
pub fn is_nonblocking(fd: RawFd) -> bool {
    // SAFETY: F_GETFL takes no argument and touches no memory.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    assert!(flags >= 0, "F_GETFL: {}", io::Error::last_os_error());
    flags & libc::O_NONBLOCK != 0
}

/// How many connections a listener lets wait to be accepted.
pub fn backlog(listener: &TcpListener) -> u32 {
    // SAFETY: tcp_info consists of integers, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the option writes at most `length` bytes of a tcp_info, and
    // `info` is one.
    let code = unsafe {
        libc::getsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &mut length,
        )
    };
    assert_eq!(code, 0, "TCP_INFO: {}", io::Error::last_os_error());
    // For a listener the kernel reports its backlog in this field.
    info.tcpi_sacked
}

/// Runs `f`, which panics as planned.
pub fn panics<T>(f: impl FnOnce() -> T) -> thread::Result<T> {
    catch_unwind(AssertUnwindSafe(f))
}
