//! Stacks: what an overflow says, what happens at the limits of memory, and what they take.
#![expect(unsafe_code, reason = "resource limits are set by system calls")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use greenhub::green_thread::{Builder, JoinHandle, park, spawn};
use greenhub::report;

mod limits;
mod memory;
mod overflow;
mod thread_memory;

/// Uses a page of stack a level, for ever.
#[expect(unconditional_recursion, reason = "it is to overflow")]
fn recurse(level: u64) -> u64 {
    let page = std::hint::black_box([level; 512]);
    recurse(level + 1) + page[(level % 512) as usize]
}

/// Spawns parked green threads until one is refused though all others have been started: a stack that is promised may be
/// counted as one that is mapped as well, until its green thread runs.
fn spawn_to_the_limit(most: usize) -> (Vec<JoinHandle<()>>, Option<io::Error>) {
    let running = Arc::new(AtomicUsize::new(0));
    let mut parked = Vec::new();
    let mut at_rest = None;
    while parked.len() < most {
        let counted = Arc::clone(&running);
        let spawned = Builder::new().spawn(move || {
            counted.fetch_add(1, Relaxed);
            drop(counted);
            park();
        });
        match spawned {
            Ok(thread) => parked.push(thread),
            Err(error) if at_rest == Some(parked.len()) => return (parked, Some(error)),
            Err(_) => {
                while running.load(Relaxed) < parked.len() {
                    std::thread::yield_now();
                }
                at_rest = Some(parked.len());
            }
        }
    }
    (parked, None)
}

/// They are parked, none has ended.
fn end_all<T>(parked: Vec<JoinHandle<T>>) -> Vec<T> {
    let ended = || report().hubs.iter().map(|hub| hub.ended).sum::<u64>();
    let all = ended() + parked.len() as u64;
    for thread in &parked {
        thread.thread().unpark();
    }
    let results = parked.into_iter().map(|thread| thread.join().unwrap());
    let results = results.collect();
    // Who joined may be ahead of the other hub, which still has the stack, and counts the thread.
    while ended() < all {
        std::thread::yield_now();
    }
    results
}

/// Ends them, and starts as many again.
fn end_and_repeat(parked: Vec<JoinHandle<()>>) {
    let first = parked.len();
    end_all(parked);
    let parked = spawn(|| {
        park();
        7
    });
    assert_eq!(end_all(vec![parked]), [7]);
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
    refuse_where(call, 2, libc::BPF_JEQ, third, error);
}

/// Has the system refuse to map so many bytes or more at once, and less than 4 GiB.
#[cfg(not(feature = "engine-may"))]
fn refuse_mappings(bytes: u32) {
    refuse_where(libc::SYS_mmap, 1, libc::BPF_JGE, bytes, libc::ENOMEM);
}

/// Has a system call fail from now on whose argument of this number compares so with `value`.
#[cfg(not(feature = "engine-may"))]
fn refuse_where(call: libc::c_long, argument: u32, compares: u32, value: u32, error: i32) {
    // The low half of the argument, as struct seccomp_data has it.
    #[cfg(target_endian = "little")]
    let argument = 16 + argument * 8;
    let jump = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equals = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let compares = (libc::BPF_JMP | compares | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let mut filter = [
        jump(load, 0, 0, 0),
        jump(equals, call as u32, 0, 3),
        jump(load, argument, 0, 0),
        jump(compares, value, 0, 1),
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

/// A figure of the process's memory.
#[cfg(not(feature = "engine-may"))]
fn kilobytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}
