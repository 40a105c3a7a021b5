//! What a hook costs: where it passes through, where it tries, and where it parks.
//!
//! The best of many runs, in nanoseconds. The functions behind the hooks are called by their
//! addresses, which the loader tells.
#![expect(unsafe_code, reason = "C's functions")]

use std::ffi::{CStr, c_int, c_void};
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::time::Instant;

use green::thread::spawn_local;
use green_monkey::{Patch, monkey_patch};

type Recv = unsafe extern "C" fn(c_int, *mut c_void, usize, c_int) -> isize;
type Wait = unsafe extern "C" fn(*mut libc::sem_t) -> c_int;
type Yield = unsafe extern "C" fn() -> c_int;

const RUNS: usize = 60;
const CALLS: u32 = 2_000;

fn main() {
    green::Config::new()
        .hubs(1)
        .apply()
        .expect("nothing has started");
    println!("{:48} {:>9} {:>9}", "nanoseconds a call", "behind", "hook");
    let calls = |when: &str| {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().expect("two sockets");
        let fd = ours.as_raw_fd();
        let empty = |recv: Recv| {
            // SAFETY: a buffer that lives across the call.
            best(|| unsafe {
                recv(fd, [0u8; 8].as_mut_ptr().cast(), 8, libc::MSG_DONTWAIT);
            })
        };
        line(
            &format!("recv that finds nothing, {when}"),
            empty(behind(c"recv")),
            empty(libc::recv),
        );
        let nothing = |call: Recv| {
            // SAFETY: no descriptor of anybody's.
            best(|| unsafe {
                call(-1, std::ptr::null_mut(), 0, 0);
            })
        };
        line(
            &format!("recv of no socket, {when}"),
            nothing(behind(c"recv")),
            nothing(libc::recv),
        );
        // Without a system call, so that what a hook adds stands out.
        let mut semaphore = MaybeUninit::uninit();
        // SAFETY: initialised before it is used.
        unsafe { libc::sem_init(semaphore.as_mut_ptr(), 0, i32::MAX as u32) };
        let mut take = |wait: Wait| {
            best(|| {
                // SAFETY: initialised above, and it never runs out.
                unsafe { wait(semaphore.as_mut_ptr()) };
            })
        };
        let (behind, hook) = (take(behind(c"sem_wait")), take(libc::sem_wait));
        line(&format!("sem_wait of a free one, {when}"), behind, hook);
    };
    calls("not patched, OS thread");
    // SAFETY: nothing here relies on having an OS thread to itself.
    unsafe { monkey_patch(Patch::all()) }.expect("a patch that holds");
    calls("patched, OS thread");
    green::run(move || calls("patched, green thread"));
    green::run(|| {
        let yields = |call: Yield| {
            // SAFETY: no pointer is passed.
            best(|| unsafe {
                call();
            })
        };
        line(
            "sched_yield alone, green thread",
            yields(behind(c"sched_yield")),
            yields(libc::sched_yield),
        );
        println!(
            "\n{:48} {:>9} {:>9}",
            "nanoseconds a round of 64 bytes, both park", "green's", "hook"
        );
        line(
            "ping-pong over a Unix stream",
            green_rounds(),
            hooked_rounds(),
        );
    });
}

fn line(what: &str, behind: f64, hook: f64) {
    println!("{what:48} {behind:9.1} {hook:9.1}");
}

/// The function behind a hook.
fn behind<F: Copy>(name: &CStr) -> F {
    // SAFETY: the caller names a function of that type.
    unsafe {
        let library = libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_NOW);
        let at = libc::dlsym(library, name.as_ptr());
        assert!(!at.is_null());
        std::mem::transmute_copy(&at)
    }
}

fn best(mut call: impl FnMut()) -> f64 {
    let run = |_| {
        let begun = Instant::now();
        (0..CALLS).for_each(|_| call());
        begun.elapsed().as_nanos() as f64 / f64::from(CALLS)
    };
    (0..RUNS).map(run).fold(f64::INFINITY, f64::min)
}

/// Rounds between two green threads, each of which waits for the other.
fn rounds<S: Read + Write + 'static>((mut ours, mut theirs): (S, S)) -> f64 {
    let echo = spawn_local(move || {
        let mut text = [0; 64];
        while theirs.read_exact(&mut text).is_ok() {
            theirs.write_all(&text).expect("the other side reads");
        }
    });
    let nanos = best(|| {
        let mut text = [7; 64];
        ours.write_all(&text).expect("the other side reads");
        ours.read_exact(&mut text).expect("the other side writes");
    });
    drop(ours);
    echo.join().expect("no panic");
    nanos
}

fn green_rounds() -> f64 {
    rounds(green::os::unix::net::UnixStream::pair().expect("two sockets"))
}

fn hooked_rounds() -> f64 {
    rounds(std::os::unix::net::UnixStream::pair().expect("two sockets"))
}
