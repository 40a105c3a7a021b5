//! Child processes, on OS threads and on green threads.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use green::io::PipeReader;
use green::os::unix::process::{CommandExt, ExitStatusExt};
use green::process::{Command, ExitStatus, Stdio, TimeoutExpired};
use rustix::process::{Pid, Signal, kill_process};
use test_support::both::on_both;
use test_support::bounded;
use test_support::child::alone;

const LIMIT: Duration = Duration::from_secs(60);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Runs `body` on a green thread with the reading end of a pipe, whose other end a neighbour on the same hub holds for
/// twenty naps. A body that holds its hub until the pipe ends never ends.
fn beside_naps(body: impl FnOnce(PipeReader) + Send + 'static) {
    let (reader, writer) = green::io::pipe().unwrap();
    let on_hub = || green::thread::Builder::new().hub(0);
    let body = on_hub().spawn(move || body(reader)).unwrap();
    let naps = on_hub().spawn(move || {
        for _ in 0..20 {
            green::thread::sleep(Duration::from_millis(1));
        }
        drop(writer);
    });
    naps.unwrap().join().unwrap();
    body.join().unwrap();
}

fn assert_expired(error: std::io::Error, command: &str, limit: Duration) {
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let expired = error
        .get_ref()
        .unwrap()
        .downcast_ref::<TimeoutExpired>()
        .unwrap();
    assert_eq!((expired.command(), expired.limit()), (command, limit));
    assert!(greenhub::is_timeout(&error));
}

/// Asserts that `wait`, which must time out, never ends before its limit and can end before twice the limit. On a busy
/// machine a wake-up may come late, so for the latter the limit grows until it does.
fn assert_on_time(mut wait: impl FnMut(Duration)) {
    let limits = (0..6).map(|doublings| Duration::from_millis(100 << doublings));
    let mut on_time = limits.map(|limit| {
        let start = Instant::now();
        wait(limit);
        let waited = start.elapsed();
        assert!(waited >= limit, "{waited:?}");
        waited < limit * 2
    });
    assert!(on_time.any(|on_time| on_time), "all came late");
}

#[test]
fn wait_with_a_limit_tells_command_and_limit() {
    on_both("wait with a limit tells", || {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert_on_time(|limit| {
            let error = child.wait_timeout(limit).unwrap_err();
            assert_expired(error, r#""sleep" "60""#, limit);
        });
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        // Known now, so no limit is too short.
        assert_eq!(
            child.wait_timeout(Duration::ZERO).unwrap().signal(),
            Some(9)
        );
    });
}

#[test]
fn communicate_with_a_limit_leaves_the_child_and_what_it_said() {
    on_both("communicate with a limit", || {
        let script = "echo early; echo ready >&2; sleep 60; echo late";
        let mut command = shell(script);
        command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stderr
            .take()
            .unwrap()
            .read_exact(&mut [0; 5])
            .unwrap();
        assert_on_time(|limit| {
            let error = child.communicate(&[], Some(limit)).unwrap_err();
            assert_expired(error, &format!("\"sh\" \"-c\" \"{script}\""), limit);
        });
        // The group, because the shell's own child has the pipe too.
        let group = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
        let output = child.communicate(&[], None).unwrap();
        assert_eq!(output.stdout, b"early\n");
        assert_eq!(output.status.signal(), Some(9));
    });
}

#[test]
fn communicate_feeds_and_hears_more_than_the_pipes_hold() {
    on_both("communicate feeds and", || {
        let input: Vec<u8> = (0..500_000).map(|at| (at % 251) as u8).collect();
        let mut child = shell("tee /dev/stderr")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.communicate(&input, None).unwrap();
        assert!(output.stdout == input && output.stderr == input);
        assert!(output.status.success());
        // Closed already; to do it again is harmless.
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn child_that_reads_nothing_is_no_error() {
    on_both("child that reads nothing", || {
        let mut child = shell("exec 0<&-; echo done")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.communicate(&[b'x'; 300_000], None).unwrap();
        assert_eq!(output.stdout, b"done\n");
    });
}

#[test]
fn wait_parks_only_its_green_thread() {
    bounded("wait", LIMIT, || {
        beside_naps(|until_closed| {
            let status = shell("cat").stdin(until_closed).status();
            assert!(status.unwrap().success());
        });
    });
}

#[test]
fn output_parks_only_its_green_thread() {
    bounded("output", LIMIT, || {
        beside_naps(|until_closed| {
            let mut command = shell("cat; echo out; echo err >&2");
            let output = command.stdin(until_closed).output().unwrap();
            assert_eq!(
                (&output.stdout[..], &output.stderr[..]),
                (&b"out\n"[..], &b"err\n"[..])
            );
        });
    });
}

#[test]
fn a_hundred_children_are_waited_for_at_once() {
    bounded("hundred", LIMIT, || {
        green::run(|| {
            let children: Vec<_> = (0..100)
                .map(|n| {
                    green::thread::spawn(move || {
                        shell(&format!("exit {n}")).status().unwrap().code()
                    })
                })
                .collect();
            for (n, child) in children.into_iter().enumerate() {
                assert_eq!(child.join().unwrap(), Some(n as i32));
            }
        });
    });
}

#[test]
fn output_captures_and_status_inherits() {
    on_both("output", || {
        let mut command = shell("read line; echo got:$line:");
        // Nothing is configured: output reads from nowhere and captures.
        assert_eq!(command.output().unwrap().stdout, b"got::\n");
        let mut quiet = shell("exit 3");
        assert_eq!(quiet.status().unwrap().code(), Some(3));
        // What is configured stays, for either call.
        let mut nowhere = shell("echo x");
        nowhere.stdout(Stdio::null());
        assert_eq!(nowhere.output().unwrap().stdout, b"");
        assert!(nowhere.status().unwrap().success());
    });
}

#[test]
fn streams_of_a_child_are_read_and_written_in_turn() {
    on_both("streams", || {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        for word in ["one", "two", "three"] {
            stdin.write_all(word.as_bytes()).unwrap();
            let mut echo = vec![0; word.len()];
            stdout.read_exact(&mut echo).unwrap();
            assert_eq!(echo, word.as_bytes());
        }
        drop(stdin);
        assert_eq!(stdout.read(&mut [0; 1]).unwrap(), 0);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn wait_closes_stdin_first() {
    on_both("wait stdin", || {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        assert!(child.wait().unwrap().success());
        assert!(child.stdin.is_none());
    });
}

#[test]
fn kill_and_try_wait_are_those_of_std() {
    on_both("kill", || {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(child.id() > 0);
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.signal(), status.code()), (Some(9), None));
        assert_eq!(child.try_wait().unwrap(), Some(status));
        child.kill().unwrap();
        assert_eq!(status, ExitStatus::from_raw(9));
    });
}

#[test]
fn a_child_is_not_born_deaf_to_signals() {
    on_both("signals", || {
        // A hub keeps the process's signals away from its own thread; that must not reach the children.
        let status = shell("kill -TERM $$; sleep 60").status().unwrap();
        assert_eq!(status.signal(), Some(15));
        let blocked = shell("grep SigBlk /proc/self/status").output().unwrap();
        assert_eq!(
            String::from_utf8(blocked.stdout).unwrap().trim(),
            "SigBlk:\t0000000000000000"
        );
    });
}

#[test]
fn errors_are_those_of_std() {
    on_both("errors", || {
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.raw_os_error(), Some(2));
        let error = Command::new("/etc/passwd").status().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let error = Command::new("true")
            .current_dir("/no/such/dir")
            .output()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = Command::new("nul\0inside").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn environment_directory_and_arguments_reach_the_child() {
    on_both("configuration", || {
        let mut command = Command::new("/bin/sh");
        command
            .env_clear()
            .env("A", "1")
            .envs([("B", "2"), ("C", "3")])
            .env_remove("C")
            .current_dir("/");
        command
            .arg("-c")
            .args(["echo $A$B$C $PWD $1", "sh", "last"]);
        assert_eq!(command.output().unwrap().stdout, b"12 / last\n");
        assert_eq!(command.get_program(), "/bin/sh");
        assert_eq!(command.get_args().next().unwrap(), "-c");
        assert!(
            command
                .get_envs()
                .any(|(key, value)| key == "A" && value == Some("1".as_ref()))
        );
        assert_eq!(command.get_current_dir().unwrap().as_os_str(), "/");
        assert!(format!("{command:?}").contains("last"));
    });
}

#[test]
#[expect(unsafe_code, reason = "pre_exec is unsafe")]
fn unix_additions_reach_the_child() {
    on_both("unix", || {
        let output = shell("echo $0").arg0("named").output().unwrap();
        assert!(output.status.success());
        let mut command = Command::new("cat");
        command.arg0("renamed").arg("/proc/self/comm");
        assert_eq!(command.output().unwrap().stdout, b"cat\n");
        let mut command = shell("umask");
        // SAFETY: umask(2) is allowed in a signal handler.
        unsafe {
            command.pre_exec(|| {
                rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o31));
                Ok(())
            })
        };
        assert_eq!(command.output().unwrap().stdout, b"0031\n");
        // SAFETY: it makes an error of a number and nothing else.
        unsafe { command.pre_exec(|| Err(std::io::Error::from_raw_os_error(7))) };
        assert_eq!(command.spawn().unwrap_err().raw_os_error(), Some(7));
        let mut child = Command::new("sleep")
            .arg("60")
            .process_group(0)
            .spawn()
            .unwrap();
        let group = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
        rustix::process::kill_process_group(group, rustix::process::Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(15));
    });
}

#[test]
fn green_ends_become_the_streams_of_a_child_and_block_there() {
    on_both("stdio", || {
        let (mut reader, writer) = green::io::pipe().unwrap();
        let mut first = shell("echo through; echo error >&2");
        first.stdout(writer.try_clone().unwrap()).stderr(writer);
        assert!(first.status().unwrap().success());
        // The command holds the write ends until it goes.
        drop(first);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through\nerror\n");

        // From child to child, as in a shell's pipeline.
        let mut source = shell("sleep 0.05; echo hello")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let sink = Command::new("tr")
            .args(["a-z", "A-Z"])
            .stdin(source.stdout.take().unwrap())
            .output()
            .unwrap();
        assert_eq!(sink.stdout, b"HELLO\n");
        assert!(source.wait().unwrap().success());
    });
}

#[test]
fn only_our_end_of_a_pipe_is_nonblocking() {
    on_both("nonblocking", || {
        let script = "grep flags /proc/self/fdinfo/0 /proc/self/fdinfo/1 | cut -d: -f3";
        let child = shell(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.as_ref().unwrap().as_fd();
        assert!(
            rustix::fs::fcntl_getfl(stdout)
                .unwrap()
                .contains(rustix::fs::OFlags::NONBLOCK)
        );
        let output = child.wait_with_output().unwrap();
        let flags = String::from_utf8(output.stdout).unwrap();
        for flags in flags.lines() {
            assert_eq!(
                u32::from_str_radix(flags.trim(), 8).unwrap() & 0o4000,
                0,
                "{flags}"
            );
        }
    });
}

#[test]
fn a_block_with_a_limit_ends_a_wait_and_leaves_the_child() {
    bounded("timeout block", LIMIT, || {
        green::run(|| {
            let mut child = Command::new("sleep").arg("60").spawn().unwrap();
            let waited = greenhub::timeout(Duration::from_millis(50), || child.wait());
            assert!(waited.is_err());
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(9));
        });
    });
}

#[test]
fn a_spawn_is_not_cut_short_and_its_command_serves_again() {
    bounded("spawn under a limit", LIMIT, || {
        green::run(|| {
            let mut command = Command::new("true");
            // A limit that is over before leaves everything as it was.
            assert!(greenhub::timeout(Duration::ZERO, || command.spawn()).is_err());
            assert_eq!(command.get_program(), "true");
            assert!(command.spawn().unwrap().wait().unwrap().success());

            assert!(command.status().unwrap().success());
        });
    });
}

#[test]
#[expect(
    unsafe_code,
    reason = "the child stands still before it becomes another program"
)]
fn a_spawn_that_is_under_way_loses_no_child_to_a_kill() {
    bounded("killed in a spawn", LIMIT, || {
        green::run(|| {
            let (mut begun, begins) = green::io::pipe().unwrap();
            let (goes, mut go) = green::io::pipe().unwrap();
            let (give, given) = green::sync::mpsc::channel();
            let caller = green::thread::spawn(move || {
                let mut command = Command::new("true");
                // SAFETY: it calls only read(2) and write(2), which may be called in a child of fork.
                unsafe {
                    command.pre_exec(move || {
                        rustix::io::write(&begins, b".")?;
                        while rustix::io::read(&goes, &mut [0]) == Err(rustix::io::Errno::AGAIN) {}
                        Ok(())
                    });
                }
                give.send(command.spawn()).unwrap();
                green::thread::sleep(LIMIT);
            });
            begun.read_exact(&mut [0]).unwrap();
            caller.kill().unwrap();
            go.write_all(b".").unwrap();
            assert!(caller.join().is_err(), "the kill acts after the spawn");
            let mut child = given.recv().unwrap().unwrap();
            assert!(child.wait().unwrap().success());
        });
    });
}

#[test]
fn an_abandoned_child_is_waited_for_although_its_waiter_is_killed() {
    alone(
        "an_abandoned_child_is_waited_for_although_its_waiter_is_killed",
        &[("GREEN_HUBS", "1")],
        || {
            green::run(|| {
                let mut command = Command::new("cat");
                let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
                let stdin = child.stdin.take();
                let waited =
                    greenhub::timeout(Duration::from_millis(1), || child.wait_with_output());
                assert!(waited.is_err());
                // It has not begun: it is on this hub.
                let threads = green::report().threads;
                let name = Some("waits for an abandoned child");
                let mut waiters = threads
                    .iter()
                    .filter(|thread| thread.name.as_deref() == name);
                let waiter = waiters.next().expect("one waits");
                assert!(green::debug::kill(waiter.id.as_u64().get()).unwrap());
                drop(stdin);
                while !children().is_empty() {
                    green::thread::sleep(Duration::from_millis(1));
                }
            });
        },
    )
    .well();
}

/// The processes that are this one's children, ended ones included.
fn children() -> String {
    let of_all = std::fs::read_dir("/proc/self/task").unwrap();
    of_all
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
        .collect()
}

#[test]
fn a_child_whose_caller_was_cut_short_does_not_stay_a_zombie() {
    bounded("abandoned", LIMIT, || {
        green::run(|| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("pid");
            let script = format!(
                "echo $$ > {0}.new; mv {0}.new {0}; exec sleep 60",
                path.display()
            );
            let waits: [fn(&mut Command); 3] = [
                |command| drop(command.output()),
                |command| drop(command.status()),
                |command| drop(command.spawn().unwrap().wait_with_output()),
            ];
            for wait in waits {
                let caller = green::thread::spawn({
                    let mut command = shell(&script);
                    move || wait(&mut command)
                });
                while !path.exists() {
                    green::thread::sleep(Duration::from_millis(1));
                }
                caller.kill().unwrap();
                assert!(caller.join().is_err(), "cut short");
                let pid = std::fs::read_to_string(&path).unwrap();
                std::fs::remove_file(&path).unwrap();
                let number = pid.trim().parse().unwrap();
                kill_process(Pid::from_raw(number).unwrap(), Signal::KILL).unwrap();
                let process = std::path::Path::new("/proc").join(pid.trim());
                while process.exists() {
                    green::thread::sleep(Duration::from_millis(1));
                }
            }
        });
    });
}

// exec replaces the process, so it is tested in one of its own: this very test binary, told by an environment
// variable what to do.

const EXEC: &str = "GREEN_TEST_EXEC";

/// The child's part of the test below; passes at once in the parent.
#[test]
fn exec_body() {
    if std::env::var(EXEC).is_ok() {
        green::run(|| {
            assert_eq!(
                Command::new("/no/such/program").exec().kind(),
                ErrorKind::NotFound
            );
            let error = shell("grep SigBlk /proc/self/status; echo replaced").exec();
            panic!("exec returned: {error}");
        });
    }
}

#[test]
fn exec_replaces_the_process_also_from_a_green_thread() {
    bounded("exec", LIMIT, || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "exec_body", "--nocapture"])
            .env(EXEC, "1");
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(
            output.ends_with("SigBlk:\t0000000000000000\nreplaced\n"),
            "{output:?}"
        );
    });
}
