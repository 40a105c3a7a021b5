//! The engine: what a switch keeps, where a stack of frames ends, and what debuggers see.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use greenhub::green_thread::{Builder, park, spawn, spawn_local, yield_now};

#[cfg(not(any(feature = "engine-may", green_sanitize)))]
#[path = "engine/hub_stack.rs"]
mod hub_stack;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[path = "engine/registers.rs"]
mod registers;
#[cfg(all(target_arch = "x86_64", not(feature = "engine-may")))]
#[path = "engine/steps.rs"]
mod steps;

const LIMIT: Duration = Duration::from_secs(60);

/// A value that the compiler moves with an instruction that faults on a wrong
/// alignment.
#[repr(align(16))]
struct Aligned([u8; 16]);

#[test]
fn a_stack_is_aligned_from_its_first_frame_on() {
    test_support::bounded("alignment", LIMIT, || {
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
    test_support::bounded("values", LIMIT, || {
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
    test_support::bounded("unwinds", LIMIT, || {
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
        let first = names
            .iter()
            .rposition(|name| name.contains("own::FirstFrame"));
        // Behind it is `begin` alone, whose name tools know or do not.
        assert!(first.is_some_and(|at| at + 2 >= names.len()), "{names:?}");
    }
}

#[test]
fn a_green_thread_that_never_ran_leaves_nothing() {
    test_support::bounded("never ran", LIMIT, || {
        static DROPPED: AtomicU32 = AtomicU32::new(0);
        struct Counts;
        impl Drop for Counts {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
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
            assert_eq!(DROPPED.load(Ordering::Relaxed), 100);
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
            // It hides the instruction that thread-locals of a green thread's own need.
            .env("GREEN_THREAD_LOCALS", "auto")
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
