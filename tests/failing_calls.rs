//! System calls that fail, each with every error that its manual page names: the error reaches the caller, nobody hangs, and
//! the hub goes on.
//!
//! A seccomp filter has a call fail on one OS thread, for one descriptor or for all. It cannot be taken back, so each test has
//! a process of its own, and each case a socket of its own.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use green::greenio::{ControlWriter, Domain, GreenSocket, SockAddr, Type};
use green::thread::{Builder, park, sleep};
use green::timeout;
use libc::*;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

use test_support::child::alone;
use test_support::running::{Signal, signal};

const MS: Duration = Duration::from_millis(1);
/// Whoever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// From now on `call` fails with `errno` on this OS thread: always, or if the argument at a place is this descriptor.
fn fail(call: c_long, if_argument: Option<(u8, RawFd)>, errno: c_int) {
    let rule = if_argument.map(|(place, fd)| {
        let value = u64::from(fd as u32);
        let is_it = SeccompCondition::new(place, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
        SeccompRule::new(vec![is_it.unwrap()]).unwrap()
    });
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let rules = [(call, rule.into_iter().collect())].into_iter().collect();
    let error = SeccompAction::Errno(errno as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, error, architecture).unwrap();
    apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

fn local() -> SockAddr {
    SocketAddr::from(([127, 0, 0, 1], 0)).into()
}

fn tcp() -> GreenSocket {
    GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap()
}

fn listener() -> GreenSocket {
    let listener = tcp();
    listener.bind(&local()).unwrap();
    listener.listen(16).unwrap();
    listener
}

/// A connected socket, and what must stay open for it.
fn connected() -> (GreenSocket, [GreenSocket; 2]) {
    let listener = listener();
    let client = tcp();
    client.connect(&listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, [server, listener])
}

/// What one call does; that it is told of the error is what is tried.
type Use = fn(&GreenSocket) -> io::Result<()>;

/// A system call, the errors of its page, how to have a socket that it is made on, and a use of it.
struct Case {
    name: &'static str,
    call: c_long,
    errors: &'static [c_int],
    socket: fn() -> (GreenSocket, Vec<GreenSocket>),
    use_it: Use,
}

fn joined() -> (GreenSocket, Vec<GreenSocket>) {
    let (socket, others) = connected();
    // There is something to be received.
    others[0].send_all(b"something").unwrap();
    (socket, others.into())
}

fn knocked_at() -> (GreenSocket, Vec<GreenSocket>) {
    let (listener, client) = (listener(), tcp());
    client.connect(&listener.local_addr().unwrap()).unwrap();
    (listener, vec![client])
}

fn fresh() -> (GreenSocket, Vec<GreenSocket>) {
    (tcp(), Vec::new())
}

const CASES: &[Case] = &[
    Case {
        name: "recv",
        call: SYS_recvfrom,
        errors: &[
            EBADF,
            ECONNREFUSED,
            ECONNRESET,
            EFAULT,
            EINTR,
            EINVAL,
            ENOMEM,
            ENOTCONN,
            ENOTSOCK,
            ETIMEDOUT,
        ],
        socket: joined,
        use_it: |socket| socket.recv(&mut [0; 8]).map(drop),
    },
    Case {
        name: "recvmsg",
        call: SYS_recvmsg,
        errors: &[
            EBADF,
            ECONNREFUSED,
            EFAULT,
            EINTR,
            EINVAL,
            ENOMEM,
            ENOTCONN,
            ENOTSOCK,
        ],
        socket: joined,
        use_it: |socket| {
            let mut bytes = [0; 8];
            socket
                .recvmsg(&mut [IoSliceMut::new(&mut bytes)], &mut [], 0)
                .map(drop)
        },
    },
    Case {
        name: "send",
        call: SYS_sendto,
        errors: &[
            EACCES,
            EALREADY,
            EBADF,
            ECONNRESET,
            EDESTADDRREQ,
            EFAULT,
            EINTR,
            EINVAL,
            EISCONN,
            EMSGSIZE,
            ENOBUFS,
            ENOMEM,
            ENOTCONN,
            ENOTSOCK,
            EOPNOTSUPP,
            EPIPE,
        ],
        socket: joined,
        use_it: |socket| socket.send(b"x").map(drop),
    },
    Case {
        name: "sendmsg",
        call: SYS_sendmsg,
        errors: &[
            EACCES, EBADF, ECONNRESET, EFAULT, EINTR, EINVAL, ENOBUFS, ENOMEM, EPIPE,
        ],
        socket: joined,
        use_it: |socket| {
            let control = ControlWriter::new();
            socket
                .sendmsg(&[IoSlice::new(b"x")], None, &control, 0)
                .map(drop)
        },
    },
    Case {
        name: "sendfile",
        call: SYS_sendfile,
        errors: &[
            EBADF, EFAULT, EINVAL, EIO, ENOMEM, EOVERFLOW, ESPIPE, ECONNRESET, EPIPE,
        ],
        socket: joined,
        use_it: |socket| {
            let file = std::fs::File::open("/proc/self/exe")?;
            socket.send_file(&file, &mut 0, 100).map(drop)
        },
    },
    Case {
        name: "accept",
        call: SYS_accept4,
        errors: &[
            EBADF,
            ECONNABORTED,
            EFAULT,
            EINVAL,
            EMFILE,
            ENFILE,
            ENOBUFS,
            ENOMEM,
            ENOTSOCK,
            EOPNOTSUPP,
            EPERM,
            EPROTO,
            ENETDOWN,
            ENOPROTOOPT,
            EHOSTDOWN,
            ENONET,
            EHOSTUNREACH,
            ENETUNREACH,
        ],
        socket: knocked_at,
        use_it: |socket| socket.accept().map(drop),
    },
    Case {
        name: "connect",
        call: SYS_connect,
        errors: &[
            EACCES,
            EPERM,
            EADDRINUSE,
            EADDRNOTAVAIL,
            EAFNOSUPPORT,
            EBADF,
            ECONNREFUSED,
            EFAULT,
            EISCONN,
            ENETUNREACH,
            ENOTSOCK,
            EPROTOTYPE,
            ETIMEDOUT,
            EHOSTUNREACH,
        ],
        socket: fresh,
        use_it: |socket| socket.connect(&SocketAddr::from(([127, 0, 0, 1], 9)).into()),
    },
    Case {
        name: "bind",
        call: SYS_bind,
        errors: &[
            EACCES,
            EADDRINUSE,
            EBADF,
            EINVAL,
            ENOTSOCK,
            EADDRNOTAVAIL,
            EFAULT,
            ENOMEM,
        ],
        socket: fresh,
        use_it: |socket| socket.bind(&local()),
    },
    Case {
        name: "listen",
        call: SYS_listen,
        errors: &[EADDRINUSE, EBADF, ENOTSOCK, EOPNOTSUPP],
        socket: fresh,
        use_it: |socket| socket.listen(8),
    },
    Case {
        name: "getsockname",
        call: SYS_getsockname,
        errors: &[EBADF, EFAULT, EINVAL, ENOBUFS, ENOTSOCK],
        socket: fresh,
        use_it: |socket| socket.local_addr().map(drop),
    },
    Case {
        name: "getpeername",
        call: SYS_getpeername,
        errors: &[EBADF, EFAULT, EINVAL, ENOBUFS, ENOTCONN, ENOTSOCK],
        socket: joined,
        use_it: |socket| socket.peer_addr().map(drop),
    },
    Case {
        name: "shutdown",
        call: SYS_shutdown,
        errors: &[EBADF, EINVAL, ENOTCONN, ENOTSOCK],
        socket: joined,
        use_it: |socket| socket.shutdown(Shutdown::Write),
    },
    Case {
        name: "setsockopt",
        call: SYS_setsockopt,
        errors: &[EBADF, EFAULT, EINVAL, ENOPROTOOPT, ENOTSOCK],
        socket: fresh,
        use_it: |socket| socket.set_nodelay(true),
    },
    Case {
        name: "getsockopt",
        call: SYS_getsockopt,
        errors: &[EBADF, EFAULT, EINVAL, ENOPROTOOPT, ENOTSOCK],
        socket: fresh,
        use_it: |socket| socket.take_error().map(drop),
    },
];

/// Whether an exchange on this thread, with new sockets, is as ever.
fn an_exchange_works() {
    let (client, others) = connected();
    client.send_all(b"still there").unwrap();
    assert_eq!(others[0].recv(&mut [0; 32]).unwrap(), 11);
    let server = others[0].try_clone().unwrap();
    let late = green::thread::spawn(move || {
        sleep(MS);
        server.send_all(b"late").unwrap();
    });
    assert_eq!(client.recv(&mut [0; 32]).unwrap(), 4);
    late.join().unwrap();
}

/// On this OS thread, and on a green thread.
fn both(body: fn()) {
    // An OS thread hands its filters on to those that it starts.
    green::run(|| ());
    std::thread::spawn(body).join().unwrap();
    green::run(body);
}

#[test]
fn every_error_of_a_call_on_a_socket_reaches_the_caller() {
    const ALONE: &str = "every_error_of_a_call_on_a_socket_reaches_the_caller";
    alone(ALONE, &[("GREEN_HUBS", "1")], || {
        both(|| {
            // Their numbers are not to be used again.
            let mut kept = Vec::new();
            for case in CASES {
                for &errno in case.errors {
                    let (socket, others) = (case.socket)();
                    fail(case.call, Some((0, socket.source().as_raw_fd())), errno);
                    let outcome = timeout(PATIENCE, || (case.use_it)(&socket));
                    let outcome =
                        outcome.unwrap_or_else(|_| panic!("{} hangs on {errno}", case.name));
                    let told = outcome.err().and_then(|error| error.raw_os_error());
                    assert_eq!(told, Some(errno), "{}", case.name);
                    kept.push((socket, others));
                }
                an_exchange_works();
            }
            println!("{} cases", kept.len());
        });
    })
    .well();
}

#[test]
fn a_call_that_says_eagain_for_ever_ends_by_its_limit_and_holds_nobody_up() {
    const ALONE: &str = "a_call_that_says_eagain_for_ever_ends_by_its_limit_and_holds_nobody_up";
    alone(ALONE, &[("GREEN_HUBS", "1")], || {
        both(|| {
            let mut kept = Vec::new();
            let calls = [(SYS_recvfrom, EAGAIN), (SYS_sendto, EAGAIN)];
            for (call, errno) in calls {
                let (socket, others) = joined();
                socket.set_read_timeout(Some(50 * MS)).unwrap();
                socket.set_write_timeout(Some(50 * MS)).unwrap();
                fail(call, Some((0, socket.source().as_raw_fd())), errno);
                let began = Instant::now();
                let outcome = match call == SYS_recvfrom {
                    true => socket.recv(&mut [0; 8]),
                    false => socket.send(b"x"),
                };
                assert_eq!(outcome.unwrap_err().raw_os_error(), Some(EAGAIN));
                assert!(began.elapsed() >= 50 * MS && began.elapsed() < PATIENCE);
                kept.push((socket, others));
            }
            // An attempt to connect that is never decided.
            for errno in [EALREADY, EINPROGRESS] {
                let (socket, others) = fresh();
                fail(SYS_connect, Some((0, socket.source().as_raw_fd())), errno);
                let there = SocketAddr::from(([127, 0, 0, 1], 9)).into();
                let error = socket.connect_timeout(&there, 50 * MS).unwrap_err();
                let expected = [io::ErrorKind::TimedOut, io::ErrorKind::ConnectionAborted];
                assert!(expected.contains(&error.kind()), "{error:?}");
                kept.push((socket, others));
            }
            an_exchange_works();
        });
    })
    .well();
}

#[test]
fn what_keeps_a_socket_from_being_registered_reaches_the_reader() {
    const ALONE: &str = "what_keeps_a_socket_from_being_registered_reaches_the_reader";
    alone(ALONE, &[("GREEN_HUBS", "1")], || {
        green::run(|| {
            let mut kept = Vec::new();
            for errno in [EBADF, EEXIST, EINVAL, ELOOP, ENOENT, ENOMEM, ENOSPC, EPERM] {
                let (socket, others) = connected();
                fail(SYS_epoll_ctl, Some((2, socket.source().as_raw_fd())), errno);
                let ticks = green::thread::spawn_local(|| sleep(MS));
                let outcome = timeout(PATIENCE, || socket.recv(&mut [0; 8]));
                let outcome = outcome.unwrap_or_else(|_| panic!("a read hangs on {errno}"));
                assert_eq!(outcome.unwrap_err().raw_os_error(), Some(errno));
                ticks.join().unwrap();
                kept.push((socket, others));
            }
            an_exchange_works();
        });
    })
    .well();
}

#[test]
#[cfg_attr(
    feature = "engine-may",
    ignore = "may's scheduler panics at these and starts only once"
)]
fn hubs_that_cannot_start_are_an_error_and_start_later() {
    const ALONE: &str = "hubs_that_cannot_start_are_an_error_and_start_later";
    alone(ALONE, &[("GREEN_HUBS", "2")], || {
        let calls: &[(c_long, &[c_int])] = &[
            (SYS_epoll_create1, &[EMFILE, ENFILE, ENOMEM, EINVAL]),
            (SYS_eventfd2, &[EMFILE, ENFILE, ENOMEM, ENODEV]),
            (SYS_epoll_ctl, &[ENOMEM, ENOSPC]),
        ];
        for &(call, errors) in calls {
            for &errno in errors {
                let try_it = move || {
                    fail(call, None, errno);
                    Builder::new().spawn(|| ()).map(drop)
                };
                let refused = std::thread::spawn(try_it).join().unwrap();
                let error = refused.expect_err("it started");
                assert_eq!(error.raw_os_error(), Some(errno), "{error:?}");
            }
        }
        assert_eq!(green::run(|| 7), 7);
        green::run(an_exchange_works);
    })
    .well();
}

#[test]
fn a_hub_whose_poller_fails_goes_on_with_timers_and_wakes() {
    const ALONE: &str = "a_hub_whose_poller_fails_goes_on_with_timers_and_wakes";
    alone(ALONE, &[("GREEN_HUBS", "1")], || {
        green::run(|| {
            for call in poller_calls() {
                fail(call, None, EBADF);
            }
        });
        let parked = green::thread::spawn(|| {
            park();
            let began = Instant::now();
            sleep(20 * MS);
            began.elapsed()
        });
        std::thread::sleep(20 * MS);
        parked.thread().unpark();
        let slept = parked.join().unwrap();
        assert!(slept >= 20 * MS && slept < PATIENCE, "{slept:?}");
        // What it cannot be told of ends by its limit.
        let limited = green::run(|| {
            let (socket, _others) = connected();
            socket.set_read_timeout(Some(50 * MS)).unwrap();
            socket.recv(&mut [0]).unwrap_err().kind()
        });
        assert_eq!(limited, io::ErrorKind::WouldBlock);
    })
    .well();
}

/// A filter of system calls that is older than the newer one refuses it by EPERM.
#[test]
fn a_hub_to_which_the_newer_poller_is_refused_uses_the_older_one() {
    const ALONE: &str = "a_hub_to_which_the_newer_poller_is_refused_uses_the_older_one";
    alone(ALONE, &[("GREEN_HUBS", "1")], || {
        // As long as this one sleeps, the hub polls for a limited time.
        let _sleeper = green::thread::spawn(|| sleep(PATIENCE * 100));
        green::run(|| fail(SYS_epoll_pwait2, None, EPERM));
        let (received, others) = green::run(|| {
            let (socket, others) = connected();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let receive = move || socket.recv(&mut [0; 1]);
            (green::thread::spawn(receive), others)
        });
        std::thread::sleep(20 * MS);
        others[0].send(b"x").unwrap();
        assert_eq!(received.join().unwrap().unwrap(), 1);
    })
    .well();
}

fn poller_calls() -> impl Iterator<Item = c_long> {
    #[cfg(target_arch = "x86_64")]
    let old = SYS_epoll_wait;
    #[cfg(not(target_arch = "x86_64"))]
    let old = SYS_epoll_pwait;
    [SYS_epoll_pwait2, old].into_iter()
}

#[test]
fn a_stack_that_cannot_be_had_is_an_error_of_the_spawner() {
    const ALONE: &str = "a_stack_that_cannot_be_had_is_an_error_of_the_spawner";
    alone(ALONE, &[("GREEN_HUBS", "1")], || {
        green::run(|| ());
        let crowd = || -> io::Result<usize> {
            fail(SYS_mmap, None, ENOMEM);
            fail(SYS_mprotect, None, ENOMEM);
            let mut parked = Vec::new();
            loop {
                match Builder::new().spawn(park) {
                    Ok(thread) => parked.push(thread),
                    Err(error) => {
                        parked.iter().for_each(|thread| thread.thread().unpark());
                        let count = parked.len();
                        parked.into_iter().for_each(|thread| thread.join().unwrap());
                        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory, "{error:?}");
                        return Ok(count);
                    }
                }
                if parked.len() > 1_000_000 {
                    return Err(io::Error::other("no limit was met"));
                }
            }
        };
        let first = std::thread::spawn(crowd).join().unwrap().unwrap();
        println!("{first} fitted into what was mapped");
        green::run(an_exchange_works);
    })
    .well();
}

#[test]
fn a_full_disk_is_told_to_the_writer() {
    use std::io::Write;
    green::run(|| {
        let mut full = green::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let outcome = full.write_all(&[0; 100_000]).and_then(|()| full.flush());
        assert_eq!(outcome.unwrap_err().raw_os_error(), Some(ENOSPC));
        sleep(MS);
    });
}

#[test]
fn a_program_that_is_stopped_for_a_while_goes_on_where_it_was() {
    const ALONE: &str = "a_program_that_is_stopped_for_a_while_goes_on_where_it_was";
    test_support::child::alone_beside(
        ALONE,
        &[("GREEN_HUBS", "2")],
        || {
            green::run(|| {
                let end = Instant::now() + Duration::from_secs(1);
                let (client, others) = connected();
                let server = others[0].try_clone().unwrap();
                let echo = green::thread::spawn(move || {
                    let mut buffer = [0; 16];
                    loop {
                        match server.recv(&mut buffer) {
                            Ok(0) => break,
                            Ok(n) => server.send_all(&buffer[..n]).unwrap(),
                            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Interrupted),
                        }
                    }
                });
                let mut rounds = 0_u32;
                while Instant::now() < end {
                    client.send_all(&rounds.to_ne_bytes()).unwrap();
                    let mut answer = [0; 4];
                    assert_eq!(client.recv(&mut answer).unwrap(), 4);
                    assert_eq!(u32::from_ne_bytes(answer), rounds);
                    rounds += 1;
                    sleep(MS);
                }
                client.shutdown(Shutdown::Write).unwrap();
                echo.join().unwrap();
            });
        },
        |process| {
            let tell = |what| signal(process.id(), what).unwrap();
            for _ in 0..5 {
                std::thread::sleep(50 * MS);
                tell(Signal::STOP);
                std::thread::sleep(50 * MS);
                tell(Signal::CONT);
            }
        },
    )
    .well();
}
