//! What every measured program shares: how it is told what to run, how it is
//! pinned, and how it answers the orchestrator.
//!
//! A measured program is started as `PROGRAM run WORKLOAD [options]`. A server
//! prints `listening ADDRESS` and serves until it is killed; a workload that
//! measures itself prints `result NAME VALUE` lines and ends. One that fails
//! prints `failed REASON`. Standard error is for people.

pub mod bulk;
pub mod crowd;
pub mod epoll;
pub mod identity;
mod sys;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Bytes in one echo message.
pub const MESSAGE: usize = 64;

/// Bytes of the read buffer in every echo server, whatever it runs on.
pub const BUFFER: usize = 1024;

/// The page that every HTTP server has.
pub const PAGE: &str = "Hello, world!";

/// A thing that a program can run and that the orchestrator measures.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Runs it; a server returns only with an error.
    pub run: fn(&Arguments) -> io::Result<()>,
}

impl Workload {
    /// One of this name.
    pub const fn new(name: &'static str, run: fn(&Arguments) -> io::Result<()>) -> Workload {
        Workload { name, run }
    }
}

/// How a workload is to run.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// Pin every thread of the program to this core.
    pub cpu: Option<usize>,
    /// The nice value of every thread of the program.
    pub nice: Option<i32>,
    /// Worker threads of a runtime that has several; 0 is the runtime on the
    /// main thread alone.
    pub workers: usize,
    /// A read timeout for every accepted socket.
    pub read_timeout: Option<Duration>,
    /// How many threads a crowd has.
    pub count: usize,
}

impl Arguments {
    /// Reads the options that follow the workload's name.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an option that does not exist or has a bad value.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> io::Result<Arguments> {
        fn invalid(error: lexopt::Error) -> io::Error {
            io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
        }
        use lexopt::ValueExt;
        let mut parsed = Arguments::default();
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(invalid)? {
            let lexopt::Arg::Long(name) = argument else {
                return Err(invalid(argument.unexpected()));
            };
            let name = name.to_owned();
            let value = parser.value().map_err(invalid)?;
            match name.as_str() {
                "cpu" => parsed.cpu = Some(value.parse().map_err(invalid)?),
                "nice" => parsed.nice = Some(value.parse().map_err(invalid)?),
                "workers" => parsed.workers = value.parse().map_err(invalid)?,
                "count" => parsed.count = value.parse().map_err(invalid)?,
                "read-timeout" => {
                    let seconds = value.parse().map_err(invalid)?;
                    parsed.read_timeout = Some(Duration::from_secs(seconds));
                }
                _ => {
                    return Err(invalid(lexopt::Error::UnexpectedOption(format!(
                        "--{name}"
                    ))));
                }
            }
        }
        Ok(parsed)
    }
}

/// Runs the workload that the arguments after `run` name.
///
/// # Errors
///
/// `InvalidInput` for an unknown workload or a bad option; otherwise whatever
/// the workload fails with.
pub fn run(workloads: &[Workload], arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let outcome = run_named(workloads, arguments);
    if let Err(error) = &outcome {
        say(format_args!("failed {error}"))?;
    }
    outcome
}

fn run_named(
    workloads: &[Workload],
    mut arguments: impl Iterator<Item = OsString>,
) -> io::Result<()> {
    let name = arguments.next().unwrap_or_default();
    let Some(workload) = workloads.iter().find(|workload| name == workload.name) else {
        let known: Vec<_> = workloads.iter().map(|workload| workload.name).collect();
        let message = format!("no workload {name:?}; there are {}", known.join(", "));
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    };
    let arguments = Arguments::parse(arguments)?;
    prepare(arguments.cpu, arguments.nice)?;
    (workload.run)(&arguments)
}

/// Prepares this process for being measured: it ends with its parent, may open
/// as many descriptors as the hard limit allows, and runs on `cpu` alone and
/// with priority `nice` if they are given. Threads started later inherit all
/// of it.
///
/// # Errors
///
/// Whatever the system calls answer: for a core that does not exist, or a
/// priority that only root may have.
pub fn prepare(cpu: Option<usize>, nice: Option<i32>) -> io::Result<()> {
    sys::end_with_parent()?;
    sys::raise_open_files()?;
    nice.map_or(Ok(()), sys::set_nice)?;
    cpu.map_or(Ok(()), sys::pin)
}

/// Tells the orchestrator where the server listens.
///
/// # Errors
///
/// Whatever writing to standard output fails with.
pub fn announce(address: SocketAddr) -> io::Result<()> {
    say(format_args!("listening {address}"))
}

/// Hands one figure to the orchestrator.
///
/// # Errors
///
/// Whatever writing to standard output fails with.
pub fn result(name: &str, value: f64) -> io::Result<()> {
    say(format_args!("result {name} {value}"))
}

/// Nanoseconds that one operation takes, of as many as `work` is told to do.
/// It is told more and more until they take long enough to be measured.
pub fn time_each(work: impl Fn(u64)) -> f64 {
    const ENOUGH: Duration = Duration::from_millis(100);
    let mut count = 64;
    loop {
        let start = Instant::now();
        work(count);
        let elapsed = start.elapsed();
        if elapsed >= ENOUGH {
            return elapsed.as_nanos() as f64 / count as f64;
        }
        count *= 2;
    }
}

/// Processor time that all threads of process `pid` have used, those that have
/// ended too.
///
/// # Errors
///
/// `ESRCH` when there is no such process.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    sys::cpu_time(pid)
}

/// Bytes of physical memory that process `pid` holds.
///
/// # Errors
///
/// `NotFound` when there is no such process; `InvalidData` when the kernel says
/// nothing of the kind.
pub fn resident_bytes(pid: u32) -> io::Result<f64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    rollup
        .lines()
        .find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<f64>().ok())
        .map(|kib| kib * 1024.0)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no Rss in smaps_rollup"))
}

fn say(line: std::fmt::Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
