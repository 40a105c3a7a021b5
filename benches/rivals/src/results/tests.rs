use super::*;
use crate::scenario::Better;

const COST: Metric = Metric {
    name: "cost",
    unit: "µs",
    better: Better::Less,
    compared: true,
};

fn results(rounds: &[(f64, f64)]) -> Results {
    let mut results = Results::default();
    for (round, &(ours, theirs)) in rounds.iter().enumerate() {
        results.add(64, "ours", round, &[COST], vec![ours]);
        results.add(64, "theirs", round, &[COST], vec![theirs]);
    }
    results
}

#[test]
fn the_median_lies_between_the_two_middle_values() {
    let results = results(&[(4.0, 0.0), (1.0, 0.0), (3.0, 0.0), (2.0, 0.0)]);
    let spread = results.spread("cost", 64, "ours").unwrap();
    assert_eq!((spread.low, spread.median, spread.high), (1.75, 2.5, 3.25));
}

#[test]
fn a_slow_round_slows_both_and_leaves_the_paired_ratio() {
    let results = results(&[(2.0, 1.0), (20.0, 10.0), (200.0, 100.0)]);
    let ratio = results.ratio("cost", 64, "ours", "theirs").unwrap();
    assert_eq!((ratio.low, ratio.median, ratio.high), (2.0, 2.0, 2.0));
}

#[test]
fn a_round_that_one_side_missed_has_no_ratio() {
    let mut results = results(&[(2.0, 1.0)]);
    results.add(64, "ours", 1, &[COST], vec![1000.0]);
    let ratio = results.ratio("cost", 64, "ours", "theirs").unwrap();
    assert_eq!(ratio.median, 2.0);
    assert!(results.ratio("cost", 1000, "ours", "theirs").is_none());
}

#[test]
fn a_failure_of_every_round_is_noted_once_for_each_case() {
    let mut results = Results::default();
    for case in [64, 64, 1000] {
        results.failed(case, "ours", io::Error::other("no room"));
    }
    results.failed(64, "ours", io::Error::other("no time"));
    let noted = results.failures.iter();
    let noted: Vec<_> = noted
        .map(|it| format!("{}: {}", it.case, it.error))
        .collect();
    assert_eq!(noted, ["64: no room", "1000: no room", "64: no time"]);
}
