//! What was measured: samples, and the medians and paired ratios of them.

use std::fmt::{Display, Write as _};
use std::fs;
use std::io;
use std::path::Path;

use crate::scenario::{Metric, Scenario};

/// One measured value.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub case: usize,
    pub variant: &'static str,
    pub round: usize,
    pub metric: &'static str,
    pub value: f64,
}

/// A measurement that failed.
#[derive(Debug)]
pub struct Failure {
    pub case: usize,
    pub variant: &'static str,
    pub error: io::Error,
}

/// All that one scenario yielded.
#[derive(Debug, Default)]
pub struct Results {
    pub samples: Vec<Sample>,
    pub failures: Vec<Failure>,
}

/// The middle of several values and the quartiles around it.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Results {
    /// Takes in one measurement: a value for each metric, in their order.
    pub fn add(
        &mut self,
        case: usize,
        variant: &'static str,
        round: usize,
        metrics: &[Metric],
        values: Vec<f64>,
    ) {
        assert_eq!(values.len(), metrics.len(), "a value for each metric");
        for (metric, value) in metrics.iter().zip(values) {
            self.samples.push(Sample {
                case,
                variant,
                round,
                metric: metric.name,
                value,
            });
        }
    }

    /// Takes note of a measurement that failed, once if each round fails alike.
    pub fn failed(&mut self, case: usize, variant: &'static str, error: io::Error) {
        let text = error.to_string();
        if self.failures.iter().any(|known| {
            known.case == case && known.variant == variant && known.error.to_string() == text
        }) {
            return;
        }
        self.failures.push(Failure {
            case,
            variant,
            error,
        });
    }

    /// The median over the rounds.
    pub fn spread(&self, metric: &str, case: usize, variant: &str) -> Option<Spread> {
        spread(
            self.of(metric, case, variant)
                .map(|sample| sample.value)
                .collect(),
        )
    }

    /// The median of the ratios to `rival` **in the same round**: what slows
    /// the whole machine for a while slows both.
    pub fn ratio(&self, metric: &str, case: usize, variant: &str, rival: &str) -> Option<Spread> {
        let ratios = self.of(metric, case, variant).filter_map(|sample| {
            let other = self
                .of(metric, case, rival)
                .find(|other| other.round == sample.round)?
                .value;
            Some(sample.value / other)
        });
        spread(ratios.collect())
    }

    /// The cases, in the order in which they ran.
    pub fn cases(&self) -> Vec<usize> {
        let mut cases: Vec<usize> = self.samples.iter().map(|sample| sample.case).collect();
        cases.dedup();
        cases
    }

    fn of(&self, metric: &str, case: usize, variant: &str) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| {
            sample.metric == metric && sample.case == case && sample.variant == variant
        })
    }

    /// Reads the samples that [`write`](Self::write) wrote, of variants and metrics that there are still.
    pub fn read(scenario: &Scenario, directory: &Path) -> io::Result<Results> {
        let file = directory.join(scenario.name).with_extension("csv");
        let told = |error: &dyn Display| io::Error::other(format!("{}: {error}", file.display()));
        let text = fs::read_to_string(&file).map_err(|error| told(&error))?;
        let mut results = Results::default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let &[case, variant, round, metric, value] = fields.as_slice() else {
                return Err(told(&format_args!("no sample: {line}")));
            };
            let variant = scenario.variants.iter().find(|known| known.name == variant);
            let metric = scenario.metrics.iter().find(|known| known.name == metric);
            if let (Some(variant), Some(metric)) = (variant, metric) {
                results.samples.push(Sample {
                    case: case.parse().map_err(|error| told(&error))?,
                    variant: variant.name,
                    round: round.parse().map_err(|error| told(&error))?,
                    metric: metric.name,
                    value: value.parse().map_err(|error| told(&error))?,
                });
            }
        }
        Ok(results)
    }

    /// Writes every sample as CSV and the medians as JSON.
    pub fn write(&self, scenario: &Scenario, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let mut csv = format!("{},variant,round,metric,value\n", scenario.case_unit);
        for Sample {
            case,
            variant,
            round,
            metric,
            value,
        } in &self.samples
        {
            let _ = writeln!(csv, "{case},{variant},{round},{metric},{value}");
        }
        fs::write(directory.join(scenario.name).with_extension("csv"), csv)?;

        let mut medians = Vec::new();
        let baseline = scenario.variants[0].name;
        for case in self.cases() {
            for variant in scenario.variants {
                for metric in scenario.metrics {
                    let Some(spread) = self.spread(metric.name, case, variant.name) else {
                        continue;
                    };
                    let ratio = self
                        .ratio(metric.name, case, variant.name, baseline)
                        .filter(|_| metric.compared);
                    medians.push(serde_json::json!({
                        "case": case,
                        "variant": variant.name,
                        "metric": metric.name,
                        "unit": metric.unit,
                        "median": spread.median,
                        "quartiles": [spread.low, spread.high],
                        "ratio": ratio.map(|ratio| ratio.median),
                        "ratio_quartiles": ratio.map(|ratio| [ratio.low, ratio.high]),
                    }));
                }
            }
        }
        let json = serde_json::json!({
            "scenario": scenario.name,
            "about": scenario.about,
            "case_unit": scenario.case_unit,
            "baseline": baseline,
            "rounds": self.samples.iter().map(|sample| sample.round + 1).max(),
            "results": medians,
        });
        let text = serde_json::to_string_pretty(&json).map_err(io::Error::other)?;
        fs::write(
            directory.join(scenario.name).with_extension("json"),
            text + "\n",
        )
    }
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    // Linear between the two nearest ranks.
    let quantile = |share: f64| {
        let rank = share * last as f64;
        let (low, high) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
        low + (high - low) * rank.fract()
    };
    Some(Spread {
        low: quantile(0.25),
        median: quantile(0.5),
        high: quantile(0.75),
    })
}

#[cfg(test)]
mod tests;
