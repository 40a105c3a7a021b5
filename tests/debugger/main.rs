//! Green threads in gdb, by the script that lists them.
#![cfg(not(feature = "engine-may"))]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use greenhub::green_thread::{Builder, park, sleep, yield_now};
use greenhub::{State, report};

const LIMIT: Duration = Duration::from_secs(360);
/// Says that a tool runs the body, and whether it is to abort.
const TOOL: &str = "GREEN_UNDER_A_TOOL";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/hub/gdb.py");

#[inline(never)]
fn sleeps_in_an_inner_function() {
    sleep(Duration::from_secs(3600));
    std::hint::black_box(());
}

#[inline(never)]
fn parks_for_ever() {
    loop {
        park();
    }
}

#[inline(never)]
fn here_gdb_stops() {
    if std::env::var_os(TOOL).is_some_and(|how| how == "abort") {
        std::process::abort();
    }
}

/// For gdb to run.
#[test]
fn body_for_gdb() {
    if std::env::var_os(TOOL).is_none() {
        return;
    }
    let named = |name: &str| Builder::new().name(name.to_owned());
    let sleeper = named("sleeper").spawn(sleeps_in_an_inner_function).unwrap();
    let small = named("small").stack_size(32 << 10);
    let parked = small.spawn(parks_for_ever).unwrap();
    // Its stack is used no more.
    named("ended").spawn(|| ()).unwrap().join().unwrap();
    let joins = named("joins")
        .spawn(move || {
            let _ = sleeper.join();
        })
        .unwrap();
    let runs = named("runs").spawn(|| {
        let waiting = || {
            let threads = report().threads.into_iter();
            threads
                .filter(|t| matches!(t.state, State::Waiting(_)))
                .count()
        };
        while waiting() < 3 {
            yield_now();
        }
        here_gdb_stops();
    });
    runs.unwrap().join().unwrap();
    drop((parked, joins));
}

/// What gdb says to these commands after it has read the script; nothing if it is
/// not there or may not trace.
fn gdb(arguments: &[&OsStr], commands: &[&str]) -> Option<String> {
    let mut gdb = Command::new("gdb");
    gdb.args(["-q", "-batch", "-nx", "-iex", "set debuginfod enabled off"]);
    gdb.args(["-ex", "set breakpoint pending on"]);
    for command in commands {
        gdb.args(["-ex", command]);
    }
    gdb.arg("--args").args(arguments);
    gdb.env(TOOL, "1").env("GREEN_HUBS", "1");
    let Ok(output) = gdb.output() else {
        eprintln!("gdb is not installed: skipped");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if text.contains("ptrace: ") {
        eprintln!("gdb may not trace here: skipped");
        return None;
    }
    Some(text)
}

/// Has the body end by a signal, in this folder.
fn leave_core(folder: &Path, arguments: &[&OsStr]) {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -c unlimited; exec "$@""#, "sh"]);
    shell.args(arguments).current_dir(folder);
    shell.env(TOOL, "abort").env("GREEN_HUBS", "1");
    let ended = shell.output().unwrap();
    assert!(!ended.status.success());
}

/// The stacks of all green threads.
const ALL: &str = "python [gdb.execute(f'green bt {t.id}') for t in threads()]";

#[track_caller]
fn shows_all(text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    let row = |name: &str, state: &str, place: &str| {
        lines.iter().any(|line| {
            let mut words = line.split_whitespace();
            words.next().is_some_and(|id| id.parse::<u64>().is_ok())
                && words.next() == Some(name)
                && line.contains(state)
                && line.contains(place)
        })
    };
    assert!(
        row("sleeper", "sleep", "sleeps_in_an_inner_function"),
        "{text}"
    );
    assert!(row("small", "park", "parks_for_ever"), "{text}");
    assert!(row("joins", "join of ", "body_for_gdb"), "{text}");
    assert!(row("runs", "runs on thread ", "here_gdb_stops"), "{text}");
    assert!(text.contains("4 green threads have begun"), "{text}");

    let stack_of = |name: &str| {
        let head = format!("'{name}': ");
        let from = lines.iter().position(|line| line.contains(&head)).unwrap();
        let frames = lines[from + 1..].iter();
        let frames: Vec<&str> = frames.take_while(|l| l.starts_with('#')).copied().collect();
        frames
    };
    let sleeper = stack_of("sleeper");
    let at = |name: &str| sleeper.iter().position(|frame| frame.contains(name));
    assert!(at("sleeps_in_an_inner_function").is_some_and(|own| at("suspend") < Some(own)));
    for name in ["sleeper", "small", "joins", "runs"] {
        let frames = stack_of(name);
        assert!(frames.last().unwrap().contains("begin"), "{frames:?}");
        assert!(
            frames.iter().all(|frame| !frame.contains("??")),
            "{frames:?}"
        );
    }
}

#[test]
fn the_script_lists_green_threads_and_their_stacks_in_a_process_and_in_a_core_file() {
    test_support::bounded("gdb", LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let core = folder.path().join("core");
        let source = format!("source {SCRIPT}");
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", "body_for_gdb", "--nocapture", "--test-threads=1"];
        let mut arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        arguments.insert(0, program.as_os_str());
        let stop = "break debugger::here_gdb_stops";
        let commands = [stop, "run", &source, "green threads", ALL, "bt", "kill"];
        let Some(live) = gdb(&arguments, &commands) else {
            return;
        };
        shows_all(&live);
        // The stopped thread is as it was.
        assert!(live.contains("#0  debugger::here_gdb_stops"), "{live}");

        leave_core(folder.path(), &arguments);
        if !core.exists() {
            eprintln!("no core file: skipped (ulimit -c, sysctl kernel.core_pattern)");
            return;
        }
        let open = format!("core-file {}", core.display());
        let commands = [&open, &source, "green threads", ALL, "green bt 999999"];
        let dead = gdb(&[program.as_os_str()], &commands).unwrap();
        shows_all(&dead);
        assert!(dead.contains("no green thread has the id 999999"), "{dead}");
    });
}

#[test]
fn the_script_says_where_there_is_nothing_to_be_shown() {
    test_support::bounded("gdb", LIMIT, || {
        let source = format!("source {SCRIPT}");
        let Some(idle) = gdb(&[OsStr::new("/bin/true")], &[&source, "green threads"]) else {
            return;
        };
        assert!(idle.contains("neither a process nor a core file"), "{idle}");
        let commands = ["starti", &source, "green threads", "kill"];
        let other = gdb(&[OsStr::new("/bin/true")], &commands).unwrap();
        assert!(other.contains("no symbols of greenhub"), "{other}");
    });
}
