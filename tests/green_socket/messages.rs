//! `GreenSocket`: messages of several buffers, and the ancillary data that come with them.

#![expect(unsafe_code, reason = "asks for ids")]

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, SystemTime};

use greenhub::greenio::{ControlMessage, ControlWriter, SockAddr, Type};
use test_support::net::*;

use crate::{udp, unix_pair};

#[test]
fn only_what_is_borrowed_is_sent_as_a_descriptor() {
    let (here, there) = unix_pair(Type::STREAM);
    let mut control = ControlWriter::new();
    let number = there.as_raw_fd().to_ne_bytes();
    assert_kind(
        control.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &number),
        ErrorKind::InvalidInput,
    );
    const SOL_RDS: i32 = 276;
    assert_kind(control.push(SOL_RDS, 1, &[0; 48]), ErrorKind::InvalidInput);

    // Nothing of what was refused is sent.
    let sent = here.sendmsg(&[IoSlice::new(b"none")], None, &control, 0);
    assert_eq!(sent.unwrap(), 4);
    let (mut bytes, mut room) = ([0; 8], [0; 64]);
    let bufs = &mut [IoSliceMut::new(&mut bytes)];
    let mut received = there.recvmsg(bufs, &mut room, 0).unwrap();
    assert!(received.control.next().is_none());

    // Data alone is sent as it is: here our own process, user and group.
    there.set_passcred(true).unwrap();
    // SAFETY: these calls cannot fail and take no pointer.
    let ids = unsafe { [libc::getpid() as u32, libc::getuid(), libc::getgid()] };
    let credentials: Vec<u8> = ids.iter().flat_map(|id| id.to_ne_bytes()).collect();
    control
        .push(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &credentials)
        .unwrap();
    here.sendmsg(&[IoSlice::new(b"me")], None, &control, 0)
        .unwrap();
    drop(received);
    let bufs = &mut [IoSliceMut::new(&mut bytes)];
    let mut received = there.recvmsg(bufs, &mut room, 0).unwrap();
    let Some(ControlMessage::Other { data, .. }) = received.control.next() else {
        panic!("no credentials came");
    };
    assert_eq!(data, credentials);
}

#[test]
fn descriptors_travel_and_none_leaks() {
    both_ways(|_| {
        let (here, there) = unix_pair(Type::STREAM);
        let (reader, writer) = io::pipe().unwrap();
        let mut control = ControlWriter::new();
        control.rights(&[writer.as_fd(), here.as_fd()]);
        let sent = here.sendmsg(&[IoSlice::new(b"take")], None, &control, 0);
        assert_eq!(sent.unwrap(), 4);
        drop(writer);

        let (mut bytes, mut room) = ([0; 8], [0; 64]);
        let bufs = &mut [IoSliceMut::new(&mut bytes)];
        let mut received = there.recvmsg(bufs, &mut room, 0).unwrap();
        assert_eq!(received.len, 4);
        let Some(ControlMessage::Rights(descriptors)) = received.control.next() else {
            panic!("no descriptors came");
        };
        assert_eq!(descriptors.len(), 2);
        assert!(received.control.next().is_none());
        drop((descriptors, received));

        // The writer's last copy is gone when the message is not looked at.
        let mut end = Vec::new();
        (&reader).read_to_end(&mut end).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let mut control = ControlWriter::new();
        control.rights(&[writer.as_fd()]);
        here.sendmsg(&[IoSlice::new(b"take")], None, &control, 0)
            .unwrap();
        drop(writer);
        drop(
            there
                .recvmsg(&mut [IoSliceMut::new(&mut bytes)], &mut room, 0)
                .unwrap(),
        );
        (&reader).read_to_end(&mut end).unwrap();
    });
}

#[test]
fn credentials_of_the_sender_come_along() {
    both_ways(|_| {
        let (here, there) = unix_pair(Type::DGRAM);
        there.set_passcred(true).unwrap();
        here.send(b"who").unwrap();
        let (mut bytes, mut room) = ([0; 8], [0; 64]);
        let bufs = &mut [IoSliceMut::new(&mut bytes)];
        let mut received = there.recvmsg(bufs, &mut room, 0).unwrap();
        let Some(ControlMessage::Other { level, kind, data }) = received.control.next() else {
            panic!("no credentials came");
        };
        assert_eq!((level, kind), (libc::SOL_SOCKET, libc::SCM_CREDENTIALS));
        assert_eq!(data[..4], std::process::id().to_ne_bytes());
    });
}

#[test]
fn the_process_of_the_sender_comes_along_and_is_not_left_open() {
    /// From asm-generic/socket.h; libc does not have it.
    const SO_PASSPIDFD: i32 = 76;
    both_ways(|_| {
        let (here, there) = unix_pair(Type::DGRAM);
        if there
            .set_option_i32(libc::SOL_SOCKET, SO_PASSPIDFD, 1)
            .is_err()
        {
            eprintln!("skipped: the kernel sends no pidfds");
            return;
        }
        let (mut bytes, mut room) = ([0; 8], [0; 64]);
        here.send(b"who").unwrap();
        let bufs = &mut [IoSliceMut::new(&mut bytes)];
        let mut received = there.recvmsg(bufs, &mut room, 0).unwrap();
        let Some(ControlMessage::Pidfd(process)) = received.control.next() else {
            panic!("no process came");
        };
        let about = format!("/proc/self/fdinfo/{}", process.as_raw_fd());
        let about = std::fs::read_to_string(about).unwrap();
        let pid = format!("Pid:\t{}\n", std::process::id());
        assert!(about.contains(&pid), "{about}");
        drop((process, received));

        // It is closed also if nobody looks.
        let pidfds = || {
            let open = std::fs::read_dir("/proc/self/fd").unwrap();
            let names = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
            let is_pidfd = |name: &std::path::PathBuf| name.to_string_lossy().contains("pidfd");
            names.filter(is_pidfd).count()
        };
        let before = pidfds();
        for _ in 0..100 {
            here.send(b"who").unwrap();
            let bufs = &mut [IoSliceMut::new(&mut bytes)];
            assert_eq!(there.recvmsg(bufs, &mut room, 0).unwrap().len, 3);
        }
        assert!(pidfds() < before + 100, "left open");
    });
}

#[test]
fn the_time_of_arrival_comes_along() {
    both_ways(|_| {
        let (sender, receiver) = (udp(), udp());
        receiver.set_timestamp(true).unwrap();
        let before = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        sender
            .send_to(b"tick", &receiver.local_addr().unwrap())
            .unwrap();
        let (mut bytes, mut room) = ([0; 8], [0; 64]);
        let bufs = &mut [IoSliceMut::new(&mut bytes)];
        let mut received = receiver.recvmsg(bufs, &mut room, 0).unwrap();
        assert_eq!(ip(&received.address), ip(&sender.local_addr().unwrap()));
        let Some(ControlMessage::Other { level, kind, data }) = received.control.next() else {
            panic!("no time came");
        };
        assert_eq!((level, kind), (libc::SOL_SOCKET, libc::SCM_TIMESTAMP));
        let seconds = u64::from_ne_bytes(data[..8].try_into().unwrap());
        assert!(seconds.abs_diff(before.as_secs()) <= 5, "{seconds}");

        // Without room for it, the message comes and tells of the loss.
        sender
            .send_to(b"tock", &receiver.local_addr().unwrap())
            .unwrap();
        let bufs = &mut [IoSliceMut::new(&mut bytes)];
        let received = receiver.recvmsg(bufs, &mut [], 0).unwrap();
        assert_ne!(received.flags & libc::MSG_CTRUNC, 0);
    });
}

#[test]
fn messages_of_several_buffers_go_to_an_address() {
    both_ways(|_| {
        let (sender, receiver) = (udp(), udp());
        let address: SockAddr = receiver.local_addr().unwrap();
        let bufs = [IoSlice::new(b"to"), IoSlice::new(b"gether")];
        assert_eq!(
            sender
                .sendmsg(&bufs, Some(&address), &ControlWriter::new(), 0)
                .unwrap(),
            8
        );
        let mut buf = [0; 16];
        assert_eq!(
            receiver.recv_with_flags(&mut buf, libc::MSG_PEEK).unwrap(),
            8
        );
        // MSG_TRUNC tells the whole length of a datagram that does not fit.
        let len = receiver
            .recv_with_flags(&mut buf[..2], libc::MSG_TRUNC)
            .unwrap();
        assert_eq!(len, 8);
        assert_kind(
            sender.connect_timeout(&address, Duration::ZERO),
            ErrorKind::InvalidInput,
        );
    });
}
