//! What the socket tests share: running a body on an OS thread and in a green
//! thread, and the awkward peers they need.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use greenhub::greenio::{Domain, GreenSocket, SockAddr, Type};

/// No test of this kind takes seconds; a hang is found by this limit.
const LIMIT: Duration = Duration::from_secs(120);

/// What the threads of a body run on.
#[derive(Clone, Copy, Debug)]
pub enum On {
    OsThreads,
    GreenThreads,
}

/// A thread of either kind.
pub enum Task<T> {
    Os(std::thread::JoinHandle<T>),
    Green(greenhub::green_thread::JoinHandle<T>),
}

impl On {
    pub fn spawn<T, F>(self, f: F) -> Task<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self {
            On::OsThreads => Task::Os(std::thread::spawn(f)),
            On::GreenThreads => Task::Green(greenhub::green_thread::spawn(f)),
        }
    }
}

impl<T> Task<T> {
    pub fn join(self) -> T {
        match self {
            Task::Os(task) => task.join().unwrap(),
            Task::Green(task) => task.join().unwrap(),
        }
    }

    pub fn is_finished(&self) -> bool {
        match self {
            Task::Os(task) => task.is_finished(),
            Task::Green(task) => task.is_finished(),
        }
    }
}

/// Runs `body` with all its threads OS threads, then with all of them green.
pub fn both_ways(body: fn(On)) {
    within_limit("on OS threads", move || body(On::OsThreads));
    within_limit("in green threads", move || {
        greenhub::run(move || body(On::GreenThreads))
    });
}

/// Fails instead of hanging.
fn within_limit(how: &str, body: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel::<()>();
    let runner = std::thread::spawn(move || {
        let _done = done;
        body();
    });
    if finished.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("still running after {LIMIT:?} {how}");
    }
    if let Err(panic) = runner.join() {
        eprintln!("failed {how}");
        std::panic::resume_unwind(panic);
    }
}

/// Lets other threads run until `condition` holds.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "waited in vain for: {what}");
        greenhub::green_thread::sleep(Duration::from_millis(1));
    }
}

/// Time for another thread to get into its wait. Nothing may depend on it being
/// enough; it makes the interesting order the usual one.
pub fn settle() {
    greenhub::green_thread::sleep(Duration::from_millis(20));
}

pub fn loopback() -> SockAddr {
    SocketAddr::from(([127, 0, 0, 1], 0)).into()
}

pub fn tcp() -> GreenSocket {
    GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap()
}

pub fn tcp_listener() -> (GreenSocket, SockAddr) {
    let listener = tcp();
    listener.bind(&loopback()).unwrap();
    listener.listen(128).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub fn tcp_pair() -> (GreenSocket, GreenSocket) {
    let (listener, address) = tcp_listener();
    let client = tcp();
    client.connect(&address).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

/// Two ends with the smallest buffers the kernel gives.
pub fn tiny_tcp_pair() -> (GreenSocket, GreenSocket) {
    let listener = tcp();
    listener.set_recv_buffer_size(1).unwrap();
    listener.set_send_buffer_size(1).unwrap();
    listener.bind(&loopback()).unwrap();
    listener.listen(1).unwrap();
    let client = tcp();
    client.set_recv_buffer_size(1).unwrap();
    client.set_send_buffer_size(1).unwrap();
    client.connect(&listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

/// An address on which connections are neither accepted nor refused: a listener
/// whose queue is full. It lasts as long as the sockets returned with it.
pub fn silent_address() -> (SockAddr, Vec<GreenSocket>) {
    let listener = tcp();
    listener.bind(&loopback()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = vec![listener];
    for _ in 0..4 {
        let filler = tcp();
        filler.set_nonblocking(true);
        let _in_progress = filler.connect(&address);
        held.push(filler);
    }
    (address, held)
}

/// An address that refuses connections for as long as the socket lives, which is
/// bound to it and does not listen.
pub fn refusing_address() -> (SockAddr, GreenSocket) {
    let socket = tcp();
    socket.bind(&loopback()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// Closes with a reset instead of an end.
pub fn reset(socket: GreenSocket) {
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(socket);
}

/// Fills the way to the peer, and returns how much that took.
pub fn fill(socket: &GreenSocket) -> usize {
    let chunk = [b'f'; 16 * 1024];
    let mut filled = 0;
    socket.set_nonblocking(true);
    // A delayed acknowledgement, 40 ms later, makes room once more.
    let mut idle_rounds = 0;
    while idle_rounds < 15 {
        idle_rounds += 1;
        // Where a piece finds no room, a byte may.
        for piece in [&chunk[..], &chunk[..1]] {
            while let Ok(sent) = socket.send(piece) {
                filled += sent;
                idle_rounds = 0;
            }
        }
        greenhub::green_thread::sleep(Duration::from_millis(10));
    }
    socket.set_nonblocking(false);
    filled
}

/// Checks for what std reports when a read or write timeout passes.
#[track_caller]
pub fn assert_timed_out<T: std::fmt::Debug>(outcome: io::Result<T>) {
    let error = outcome.expect_err("a call that must time out");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error:?}");
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN), "{error:?}");
}

#[track_caller]
pub fn assert_kind<T: std::fmt::Debug>(outcome: io::Result<T>, kind: io::ErrorKind) {
    let error = outcome.expect_err("a call that must fail");
    assert_eq!(error.kind(), kind, "{error:?}");
}

#[track_caller]
pub fn assert_raw<T: std::fmt::Debug>(outcome: io::Result<T>, raw: i32) {
    let error = outcome.expect_err("a call that must fail");
    assert_eq!(error.raw_os_error(), Some(raw), "{error:?}");
}

/// Checks for the error after a close of our own: neither an end nor a reset.
#[track_caller]
pub fn assert_closed_here<T: std::fmt::Debug>(outcome: io::Result<T>) {
    let error = outcome.expect_err("a call on a closed socket");
    assert_eq!(error.kind(), io::ErrorKind::NotConnected, "{error:?}");
    assert_eq!(error.raw_os_error(), None, "the kernel's own: {error:?}");
}

/// Runs `f` and checks that it took about `expected`: not less, and not so much
/// more that something else must have ended it.
#[track_caller]
pub fn takes<T>(expected: Duration, f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = f();
    let elapsed = start.elapsed();
    assert!(elapsed >= expected, "too early: {elapsed:?}");
    assert!(
        elapsed < expected + Duration::from_secs(20),
        "too late: {elapsed:?}"
    );
    value
}

pub fn ip(address: &SockAddr) -> SocketAddr {
    address.as_socket().unwrap()
}
