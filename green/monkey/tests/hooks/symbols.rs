//! Every symbol by itself: called as C does, it parks its green thread, and a neighbour on the same hub does what it
//! waits for. A symbol that has no line here fails the test.
#![expect(unsafe_code, reason = "C's functions")]

use std::collections::BTreeSet;
use std::ffi::{c_char, c_int, c_void};
use std::fs;
use std::io::{self, Write};
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use test_support::child::alone;

use crate::{green, parks, patched};

mod ways;

pub(crate) use ways::Shared;
use ways::*;

/// What went otherwise than it should, in words: under kills and limits that is no fault.
pub(crate) type Outcome = Result<(), String>;

/// A symbol's name, and how it is tried.
pub(crate) type Symbol = (&'static str, fn() -> Outcome);

/// Takes any child of the process, so others must not have some.
pub(crate) const OF_ANYBODY: &str = "wait";

unsafe extern "C" {
    fn __recv_chk(fd: c_int, to: *mut c_void, len: usize, room: usize, flags: c_int) -> isize;
    fn __recvfrom_chk(
        fd: c_int,
        to: *mut c_void,
        len: usize,
        room: usize,
        flags: c_int,
        from: *mut libc::sockaddr,
        from_len: *mut libc::socklen_t,
    ) -> isize;
    fn __read_chk(fd: c_int, to: *mut c_void, len: usize, room: usize) -> isize;
    fn __poll_chk(entries: *mut libc::pollfd, len: u64, limit_ms: c_int, room: usize) -> c_int;
    fn fcntl64(fd: c_int, command: c_int, ...) -> c_int;
    fn epoll_pwait2(
        poller: c_int,
        events: *mut libc::epoll_event,
        room: c_int,
        limit: *const libc::timespec,
        mask: *const libc::sigset_t,
    ) -> c_int;
    fn pthread_cond_clockwait(
        condition: *mut libc::pthread_cond_t,
        lock: *mut libc::pthread_mutex_t,
        clock: libc::clockid_t,
        at: *const libc::timespec,
    ) -> c_int;
    fn gethostbyname(name: *const c_char) -> *mut c_void;
    fn gethostbyname_r(
        name: *const c_char,
        entry: *mut [u64; 4],
        room: *mut c_char,
        len: usize,
        found: *mut *mut c_void,
        error: *mut c_int,
    ) -> c_int;
}

// SAFETY: what the calls read and write lives across them, and C's locks are initialised by zeros,
// live in an `Arc` that whoever uses them holds, and are used as they are meant.
pub(crate) const SYMBOLS: &[Symbol] = unsafe {
    &[
        ("recv", || reads(|fd, to| libc::recv(fd, to, 8, 0))),
        ("recvfrom", || {
            reads(|fd, to| libc::recvfrom(fd, to, 8, 0, null_mut(), null_mut()))
        }),
        ("__recv_chk", || reads(|fd, to| __recv_chk(fd, to, 8, 8, 0))),
        ("__recvfrom_chk", || {
            reads(|fd, to| __recvfrom_chk(fd, to, 8, 8, 0, null_mut(), null_mut()))
        }),
        ("recvmsg", || {
            reads(|fd, to| in_a_message(to, 8, |message| libc::recvmsg(fd, message, 0)))
        }),
        ("recvmmsg", || {
            reads(|fd, to| {
                in_messages(to, 8, |message| {
                    libc::recvmmsg(fd, message, 1, 0, null_mut())
                })
            })
        }),
        ("read", || reads(|fd, to| libc::read(fd, to, 8))),
        ("__read_chk", || reads(|fd, to| __read_chk(fd, to, 8, 8))),
        ("readv", || {
            reads(|fd, to| {
                let part = libc::iovec {
                    iov_base: to,
                    iov_len: 8,
                };
                libc::readv(fd, &part, 1)
            })
        }),
        ("send", || {
            writes(|fd, from, len| libc::send(fd, from, len, libc::MSG_NOSIGNAL))
        }),
        ("sendto", || {
            writes(|fd, from, len| libc::sendto(fd, from, len, libc::MSG_NOSIGNAL, null(), 0))
        }),
        ("sendmsg", || {
            writes(|fd, from, len| {
                in_a_message(from.cast_mut(), len, |message| {
                    libc::sendmsg(fd, message, libc::MSG_NOSIGNAL)
                })
            })
        }),
        ("sendmmsg", several_datagrams),
        ("write", || {
            writes(|fd, from, len| libc::write(fd, from, len))
        }),
        ("writev", || {
            writes(|fd, from, len| {
                let part = libc::iovec {
                    iov_base: from.cast_mut(),
                    iov_len: len,
                };
                libc::writev(fd, &part, 1)
            })
        }),
        ("accept", || {
            accepts(|fd| libc::accept(fd, null_mut(), null_mut()))
        }),
        ("accept4", || {
            accepts(|fd| libc::accept4(fd, null_mut(), null_mut(), libc::SOCK_CLOEXEC))
        }),
        ("connect", connects),
        ("sendfile", || {
            sends_a_file(|to, from| libc::sendfile(to, from, null_mut(), 1_000))
        }),
        ("sendfile64", || {
            sends_a_file(|to, from| libc::sendfile64(to, from, null_mut(), 1_000))
        }),
        ("splice", || {
            let (reader, mut writer) = io::pipe().map_err(text)?;
            let (ours, _theirs) = UnixStream::pair().map_err(text)?;
            let (from, to) = (reader.as_raw_fd(), ours.as_raw_fd());
            let n = parks(
                || libc::splice(from, null_mut(), to, null_mut(), 3, 0),
                move || drop(writer.write(b"abc")),
            );
            is(n, 3)
        }),
        ("waitpid", || {
            waits_for_a_child(|id, status| libc::waitpid(id, status, 0))
        }),
        ("wait", || waits_for_a_child(|_, status| libc::wait(status))),
        ("wait4", || {
            waits_for_a_child(|id, status| libc::wait4(id, status, 0, null_mut()))
        }),
        ("waitid", || {
            waits_for_a_child(|id, status| {
                let mut info: libc::siginfo_t = zeroed();
                let given = libc::waitid(libc::P_PID, id as u32, &mut info, libc::WEXITED);
                *status = info.si_status();
                if given == 0 { info.si_pid() } else { given }
            })
        }),
        ("flock", || {
            locks_a_file(|fd, locks| {
                libc::flock(fd, if locks { libc::LOCK_EX } else { libc::LOCK_UN })
            })
        }),
        ("fcntl", || {
            locks_a_file(|fd, locks| {
                let lock = lock_of_a_file(locks);
                libc::fcntl(fd, libc::F_OFD_SETLKW, &raw const lock)
            })
        }),
        ("fcntl64", || {
            locks_a_file(|fd, locks| {
                let lock = lock_of_a_file(locks);
                fcntl64(fd, libc::F_OFD_SETLKW, &raw const lock)
            })
        }),
        ("poll", || polls(|entry| libc::poll(entry, 1, -1))),
        ("__poll_chk", || {
            polls(|entry| __poll_chk(entry, 1, -1, size_of::<libc::pollfd>()))
        }),
        ("ppoll", || {
            polls(|entry| libc::ppoll(entry, 1, null(), null()))
        }),
        ("select", || {
            selects(|most, set| libc::select(most, set, null_mut(), null_mut(), null_mut()))
        }),
        ("pselect", || {
            selects(|most, set| libc::pselect(most, set, null_mut(), null_mut(), null(), null()))
        }),
        ("epoll_wait", || {
            polls_by_another(|fd, event| libc::epoll_wait(fd, event, 1, -1))
        }),
        ("epoll_pwait", || {
            polls_by_another(|fd, event| libc::epoll_pwait(fd, event, 1, -1, null()))
        }),
        ("epoll_pwait2", || {
            polls_by_another(|fd, event| epoll_pwait2(fd, event, 1, null(), null()))
        }),
        ("sleep", || lets_others_run(|| libc::sleep(1) as c_int)),
        ("usleep", || lets_others_run(|| libc::usleep(10_000))),
        ("nanosleep", || {
            lets_others_run(|| libc::nanosleep(&TEN_MS, null_mut()))
        }),
        ("clock_nanosleep", || {
            lets_others_run(|| libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &TEN_MS, null_mut()))
        }),
        ("sched_yield", || lets_others_run(|| libc::sched_yield())),
        ("getaddrinfo", || {
            lets_others_run(|| {
                let mut found = null_mut();
                let code = libc::getaddrinfo(c"localhost".as_ptr(), null(), null(), &mut found);
                if code == 0 {
                    libc::freeaddrinfo(found);
                }
                code
            })
        }),
        ("getnameinfo", || {
            lets_others_run(|| {
                let mut address: libc::sockaddr_in = zeroed();
                address.sin_family = libc::AF_INET as u16;
                address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
                let mut host = [0; 200];
                let len = size_of_val(&address) as u32;
                let address = (&raw const address).cast();
                libc::getnameinfo(address, len, host.as_mut_ptr(), 200, null_mut(), 0, 0)
            })
        }),
        ("gethostbyname", || {
            lets_others_run(|| c_int::from(gethostbyname(c"localhost".as_ptr()).is_null()))
        }),
        ("gethostbyname_r", || {
            lets_others_run(|| {
                let (mut entry, mut room) = ([0; 4], [0; 2_000]);
                let (mut found, mut error) = (null_mut(), 0);
                let name = c"localhost".as_ptr();
                let room = room.as_mut_ptr();
                let code = gethostbyname_r(name, &mut entry, room, 2_000, &mut found, &mut error);
                if found.is_null() { -1 } else { code }
            })
        }),
        ("syscall", || {
            let word = Arc::new(AtomicU32::new(0));
            let other = word.clone();
            let none = null::<libc::timespec>();
            let (wait, wake) = (libc::FUTEX_WAIT | PRIVATE, libc::FUTEX_WAKE | PRIVATE);
            let given = parks(
                || libc::syscall(libc::SYS_futex, word.as_ptr(), wait, 0, none),
                move || {
                    other.store(1, Ordering::SeqCst);
                    libc::syscall(libc::SYS_futex, other.as_ptr(), wake, 1);
                },
            );
            is(given, 0)
        }),
        ("pthread_mutex_lock", || {
            locks_a_mutex(|lock| libc::pthread_mutex_lock(lock))
        }),
        ("pthread_mutex_timedlock", || {
            locks_a_mutex(|lock| libc::pthread_mutex_timedlock(lock, &LATE))
        }),
        ("pthread_mutex_unlock", || {
            locks_a_mutex(|lock| libc::pthread_mutex_lock(lock))
        }),
        ("pthread_rwlock_rdlock", || {
            locks_a_rwlock(|lock| libc::pthread_rwlock_rdlock(lock))
        }),
        ("pthread_rwlock_wrlock", || {
            locks_a_rwlock(|lock| libc::pthread_rwlock_wrlock(lock))
        }),
        ("pthread_rwlock_unlock", || {
            locks_a_rwlock(|lock| libc::pthread_rwlock_wrlock(lock))
        }),
        ("sem_wait", || {
            takes_a_semaphore(|semaphore| libc::sem_wait(semaphore))
        }),
        ("sem_timedwait", || {
            takes_a_semaphore(|semaphore| libc::sem_timedwait(semaphore, &LATE))
        }),
        ("sem_post", || {
            takes_a_semaphore(|semaphore| libc::sem_wait(semaphore))
        }),
        ("pthread_cond_wait", || {
            waits_for_a_condition(SIGNAL, |condition, lock| {
                libc::pthread_cond_wait(condition, lock)
            })
        }),
        ("pthread_cond_timedwait", || {
            waits_for_a_condition(SIGNAL, |condition, lock| {
                libc::pthread_cond_timedwait(condition, lock, &LATE)
            })
        }),
        ("pthread_cond_clockwait", || {
            waits_for_a_condition(SIGNAL, |condition, lock| {
                pthread_cond_clockwait(condition, lock, libc::CLOCK_REALTIME, &LATE)
            })
        }),
        ("pthread_cond_signal", || {
            waits_for_a_condition(SIGNAL, |condition, lock| {
                libc::pthread_cond_wait(condition, lock)
            })
        }),
        ("pthread_cond_broadcast", || {
            waits_for_a_condition(BROADCAST, |condition, lock| {
                libc::pthread_cond_wait(condition, lock)
            })
        }),
        ("pthread_join", joins_a_thread),
        ("ioctl", || {
            holds_at_once(|fd| libc::ioctl(fd, libc::FIONBIO, &1))
        }),
        ("setsockopt", || {
            holds_at_once(|fd| {
                let time = libc::timeval {
                    tv_sec: 0,
                    tv_usec: 1,
                };
                let (time, len) = ((&raw const time).cast(), size_of_val(&time) as u32);
                libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, time, len)
            })
        }),
        ("close", || {
            ends_the_waits(|fd, _| drop(OwnedFd::from_raw_fd(fd)))
        }),
        ("dup2", || {
            ends_the_waits(|fd, other| {
                libc::dup2(other, fd);
                libc::close(fd);
            })
        }),
        ("dup3", || {
            ends_the_waits(|fd, other| {
                libc::dup3(other, fd, libc::O_CLOEXEC);
                libc::close(fd);
            })
        }),
    ]
};

const PRIVATE: c_int = libc::FUTEX_PRIVATE_FLAG;
const TEN_MS: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: 10_000_000,
};
/// In another century.
const LATE: libc::timespec = libc::timespec {
    tv_sec: 1 << 32,
    tv_nsec: 0,
};
type Wakes = unsafe extern "C" fn(*mut libc::pthread_cond_t) -> c_int;
const SIGNAL: Wakes = libc::pthread_cond_signal;
const BROADCAST: Wakes = libc::pthread_cond_broadcast;

/// What the sources define.
fn defined() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/hooks");
    let files = fs::read_dir(folder).unwrap();
    let text = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let text: String = text.collect();
    let hooks = text.lines().filter_map(|line| {
        let line = line.trim_start().trim_start_matches("+ ");
        let gate = ["is_on(", "is_on_anywhere("];
        gate.iter().find(|gate| line.starts_with(**gate))?;
        let (_, rest) = line.split_once(") fn ")?;
        Some(rest.split('(').next()?.to_owned())
    });
    hooks.collect()
}

#[test]
fn every_symbol_is_called_here() {
    let called = SYMBOLS.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(defined(), called.collect());
    assert!(SYMBOLS.len() > 60);
}

#[test]
fn every_symbol_parks() {
    patched();
    for &(name, body) in SYMBOLS.iter().filter(|(name, _)| *name != OF_ANYBODY) {
        green(name, move || {
            body().unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        });
    }
}

#[test]
fn a_wait_for_any_child_parks() {
    alone("symbols::a_wait_for_any_child_parks", &[], || {
        let &(name, body) = SYMBOLS
            .iter()
            .find(|(name, _)| *name == OF_ANYBODY)
            .unwrap();
        green(name, move || body().unwrap());
    })
    .well();
}
