//! At a limit of the system whoever spawns hears of it, and the process goes on.

use std::io;
use std::panic::catch_unwind;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use greenhub::future::{self, block_on};
#[cfg(not(feature = "engine-may"))]
use greenhub::green_thread::park;
use greenhub::green_thread::{Builder, scope, sleep, spawn};

use super::{end_all, end_and_repeat, refuse_guard_marks, spawn_to_the_limit};
#[cfg(not(feature = "engine-may"))]
use super::{kilobytes, refuse, refuse_mappings};
#[cfg(not(feature = "engine-may"))]
use greenhub::Site;
use test_support::address_space;
use test_support::child::alone;
#[cfg(not(feature = "engine-may"))]
use test_support::threads::{is_killed, site, time_left, until};

/// Nobody waits for so long.
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn at_max_map_count_spawn_says_so_and_the_process_goes_on() {
    alone(
        "limits::at_max_map_count_spawn_says_so_and_the_process_goes_on",
        &[],
        || {
            refuse_guard_marks();
            let (parked, error) = spawn_to_the_limit(1_000_000);
            let error = error.expect("a limit below a million");
            assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
            assert!(error.to_string().contains("vm.max_map_count"), "{error}");
            assert!(parked.len() > 1000, "{} fit", parked.len());
            // The allocator and OS threads still find room.
            let memory = vec![1u8; 64 << 20];
            std::thread::spawn(move || drop(memory)).join().unwrap();
            // Another hub's or another size's are no way out either.
            let other = Builder::new().stack_size(64 << 10).spawn(|| ());
            assert_eq!(other.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
            end_and_repeat(parked);
        },
    )
    .well();
}

#[test]
fn at_the_limit_of_address_space_spawn_is_an_error() {
    alone(
        "limits::at_the_limit_of_address_space_spawn_is_an_error",
        &[("GREEN_HUBS", "2")],
        || {
            spawn(|| ()).join().unwrap();
            address_space::leave(600 << 20);
            for _ in 0..2 {
                let (parked, error) = spawn_to_the_limit(10_000);
                let error = error.expect("600 MiB do not hold 10,000 stacks");
                assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
                assert!(error.to_string().contains("ulimit -v"), "{error}");
                assert!(parked.len() > 100, "{} fit", parked.len());
                // None of those accepted finds no stack later.
                end_all(parked);
            }
            let huge = Builder::new().stack_size(1 << 30).spawn(|| ());
            assert_eq!(huge.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
            let absurd = Builder::new().stack_size(usize::MAX).spawn(|| ());
            assert_eq!(absurd.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
            assert_eq!(spawn(|| 7).join().unwrap(), 7);
        },
    )
    .well();
}

#[test]
#[cfg(not(feature = "engine-may"))]
fn where_there_is_no_stack_futures_wait_for_one() {
    let name = "limits::where_there_is_no_stack_futures_wait_for_one";
    alone(name, &[("GREEN_HUBS", "1")], || {
        spawn(|| ()).join().unwrap();
        address_space::leave(600 << 20);
        let (mut parked, error) = spawn_to_the_limit(10_000);
        error.expect("600 MiB do not hold 10,000 stacks");
        let waiting = greenhub::future::spawn(async { 7 });
        let killed = greenhub::future::spawn(async { 8 });
        let lasting = greenhub::future::spawn(std::future::pending::<()>());
        until(|| site(&waiting) == Some(Site::Queue("a stack")));
        killed.kill().unwrap();
        assert!(!waiting.wait_timeout(Duration::from_millis(50)));
        let one = parked.pop().unwrap();
        one.thread().unpark();
        one.join().unwrap();
        assert_eq!(waiting.join().unwrap(), 7);
        assert!(is_killed(killed.join()));
        // The limit of its wait for a stack is none of its next one.
        until(|| site(&lasting) == Some(Site::Queue("its waker")));
        assert_eq!(time_left(&lasting), None);
        lasting.kill().unwrap();
        assert!(is_killed(lasting.join()));
        end_all(parked);
    })
    .well();
}

#[test]
fn where_there_is_little_address_space_some_stacks_fit_and_some_space_is_left() {
    let name = "limits::where_there_is_little_address_space_some_stacks_fit_and_some_space_is_left";
    alone(name, &[("GREEN_HUBS", "1")], || {
        spawn(|| ()).join().unwrap();
        address_space::leave(60 << 20);
        let start = || Builder::new().stack_size(1 << 20).spawn(|| sleep(LONG));
        let mut sleepers = Vec::new();
        let error = loop {
            match start() {
                Ok(sleeper) => sleepers.push(sleeper),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("ulimit -v"), "{error}");
        assert!(sleepers.len() > 5, "{} fit", sleepers.len());
        #[cfg(not(feature = "engine-may"))]
        {
            let (limit, left) = address_space::limit_and_left();
            let spare = (limit / 8).min(64 << 20);
            // But for what threads beside those have taken meanwhile.
            assert!(left + (2 << 20) > spare, "{left} bytes are left of {limit}");
        }
        // An allocation that fails would end the process.
        drop(vec![1u8; 4 << 20]);
        sleepers.iter().for_each(|sleeper| sleeper.kill().unwrap());
        for sleeper in sleepers {
            assert!(sleeper.join().is_err());
        }
    })
    .well();
}

/// Address space that the process takes, in bytes.
#[test]
fn a_scope_that_finds_no_stack_waits_for_those_that_borrow_from_it() {
    let name = "limits::a_scope_that_finds_no_stack_waits_for_those_that_borrow_from_it";
    alone(name, &[("GREEN_HUBS", "2")], || {
        spawn(|| ()).join().unwrap();
        address_space::leave(600 << 20);
        for _ in 0..2 {
            let dropped = AtomicUsize::new(0);
            let (seen, lent) = (AtomicUsize::new(0), AtomicUsize::new(7));
            let mut spawned = 0;
            let refused = AtomicBool::new(false);
            // The refused closure is dropped here, where a drop may wait.
            let waits = || {
                OnDrop(|| {
                    sleep(Duration::from_millis(1));
                    dropped.fetch_add(1, Relaxed);
                })
            };
            scope(|s| {
                loop {
                    let (waits, lent, seen, refused) = (waits(), &lent, &seen, &refused);
                    let body = move || {
                        // None ends before: its stack would be there for the next one.
                        loop {
                            sleep(Duration::from_millis(20));
                            if refused.load(Relaxed) {
                                break;
                            }
                        }
                        let _waits = waits;
                        seen.fetch_add(lent.load(Relaxed), Relaxed);
                    };
                    match Builder::new().spawn_scoped(s, body) {
                        Ok(_) => spawned += 1,
                        Err(error) => {
                            assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
                            refused.store(true, Relaxed);
                            break;
                        }
                    }
                }
            });
            assert!(spawned > 100, "{spawned} fit");
            assert_eq!(seen.into_inner(), 7 * spawned);
            assert_eq!(dropped.into_inner(), spawned + 1);
        }
    })
    .well();
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[cfg(not(feature = "engine-may"))]
#[test]
fn more_green_threads_than_there_may_be_mappings() {
    let name = "limits::more_green_threads_than_there_may_be_mappings";
    alone(name, &[], || {
        let before = mappings();
        let (parked, error) = spawn_to_the_limit(100_000);
        assert!(error.is_none(), "{error:?}");
        let taken = mappings() - before;
        assert!(taken < 500, "{taken} mappings");
        end_and_repeat(parked);
        let taken = mappings() - before;
        assert!(taken < 500, "{taken} mappings");
    })
    .well();
}

#[cfg(not(feature = "engine-may"))]
#[test]
fn where_the_system_charges_for_stacks_and_has_no_more_spawn_is_an_error() {
    let name = "limits::where_the_system_charges_for_stacks_and_has_no_more_spawn_is_an_error";
    alone(name, &[("GREEN_HUBS", "2")], || {
        spawn(|| ()).join().unwrap();
        // As with vm.overcommit_memory = 2: what is made accessible is charged then.
        let accessible = (libc::PROT_READ | libc::PROT_WRITE) as u32;
        refuse(libc::SYS_mprotect, accessible, libc::ENOMEM);
        let (parked, error) = spawn_to_the_limit(10_000);
        let error = error.expect("there are not so many stacks yet");
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert!(
            error.to_string().contains("vm.overcommit_memory"),
            "{error}"
        );
        assert!(!parked.is_empty());
        end_and_repeat(parked);
    })
    .well();
}

#[cfg(not(feature = "engine-may"))]
fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().count()
}

#[cfg(not(feature = "engine-may"))]
#[test]
fn stacks_that_could_not_be_made_do_not_count() {
    let name = "limits::stacks_that_could_not_be_made_do_not_count";
    alone(name, &[("GREEN_STACK_SIZE", "8388608")], || {
        refuse_guard_marks();
        let (parked, error) = spawn_to_the_limit(10);
        assert!(error.is_none(), "{error:?}");
        // A stack does not fit, and the allocator has room.
        limit_data(kilobytes("VmData:") * 1024 + (4 << 20));
        // What was made before, and then more than there may be mappings for.
        let (left, error) = spawn_to_the_limit(1000);
        assert!(error.is_some(), "{} fit", left.len());
        for _ in 0..35_000 {
            let error = Builder::new().spawn(park).map(drop).unwrap_err();
            let named = "cannot map a green thread's stack of 8388608 bytes";
            assert!(error.to_string().starts_with(named), "{error}");
        }
        limit_data(libc::RLIM_INFINITY);
        let (more, error) = spawn_to_the_limit(100);
        assert!(error.is_none(), "{error:?}");
        end_all(parked);
        end_all(left);
        end_all(more);
    })
    .well();
}

#[cfg(not(feature = "engine-may"))]
#[test]
fn at_the_limit_of_what_can_be_written_to_there_is_some_left_for_everything_else() {
    let name =
        "limits::at_the_limit_of_what_can_be_written_to_there_is_some_left_for_everything_else";
    alone(name, &[("GREEN_HUBS", "2")], || {
        spawn(|| ()).join().unwrap();
        limit_data(400 << 20);
        let (parked, error) = spawn_to_the_limit(10_000);
        let error = error.expect("400 MiB do not hold 10,000 stacks");
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert!(error.to_string().contains("ulimit -d"), "{error}");
        assert!(parked.len() > 500, "{} fit", parked.len());
        // An allocation that fails would end the process.
        let memory = vec![1u8; 16 << 20];
        std::thread::spawn(move || drop(memory)).join().unwrap();
        end_and_repeat(parked);
    })
    .well();
}

/// Without a right that root has, which lifts the limit.
#[cfg(not(feature = "engine-may"))]
#[test]
fn at_the_limit_of_what_can_be_locked_there_is_some_left_for_everything_else() {
    let name = "limits::at_the_limit_of_what_can_be_locked_there_is_some_left_for_everything_else";
    alone(name, &[("GREEN_HUBS", "1")], || {
        spawn(|| ()).join().unwrap();
        let limit = libc::rlimit {
            rlim_cur: 8 << 20,
            rlim_max: 8 << 20,
        };
        // SAFETY: `limit` lives across the call. 65534 is nobody's number.
        unsafe {
            assert_eq!(libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit), 0);
            if libc::geteuid() == 0 {
                assert_eq!(libc::setuid(65_534), 0);
            }
            assert_eq!(libc::mlockall(libc::MCL_FUTURE), 0);
        }
        let (parked, error) = spawn_to_the_limit(10_000);
        let error = error.expect("8 MiB do not hold 10,000 stacks");
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert!(error.to_string().contains("ulimit -l"), "{error}");
        // An allocation that fails would end the process.
        drop(vec![1u8; 512 << 10]);
        end_and_repeat(parked);
    })
    .well();
}

/// Room for stacks is asked for in pieces, each larger than the one before.
#[cfg(not(feature = "engine-may"))]
#[test]
fn where_the_system_refuses_a_large_piece_a_smaller_one_is_taken() {
    let name = "limits::where_the_system_refuses_a_large_piece_a_smaller_one_is_taken";
    alone(name, &[("GREEN_HUBS", "1")], || {
        spawn(|| ()).join().unwrap();
        refuse_mappings(4 << 20);
        let (parked, error) = spawn_to_the_limit(500);
        assert!(error.is_none(), "{} fit, {error:?}", parked.len());
        end_all(parked);
    })
    .well();
}

#[cfg(not(feature = "engine-may"))]
fn limit_data(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` lives across the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &limit) }, 0);
}

#[test]
fn a_future_that_counts_on_a_sleeper_that_finds_no_stack_does_not_wait_for_ever() {
    let name =
        "limits::a_future_that_counts_on_a_sleeper_that_finds_no_stack_does_not_wait_for_ever";
    alone(name, &[("GREEN_HUBS", "1")], || {
        const ROUNDS: usize = 5000;
        std::panic::set_hook(Box::new(|_| ()));
        spawn(|| ()).join().unwrap();
        let (begin, refused) = (Barrier::new(3), AtomicUsize::new(0));
        let mut kept = Vec::new();
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    // Both have met the allocator before the limit.
                    begin.wait();
                    begin.wait();
                    for _ in 0..ROUNDS {
                        let slept =
                            catch_unwind(|| block_on(future::sleep(Duration::from_millis(1))));
                        refused.fetch_add(usize::from(slept.is_err()), Relaxed);
                    }
                });
            }
            begin.wait();
            address_space::leave(600 << 20);
            let (parked, error) = spawn_to_the_limit(10_000);
            error.expect("600 MiB do not hold 10,000 stacks");
            begin.wait();
            kept = parked;
        });
        end_all(kept);
        assert!(refused.into_inner() > 0);
        block_on(future::sleep(Duration::from_millis(1)));
    })
    .well();
}
