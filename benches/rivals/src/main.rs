//! Measures `green` beside a raw epoll loop, tokio, `may` and OS threads.
//!
//! One executable in three roles: the orchestrator (`rivals echo`) runs
//! scenarios in rotating rounds; for each measurement it starts a rival's
//! program (`rivals run WORKLOAD`, green's being the package beside) and, for
//! servers, a load generator (`rivals load`), each in a process of its own.
//!
//! A scenario is one file in `scenarios/`; see [`scenario::Scenario`].

mod callgrind;
mod chart;
mod load;
mod options;
mod proc_fs;
mod process;
mod results;
mod rounds;
mod scenario;
mod scenarios;
mod strace;
mod table;
mod workloads;

use std::collections::BTreeSet;
use std::io;
use std::process::ExitCode;

use options::Options;
use results::Results;
use scenario::Scenario;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let role = arguments.next().unwrap_or_default();
    let outcome = match role.to_str() {
        Some("run") => program::run(workloads::ALL, arguments),
        Some("load") => load::main(arguments),
        _ => orchestrate(std::iter::once(role).chain(arguments)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rivals: {error}");
            ExitCode::FAILURE
        }
    }
}

fn orchestrate(arguments: impl Iterator<Item = std::ffi::OsString>) -> io::Result<()> {
    let Some(options) = Options::parse(arguments)? else {
        println!("{}", options::usage());
        return Ok(());
    };
    let chosen = scenarios::named(&options.scenarios)?;
    check_variants(&chosen, &options)?;
    if options.redraw {
        for scenario in chosen {
            let results = Results::read(scenario, &options.results)?;
            chart::write(scenario, &results, &options.results)?;
        }
        return Ok(());
    }
    let programs = process::Programs::locate()?;
    let mut failures = 0;
    for scenario in chosen {
        let results = rounds::run(scenario, &options, &programs)?;
        failures += results.failures.len();
        table::print(scenario, &results);
        results.write(scenario, &options.results)?;
        chart::write(scenario, &results, &options.results)?;
    }
    match failures {
        0 => Ok(()),
        _ => Err(io::Error::other(format!(
            "{failures} measurements failed, see above"
        ))),
    }
}

/// Every variant that was asked for takes part in one of the scenarios.
fn check_variants(scenarios: &[&Scenario], options: &Options) -> io::Result<()> {
    let known: BTreeSet<&str> = scenarios
        .iter()
        .flat_map(|scenario| scenario.variants)
        .map(|variant| variant.name)
        .collect();
    let unknown = options
        .variants
        .iter()
        .flatten()
        .find(|name| !known.contains(name.as_str()));
    let Some(unknown) = unknown else {
        return Ok(());
    };
    let known = Vec::from_iter(known).join(", ");
    let message = format!("no variant {unknown:?} takes part; there are {known}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}
