//! Stacks: what an overflow says, what it leaves to others, and what happens at the limits of memory.
#![expect(unsafe_code, reason = "resource limits are set by system calls")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use greenhub::green_thread::{Builder, JoinHandle, park, scope, sleep, spawn};

#[path = "util/child.rs"]
mod child;
mod util;

use child::{Ended, alone};

/// Uses a page of stack a level, for ever.
#[expect(unconditional_recursion, reason = "it is to overflow")]
fn recurse(level: u64) -> u64 {
    let page = std::hint::black_box([level; 512]);
    recurse(level + 1) + page[(level % 512) as usize]
}

/// Frames so small that they touch every word of the guard page.
#[expect(unconditional_recursion, reason = "it is to overflow")]
fn recurse_in_small_steps(level: u64) -> u64 {
    std::hint::black_box(recurse_in_small_steps(std::hint::black_box(level) + 1)) + 1
}

fn large_array() -> u64 {
    let array = std::hint::black_box([1u64; 1 << 17]);
    array.iter().sum()
}

#[track_caller]
fn names_the_green_thread(ended: Ended, name: &str, size: &str) {
    let ended = ended.by(libc::SIGABRT);
    for part in [name, size, "has overflowed its stack", "stack_size"] {
        assert!(
            ended.errors.contains(part),
            "{part:?} in {:?}",
            ended.errors
        );
    }
}

#[test]
fn t11_a_deep_recursion_names_the_green_thread() {
    let ended = alone("t11_a_deep_recursion_names_the_green_thread", &[], || {
        let deep = Builder::new()
            .name("deep".to_owned())
            .spawn(|| recurse(0))
            .unwrap();
        let _ = deep.join();
    });
    names_the_green_thread(ended, "'deep'", "262144 bytes");
}

#[test]
fn t11_small_frames_do_so_too() {
    let ended = alone("t11_small_frames_do_so_too", &[], || {
        let _ = spawn(|| recurse_in_small_steps(0)).join();
    });
    names_the_green_thread(ended, "'<unnamed>'", "262144 bytes");
}

#[test]
fn t11_a_large_local_array_does_so_too() {
    let ended = alone(
        "t11_a_large_local_array_does_so_too",
        &[("GREEN_STACK_SIZE", "65536")],
        || {
            let _ = spawn(large_array).join();
        },
    );
    names_the_green_thread(ended, "'<unnamed>'", "65536 bytes");
}

#[test]
fn t11_an_overflow_after_a_wait_and_on_another_size_of_stack() {
    let ended = alone(
        "t11_an_overflow_after_a_wait_and_on_another_size_of_stack",
        &[],
        || {
            let thread = Builder::new()
                .name("woken".to_owned())
                .stack_size(100_000)
                .spawn(|| {
                    sleep(Duration::from_millis(1));
                    recurse(0)
                })
                .unwrap();
            let _ = thread.join();
        },
    );
    names_the_green_thread(ended, "'woken'", "102400 bytes");
}

/// Puts the stack pointer into `page` and writes there, as a C function without
/// stack probes does that has a large local.
#[cfg(target_arch = "x86_64")]
fn step_into(page: usize) {
    // SAFETY: the write faults, since the page is inaccessible; this process is
    // there to die of it.
    unsafe {
        std::arch::asm!(
            "mov {saved}, rsp",
            "mov rsp, {there}",
            "mov qword ptr [rsp], 1",
            "mov rsp, {saved}",
            saved = out(reg) _,
            there = in(reg) page + 2048,
        );
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn t11_a_frame_that_steps_over_the_guard_page_is_known_by_the_stack_pointer() {
    let name = "t11_a_frame_that_steps_over_the_guard_page_is_known_by_the_stack_pointer";
    let ended = alone(name, &[("GREEN_HUBS", "1")], || {
        let thread = Builder::new()
            .name("alloca".to_owned())
            .spawn(|| step_into(inaccessible_page_below()))
            .unwrap();
        let _ = thread.join();
    });
    names_the_green_thread(ended, "'alloca'", "262144 bytes");
}

/// A page below the running green thread's stack and its guard on which an
/// access faults: free, or somebody else's guard.
#[cfg(target_arch = "x86_64")]
fn inaccessible_page_below() -> usize {
    let local = 0u8;
    let top = (&raw const local as usize).next_multiple_of(4096);
    let bottom = top - 256 * 1024;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let accessible: Vec<_> = maps
        .lines()
        .filter(|line| !line.contains(" ---p "))
        .map(|line| {
            let (range, _) = line.split_once(' ').unwrap();
            let (from, to) = range.split_once('-').unwrap();
            let address = |hex| usize::from_str_radix(hex, 16).unwrap();
            address(from)..address(to)
        })
        .collect();
    let mut candidates = (2..1900).map(|pages| bottom - pages * 4096);
    let page = candidates.find(|at| accessible.iter().all(|range| !range.contains(at)));
    page.expect("an inaccessible page within 8 MB of the stack")
}

#[test]
fn t11_a_null_dereference_still_dies_by_sigsegv() {
    let ended = alone("t11_a_null_dereference_still_dies_by_sigsegv", &[], || {
        let _ = spawn(|| {
            // SAFETY: none: the fault is the point, in a process of its own.
            unsafe { std::ptr::null_mut::<u8>().wrapping_add(8).write_volatile(1) }
        })
        .join();
    });
    let ended = ended.by(libc::SIGSEGV);
    assert!(!ended.errors.contains("overflowed"), "{}", ended.errors);
}

#[test]
fn t11_an_os_threads_overflow_still_prints_std_s_message() {
    let ended = alone(
        "t11_an_os_threads_overflow_still_prints_std_s_message",
        &[],
        || {
            spawn(|| ()).join().unwrap();
            let thread = std::thread::Builder::new()
                .name("plain".to_owned())
                .spawn(|| recurse(0))
                .unwrap();
            let _ = thread.join();
        },
    );
    let ended = ended.by(libc::SIGABRT);
    assert!(ended.errors.contains("plain"), "{}", ended.errors);
    assert!(
        ended.errors.contains("has overflowed its stack"),
        "{}",
        ended.errors
    );
    assert!(!ended.errors.contains("green thread"), "{}", ended.errors);
}

/// Spawns parked green threads until one is refused.
fn spawn_to_the_limit(most: usize) -> (Vec<JoinHandle<()>>, Option<io::Error>) {
    let mut parked = Vec::new();
    while parked.len() < most {
        match Builder::new().spawn(park) {
            Ok(thread) => parked.push(thread),
            Err(error) => return (parked, Some(error)),
        }
    }
    (parked, None)
}

fn end_all(parked: Vec<JoinHandle<()>>) {
    for thread in &parked {
        thread.thread().unpark();
    }
    for thread in parked {
        thread.join().unwrap();
    }
}

/// Ends them, and starts as many again.
fn end_and_repeat(parked: Vec<JoinHandle<()>>) {
    let first = parked.len();
    end_all(parked);
    assert_eq!(spawn(|| 7).join().unwrap(), 7);
    let (parked, _) = spawn_to_the_limit(first);
    assert_eq!(parked.len(), first);
    end_all(parked);
}

/// Has madvise(2) refuse to install guards from now on, as a kernel before 6.13
/// does: they are then pages of their own.
#[cfg(not(feature = "engine-may"))]
fn refuse_guard_marks() {
    const MADV_GUARD_INSTALL: u32 = 102;
    refuse(libc::SYS_madvise, MADV_GUARD_INSTALL, libc::EINVAL);
}

/// Has a system call with this third argument fail from now on.
#[cfg(not(feature = "engine-may"))]
fn refuse(call: libc::c_long, third: u32, error: i32) {
    // The low half of the third argument, as struct seccomp_data has it.
    #[cfg(target_endian = "little")]
    const THIRD: u32 = 16 + 2 * 8;
    let jump = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equals = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let mut filter = [
        jump(load, 0, 0, 0),
        jump(equals, call as u32, 0, 3),
        jump(load, THIRD, 0, 0),
        jump(equals, third, 0, 1),
        jump(answer, libc::SECCOMP_RET_ERRNO | error as u32, 0, 0),
        jump(answer, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program lives across the calls. TSYNC: hubs that have started
    // obey it too.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let set = libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        );
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
    }
}

#[cfg(feature = "engine-may")]
fn refuse_guard_marks() {}

#[test]
fn t12_at_max_map_count_spawn_says_so_and_the_process_goes_on() {
    alone(
        "t12_at_max_map_count_spawn_says_so_and_the_process_goes_on",
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
fn an_overflow_is_named_where_guards_are_pages_of_their_own() {
    let name = "an_overflow_is_named_where_guards_are_pages_of_their_own";
    let ended = alone(name, &[], || {
        spawn(|| ()).join().unwrap();
        refuse_guard_marks();
        // More than were made before the marks were refused.
        let (_parked, _) = spawn_to_the_limit(1000);
        let deep = Builder::new()
            .name("deep".to_owned())
            .spawn(|| recurse(0))
            .unwrap();
        let _ = deep.join();
    });
    names_the_green_thread(ended, "'deep'", "262144 bytes");
}

#[test]
fn an_overflow_is_named_on_a_stack_among_many_and_on_one_used_again() {
    let name = "an_overflow_is_named_on_a_stack_among_many_and_on_one_used_again";
    let ended = alone(name, &[("GREEN_STACK_SIZE", "65536")], || {
        let (parked, _) = spawn_to_the_limit(700);
        end_all(parked);
        let (_parked, _) = spawn_to_the_limit(300);
        let deep = Builder::new()
            .name("again".to_owned())
            .spawn(|| recurse(0))
            .unwrap();
        let _ = deep.join();
    });
    names_the_green_thread(ended, "'again'", "65536 bytes");
}

#[test]
fn t12_at_the_limit_of_address_space_spawn_is_an_error() {
    alone(
        "t12_at_the_limit_of_address_space_spawn_is_an_error",
        &[("GREEN_HUBS", "2")],
        || {
            spawn(|| ()).join().unwrap();
            limit_address_space(600 << 20);
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

/// Leaves the process so many bytes of address space. The allocator may take 128 MiB of them for each hub.
fn limit_address_space(bytes: u64) {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    let limit = libc::rlimit {
        rlim_cur: pages * 4096 + bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` lives across the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
}

#[test]
fn a_scope_that_finds_no_stack_waits_for_those_that_borrow_from_it() {
    let name = "a_scope_that_finds_no_stack_waits_for_those_that_borrow_from_it";
    alone(name, &[("GREEN_HUBS", "2")], || {
        spawn(|| ()).join().unwrap();
        limit_address_space(600 << 20);
        for _ in 0..2 {
            let dropped = AtomicUsize::new(0);
            let (seen, lent) = (AtomicUsize::new(0), AtomicUsize::new(7));
            let mut spawned = 0;
            // The refused closure is dropped here, where a drop may wait.
            let waits = || {
                OnDrop(|| {
                    sleep(Duration::from_millis(1));
                    dropped.fetch_add(1, Relaxed);
                })
            };
            scope(|s| {
                loop {
                    let (waits, lent, seen) = (waits(), &lent, &seen);
                    let body = move || {
                        sleep(Duration::from_millis(20));
                        let _waits = waits;
                        seen.fetch_add(lent.load(Relaxed), Relaxed);
                    };
                    match Builder::new().spawn_scoped(s, body) {
                        Ok(_) => spawned += 1,
                        Err(error) => {
                            assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
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

#[test]
fn stacks_of_other_sizes_come_and_go() {
    util::bounded("sizes", Duration::from_secs(30), || {
        for bytes in [1, 32 * 1024, 40_000, 1 << 20, 8 << 20] {
            let threads: Vec<_> = (0..10)
                .map(|n| {
                    Builder::new()
                        .stack_size(bytes)
                        .spawn(move || {
                            sleep(Duration::from_millis(1));
                            n
                        })
                        .unwrap()
                })
                .collect();
            let sum: i32 = threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum();
            assert_eq!(sum, 45);
        }
    });
}

/// Whether the page at this address takes memory (proc_pid_pagemap(5)).
fn is_present(address: usize) -> bool {
    let mut entry = [0; 8];
    let map = std::fs::File::open("/proc/self/pagemap").unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&map, &mut entry, address as u64 / 4096 * 8).unwrap();
    u64::from_ne_bytes(entry) >> 62 != 0
}

/// The lowest page of the running green thread's stack, from an address in its top
/// page.
fn bottom(here: usize, size: usize) -> usize {
    here.next_multiple_of(4096) - size
}

/// Uses the stack down to about this address.
#[inline(never)]
fn descend_to(address: usize) -> u8 {
    let local = std::hint::black_box([1u8; 256]);
    if &raw const local as usize > address {
        descend_to(address).wrapping_add(local[0])
    } else {
        local[0]
    }
}

#[test]
fn a4_the_lowest_page_of_a_stack_takes_no_memory_until_it_is_used() {
    let name = "a4_the_lowest_page_of_a_stack_takes_no_memory_until_it_is_used";
    alone(name, &[], || {
        // Stacks are used again as they are.
        for size in [256 << 10, 128 << 10] {
            let look = move || {
                let local = 0u8;
                let here = &raw const local as usize;
                (is_present(here), is_present(bottom(here, size)))
            };
            // One that uses it ends as well as any, and so do those after it.
            let fill = move || {
                let local = 0u8;
                let bottom = bottom(&raw const local as usize, size);
                descend_to(bottom + 3500);
                is_present(bottom)
            };
            let builder = || Builder::new().stack_size(size);
            let seen = builder().spawn(look).unwrap().join().unwrap();
            assert_eq!(seen, (true, false));
            assert!(builder().spawn(fill).unwrap().join().unwrap());
        }
    })
    .well();
}

/// What holds for our own engine alone.
#[cfg(not(feature = "engine-may"))]
mod arena {
    use std::time::Instant;

    use super::*;

    #[test]
    fn more_green_threads_than_there_may_be_mappings() {
        let name = "arena::more_green_threads_than_there_may_be_mappings";
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

    #[test]
    fn where_the_system_charges_for_stacks_and_has_no_more_spawn_is_an_error() {
        let name = "arena::where_the_system_charges_for_stacks_and_has_no_more_spawn_is_an_error";
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

    /// The mapping that an address lies in, and the one behind it that nobody may
    /// access yet: start and end.
    fn mapping_of(address: usize) -> (usize, usize) {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mut found = None;
        for line in maps.lines() {
            let (range, rest) = line.split_once(' ').unwrap();
            let (from, to) = range.split_once('-').unwrap();
            let [from, to] = [from, to].map(|hex| usize::from_str_radix(hex, 16).unwrap());
            match found {
                None if (from..to).contains(&address) => found = Some((from, to)),
                Some((start, end)) if from == end && rest.starts_with("---p") => {
                    return (start, to);
                }
                Some(range) => return range,
                None => {}
            }
        }
        found.expect("a mapped address")
    }

    #[test]
    fn where_huge_pages_are_asked_for_stacks_take_none() {
        let settings = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
        if !settings.is_ok_and(|settings| !settings.contains("[never]")) {
            eprintln!("huge pages are switched off: skipped");
            return;
        }
        let name = "arena::where_huge_pages_are_asked_for_stacks_take_none";
        alone(name, &[("GREEN_HUBS", "1")], || {
            let (_first, _) = spawn_to_the_limit(600);
            let here = || {
                let local = 0u8;
                &raw const local as usize
            };
            let (start, end) = mapping_of(spawn(here).join().unwrap());
            if end - start < 64 << 20 {
                eprintln!("guards are pages of their own here: skipped");
                return;
            }
            // SAFETY: changes no byte of the stacks that lie there.
            let advised = unsafe { libc::madvise(start as _, end - start, libc::MADV_HUGEPAGE) };
            assert_eq!(advised, 0, "{}", io::Error::last_os_error());
            let before = resident();
            let (second, error) = spawn_to_the_limit(300);
            assert!(error.is_none(), "{error:?}");
            spawn(|| ()).join().unwrap();
            let each = (resident() - before) / second.len() as u64;
            assert!(each < 16, "{each} kB a stack");
        })
        .well();
    }

    fn mappings() -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().count()
    }

    /// Runs `body` in a forked child on a green thread's stack, and gives the signal
    /// that ended it.
    fn signal_of_a_fork(body: impl FnOnce()) -> i32 {
        // SAFETY: the child calls nothing that needs another thread, and ends at once.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::signal(libc::SIGSEGV, libc::SIG_DFL);
                body();
                libc::_exit(0);
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            if libc::WIFSIGNALED(status) {
                libc::WTERMSIG(status)
            } else {
                0
            }
        }
    }

    #[test]
    fn a_forked_child_has_the_guards_too() {
        let name = "arena::a_forked_child_has_the_guards_too";
        alone(name, &[], || {
            let deep = || signal_of_a_fork(|| assert_eq!(recurse(0), 1));
            assert_eq!(spawn(deep).join().unwrap(), libc::SIGSEGV);
            assert_eq!(spawn(|| signal_of_a_fork(|| ())).join().unwrap(), 0);
        })
        .well();
    }

    #[test]
    fn stacks_go_on_in_a_process_that_locks_its_memory() {
        let name = "arena::stacks_go_on_in_a_process_that_locks_its_memory";
        alone(name, &[("GREEN_STACK_SIZE", "32768")], || {
            for locked in [false, true] {
                if locked {
                    // SAFETY: no memory is passed.
                    let result = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) };
                    if result != 0 {
                        eprintln!("no right to lock memory: skipped");
                        return;
                    }
                }
                let (parked, error) = spawn_to_the_limit(2000);
                assert!(error.is_none(), "{error:?}");
                end_all(parked);
            }
        })
        .well();
    }

    #[test]
    fn stacks_that_could_not_be_made_do_not_count() {
        let name = "arena::stacks_that_could_not_be_made_do_not_count";
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
                assert!(error.to_string().contains("cannot map"), "{error}");
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

    fn limit_data(bytes: u64) {
        let limit = libc::rlimit {
            rlim_cur: bytes,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: `limit` lives across the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &limit) }, 0);
    }

    /// A figure of the process's memory.
    fn kilobytes(name: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    /// Kilobytes that the process takes.
    fn resident() -> u64 {
        kilobytes("VmRSS:")
    }

    #[test]
    fn memory_is_given_back_after_a_burst() {
        let name = "arena::memory_is_given_back_after_a_burst";
        alone(name, &[], || {
            let burst = || {
                // Each uses ten pages of its stack.
                let deep = || {
                    let local = 0u8;
                    descend_to(&raw const local as usize - 40_000);
                    park();
                };
                let threads: Vec<_> = (0..3000).map(|_| spawn(deep)).collect();
                end_all(threads);
            };
            spawn(|| ()).join().unwrap();
            let before = resident();
            burst();
            let until = Instant::now() + Duration::from_secs(20);
            // 3,000 stacks of ten pages are 120 MB.
            while resident() > before + 15_000 {
                assert!(Instant::now() < until, "{} of {before} kB", resident());
                std::thread::sleep(Duration::from_millis(20));
            }
            burst();
        })
        .well();
    }
}
