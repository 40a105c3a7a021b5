//! Allocators in malloc's place: what they keep by thread is the hub's, or thread-locals are shared.

use std::path::{Path, PathBuf};

use green::thread;

use crate::alone;
use crate::library::c_library;

/// A library that the system may have.
fn library(name: &str) -> Option<PathBuf> {
    let folders = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
    ];
    let found = folders
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: no {name}");
    }
    found
}

/// Resident memory in KiB.
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Uses memory across threads, and gives how many KiB an idle thread takes that has used some.
fn use_memory() -> usize {
    let pieces = || -> Vec<Vec<u8>> { (0..100).map(|n| vec![n as u8; n * n + 1]).collect() };
    for _ in 0..20 {
        let all: Vec<_> = (0..50).map(|_| thread::spawn(pieces)).collect();
        for one in all {
            let made = one.join().unwrap();
            let checked =
                thread::spawn(move || made.iter().enumerate().all(|(n, m)| m[0] == n as u8));
            assert!(checked.join().unwrap());
        }
    }
    let before = resident();
    let idle: Vec<_> = (0..1_000)
        .map(|_| {
            thread::spawn(move || {
                drop(pieces());
                thread::park();
            })
        })
        .collect();
    (0..3).for_each(|_| thread::sleep(std::time::Duration::from_millis(20)));
    let grown = resident().saturating_sub(before);
    for one in idle {
        one.thread().unpark();
        one.join().unwrap();
    }
    grown / 1_000
}

fn with_library(name: &str, file: &str, check: fn(&str, usize)) {
    let Some(library) = library(file) else { return };
    let environment = [
        ("GREEN_THREAD_LOCALS", "auto"),
        ("GREEN_HUBS", "2"),
        ("LD_PRELOAD", library.to_str().unwrap()),
    ];
    alone(name, &environment, || {
        let a_thread = use_memory();
        check(green::report().thread_locals, a_thread);
    })
    .well();
}

#[test]
fn mimalloc_keeps_one_cache_a_hub() {
    let name = "allocators::mimalloc_keeps_one_cache_a_hub";
    with_library(name, "libmimalloc.so.2", |told, kib| {
        assert!(
            kib < 40,
            "{kib} KiB a thread, where thread-locals are {told}"
        );
    });
}

/// What malloc then keeps for each thread is not known, so it must not become each green thread's own.
#[test]
fn a_library_that_allocates_first_on_each_os_thread_leaves_nothing_in_green_ones() {
    let name =
        "allocators::a_library_that_allocates_first_on_each_os_thread_leaves_nothing_in_green_ones";
    let source = "
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <pthread.h>
        #include <stdlib.h>
        struct start { void *(*body)(void *); void *argument; };
        static void *run(void *at) {
            struct start start = *(struct start *)at;
            free(at);
            return start.body(start.argument);
        }
        int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument) {
            int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
            *(void **)&next = dlsym(RTLD_NEXT, \"pthread_create\");
            struct start *start = malloc(sizeof *start);
            *start = (struct start){body, argument};
            return next(thread, attributes, run, start);
        }";
    let Some(library) = c_library("allocates_first", source) else {
        return;
    };
    let environment = [
        ("GREEN_THREAD_LOCALS", "auto"),
        ("GREEN_HUBS", "1"),
        ("LD_PRELOAD", library.to_str().unwrap()),
    ];
    alone(name, &environment, || {
        let in_use = || {
            // One after the other: all of them on one stack.
            for _ in 0..2000 {
                thread::spawn(|| drop(vec![1u8; 100])).join().unwrap();
            }
            // SAFETY: no arguments.
            unsafe { libc::mallinfo2() }.uordblks
        };
        let before = in_use();
        let kept = in_use().saturating_sub(before);
        let told = green::report().thread_locals;
        assert!(
            kept < 100_000,
            "{kept} bytes, where thread-locals are {told}"
        );
    })
    .well();
}

#[test]
fn jemalloc_is_left_alone() {
    let name = "allocators::jemalloc_is_left_alone";
    with_library(name, "libjemalloc.so.2", |told, kib| {
        assert!(
            kib < 40,
            "{kib} KiB a thread, where thread-locals are {told}"
        );
    });
}

#[test]
fn tcmalloc_keeps_one_cache_a_hub_or_is_left_alone() {
    let name = "allocators::tcmalloc_keeps_one_cache_a_hub_or_is_left_alone";
    with_library(name, "libtcmalloc_minimal.so.4", |told, kib| {
        assert!(
            kib < 40,
            "{kib} KiB a thread, where thread-locals are {told}"
        );
    });
}
