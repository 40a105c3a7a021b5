//! Prints a scenario's results, as tables that Markdown reads too.

use crate::results::Results;
use crate::scenario::{Bound, Scenario};

pub fn print(scenario: &Scenario, results: &Results) {
    println!("\n## {}\n\n{}.", scenario.name, scenario.about);
    let cases = results.cases();
    for metric in scenario.metrics {
        let ratios = if metric.compared { " (ratio)" } else { "" };
        let mut heads = vec![format!("{}, {}{ratios}", metric.name, metric.unit)];
        heads.extend(cases.iter().map(|&case| scenario.case(case)));
        let mut rows = vec![heads];
        for variant in scenario.variants {
            let mut row = vec![variant.name.to_owned()];
            for &case in &cases {
                let baseline = scenario.variants[0].name;
                let spread = results.spread(metric.name, case, variant.name);
                let ratio = results.ratio(metric.name, case, variant.name, baseline);
                row.push(match (spread, ratio) {
                    (Some(spread), Some(ratio)) if metric.compared => {
                        format!("{} ({:.2})", figure(spread.median), ratio.median)
                    }
                    (Some(spread), _) => figure(spread.median),
                    (None, _) => "".to_owned(),
                });
            }
            if row[1..].iter().any(|cell| !cell.is_empty()) {
                rows.push(row);
            }
        }
        print_rows(&rows);
    }
    print_targets(scenario, results);
    for failure in &results.failures {
        println!(
            "\nFAILED: {} at {}: {}",
            failure.variant,
            scenario.case(failure.case),
            failure.error
        );
    }
}

fn print_targets(scenario: &Scenario, results: &Results) {
    let head = ["target", "wanted", "median", "quartiles", ""].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    for target in scenario.targets {
        let measured = match target.rival {
            Some(rival) => results.ratio(target.metric, target.case, target.variant, rival),
            None => results.spread(target.metric, target.case, target.variant),
        };
        let Some(measured) = measured else { continue };
        let (wanted, reached) = match target.bound {
            Bound::AtMost(limit) => (format!("≤ {}", figure(limit)), measured.median <= limit),
            Bound::AtLeast(limit) => (format!("≥ {}", figure(limit)), measured.median >= limit),
        };
        let against = target
            .rival
            .map_or(String::new(), |rival| format!(" / {rival}"));
        rows.push(vec![
            format!(
                "{}, {}: {}{against}",
                target.metric,
                scenario.case(target.case),
                target.variant
            ),
            wanted,
            figure(measured.median),
            format!("{} to {}", figure(measured.low), figure(measured.high)),
            if reached { "reached" } else { "MISSED" }.to_owned(),
        ]);
    }
    if rows.len() > 1 {
        print_rows(&rows);
    }
}

/// Three significant digits or so.
pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn print_rows(rows: &[Vec<String>]) {
    let columns = rows[0].len();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
            .max(3)
    };
    println!();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = (0..columns)
            .map(|column| format!(" {:<1$} ", row[column], width(column)))
            .collect();
        println!("|{}|", cells.join("|"));
        if index == 0 {
            let rules: Vec<String> = (0..columns)
                .map(|column| "-".repeat(width(column) + 2))
                .collect();
            println!("|{}|", rules.join("|"));
        }
    }
}
