//! `Command`, `Child` and its streams.

use std::io::{Read, Write};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use super::lib::os::fd::OwnedFd;
use super::lib::os::unix::process::{self as unix, CommandExt, ExitStatusExt};
use super::lib::process::{
    self, Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio,
};
use super::lib::{fs, io, thread};
use super::support::{is_nonblocking, wait_until};
use crate::harness::Transcript;

parity! {
    topic: process,
    items: [
        "Command::new", "Command::arg", "Command::args", "Command::env", "Command::envs",
        "Command::env_remove", "Command::env_clear", "Command::current_dir", "Command::stdin",
        "Command::stdout", "Command::stderr", "Command::spawn", "Command::output",
        "Command::status", "Command::get_program", "Command::get_args", "Command::get_envs",
        "Command::get_current_dir", "Debug for Command",
        "CommandExt::uid", "CommandExt::gid", "CommandExt::pre_exec", "CommandExt::exec",
        "CommandExt::arg0", "CommandExt::process_group", "CommandExt::before_exec",
        "Child::kill", "Child::id", "Child::wait", "Child::try_wait", "Child::wait_with_output",
        "ChildStdin", "ChildStdout", "ChildStderr",
        "From<ChildStdin> for OwnedFd", "From<OwnedFd> for ChildStdin", "From<ChildStdout> for Stdio",
        "From<ChildStdin> for Stdio", "From<ChildStderr> for Stdio", "From<File> for Stdio",
        "Stdio::piped", "Stdio::inherit", "Stdio::null",
        "CommandArgs", "CommandEnvs", "ExitCode", "ExitStatus", "Output", "Termination", "abort",
        "exit", "id", "ExitStatusExt", "parent_id",
    ],
    differs: [
        "CommandExt::exec" => "replaces the process, and a failed one resets its signals: tests/process.rs runs it in a child",
        "CommandExt::before_exec" => "deprecated since 1.37 in favour of pre_exec",
    ],
    bodies: {
        signatures: ["Child::id", "exit", "abort"],
        re_exports_are_std: [
            "CommandArgs", "CommandEnvs", "ExitCode", "ExitStatus", "Output", "Termination", "id",
            "ExitStatusExt", "parent_id",
        ],
        statuses: ["Command::new", "Command::arg", "Command::status"],
        outputs: ["Command::args", "Command::output"],
        output_defaults: ["Command::output", "Stdio::null"],
        environment: [
            "Command::env", "Command::envs", "Command::env_remove", "Command::env_clear",
            "Command::current_dir",
        ],
        getters: [
            "Command::get_program", "Command::get_args", "Command::get_envs",
            "Command::get_current_dir", "Debug for Command",
        ],
        errors: ["Command::spawn", "Command::output", "Command::status"],
        streams: [
            "Command::stdin", "Command::stdout", "Command::stderr", "Stdio::piped", "ChildStdin",
            "ChildStdout", "ChildStderr",
        ],
        inherited: ["Stdio::inherit"],
        waits: ["Child::wait", "Child::try_wait"],
        kills: ["Child::kill"],
        waits_with_output: ["Child::wait_with_output"],
        stdin_closed_by_wait: ["Child::wait"],
        broken_stdin: ["ChildStdin"],
        as_stdio: ["From<ChildStdout> for Stdio", "From<ChildStdin> for Stdio", "From<ChildStderr> for Stdio", "From<File> for Stdio"],
        as_descriptors: ["From<ChildStdin> for OwnedFd", "From<OwnedFd> for ChildStdin"],
        unix_additions: [
            "CommandExt::uid", "CommandExt::gid", "CommandExt::pre_exec", "CommandExt::arg0",
            "CommandExt::process_group",
        ],
        spawned_twice: ["Command::spawn"],
    },
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

fn see_output(t: &mut Transcript, label: &str, output: &Output) {
    t.see(label, (output.status.code(), output.status.signal()));
    t.see("stdout", String::from_utf8_lossy(&output.stdout));
    t.see("stderr", String::from_utf8_lossy(&output.stderr));
}

/// Compiles only if every function has std's signature.
pub fn signatures(t: &mut Transcript) {
    let _: fn(&mut Command) -> io::Result<Child> = Command::spawn;
    let _: fn(&mut Command) -> io::Result<Output> = Command::output;
    let _: fn(&mut Command) -> io::Result<ExitStatus> = Command::status;
    let _: fn(&mut Child) -> io::Result<()> = Child::kill;
    let _: fn(&Child) -> u32 = Child::id;
    let _: fn(&mut Child) -> io::Result<ExitStatus> = Child::wait;
    let _: fn(&mut Child) -> io::Result<Option<ExitStatus>> = Child::try_wait;
    let _: fn(Child) -> io::Result<Output> = Child::wait_with_output;
    let _: fn(i32) -> ! = process::exit;
    let _: fn() -> ! = process::abort;
    let _: fn(&mut Child) -> &mut Option<ChildStdin> = |child| &mut child.stdin;
    let _: fn(&mut Child) -> &mut Option<ChildStdout> = |child| &mut child.stdout;
    let _: fn(&mut Child) -> &mut Option<ChildStderr> = |child| &mut child.stderr;
    t.see("compiles", true);
}

/// Compiles only if these names stand for std's own types and functions.
pub fn re_exports_are_std(t: &mut Transcript) {
    let _: std::process::ExitCode = process::ExitCode::SUCCESS;
    let _: std::process::ExitStatus = ExitStatus::from_raw(0);
    let _: fn(std::process::Output) -> Output = |output| output;
    fn ends<T: std::process::Termination>() {}
    fn same<T: process::Termination>() {
        ends::<T>();
    }
    same::<()>();
    fn words<'a>(_: std::process::CommandArgs<'a>, _: std::process::CommandEnvs<'a>) {}
    let command = Command::new("x");
    words(command.get_args(), command.get_envs());
    t.see("id", process::id() == std::process::id());
    t.see(
        "parent",
        unix::parent_id() == std::os::unix::process::parent_id(),
    );
}

pub fn statuses(t: &mut Transcript) {
    for script in ["exit 0", "exit 7", "kill -9 $$", "kill -TERM $$"] {
        let status = shell(script).status().unwrap();
        t.see(
            script,
            (
                status.success(),
                status.code(),
                status.signal(),
                status.to_string(),
            ),
        );
    }
}

pub fn outputs(t: &mut Transcript) {
    let output = Command::new("sh")
        .args(["-c", "echo out; echo err >&2; exit 3"])
        .output()
        .unwrap();
    see_output(t, "both", &output);
    let large = Command::new("head")
        .args(["-c", "300000", "/dev/zero"])
        .output()
        .unwrap();
    t.see("large", (large.stdout.len(), large.stderr.len()));
}

pub fn output_defaults(t: &mut Transcript) {
    see_output(
        t,
        "stdin is empty",
        &shell("cat; echo end").output().unwrap(),
    );
    let mut quiet = shell("echo out; echo err >&2");
    quiet.stdout(Stdio::null());
    see_output(t, "stdout set", &quiet.output().unwrap());
    let mut fed = shell("readlink /proc/self/fd/0 | cut -d: -f1");
    fed.stdin(Stdio::piped());
    see_output(t, "stdin set", &fed.output().unwrap());
}

pub fn environment(t: &mut Transcript) {
    let mut command = shell("echo $ONE,$TWO,$THREE,$HOME,$PWD");
    command
        .env_clear()
        .env("ONE", "1")
        .envs([("TWO", "2"), ("THREE", "3")])
        .env_remove("THREE");
    command.current_dir("/");
    see_output(t, "set", &command.output().unwrap());
}

pub fn getters(t: &mut Transcript) {
    let mut command = Command::new("program");
    command
        .arg("one")
        .args(["two", "three four"])
        .env("KEY", "value")
        .env_remove("GONE");
    t.see("program", command.get_program());
    t.see("arguments", command.get_args().collect::<Vec<_>>());
    t.see("number", command.get_args().len());
    t.see("environment", command.get_envs().collect::<Vec<_>>());
    t.see("directory", command.get_current_dir());
    t.see("command", format!("{command:?}"));
    command.current_dir("/tmp");
    t.see("directory", command.get_current_dir());
    t.see("command", format!("{command:?}"));
}

pub fn errors(t: &mut Transcript) {
    t.outcome("missing", &Command::new("/no/such/program").spawn());
    t.outcome(
        "missing in PATH",
        &Command::new("no-such-program-here").status(),
    );
    t.outcome("not executable", &Command::new("/etc/passwd").output());
    t.outcome("a directory", &Command::new("/").spawn());
    t.outcome("no name", &Command::new("").spawn());
    t.outcome("zero byte", &Command::new("a\0b").spawn());
    t.outcome(
        "no directory",
        &Command::new("true").current_dir("/no/such").status(),
    );
}

pub fn streams(t: &mut Transcript) {
    let mut child = shell("while read line; do echo out:$line; echo err:$line >&2; done")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    for word in ["a", "b"] {
        t.outcome("write", &writeln!(stdin, "{word}"));
        let mut line = [0; 6];
        t.outcome("read", &stdout.read_exact(&mut line));
        t.see("stdout", line);
        t.outcome("read", &stderr.read_exact(&mut line));
        t.see("stderr", line);
    }
    t.outcome("by reference", &(&stdin).flush());
    drop(stdin);
    t.result("end", &stdout.read(&mut [0]));
    t.result("end", &stderr.read(&mut [0]));
    t.see("status", child.wait().unwrap().success());
}

pub fn inherited(t: &mut Transcript) {
    let mut child = shell("exit 0")
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit())
        .spawn()
        .unwrap();
    t.see(
        "no pipes",
        (
            child.stdin.is_none(),
            child.stdout.is_none(),
            child.stderr.is_none(),
        ),
    );
    t.see("status", child.wait().unwrap().success());
}

pub fn waits(t: &mut Transcript) {
    let mut child = shell("read line; exit 4")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    t.result("still runs", &child.try_wait());
    child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    let mut ended = None;
    wait_until("the child has ended", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    t.see("code", ended.unwrap().code());
    t.see("again", child.wait().unwrap().code());
    t.see("and again", child.try_wait().unwrap().unwrap().code());
}

pub fn kills(t: &mut Transcript) {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    t.outcome("kill", &child.kill());
    t.see("signal", child.wait().unwrap().signal());
    t.outcome("kill after the end", &child.kill());
}

pub fn waits_with_output(t: &mut Transcript) {
    let mut command = shell("cat; echo err >&2; exit 2");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"fed").unwrap();
    see_output(t, "all", &child.wait_with_output().unwrap());
    command.stderr(Stdio::null());
    see_output(
        t,
        "one",
        &command.spawn().unwrap().wait_with_output().unwrap(),
    );
    command.stdout(Stdio::null());
    see_output(
        t,
        "none",
        &command.spawn().unwrap().wait_with_output().unwrap(),
    );
}

pub fn stdin_closed_by_wait(t: &mut Transcript) {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    t.see("ends", child.wait().unwrap().success());
    t.see("stdin", child.stdin.is_none());
}

pub fn broken_stdin(t: &mut Transcript) {
    let mut child = shell("exec 0<&-; exec sleep 60")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    let mut broken = None;
    wait_until("the child has closed its stdin", || {
        broken = (&stdin).write(b"x").err();
        thread::sleep(Duration::from_millis(1));
        broken.is_some()
    });
    t.see(
        "error",
        broken.map(|error| (error.kind(), error.raw_os_error())),
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

pub fn as_stdio(t: &mut Transcript) {
    let mut source = shell("echo out; echo err >&2")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let out = Command::new("cat")
        .stdin(source.stdout.take().unwrap())
        .output()
        .unwrap();
    let err = Command::new("cat")
        .stdin(Stdio::from(source.stderr.take().unwrap()))
        .output()
        .unwrap();
    source.wait().unwrap();
    see_output(t, "stdout", &out);
    see_output(t, "stderr", &err);
    let mut sink = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let fed = shell("echo from one to the other")
        .stdout(sink.stdin.take().unwrap())
        .status()
        .unwrap();
    t.see("fed", fed.success());
    see_output(t, "stdin", &sink.wait_with_output().unwrap());
    let file = fs::File::open("/dev/null").unwrap();
    see_output(
        t,
        "file",
        &Command::new("cat").stdin(file).output().unwrap(),
    );
}

pub fn as_descriptors(t: &mut Transcript) {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let fd = OwnedFd::from(child.stdin.take().unwrap());
    t.see("non-blocking", is_nonblocking(fd.as_raw_fd()));
    child.stdin = Some(ChildStdin::from(fd));
    child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    see_output(t, "cat", &child.wait_with_output().unwrap());
}

#[expect(unsafe_code, reason = "pre_exec is unsafe")]
pub fn unix_additions(t: &mut Transcript) {
    let metadata = std::fs::metadata("/proc/self").unwrap();
    use std::os::unix::fs::MetadataExt;
    let mut command = shell("true");
    t.outcome(
        "own ids",
        &command.uid(metadata.uid()).gid(metadata.gid()).status(),
    );
    let mut named = Command::new("sh");
    see_output(
        t,
        "arg0",
        &named
            .arg0("other")
            .args(["-c", "echo $0"])
            .output()
            .unwrap(),
    );
    let mut command = shell("true");
    // SAFETY: it makes an error of a number and nothing else.
    unsafe { command.pre_exec(|| Err(std::io::Error::from_raw_os_error(7))) };
    t.outcome("pre_exec fails", &command.spawn());
    let mut command = shell("umask");
    // SAFETY: umask(2) may be called in a signal handler.
    unsafe {
        command.pre_exec(|| {
            libc::umask(0o27);
            Ok(())
        })
    };
    see_output(t, "pre_exec", &command.output().unwrap());
    let mut grouped = shell("ps -o pgid= $$ 2>/dev/null | tr -d ' ' | grep -qx $$");
    t.see(
        "a group of its own",
        grouped.process_group(0).status().unwrap().code(),
    );
}

pub fn spawned_twice(t: &mut Transcript) {
    let mut command = shell("echo again");
    for _ in 0..2 {
        see_output(t, "run", &command.output().unwrap());
    }
    command.stdout(Stdio::piped());
    for _ in 0..2 {
        see_output(
            t,
            "spawn",
            &command.spawn().unwrap().wait_with_output().unwrap(),
        );
    }
}
