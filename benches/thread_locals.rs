//! What thread-locals of a green thread's own cost, against shared ones: one build, run in turns in both ways.
//!
//! Each line is the median of the rounds' ratios, own to shared. A machine that does something else meanwhile
//! disturbs both alike. `-- ROUNDS` sets how many there are.

use std::cell::Cell;
use std::io::{Read, Write};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use green::net::{TcpListener, TcpStream};
use green::thread;

/// Gives nanoseconds, or bytes, for one.
type Workload = (&'static str, fn() -> f64);

const WORKLOADS: [Workload; 9] = [
    ("a yield to another green thread and back", yields),
    ("a spawn and a join", spawns),
    ("a spawn and a join on a stack never used before", fresh),
    (
        "a value to another green thread and back by channels",
        channel,
    ),
    (
        "an echo of 64 bytes by TCP, 64 connections, both ends",
        || echo(64, 400),
    ),
    (
        "an echo of 64 bytes by TCP, 1,000 connections, both ends",
        || echo(1_000, 30),
    ),
    ("bytes of memory for a parked green thread", parked),
    (
        "bytes of memory for one that has used malloc",
        parked_after_malloc,
    ),
    ("the first start", start),
];

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let first = arguments.next();
    if first.as_deref() == Some("--run") {
        let wanted = arguments.next().expect("a workload");
        let (_, workload) = WORKLOADS
            .iter()
            .find(|(name, _)| *name == wanted)
            .expect("a known one");
        green::Config::new()
            .hubs(1)
            .apply()
            .expect("nothing has started");
        println!("{}", workload());
        return;
    }
    let rounds = first.and_then(|rounds| rounds.parse().ok()).unwrap_or(9);
    for (name, _) in WORKLOADS {
        let mut both: Vec<(f64, f64)> = (0..rounds)
            .map(|_| (run(name, "own"), run(name, "shared")))
            .collect();
        both.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let (own, shared) = both[both.len() / 2];
        println!("{name}: {:.3} ({own:.0} to {shared:.0})", own / shared);
    }
}

fn run(workload: &str, mode: &str) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args(["--run", workload])
        .env("GREEN_THREAD_LOCALS", mode)
        .output()
        .expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("a number")
}

/// The least of several batches, in nanoseconds for one.
fn least(batches: u32, each: u32, mut batch: impl FnMut()) -> f64 {
    let times = (0..batches).map(|_| {
        let began = Instant::now();
        batch();
        began.elapsed().as_nanos() as f64 / f64::from(each)
    });
    times.fold(f64::MAX, f64::min)
}

fn yields() -> f64 {
    green::run(|| {
        let done = Rc::new(Cell::new(false));
        let seen = done.clone();
        let other = thread::spawn_local(move || {
            while !seen.get() {
                thread::yield_now();
            }
        });
        let time = least(50, 20_000, || (0..20_000).for_each(|_| thread::yield_now()));
        done.set(true);
        other.join().unwrap();
        time
    })
}

fn spawns() -> f64 {
    green::run(|| {
        least(50, 5_000, || {
            (0..5_000).for_each(|_| thread::spawn(|| ()).join().unwrap())
        })
    })
}

fn fresh() -> f64 {
    green::run(|| {
        const ALL: u32 = 20_000;
        least(3, ALL, || {
            let all: Vec<_> = (0..ALL).map(|_| thread::spawn(thread::park)).collect();
            thread::yield_now();
            all.iter().for_each(|one| one.thread().unpark());
            all.into_iter().for_each(|one| one.join().unwrap());
        })
    })
}

fn channel() -> f64 {
    green::run(|| {
        let (there, from_here) = green::channel::bounded::<u32>(1);
        let (back, from_there) = green::channel::bounded::<u32>(1);
        let other = thread::spawn_local(move || {
            while let Ok(value) = from_here.recv() {
                if back.send(value).is_err() {
                    return;
                }
            }
        });
        let time = least(50, 5_000, || {
            for n in 0..5_000 {
                there.send(n).unwrap();
                assert_eq!(from_there.recv(), Ok(n));
            }
        });
        drop(there);
        other.join().unwrap();
        time
    })
}

/// CPU time of the process, since the kernel's part counts too.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn echo(connections: u32, requests: u32) -> f64 {
    green::run(move || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut buffer = [0; 64];
                    while stream.read_exact(&mut buffer).is_ok() {
                        stream.write_all(&buffer).unwrap();
                    }
                });
            }
        });
        let mut clients: Vec<TcpStream> = (0..connections)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        let mut times = Vec::new();
        for _ in 0..5 {
            let began = cpu();
            let all: Vec<_> = clients
                .drain(..)
                .map(|mut client| {
                    thread::spawn(move || {
                        let mut buffer = [7; 64];
                        for _ in 0..requests {
                            client.write_all(&buffer).unwrap();
                            client.read_exact(&mut buffer).unwrap();
                        }
                        client
                    })
                })
                .collect();
            clients = all.into_iter().map(|one| one.join().unwrap()).collect();
            times.push((cpu() - began).as_nanos() as f64 / f64::from(connections * requests));
        }
        times.into_iter().fold(f64::MAX, f64::min)
    })
}

fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0
}

fn parked() -> f64 {
    idle(|| ())
}

fn parked_after_malloc() -> f64 {
    idle(|| {
        for size in [10, 100, 1_000, 10_000] {
            drop(std::hint::black_box(vec![1u8; size]));
        }
    })
}

fn idle(first: fn()) -> f64 {
    const ALL: u32 = 20_000;
    green::run(move || {
        let before = resident();
        let all: Vec<_> = (0..ALL)
            .map(|_| {
                thread::spawn(move || {
                    first();
                    thread::park();
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(300));
        let each = (resident() - before) / f64::from(ALL);
        all.iter().for_each(|one| one.thread().unpark());
        all.into_iter().for_each(|one| one.join().unwrap());
        each
    })
}

fn start() -> f64 {
    let began = Instant::now();
    green::hub_count().unwrap();
    began.elapsed().as_nanos() as f64
}
