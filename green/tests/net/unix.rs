//! `green::os::unix::net`, as a user of std meets it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use green::os::linux::net::SocketAddrExt;
use green::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use greenhub::greenio::{Domain, GreenSocket, SockAddr, Type};
use test_support::net::*;

const SHORT: Duration = Duration::from_millis(100);

/// A directory of its own, removed in the end.
struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Directory {
        Directory(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn abstract_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("green-unix-{}-{number}", std::process::id());
    SocketAddr::from_abstract_name(name).unwrap()
}

#[test]
fn streams_by_path_and_by_abstract_name() {
    both_ways(|on| {
        let directory = Directory::new();
        let path = directory.path("socket");
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
        let client = UnixStream::connect(&path).unwrap();
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path));
        assert!(client.local_addr().unwrap().is_unnamed());
        talk(on, client, &listener);
        assert_raw(UnixListener::bind(&path), libc::EADDRINUSE);

        let address = abstract_address();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let local = listener.local_addr().unwrap();
        assert_eq!(local.as_abstract_name(), address.as_abstract_name());
        let client = UnixStream::connect_addr(&address).unwrap();
        talk(on, client, &listener);
    });
}

fn talk(on: On, mut client: UnixStream, listener: &UnixListener) {
    let (server, peer) = listener.accept().unwrap();
    assert!(peer.is_unnamed());
    let echo = on.spawn(move || io::copy(&mut &server, &mut &server).unwrap());
    client.write_all(b"there and back").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(io::read_to_string(client).unwrap(), "there and back");
    assert_eq!(echo.join(), 14);
}

#[test]
fn errors_are_those_of_std() {
    both_ways(|_| {
        let directory = Directory::new();
        let missing = directory.path("missing");
        assert_raw(UnixStream::connect(&missing), libc::ENOENT);
        drop(UnixListener::bind(&missing).unwrap());
        assert_raw(UnixStream::connect(&missing), libc::ECONNREFUSED);

        let too_long = "x".repeat(200);
        for path in [Path::new(&too_long), Path::new("with\0null"), Path::new("")] {
            let std = std::os::unix::net::UnixStream::connect(path).unwrap_err();
            let ours = UnixStream::connect(path).unwrap_err();
            assert_eq!(ours.kind(), std.kind(), "{path:?}");
            assert_eq!(ours.raw_os_error(), std.raw_os_error(), "{path:?}");
            assert_eq!(ours.to_string(), std.to_string(), "{path:?}");
        }
        let unbound = UnixDatagram::unbound().unwrap();
        assert_raw(unbound.send(b"x"), libc::ENOTCONN);
        assert_raw(unbound.peer_addr(), libc::ENOTCONN);
        assert_raw(unbound.send_to(b"x", &missing), libc::ECONNREFUSED);
        let zero = Some(Duration::ZERO);
        assert_kind(unbound.set_read_timeout(zero), ErrorKind::InvalidInput);
    });
}

#[test]
fn limits_and_nonblocking_mode_hold_on_unix_sockets() {
    both_ways(|_| {
        let (mut one, _other) = UnixStream::pair().unwrap();
        one.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(one.read_timeout().unwrap(), Some(SHORT));
        assert_timed_out(takes(SHORT, || one.read(&mut [0; 8])));
        one.set_nonblocking(true).unwrap();
        assert_timed_out(one.read(&mut [0; 8]));

        let (datagram, _other) = UnixDatagram::pair().unwrap();
        datagram.set_read_timeout(Some(SHORT)).unwrap();
        assert_timed_out(takes(SHORT, || datagram.recv(&mut [0; 8])));
        assert_timed_out(takes(SHORT, || datagram.recv_from(&mut [0; 8])));

        let listener = UnixListener::bind_addr(&abstract_address()).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_timed_out(listener.accept());
    });
}

#[test]
fn shutdown_wakes_both_directions() {
    both_ways(|on| {
        let (one, _other) = UnixStream::pair().unwrap();
        fill(one.as_green_socket());
        let (reader, writer) = (one.try_clone().unwrap(), one.try_clone().unwrap());
        let reader = on.spawn(move || (&reader).read(&mut [0; 8]));
        let writer = on.spawn(move || (&writer).write_all(&[0; 1 << 20]));
        settle();
        one.shutdown(Shutdown::Both).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
        assert_raw(writer.join(), libc::EPIPE);
    });
}

#[test]
fn a_peer_that_left_data_unread_resets_for_ever() {
    both_ways(|_| {
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(b"never read").unwrap();
        drop(other);
        for _ in 0..3 {
            assert_raw(one.read(&mut [0; 8]), libc::ECONNRESET);
        }
    });
}

#[test]
fn a_full_listener_is_waited_for() {
    both_ways(|on| {
        let address = abstract_address();
        let name = [b"\0", address.as_abstract_name().unwrap()].concat();
        let raw = SockAddr::unix(String::from_utf8(name).unwrap()).unwrap();
        let listener = GreenSocket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&raw).unwrap();
        listener.listen(0).unwrap();
        let _first = UnixStream::connect_addr(&address).unwrap();

        let hasty = GreenSocket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        hasty.set_nonblocking(true);
        assert_raw(hasty.connect(&raw), libc::EAGAIN);
        let limited = takes(SHORT, || hasty.connect_timeout(&raw, SHORT));
        assert_kind(limited, ErrorKind::TimedOut);

        let waiting = on.spawn(move || UnixStream::connect_addr(&address));
        settle();
        assert!(!waiting.is_finished());
        listener.accept().unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn close_ends_a_connect_to_a_full_listener() {
    both_ways(|on| {
        let address = abstract_address();
        let name = [b"\0", address.as_abstract_name().unwrap()].concat();
        let raw = SockAddr::unix(String::from_utf8(name).unwrap()).unwrap();
        let listener = GreenSocket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&raw).unwrap();
        listener.listen(0).unwrap();
        let _first = UnixStream::connect_addr(&address).unwrap();
        let socket = Arc::new(GreenSocket::new(Domain::UNIX, Type::STREAM, None).unwrap());
        let connecting = {
            let socket = Arc::clone(&socket);
            on.spawn(move || socket.connect(&raw))
        };
        settle();
        socket.close();
        assert_closed_here(connecting.join());
    });
}

#[test]
fn datagrams_by_path_and_by_abstract_name() {
    both_ways(|_| {
        let directory = Directory::new();
        let (here, there) = (directory.path("here"), directory.path("there"));
        let one = UnixDatagram::bind(&here).unwrap();
        let other = UnixDatagram::bind(&there).unwrap();
        let mut buf = [0; 16];
        assert_eq!(one.send_to(b"named", &there).unwrap(), 5);
        let (len, sender) = other.recv_from(&mut buf).unwrap();
        assert_eq!(
            (&buf[..len], sender.as_pathname()),
            (&b"named"[..], Some(&*here))
        );

        one.connect(&there).unwrap();
        one.send(b"connected").unwrap();
        assert_eq!(other.recv(&mut buf).unwrap(), 9);

        let unnamed = UnixDatagram::unbound().unwrap();
        unnamed.send_to(b"who", &there).unwrap();
        let (len, sender) = other.recv_from(&mut buf).unwrap();
        assert!(len == 3 && sender.is_unnamed(), "{sender:?}");

        let address = abstract_address();
        let target = UnixDatagram::bind_addr(&address).unwrap();
        unnamed.send_to_addr(b"abstract", &address).unwrap();
        assert_eq!(target.recv(&mut buf).unwrap(), 8);
        unnamed.connect_addr(&address).unwrap();
        unnamed.send(b"again").unwrap();
        assert_eq!(target.recv(&mut buf).unwrap(), 5);
    });
}

/// The queue is full of another's messages: no event will tell when it is not.
#[test]
fn a_full_receiver_is_waited_for() {
    both_ways(|on| {
        for connected in [false, true] {
            let address = abstract_address();
            let receiver = UnixDatagram::bind_addr(&address).unwrap();
            let other = UnixDatagram::unbound().unwrap();
            other.set_nonblocking(true).unwrap();
            let mut queued = 0;
            while other.send_to_addr(b"other", &address).is_ok() {
                queued += 1;
            }
            let sender = UnixDatagram::unbound().unwrap();
            if connected {
                sender.connect_addr(&address).unwrap();
            }
            sender.set_write_timeout(Some(SHORT)).unwrap();
            let send = move || match connected {
                true => sender.send(b"mine"),
                false => sender.send_to_addr(b"mine", &address),
            };
            assert_timed_out(takes(SHORT, &send));

            let sending = on.spawn(move || {
                loop {
                    if let Ok(len) = send() {
                        return len;
                    }
                }
            });
            let mut buf = [0; 16];
            for _ in 0..queued {
                assert_eq!(receiver.recv(&mut buf).unwrap(), 5);
            }
            assert_eq!(receiver.recv(&mut buf).unwrap(), 4);
            assert_eq!(sending.join(), 4);
        }
    });
}

#[test]
fn listeners_iterate() {
    both_ways(|on| {
        let address = abstract_address();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let server = on.spawn(move || {
            for stream in (&listener).into_iter().take(2) {
                stream.unwrap().write_all(b"served").unwrap();
            }
            let stream = listener.incoming().next().unwrap();
            stream.unwrap().write_all(b"served").unwrap();
        });
        for _ in 0..3 {
            let client = UnixStream::connect_addr(&address).unwrap();
            assert_eq!(io::read_to_string(client).unwrap(), "served");
        }
        server.join();
    });
}

#[test]
fn std_twins_are_exchanged() {
    both_ways(|_| {
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut one = UnixStream::from(one);
        one.write_all(b"green").unwrap();
        one.set_read_timeout(Some(SHORT)).unwrap();
        let one = std::os::unix::net::UnixStream::from(one);
        assert_eq!(one.read_timeout().unwrap(), Some(SHORT));
        drop(one);
        assert_eq!(
            io::read_to_string(UnixStream::from(other)).unwrap(),
            "green"
        );
    });
}

#[test]
fn a_socket_of_the_wrong_family_is_an_error() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let datagram = UnixDatagram::from(std::os::fd::OwnedFd::from(udp));
    assert_kind(datagram.local_addr(), ErrorKind::InvalidInput);
}
