//! What a scenario is: variants, cases, and how one of each is measured.
//! Rounds, tables, charts and files are the same for all.

use std::io;
use std::net::SocketAddr;

use crate::options::Options;
use crate::process::{Load, Place, Program, Programs, Running, Talk};

/// One comparison. To add one, write a file in `scenarios/` that holds a
/// `pub const SCENARIO: Scenario`, and name it in `scenarios::ALL`.
#[derive(Debug)]
pub struct Scenario {
    /// On the command line, and the name of its result files.
    pub name: &'static str,
    /// One line: what is measured, and how.
    pub about: &'static str,
    /// What the numbers in `cases` count.
    pub case_unit: &'static str,
    /// The sizes to run it at.
    pub cases: fn(&Options) -> Vec<usize>,
    /// Who takes part. The first is the baseline of the printed ratios.
    pub variants: &'static [Variant],
    /// What one measurement yields. The first is the one in the chart.
    pub metrics: &'static [Metric],
    /// The figures to reach.
    pub targets: &'static [Target],
    /// Measured once a case, before its rounds, and handed to `start`: the
    /// rate of an open loop, say.
    pub prepare: fn(&Bench, usize) -> io::Result<f64>,
    /// Starts one variant and returns its measurement, which every round
    /// repeats. A server that costs nothing while it idles is started here and
    /// serves in every round, so that rounds are short and a variant meets its
    /// rivals within a second or two.
    pub start: for<'a> fn(&Run<'a>) -> io::Result<Measurement<'a>>,
}

impl Scenario {
    /// A case in words: "64 connections", "1 connection".
    pub fn case(&self, case: usize) -> String {
        let unit = match case {
            1 => self.case_unit.strip_suffix('s').unwrap_or(self.case_unit),
            _ => self.case_unit,
        };
        format!("{case} {unit}")
    }
}

/// Measures a started variant once: a value for each metric, in their order.
pub type Measurement<'a> = Box<dyn FnMut() -> io::Result<Vec<f64>> + 'a>;

/// One way of doing a scenario's work.
#[derive(Debug)]
pub struct Variant {
    pub name: &'static str,
    pub program: Program,
    pub workload: &'static str,
    pub arguments: &'static [&'static str],
    pub environment: &'static [(&'static str, &'static str)],
}

impl Variant {
    /// A workload of this executable.
    pub const fn rival(
        name: &'static str,
        workload: &'static str,
        arguments: &'static [&'static str],
    ) -> Variant {
        Variant {
            name,
            program: Program::Rivals,
            workload,
            arguments,
            environment: &[],
        }
    }

    /// A workload of the program in Go, on so many cores.
    pub const fn go(
        name: &'static str,
        workload: &'static str,
        environment: &'static [(&'static str, &'static str)],
    ) -> Variant {
        Variant {
            name,
            program: Program::Go,
            workload,
            arguments: &[],
            environment,
        }
    }

    /// nginx.
    pub const fn nginx(name: &'static str, workload: &'static str) -> Variant {
        Variant {
            name,
            program: Program::Nginx,
            workload,
            arguments: &[],
            environment: &[],
        }
    }

    /// A workload of green's program, on so many hubs.
    pub const fn green(
        name: &'static str,
        workload: &'static str,
        arguments: &'static [&'static str],
        environment: &'static [(&'static str, &'static str)],
    ) -> Variant {
        Variant {
            name,
            program: Program::Green,
            workload,
            arguments,
            environment,
        }
    }
}

/// Makes green use one hub, or two.
pub const ONE_HUB: &[(&str, &str)] = &[("GREEN_HUBS", "1")];
pub const TWO_HUBS: &[(&str, &str)] = &[("GREEN_HUBS", "2")];

/// Makes Go run goroutines on one core at a time, or on two.
pub const ONE_PROC: &[(&str, &str)] = &[("GOMAXPROCS", "1")];
pub const TWO_PROCS: &[(&str, &str)] = &[("GOMAXPROCS", "2")];

/// A quantity and its unit.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub better: Better,
    /// Whether the ratio to the baseline says something.
    pub compared: bool,
}

/// Which way is better.
#[derive(Clone, Copy, Debug)]
pub enum Better {
    Less,
    More,
}

/// A figure to reach: a bound on the median of the paired ratios, or on the
/// median itself.
#[derive(Debug)]
pub struct Target {
    pub variant: &'static str,
    /// Whose figure of the same round divides, or nobody's.
    pub rival: Option<&'static str>,
    pub metric: &'static str,
    pub case: usize,
    pub bound: Bound,
}

#[derive(Clone, Copy, Debug)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// Programs and options: what every measurement needs.
#[derive(Debug)]
pub struct Bench<'a> {
    pub options: &'a Options,
    pub programs: &'a Programs,
}

/// Whether the programs keep to their cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// The measured program and the generator have a core each.
    Pinned,
    /// The kernel decides.
    Shared,
}

impl Bench<'_> {
    /// Starts the variant's program.
    pub fn start(&self, variant: &Variant, cores: Cores) -> io::Result<Running> {
        self.start_under(&[], variant, cores)
    }

    /// Starts the variant's program under a tool: its name and its arguments.
    pub fn start_under(
        &self,
        tool: &[&str],
        variant: &Variant,
        cores: Cores,
    ) -> io::Result<Running> {
        let place = self.place(cores, self.options.server_cpu);
        self.programs.start(variant, tool, &[], place)
    }

    /// Starts the variant's program with so many threads to make.
    pub fn start_crowd(
        &self,
        variant: &Variant,
        count: usize,
        cores: Cores,
    ) -> io::Result<Running> {
        let place = self.place(cores, self.options.server_cpu);
        let count = count.to_string();
        self.programs
            .start(variant, &[], &["--count", &count], place)
    }

    /// Starts the generator with so many connections to `address`.
    pub fn load(&self, address: SocketAddr, connections: usize, cores: Cores) -> io::Result<Load> {
        self.load_talking(Talk::Tcp, address, connections, cores)
    }

    /// The same, with something else to say than messages over TCP.
    pub fn load_talking(
        &self,
        talk: Talk,
        address: SocketAddr,
        connections: usize,
        cores: Cores,
    ) -> io::Result<Load> {
        self.programs.load(
            talk,
            address,
            connections,
            self.place(cores, self.options.load_cpu),
        )
    }

    fn place(&self, cores: Cores, cpu: usize) -> Place {
        let cpu = (cores == Cores::Pinned).then_some(cpu);
        Place {
            cpu,
            nice: self.options.nice,
        }
    }
}

/// One variant to be measured in one case.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    pub bench: &'a Bench<'a>,
    pub variant: &'a Variant,
    pub case: usize,
    /// What `prepare` found for this case.
    pub prepared: f64,
}

/// For scenarios that need no preparation.
pub fn nothing_to_prepare(_: &Bench, _: usize) -> io::Result<f64> {
    Ok(0.0)
}
