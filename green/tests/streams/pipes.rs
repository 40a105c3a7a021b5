//! Pipes, the standard streams and `copy`, on OS threads and on green threads.

use std::io::{self, BufRead, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use green::io::{IsTerminal, PipeReader, PipeWriter};
use greenhub::greenio::GreenPipe;
use test_support::both::on_both;
use test_support::bounded;

const LIMIT: Duration = Duration::from_secs(60);

/// Bytes that show when one is missing or out of place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

#[test]
fn empty_pipe_parks_only_its_reader_and_close_ends_it() {
    bounded("empty pipe parks only", LIMIT, || {
        green::run(|| {
            let (mut reader, writer) = green::io::pipe().unwrap();
            let reading = green::thread::spawn(move || reader.read(&mut [0; 8]).unwrap());
            let ticks = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&ticks);
            let ticker = green::thread::spawn(move || {
                while counted.fetch_add(1, Ordering::SeqCst) < 100 {
                    green::thread::yield_now();
                }
            });
            ticker.join().unwrap();
            assert!(!reading.is_finished());
            drop(writer);
            assert_eq!(reading.join().unwrap(), 0);
        });
    });
}

#[test]
fn large_write_completes_against_a_slow_reader() {
    on_both("large write completes", || {
        let (mut reader, mut writer) = green::io::pipe().unwrap();
        let sent = pattern(1_000_000);
        let sending = sent.clone();
        // One call takes it all, as on a blocking pipe.
        let writing = green::thread::spawn(move || writer.write(&sending).unwrap());
        let mut received = Vec::new();
        let mut piece = [0; 1000];
        loop {
            let count = reader.read(&mut piece).unwrap();
            if count == 0 {
                break;
            }
            received.extend_from_slice(&piece[..count]);
            green::thread::yield_now();
        }
        assert_eq!(writing.join().unwrap(), sent.len());
        assert!(received == sent);
    });
}

#[test]
fn blocking_mode_pipe_makes_only_its_user_wait() {
    bounded("blocking mode pipe makes", LIMIT, || {
        green::run(|| {
            // Both ends in blocking mode, as another library would hand them over.
            let (raw_reader, raw_writer) = std::io::pipe().unwrap();
            let mut reader = PipeReader::from(OwnedFd::from(raw_reader));
            let mut writer = PipeWriter::from(OwnedFd::from(raw_writer));
            let done = Arc::new(AtomicBool::new(false));
            let other = Arc::clone(&done);
            // On this hub, which is what a wait in blocking mode would hold.
            let ticker = green::thread::spawn_local(move || {
                let mut ticks = 0_u64;
                while !other.load(Ordering::SeqCst) {
                    green::thread::yield_now();
                    ticks += 1;
                }
                ticks
            });
            let filler = green::thread::spawn_local(move || {
                // Byte by byte beyond what a pipe holds.
                for _ in 0..70_000 {
                    writer.write_all(b"x").unwrap();
                }
            });
            green::thread::yield_now();
            let mut received = Vec::new();
            reader.read_to_end(&mut received).unwrap();
            filler.join().unwrap();
            done.store(true, Ordering::SeqCst);
            assert_eq!(received.len(), 70_000);
            assert!(ticker.join().unwrap() > 0);
        });
    });
}

#[test]
fn write_without_a_reader_is_a_broken_pipe_at_once() {
    on_both("write without a reader", || {
        let (reader, mut writer) = green::io::pipe().unwrap();
        drop(reader);
        assert_eq!(
            writer.write(b"x").unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    });
}

#[test]
fn reader_that_goes_away_breaks_a_waiting_write() {
    on_both("reader that goes away", || {
        let (reader, writer) = green::io::pipe().unwrap();
        let filling = pattern(200_000);
        let mut other = writer.try_clone().unwrap();
        let writing = green::thread::spawn(move || (other.write(&filling), other.write(b"more")));
        // The pipe is full once a try is refused.
        let probe = GreenPipe::new(writer.as_fd().try_clone_to_owned().unwrap());
        while probe.try_write(b"x").is_ok() {
            green::thread::yield_now();
        }
        drop(reader);
        let (first, second) = writing.join().unwrap();
        // What the pipe had taken counts; the error comes next.
        match first {
            Ok(count) => assert!(count < 200_000),
            Err(error) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
        }
        assert_eq!(second.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn vectored_calls_move_all_slices() {
    on_both("vectored", || {
        let (mut reader, mut writer) = green::io::pipe().unwrap();
        let count = writer
            .write_vectored(&[IoSlice::new(b"one "), IoSlice::new(b"two")])
            .unwrap();
        assert_eq!(count, 7);
        let (mut first, mut second) = ([0; 3], [0; 8]);
        let count = reader
            .read_vectored(&mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)])
            .unwrap();
        assert_eq!((count, &first, &second[..4]), (7, b"one", &b" two"[..]));
    });
}

#[test]
fn clones_share_the_end_and_the_last_one_closes_it() {
    on_both("clones", || {
        let (mut reader, mut writer) = green::io::pipe().unwrap();
        let mut clone = writer.try_clone().unwrap();
        writer.write_all(b"a").unwrap();
        drop(writer);
        clone.write_all(b"b").unwrap();
        drop(clone);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "ab");
    });
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    rustix::fs::fcntl_getfl(fd)
        .unwrap()
        .contains(rustix::fs::OFlags::NONBLOCK)
}

#[test]
fn a_descriptor_given_away_is_blocking_again() {
    let (reader, writer) = green::io::pipe().unwrap();
    assert!(is_nonblocking(&reader));
    assert!(!is_nonblocking(OwnedFd::from(reader)));
    // Also when a handle stays behind, which goes on not to block.
    let stays = writer.try_clone().unwrap();
    let given = OwnedFd::from(writer);
    assert!(!is_nonblocking(&given));
    assert!(is_nonblocking(&stays));
}

#[test]
#[expect(unsafe_code, reason = "raw descriptors are what is tested")]
fn raw_descriptors_come_and_go() {
    let (reader, mut writer) = green::io::pipe().unwrap();
    let number = reader.as_raw_fd();
    let raw = reader.into_raw_fd();
    assert_eq!(number, raw);
    // SAFETY: `raw` was given away one line above.
    let mut reader = unsafe { PipeReader::from_raw_fd(raw) };
    writer.write_all(b"x").unwrap();
    assert_eq!(reader.read(&mut [0; 2]).unwrap(), 1);
}

#[test]
fn close_wakes_a_waiting_reader_with_an_error() {
    bounded("close", LIMIT, || {
        green::run(|| {
            let (reader, _writer) = GreenPipe::pair().unwrap();
            let reader = Arc::new(reader);
            let waiting = Arc::clone(&reader);
            let reading = green::thread::spawn(move || waiting.read(&mut [0; 1]));
            green::thread::yield_now();
            reader.close();
            assert_eq!(
                reading.join().unwrap().unwrap_err().kind(),
                ErrorKind::NotConnected
            );
        });
    });
}

#[test]
fn copy_moves_everything_and_counts_it() {
    on_both("copy", || {
        let (mut reader, mut writer) = green::io::pipe().unwrap();
        let sent = pattern(300_000);
        let sending = sent.clone();
        let copying =
            green::thread::spawn(move || green::io::copy(&mut &sending[..], &mut writer).unwrap());
        let mut received = Vec::new();
        assert_eq!(
            green::io::copy(&mut reader, &mut received).unwrap(),
            300_000
        );
        assert_eq!(copying.join().unwrap(), 300_000);
        assert!(received == sent);
    });
}

/// Fails with `Interrupted` before every piece, and for good at the end.
struct Flaky {
    left: usize,
    interrupt: bool,
}

impl Read for Flaky {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(ErrorKind::Interrupted.into());
        }
        if self.left == 0 {
            return Err(ErrorKind::ConnectionReset.into());
        }
        self.left -= 1;
        buf[0] = b'x';
        Ok(1)
    }
}

#[test]
fn copy_goes_on_after_an_interruption_and_ends_at_an_error() {
    let mut received = Vec::new();
    let error = green::io::copy(
        &mut Flaky {
            left: 3,
            interrupt: false,
        },
        &mut received,
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(received, b"xxx");
}

#[test]
fn a_pipe_is_no_terminal_and_a_pseudo_terminal_is() {
    let (reader, _writer) = green::io::pipe().unwrap();
    assert!(!reader.is_terminal());
    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    assert!(rustix::pty::openpt(flags).unwrap().is_terminal());
}

// The standard streams are descriptors 0, 1 and 2, so they are tested in processes of their own: this very test
// binary, told by an environment variable which body to run.

const BODY: &str = "GREEN_TEST_STDIO_BODY";

fn stdio_child(body: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "pipes::stdio_body",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(BODY, body)
        // So that whoever holds the hub holds everybody.
        .env("GREEN_HUBS", "1");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The child's part of the tests below; passes at once in the parent.
#[test]
fn stdio_body() {
    let body: fn() = match std::env::var(BODY).as_deref() {
        Ok("echo") => echo_lines,
        Ok("ticks") => tick_while_stdin_is_empty,
        Ok("unfinished") => leave_an_unfinished_line,
        Ok("flood") => flood_stdout,
        Ok("locks") => interleave_locked_lines,
        _ => return,
    };
    green::run(body);
}

fn echo_lines() {
    for line in green::io::stdin().lines() {
        green::println!("echo: {}", line.unwrap());
    }
    green::eprintln!("end of input");
}

fn tick_while_stdin_is_empty() {
    let reading = green::thread::spawn(|| {
        let mut line = String::new();
        green::io::stdin().read_line(&mut line).unwrap();
        line
    });
    for _ in 0..50 {
        green::thread::yield_now();
    }
    assert!(!reading.is_finished());
    green::println!("ready");
    green::println!("got {}", reading.join().unwrap().trim_end());
}

fn leave_an_unfinished_line() {
    green::print!("no line end");
}

const FLOOD: usize = 1_000_000;

fn flood_stdout() {
    let neighbour = green::thread::spawn(|| {
        // The parent says when the pipe is full, and waits for the answer.
        green::io::stdin().read_line(&mut String::new()).unwrap();
        for _ in 0..20 {
            green::thread::sleep(Duration::from_millis(1));
        }
        green::eprintln!("twenty naps");
    });
    green::io::stdout().write_all(&vec![b'x'; FLOOD]).unwrap();
    green::println!();
    neighbour.join().unwrap();
}

fn interleave_locked_lines() {
    let writers: Vec<_> = (0..20)
        .map(|_| {
            green::thread::spawn(|| {
                for _ in 0..20 {
                    let mut out = green::io::stdout().lock();
                    // The same thread may lock again, and others wait even while this one yields.
                    write!(out, "<").unwrap();
                    green::thread::yield_now();
                    green::print!("-");
                    green::thread::yield_now();
                    writeln!(out, ">").unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
}

/// What follows libtest's own lines ("running 1 test", …).
fn lines_with<'a>(output: &'a str, what: &str) -> Vec<&'a str> {
    output
        .lines()
        .filter_map(|line| line.find(what).map(|at| &line[at..]))
        .collect()
}

#[test]
fn stdin_lines_are_echoed_to_stdout_until_its_end() {
    bounded("echo", LIMIT, || {
        let mut child = stdio_child("echo").spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"one\ntwo").unwrap();
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(lines_with(&stdout, "echo: "), ["echo: one", "echo: two"]);
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("end of input\n")
        );
    });
}

#[test]
fn empty_stdin_parks_only_its_reader_and_keeps_its_flags() {
    bounded("ticks", LIMIT, || {
        let mut command = stdio_child("ticks");
        // We keep the child's end too: its flags are one and the same.
        let (theirs, ours) = std::io::pipe().unwrap();
        command.stdin(theirs.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut seen = String::new();
        while !seen.contains("ready") {
            let mut byte = [0];
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "ended after {seen:?}");
            seen.push(byte[0] as char);
        }
        assert!(!is_nonblocking(&theirs));
        rustix::io::write(&ours, b"a line\n").unwrap();
        stdout.read_to_string(&mut seen).unwrap();
        assert!(seen.contains("got a line\n"), "{seen:?}");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn stdin_from_a_file_a_terminal_and_nowhere() {
    bounded("stdin kinds", LIMIT, || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("input");
        std::fs::write(&path, "from a file\n").unwrap();
        let output = stdio_child("echo")
            .stdin(std::fs::File::open(&path).unwrap())
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(lines_with(&stdout, "echo: "), ["echo: from a file"]);

        let output = stdio_child("echo").stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success());

        let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
        let terminal = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&terminal).unwrap();
        rustix::pty::unlockpt(&terminal).unwrap();
        let name = rustix::pty::ptsname(&terminal, Vec::new()).unwrap();
        let open = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let end = rustix::fs::open(&name, open, rustix::fs::Mode::empty()).unwrap();
        let mut child = stdio_child("ticks").stdin(end).spawn().unwrap();
        let mut seen = String::new();
        let mut stdout = child.stdout.take().unwrap();
        while !seen.contains("ready") {
            let mut byte = [0];
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "ended after {seen:?}");
            seen.push(byte[0] as char);
        }
        rustix::io::write(&terminal, b"typed\n").unwrap();
        stdout.read_to_string(&mut seen).unwrap();
        assert!(seen.contains("got typed\n"), "{seen:?}");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn unfinished_line_is_written_at_the_end_of_the_process() {
    bounded("unfinished", LIMIT, || {
        let output = stdio_child("unfinished").output().unwrap();
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .contains("no line end")
        );
    });
}

#[test]
fn full_stdout_parks_only_its_writer() {
    bounded("flood", LIMIT, || {
        let mut child = stdio_child("flood").spawn().unwrap();
        let pipe = child.stdout.as_ref().unwrap().as_fd();
        // It holds 64 KiB, less what its last pages waste.
        while rustix::io::ioctl_fionread(pipe).unwrap() < 50_000 {
            std::thread::yield_now();
        }
        let (mut stdin, stderr) = (child.stdin.take().unwrap(), child.stderr.take().unwrap());
        stdin.write_all(b"full\n").unwrap();
        let mut said = io::BufReader::new(stderr).lines().map(Result::unwrap);
        assert!(said.any(|line| line == "twenty naps"));
        let mut stdout = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        assert!(child.wait().unwrap().success());
        let flood = lines_with(&stdout, "xxx")[0];
        assert_eq!(flood.trim_end_matches(" ").len(), FLOOD);
    });
}

#[test]
fn locked_stdout_keeps_lines_whole_and_lets_its_owner_in_again() {
    bounded("locks", LIMIT, || {
        let output = stdio_child("locks").output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let lines = lines_with(&stdout, "<");
        assert_eq!(lines.len(), 400);
        assert!(lines.iter().all(|line| *line == "<->"), "{lines:?}");
    });
}
