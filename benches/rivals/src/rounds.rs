//! Rotating rounds: in each, every variant is measured once, and each round
//! begins with another, so that nobody always runs on a warm machine or after
//! the same neighbour.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use crate::options::Options;
use crate::process::Programs;
use crate::results::Results;
use crate::scenario::{Bench, Run, Scenario, Variant};

pub fn run(scenario: &Scenario, options: &Options, programs: &Programs) -> io::Result<Results> {
    let bench = Bench { options, programs };
    let mut variants = chosen(scenario, options);
    programs.prepare(&mut variants)?;
    let mut results = Results::default();
    for case in (scenario.cases)(options) {
        progress(format_args!(
            "{}: {}: starting",
            scenario.name,
            scenario.case(case)
        ));
        let prepared = (scenario.prepare)(&bench, case)?;
        let mut started = Vec::new();
        for &variant in &variants {
            match (scenario.start)(&Run {
                bench: &bench,
                variant,
                case,
                prepared,
            }) {
                Ok(measurement) => started.push((variant.name, measurement)),
                Err(error) => results.failed(case, variant.name, error),
            }
        }
        for round in 0..options.rounds {
            let count = started.len();
            for turn in 0..count {
                let (variant, measure) = &mut started[(round + turn) % count];
                progress(format_args!(
                    "{}: {}, round {} of {}: {variant}",
                    scenario.name,
                    scenario.case(case),
                    round + 1,
                    options.rounds,
                ));
                match measure() {
                    Ok(values) => results.add(case, variant, round, scenario.metrics, values),
                    Err(error) => results.failed(case, variant, error),
                }
            }
        }
    }
    progress(format_args!(""));
    Ok(results)
}

/// Rewrites the line that says what is running, if somebody watches.
fn progress(what: fmt::Arguments<'_>) {
    let mut terminal = io::stderr();
    if terminal.is_terminal() {
        // Nothing is lost if the line cannot be written.
        let _ = write!(terminal, "\r\x1b[K{what}");
    }
}

/// The variants asked for, and always the baseline.
fn chosen<'a>(scenario: &'a Scenario, options: &Options) -> Vec<&'a Variant> {
    let wanted = |variant: &&Variant| match &options.variants {
        None => true,
        Some(names) => {
            variant.name == scenario.variants[0].name
                || names.iter().any(|name| name == variant.name)
        }
    };
    scenario.variants.iter().filter(wanted).collect()
}
