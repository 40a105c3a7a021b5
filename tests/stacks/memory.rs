//! What stacks take of the system's memory, and when they give it back.

#[cfg(not(feature = "engine-may"))]
use std::collections::HashSet;
#[cfg(not(feature = "engine-may"))]
use std::io;
#[cfg(not(feature = "engine-may"))]
use std::sync::{Arc, Mutex};
use std::time::Duration;
#[cfg(not(feature = "engine-may"))]
use std::time::Instant;

use greenhub::green_thread::{Builder, sleep};
#[cfg(not(feature = "engine-may"))]
use greenhub::green_thread::{park, spawn};

#[cfg(not(feature = "engine-may"))]
use super::{end_all, kilobytes, recurse, spawn_to_the_limit};
use test_support::child::alone;

#[test]
fn stacks_of_other_sizes_come_and_go() {
    test_support::bounded("sizes", Duration::from_secs(30), || {
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
fn the_lowest_page_of_a_stack_takes_no_memory_until_it_is_used() {
    let name = "memory::the_lowest_page_of_a_stack_takes_no_memory_until_it_is_used";
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

/// The mapping that an address lies in, and the one behind it that nobody may
/// access yet: start and end.
#[cfg(not(feature = "engine-may"))]
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

#[cfg(not(feature = "engine-may"))]
#[test]
fn where_huge_pages_are_asked_for_stacks_take_none() {
    let settings = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    if !settings.is_ok_and(|settings| !settings.contains("[never]")) {
        eprintln!("huge pages are switched off: skipped");
        return;
    }
    let name = "memory::where_huge_pages_are_asked_for_stacks_take_none";
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

/// Runs `body` in a forked child on a green thread's stack, and gives the signal
/// that ended it.
#[cfg(not(feature = "engine-may"))]
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

#[cfg(not(feature = "engine-may"))]
#[test]
fn a_forked_child_has_the_guards_too() {
    let name = "memory::a_forked_child_has_the_guards_too";
    alone(name, &[], || {
        let deep = || signal_of_a_fork(|| assert_eq!(recurse(0), 1));
        assert_eq!(spawn(deep).join().unwrap(), libc::SIGSEGV);
        assert_eq!(spawn(|| signal_of_a_fork(|| ())).join().unwrap(), 0);
    })
    .well();
}

#[cfg(not(feature = "engine-may"))]
#[test]
fn stacks_go_on_in_a_process_that_locks_its_memory() {
    let name = "memory::stacks_go_on_in_a_process_that_locks_its_memory";
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

/// Kilobytes that the process takes.
#[cfg(not(feature = "engine-may"))]
fn resident() -> u64 {
    kilobytes("VmRSS:")
}

/// Until little more is taken than `before`.
#[cfg(not(feature = "engine-may"))]
fn wait_until_given_back(before: u64) {
    let until = Instant::now() + Duration::from_secs(20);
    while resident() > before + 15_000 {
        assert!(Instant::now() < until, "{} of {before} kB", resident());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(not(feature = "engine-may"))]
#[test]
fn memory_is_given_back_after_a_burst() {
    let name = "memory::memory_is_given_back_after_a_burst";
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
        // 3,000 stacks of ten pages are 120 MB.
        wait_until_given_back(before);
        burst();
    })
    .well();
}

#[cfg(not(feature = "engine-may"))]
#[test]
fn a_few_large_stacks_that_were_used_deeply_are_given_back_too() {
    let name = "memory::a_few_large_stacks_that_were_used_deeply_are_given_back_too";
    alone(name, &[], || {
        const SIZE: usize = 32 << 20;
        let deep = || {
            let local = 0u8;
            descend_to(&raw const local as usize - (SIZE - 100_000));
            park();
        };
        spawn(|| ()).join().unwrap();
        let before = resident();
        let start = |_| Builder::new().stack_size(SIZE).spawn(deep).unwrap();
        end_all((0..4).map(start).collect());
        // Each of the four has touched 32 MB.
        wait_until_given_back(before);
    })
    .well();
}

#[cfg(not(feature = "engine-may"))]
#[test]
fn stacks_of_many_sizes_give_their_memory_back() {
    let name = "memory::stacks_of_many_sizes_give_their_memory_back";
    alone(name, &[], || {
        let deep = || {
            let local = 0u8;
            descend_to(&raw const local as usize - 20_000);
            park();
        };
        spawn(|| ()).join().unwrap();
        let before = resident();
        for size in (0..100).map(|n| (8 + n) * 4096) {
            let start = |_| Builder::new().stack_size(size).spawn(deep).unwrap();
            end_all((0..16).map(start).collect());
        }
        // 1,600 stacks of six pages are 39 MB.
        wait_until_given_back(before);
    })
    .well();
}

/// Starts so many on a hub, all at the same time, and tells where their frames were.
#[cfg(not(feature = "engine-may"))]
fn frames_of_a_crowd(hub: usize, count: usize) -> HashSet<usize> {
    let frames = Arc::new(Mutex::new(HashSet::new()));
    let one = |_| {
        let frames = frames.clone();
        let body = move || {
            let local = 0u8;
            frames.lock().unwrap().insert(&raw const local as usize);
            park();
        };
        Builder::new().hub(hub).spawn(body).unwrap()
    };
    end_all((0..count).map(one).collect());
    Arc::try_unwrap(frames).unwrap().into_inner().unwrap()
}

#[cfg(not(feature = "engine-may"))]
#[test]
fn a_stack_stays_with_the_hub_that_used_it_first() {
    let name = "memory::a_stack_stays_with_the_hub_that_used_it_first";
    alone(name, &[("GREEN_HUBS", "2")], || {
        // More than a hub keeps with their memory.
        let first = frames_of_a_crowd(0, 1500);
        assert_eq!(first.len(), 1500);
        let other = frames_of_a_crowd(1, 1500);
        assert_eq!(first.intersection(&other).count(), 0);
        assert_eq!(frames_of_a_crowd(0, 1500), first);
    })
    .well();
}
