//! poll(2) and its kind.
#![expect(unsafe_code, reason = "C's functions")]

use std::io::Write;
use std::mem::zeroed;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr::null_mut;
use std::time::Instant;

use crate::{SOON, green, parks};

fn entry(stream: &UnixStream, events: i16) -> libc::pollfd {
    libc::pollfd {
        fd: stream.as_raw_fd(),
        events,
        revents: 0,
    }
}

fn write_later(stream: &UnixStream) -> impl FnOnce() + 'static {
    let stream = stream.try_clone().unwrap();
    move || (&stream).write_all(b"x").unwrap()
}

#[test]
fn poll_parks_for_one_and_for_several() {
    green("poll", || {
        let [(a, _b), (c, d)] = [(); 2].map(|()| UnixStream::pair().unwrap());
        // SAFETY: entries that live across the calls.
        unsafe {
            let mut one = [entry(&c, libc::POLLIN)];
            assert_eq!(
                parks(|| libc::poll(one.as_mut_ptr(), 1, -1), write_later(&d)),
                1
            );
            assert_eq!(one[0].revents, libc::POLLIN);
            std::io::Read::read(&mut &c, &mut [0; 8]).unwrap();
            // The same number twice, one that is no number, and urgent data.
            let mut several = [
                entry(&a, libc::POLLIN | libc::POLLPRI),
                libc::pollfd {
                    fd: -1,
                    events: libc::POLLIN,
                    revents: 7,
                },
                entry(&c, libc::POLLIN),
                entry(&c, libc::POLLPRI),
            ];
            let asked = || libc::ppoll(several.as_mut_ptr(), 4, std::ptr::null(), std::ptr::null());
            assert_eq!(parks(asked, write_later(&d)), 1);
            assert_eq!(several.map(|entry| entry.revents), [0, 0, libc::POLLIN, 0]);
            let begun = Instant::now();
            assert_eq!(libc::poll([entry(&a, libc::POLLIN)].as_mut_ptr(), 1, 10), 0);
            assert_eq!(libc::poll(null_mut(), 0, 10), 0);
            assert!(begun.elapsed() >= 2 * SOON);
            assert_eq!(
                libc::poll(
                    [entry(&a, libc::POLLIN | libc::POLLOUT)].as_mut_ptr(),
                    1,
                    -1
                ),
                1
            );
        }
    });
}

#[test]
fn select_parks() {
    green("select", || {
        let (c, d) = UnixStream::pair().unwrap();
        let fd = c.as_raw_fd();
        // SAFETY: sets and times that live across the calls.
        unsafe {
            let mut read: libc::fd_set = zeroed();
            for precise in [false, true] {
                libc::FD_SET(fd, &mut read);
                let asked = || match precise {
                    false => libc::select(fd + 1, &mut read, null_mut(), null_mut(), null_mut()),
                    true => libc::pselect(
                        fd + 1,
                        &mut read,
                        null_mut(),
                        null_mut(),
                        std::ptr::null(),
                        std::ptr::null(),
                    ),
                };
                assert_eq!(parks(asked, write_later(&d)), 1);
                assert!(libc::FD_ISSET(fd, &read));
                std::io::Read::read(&mut &c, &mut [0; 8]).unwrap();
            }
            let mut limit = libc::timeval {
                tv_sec: 0,
                tv_usec: 10_000,
            };
            assert_eq!(
                libc::select(fd + 1, &mut read, null_mut(), null_mut(), &mut limit),
                0
            );
            assert!(!libc::FD_ISSET(fd, &read));
        }
    });
}

#[test]
fn the_poller_of_another_library_parks() {
    green("epoll", || {
        let (c, d) = UnixStream::pair().unwrap();
        // SAFETY: events that live across the calls; the poller is closed once.
        unsafe {
            let poller = libc::epoll_create1(0);
            let mut event = libc::epoll_event {
                events: libc::EPOLLIN as u32,
                u64: 7,
            };
            libc::epoll_ctl(poller, libc::EPOLL_CTL_ADD, c.as_raw_fd(), &mut event);
            let mut got: [libc::epoll_event; 4] = zeroed();
            for call in 0..3 {
                let at = got.as_mut_ptr();
                let asked = || match call {
                    0 => libc::epoll_wait(poller, at, 4, -1),
                    1 => libc::epoll_pwait(poller, at, 4, -1, std::ptr::null()),
                    _ => libc::epoll_pwait2(poller, at, 4, std::ptr::null(), std::ptr::null()),
                };
                assert_eq!(parks(asked, write_later(&d)), 1);
                assert_eq!({ got[0].u64 }, 7);
                std::io::Read::read(&mut &c, &mut [0; 8]).unwrap();
            }
            assert_eq!(libc::epoll_wait(poller, got.as_mut_ptr(), 4, 5), 0);
            libc::close(poller);
        }
    });
}
