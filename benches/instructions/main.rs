//! Instructions outside the kernel that the hot paths take, counted by callgrind and held against a file.
//!
//! Unlike times, the counts do not depend on what else the machine does, so a
//! check can hold them: `cargo bench --package instructions` fails if one has grown
//! by more than 3 % over `baseline.txt`; with `-- --bless` it writes
//! the file anew. Each number is the difference between a long run and a short
//! one, so that starting and ending do not count. All of it is one hub's.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::Duration;

use green::net::{TcpListener, TcpStream};
use green::sync::Mutex;
use green::thread;

/// How much one may grow until the check fails.
const GROWTH: f64 = 1.03;
const SHORT: u64 = 500;
const LONG: u64 = 3_500;

type Workload = (&'static str, fn(u64));

const WORKLOADS: [Workload; 7] = [
    ("a yield to another green thread and back", yields),
    ("a spawn and a join", spawns),
    (
        "a value to another green thread and back by channels",
        channel,
    ),
    ("a turn of a mutex that four green threads want", mutex),
    ("a park and an unpark", parks),
    ("an echo of 64 bytes by TCP, both ends", |n| echo(n, None)),
    ("the same with a read timeout at both ends", |n| {
        echo(n, Some(Duration::from_secs(60)));
    }),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().position(|argument| argument == "--run") {
        Some(at) => run(&arguments[at + 1..]),
        None => compare(arguments.iter().any(|argument| argument == "--bless")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// In the process that is measured.
fn run(arguments: &[String]) -> io::Result<()> {
    let [workload, times] = arguments else {
        return Err(io::Error::other("--run WORKLOAD TIMES"));
    };
    let known = WORKLOADS.iter().find(|(name, _)| name == workload);
    let (_, workload) = known.ok_or_else(|| io::Error::other("no such workload"))?;
    let times = times.parse().map_err(io::Error::other)?;
    green::Config::new().hubs(1).apply()?;
    green::run(move || workload(times));
    Ok(())
}

fn compare(bless: bool) -> io::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.txt");
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("valgrind is not installed: nothing is counted");
        return Ok(());
    }
    let before = read(path);
    let mut now = String::new();
    let mut grown = Vec::new();
    for (name, _) in WORKLOADS {
        let difference = count(name, LONG)?.saturating_sub(count(name, SHORT)?);
        let each = difference / (LONG - SHORT);
        let known = before.get(name).copied();
        let change = known.map(|known| each as f64 / known as f64);
        let shown = change.map_or("new".to_owned(), |c| format!("{:+.1} %", (c - 1.0) * 100.0));
        println!("{each:8}  {name} ({shown})");
        now.push_str(&format!("{each} {name}\n"));
        if change.is_none_or(|change| change > GROWTH) {
            grown.push(name);
        }
    }
    if bless {
        return std::fs::write(path, now);
    }
    if grown.is_empty() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "more than 3 % over {path}: {}; if that is meant, write it anew with -- --bless",
        grown.join(", ")
    )))
}

fn read(path: &str) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let parts = text.lines().filter_map(|line| line.split_once(' '));
    parts
        .filter_map(|(count, name)| Some((name.to_owned(), count.parse().ok()?)))
        .collect()
}

/// Instructions of a run of a workload, in a process of its own.
fn count(workload: &str, times: u64) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--run", workload, &times.to_string()])
        // The layout of the heap and of the stack depend on it.
        .env_clear()
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let total = text
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, total)| total.trim().parse().ok());
    total
        .filter(|_| output.status.success())
        .ok_or_else(|| io::Error::other(format!("callgrind reports no total: {text}")))
}

fn yields(times: u64) {
    let other = thread::spawn_local(move || (0..times).for_each(|_| thread::yield_now()));
    (0..times).for_each(|_| thread::yield_now());
    other.join().expect("it only yields");
}

fn spawns(times: u64) {
    for _ in 0..times {
        thread::spawn(|| ()).join().expect("it does nothing");
    }
}

fn channel(times: u64) {
    let (there, from_here) = green::sync::mpsc::channel();
    let (back, from_there) = green::sync::mpsc::channel();
    let other = thread::spawn_local(move || {
        for value in from_here {
            let value: u64 = value;
            back.send(value + 1).expect("it is waited for");
        }
    });
    for n in 0..times {
        there.send(n).expect("the other one waits");
        assert_eq!(from_there.recv(), Ok(n + 1));
    }
    drop(there);
    other.join().expect("the other one ends");
}

fn mutex(times: u64) {
    let lock = Rc::new(Mutex::new(0));
    let turns = move |lock: &Mutex<u64>| {
        for _ in 0..times / 4 {
            let mut held = lock.lock().expect("nobody panics");
            *held += 1;
            thread::yield_now();
        }
    };
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let lock = lock.clone();
            thread::spawn_local(move || turns(&lock))
        })
        .collect();
    for thread in threads {
        thread.join().expect("nobody panics");
    }
}

fn parks(times: u64) {
    let parked = thread::spawn_local(move || (0..times).for_each(|_| thread::park()));
    for _ in 0..times {
        thread::yield_now();
        parked.thread().unpark();
    }
    parked.join().expect("it is unparked often enough");
}

fn echo(times: u64, limit: Option<Duration>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let server = thread::spawn_local(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(limit)?;
        let mut buffer = [0; 1024];
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                n => stream.write_all(&buffer[..n])?,
            }
        }
    });
    let mut client = TcpStream::connect(address).expect("the server listens");
    client.set_nodelay(true).expect("TCP has it");
    client.set_read_timeout(limit).expect("a limit above zero");
    let mut buffer = [7; 64];
    for _ in 0..times {
        client.write_all(&buffer).expect("the server reads");
        client.read_exact(&mut buffer).expect("the server answers");
    }
    drop(client);
    server.join().expect("no panic").expect("no error");
}
