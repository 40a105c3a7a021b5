//! Sockets.
#![expect(unsafe_code, reason = "C's functions")]

use std::io::{Read, Write};
use std::mem::{MaybeUninit, zeroed};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::time::{Duration, Instant};

use green::thread::{self, Builder, spawn_local};

use crate::{SOON, code, cvt, green, parks};

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn a_read_and_a_write_of_std_park() {
    green("read and write", || {
        let (mut ours, mut theirs) = tcp();
        let mut byte = [0];
        let writer = theirs.try_clone().unwrap();
        let n = parks(
            || ours.read(&mut byte).unwrap(),
            move || drop((&writer).write_all(&[7])),
        );
        assert_eq!((n, byte), (1, [7]));
        // Much more than the kernel takes: a blocking write sends all of it at once.
        let sent = vec![9; 8 << 20];
        let reader = spawn_local(move || {
            thread::sleep(SOON);
            let mut got = vec![0; 8 << 20];
            theirs.read_exact(&mut got).unwrap();
            got.iter().all(|&byte| byte == 9)
        });
        assert_eq!(ours.write(&sent).unwrap(), sent.len());
        assert!(reader.join().unwrap());
    });
}

#[test]
fn a_close_of_a_socket_that_lingers_parks() {
    green("linger", || {
        for replaced in [false, true] {
            let (mut ours, theirs) = tcp();
            // More than the peer's side takes: to send the rest, it has to read.
            ours.set_nonblocking(true).unwrap();
            while ours.write(&[7; 1 << 16]).is_ok() {}
            let longer_than_the_test = libc::linger {
                l_onoff: 1,
                l_linger: 1_000,
            };
            // SAFETY: a setting that lives across the call.
            let set = unsafe {
                libc::setsockopt(
                    ours.as_raw_fd(),
                    libc::SOL_SOCKET,
                    libc::SO_LINGER,
                    (&raw const longer_than_the_test).cast(),
                    size_of::<libc::linger>() as libc::socklen_t,
                )
            };
            cvt(set as isize).unwrap();
            let close = || {
                if replaced {
                    let null = std::fs::File::open("/dev/null").unwrap();
                    // SAFETY: both numbers are ours.
                    let given = unsafe { libc::dup2(null.as_raw_fd(), ours.as_raw_fd()) };
                    assert_eq!(given, ours.as_raw_fd());
                }
                drop(ours);
            };
            parks(close, move || {
                std::io::copy(&mut { theirs }, &mut std::io::sink()).unwrap();
            });
        }
    });
}

#[test]
fn what_is_non_blocking_or_has_a_limit_says_so_as_ever() {
    green("non-blocking", || {
        let (mut ours, _theirs) = tcp();
        ours.set_read_timeout(Some(SOON)).unwrap();
        let begun = Instant::now();
        assert_eq!(code(ours.read(&mut [0])), libc::EAGAIN);
        assert!(begun.elapsed() >= SOON);
        ours.set_nonblocking(true).unwrap();
        assert_eq!(code(ours.read(&mut [0])), libc::EAGAIN);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(code(listener.accept()), libc::EAGAIN);
        // SAFETY: a buffer that lives across the call.
        let flagged = unsafe {
            libc::recv(
                ours.as_raw_fd(),
                [0u8; 1].as_mut_ptr().cast(),
                1,
                libc::MSG_DONTWAIT,
            )
        };
        assert_eq!(code(cvt(flagged)), libc::EAGAIN);
    });
}

#[test]
fn an_accept_and_a_connect_park() {
    green("accept", || {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (_stream, peer) = parks(
            || listener.accept().unwrap(),
            move || std::mem::forget(TcpStream::connect(address).unwrap()),
        );
        assert!(peer.ip().is_loopback());
        // SAFETY: no pointer is passed.
        let flags = unsafe { libc::fcntl(listener.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & libc::O_NONBLOCK, 0, "as it was");

        // Nobody there, and a full queue of Unix's that no event tells of.
        drop(listener);
        assert_eq!(code(TcpStream::connect(address)), libc::ECONNREFUSED);
        let name = format!("green-monkey-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        // SAFETY: no pointer is passed.
        unsafe { libc::listen(listener.as_raw_fd(), 0) };
        let first = UnixStream::connect_addr(&address).unwrap();
        let accepting = listener.try_clone().unwrap();
        let second = parks(
            || UnixStream::connect_addr(&address).unwrap(),
            move || drop(accepting.accept().unwrap()),
        );
        drop((first, second));
    });
}

#[test]
fn hubs_and_os_threads_share_a_listener() {
    green("shared listener", || {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        const EACH: usize = 40;
        let share = |listener: TcpListener| {
            move || (0..EACH).for_each(|_| drop(listener.accept().unwrap()))
        };
        let on_hubs: Vec<_> = (0..4)
            .map(|n| {
                let accepts = share(listener.try_clone().unwrap());
                Builder::new().hub(n % 2).spawn(accepts).unwrap()
            })
            .collect();
        let os: Vec<_> = (0..2)
            .map(|_| std::thread::spawn(share(listener.try_clone().unwrap())))
            .collect();
        for _ in 0..6 * EACH {
            drop(TcpStream::connect(address).unwrap());
        }
        on_hubs
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        os.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn datagrams_park_both_ways() {
    green("datagrams", || {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let other = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let (n, _) = parks(
            || socket.recv_from(&mut [0; 8]).unwrap(),
            move || drop(other.send_to(b"abc", address)),
        );
        assert_eq!(n, 3);
        // The peer's queue is full, though the socket counts as writable.
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut queued = 0;
        while ours.send(b"x").is_ok() {
            queued += 1;
        }
        ours.set_nonblocking(false).unwrap();
        let reader = theirs.try_clone().unwrap();
        let all = parks(
            || ours.send(b"x").unwrap(),
            move || (0..queued).for_each(|_| drop(reader.recv(&mut [0; 8]))),
        );
        assert_eq!(all, 1);
    });
}

#[test]
fn wait_all_waits_for_all_or_the_end() {
    green("wait all", || {
        for whole in [true, false] {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let mut got = [0u8; 6];
            let fd = ours.as_raw_fd();
            let given = parks(
                // SAFETY: a buffer that lives across the call.
                || unsafe { libc::recv(fd, got.as_mut_ptr().cast(), 6, libc::MSG_WAITALL) },
                move || {
                    (&theirs).write_all(b"abc").unwrap();
                    thread::sleep(SOON);
                    if whole {
                        (&theirs).write_all(b"def").unwrap();
                    }
                },
            );
            assert_eq!(given, if whole { 6 } else { 3 });
        }
    });
}

#[test]
fn messages_of_several_parts_park() {
    green("messages", || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut got = [0u8; 4];
        // SAFETY: what the calls read and write lives across them.
        unsafe {
            let mut part = libc::iovec {
                iov_base: got.as_mut_ptr().cast(),
                iov_len: 4,
            };
            let mut message: libc::msghdr = zeroed();
            message.msg_iov = &mut part;
            message.msg_iovlen = 1;
            let fd = ours.as_raw_fd();
            let peer = theirs.try_clone().unwrap();
            let given = parks(
                || libc::recvmsg(fd, &mut message, 0),
                move || (&peer).write_all(b"abcd").unwrap(),
            );
            assert_eq!(given, 4);

            let large = vec![5u8; 3 << 20];
            let mut parts = [0, 1, 2].map(|n| libc::iovec {
                iov_base: large[n << 20..].as_ptr().cast_mut().cast(),
                iov_len: 1 << 20,
            });
            message.msg_iov = parts.as_mut_ptr();
            message.msg_iovlen = 3;
            let given = parks(
                || libc::sendmsg(fd, &message, 0),
                move || drop((&theirs).read_exact(&mut vec![0; 3 << 20])),
            );
            assert_eq!(given, 3 << 20);
        }
    });
}

#[test]
fn several_datagrams_at_once_park() {
    green("several datagrams", || {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let other = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        other.connect(socket.local_addr().unwrap()).unwrap();
        // SAFETY: what the calls read and write lives across them.
        unsafe {
            let mut room = [[0u8; 8]; 3];
            let mut parts = room.each_mut().map(|room| libc::iovec {
                iov_base: room.as_mut_ptr().cast(),
                iov_len: 8,
            });
            let mut messages: [libc::mmsghdr; 3] = zeroed();
            for (message, part) in messages.iter_mut().zip(&mut parts) {
                message.msg_hdr.msg_iov = part;
                message.msg_hdr.msg_iovlen = 1;
            }
            let fd = socket.as_raw_fd();
            let sender = other.try_clone().unwrap();
            let given = parks(
                || libc::recvmmsg(fd, messages.as_mut_ptr(), 3, 0, std::ptr::null_mut()),
                move || {
                    for text in [b"a", b"b", b"c"] {
                        sender.send(text).unwrap();
                        thread::sleep(SOON);
                    }
                },
            );
            assert_eq!((given, messages[2].msg_len, room[2][0]), (3, 1, b'c'));
            let given = libc::sendmmsg(other.as_raw_fd(), messages.as_mut_ptr(), 3, 0);
            assert_eq!(given, 3);
        }
    });
}

#[test]
fn names_are_looked_up_elsewhere() {
    green("names", || {
        use std::net::ToSocketAddrs;
        let found: Vec<_> = ("localhost", 80).to_socket_addrs().unwrap().collect();
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 80)
        );
        assert!(!found.is_empty());
        assert!(("no.such.name.invalid", 80).to_socket_addrs().is_err());
        // SAFETY: an address and rooms that live across the calls.
        unsafe {
            unsafe extern "C" {
                fn gethostbyname(name: *const libc::c_char) -> *mut libc::c_void;
            }
            assert!(!gethostbyname(c"localhost".as_ptr()).is_null());
            let mut address: libc::sockaddr_in = zeroed();
            address.sin_family = libc::AF_INET as _;
            address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
            let mut name = MaybeUninit::<[libc::c_char; 256]>::zeroed();
            let given = libc::getnameinfo(
                (&raw const address).cast(),
                size_of_val(&address) as _,
                name.as_mut_ptr().cast(),
                256,
                std::ptr::null_mut(),
                0,
                0,
            );
            assert_eq!(given, 0);
            assert_ne!(name.assume_init()[0], 0);
        }
    });
}

#[test]
fn a_close_ends_the_waits_for_the_number() {
    green("close", || {
        let [(ours, _their), (theirs, _ours)] = [(); 2].map(|()| tcp());
        let fd = ours.as_raw_fd();
        let read = move || {
            // SAFETY: a buffer that lives across the call; the number is looked at by the kernel.
            let given = unsafe { libc::recv(fd, [0u8; 1].as_mut_ptr().cast(), 1, 0) };
            code(cvt(given))
        };
        let here = spawn_local(read);
        let there = Builder::new().hub(1).spawn(read).unwrap();
        thread::sleep(SOON);
        drop(ours);
        assert_eq!(
            (here.join().unwrap(), there.join().unwrap()),
            (libc::EBADF, libc::EBADF)
        );

        // And a number that is taken for another file.
        let fd = theirs.as_raw_fd();
        let waiter = spawn_local(move || {
            // SAFETY: as above.
            let given = unsafe { libc::recv(fd, [0u8; 1].as_mut_ptr().cast(), 1, 0) };
            code(cvt(given))
        });
        thread::sleep(SOON);
        let (other, _peer) = UnixStream::pair().unwrap();
        // SAFETY: the number is ours.
        assert_eq!(unsafe { libc::dup2(other.as_raw_fd(), fd) }, fd);
        assert_eq!(waiter.join().unwrap(), libc::EBADF);
        drop(theirs);
    });
}

#[test]
fn greens_own_sockets_work_on_as_before() {
    green("green's own", || {
        let listener = green::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn_local(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        let mut client = green::net::TcpStream::connect(address).unwrap();
        client.write_all(b"text").unwrap();
        drop(client);
        assert_eq!(server.join().unwrap(), "text");
    });
}

#[test]
fn ten_thousand_wait_at_once() {
    green("ten thousand", || {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the limit lives across the calls.
        unsafe {
            libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
        let count = usize::try_from(limit.rlim_cur)
            .unwrap_or(usize::MAX)
            .min(20_100)
            / 2
            - 50;
        let mut ends = Vec::new();
        let waiters: Vec<_> = (0..count)
            .map(|_| {
                let (mut ours, theirs) = UnixStream::pair().unwrap();
                ends.push(theirs);
                spawn_local(move || ours.read(&mut [0; 8]).unwrap())
            })
            .collect();
        thread::sleep(Duration::from_millis(50));
        for end in &mut ends {
            end.write_all(b"xy").unwrap();
        }
        assert!(
            waiters
                .into_iter()
                .all(|waiter| waiter.join().unwrap() == 2)
        );
        assert!(count > 400, "{count}");
    });
}

#[test]
fn a_descriptor_given_by_number_alone_works() {
    green("by number", || {
        let mut ends = [0; 2];
        // SAFETY: room for two numbers, which are ours then.
        let (mut reader, mut writer) = unsafe {
            assert_eq!(
                libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, ends.as_mut_ptr()),
                0
            );
            (
                UnixStream::from_raw_fd(ends[0]),
                UnixStream::from_raw_fd(ends[1]),
            )
        };
        let n = parks(
            || reader.read(&mut [0; 8]).unwrap(),
            move || writer.write_all(b"abc").unwrap(),
        );
        assert_eq!(n, 3);
    });
}
