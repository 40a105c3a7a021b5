//! Records that leave straight from the engine, without a copy.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use greenhub::greenio::NonBlocking;

use super::*;
use crate::ssl::record;

/// A socket, and its other end.
fn sockets() -> (GreenSocket, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    (GreenSocket::from(OwnedFd::from(near)), far)
}

/// Feeds all that comes, and gives what it says.
fn read_from(pipe: &mut SslPipe, far: &mut UnixStream) -> Vec<u8> {
    let (mut ciphertext, mut plaintext) = (Vec::new(), Vec::new());
    far.read_to_end(&mut ciphertext).unwrap();
    let mut rest = &ciphertext[..];
    while !rest.is_empty() {
        rest = &rest[pipe.feed(rest)..];
        plaintext.extend(read_all(pipe));
    }
    plaintext
}

#[test]
fn a_write_of_one_record_leaves_at_once_and_needs_no_buffer() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        pair.settle();
        let (near, mut far) = sockets();
        let before = pair.client.produced();
        let written = pair.client.write_straight(&[7; record::PLAINTEXT], &near);
        assert_eq!(written.unwrap(), Progress::Done(record::PLAINTEXT));
        assert_eq!(pair.client.outgoing(), 0, "{setup:?}");
        assert_eq!(pair.client.bio.wire().outgoing.capacity(), 0, "{setup:?}");
        assert!(pair.client.produced() > before + record::PLAINTEXT as u64);
        assert_eq!(pair.client.drained(), pair.client.produced());
        drop(near);
        assert_eq!(
            read_from(&mut pair.server, &mut far),
            [7; record::PLAINTEXT]
        );
    }
}

#[test]
fn what_the_socket_does_not_take_waits_and_all_keeps_its_order() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        pair.settle();
        let (near, mut far) = sockets();
        let mut written = Vec::new();
        for round in 0_u8.. {
            let block = [round; record::PLAINTEXT];
            let progress = pair.client.write_straight(&block, &near).unwrap();
            if progress == Progress::WantWrite {
                break;
            }
            assert_eq!(progress, Progress::Done(block.len()));
            written.extend(block);
        }
        // Of more than one record, some were not sent at all.
        assert!(pair.client.outgoing() > record::PLAINTEXT, "{setup:?}");
        let reader = std::thread::spawn(move || {
            let plaintext = read_from(&mut pair.server, &mut far);
            (plaintext, pair.server)
        });
        while pair.client.outgoing() > 0 {
            match pair.client.drain_to(&mut NonBlocking(&near)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                drained => assert!(drained.unwrap() > 0),
            }
        }
        drop(near);
        assert_eq!(reader.join().unwrap().0, written, "{setup:?}");
    }
}

#[test]
fn a_failure_is_told_to_who_drains_and_by_later_writes() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        pair.settle();
        let (near, far) = sockets();
        drop(far);
        // As when the kernel takes it, and the connection breaks afterwards.
        let written = pair.client.write_straight(b"lost", &near);
        assert_eq!(written.unwrap(), Progress::Done(4));
        assert!(pair.client.outgoing() > 0);
        // Not what this one would say.
        let drained = pair.client.drain_to(&mut io::sink());
        assert_eq!(drained.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(
            (pair.client.outgoing(), pair.client.drained()),
            (0, pair.client.produced())
        );
        for _ in 0..2 {
            let refused = pair.client.write_straight(b"more", &near);
            assert_eq!(error_of(refused).kind(), ErrorKind::BrokenPipe, "{setup:?}");
        }
    }
}

#[test]
fn nothing_overtakes_what_waits() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        pair.settle();
        let (mut near, mut far) = sockets();
        write(&mut pair.client, b"first ");
        let written = pair.client.write_straight(b"second", &near);
        assert_eq!(written.unwrap(), Progress::Done(6));
        near.write_all(&drain(&mut pair.client)).unwrap();
        drop(near);
        assert_eq!(
            read_from(&mut pair.server, &mut far),
            b"first second",
            "{setup:?}"
        );
    }
}
