//! Runs a test's body in a process of its own: for settings of a whole process, signals, limits and crashes.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::bounded;

/// Says to the new process which test it is to run.
const MARK: &str = "GREEN_TEST_ALONE";
/// A body may take this long; all of them end in a fraction of it.
const LIMIT: Duration = Duration::from_secs(240);

/// Gives the allocator memory to spare, for a body that limits its address space: an allocation that fails aborts.
/// All threads share one arena of glibc, which grows by 16 MiB at a time.
pub const SPARE_MEMORY: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.malloc.arena_max=1:glibc.malloc.top_pad=16777216",
);

/// How the process ended, and what it wrote on standard error.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub errors: String,
}

impl Ended {
    /// Fails the test unless the body ran to its end.
    #[track_caller]
    pub fn well(self) -> Ended {
        assert!(self.status.success(), "{self:?}");
        self
    }

    /// Fails the test unless `signal` ended the process.
    #[track_caller]
    pub fn by(self, signal: i32) -> Ended {
        assert_eq!(self.status.signal(), Some(signal), "{self:?}");
        self
    }
}

/// This test program, through the emulator where one runs us: a system starts
/// programs of another architecture by itself only if it was told how.
fn this_program() -> Command {
    let own = std::env::current_exe().expect("the test program's path");
    let emulator = std::env::var("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER");
    let Some(emulator) = emulator.ok().filter(|_| cfg!(target_arch = "aarch64")) else {
        return Command::new(own);
    };
    let mut words = emulator.split(' ');
    let mut command = Command::new(words.next().expect("the emulator's path"));
    command.args(words).arg(own);
    command
}

/// Runs `body` in a new process: this test program again, with the test `name`
/// alone. `name` must be the calling test's own.
pub fn alone(name: &str, environment: &[(&str, &str)], body: impl FnOnce()) -> Ended {
    alone_beside(name, environment, body, |_| ())
}

/// As [`alone`], and calls `beside` with the process while it runs.
pub fn alone_beside(
    name: &str,
    environment: &[(&str, &str)],
    body: impl FnOnce(),
    beside: impl FnOnce(&mut Child),
) -> Ended {
    if std::env::var(MARK).is_ok_and(|mark| mark == name) {
        bounded(name, LIMIT, body);
        std::process::exit(0);
    }
    let mut child = this_program()
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(MARK, name)
        .env_remove("RUST_BACKTRACE")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process of its own");
    beside(&mut child);
    let ended = child.wait_with_output().expect("the end of the process");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(!said.contains("running 0 tests"), "no test {name:?}");
    Ended {
        status: ended.status,
        errors: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}
