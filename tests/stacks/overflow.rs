//! An overflow names the green thread, wherever and however it happens.

use std::time::Duration;

use greenhub::green_thread::{Builder, sleep, spawn};

use super::{end_all, recurse, refuse_guard_marks, spawn_to_the_limit};
use test_support::child::{Ended, alone};

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
fn a_deep_recursion_names_the_green_thread() {
    let ended = alone(
        "overflow::a_deep_recursion_names_the_green_thread",
        &[],
        || {
            let deep = Builder::new()
                .name("deep".to_owned())
                .spawn(|| recurse(0))
                .unwrap();
            let _ = deep.join();
        },
    );
    names_the_green_thread(ended, "'deep'", "262144 bytes");
}

#[test]
fn a_long_name_leaves_room_for_the_rest() {
    let ended = alone(
        "overflow::a_long_name_leaves_room_for_the_rest",
        &[],
        || {
            let deep = Builder::new()
                .name("ä".repeat(2000))
                .spawn(|| recurse(0))
                .unwrap();
            let _ = deep.join();
        },
    );
    names_the_green_thread(ended, "ää…' (id ", "262144 bytes");
}

#[test]
fn small_frames_do_so_too() {
    let ended = alone("overflow::small_frames_do_so_too", &[], || {
        let _ = spawn(|| recurse_in_small_steps(0)).join();
    });
    names_the_green_thread(ended, "'<unnamed>'", "262144 bytes");
}

#[test]
fn a_large_local_array_does_so_too() {
    let ended = alone(
        "overflow::a_large_local_array_does_so_too",
        &[("GREEN_STACK_SIZE", "65536")],
        || {
            let _ = spawn(large_array).join();
        },
    );
    names_the_green_thread(ended, "'<unnamed>'", "65536 bytes");
}

#[test]
fn an_overflow_after_a_wait_and_on_another_size_of_stack() {
    let ended = alone(
        "overflow::an_overflow_after_a_wait_and_on_another_size_of_stack",
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
fn a_frame_that_steps_over_the_guard_page_is_known_by_the_stack_pointer() {
    let name = "overflow::a_frame_that_steps_over_the_guard_page_is_known_by_the_stack_pointer";
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
fn a_null_dereference_still_dies_by_sigsegv() {
    let ended = alone(
        "overflow::a_null_dereference_still_dies_by_sigsegv",
        &[],
        || {
            let _ = spawn(|| {
                // SAFETY: none: the fault is the point, in a process of its own.
                unsafe { std::ptr::null_mut::<u8>().wrapping_add(8).write_volatile(1) }
            })
            .join();
        },
    );
    let ended = ended.by(libc::SIGSEGV);
    assert!(!ended.errors.contains("overflowed"), "{}", ended.errors);
}

#[test]
fn an_os_threads_overflow_still_prints_std_s_message() {
    let ended = alone(
        "overflow::an_os_threads_overflow_still_prints_std_s_message",
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

#[test]
fn an_overflow_is_named_where_guards_are_pages_of_their_own() {
    let name = "overflow::an_overflow_is_named_where_guards_are_pages_of_their_own";
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
    let name = "overflow::an_overflow_is_named_on_a_stack_among_many_and_on_one_used_again";
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
