//! `pipe`, `copy`, the standard streams, and what is re-exported.

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::AsRawFd as _;

use super::lib::io::{self, BufRead, Read, Write};
use super::lib::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};
use super::lib::{process, thread};
use super::support::{closes_on_exec, is_nonblocking};
use crate::harness::Transcript;

parity! {
    topic: io,
    items: [
        "pipe", "PipeReader::try_clone", "Read for PipeReader", "Read for &PipeReader",
        "From<OwnedFd> for PipeReader", "From<PipeReader> for OwnedFd",
        "FromRawFd for PipeReader", "IntoRawFd for PipeReader", "From<PipeReader> for Stdio",
        "PipeWriter::try_clone", "Write for PipeWriter", "Write for &PipeWriter",
        "From<OwnedFd> for PipeWriter", "From<PipeWriter> for OwnedFd",
        "FromRawFd for PipeWriter", "IntoRawFd for PipeWriter", "From<PipeWriter> for Stdio",
        "copy", "IsTerminal",
        "stdin", "Stdin::lock", "Stdin::read_line", "Stdin::lines", "Read for &Stdin",
        "stdout", "Stdout::lock", "Write for &Stdout", "From<Stdout> for Stdio",
        "stderr", "Stderr::lock", "Write for &Stderr", "From<Stderr> for Stdio",
        "StdinLock", "StdoutLock", "StderrLock",
        "Error", "ErrorKind", "Result", "Read", "Write", "Seek", "BufRead", "prelude", "BufReader",
        "BufWriter", "LineWriter", "IntoInnerError", "WriterPanicked", "Bytes", "Chain", "Cursor",
        "Empty", "Repeat", "Sink", "Take", "Lines", "Split", "IoSlice", "IoSliceMut", "SeekFrom",
        "empty", "repeat", "sink", "read_to_string",
    ],
    differs: [],
    bodies: {
        signatures: [
            "stdin", "Stdin::lock", "Stdin::read_line", "Stdin::lines", "stdout", "Stdout::lock",
            "stderr", "Stderr::lock", "StdinLock", "StdoutLock", "StderrLock",
            "From<Stdout> for Stdio", "From<Stderr> for Stdio", "Read for &Stdin",
        ],
        re_exports_are_std: [
            "Error", "ErrorKind", "Result", "Read", "Write", "Seek", "BufRead", "prelude",
            "BufReader", "BufWriter", "LineWriter", "IntoInnerError", "WriterPanicked", "Bytes",
            "Chain", "Cursor", "Empty", "Repeat", "Sink", "Take", "Lines", "Split", "IoSlice",
            "IoSliceMut", "SeekFrom", "empty", "repeat", "sink", "read_to_string",
        ],
        through_a_pipe: ["pipe", "Read for PipeReader", "Write for PipeWriter"],
        through_references: ["Read for &PipeReader", "Write for &PipeWriter"],
        vectored: ["Read for PipeReader", "Write for PipeWriter"],
        clones: ["PipeReader::try_clone", "PipeWriter::try_clone"],
        end_and_broken_pipe: ["Read for PipeReader", "Write for PipeWriter"],
        wrong_direction: ["From<OwnedFd> for PipeReader", "From<OwnedFd> for PipeWriter"],
        as_descriptors: [
            "From<PipeReader> for OwnedFd", "From<PipeWriter> for OwnedFd",
            "FromRawFd for PipeReader", "IntoRawFd for PipeReader", "FromRawFd for PipeWriter",
            "IntoRawFd for PipeWriter",
        ],
        as_stdio: ["From<PipeReader> for Stdio", "From<PipeWriter> for Stdio"],
        large_write_in_one_call: ["Write for PipeWriter"],
        buffered: ["BufReader", "LineWriter"],
        copies: ["copy"],
        copy_errors: ["copy"],
        terminals: ["IsTerminal"],
        writes_nothing: ["Write for &Stdout", "Write for &Stderr"],
    },
}

/// Compiles only if every function has std's signature.
pub fn signatures(t: &mut Transcript) {
    let _: fn() -> io::Stdin = io::stdin;
    let _: fn(&io::Stdin) -> io::StdinLock<'static> = io::Stdin::lock;
    let _: fn(&io::Stdin, &mut String) -> io::Result<usize> = io::Stdin::read_line;
    let _: fn(io::Stdin) -> io::Lines<io::StdinLock<'static>> = io::Stdin::lines;
    let _: fn() -> io::Stdout = io::stdout;
    let _: fn(&io::Stdout) -> io::StdoutLock<'static> = io::Stdout::lock;
    let _: fn() -> io::Stderr = io::stderr;
    let _: fn(&io::Stderr) -> io::StderrLock<'static> = io::Stderr::lock;
    let _: fn() -> io::Result<(io::PipeReader, io::PipeWriter)> = io::pipe;
    fn reads<T: Read>() {}
    fn reads_lines<T: BufRead>() {}
    fn writes<T: Write>() {}
    fn streams<T: Into<process::Stdio>>() {}
    reads::<io::Stdin>();
    reads::<&io::Stdin>();
    reads_lines::<io::StdinLock<'static>>();
    writes::<io::StdoutLock<'static>>();
    writes::<io::StderrLock<'static>>();
    streams::<io::Stdout>();
    streams::<io::Stderr>();
    t.see(
        "descriptors",
        (
            io::stdin().as_raw_fd(),
            io::stdout().as_raw_fd(),
            io::stderr().as_raw_fd(),
        ),
    );
    t.see("stdin", format!("{:?}", io::stdin()));
    t.see("stdout", format!("{:?}", io::stdout()));
    t.see("stdout lock", format!("{:?}", io::stdout().lock()));
    t.see("stderr", format!("{:?}", io::stderr()));
}

/// Compiles only if these names stand for std's own types and traits.
pub fn re_exports_are_std(t: &mut Transcript) {
    fn is<T>(_: std::marker::PhantomData<T>, _: std::marker::PhantomData<T>) {}
    macro_rules! same {
        ($($type:ident $(<$($argument:ty),+>)?),+ $(,)?) => {$(
            is(
                std::marker::PhantomData::<std::io::$type $(<$($argument),+>)?>,
                std::marker::PhantomData::<io::$type $(<$($argument),+>)?>,
            );
        )+};
    }
    same!(
        Error, ErrorKind, Result<u8>, BufReader<u8>, BufWriter<Vec<u8>>, LineWriter<Vec<u8>>,
        IntoInnerError<u8>, WriterPanicked, Bytes<u8>, Chain<u8, u8>, Cursor<u8>, Empty, Repeat,
        Sink, Take<u8>, Lines<u8>, Split<u8>, SeekFrom,
    );
    let _: fn(io::IoSlice<'static>) -> IoSlice<'static> = |same| same;
    let _: fn(io::IoSliceMut<'static>) -> IoSliceMut<'static> = |same| same;
    fn std_traits<T: std::io::Read + std::io::Write + std::io::Seek>() {}
    fn traits<T: io::Read + io::Write + io::Seek>() {
        std_traits::<T>();
    }
    traits::<std::fs::File>();
    fn in_prelude<T: io::prelude::BufRead>() {}
    in_prelude::<std::io::Empty>();
    let _: std::io::Empty = io::empty();
    let _: std::io::Repeat = io::repeat(1);
    let _: std::io::Sink = io::sink();
    t.result("read_to_string", &io::read_to_string(&b"text"[..]));
}

pub fn through_a_pipe(t: &mut Transcript) {
    let (mut reader, mut writer) = io::pipe().unwrap();
    t.see(
        "close on exec",
        (closes_on_exec(&reader), closes_on_exec(&writer)),
    );
    t.result("write", &writer.write(b"hello"));
    t.outcome("flush", &writer.flush());
    let mut buf = [0; 16];
    t.result("read", &reader.read(&mut buf));
    t.see("bytes", &buf[..5]);
    let later = thread::spawn(move || {
        thread::sleep(std::time::Duration::from_millis(10));
        writer.write_all(b"later").is_ok()
    });
    t.result("waits", &reader.read(&mut buf));
    t.see("sent", later.join().ok());
    t.result("nothing wanted", &reader.read(&mut []));
}

pub fn through_references(t: &mut Transcript) {
    let (reader, writer) = io::pipe().unwrap();
    t.result("write", &(&writer).write(b"by reference"));
    let mut buf = [0; 32];
    t.result("read", &(&reader).read(&mut buf));
    t.see("bytes", &buf[..12]);
}

pub fn vectored(t: &mut Transcript) {
    let (mut reader, mut writer) = io::pipe().unwrap();
    let pieces = [
        IoSlice::new(b"one"),
        IoSlice::new(b""),
        IoSlice::new(b"two"),
    ];
    t.result("write", &writer.write_vectored(&pieces));
    let (mut first, mut second) = ([0; 2], [0; 8]);
    let mut into = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    t.result("read", &reader.read_vectored(&mut into));
    t.see("bytes", (first, second));
}

pub fn clones(t: &mut Transcript) {
    let (mut reader, writer) = io::pipe().unwrap();
    let mut other_reader = reader.try_clone().unwrap();
    let mut other_writer = writer.try_clone().unwrap();
    drop(writer);
    t.result("clone writes", &other_writer.write(b"abcd"));
    let mut two = [0; 2];
    t.result("reads", &reader.read(&mut two));
    t.see("bytes", two);
    t.result("clone reads", &other_reader.read(&mut two));
    t.see("bytes", two);
    drop(other_writer);
    t.result("end", &reader.read(&mut two));
    t.result("end of the clone", &other_reader.read(&mut two));
}

pub fn end_and_broken_pipe(t: &mut Transcript) {
    let (mut reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"rest").unwrap();
    drop(writer);
    let mut text = String::new();
    t.result("read_to_string", &reader.read_to_string(&mut text));
    t.see("text", text);
    t.result("again", &reader.read(&mut [0]));
    t.result("read_exact", &reader.read_exact(&mut [0]));
    let (reader, mut writer) = io::pipe().unwrap();
    drop(reader);
    t.result("write", &writer.write(b"x"));
    t.result("write_all", &writer.write_all(b"x"));
    t.result(
        "write_vectored",
        &writer.write_vectored(&[IoSlice::new(b"x")]),
    );
    t.result("write nothing", &writer.write(b""));
}

pub fn wrong_direction(t: &mut Transcript) {
    let (reader, writer) = io::pipe().unwrap();
    let mut not_a_writer = io::PipeWriter::from(OwnedFd::from(reader));
    let mut not_a_reader = io::PipeReader::from(OwnedFd::from(writer));
    t.result("write", &not_a_writer.write(b"x"));
    t.result("read", &not_a_reader.read(&mut [0]));
}

#[expect(unsafe_code, reason = "raw descriptors are what is tested")]
pub fn as_descriptors(t: &mut Transcript) {
    let (reader, writer) = io::pipe().unwrap();
    let number = reader.as_raw_fd();
    let owned = OwnedFd::from(reader);
    t.see("same number", owned.as_raw_fd() == number);
    t.see("non-blocking", is_nonblocking(owned.as_raw_fd()));
    let raw = io::PipeReader::from(owned).into_raw_fd();
    t.see("same number", raw == number);
    // SAFETY: `raw` was given away in the line before.
    let mut reader = unsafe { io::PipeReader::from_raw_fd(raw) };
    let raw = writer.into_raw_fd();
    t.see("non-blocking", is_nonblocking(raw));
    // SAFETY: `raw` was given away two lines before.
    let writer = unsafe { io::PipeWriter::from_raw_fd(raw) };
    let mut writer = io::PipeWriter::from(OwnedFd::from(writer));
    writer.write_all(b"still a pipe").unwrap();
    drop(writer);
    let mut text = String::new();
    t.result("read", &reader.read_to_string(&mut text));
    t.see("text", text);
    t.see("borrowed", reader.as_fd().as_raw_fd() == number);
}

pub fn as_stdio(t: &mut Transcript) {
    let (mut reader, writer) = io::pipe().unwrap();
    let (input, mut feed) = io::pipe().unwrap();
    let mut command = process::Command::new("cat");
    command.stdin(input).stdout(writer);
    let mut child = command.spawn().unwrap();
    drop(command);
    feed.write_all(b"through a child").unwrap();
    drop(feed);
    let mut text = String::new();
    t.result("read", &reader.read_to_string(&mut text));
    t.see("text", text);
    t.see("status", child.wait().unwrap().success());
}

pub fn large_write_in_one_call(t: &mut Transcript) {
    let (mut reader, mut writer) = io::pipe().unwrap();
    let reading = thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes.len()).ok()
    });
    t.result("write", &writer.write(&vec![7; 500_000]));
    drop(writer);
    t.see("read", reading.join().ok());
}

pub fn buffered(t: &mut Transcript) {
    let (reader, writer) = io::pipe().unwrap();
    let mut lines = io::LineWriter::new(writer);
    lines.write_all(b"first\nsecond\nunfinished").unwrap();
    drop(lines);
    let lines: Vec<_> = io::BufReader::new(reader)
        .lines()
        .map(Result::unwrap)
        .collect();
    t.see("lines", lines);
}

pub fn copies(t: &mut Transcript) {
    let (mut reader, mut writer) = io::pipe().unwrap();
    let sender = thread::spawn(move || io::copy(&mut &[1; 200_000][..], &mut writer).ok());
    let mut bytes = Vec::new();
    t.result("copied", &io::copy(&mut reader, &mut bytes));
    t.see("length", bytes.len());
    t.see("sent", sender.join().ok());
    let reader: &mut dyn Read = &mut io::empty();
    let writer: &mut dyn Write = &mut io::sink();
    t.result("of unsized types", &io::copy(reader, writer));
}

/// Fails with each kind in turn, then ends.
struct Fails(Vec<ErrorKind>);

impl Read for Fails {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.pop().map_or(Ok(0), |kind| Err(kind.into()))
    }
}

impl Write for Fails {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        self.0.pop().map_or(Ok(0), |kind| Err(kind.into()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub fn copy_errors(t: &mut Transcript) {
    let interrupted = || Fails(vec![ErrorKind::Interrupted; 3]);
    t.result(
        "interrupted reader",
        &io::copy(&mut interrupted(), &mut io::sink()),
    );
    t.result("full writer", &io::copy(&mut &b"x"[..], &mut interrupted()));
    let broken = || Fails(vec![ErrorKind::ConnectionReset]);
    t.result("broken reader", &io::copy(&mut broken(), &mut io::sink()));
    t.result("broken writer", &io::copy(&mut &b"x"[..], &mut broken()));
}

pub fn terminals(t: &mut Transcript) {
    use super::lib::io::IsTerminal;

    let (reader, _writer) = io::pipe().unwrap();
    t.see("a pipe", OwnedFd::from(reader).is_terminal());
    t.see(
        "a file",
        std::fs::File::open("/dev/null").unwrap().is_terminal(),
    );
}

pub fn writes_nothing(t: &mut Transcript) {
    // The bytes of the standard streams belong to the test runner.
    t.result("stdout", &(&io::stdout()).write(b""));
    t.outcome("flush", &(&io::stdout()).flush());
    t.result("stderr", &(&io::stderr()).write(b""));
    t.outcome("flush", &io::stderr().lock().flush());
}

/// All that the standard streams can do. Not in the list above: it needs a process of its own, see
/// `standard_streams.rs`, and says what it sees on standard output.
pub fn standard_streams() {
    let input = io::stdin();
    let mut line = String::from(">");
    let length = input.read_line(&mut line).unwrap();
    super::lib::println!("read_line: {length} {line:?}");

    let mut held = input.lock();
    let mut bytes = Vec::new();
    held.read_until(b';', &mut bytes).unwrap();
    let mut two = [0; 2];
    held.read_exact(&mut two).unwrap();
    drop(held);
    let one = (&input).read(&mut [0]).unwrap();
    super::lib::println!("locked: {bytes:?} {two:?}, then {one}");

    let mut output = io::stdout();
    let pieces = [IoSlice::new(b"in "), IoSlice::new(b"pieces\n")];
    let written = output.write_vectored(&pieces).unwrap();
    (&output).write_all(b"by reference\n").unwrap();
    let mut held = output.lock();
    writeln!(held, "locked, after {written}").unwrap();
    // The same thread comes in again.
    super::lib::print!("no end of line, ");
    held.flush().unwrap();
    drop(held);

    let mut errors = io::stderr();
    errors.write_all(b"at once, ").unwrap();
    writeln!(errors.lock(), "also locked").unwrap();
    let pieces = [IoSlice::new(b"in "), IoSlice::new(b"pieces\n")];
    let written = errors.write_vectored(&pieces).unwrap();
    super::lib::println!("errors: {written}");
    super::lib::eprintln!("and by macro");

    let lines: Vec<_> = input.lines().take(2).map(Result::unwrap).collect();
    super::lib::println!("lines: {lines:?}");
    let not_text = io::stdin().read_line(&mut line).unwrap_err();
    super::lib::println!("not UTF-8: {:?} {line:?}", not_text.kind());
    let mut rest = String::new();
    let length = io::stdin().read_to_string(&mut rest).unwrap();
    super::lib::println!("rest: {length} {rest:?}");
    let end = io::stdin().read_line(&mut rest).unwrap();
    super::lib::println!("end: {end}");
    super::lib::print!("left to the end of the process");
}
