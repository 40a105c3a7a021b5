use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::green_thread::{sleep, spawn, spawn_local};
use crate::hub::current;
use crate::hub::registry::Ready;
use crate::sys::epoll;

fn pair() -> (Source, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Source::new(ours.into()), theirs)
}

fn tcp_pair() -> (Source, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    theirs.set_nodelay(true).unwrap();
    let ours = listener.accept().unwrap().0;
    ours.set_nonblocking(true).unwrap();
    (Source::new_tcp_stream(ours.into()), theirs)
}

fn read(source: &Source, buffer: &mut [u8], limit: Option<Duration>) -> io::Result<usize> {
    let deadline = Deadline::within(limit);
    let capacity = buffer.len();
    source.retry_read(deadline, capacity, |fd| {
        socket2::SockRef::from(&fd).recv(crate::source::tests::uninit(buffer))
    })
}

/// A buffer as socket2 takes it.
#[expect(unsafe_code, reason = "initialised bytes are valid uninitialised ones")]
fn uninit(buffer: &mut [u8]) -> &mut [std::mem::MaybeUninit<u8>] {
    // SAFETY: same layout; recv only writes initialised bytes.
    unsafe { &mut *(std::ptr::from_mut(buffer) as *mut [std::mem::MaybeUninit<u8>]) }
}

/// Runs `body` on this OS thread and on a green thread.
fn both(body: impl Fn() + Clone + Send + 'static) {
    body();
    crate::run(body);
}

#[test]
fn a_read_waits_for_data_and_then_for_more() {
    both(|| {
        let (source, mut theirs) = tcp_pair();
        let writer = spawn(move || {
            for n in 0..20u8 {
                sleep(Duration::from_millis(1));
                theirs.write_all(&[n]).unwrap();
            }
        });
        let mut buffer = [0; 64];
        let mut seen = Vec::new();
        loop {
            match read(&source, &mut buffer, None).unwrap() {
                0 => break,
                n => seen.extend_from_slice(&buffer[..n]),
            }
        }
        assert_eq!(seen, (0..20).collect::<Vec<u8>>());
        writer.join().unwrap();
    });
}

#[test]
fn what_several_reads_take_needs_one_edge() {
    both(|| {
        let (source, mut theirs) = tcp_pair();
        theirs.write_all(&[7; 10_000]).unwrap();
        // The peer says nothing any more, so the kernel announces nothing any more.
        let mut left = 10_000;
        while left > 0 {
            let mut buffer = [0; 4096];
            let limit = Some(Duration::from_secs(20));
            left -= read(&source, &mut buffer, limit).unwrap();
        }
        drop(theirs);
    });
}

#[test]
fn a_time_limit_ends_the_read_and_the_next_one_gets_the_data() {
    both(|| {
        let (source, mut theirs) = tcp_pair();
        let mut buffer = [0; 8];
        let began = Instant::now();
        let error = read(&source, &mut buffer, Some(Duration::from_millis(20))).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
        assert!(began.elapsed() >= Duration::from_millis(20));
        theirs.write_all(b"late").unwrap();
        assert_eq!(read(&source, &mut buffer, None).unwrap(), 4);
    });
}

#[test]
fn close_ends_a_read_that_waits() {
    both(|| {
        let (source, mut theirs) = pair();
        let source = Arc::new(source);
        let closer = source.clone();
        let closing = spawn(move || {
            while closer.lines.read.waiters.is_empty() {
                sleep(Duration::from_millis(1));
            }
            closer.close();
        });
        let error = read(&source, &mut [0; 8], None).unwrap_err();
        assert!(ClosedLocally::caused(&error), "{error:?}");
        closing.join().unwrap();
        // The peer hears of it though the number is still taken.
        assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 0);
        let again = read(&source, &mut [0; 8], None).unwrap_err();
        assert!(ClosedLocally::caused(&again));
    });
}

#[test]
fn a_close_under_a_read_that_runs_is_no_end_of_stream() {
    let (source, _theirs) = pair();
    let closes = |fd: BorrowedFd<'_>| {
        source.close();
        // What the kernel says to a read between the shutdown and the rest.
        assert!(fd.as_raw_fd() >= 0);
        Ok(0)
    };
    let error = source.retry_read(Deadline::NEVER, 8, closes).unwrap_err();
    assert!(ClosedLocally::caused(&error), "{error:?}");
}

#[test]
fn each_of_many_readers_is_served() {
    let (source, mut theirs) = pair();
    let source = Arc::new(source);
    const READERS: usize = 16;
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let source = source.clone();
            spawn(move || {
                let mut byte = [0];
                read(&source, &mut byte, None).unwrap();
                byte[0]
            })
        })
        .collect();
    while source.lines.read.waiters.len() < READERS {
        sleep(Duration::from_millis(1));
    }
    // All at once: there is one edge for them all.
    theirs
        .write_all(&(0..READERS as u8).collect::<Vec<_>>())
        .unwrap();
    let mut seen: Vec<u8> = readers.into_iter().map(|r| r.join().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..READERS as u8).collect::<Vec<_>>());
}

#[test]
fn a_killed_reader_takes_nothing_with_it() {
    let (source, mut theirs) = pair();
    let source = Arc::new(source);
    let reader = || {
        let source = source.clone();
        spawn(move || read(&source, &mut [0; 8], None).unwrap())
    };
    let (first, second) = (reader(), reader());
    while source.lines.read.waiters.len() < 2 {
        sleep(Duration::from_millis(1));
    }
    first.kill().unwrap();
    assert!(first.join().unwrap_err().is::<crate::Killed>());
    theirs.write_all(b"one").unwrap();
    assert_eq!(second.join().unwrap(), 3);
    assert!(source.lines.read.waiters.is_empty());
}

#[test]
fn a_short_read_lets_the_next_one_wait_without_asking() {
    crate::run(|| {
        let (source, mut theirs) = tcp_pair();
        theirs.write_all(b"abc").unwrap();
        let mut calls = 0;
        let mut buffer = [0; 16];
        source.wait(Direction::Read, Deadline::NEVER).unwrap();
        source
            .retry_read(Deadline::NEVER, 16, |fd| {
                calls += 1;
                socket2::SockRef::from(&fd).recv(uninit(&mut buffer))
            })
            .unwrap();
        assert_eq!(calls, 1);
        assert!(!source.lines.read.look().is_ready());
        let late = spawn_local(move || {
            sleep(Duration::from_millis(2));
            theirs.write_all(b"def").unwrap();
            theirs
        });
        source
            .retry_read(Deadline::NEVER, 16, |fd| {
                calls += 1;
                socket2::SockRef::from(&fd).recv(uninit(&mut buffer))
            })
            .unwrap();
        assert_eq!(calls, 2, "one call for each message");
        // Once the peer has ended, a short read says nothing any more.
        drop(late.join().unwrap());
        assert_eq!(read(&source, &mut buffer, None).unwrap(), 0);
        assert_eq!(read(&source, &mut buffer, None).unwrap(), 0);
    });
}

#[test]
fn a_nudge_between_a_try_and_its_wait_is_not_lost() {
    both(|| {
        let (source, _theirs) = pair();
        let limit = Deadline::after(Duration::from_secs(20));
        for rounds in 1..3 {
            let mut tries = 0;
            let nudged = source.retry(Direction::Read, limit, |_| {
                tries += 1;
                if tries > rounds {
                    return Ok(());
                }
                source.nudge(Direction::Read);
                Err(io::ErrorKind::WouldBlock.into())
            });
            assert!(nudged.is_ok(), "{nudged:?}");
        }
    });
}

#[test]
fn a_regular_file_is_always_ready() {
    both(|| {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let source = Source::new(file.into());
        assert!(source.wait(Direction::Read, Deadline::NEVER).unwrap());
        let fd = source.into_fd();
        assert!(crate::wait_readable(&fd, Deadline::NEVER).unwrap());
    });
}

#[test]
fn an_invalid_descriptor_is_an_error_each_time() {
    both(|| {
        for _ in 0..2 {
            let error = crate::wait_readable(&1_000_000, Deadline::NEVER).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        }
    });
}

#[test]
fn closing_again_spares_the_next_owner_of_the_number() {
    let (source, _theirs) = pair();
    let number = source.as_raw_fd();
    source.close();
    let (other, mut peer) = UnixStream::pair().unwrap();
    assert_ne!(
        other.as_raw_fd(),
        number,
        "the number is taken until the drop"
    );
    source.close();
    drop(source);
    peer.write_all(b"alive").unwrap();
    let mut other = other;
    assert_eq!(other.read(&mut [0; 8]).unwrap(), 5);
}

#[test]
fn an_ended_wait_leaves_nothing_in_the_hub() {
    crate::run(|| {
        let (source, _theirs) = pair();
        let _ = read(&source, &mut [0; 1], Some(Duration::from_millis(1)));
        let _ = crate::timeout(Duration::from_millis(1), || {
            read(&source, &mut [0; 1], None)
        });
        assert!(source.lines.read.waiters.is_empty());
        let lines = Arc::downgrade(&source.lines);
        drop(source);
        assert!(lines.upgrade().is_none(), "nobody else holds it");
        let own = current::with(|task| task.green().unwrap().deadline.get());
        assert!(own.is_never());
    });
}

#[test]
fn a_wait_of_an_os_thread_leaves_nothing_behind() {
    let (source, mut theirs) = pair();
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(5));
        theirs.write_all(b"x").unwrap();
    });
    assert_eq!(read(&source, &mut [0; 2], None).unwrap(), 1);
    assert!(source.lines.read.waiters.is_empty());
    writer.join().unwrap();
}

#[test]
fn who_comes_when_there_is_data_reads_after_those_who_wait() {
    crate::run(|| {
        let (source, mut theirs) = pair();
        let source = Arc::new(source);
        let next = |source: &Source| {
            let mut byte = [0];
            read(source, &mut byte, None).unwrap();
            byte[0]
        };
        let readers = [(); 2].map(|()| {
            let source = source.clone();
            spawn_local(move || next(&source))
        });
        while source.lines.read.waiters.len() < 2 {
            sleep(Duration::from_millis(1));
        }
        theirs.write_all(b"123").unwrap();
        // As from the poller: the first one is to run now, and the second one still waits.
        source.lines.deliver(epoll::IN);
        assert_eq!(next(&source), b'3');
        assert_eq!(readers.map(|reader| reader.join().unwrap()), *b"12");
    });
}

#[test]
fn a_wait_that_finds_its_source_closed_as_others_ran_says_so() {
    crate::run(|| {
        let (source, mut theirs) = pair();
        theirs.write_all(b"ready").unwrap();
        let source = Arc::new(source);
        let closing = source.clone();
        spawn_local(move || closing.close());
        // It never has to wait, and gives way now and then.
        let error = loop {
            match source.wait(Direction::Read, Deadline::NEVER) {
                Ok(ready) => assert!(ready && !source.is_closed()),
                Err(error) => break error,
            }
        };
        assert!(ClosedLocally::caused(&error), "{error:?}");
    });
}
