//! `GreenSocket`: how long a call may wait.

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::time::{Duration, Instant};

use test_support::net::*;

use crate::udp;

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn connect_to_a_silent_address_ends_in_time() {
    both_ways(|_| {
        let (address, _held) = silent_address();
        let outcome = takes(SHORT, || tcp().connect_timeout(&address, SHORT));
        assert_kind(outcome, ErrorKind::TimedOut);

        let socket = tcp();
        socket.set_write_timeout(Some(SHORT)).unwrap();
        assert_kind(
            takes(SHORT, || socket.connect(&address)),
            ErrorKind::TimedOut,
        );

        assert_kind(
            tcp().connect_timeout(&address, Duration::ZERO),
            ErrorKind::InvalidInput,
        );
    });
}

#[test]
fn an_attempt_that_timed_out_may_be_waited_for_again() {
    both_ways(|on| {
        let listener = tcp();
        listener.bind(&loopback()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let first = tcp();
        first.connect(&address).unwrap();

        let second = tcp();
        assert_kind(second.connect_timeout(&address, SHORT), ErrorKind::TimedOut);
        let acceptor = on.spawn(move || {
            let one = listener.accept().unwrap().0;
            let other = listener.accept().unwrap().0;
            (one, other)
        });
        second.connect(&address).unwrap();
        acceptor.join();
    });
}

#[test]
fn every_receiving_call_keeps_its_limit() {
    both_ways(|_| {
        let (client, _server) = tcp_pair();
        let (listener, _) = tcp_listener();
        let datagrams = udp();
        for socket in [&client, &listener, &datagrams] {
            socket.set_read_timeout(Some(SHORT)).unwrap();
        }
        let mut buf = [0; 8];

        assert_timed_out(takes(SHORT, || listener.accept()));
        assert_timed_out(takes(SHORT, || client.recv(&mut buf)));
        assert_timed_out(takes(SHORT, || client.peek(&mut buf)));
        assert_timed_out(takes(SHORT, || {
            client.recv_vectored(&mut [IoSliceMut::new(&mut buf)])
        }));
        assert_timed_out(takes(SHORT, || datagrams.recv_from(&mut buf)));
        assert_timed_out(takes(SHORT, || datagrams.peek_from(&mut buf)));
        assert_timed_out(takes(SHORT, || {
            datagrams.recvmsg(&mut [IoSliceMut::new(&mut buf)], &mut [], 0)
        }));
        // No room is no reason not to wait, for std neither.
        assert_timed_out(takes(SHORT, || datagrams.recv(&mut [])));
        assert_timed_out(takes(SHORT, || datagrams.recv_from(&mut [])));
        // Of a stream, nothing is what was asked for, in the end.
        assert_eq!(takes(SHORT, || client.recv(&mut [])).unwrap(), 0);
        assert_eq!(takes(SHORT, || client.peek(&mut [])).unwrap(), 0);
        assert_eq!(client.recv_vectored(&mut []).unwrap(), 0);
    });
}

#[test]
fn a_limit_covers_the_call_however_often_it_is_woken() {
    both_ways(|on| {
        let (client, server) = tiny_tcp_pair();
        client
            .set_write_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        // The peer drips: each read makes room, so no single wait is long.
        let reader = on.spawn(move || {
            let mut buf = [0; 256];
            while let Ok(1..) = server.recv(&mut buf) {
                greenhub::green_thread::sleep(Duration::from_millis(10));
            }
        });
        let start = Instant::now();
        let failure = client.send_all(&vec![0; 16 << 20]).unwrap_err();
        assert!(start.elapsed() >= Duration::from_millis(300));
        // All of it would take minutes.
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(failure.error().kind(), ErrorKind::WouldBlock);
        assert!(failure.sent() > 0);
        drop(client);
        reader.join();
    });
}

#[test]
fn sending_to_a_peer_that_does_not_read_times_out() {
    both_ways(|_| {
        let (client, server) = tcp_pair();
        let filled = fill(&client);
        client.set_write_timeout(Some(SHORT)).unwrap();
        assert_timed_out(takes(SHORT, || client.send(b"more")));
        assert_timed_out(takes(SHORT, || {
            client.send_vectored(&[IoSlice::new(b"more")])
        }));
        let failure = takes(SHORT, || client.send_all(b"more")).unwrap_err();
        assert_eq!(failure.sent(), 0);
        assert_timed_out::<()>(Err(failure.into()));

        // Both the thread and the socket are usable afterwards.
        let mut received = 0;
        let mut buf = vec![0; 64 * 1024];
        while received < filled {
            received += server.recv(&mut buf).unwrap();
        }
        client.send_all(b"after").unwrap();
        assert_eq!(server.recv(&mut buf).unwrap(), 5);
    });
}

#[test]
fn limit_then_nonblocking_then_limit() {
    both_ways(|_| {
        let (client, _server) = tcp_pair();
        client.set_read_timeout(Some(SHORT)).unwrap();
        assert_timed_out(takes(SHORT, || client.recv(&mut [0; 8])));
        // No limit now: what it waits for would hang.
        client.set_read_timeout(None).unwrap();
        client.set_nonblocking(true);
        assert_timed_out(client.recv(&mut [0; 8]));
        client.set_nonblocking(false);
        client.set_read_timeout(Some(SHORT)).unwrap();
        assert_timed_out(takes(SHORT, || client.recv(&mut [0; 8])));
    });
}

#[test]
fn one_call_alone_may_be_nonblocking() {
    both_ways(|_| {
        let (client, server) = tcp_pair();
        assert_timed_out(client.recv_with_flags(&mut [0; 8], libc::MSG_DONTWAIT));
        fill(&client);
        assert_timed_out(client.send_with_flags(b"x", libc::MSG_DONTWAIT));
        server.send_all(b"x").unwrap();
        assert_eq!(client.recv(&mut [0; 8]).unwrap(), 1);
    });
}

#[test]
fn timeouts_are_kept_exactly_and_shared_by_clones() {
    let (client, _server) = tcp_pair();
    let clone = client.try_clone().unwrap();
    assert_eq!(
        (client.read_timeout(), client.write_timeout()),
        (None, None)
    );
    let (read, write) = (Duration::from_nanos(1), Duration::new(3, 141_592_653));
    client.set_read_timeout(Some(read)).unwrap();
    client.set_write_timeout(Some(write)).unwrap();
    assert_eq!(clone.read_timeout(), Some(read));
    assert_eq!(clone.write_timeout(), Some(write));
    clone.set_read_timeout(None).unwrap();
    assert_eq!(client.read_timeout(), None);

    assert_kind(
        client.set_read_timeout(Some(Duration::ZERO)),
        ErrorKind::InvalidInput,
    );
    assert_kind(
        client.set_write_timeout(Some(Duration::ZERO)),
        ErrorKind::InvalidInput,
    );
    client.set_read_timeout(Some(Duration::MAX)).unwrap();

    client.set_nonblocking(true);
    assert!(clone.nonblocking());
}
