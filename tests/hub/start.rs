//! How hubs start, what sets how many they are, and the end of the program.
#![cfg_attr(
    all(target_env = "gnu", not(any(feature = "engine-may", green_sanitize))),
    expect(unsafe_code, reason = "stands in front of a function of glibc's")
)]

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use greenhub::green_thread::{self, Builder, park, sleep, spawn, yield_now};
use greenhub::{Config, hub_count, report, run};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{MILLISECOND, until, waiting};
use test_support::address_space;
use test_support::child::{SPARE_MEMORY, alone};

#[test]
fn the_environment_sets_the_number_of_hubs() {
    alone(
        "start::the_environment_sets_the_number_of_hubs",
        &[("GREEN_HUBS", "3")],
        || {
            assert_eq!(hub_count().unwrap(), 3);
            let homes: Vec<_> = (0..3).map(|_| spawn(park)).collect();
            until(|| waiting() == 3);
            let mut hubs: Vec<_> = report().threads.iter().map(|thread| thread.hub).collect();
            hubs.sort_unstable();
            assert_eq!(hubs, [0, 1, 2], "each on the least loaded");
            homes.iter().for_each(|thread| thread.thread().unpark());
            assert!(Builder::new().hub(3).spawn(|| ()).is_err());
            assert!(green_thread::Builder::new().spawn_local(|| ()).is_err());
        },
    )
    .well();
}

#[test]
fn config_comes_before_the_environment_and_is_an_error_after_the_start() {
    let name = "start::config_comes_before_the_environment_and_is_an_error_after_the_start";
    alone(
        name,
        &[("GREEN_HUBS", "3"), ("GREEN_STACK_SIZE", "many")],
        || {
            let kind = |config: Config| config.apply().unwrap_err().kind();
            assert_eq!(
                kind(Config::new().hubs(0)),
                std::io::ErrorKind::InvalidInput
            );
            assert_eq!(
                kind(Config::new().hubs(5000)),
                std::io::ErrorKind::InvalidInput
            );
            assert_eq!(
                kind(Config::new().blocking_threads(0)),
                std::io::ErrorKind::InvalidInput
            );
            Config::new().hubs(2).apply().unwrap();
            assert_eq!(run(|| 1), 1);
            assert_eq!(hub_count().unwrap(), 2);
            assert_eq!(
                kind(Config::new().hubs(2)),
                std::io::ErrorKind::AlreadyExists
            );
        },
    )
    .well();
}

#[test]
fn the_first_green_thread_may_start_while_its_os_thread_panics() {
    alone(
        "start::the_first_green_thread_may_start_while_its_os_thread_panics",
        &[],
        || {
            struct Starts;
            impl Drop for Starts {
                fn drop(&mut self) {
                    assert_eq!(spawn(|| 7).join().unwrap(), 7);
                }
            }
            let thread = std::thread::spawn(|| {
                let _starts = Starts;
                panic!("planned");
            });
            assert!(thread.join().unwrap_err().is::<&str>());
            assert_eq!(run(|| 1), 1);
        },
    )
    .well();
}

#[test]
fn main_may_return_while_green_threads_run() {
    alone(
        "start::main_may_return_while_green_threads_run",
        &[],
        || {
            for _ in 0..10 {
                drop(spawn(|| {
                    loop {
                        yield_now();
                    }
                }));
                drop(spawn(park));
            }
            sleep(5 * MILLISECOND);
        },
    )
    .well();
}

/// What is in a folder of /proc that lists what the process has.
fn entries(of: &str) -> usize {
    std::fs::read_dir(of).unwrap().count()
}

/// What the process has before its first start.
struct Before {
    descriptors: usize,
    tasks: usize,
}

impl Before {
    fn now() -> Before {
        Before {
            descriptors: entries("/proc/self/fd"),
            tasks: entries("/proc/self/task"),
        }
    }

    /// Fails the test if a start that failed has left something.
    fn is_back(&self) {
        if cfg!(not(feature = "engine-may")) {
            // A thread that has been joined is still listed for a moment.
            let until = Instant::now() + Duration::from_secs(10);
            while entries("/proc/self/task") > self.tasks {
                assert!(Instant::now() < until, "a hub's OS thread is left");
                std::thread::yield_now();
            }
        }
        let left = entries("/proc/self/fd") - self.descriptors;
        // What `may` has made for itself it keeps.
        let kept = if cfg!(feature = "engine-may") { 2 } else { 0 };
        assert!(left == 0 || left == kept, "{left} descriptors are left");
    }
}

#[test]
fn a_first_start_without_descriptors_leaves_nothing_and_the_next_one_works() {
    let name = "start::a_first_start_without_descriptors_leaves_nothing_and_the_next_one_works";
    alone(name, &[("GREEN_HUBS", "3")], || {
        let limit = |most| {
            let limit = Rlimit {
                current: Some(most),
                maximum: Some(4096),
            };
            setrlimit(Resource::Nofile, limit).unwrap();
        };
        // The limit is on numbers, so none of them may be free below the highest.
        let filled: Vec<_> = std::iter::repeat_with(|| std::fs::File::open("/dev/null").unwrap())
            .take(64)
            .collect();
        let used = filled.iter().map(|file| file.as_raw_fd()).max().unwrap() as u64 + 1;
        let before = Before::now();
        // Each hub takes two. Who panics says what they are for.
        limit(used);
        let refused = std::panic::catch_unwind(|| spawn(|| 7));
        limit(1024);
        let told = greenhub::panic_message(&*refused.unwrap_err())
            .unwrap()
            .to_owned();
        assert!(
            told.contains("hubs did not start") && told.contains("os error 24"),
            "{told}"
        );
        let mut failed = 0;
        for free in 0..=8 {
            limit(used + free);
            let started = Builder::new().spawn(|| 7);
            limit(1024);
            match started {
                Ok(thread) => {
                    assert_eq!(thread.join().unwrap(), 7);
                    break;
                }
                Err(error) => {
                    failed += 1;
                    assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
                    before.is_back();
                }
            }
        }
        assert!(failed > 2, "{failed} starts failed");
        assert_eq!(hub_count().unwrap(), 3);
    })
    .well();
}

#[test]
fn a_first_start_without_address_space_leaves_nothing_and_the_next_one_works() {
    let name = "start::a_first_start_without_address_space_leaves_nothing_and_the_next_one_works";
    let environment = [
        ("GREEN_HUBS", "3"),
        ("GREEN_THREAD_LOCALS", "auto"),
        SPARE_MEMORY,
    ];
    alone(name, &environment, || {
        let before = Before::now();
        let mut failed = 0;
        // In kilobytes.
        for free in (9..24).map(|power| 1_u64 << power) {
            address_space::leave(free * 1024);
            let started = Builder::new().spawn(|| 7);
            address_space::leave_all();
            match started {
                Ok(thread) => {
                    assert_eq!(thread.join().unwrap(), 7);
                    break;
                }
                Err(error) => {
                    let kinds = [ErrorKind::OutOfMemory, ErrorKind::WouldBlock];
                    assert!(kinds.contains(&error.kind()), "{error:?}");
                    if !report().hubs.is_empty() {
                        // They did start; there is no room for a stack.
                        continue;
                    }
                    failed += 1;
                    before.is_back();
                }
            }
        }
        assert!(failed > 1, "{failed} starts failed");
        assert_eq!(hub_count().unwrap(), 3);
        // What could not be tried out then was tried out later.
        if cfg!(not(any(feature = "engine-may", green_sanitize))) {
            let told = report().to_string();
            assert!(told.contains("each green thread's own"), "{told}");
        }
    })
    .well();
}

#[cfg(all(target_env = "gnu", not(any(feature = "engine-may", green_sanitize))))]
mod no_memory_for_a_handler {
    use std::ffi::{c_int, c_void};
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;

    /// Which call is refused, counted down.
    static REFUSED: AtomicU32 = AtomicU32::new(0);

    type Handler = Option<unsafe extern "C" fn()>;

    /// In front of glibc's, which `pthread_atfork` calls.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __register_atfork(
        before: Handler,
        after: Handler,
        child: Handler,
        library: *mut c_void,
    ) -> c_int {
        type Register = unsafe extern "C" fn(Handler, Handler, Handler, *mut c_void) -> c_int;
        let left = REFUSED.load(SeqCst);
        REFUSED.store(left.saturating_sub(1), SeqCst);
        if left == 1 {
            return libc::ENOMEM;
        }
        // SAFETY: glibc's function of that name, with what its caller has given.
        unsafe {
            let real = libc::dlsym(libc::RTLD_NEXT, c"__register_atfork".as_ptr());
            std::mem::transmute::<*mut c_void, Register>(real)(before, after, child, library)
        }
    }

    #[test]
    fn a_first_start_without_memory_for_handlers_of_fork_says_so_and_the_next_one_works() {
        let name = "start::no_memory_for_a_handler::a_first_start_without_memory_for_handlers_of_fork_says_so_and_the_next_one_works";
        for refused in ["1", "2"] {
            let environment = [("GREEN_THREAD_LOCALS", "own"), ("REFUSED", refused)];
            alone(name, &environment, || {
                let refused = std::env::var("REFUSED").unwrap();
                REFUSED.store(refused.parse().unwrap(), SeqCst);
                let first = Builder::new().spawn(|| ());
                assert_eq!(first.unwrap_err().kind(), ErrorKind::OutOfMemory);
                spawn(|| ()).join().unwrap();
                assert_eq!(report().thread_locals, "each green thread's own");
            })
            .well();
        }
    }
}
