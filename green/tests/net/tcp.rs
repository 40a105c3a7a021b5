//! `green::net::TcpStream` and `TcpListener`, as a user of std meets them.

#![expect(unsafe_code, reason = "passes a descriptor by number")]

use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

use green::net::{SocketAddr, TcpListener, TcpStream};
use green::os::linux::net::TcpStreamExt;
use test_support::net::*;

const SHORT: Duration = Duration::from_millis(100);

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn is_nonblocking(descriptor: impl AsFd) -> bool {
    socket2::SockRef::from(&descriptor).nonblocking().unwrap()
}

#[test]
fn connect_timeout_reports_timed_out() {
    both_ways(|_| {
        let (address, _held) = silent_address();
        let outcome = takes(SHORT, || TcpStream::connect_timeout(&ip(&address), SHORT));
        assert_kind(outcome, ErrorKind::TimedOut);
        let zero = TcpStream::connect_timeout(&ip(&address), Duration::ZERO);
        assert_kind(zero, ErrorKind::InvalidInput);
    });
}

#[test]
fn connect_timeout_takes_any_duration() {
    both_ways(|_| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        TcpStream::connect_timeout(&listener.local_addr().unwrap(), Duration::MAX).unwrap();
    });
}

#[test]
fn the_last_address_has_the_last_word() {
    both_ways(|_| {
        let (refusing, _held) = refusing_address();
        let refusing = ip(&refusing);
        let error = TcpStream::connect(refusing).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
        assert!(error.to_string().contains("Connection refused"), "{error}");
        let outcome = TcpStream::connect_timeout(&refusing, SHORT);
        assert_raw(outcome, libc::ECONNREFUSED);

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let stream = TcpStream::connect(&[refusing, open][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert_raw(
            TcpStream::connect(&[refusing, refusing][..]),
            libc::ECONNREFUSED,
        );
        let none: &[SocketAddr] = &[];
        assert_kind(TcpStream::connect(none), ErrorKind::InvalidInput);
        assert_kind(TcpListener::bind(none), ErrorKind::InvalidInput);
    });
}

#[test]
fn names_are_resolved() {
    both_ways(|_| {
        let listener = TcpListener::bind("localhost:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("localhost", port)).unwrap();
        TcpStream::connect(format!("localhost:{port}")).unwrap();
        assert!(TcpStream::connect("no-such-name.invalid:1").is_err());
    });
}

#[test]
fn a_bound_address_is_in_use_and_free_again_at_once() {
    both_ways(|_| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_raw(TcpListener::bind(address), libc::EADDRINUSE);
        // Connections that linger after the server closed them first do not keep
        // the address.
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        drop(server);
        drop(client);
        drop(listener);
        TcpListener::bind(address).unwrap();
    });
}

#[test]
fn ipv6_works_as_ipv4_does() {
    both_ways(|_| {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        client.write_all(b"six").unwrap();
        drop(client);
        assert_eq!(io::read_to_string(server).unwrap(), "six");
    });
}

#[test]
fn read_timeouts_report_what_std_reports() {
    both_ways(|_| {
        let (mut client, _server) = pair();
        client.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(client.read_timeout().unwrap(), Some(SHORT));
        assert_timed_out(takes(SHORT, || client.read(&mut [0; 8])));
        client.set_nonblocking(true).unwrap();
        assert_timed_out(client.read(&mut [0; 8]));
        assert_timed_out(client.peek(&mut [0; 8]));
        client.set_nonblocking(false).unwrap();
        assert_timed_out(takes(SHORT, || client.read(&mut [0; 8])));
        assert_kind(
            client.set_read_timeout(Some(Duration::ZERO)),
            ErrorKind::InvalidInput,
        );
        assert_kind(
            client.set_write_timeout(Some(Duration::ZERO)),
            ErrorKind::InvalidInput,
        );
    });
}

#[test]
fn a_nonblocking_listener_would_block() {
    both_ways(|_| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_timed_out(listener.accept());
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut accepted = None;
        wait_until("the connection", || {
            accepted = listener.accept().ok();
            accepted.is_some()
        });
        // What it accepts is in blocking mode.
        let (mut server, _) = accepted.unwrap();
        server
            .set_read_timeout(Some(Duration::from_millis(30)))
            .unwrap();
        let start = Instant::now();
        assert_timed_out(server.read(&mut [0; 8]));
        assert!(start.elapsed() >= Duration::from_millis(30));
        drop(client);
    });
}

#[test]
fn incoming_serves_one_after_the_other() {
    both_ways(|on| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = on.spawn(move || {
            for stream in listener.incoming().take(3) {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                stream.write_all(line.to_uppercase().as_bytes()).unwrap();
            }
        });
        for word in ["one", "two", "three"] {
            let mut client = TcpStream::connect(address).unwrap();
            writeln!(client, "{word}").unwrap();
            let answer = io::read_to_string(client).unwrap();
            assert_eq!(answer.trim(), word.to_uppercase());
        }
        server.join();
    });
}

#[test]
fn buffered_halves_end_the_stream_only_together() {
    both_ways(|_| {
        let (client, server) = pair();
        let reader = BufReader::new(client.try_clone().unwrap());
        let mut writer = BufWriter::new(client);
        writer.write_all(b"buffered").unwrap();
        drop(reader);
        drop(writer);
        assert_eq!(io::read_to_string(&server).unwrap(), "buffered");

        let (client, mut server) = pair();
        let mut reader = BufReader::new(client.try_clone().unwrap());
        let mut writer = BufWriter::new(client);
        writer.write_all(b"first").unwrap();
        drop(writer);
        let mut buf = [0; 5];
        server.read_exact(&mut buf).unwrap();
        server
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        assert_timed_out(server.read(&mut buf));
        server.write_all(b"answer\n").unwrap();
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "answer\n");
        drop(reader);
        server.set_read_timeout(None).unwrap();
        assert_eq!(server.read(&mut buf).unwrap(), 0);
        wait_until("a broken pipe", || server.write_all(b"late").is_err());
    });
}

/// A stream that takes about a kilobyte with every write.
struct Cut(TcpStream);

impl Write for Cut {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(&buf[..buf.len().min(1000)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn ten_thousand_lines_arrive_in_order() {
    both_ways(|on| {
        const LINES: usize = 10_000;
        let (client, server) = pair();
        let writer = on.spawn(move || {
            let mut writer = BufWriter::new(Cut(client));
            for number in 0..LINES {
                writeln!(writer, "{number:02139}").unwrap();
            }
            writer.flush().unwrap();
        });
        let mut reader = BufReader::new(server);
        let mut line = String::new();
        for number in 0..LINES {
            line.clear();
            assert_eq!(reader.read_line(&mut line).unwrap(), 2140);
            assert_eq!(line.trim_end().parse::<usize>().unwrap(), number);
        }
        assert_eq!(reader.read_line(&mut line).unwrap(), 0);
        writer.join();
    });
}

#[test]
fn reading_and_writing_one_stream_through_references() {
    both_ways(|on| {
        let (client, server) = pair();
        let echo = on.spawn(move || io::copy(&mut &server, &mut &server).unwrap());
        let writer = client.try_clone().unwrap();
        let sender = on.spawn(move || {
            (&writer).write_all(&[7; 1 << 20]).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut echoed = Vec::new();
        (&client).read_to_end(&mut echoed).unwrap();
        assert!(echoed == [7; 1 << 20]);
        sender.join();
        assert_eq!(echo.join(), 1 << 20);
    });
}

#[test]
fn shutdown_on_a_clone_wakes_the_reader() {
    both_ways(|on| {
        let (client, _server) = pair();
        let clone = client.try_clone().unwrap();
        let reader = on.spawn(move || (&client).read(&mut [0; 8]).unwrap());
        settle();
        clone.shutdown(Shutdown::Both).unwrap();
        assert_eq!(reader.join(), 0);
    });
}

#[test]
fn a_reset_is_never_a_clean_end() {
    both_ways(|_| {
        let (mut client, server) = pair();
        reset(server.into());
        assert_raw(client.read(&mut [0; 8]), libc::ECONNRESET);
        assert_raw(client.read_to_end(&mut Vec::new()), libc::ECONNRESET);
    });
}

#[test]
fn descriptors_of_every_origin_are_nonblocking_and_closed_on_exec() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    let std_client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let wrapped = TcpStream::from(std_client);
    let clone = wrapped.try_clone().unwrap();
    let descriptors = [
        listener.as_fd(),
        client.as_fd(),
        server.as_fd(),
        wrapped.as_fd(),
        clone.as_fd(),
    ];
    for descriptor in descriptors {
        assert!(is_nonblocking(descriptor));
        let number = descriptor.as_raw_fd();
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap();
        let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
        assert_ne!(flags & libc::O_CLOEXEC, 0, "{info}");
    }
    assert_eq!(wrapped.as_raw_fd(), clone.as_raw_fd());
}

#[test]
fn settings_travel_to_std_and_back() {
    let (client, server) = pair();
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let mut client = std::net::TcpStream::from(client);
    assert!(!is_nonblocking(&client));
    // The kernel rounds up to its ticks.
    assert!(client.read_timeout().unwrap() >= Some(Duration::from_millis(50)));
    // std tells of a stop of the process, too.
    assert_timed_out(takes(Duration::from_millis(40), || {
        loop {
            match client.read(&mut [0; 8]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        }
    }));

    client.set_nonblocking(true).unwrap();
    client.set_write_timeout(Some(SHORT)).unwrap();
    let mut client = TcpStream::from(client);
    assert_eq!(client.write_timeout().unwrap(), Some(SHORT));
    assert_timed_out(client.read(&mut [0; 8]));
    let client = std::net::TcpStream::from(client);
    assert!(is_nonblocking(&client));
    drop(server);
}

#[test]
fn a_raw_descriptor_goes_out_blocking_and_comes_in_again() {
    both_ways(|_| {
        let (client, server) = pair();
        let number = client.into_raw_fd();
        // SAFETY: the number was just given to us.
        let owned = unsafe { OwnedFd::from_raw_fd(number) };
        assert!(!is_nonblocking(&owned));
        // SAFETY: and is passed on.
        let mut client = unsafe { TcpStream::from_raw_fd(owned.into_raw_fd()) };
        assert!(is_nonblocking(&client));
        client.write_all(b"still").unwrap();
        drop(client);
        assert_eq!(io::read_to_string(server).unwrap(), "still");
    });
}

#[test]
fn a_descriptor_given_away_while_clones_live_is_a_duplicate() {
    both_ways(|_| {
        let (client, mut server) = pair();
        let mut clone = client.try_clone().unwrap();
        clone.set_read_timeout(Some(SHORT)).unwrap();
        let mut std_client = std::net::TcpStream::from(client);
        assert_ne!(std_client.as_raw_fd(), clone.as_raw_fd());
        server.write_all(b"ab").unwrap();
        let mut buf = [0; 1];
        std_client.read_exact(&mut buf).unwrap();
        clone.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"b");
        // The clone's calls go on to park, though std's duplicate blocks.
        assert!(!is_nonblocking(&std_client));
        assert_timed_out(takes(SHORT, || clone.read(&mut buf)));

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let clone = listener.try_clone().unwrap();
        let std_listener = std::net::TcpListener::from(listener);
        assert!(is_nonblocking(&std_listener));
        drop(clone);
    });
}

#[test]
fn options_round_trip() {
    let (client, _server) = pair();
    client.set_nodelay(true).unwrap();
    assert!(client.nodelay().unwrap());
    client.set_ttl(42).unwrap();
    assert_eq!(client.ttl().unwrap(), 42);
    assert_raw(client.set_ttl(0), libc::EINVAL);
    client.set_quickack(false).unwrap();
    assert!(!client.quickack().unwrap());
    client.set_deferaccept(Duration::from_secs(1)).unwrap();
    assert!(client.deferaccept().unwrap() >= Duration::from_secs(1));
    assert!(client.take_error().unwrap().is_none());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_ttl(43).unwrap();
    assert_eq!(listener.ttl().unwrap(), 43);
    assert!(listener.take_error().unwrap().is_none());
    assert!(listener.as_green_socket().reuse_address().unwrap());
    assert!(!listener.as_green_socket().reuse_port().unwrap());
}

#[test]
fn a_stream_of_the_wrong_family_is_an_error_not_a_panic() {
    let (unix, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let stream = TcpStream::from(OwnedFd::from(unix));
    assert_kind(stream.local_addr(), ErrorKind::InvalidInput);
    let file = std::fs::File::open("/dev/null").unwrap();
    let mut stream = TcpStream::from(OwnedFd::from(file));
    assert_raw(stream.read(&mut [0; 8]), libc::ENOTSOCK);
    assert_raw(stream.write(b"x"), libc::ENOTSOCK);
}

#[test]
fn vectored_reads_and_writes() {
    both_ways(|_| {
        let (mut client, mut server) = pair();
        let sent = client
            .write_vectored(&[io::IoSlice::new(b"ab"), io::IoSlice::new(b"cd")])
            .unwrap();
        assert_eq!(sent, 4);
        let (mut first, mut second) = ([0; 3], [0; 3]);
        let len = server
            .read_vectored(&mut [
                io::IoSliceMut::new(&mut first),
                io::IoSliceMut::new(&mut second),
            ])
            .unwrap();
        assert_eq!((len, &first, second[0]), (4, b"abc", b'd'));
    });
}
