//! Descriptors: `os::fd` and the conversions of every socket type.

#![expect(unsafe_code, reason = "from_raw_fd is what is tested")]

use std::fmt::Debug;
use std::io::{Read, Write};

use super::lib::net::{TcpListener, TcpStream, UdpSocket};
use super::lib::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use super::lib::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use super::lib::thread;
use super::support::{
    ANY_PORT, SHORT, closes_on_exec, directory, is_nonblocking, listener, tcp_pair,
};
use crate::harness::Transcript;

parity! {
    topic: fd,
    items: [
        "os::fd::AsFd",
        "os::fd::AsRawFd",
        "os::fd::BorrowedFd",
        "os::fd::FromRawFd",
        "os::fd::IntoRawFd",
        "os::fd::OwnedFd",
        "os::fd::RawFd",
        "impl AsFd for TcpStream",
        "impl AsRawFd for TcpStream",
        "impl From<OwnedFd> for TcpStream",
        "impl From<TcpStream> for OwnedFd",
        "impl FromRawFd for TcpStream",
        "impl IntoRawFd for TcpStream",
        "impl AsFd for TcpListener",
        "impl AsRawFd for TcpListener",
        "impl From<OwnedFd> for TcpListener",
        "impl From<TcpListener> for OwnedFd",
        "impl FromRawFd for TcpListener",
        "impl IntoRawFd for TcpListener",
        "impl AsFd for UdpSocket",
        "impl AsRawFd for UdpSocket",
        "impl From<OwnedFd> for UdpSocket",
        "impl From<UdpSocket> for OwnedFd",
        "impl FromRawFd for UdpSocket",
        "impl IntoRawFd for UdpSocket",
        "impl AsFd for UnixStream",
        "impl AsRawFd for UnixStream",
        "impl From<OwnedFd> for UnixStream",
        "impl From<UnixStream> for OwnedFd",
        "impl FromRawFd for UnixStream",
        "impl IntoRawFd for UnixStream",
        "impl AsFd for UnixListener",
        "impl AsRawFd for UnixListener",
        "impl From<OwnedFd> for UnixListener",
        "impl From<UnixListener> for OwnedFd",
        "impl FromRawFd for UnixListener",
        "impl IntoRawFd for UnixListener",
        "impl AsFd for UnixDatagram",
        "impl AsRawFd for UnixDatagram",
        "impl From<OwnedFd> for UnixDatagram",
        "impl From<UnixDatagram> for OwnedFd",
        "impl FromRawFd for UnixDatagram",
        "impl IntoRawFd for UnixDatagram",
        "O_NONBLOCK of a borrowed descriptor",
    ],
    differs: [
        "O_NONBLOCK of a borrowed descriptor" =>
            "a green socket's descriptor is always in non-blocking mode; \
             code that calls read(2) on as_raw_fd() sees EAGAIN",
    ],
    bodies: {
        are_the_traits_of_std: [
            "os::fd::AsFd", "os::fd::AsRawFd", "os::fd::BorrowedFd", "os::fd::FromRawFd",
            "os::fd::IntoRawFd", "os::fd::OwnedFd", "os::fd::RawFd",
        ],
        tcp_stream_converts: [
            "impl AsFd for TcpStream", "impl AsRawFd for TcpStream",
            "impl From<OwnedFd> for TcpStream", "impl From<TcpStream> for OwnedFd",
            "impl FromRawFd for TcpStream", "impl IntoRawFd for TcpStream",
        ],
        tcp_listener_converts: [
            "impl AsFd for TcpListener", "impl AsRawFd for TcpListener",
            "impl From<OwnedFd> for TcpListener", "impl From<TcpListener> for OwnedFd",
            "impl FromRawFd for TcpListener", "impl IntoRawFd for TcpListener",
        ],
        udp_socket_converts: [
            "impl AsFd for UdpSocket", "impl AsRawFd for UdpSocket",
            "impl From<OwnedFd> for UdpSocket", "impl From<UdpSocket> for OwnedFd",
            "impl FromRawFd for UdpSocket", "impl IntoRawFd for UdpSocket",
        ],
        unix_stream_converts: [
            "impl AsFd for UnixStream", "impl AsRawFd for UnixStream",
            "impl From<OwnedFd> for UnixStream", "impl From<UnixStream> for OwnedFd",
            "impl FromRawFd for UnixStream", "impl IntoRawFd for UnixStream",
        ],
        unix_listener_converts: [
            "impl AsFd for UnixListener", "impl AsRawFd for UnixListener",
            "impl From<OwnedFd> for UnixListener", "impl From<UnixListener> for OwnedFd",
            "impl FromRawFd for UnixListener", "impl IntoRawFd for UnixListener",
        ],
        unix_datagram_converts: [
            "impl AsFd for UnixDatagram", "impl AsRawFd for UnixDatagram",
            "impl From<OwnedFd> for UnixDatagram", "impl From<UnixDatagram> for OwnedFd",
            "impl FromRawFd for UnixDatagram", "impl IntoRawFd for UnixDatagram",
        ],
        still_works_after_conversion: ["impl FromRawFd for TcpStream"],
        mode_of_a_descriptor_is_kept: [
            "impl IntoRawFd for TcpStream", "impl FromRawFd for TcpStream",
        ],
        timeouts_of_a_descriptor_are_kept: ["impl From<OwnedFd> for TcpStream"],
        options_through_a_borrowed_descriptor: ["impl AsFd for TcpStream"],
        descriptors_of_another_kind: [
            "impl From<OwnedFd> for TcpStream", "impl From<OwnedFd> for TcpListener",
            "impl From<OwnedFd> for UdpSocket", "impl From<OwnedFd> for UnixStream",
        ],
        drop_closes: ["impl From<OwnedFd> for UnixStream"],
        all_close_on_exec: ["impl AsRawFd for TcpStream", "impl AsRawFd for UnixStream"],
    },
}

/// Compiles only if these are std's own.
pub fn are_the_traits_of_std(t: &mut Transcript) {
    fn std_traits<T>(_: &T)
    where
        T: std::os::fd::AsFd + std::os::fd::AsRawFd + std::os::fd::FromRawFd,
        T: std::os::fd::IntoRawFd + From<std::os::fd::OwnedFd> + Into<std::os::fd::OwnedFd>,
    {
    }
    std_traits(&UnixStream::pair().expect("pair").0);
    let number: std::os::fd::RawFd = RawFd::from(3_i32);
    let left = UnixStream::pair().expect("pair").0;
    let lent: BorrowedFd<'_> = left.as_fd();
    let borrowed: std::os::fd::BorrowedFd<'_> = lent;
    t.see("compiles", borrowed.as_raw_fd() > 0 && number == 3);
}

/// Takes a socket through every conversion and back.
fn convert<T>(t: &mut Transcript, socket: T)
where
    T: AsFd + AsRawFd + IntoRawFd + FromRawFd + From<OwnedFd> + Into<OwnedFd> + Debug,
{
    let number = socket.as_raw_fd();
    t.see("one number", socket.as_fd().as_raw_fd() == number);
    t.see("closes on exec", closes_on_exec(&socket));
    let raw = socket.into_raw_fd();
    t.see("the same out", raw == number);
    t.see("given out non-blocking", is_nonblocking(raw));
    // SAFETY: `raw` has just been given out and has no other owner.
    let socket = unsafe { T::from_raw_fd(raw) };
    t.see("the same in", socket.as_raw_fd() == number);
    let owned: OwnedFd = socket.into();
    t.see("the same owned", owned.as_raw_fd() == number);
    t.see("owned non-blocking", is_nonblocking(owned.as_raw_fd()));
    t.see("still closes on exec", closes_on_exec(&owned));
    let socket = T::from(owned);
    t.see("the same again", socket.as_raw_fd() == number);
}

pub fn tcp_stream_converts(t: &mut Transcript) {
    let (mut client, server) = tcp_pair();
    convert(t, server);
    t.result("closed in the end", &client.read(&mut [0; 4]));
}

pub fn tcp_listener_converts(t: &mut Transcript) {
    let (listener, addr) = listener();
    convert(t, listener);
    t.outcome("closed in the end", &TcpStream::connect(addr));
}

pub fn udp_socket_converts(t: &mut Transcript) {
    let socket = UdpSocket::bind(ANY_PORT).expect("bind");
    let addr = socket.local_addr().expect("address");
    convert(t, socket);
    t.outcome("closed in the end", &UdpSocket::bind(addr));
}

pub fn unix_stream_converts(t: &mut Transcript) {
    let (mut left, right) = UnixStream::pair().expect("pair");
    convert(t, right);
    t.result("closed in the end", &left.read(&mut [0; 4]));
}

pub fn unix_listener_converts(t: &mut Transcript) {
    let (_kept, path) = directory();
    convert(t, UnixListener::bind(path("server")).expect("bind"));
    t.outcome("closed in the end", &UnixStream::connect(path("server")));
}

pub fn unix_datagram_converts(t: &mut Transcript) {
    let (left, right) = UnixDatagram::pair().expect("pair");
    convert(t, right);
    t.result("closed in the end", &left.send(b"x"));
}

pub fn still_works_after_conversion(t: &mut Transcript) {
    let (listener, addr) = listener();
    let mut client = TcpStream::from(OwnedFd::from(TcpStream::connect(addr).expect("connect")));
    let listener = TcpListener::from(OwnedFd::from(listener));
    let (server, _) = listener.accept().expect("accept");
    let mut server = TcpStream::from(OwnedFd::from(server));
    let writer = thread::spawn(move || {
        thread::sleep(std::time::Duration::from_millis(10));
        server.write_all(b"late").expect("write");
        // Given out and taken back while its peer waits for it.
        TcpStream::from(OwnedFd::from(server)).write_all(b"later")
    });
    t.result("read waits", &client.read(&mut [0; 4]));
    t.result("and waits", &client.read_exact(&mut [0; 5]));
    t.result("end", &client.read(&mut [0; 4]));
    t.outcome("written", &writer.join().expect("the writer"));
}

pub fn mode_of_a_descriptor_is_kept(t: &mut Transcript) {
    let (mut client, _server) = tcp_pair();
    t.result("wait once", &client.set_read_timeout(Some(SHORT)));
    t.outcome("read", &client.read(&mut [0; 4]));
    let raw = client.into_raw_fd();
    t.see("blocking after a wait", !is_nonblocking(raw));
    // SAFETY: `raw` has just been given out and has no other owner.
    let client = unsafe { TcpStream::from_raw_fd(raw) };
    client.set_nonblocking(true).expect("set");
    let raw = client.into_raw_fd();
    t.see("non-blocking if so set", is_nonblocking(raw));
    // SAFETY: as above.
    let mut client = unsafe { TcpStream::from_raw_fd(raw) };
    t.result("taken in as it is", &client.read(&mut [0; 4]));
    t.result("unset", &client.set_nonblocking(false));
    t.result("waits", &client.set_read_timeout(Some(SHORT)));
    t.result("expires", &client.read(&mut [0; 4]));

    let clone = client.try_clone().expect("clone");
    drop(client);
    let owned = OwnedFd::from(clone);
    t.see("clones too", is_nonblocking(owned.as_raw_fd()));
}

pub fn timeouts_of_a_descriptor_are_kept(t: &mut Transcript) {
    let (client, server) = tcp_pair();
    client.set_read_timeout(Some(SHORT * 20)).expect("set");
    client.set_write_timeout(Some(SHORT * 40)).expect("set");
    let client = TcpStream::from(OwnedFd::from(client));
    t.result("read", &client.read_timeout());
    t.result("write", &client.write_timeout());
    // Set by other code on the descriptor itself.
    let socket = socket2::Socket::from(OwnedFd::from(server));
    socket.set_read_timeout(Some(SHORT * 60)).expect("set");
    let server = TcpStream::from(OwnedFd::from(socket));
    t.result("read", &server.read_timeout());
    t.result("write", &server.write_timeout());
}

pub fn options_through_a_borrowed_descriptor(t: &mut Transcript) {
    let (client, _server) = tcp_pair();
    let socket = socket2::SockRef::from(&client);
    t.result("set", &socket.set_tcp_nodelay(true));
    t.result("seen", &client.nodelay());
    t.result("keepalive", &socket.set_keepalive(true));
    t.result("seen", &socket.keepalive());
    let copy = client.as_fd().try_clone_to_owned().expect("a copy");
    drop(client);
    let mut client = TcpStream::from(copy);
    t.result("the copy is open", &client.write(b"x"));
}

pub fn descriptors_of_another_kind(t: &mut Transcript) {
    let file = || OwnedFd::from(std::fs::File::open("/dev/null").expect("the null device"));
    let mut stream = TcpStream::from(file());
    t.result("read", &stream.read(&mut [0; 4]));
    t.result("write", &stream.write(b"x"));
    t.outcome("peer", &stream.peer_addr());
    t.outcome("accept", &TcpListener::from(file()).accept());
    t.outcome("receive", &UdpSocket::from(file()).recv(&mut [0; 4]));
    t.outcome("unix read", &UnixStream::from(file()).read(&mut [0; 4]));
    let unix = OwnedFd::from(UnixStream::pair().expect("pair").0);
    let tcp = TcpStream::from(unix);
    t.outcome("local", &tcp.local_addr());
    t.outcome("nodelay", &tcp.nodelay());
    let connected = OwnedFd::from(tcp_pair().0);
    t.outcome("not a listener", &TcpListener::from(connected).accept());
    let listening = OwnedFd::from(listener().0);
    t.outcome(
        "not a stream",
        &TcpStream::from(listening).read(&mut [0; 4]),
    );
}

pub fn drop_closes(t: &mut Transcript) {
    let (mut left, right) = UnixStream::pair().expect("pair");
    left.set_read_timeout(Some(SHORT)).expect("set");
    let raw = right.into_raw_fd();
    t.result("given out, open", &left.read(&mut [0; 4]));
    // SAFETY: `raw` has just been given out and has no other owner.
    drop(unsafe { OwnedFd::from_raw_fd(raw) });
    t.result("closed by its new owner", &left.read(&mut [0; 4]));
}

pub fn all_close_on_exec(t: &mut Transcript) {
    let (client, server) = tcp_pair();
    t.see("connected", closes_on_exec(&client));
    t.see("accepted", closes_on_exec(&server));
    t.see(
        "cloned",
        closes_on_exec(&client.try_clone().expect("clone")),
    );
    let (left, right) = UnixStream::pair().expect("pair");
    t.see("pair", (closes_on_exec(&left), closes_on_exec(&right)));
    let (left, right) = UnixDatagram::pair().expect("pair");
    t.see(
        "datagram pair",
        (closes_on_exec(&left), closes_on_exec(&right)),
    );
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    let _client = UnixStream::connect(path("server")).expect("connect");
    let (server, _) = listener.accept().expect("accept");
    t.see("listener", closes_on_exec(&listener));
    t.see("accepted", closes_on_exec(&server));
}
