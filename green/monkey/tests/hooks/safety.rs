//! Where hooks must not park, and what they must leave as it was.
#![expect(unsafe_code, reason = "C's functions")]

use std::io::{ErrorKind, Read, Write};
use std::mem::zeroed;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::thread as os;
use std::time::{Duration, Instant};

use green::thread::{self, spawn_local};
use green_monkey::{Patch, is_monkey_patched, monkey_patch, original};
use test_support::child::alone;

use crate::{SOON, cvt, green, parks, patched};

fn errno() -> i32 {
    // SAFETY: the running thread's own.
    unsafe { *libc::__errno_location() }
}

fn set_errno(code: i32) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = code };
}

#[test]
fn a_second_patch_does_no_harm() {
    green("twice", || {
        assert!(is_monkey_patched(Patch::all()));
        // SAFETY: these tests are about it.
        unsafe { monkey_patch(Patch::all()) }.unwrap();
        assert!(is_monkey_patched(Patch::SOCKET | Patch::OS));
    });
}

/// What hooks note for the running thread, in thread-locals, its neighbours would take for theirs.
#[test]
fn where_thread_locals_are_shared_nothing_is_patched() {
    let name = "safety::where_thread_locals_are_shared_nothing_is_patched";
    let ended = alone(name, &[("GREEN_THREAD_LOCALS", "shared")], || {
        for patch in [Patch::all(), Patch::SUBPROCESS] {
            // SAFETY: these tests are about it.
            let refused = unsafe { monkey_patch(patch) }.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
        }
        let each = Patch::all().iter();
        assert!(each.into_iter().all(|patch| !is_monkey_patched(patch)));
        thread::spawn(|| {
            let neighbour = spawn_local(|| ());
            os::sleep(SOON);
            assert!(!neighbour.is_finished(), "the hub is held");
        })
        .join()
        .unwrap();
    });
    ended.well();
}

#[test]
fn the_originals_hold_the_hub() {
    green("originals", || {
        let neighbour = spawn_local(|| ());
        original(|| os::sleep(SOON));
        assert!(!neighbour.is_finished());
        os::sleep(SOON);
        assert!(neighbour.is_finished());
    });
}

#[test]
fn errno_is_kept_by_what_succeeds() {
    green("errno", || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let fd = ours.as_raw_fd();
        set_errno(77);
        let n = parks(
            // SAFETY: a buffer that lives across the call.
            || unsafe { libc::recv(fd, [0u8; 8].as_mut_ptr().cast(), 8, 0) },
            move || {
                set_errno(78);
                (&theirs).write_all(b"abc").unwrap();
            },
        );
        assert_eq!((n, errno()), (3, 77));
        // SAFETY: no descriptor of anybody's.
        assert_eq!(unsafe { libc::recv(-1, std::ptr::null_mut(), 0, 0) }, -1);
        assert_eq!(errno(), libc::EBADF);
    });
}

#[test]
fn os_threads_and_the_pool_do_not_notice() {
    green("OS threads", || {
        let blocks = || {
            let (mut ours, mut theirs) = UnixStream::pair().unwrap();
            let other = os::spawn(move || {
                os::sleep(SOON);
                theirs.write_all(b"abc").unwrap();
            });
            assert_eq!(ours.read(&mut [0; 8]).unwrap(), 3);
            other.join().unwrap();
        };
        green::blocking(blocks);
        os::spawn(blocks).join().unwrap();
    });
}

#[test]
fn where_nobody_may_wait_a_call_really_blocks() {
    green("without waiting", || {
        let neighbour = spawn_local(|| ());
        green::thread::yield_now();
        assert!(neighbour.is_finished());
        let neighbour = spawn_local(|| ());
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let writer = os::spawn(move || {
            os::sleep(SOON);
            theirs.write_all(b"abc").unwrap();
        });
        greenhub::without_waiting("not here", || {
            assert_eq!(ours.read(&mut [0; 8]).unwrap(), 3);
            os::sleep(SOON);
        });
        // On the OS thread's own thread-locals, as a TLS engine runs.
        greenhub::on_os_thread(|| {
            os::sleep(SOON);
            let mutex = std::sync::Mutex::new(());
            drop(mutex.lock().unwrap());
        });
        assert!(!neighbour.is_finished(), "the hub was held");
        writer.join().unwrap();
    });
}

#[test]
fn a_panic_hook_and_its_message_get_through() {
    green("panics", || {
        let panicking = spawn_local(|| {
            os::sleep(SOON);
            panic!("expected by a test");
        });
        assert!(panicking.join().is_err());
    });
}

/// Forks, and gives what `child` says as the exit status.
fn in_a_fork(child: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child does what it would in a program of one thread, and ends at once.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(if child() { 0 } else { 1 }),
            id => {
                let mut status = 0;
                assert_eq!(libc::waitpid(id, &mut status, 0), id);
                libc::WEXITSTATUS(status)
            }
        }
    }
}

#[test]
fn a_forked_child_is_not_patched() {
    let child = || {
        let begun = Instant::now();
        // SAFETY: a buffer, a time and numbers that live across the calls.
        unsafe {
            let mut ends = [0; 2];
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            libc::usleep(10_000);
            libc::write(ends[1], b"abc".as_ptr().cast(), 3);
            let n = libc::read(ends[0], [0u8; 8].as_mut_ptr().cast(), 8);
            libc::close(ends[0]);
            n == 3 && begun.elapsed() >= SOON && !is_monkey_patched(Patch::SOCKET)
        }
    };
    green("fork", move || {
        assert_eq!(in_a_fork(child), 0);
        let neighbours: Vec<_> = (0..5)
            .map(|_| spawn_local(move || in_a_fork(child)))
            .collect();
        assert!(
            neighbours
                .into_iter()
                .all(|status| status.join().unwrap() == 0)
        );
    });
    assert_eq!(in_a_fork(child), 0);
}

#[test]
fn a_child_that_shares_our_memory_ends_nobodys_wait_and_does_not_switch() {
    green("vfork", || {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let fd = ours.as_raw_fd();
        let waiter = spawn_local(move || ours.read(&mut [0; 8]).unwrap());
        thread::sleep(SOON);
        // SAFETY: the child has a stack and our memory, and our thread stands still until it ends.
        // It closes its own copy of the number, and sleeps.
        unsafe {
            extern "C" fn child(fd: *mut libc::c_void) -> libc::c_int {
                // SAFETY: numbers.
                unsafe {
                    libc::close(fd as usize as i32);
                    libc::usleep(10_000);
                }
                0
            }
            let mut stack = vec![0u128; 4096];
            let top = stack.as_mut_ptr().add(4096).cast();
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            let id = libc::clone(child, top, flags, fd as usize as *mut libc::c_void);
            assert!(id > 0);
            let mut status = 0;
            assert_eq!(libc::waitpid(id, &mut status, 0), id);
        }
        assert!(!waiter.is_finished());
        theirs.write_all(b"abc").unwrap();
        assert_eq!(waiter.join().unwrap(), 3);
    });
}

/// Calls vfork(2), and `in_the_child` in the child with `fd`; gives the child's id. In assembly, since the stack is the
/// child's until it ends.
#[unsafe(naked)]
unsafe extern "C" fn child_of_vfork(fd: libc::c_int) -> libc::pid_t {
    #[cfg(target_arch = "x86_64")]
    std::arch::naked_asm!(
        "push rbx",
        "mov ebx, edi",
        "call {vfork}",
        "test eax, eax",
        "jnz 2f",
        "mov edi, ebx",
        "call {in_the_child}",
        "2: pop rbx",
        "ret",
        vfork = sym vfork,
        in_the_child = sym in_the_child,
    );
    #[cfg(target_arch = "aarch64")]
    std::arch::naked_asm!(
        "stp x19, x30, [sp, #-16]!",
        "mov w19, w0",
        "bl {vfork}",
        "cbnz w0, 2f",
        "mov w0, w19",
        "bl {in_the_child}",
        "2: ldp x19, x30, [sp], #16",
        "ret",
        vfork = sym vfork,
        in_the_child = sym in_the_child,
    );
}

unsafe extern "C" {
    fn vfork() -> libc::pid_t;
}

/// The process that [`in_the_child`] runs in.
static CHILD: AtomicI32 = AtomicI32::new(0);

/// Waits in a hook, closes its own copy of the number, and ends: with 7 if it has read.
extern "C" fn in_the_child(fd: libc::c_int) -> ! {
    let mut byte = 0u8;
    // SAFETY: the byte lives across the call.
    unsafe {
        CHILD.store(libc::getpid(), Ordering::SeqCst);
        let n = libc::read(fd, (&raw mut byte).cast(), 1);
        libc::close(fd);
        libc::_exit(if n == 1 { 7 } else { 1 })
    }
}

/// Until the child waits, or has ended.
fn wait_for_child() {
    loop {
        let id = CHILD.load(Ordering::SeqCst);
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name in brackets, then the state.
        let state = state.rsplit(") ").next().and_then(|s| s.chars().next());
        if id != 0 && !matches!(state, Some('R' | 'D')) {
            return;
        }
        os::sleep(SOON / 10);
    }
}

#[test]
fn a_child_of_vfork_waits_itself_and_ends_nobodys_wait() {
    green("vfork itself", || {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        let fd = ours.as_raw_fd();
        let waiter = spawn_local(move || ours.read(&mut [0; 8]).unwrap());
        thread::sleep(SOON);
        // It becomes ready to run while the child waits, and must not run there.
        let neighbour = spawn_local(|| {
            thread::sleep(SOON / 4);
            std::process::id()
        });
        // It has this moment registered, as the waiter has.
        thread::yield_now();
        let feeder = os::spawn(move || {
            original(|| {
                wait_for_child();
                os::sleep(SOON);
            });
            writer.write_all(b"x").unwrap();
            writer
        });
        for (fd, has_to_wait) in [(reader.as_raw_fd(), true), (fd, false)] {
            if !has_to_wait {
                // Nobody takes a turn between this and the child.
                original(|| theirs.write_all(b"abc").unwrap());
            }
            // SAFETY: the child uses numbers, and ends.
            let id = unsafe { child_of_vfork(fd) };
            assert!(id > 0);
            let mut status = 0;
            // SAFETY: a child of ours.
            assert_eq!(unsafe { libc::waitpid(id, &mut status, 0) }, id);
            assert_eq!(libc::WEXITSTATUS(status), 7);
        }
        assert_eq!(neighbour.join().unwrap(), std::process::id());
        assert_eq!(waiter.join().unwrap(), 2, "the child has read one of three");
        drop((feeder.join().unwrap(), reader));
        assert!(is_monkey_patched(Patch::all()));
    });
}

/// A number that a system call of the program's own has given to another file.
#[test]
fn a_wait_for_a_number_whose_close_nobody_saw_ends_all_the_same() {
    green("unseen", || {
        let (mut old, mut far) = UnixStream::pair().unwrap();
        let (new, mut far_new) = UnixStream::pair().unwrap();
        let reader = spawn_local(move || {
            let mut byte = [0; 1];
            // Registers the number.
            old.read_exact(&mut byte).unwrap();
            // SAFETY: two numbers of ours; the second is another socket's from here on.
            let taken =
                unsafe { libc::syscall(libc::SYS_dup3, new.as_raw_fd(), old.as_raw_fd(), 0) };
            assert_eq!(taken, i64::from(old.as_raw_fd()));
            drop(new);
            old.read_exact(&mut byte).unwrap();
            byte
        });
        thread::sleep(SOON);
        far.write_all(b"a").unwrap();
        thread::sleep(SOON);
        assert!(!reader.is_finished());
        far_new.write_all(b"b").unwrap();
        assert_eq!(reader.join().unwrap(), *b"b");
    });
}

#[test]
fn a_signal_handler_uses_them() {
    static PIPE: AtomicI32 = AtomicI32::new(-1);
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn handle(_: libc::c_int) {
        // SAFETY: what a signal handler may call; the time and the byte live across the calls.
        unsafe {
            libc::write(PIPE.load(Ordering::Relaxed), b"x".as_ptr().cast(), 1);
            let copy = libc::dup(0);
            libc::close(copy);
        }
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    green("signals", || {
        let (mut reader, writer) = std::io::pipe().unwrap();
        PIPE.store(writer.as_raw_fd(), Ordering::Relaxed);
        // SAFETY: a handler of the right signature. SIGPROF is one that hubs take.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_ONSTACK | libc::SA_RESTART;
            libc::sigaction(libc::SIGPROF, &action, std::ptr::null_mut());
            let me = libc::pthread_self() as usize;
            let (hub, stop) = (
                libc::syscall(libc::SYS_gettid) as i32,
                Instant::now() + Duration::from_millis(300),
            );
            let _ = me;
            let sender = os::spawn(move || {
                let mut sent = 0;
                while Instant::now() < stop || sent <= 10 {
                    libc::syscall(libc::SYS_tgkill, libc::getpid(), hub, libc::SIGPROF);
                    sent += 1;
                    os::sleep(Duration::from_micros(200));
                }
                sent
            });
            let lock = std::sync::Arc::new(std::sync::Mutex::new(0));
            let busy: Vec<_> = (0..8)
                .map(|_| {
                    let lock = lock.clone();
                    spawn_local(move || {
                        while Instant::now() < stop {
                            let mut value = lock.lock().unwrap();
                            *value += 1;
                            os::yield_now();
                            drop(value);
                            let (mut ours, mut theirs) = UnixStream::pair().unwrap();
                            theirs.write_all(b"x").unwrap();
                            ours.read_exact(&mut [0]).unwrap();
                        }
                    })
                })
                .collect();
            busy.into_iter().for_each(|thread| thread.join().unwrap());
            assert!(sender.join().unwrap() > 10);
        }
        drop(writer);
        PIPE.store(-1, Ordering::Relaxed);
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert!(!all.is_empty() && all.len() <= HANDLED.load(Ordering::Relaxed));
    });
}

#[test]
fn an_os_thread_is_cancelled_in_a_hook() {
    patched();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let fd = ours.as_raw_fd();
    extern "C" fn reads(fd: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: a buffer that lives across the call.
        unsafe { libc::recv(fd as usize as i32, [0u8; 8].as_mut_ptr().cast(), 8, 0) };
        std::ptr::null_mut()
    }
    unsafe extern "C" {
        fn pthread_cancel(thread: libc::pthread_t) -> libc::c_int;
    }
    // SAFETY: a thread that owns nothing is cancelled where it waits, and joined once.
    unsafe {
        let mut thread = 0;
        let argument = fd as usize as *mut libc::c_void;
        assert_eq!(
            libc::pthread_create(&mut thread, std::ptr::null(), reads, argument),
            0
        );
        os::sleep(SOON);
        assert_eq!(pthread_cancel(thread), 0);
        let mut value = std::ptr::null_mut();
        assert_eq!(libc::pthread_join(thread, &mut value), 0);
        assert_eq!(value as isize, -1, "PTHREAD_CANCELED");
    }
}

/// Runs before `main`, when nothing is patched and no thread of ours is there.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn before_main() {
        // SAFETY: numbers and buffers that live across the calls.
        unsafe {
            let mut ends = [0; 2];
            if libc::pipe(ends.as_mut_ptr()) == 0 {
                libc::write(ends[1], b"abc".as_ptr().cast(), 3);
                let n = libc::read(ends[0], [0u8; 8].as_mut_ptr().cast(), 8);
                libc::close(ends[0]);
                libc::close(ends[1]);
                libc::usleep(1);
                READ_BEFORE_MAIN.store(n as i32, Ordering::Relaxed);
            }
        }
    }
    before_main
};
static READ_BEFORE_MAIN: AtomicI32 = AtomicI32::new(0);

#[test]
fn before_main_and_after_it_calls_pass_through() {
    assert_eq!(READ_BEFORE_MAIN.load(Ordering::Relaxed), 3);
    extern "C" fn after_main() {
        // SAFETY: a time.
        let slept = unsafe { libc::usleep(1) };
        assert_eq!(slept, 0);
    }
    // SAFETY: a function that lives for ever.
    assert_eq!(unsafe { libc::atexit(after_main) }, 0);
    assert!(cvt(-1).is_err());
}
