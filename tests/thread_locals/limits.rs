//! What thread-locals of a green thread's own do not give. The Soundness page tells of each.

use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use green::thread;

use crate::{SETTING, alone, can_be_own, in_both};

/// A recursive mutex of C goes by the OS thread's id.
#[test]
fn a_recursive_mutex_of_c_lets_neighbours_in() {
    in_both("limits::a_recursive_mutex_of_c_lets_neighbours_in", |_| {
        green::run(|| {
            // SAFETY: initialised before use, and never moved.
            unsafe {
                let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
                libc::pthread_mutexattr_init(attributes.as_mut_ptr());
                let kind = libc::PTHREAD_MUTEX_RECURSIVE;
                libc::pthread_mutexattr_settype(attributes.as_mut_ptr(), kind);
                let mutex: *mut libc::pthread_mutex_t =
                    Box::leak(Box::new(MaybeUninit::uninit())).as_mut_ptr();
                libc::pthread_mutex_init(mutex, attributes.as_ptr());
                assert_eq!(libc::pthread_mutex_lock(mutex), 0);
                let address = mutex as usize;
                let neighbour = thread::spawn_local(move || {
                    libc::pthread_mutex_trylock(address as *mut libc::pthread_mutex_t)
                });
                assert_eq!(neighbour.join().unwrap(), 0);
            }
        });
    });
}

/// The kernel hands on those of an OS thread that ends, and knows of no green thread.
#[test]
fn a_robust_mutex_of_a_process_that_ended_is_not_handed_on_to_another() {
    let name = "limits::a_robust_mutex_of_a_process_that_ended_is_not_handed_on_to_another";
    for mode in ["own", "shared"] {
        alone(name, &[(SETTING, mode), ("GREEN_HUBS", "1")], || {
            let own = std::env::var(SETTING).is_ok_and(|mode| mode == "own");
            let mutex = robust_mutex_of_processes();
            // SAFETY: nothing of green has started in this process: the child may start it.
            let child = unsafe { libc::fork() };
            if child == 0 {
                if own && !can_be_own() {
                    std::process::exit(2);
                }
                let address = mutex as usize;
                // SAFETY: initialised, in memory of both processes; ends the process while the green thread lives.
                green::run(move || unsafe {
                    let locked = libc::pthread_mutex_lock(address as *mut libc::pthread_mutex_t);
                    libc::_exit(i32::from(locked != 0))
                });
            }
            let mut status = 0;
            // SAFETY: a child of ours; the mutex as above, the time is written before it is read.
            let locked = unsafe {
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                let mut limit = MaybeUninit::<libc::timespec>::uninit();
                libc::clock_gettime(libc::CLOCK_REALTIME, limit.as_mut_ptr());
                let mut limit = limit.assume_init();
                limit.tv_sec += 1;
                libc::pthread_mutex_timedlock(mutex, &limit)
            };
            match std::process::ExitStatus::from_raw(status).code() {
                Some(2) => eprintln!("skipped: no thread-locals of their own"),
                code => {
                    let told = if own {
                        libc::ETIMEDOUT
                    } else {
                        libc::EOWNERDEAD
                    };
                    assert_eq!((code, locked), (Some(0), told));
                }
            }
        })
        .well();
    }
}

fn robust_mutex_of_processes() -> *mut libc::pthread_mutex_t {
    // SAFETY: memory of its own, which stays; the attributes are initialised before they are used.
    unsafe {
        let memory = libc::mmap(
            std::ptr::null_mut(),
            size_of::<libc::pthread_mutex_t>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(memory, libc::MAP_FAILED);
        let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        libc::pthread_mutexattr_init(attributes.as_mut_ptr());
        libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST);
        libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
        assert_eq!(
            libc::pthread_mutex_init(memory.cast(), attributes.as_ptr()),
            0
        );
        memory.cast()
    }
}

/// It unwinds to where an OS thread began, which a green thread has not.
#[test]
fn pthread_exit_on_a_green_thread_ends_the_process() {
    let name = "limits::pthread_exit_on_a_green_thread_ends_the_process";
    for mode in ["own", "shared"] {
        let ended = alone(name, &[(SETTING, mode), ("GREEN_HUBS", "1")], || {
            // SAFETY: there is nothing on the stack that must be dropped.
            green::run(|| unsafe { libc::pthread_exit(std::ptr::null_mut()) });
        });
        assert!(ended.status.signal().is_some(), "{mode}: {ended:?}");
        if mode == "own" {
            names_who_ended(&ended);
        }
    }
}

/// Fails the test unless a message says whose end this was, where thread-locals can be a green thread's own.
fn names_who_ended(ended: &test_support::child::Ended) {
    if ended
        .errors
        .contains("cannot have thread-locals of their own")
    {
        return;
    }
    assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{ended:?}");
    for part in ["green thread '", "(id ", "pthread_exit", "JoinHandle::kill"] {
        assert!(ended.errors.contains(part), "{part:?} in {ended:?}");
    }
}

#[test]
fn a_green_thread_that_is_cancelled_ends_the_process_and_is_named() {
    unsafe extern "C" {
        fn pthread_cancel(thread: libc::pthread_t) -> libc::c_int;
        fn pthread_testcancel();
    }
    let name = "limits::a_green_thread_that_is_cancelled_ends_the_process_and_is_named";
    let ended = alone(name, &[(SETTING, "own"), ("GREEN_HUBS", "1")], || {
        green::run(|| {
            // SAFETY: the running thread; there is nothing on the stack that must be dropped.
            unsafe {
                assert_eq!(pthread_cancel(libc::pthread_self()), 0);
                pthread_testcancel();
            }
        });
    });
    names_who_ended(&ended);
}

/// std has whoever calls exit second wait for ever.
#[test]
fn two_neighbours_that_call_std_s_exit_stand_still_if_destructors_wait_and_green_s_do_not() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static ENDS: AtomicBool = AtomicBool::new(false);
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            ENDS.store(true, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20));
        }
    }
    thread_local!(static WAITS: Waits = const { Waits });
    const STANDS_STILL: i32 = 9;
    let name = "limits::two_neighbours_that_call_std_s_exit_stand_still_if_destructors_wait_and_green_s_do_not";
    for (exit, code) in [("std", STANDS_STILL), ("green", 7)] {
        let environment = [(SETTING, "own"), ("GREEN_HUBS", "1"), ("EXIT", exit)];
        let ended = alone(name, &environment, || {
            let exit = match std::env::var("EXIT").is_ok_and(|exit| exit == "std") {
                true => std::process::exit,
                false => green::process::exit,
            };
            if !can_be_own() {
                // SAFETY: ends the process.
                unsafe { libc::_exit(code) };
            }
            thread::spawn(move || {
                WAITS.with(|_| ());
                thread::yield_now();
                exit(7);
            });
            thread::spawn(move || {
                while !ENDS.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
                exit(7);
            });
            std::thread::sleep(Duration::from_secs(3));
            // SAFETY: ends the process.
            unsafe { libc::_exit(STANDS_STILL) };
        });
        assert_eq!(ended.status.code(), Some(code), "{exit}: {ended:?}");
    }
}

/// A mutex with a priority ceiling raises whoever holds it, which is the OS thread.
#[test]
fn a_mutex_with_a_priority_ceiling_raises_the_neighbours_too() {
    const CEILING: libc::c_int = 1;
    unsafe extern "C" {
        fn pthread_mutexattr_setprioceiling(
            attributes: *mut libc::pthread_mutexattr_t,
            ceiling: libc::c_int,
        ) -> libc::c_int;
    }
    let name = "limits::a_mutex_with_a_priority_ceiling_raises_the_neighbours_too";
    in_both(name, |_| {
        green::run(|| {
            // SAFETY: initialised before use, and never moved.
            unsafe {
                let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
                libc::pthread_mutexattr_init(attributes.as_mut_ptr());
                let kind = libc::PTHREAD_PRIO_PROTECT;
                libc::pthread_mutexattr_setprotocol(attributes.as_mut_ptr(), kind);
                pthread_mutexattr_setprioceiling(attributes.as_mut_ptr(), CEILING);
                let mutex: *mut libc::pthread_mutex_t =
                    Box::leak(Box::new(MaybeUninit::uninit())).as_mut_ptr();
                libc::pthread_mutex_init(mutex, attributes.as_ptr());
                if libc::pthread_mutex_lock(mutex) != 0 {
                    return eprintln!("skipped: no right to raise a thread");
                }
                let neighbours = thread::spawn_local(|| libc::sched_getscheduler(0));
                let seen = neighbours.join().unwrap();
                assert_eq!(libc::pthread_mutex_unlock(mutex), 0);
                assert_eq!(seen, libc::SCHED_FIFO);
            }
        });
    });
}

/// How floating-point numbers are rounded is the OS thread's.
#[test]
fn a_rounding_mode_is_the_neighbours_too() {
    unsafe extern "C" {
        fn fegetround() -> libc::c_int;
        fn fesetround(mode: libc::c_int) -> libc::c_int;
    }
    /// fenv.h
    const UPWARD: libc::c_int = if cfg!(target_arch = "x86_64") {
        0x800
    } else {
        0x40_0000
    };
    in_both("limits::a_rounding_mode_is_the_neighbours_too", |_| {
        green::run(|| {
            // SAFETY: nothing is rounded meanwhile.
            unsafe {
                assert_eq!(fesetround(UPWARD), 0);
                let seen = thread::spawn_local(|| fegetround()).join().unwrap();
                fesetround(0);
                assert_eq!(seen, UPWARD);
            }
        });
    });
}

/// glibc makes the stacks of the threads in its own list executable where a library asks for that.
#[test]
fn a_stack_does_not_become_executable_for_a_library_that_needs_it() {
    use std::ffi::CString;
    use std::process::Command;
    /// How the running thread's stack may be used.
    fn access() -> String {
        let here = 0u8;
        let at = &raw const here as usize;
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| {
            let (range, _) = line.split_once(' ').unwrap();
            let (from, to) = range.split_once('-').unwrap();
            let number = |text| usize::from_str_radix(text, 16).unwrap();
            (number(from)..number(to)).contains(&at)
        });
        line.unwrap().split(' ').nth(1).unwrap().to_owned()
    }
    in_both(
        "limits::a_stack_does_not_become_executable_for_a_library_that_needs_it",
        |_| {
            let path = std::env::temp_dir().join(format!("green-{}.so", std::process::id()));
            let built = Command::new("cc")
                .args([
                    "-shared",
                    "-fPIC",
                    "-xc",
                    "/dev/null",
                    "-Wl,-z,execstack",
                    "-o",
                ])
                .arg(&path)
                .status();
            let text = CString::new(path.to_str().unwrap()).unwrap();
            // SAFETY: a name that ends in a NUL byte; the library is empty.
            let loaded = unsafe { libc::dlopen(text.as_ptr(), libc::RTLD_NOW) };
            let _ = std::fs::remove_file(&path);
            let on_os_thread = std::thread::spawn(access).join().unwrap();
            if loaded.is_null() || on_os_thread != "rwxp" {
                return eprintln!("skipped: {built:?}, {on_os_thread}");
            }
            assert_eq!(thread::spawn(access).join().unwrap(), "rw-p");
            assert_eq!(green::run(|| green::blocking(access)), "rwxp");
        },
    );
}

/// Runs `hold` on a green thread and `want` on a neighbour, whom it blocks for ever, and looks whether the detector
/// names the neighbour and `what` it is in.
fn blocks_and_is_named(name: &str, what: &'static str, hold: fn(), want: fn()) {
    struct EndsWell(&'static str);
    impl log::Log for EndsWell {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            let text = record.args().to_string();
            if text.contains("wants it") && text.contains(self.0) {
                std::process::exit(0);
            }
        }
        fn flush(&self) {}
    }
    alone(name, &[(SETTING, "own"), ("GREEN_HUBS", "1")], || {
        if !can_be_own() {
            return;
        }
        log::set_logger(Box::leak(Box::new(EndsWell(what)))).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        green::debug::blocking_detection(Some(Duration::from_millis(50))).unwrap();
        let holder = thread::spawn(hold);
        thread::sleep(Duration::from_millis(1));
        let wants = thread::Builder::new().name("wants it".to_owned());
        let wants = wants.spawn(want).unwrap();
        let _ = (wants.join(), holder.join());
        panic!("nobody was blocked");
    })
    .well();
}

/// std's lock of stdout knows threads by their id, so it keeps neighbours out, by blocking their hub.
#[test]
fn the_detector_names_who_waits_for_a_neighbour_s_lock_of_stdout() {
    blocks_and_is_named(
        "limits::the_detector_names_who_waits_for_a_neighbour_s_lock_of_stdout",
        "Stdout",
        || {
            let _held = std::io::stdout().lock();
            thread::sleep(Duration::from_secs(10));
        },
        || println!("blocked for ever"),
    );
}

/// std holds its lock of the panic hook while the hook runs.
#[test]
fn the_detector_names_who_sets_a_panic_hook_while_a_neighbour_waits_in_it() {
    blocks_and_is_named(
        "limits::the_detector_names_who_sets_a_panic_hook_while_a_neighbour_waits_in_it",
        "set_hook",
        || {
            std::panic::set_hook(Box::new(|_| thread::sleep(Duration::from_secs(10))));
            panic!("its hook waits");
        },
        || std::panic::set_hook(Box::new(|_| ())),
    );
}
