//! On what terms calls wait: O_NONBLOCK and time limits that are set, changed and taken back, seen and unseen.
#![expect(unsafe_code, reason = "C's functions")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread as os;
use std::time::{Duration, Instant};

use green::thread::{self, spawn_local};

use crate::{SOON, code, cvt, green, parks};

/// One that somebody has just waited to read from, and its peer.
fn waited_for() -> (UnixStream, UnixStream) {
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    let mut peer = theirs.try_clone().unwrap();
    let mut byte = [0];
    let read = parks(
        || ours.read(&mut byte).unwrap(),
        move || theirs.write_all(b"x").unwrap(),
    );
    assert_eq!(read, 1);
    peer.flush().unwrap();
    (ours, peer)
}

#[test]
fn a_call_knows_what_has_changed_since_the_last_wait() {
    green("changes", || {
        let nonblocking = |fd| {
            // SAFETY: no pointer is passed.
            cvt(unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) } as isize).unwrap()
        };
        let changes: [&dyn Fn(&UnixStream); 6] = [
            &|ours| _ = nonblocking(ours.as_raw_fd()),
            &|ours| ours.set_nonblocking(true).unwrap(),
            &|ours| ours.set_read_timeout(Some(SOON)).unwrap(),
            // By another number of the same socket.
            &|ours| ours.try_clone().unwrap().set_nonblocking(true).unwrap(),
            &|ours| {
                let ours = ours.try_clone().unwrap();
                let other = os::spawn(move || ours.set_nonblocking(true).unwrap());
                other.join().unwrap();
            },
            // The number is another socket's.
            &|ours| {
                let (other, peer) = UnixStream::pair().unwrap();
                nonblocking(other.as_raw_fd());
                std::mem::forget(peer);
                // SAFETY: two numbers that are open.
                let given = unsafe { libc::dup2(other.as_raw_fd(), ours.as_raw_fd()) };
                assert_eq!(given, ours.as_raw_fd());
            },
        ];
        for change in changes {
            let (mut ours, _peer) = waited_for();
            change(&ours);
            assert_eq!(code(ours.read(&mut [0])), libc::EAGAIN);
        }
    });
}

/// By a way that no hook sees.
fn set_nonblocking_unseen(socket: &UnixStream) {
    let (call, fd) = (libc::SYS_fcntl, socket.as_raw_fd());
    // SAFETY: no pointer is passed.
    let set = unsafe { libc::syscall(call, fd, libc::F_SETFL, libc::O_NONBLOCK) };
    assert_eq!(set, 0);
}

#[test]
fn a_wait_ends_whose_socket_has_become_non_blocking_unseen() {
    green("unseen", || {
        let (mut ours, _peer) = waited_for();
        set_nonblocking_unseen(&ours);
        assert_eq!(code(ours.read(&mut [0])), libc::EAGAIN);
    });
}

fn limit(ours: &UnixStream) {
    ours.set_read_timeout(Some(SOON)).unwrap();
}

/// Of a socket that somebody reads from.
type Change = fn(&Arc<UnixStream>);

#[test]
fn a_wait_that_has_begun_goes_on_when_its_terms_are_changed() {
    green("begun", || {
        let changes: [Change; 4] = [
            |ours| ours.set_nonblocking(true).unwrap(),
            |ours| limit(ours),
            // By another number of the same socket.
            |ours| limit(&ours.try_clone().unwrap()),
            // Then a wait in the other direction asks anew.
            |ours| {
                limit(ours);
                let ours = ours.clone();
                spawn_local(move || (&*ours).write_all(&vec![0; 1 << 20]));
                thread::sleep(SOON);
            },
        ];
        for change in changes {
            let (ours, mut peer) = waited_for();
            let ours = Arc::new(ours);
            let reader = spawn_local({
                let ours = ours.clone();
                move || (&*ours).read(&mut [0]).unwrap()
            });
            thread::sleep(SOON);
            change(&ours);
            // It looks again after half a second.
            thread::sleep(Duration::from_millis(700));
            assert!(!reader.is_finished());
            peer.write_all(b"y").unwrap();
            assert_eq!(reader.join().unwrap(), 1);
        }
    });
}

#[test]
fn writers_that_forestall_each_other_find_out_what_was_changed_unseen() {
    green("forestalled", || {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let ours = Arc::new(ours);
        let writers: Vec<_> = (0..8)
            .map(|_| {
                let ours = ours.clone();
                spawn_local(move || while matches!((&*ours).write(&[0; 1 << 18]), Ok(1..)) {})
            })
            .collect();
        let mut all = vec![0; 1 << 20];
        // Their terms are noted.
        thread::sleep(SOON);
        assert_ne!(peer.read(&mut all).unwrap(), 0);
        thread::sleep(SOON);
        set_nonblocking_unseen(&ours);
        drop(ours);
        // Whoever comes first leaves nothing to the others.
        for _ in 0..40 {
            thread::sleep(Duration::from_millis(1));
            let _ = peer.read(&mut all);
        }
        for writer in writers {
            writer.join().unwrap();
        }
    });
}

/// How long others take for each part.
const PART: Duration = Duration::from_millis(100);
/// Longer than for one part, shorter than for all.
const LIMIT: Duration = Duration::from_secs(1);

#[test]
fn a_limit_is_one_for_all_waits_of_a_call() {
    green("wholes", || {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        ours.set_read_timeout(Some(LIMIT)).unwrap();
        ours.set_write_timeout(Some(LIMIT)).unwrap();
        let mut peer = theirs.try_clone().unwrap();
        let writer = spawn_local(move || {
            while peer.write_all(b"x").is_ok() {
                thread::sleep(PART);
            }
        });
        let mut all = [0; 40];
        let (fd, to) = (ours.as_raw_fd(), all.as_mut_ptr().cast());
        // SAFETY: a buffer of this length.
        let read = unsafe { libc::recv(fd, to, all.len(), libc::MSG_WAITALL) };
        assert!((1..40).contains(&read), "{read}");
        writer.kill().unwrap();

        let reader = spawn_local(move || {
            let mut part = vec![0; 1 << 20];
            while theirs.read(&mut part).is_ok_and(|read| read > 0) {
                thread::sleep(PART);
            }
        });
        let begun = Instant::now();
        let whole = 1 << 26;
        let sent = ours.write(&vec![0; whole]).unwrap();
        assert!(sent < whole, "{sent} in {:?}", begun.elapsed());
        reader.kill().unwrap();
    });
}

#[test]
fn a_limit_of_unix_s_sockets_is_one_for_each_part_that_they_send() {
    green("parts", || {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_write_timeout(Some(LIMIT)).unwrap();
        let whole = 12 << 18;
        let reader = spawn_local(move || {
            let mut part = vec![0; 1 << 18];
            let mut read = 0;
            while read < whole {
                thread::sleep(PART);
                read += theirs.read(&mut part).unwrap();
            }
        });
        assert_eq!(ours.write(&vec![0; whole]).unwrap(), whole);
        reader.join().unwrap();
    });
}
