//! Kills and time limits: told by a code where unmodified code knows errors, never by an unwind.
#![expect(unsafe_code, reason = "C's functions")]

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{TcpListener, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Mutex;
use std::thread as os;
use std::time::{Duration, Instant};

use green::thread::{self, spawn_local};
use green::{Killed, timeout};

use crate::{LONG, SOON, code, green};

/// Waits for something that never happens, and gives the code that ended it.
type Waits = fn() -> i32;

const WAITS: [(&str, Waits); 7] = [
    ("read", || {
        let (mut ours, _theirs) = UnixStream::pair().unwrap();
        code(ours.read(&mut [0]))
    }),
    ("pipe", || {
        let (mut reader, _writer) = io::pipe().unwrap();
        code(reader.read(&mut [0]))
    }),
    ("accept", || {
        code(TcpListener::bind(("127.0.0.1", 0)).unwrap().accept())
    }),
    ("poll", || {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut entry = libc::pollfd {
            fd: std::os::fd::AsRawFd::as_raw_fd(&ours),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: an entry that lives across the call.
        code(crate::cvt(unsafe { libc::poll(&mut entry, 1, -1) } as isize))
    }),
    ("write", || {
        let (mut ours, _theirs) = UnixStream::pair().unwrap();
        while ours.write(&vec![0; 1 << 16]).is_ok_and(|n| n == 1 << 16) {}
        code(ours.write(&[0]))
    }),
    ("child", || {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let given = code(child.wait());
        drop(input);
        // The kill is told here too.
        let _ = child.try_wait();
        given
    }),
    ("sleep", || {
        os::sleep(LONG);
        libc::ECANCELED
    }),
];

#[test]
fn a_kill_is_told_and_stays_in_force() {
    green("kills", || {
        for (name, waits) in WAITS {
            let waiter = spawn_local(move || {
                let given = waits();
                assert_eq!(given, libc::ECANCELED, "{name}");
                // A wait of green's own unwinds.
                thread::sleep(LONG);
            });
            thread::sleep(SOON);
            waiter.kill().unwrap();
            let ended = waiter.join().unwrap_err();
            assert!(
                ended.is::<Killed>(),
                "{name}: {:?}",
                ended.downcast_ref::<String>()
            );
        }
    });
}

#[test]
fn a_limit_is_told_and_its_block_has_elapsed() {
    green("limits", || {
        for (name, waits) in WAITS {
            let begun = Instant::now();
            let outcome = timeout(SOON, || {
                let given = waits();
                assert!(
                    [libc::ETIMEDOUT, libc::ECANCELED].contains(&given),
                    "{name}: {given}"
                );
            });
            assert!(outcome.is_err(), "{name}");
            assert!(begun.elapsed() < Duration::from_secs(30), "{name}");
        }
        assert_eq!(timeout(LONG, || 7), Ok(7));
    });
}

/// Tries again whatever the error is, and never asks anybody else.
fn retries(stop: &Cell<bool>, tries: &Cell<u32>, pause: Duration) {
    let (mut ours, _theirs) = UnixStream::pair().unwrap();
    while !stop.get() {
        let _ = ours.read(&mut [0]);
        tries.set(tries.get() + 1);
        if !pause.is_zero() {
            os::sleep(pause);
        }
    }
}

#[test]
fn a_loop_that_ignores_its_errors_rests_between_its_tries() {
    green("loops", || {
        for (pause, enough) in [(Duration::ZERO, 20), (SOON, 3)] {
            for is_killed in [true, false] {
                let (tries, stop) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
                let deaf = spawn_local({
                    let (tries, stop) = (tries.clone(), stop.clone());
                    let deaf = move || retries(&stop, &tries, pause);
                    move || timeout(if is_killed { LONG } else { SOON }, deaf)
                });
                thread::yield_now();
                if is_killed {
                    deaf.kill().unwrap();
                }
                while tries.get() < enough {
                    thread::sleep(Duration::from_millis(1));
                }
                let before = tries.get();
                (0..1_000).for_each(|_| thread::yield_now());
                assert!(tries.get() - before < 500, "it has a turn each time");
                stop.set(true);
                assert_eq!(deaf.join().unwrap().is_ok(), is_killed);
            }
        }
    });
}

#[test]
fn a_loop_that_yields_by_green_ends() {
    green("checks", || {
        let polite = spawn_local(|| {
            let (mut ours, _theirs) = UnixStream::pair().unwrap();
            loop {
                let _ = ours.read(&mut [0]);
                thread::yield_now();
            }
        });
        thread::yield_now();
        polite.kill().unwrap();
        assert!(polite.join().unwrap_err().is::<Killed>());
    });
}

#[test]
fn a_lookup_that_is_cut_leaves_nothing_behind() {
    green("lookups", || {
        for _ in 0..20 {
            let looker = spawn_local(|| ("localhost", 80).to_socket_addrs().map(Iterator::count));
            thread::yield_now();
            looker.kill().unwrap();
            match looker.join() {
                Ok(Ok(count)) => assert!(count > 0),
                Ok(Err(error)) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED)),
                Err(panic) => assert!(panic.is::<Killed>()),
            }
        }
    });
}

#[test]
fn locks_wait_on() {
    green("locks wait on", || {
        let mutex = std::sync::Arc::new(Mutex::new(()));
        let held = mutex.lock().unwrap();
        let waiter = spawn_local({
            let mutex = mutex.clone();
            move || timeout(SOON, || drop(mutex.lock().unwrap()))
        });
        thread::sleep(SOON);
        waiter.kill().unwrap();
        thread::sleep(2 * SOON);
        assert!(!waiter.is_finished(), "std knows no error there");
        drop(held);
        assert_eq!(waiter.join().unwrap(), Ok(()), "nothing was told");
    });
}

#[test]
fn destructors_wait_while_they_unwind() {
    green("destructors", || {
        struct Waits(UnixStream, std::rc::Rc<std::cell::Cell<bool>>);
        impl Drop for Waits {
            fn drop(&mut self) {
                os::sleep(SOON);
                assert_eq!(self.0.read(&mut [0; 8]).unwrap(), 3);
                self.1.set(true);
            }
        }
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let done = std::rc::Rc::new(std::cell::Cell::new(false));
        let waits = Waits(ours, done.clone());
        let dying = spawn_local(move || {
            let _waits = waits;
            thread::sleep(LONG);
        });
        thread::sleep(SOON);
        dying.kill().unwrap();
        thread::sleep(2 * SOON);
        theirs.write_all(b"abc").unwrap();
        assert!(dying.join().unwrap_err().is::<Killed>());
        assert!(done.get());
    });
}
