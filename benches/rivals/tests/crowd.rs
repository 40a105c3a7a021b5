//! The rivals' crowds, in small.

use std::process::{Command, Output};

fn run(workload: &str, count: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rivals"))
        .args(["run", workload, "--count", count])
        .output()
        .expect("the program starts")
}

fn lines(output: &Output) -> Vec<&str> {
    let text = str::from_utf8(&output.stdout).expect("text");
    text.lines().collect()
}

fn says_its_figures(workload: &str) {
    let output = run(workload, "2000");
    assert!(output.status.success(), "{output:?}");
    let figures: Vec<_> = lines(&output)
        .into_iter()
        .map(|line| {
            let (name, value) = line.strip_prefix("result ")?.split_once(' ')?;
            Some((name, value.parse::<f64>().ok()?))
        })
        .collect::<Option<_>>()
        .unwrap_or_else(|| panic!("{output:?}"));
    let names: Vec<_> = figures.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["start", "resident", "wake", "again"]);
    assert!(figures.iter().all(|(_, value)| *value > 0.0), "{figures:?}");
}

#[test]
fn a_crowd_of_tasks_says_its_figures() {
    says_its_figures("crowd-tokio");
}

#[test]
fn a_crowd_of_coroutines_says_its_figures() {
    says_its_figures("crowd-may");
}

#[test]
fn a_crowd_of_nobody_says_why_it_failed() {
    let output = run("crowd-tokio", "0");
    assert!(!output.status.success());
    assert_eq!(lines(&output), ["failed a crowd needs --count"]);
}
