//! `poll` and `select` over pipes, sockets, files and raw descriptors, on OS threads and on green threads.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use green::select::{Interest, PollFd, poll, select};
use test_support::both::on_both;
use test_support::bounded;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn all_that_are_ready_are_returned() {
    on_both("all", || {
        let (quiet, _open) = green::io::pipe().unwrap();
        let (ready, mut writer) = green::io::pipe().unwrap();
        let (socket, mut peer) = UnixStream::pair().unwrap();
        writer.write_all(b"x").unwrap();
        peer.write_all(b"x").unwrap();
        let selected = select(&[&quiet, &ready, &socket], &[&writer], &[&socket], None).unwrap();
        assert_eq!(selected.readable, [1, 2]);
        assert_eq!(selected.writable, [0]);
        assert!(selected.exceptional.is_empty());
    });
}

#[test]
fn a_wait_ends_when_one_becomes_ready() {
    on_both("one of many", || {
        let mut pipes: Vec<_> = (0..100).map(|_| green::io::pipe().unwrap()).collect();
        let (readers, mut writers): (Vec<_>, Vec<_>) = pipes.drain(..).unzip();
        let waiter = green::thread::spawn(move || {
            let mut fds: Vec<_> = readers
                .iter()
                .map(|reader| PollFd::new(reader, Interest::READABLE))
                .collect();
            assert_eq!(poll(&mut fds, None).unwrap(), 1);
            fds.iter().position(|fd| fd.readiness().any())
        });
        green::thread::sleep(Duration::from_millis(5));
        assert!(!waiter.is_finished());
        writers[42].write_all(b"x").unwrap();
        assert_eq!(waiter.join().unwrap(), Some(42));
    });
}

#[test]
fn limits_are_kept() {
    on_both("limits", || {
        let limit = Duration::from_millis(50);
        let (reader, _open) = green::io::pipe().unwrap();
        let start = Instant::now();
        let mut fds = [PollFd::new(&reader, Interest::READABLE)];
        assert_eq!(poll(&mut fds, Some(limit)).unwrap(), 0);
        assert!(!fds[0].readiness().any());
        assert!(start.elapsed() >= limit);
        assert_eq!(poll(&mut fds, Some(Duration::ZERO)).unwrap(), 0);
        assert!(
            select(&[&reader], &[], &[], Some(limit))
                .unwrap()
                .is_empty()
        );
        // Nothing to wait for but the time.
        let start = Instant::now();
        assert_eq!(poll(&mut [], Some(limit)).unwrap(), 0);
        assert!(start.elapsed() >= limit);
    });
}

#[test]
fn ends_and_errors_are_ready() {
    on_both("ends", || {
        let (mut reader, writer) = green::io::pipe().unwrap();
        drop(writer);
        let mut fds = [PollFd::new(&reader, Interest::READABLE)];
        assert_eq!(poll(&mut fds, None).unwrap(), 1);
        let readiness = fds[0].readiness();
        assert!(
            readiness.is_hang_up() && readiness.is_readable(),
            "{readiness:?}"
        );
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);

        let (reader, writer) = green::io::pipe().unwrap();
        drop(reader);
        // An error is reported though nothing was asked for.
        let mut fds = [PollFd::new(&writer, Interest::NONE)];
        assert_eq!(poll(&mut fds, None).unwrap(), 1);
        assert!(fds[0].readiness().is_error());
        assert_eq!(format!("{:?}", fds[0].readiness()), "Readiness(ERR)");
    });
}

#[test]
fn a_peer_that_leaves_ends_the_wait() {
    on_both("leaves", || {
        let (reader, writer) = green::io::pipe().unwrap();
        let waiter =
            green::thread::spawn(move || select(&[&reader], &[], &[], None).unwrap().readable);
        green::thread::sleep(Duration::from_millis(5));
        drop(writer);
        assert_eq!(waiter.join().unwrap(), [0]);
    });
}

#[test]
fn one_descriptor_may_stand_in_both_lists() {
    on_both("twice", || {
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        while (&near).write(&[0; 4096]).is_ok() {}
        let watched = near.try_clone().unwrap();
        let waiter =
            green::thread::spawn(move || select(&[&watched], &[&watched], &[], None).unwrap());
        green::thread::sleep(Duration::from_millis(5));
        assert!(!waiter.is_finished());
        far.write_all(b"x").unwrap();
        let selected = waiter.join().unwrap();
        assert_eq!((selected.readable, selected.writable), (vec![0], vec![]));
    });
}

#[test]
fn regular_files_are_always_ready() {
    on_both("files", || {
        let file = tempfile::tempfile().unwrap();
        let (quiet, _open) = green::io::pipe().unwrap();
        let selected = select(&[&quiet, &file], &[&file], &[], None).unwrap();
        assert_eq!((selected.readable, selected.writable), (vec![1], vec![0]));
        // One that is not waited for is no obstacle.
        let limit = Some(Duration::from_millis(5));
        let mut fds = [
            PollFd::new(&quiet, Interest::READABLE),
            PollFd::new(&file, Interest::NONE),
        ];
        assert_eq!(poll(&mut fds, limit).unwrap(), 0);
    });
}

#[test]
fn raw_descriptors_of_any_kind_can_be_waited_for() {
    on_both("raw", || {
        let (theirs, ours) = std::io::pipe().unwrap();
        let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        let number = theirs.as_fd().try_clone_to_owned().unwrap();
        let waiter = green::thread::spawn(move || {
            select(&[&event, &number], &[], &[], None).unwrap().readable
        });
        green::thread::sleep(Duration::from_millis(5));
        (&ours).write_all(b"x").unwrap();
        assert_eq!(waiter.join().unwrap(), [1]);
        // A blocking descriptor stays blocking.
        assert!(
            !rustix::fs::fcntl_getfl(&theirs)
                .unwrap()
                .contains(rustix::fs::OFlags::NONBLOCK)
        );
    });
}

#[test]
fn many_waits_at_once_share_a_hub() {
    bounded("many", LIMIT, || {
        green::run(|| {
            let (readers, mut writers): (Vec<_>, Vec<_>) =
                (0..200).map(|_| green::io::pipe().unwrap()).unzip();
            let waiters: Vec<_> = readers
                .into_iter()
                .map(|reader| {
                    green::thread::spawn(move || {
                        select(&[&reader], &[], &[], None).unwrap().readable
                    })
                })
                .collect();
            green::thread::yield_now();
            for writer in &mut writers {
                writer.write_all(b"x").unwrap();
            }
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), [0]);
            }
        });
    });
}
