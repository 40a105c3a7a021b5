//! Sockets that linger (`SO_LINGER`): close(2) of one waits in the kernel, and no
//! hub waits with it.

#![expect(unsafe_code, reason = "sets an option by its bytes")]

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use greenhub::green_thread::{Builder, sleep};
use greenhub::greenio::{ControlWriter, GreenSocket};
use socket2::SockRef;
use test_support::net::*;

/// Longer than any of these closes may take.
const LONG: Duration = Duration::from_secs(40);
/// Much shorter than `LONG`, and long for a machine with other things to do.
const SOON: Duration = Duration::from_secs(20);

/// Sends until the peer, who reads nothing, and the kernel take no more.
fn fill(socket: &GreenSocket) -> usize {
    let mut sent = 0;
    socket.set_nonblocking(true);
    while let Ok(count) = socket.send(&[7; 65536]) {
        sent += count;
    }
    socket.set_nonblocking(false);
    sent
}

/// Reads up to the end of the stream.
fn drain(peer: &GreenSocket) -> io::Result<usize> {
    let (mut all, mut buf) = (0, vec![0; 65536]);
    loop {
        match peer.recv(&mut buf)? {
            0 => return Ok(all),
            count => all += count,
        }
    }
}

fn linger_from_outside(socket: &GreenSocket) {
    SockRef::from(socket).set_linger(Some(LONG)).unwrap();
}

fn listener() -> GreenSocket {
    use greenhub::greenio::{Domain, Type};
    let listener = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&loopback()).unwrap();
    listener.listen(8).unwrap();
    listener
}

/// A socket accepted from `listener`, and its peer.
fn accepted(listener: &GreenSocket) -> (GreenSocket, GreenSocket) {
    use greenhub::greenio::{Domain, Type};
    let peer = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    peer.connect(&listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    (socket, peer)
}

/// Every way in which a socket comes to linger.
fn lingering_pairs() -> Vec<(&'static str, GreenSocket, GreenSocket)> {
    let mut pairs = Vec::new();

    let (socket, peer) = tcp_pair();
    socket.set_linger(Some(LONG)).unwrap();
    pairs.push(("set here", socket, peer));

    let (socket, peer) = tcp_pair();
    linger_from_outside(&socket);
    pairs.push(("set from outside", socket, peer));

    let (socket, peer) = tcp_pair();
    let value = [1, LONG.as_secs() as i32].map(i32::to_ne_bytes);
    // SAFETY: the value holds no address.
    unsafe { socket.set_option_bytes(libc::SOL_SOCKET, libc::SO_LINGER, value.as_flattened()) }
        .unwrap();
    pairs.push(("set by its bytes", socket, peer));

    let (socket, peer) = tcp_pair();
    let elsewhere = OwnedFd::from(socket);
    SockRef::from(&elsewhere).set_linger(Some(LONG)).unwrap();
    pairs.push(("taken over", GreenSocket::from(elsewhere), peer));

    let (socket, peer) = tcp_pair();
    let elsewhere = OwnedFd::from(socket);
    let duplicate = elsewhere.try_clone().unwrap();
    let socket = GreenSocket::from(elsewhere);
    SockRef::from(&duplicate).set_linger(Some(LONG)).unwrap();
    pairs.push(("taken over, set later by a duplicate", socket, peer));

    let own = listener();
    own.set_linger(Some(LONG)).unwrap();
    let (socket, peer) = accepted(&own);
    pairs.push(("inherited", socket, peer));

    let own = listener();
    linger_from_outside(&own);
    let (socket, peer) = accepted(&own);
    pairs.push(("inherited, set from outside", socket, peer));

    let elsewhere = OwnedFd::from(listener());
    SockRef::from(&elsewhere).set_linger(Some(LONG)).unwrap();
    let (socket, peer) = accepted(&GreenSocket::from(elsewhere));
    pairs.push(("inherited from one taken over", socket, peer));

    let elsewhere = OwnedFd::from(listener());
    let duplicate = elsewhere.try_clone().unwrap();
    let own = GreenSocket::from(elsewhere);
    SockRef::from(&duplicate).set_linger(Some(LONG)).unwrap();
    let (socket, peer) = accepted(&own);
    pairs.push((
        "inherited from one taken over, set later by a duplicate",
        socket,
        peer,
    ));
    pairs
}

#[test]
fn a_drop_does_not_wait_and_nothing_is_lost() {
    both_ways(|_| {
        for (how, socket, peer) in lingering_pairs() {
            assert_eq!(socket.linger().unwrap(), Some(LONG), "{how}");
            let sent = fill(&socket);
            let began = Instant::now();
            drop(socket);
            assert!(began.elapsed() < SOON, "{how}: {:?}", began.elapsed());
            assert_eq!(drain(&peer).unwrap(), sent, "{how}");
        }
    });
}

/// A thread on the hub of the running one that counts how often it runs.
fn ticking() -> (Arc<AtomicUsize>, impl FnOnce()) {
    let (ticks, over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
    let (counted, stop) = (Arc::clone(&ticks), Arc::clone(&over));
    let body = move || {
        while !stop.load(Ordering::Relaxed) {
            AtomicUsize::fetch_add(&counted, 1, Ordering::Relaxed);
            sleep(Duration::from_millis(1));
        }
    };
    let ticker = greenhub::green_thread::spawn_local(body);
    (ticks, move || {
        over.store(true, Ordering::Relaxed);
        ticker.join().unwrap();
    })
}

#[test]
fn a_close_waits_for_the_peer_while_the_hub_goes_on() {
    both_ways(|on| {
        for (how, socket, peer) in lingering_pairs() {
            let sent = fill(&socket);
            let ticker = matches!(on, On::GreenThreads).then(ticking);
            let ticks = ticker.as_ref().map(|(ticks, _)| Arc::clone(ticks));
            let began = Instant::now();
            let reader = on.spawn(move || {
                sleep(Duration::from_millis(100));
                if let Some(ticks) = ticks {
                    // Without the hub there is none.
                    wait_until("the hub goes on", || ticks.load(Ordering::Relaxed) > 2);
                }
                drain(&peer)
            });
            socket.close();
            let took = began.elapsed();
            if let Some((_, stop)) = ticker {
                stop();
            }
            assert!(
                took >= Duration::from_millis(90) && took < SOON,
                "{how}: {took:?}"
            );
            assert_eq!(reader.join().unwrap(), sent, "{how}");
        }
    });
}

#[test]
fn a_close_with_nothing_left_to_send_does_not_wait() {
    both_ways(|_| {
        for (how, socket, peer) in lingering_pairs() {
            let began = Instant::now();
            socket.close();
            assert!(began.elapsed() < SOON, "{how}");
            assert_eq!(drain(&peer).unwrap(), 0, "{how}");
            assert_closed_here(socket.send(b"x"));
        }
    });
}

/// It is what Linux does: only a time of zero resets.
#[test]
fn when_the_time_has_passed_the_rest_is_sent_in_the_background() {
    both_ways(|_| {
        let (socket, peer) = tcp_pair();
        // A part of a second counts as one.
        socket.set_linger(Some(Duration::from_millis(500))).unwrap();
        assert_eq!(socket.linger().unwrap(), Some(Duration::from_secs(1)));
        let sent = fill(&socket);
        let began = Instant::now();
        socket.close();
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(990) && took < SOON,
            "{took:?}"
        );
        assert_eq!(drain(&peer).unwrap(), sent);
    });
}

#[test]
fn a_time_too_long_for_the_kernel_is_its_longest() {
    let (socket, _peer) = tcp_pair();
    socket.set_linger(Some(Duration::MAX)).unwrap();
    let longest = Duration::from_secs(i32::MAX as u64);
    assert_eq!(socket.linger().unwrap(), Some(longest));
}

#[test]
fn a_time_of_zero_resets_also_when_dropped() {
    both_ways(|_| {
        for close_first in [false, true] {
            let (socket, peer) = tcp_pair();
            socket.set_linger(Some(Duration::ZERO)).unwrap();
            fill(&socket);
            if close_first {
                socket.close();
            }
            drop(socket);
            assert_kind(drain(&peer), ErrorKind::ConnectionReset);
        }
    });
}

#[test]
fn a_kill_ends_the_wait_and_nothing_is_lost() {
    both_ways(|_| {
        let (socket, peer) = tcp_pair();
        socket.set_linger(Some(LONG)).unwrap();
        let sent = fill(&socket);
        let closed = Arc::new(socket);
        let theirs = Arc::clone(&closed);
        let closer = Builder::new().spawn(move || theirs.close()).unwrap();
        wait_until("the close has begun", || closed.is_closed());
        let began = Instant::now();
        closer.kill().unwrap();
        assert!(closer.join().is_err());
        assert!(began.elapsed() < SOON);
        assert_eq!(drain(&peer).unwrap(), sent);
    });
}

#[test]
fn what_is_given_away_lingers_as_before() {
    both_ways(|_| {
        for (how, socket, _peer) in lingering_pairs() {
            let descriptor = OwnedFd::from(socket);
            let linger = SockRef::from(&descriptor).linger().unwrap();
            assert_eq!(linger, Some(LONG), "{how}");
        }
    });
}

/// A message brings it, and nobody takes it.
#[test]
fn a_descriptor_that_is_not_taken_from_its_message_is_closed_without_waiting() {
    both_ways(|_| {
        let (socket, peer) = tcp_pair();
        let sent = fill(&socket);
        let elsewhere = OwnedFd::from(socket);
        SockRef::from(&elsewhere).set_linger(Some(LONG)).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let [ours, theirs] = [ours, theirs].map(GreenSocket::from);
        let mut control = ControlWriter::new();
        control.rights(&[elsewhere.as_fd()]);
        let bytes = [IoSlice::new(b"!")];
        theirs.sendmsg(&bytes, None, &control, 0).unwrap();
        drop(control);
        drop(elsewhere);
        let (mut byte, mut room) = ([0], [0; 64]);
        let mut bytes = [IoSliceMut::new(&mut byte)];
        let received = ours.recvmsg(&mut bytes, &mut room, 0).unwrap();
        let began = Instant::now();
        drop(received);
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        assert_eq!(drain(&peer).unwrap(), sent);
    });
}
