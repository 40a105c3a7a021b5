//! What concerns the whole process: its end, its children, its user.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green::thread;

use crate::{alone, in_both, with_hubs};

/// Forks; the child's code is what `body` says. Gives how it ended.
fn fork(body: fn() -> bool) -> i32 {
    // SAFETY: what runs in the child is in the tests here: it is what a program may
    // do in a child of a process with several threads, and a little more.
    unsafe {
        match libc::fork() {
            -1 => panic!("{}", std::io::Error::last_os_error()),
            0 => libc::_exit(i32::from(!body())),
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                status
            }
        }
    }
}

#[test]
fn a_green_thread_can_fork_and_its_child_is_whole() {
    with_hubs(
        "process::a_green_thread_can_fork_and_its_child_is_whole",
        "2",
        |_| {
            std::thread_local!(static VALUE: std::cell::Cell<i32> = const { std::cell::Cell::new(0) });
            let all: Vec<_> = (0..20)
                .map(|n| {
                    thread::spawn(move || {
                        VALUE.set(n);
                        // SAFETY: no arguments.
                        let (before, tid) = unsafe { (libc::pthread_self(), libc::gettid()) };
                        let status = fork(|| {
                            let threads = (0..3).map(|n| std::thread::spawn(move || vec![n; 1000]));
                            let threads: Vec<_> = threads.collect();
                            let right = threads.into_iter().all(|one| one.join().is_ok());
                            // SAFETY: signal 0 only looks.
                            right && unsafe { libc::pthread_kill(libc::pthread_self(), 0) } == 0
                        });
                        assert_eq!(status, 0);
                        // SAFETY: as above.
                        assert_eq!((before, tid), unsafe {
                            (libc::pthread_self(), libc::gettid())
                        });
                        VALUE.get() == n
                    })
                })
                .collect();
            assert!(all.into_iter().all(|one| one.join().unwrap()));
        },
    );
}

#[test]
fn the_child_of_a_green_thread_sees_its_thread_locals() {
    in_both(
        "process::the_child_of_a_green_thread_sees_its_thread_locals",
        |own| {
            std::thread_local!(static VALUE: std::cell::Cell<i32> = const { std::cell::Cell::new(1) });
            VALUE.set(5);
            green::run(move || {
                VALUE.set(7);
                let neighbour = thread::spawn_local(|| VALUE.set(8));
                neighbour.join().unwrap();
                let status = if own {
                    fork(|| VALUE.get() == 7)
                } else {
                    fork(|| VALUE.get() == 8)
                };
                assert_eq!(status, 0);
            });
        },
    );
}

#[test]
fn a_child_of_fork_is_refused_green_threads_and_makes_blocking_calls_itself() {
    in_both(
        "process::a_child_of_fork_is_refused_green_threads_and_makes_blocking_calls_itself",
        |_| {
            let in_the_child = || {
                let refused = thread::Builder::new().spawn(|| ()).unwrap_err();
                let limited = green::timeout(Duration::from_secs(60), || {
                    green::blocking(|| green::fs::metadata("/proc/self").is_ok())
                });
                refused.kind() == std::io::ErrorKind::Unsupported
                    && refused.to_string().contains("fork(2)")
                    && limited.unwrap_or(false)
            };
            // So that the pool has idle threads, which a child lacks.
            green::run(|| green::blocking(|| ()));
            assert_eq!(fork(in_the_child), 0, "of an OS thread");
            green::run(move || assert_eq!(fork(in_the_child), 0, "of a green thread"));
        },
    );
}

/// Children that the C library's handlers of fork are not called for stay on the green thread's base.
#[test]
fn a_child_of_a_bare_fork_or_clone_sees_its_thread_locals() {
    let name = "process::a_child_of_a_bare_fork_or_clone_sees_its_thread_locals";
    in_both(name, |_| {
        std::thread_local!(static VALUE: std::cell::Cell<i32> = const { std::cell::Cell::new(1) });
        green::run(|| {
            VALUE.set(7);
            // SAFETY: since glibc 2.34; it takes nothing. The child does what is allowed between fork and exec.
            let bare_fork = || unsafe {
                let at = libc::dlsym(libc::RTLD_DEFAULT, c"_Fork".as_ptr());
                assert!(!at.is_null());
                std::mem::transmute::<*mut libc::c_void, extern "C" fn() -> libc::pid_t>(at)()
            };
            // SAFETY: without a stack of its own the child has a copy of this one.
            let bare_clone = || unsafe {
                libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as libc::pid_t
            };
            // SAFETY: no arguments.
            let is_whole = || VALUE.get() == 7 && unsafe { libc::gettid() == libc::getpid() };
            for start in [&bare_fork as &dyn Fn() -> libc::pid_t, &bare_clone] {
                let child = start();
                if child == 0 {
                    // SAFETY: ends the process.
                    unsafe { libc::_exit(i32::from(!is_whole())) };
                }
                let mut status = 0;
                // SAFETY: a child of ours.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0);
            }
            assert_eq!(thread::spawn(|| 7).join().unwrap(), VALUE.get());
        });
    });
}

#[test]
fn children_of_every_kind_run() {
    in_both("process::children_of_every_kind_run", |_| {
        green::run(|| {
            use std::os::unix::process::CommandExt;
            // SAFETY: a command without arguments; the closure calls nothing.
            unsafe {
                assert_eq!(libc::system(c"exit 3".as_ptr()) >> 8, 3);
                let mut forked = std::process::Command::new("true");
                assert!(forked.pre_exec(|| Ok(())).status().unwrap().success());
            }
            assert!(
                std::process::Command::new("true")
                    .status()
                    .unwrap()
                    .success()
            );
            assert!(
                green::process::Command::new("true")
                    .status()
                    .unwrap()
                    .success()
            );
            let missing = std::process::Command::new("/no/such/program").status();
            assert_eq!(missing.unwrap_err().kind(), std::io::ErrorKind::NotFound);
        });
    });
}

#[test]
fn std_s_exit_runs_the_green_thread_s_destructors() {
    struct Says;
    impl Drop for Says {
        fn drop(&mut self) {
            thread::sleep(Duration::from_millis(5));
            eprint!("said");
        }
    }
    let name = "process::std_s_exit_runs_the_green_thread_s_destructors";
    for mode in ["auto", "shared"] {
        let ended = alone(
            name,
            &[("GREEN_THREAD_LOCALS", mode), ("GREEN_HUBS", "1")],
            || {
                std::thread_local!(static SAYS: Says = const { Says });
                green::run(|| {
                    SAYS.with(|_| ());
                    std::process::exit(7);
                });
            },
        );
        assert_eq!((ended.status.code(), &*ended.errors), (Some(7), "said"));
    }
}

/// glibc has each OS thread make the call, by a signal, and waits for all.
#[test]
fn the_user_can_be_changed_from_every_kind_of_thread() {
    with_hubs(
        "process::the_user_can_be_changed_from_every_kind_of_thread",
        "2",
        |_| {
            static DONE: AtomicUsize = AtomicUsize::new(0);
            let change = || {
                for _ in 0..50 {
                    // SAFETY: no pointers; the ids stay what they are.
                    unsafe {
                        let (user, group) = (libc::geteuid(), libc::getegid());
                        assert_eq!(libc::setresuid(user, user, user), 0);
                        assert_eq!(libc::setresgid(group, group, group), 0);
                    }
                    thread::sleep(Duration::from_micros(50));
                }
                DONE.fetch_add(1, Ordering::Relaxed);
            };
            let busy: Vec<_> = (0..2)
                .map(|_| {
                    thread::spawn(|| {
                        while DONE.load(Ordering::Relaxed) < 6 {
                            // In the midst of whatever a signal may find.
                            for n in 0..1000_u64 {
                                std::hint::black_box(n.wrapping_mul(n));
                            }
                            thread::yield_now();
                        }
                    })
                })
                .collect();
            let green: Vec<_> = (0..4).map(|_| thread::spawn(change)).collect();
            let os: Vec<_> = (0..2).map(|_| std::thread::spawn(change)).collect();
            green.into_iter().for_each(|one| one.join().unwrap());
            os.into_iter().for_each(|one| one.join().unwrap());
            busy.into_iter().for_each(|one| one.join().unwrap());
        },
    );
}
