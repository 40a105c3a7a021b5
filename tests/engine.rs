//! The engine: what a switch keeps, where a stack of frames ends, and what debuggers see.
#![expect(unsafe_code, reason = "looks at registers")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use greenhub::green_thread::{Builder, park, spawn, spawn_local, yield_now};

mod util;

const LIMIT: Duration = Duration::from_secs(60);

/// What is called with every register that a function must keep set to a value of
/// its own.
extern "C" fn switches() {
    yield_now();
}

/// Fills the registers that a function must keep, calls `f`, and gives what they
/// hold then.
#[cfg(target_arch = "x86_64")]
fn kept_by(f: extern "C" fn(), seed: u64) -> [u64; 6] {
    let mut values = [seed, seed + 1, seed + 2, seed + 3, seed + 4, seed + 5];
    let at = values.as_mut_ptr();
    // SAFETY: what a function must keep is saved before it is filled and put back
    // afterwards; the stack is aligned as a call asks, in any case.
    unsafe {
        std::arch::asm!(
            "push rbx",
            "push rbp",
            "mov r13, rsp",
            "and rsp, -16",
            "push r13",
            "push r12",
            "mov rbx, [r12]",
            "mov rbp, [r12 + 8]",
            "mov r13, [r12 + 16]",
            "mov r14, [r12 + 24]",
            "mov r15, [r12 + 32]",
            "mov r12, [r12 + 40]",
            "call rax",
            "xchg r12, [rsp]",
            "mov [r12], rbx",
            "mov [r12 + 8], rbp",
            "mov [r12 + 16], r13",
            "mov [r12 + 24], r14",
            "mov [r12 + 32], r15",
            "pop rax",
            "mov [r12 + 40], rax",
            "pop rsp",
            "pop rbp",
            "pop rbx",
            inout("rax") f => _,
            inout("r12") at => _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
            clobber_abi("C"),
        );
    }
    values
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_switch_keeps_every_register_that_a_function_must_keep() {
    util::bounded("registers", LIMIT, || {
        greenhub::run(|| {
            let threads: Vec<_> = (1..=3)
                .map(|n| {
                    spawn_local(move || {
                        for turn in 0..1000 {
                            let seed = n << 32 | turn << 8;
                            let kept = kept_by(switches, seed);
                            let expected = [0, 1, 2, 3, 4, 5].map(|k| seed + k);
                            assert_eq!(kept, expected);
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|t| t.join().unwrap());
        });
    });
}

/// A value that the compiler moves with an instruction that faults on a wrong
/// alignment.
#[repr(align(16))]
struct Aligned([u8; 16]);

#[test]
fn a_stack_is_aligned_from_its_first_frame_on() {
    util::bounded("alignment", LIMIT, || {
        for _ in 0..4 {
            let at = || {
                let value = std::hint::black_box(Aligned([7; 16]));
                let copy = std::hint::black_box(Aligned(value.0));
                (&raw const copy as usize % 16, copy.0[15])
            };
            assert_eq!(spawn(at).join().unwrap(), (0, 7));
        }
    });
}

#[test]
fn values_and_floating_point_hold_over_ten_thousand_switches() {
    util::bounded("values", LIMIT, || {
        greenhub::run(|| {
            let sum = |from: u32| {
                let (mut whole, mut broken) = (0u64, 0.0f64);
                for n in from..from + 10_000 {
                    whole += u64::from(n);
                    broken += f64::from(n) / 4.0;
                    yield_now();
                }
                assert!((broken - whole as f64 / 4.0).abs() < 1e-6);
            };
            let threads = [0, 1_000, 77].map(|from| spawn_local(move || sum(from)));
            threads.into_iter().for_each(|t| t.join().unwrap());
        });
    });
}

#[test]
fn panics_and_kills_pass_through_a_thousand_switches() {
    util::bounded("unwinds", LIMIT, || {
        greenhub::run(|| {
            for n in 0..1000 {
                let caught = spawn_local(move || {
                    let result = catch_unwind(AssertUnwindSafe(|| {
                        yield_now();
                        std::panic::resume_unwind(Box::new(n));
                    }));
                    yield_now();
                    *result.unwrap_err().downcast::<i32>().unwrap()
                });
                let killed = spawn_local(|| {
                    yield_now();
                    park();
                });
                assert_eq!(caught.join().unwrap(), n);
                killed.kill().unwrap();
                assert!(killed.join().unwrap_err().is::<greenhub::Killed>());
            }
        });
    });
}

#[test]
fn a_back_trace_ends_at_the_first_frame() {
    let trace = || {
        yield_now();
        let mut names = Vec::new();
        backtrace::trace(|frame| {
            backtrace::resolve_frame(frame, |symbol| {
                names.extend(symbol.name().map(|name| name.to_string()));
            });
            names.len() < 1000
        });
        names
    };
    let names = spawn(trace).join().unwrap();
    assert!(names.len() < 200, "{names:?}");
    if cfg!(not(feature = "engine-may")) {
        let first = names.iter().rposition(|name| name.contains("own::first"));
        // Behind it is `begin` alone, whose name tools know or do not.
        assert!(first.is_some_and(|at| at + 2 >= names.len()), "{names:?}");
    }
}

#[test]
fn a_green_thread_that_never_ran_leaves_nothing() {
    util::bounded("never ran", LIMIT, || {
        thread_local! { static DROPPED: Cell<u32> = const { Cell::new(0) }; }
        struct Counts;
        impl Drop for Counts {
            fn drop(&mut self) {
                DROPPED.set(DROPPED.get() + 1);
            }
        }
        greenhub::run(|| {
            for _ in 0..100 {
                let counts = Counts;
                let later = Builder::new()
                    .after(Duration::from_secs(3600))
                    .spawn_local(move || drop(counts))
                    .unwrap();
                assert!(later.cancel());
                assert!(later.join().is_err());
            }
            assert_eq!(DROPPED.get(), 100);
        });
    });
}

/// What debuggers see; of our own engine alone.
#[cfg(not(feature = "engine-may"))]
mod tools {
    use std::process::Command;

    use greenhub::green_thread::sleep;

    use super::*;

    fn is_there(program: &str) -> bool {
        let found = Command::new(program).arg("--version").output().is_ok();
        if !found {
            eprintln!("{program} is not installed: skipped");
        }
        found
    }

    /// This test program with one of the tests below that are for a tool to run.
    fn under(tool: &mut Command, body: &str) -> (bool, String) {
        let output = tool
            .args(["--exact", body, "--nocapture", "--test-threads=1"])
            .env("GREEN_UNDER_A_TOOL", "1")
            .env("GREEN_HUBS", "1")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    fn is_under_a_tool() -> bool {
        std::env::var_os("GREEN_UNDER_A_TOOL").is_some()
    }

    /// Green threads that wait, yield, unwind and end.
    #[test]
    fn body_for_memcheck() {
        if !is_under_a_tool() {
            return;
        }
        let threads: Vec<_> = (0..300)
            .map(|n| {
                spawn(move || {
                    let mut text = format!("green thread {n}");
                    yield_now();
                    sleep(Duration::from_millis(1));
                    text.push_str(" has slept");
                    let _ = catch_unwind(|| std::panic::resume_unwind(Box::new(1)));
                    yield_now();
                    text.len()
                })
            })
            .collect();
        let parked = spawn(park);
        let sum: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
        assert!(sum > 300 * 20);
        parked.kill().unwrap();
        let _ = parked.join();
    }

    #[test]
    fn memcheck_finds_nothing_in_switches_and_unwinds() {
        if !is_there("valgrind") {
            return;
        }
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["--error-exitcode=9", "--leak-check=no", "-q"])
            .arg(std::env::current_exe().unwrap());
        let (well, text) = under(&mut valgrind, "tools::body_for_memcheck");
        assert!(well && text.contains("1 passed"), "{text}");
        assert!(!text.contains("switching stacks"), "{text}");
    }

    #[inline(never)]
    fn here_gdb_stops() {
        std::hint::black_box(());
    }

    #[test]
    fn body_for_gdb() {
        if !is_under_a_tool() {
            return;
        }
        spawn(|| {
            yield_now();
            here_gdb_stops();
        })
        .join()
        .unwrap();
    }

    #[test]
    fn gdb_shows_the_frames_of_a_green_thread_down_to_the_first() {
        if !is_there("gdb") {
            return;
        }
        let mut gdb = Command::new("gdb");
        gdb.args(["-q", "-batch", "-nx"])
            .args(["-ex", "set breakpoint pending on"])
            .args(["-ex", "break engine::tools::here_gdb_stops"])
            .args(["-ex", "run", "-ex", "bt", "-ex", "kill"])
            .arg("--args")
            .arg(std::env::current_exe().unwrap());
        let (_, text) = under(&mut gdb, "tools::body_for_gdb");
        if text.contains("ptrace") {
            eprintln!("gdb may not trace here: skipped");
            return;
        }
        let frames: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert!(
            frames.iter().any(|f| f.contains("here_gdb_stops")),
            "{text}"
        );
        let last = frames.last().unwrap();
        assert!(last.contains("begin"), "{text}");
        assert!(!text.contains("corrupt stack"), "{text}");
    }
}
