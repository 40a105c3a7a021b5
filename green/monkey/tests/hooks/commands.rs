//! What std panics at, or loses, if a wait of its own fails: commands and `println!`, under kills and limits.
#![expect(unsafe_code, reason = "C's functions")]

use std::cell::RefCell;
use std::fs;
use std::io::{self, ErrorKind, PipeWriter, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use green::thread::{self, spawn_local};
use green::{Killed, timeout};
use test_support::child::alone;

use crate::{LONG, SOON, code, green, patched};

/// Runs a command in a way that gives nobody its child.
type Way = fn(&mut Command) -> io::Result<()>;

const WAYS: [(&str, Way); 5] = [
    ("output", |command| command.output().map(drop)),
    ("output of one pipe", |command| {
        command.stderr(Stdio::null()).output().map(drop)
    }),
    ("output after fork", |command| {
        // SAFETY: a call without effects.
        let own = unsafe { libc::getuid() };
        command.uid(own).output().map(drop)
    }),
    ("status", |command| command.status().map(drop)),
    ("wait_with_output", |command| {
        let child = command.stdout(Stdio::piped()).spawn()?;
        child.wait_with_output().map(drop)
    }),
];

/// A child that ends when its input does.
struct Held {
    input: PipeWriter,
    number: PathBuf,
}

fn held(folder: &Path) -> (Command, Held) {
    let number = folder.join("number");
    let _ = fs::remove_file(&number);
    let (theirs, input) = io::pipe().unwrap();
    let mut command = Command::new("sh");
    let script = r#"echo $$ > "$0.new"; mv "$0.new" "$0"; read line"#;
    command.args(["-c", script]).arg(&number).stdin(theirs);
    (command, Held { input, number })
}

impl Held {
    /// Lets it end, and waits until somebody has waited for it.
    fn ends_and_is_reaped(self) {
        let number = loop {
            match fs::read_to_string(&self.number) {
                Ok(number) => break number,
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        };
        let its_own = Path::new("/proc").join(number.trim());
        assert!(its_own.exists(), "it goes on");
        drop(self.input);
        while its_own.exists() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_limit_ends_a_command_and_its_child_is_waited_for() {
    green("limits", || {
        let folder = tempfile::tempdir().unwrap();
        for (name, way) in WAYS {
            for limit in [Duration::ZERO, 5 * SOON] {
                let (mut command, child) = held(folder.path());
                let outcome = timeout(limit, || {
                    assert_eq!(code(way(&mut command)), libc::ETIMEDOUT, "{name}");
                });
                assert!(outcome.is_err(), "{name}");
                child.ends_and_is_reaped();
            }
        }
    });
}

#[test]
fn a_kill_ends_a_command_and_its_child_is_waited_for() {
    green("kills", || {
        let folder = tempfile::tempdir().unwrap();
        for (name, way) in WAYS {
            let (mut command, child) = held(folder.path());
            let waiter = spawn_local(move || {
                assert_eq!(code(way(&mut command)), libc::ECANCELED, "{name}");
                thread::sleep(LONG);
            });
            thread::sleep(5 * SOON);
            waiter.kill().unwrap();
            assert!(waiter.join().unwrap_err().is::<Killed>(), "{name}");
            child.ends_and_is_reaped();
        }
    });
}

#[test]
fn a_command_after_one_that_was_cut_has_all_its_output() {
    green("the next one", || {
        let folder = tempfile::tempdir().unwrap();
        let (mut command, child) = held(folder.path());
        assert!(timeout(SOON, || command.output()).is_err());
        let output = Command::new("sh")
            .args(["-c", "echo out; sleep 0.05; echo err >&2"])
            .output()
            .unwrap();
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"out\n"[..], &b"err\n"[..])
        );
        child.ends_and_is_reaped();
    });
}

#[test]
fn a_program_that_cannot_begin_is_an_error_under_a_limit_too() {
    green("no program", || {
        // By fork, where std asks a pipe whether it began.
        let absent = || {
            let mut command = Command::new("/no/such/program");
            // SAFETY: a call without effects.
            command.uid(unsafe { libc::getuid() });
            command
        };
        let ways: [fn(&mut Command) -> io::Result<()>; 3] = [
            |command| command.spawn().map(drop),
            |command| command.status().map(drop),
            |command| command.output().map(drop),
        ];
        for way in ways {
            let seen = RefCell::new(None);
            let _ = timeout(Duration::ZERO, || {
                seen.replace(Some(way(&mut absent()).unwrap_err().kind()));
            });
            assert_eq!(seen.take(), Some(ErrorKind::NotFound));
        }
    });
}

#[test]
fn whoever_reads_from_a_child_is_told_and_keeps_it() {
    green("own reads", || {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Its wait would close it.
        let input = child.stdin.take();
        let mut output = child.stdout.take().unwrap();
        let read = Rc::new(RefCell::new(None));
        let outcome = timeout(SOON, || {
            read.replace(Some(code(output.read(&mut [0]))));
            assert_eq!(code(child.wait()), libc::ETIMEDOUT);
        });
        assert!(outcome.is_err());
        assert_eq!(read.take(), Some(libc::ETIMEDOUT));
        drop(input);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn what_is_printed_to_a_pipe_that_is_full_waits_on() {
    let ended = alone(
        "commands::what_is_printed_to_a_pipe_that_is_full_waits_on",
        &[],
        || {
            patched();
            green("prints", || {
                const LINES: usize = 200;
                let line = "x".repeat(1_023);
                let (mut reader, writer) = io::pipe().unwrap();
                // SAFETY: numbers that are open.
                let before = unsafe {
                    let before = libc::dup(libc::STDOUT_FILENO);
                    libc::dup2(writer.as_raw_fd(), libc::STDOUT_FILENO);
                    before
                };
                drop(writer);
                let printer = spawn_local(move || {
                    for _ in 0..LINES {
                        println!("{line}");
                    }
                    thread::sleep(LONG);
                });
                thread::sleep(SOON);
                printer.kill().unwrap();
                thread::sleep(SOON);
                let mut all = vec![0; LINES * 1_024];
                reader.read_exact(&mut all).unwrap();
                // SAFETY: as above.
                unsafe { libc::dup2(before, libc::STDOUT_FILENO) };
                let ended = printer.join().unwrap_err();
                assert!(ended.is::<Killed>(), "{:?}", ended.downcast_ref::<String>());
            });
        },
    );
    ended.well();
}
