//! Draws a scenario's first metric as a bar chart, in SVG: a panel a case with its axis, a bar a variant, a whisker from
//! quartile to quartile.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::results::{Results, Spread};
use crate::scenario::{Better, Scenario};
use crate::table::figure;

const LABELS: f64 = 190.0;
const BARS: f64 = 380.0;
const NUMBERS: f64 = 130.0;
const BAR: f64 = 20.0;
const TITLE: f64 = 52.0;
const PANEL_TITLE: f64 = 34.0;
const AXIS: f64 = 20.0;

struct Bar {
    variant: &'static str,
    spread: Spread,
    ratio: Option<f64>,
}

/// Writes `NAME.svg` into the directory of results.
pub fn write(scenario: &Scenario, results: &Results, directory: &Path) -> io::Result<()> {
    let metric = &scenario.metrics[0];
    let baseline = scenario.variants[0].name;
    let panels: Vec<(usize, Vec<Bar>)> = results
        .cases()
        .into_iter()
        .map(|case| {
            let bars = scenario.variants.iter().filter_map(|variant| {
                Some(Bar {
                    variant: variant.name,
                    spread: results.spread(metric.name, case, variant.name)?,
                    ratio: results
                        .ratio(metric.name, case, variant.name, baseline)
                        .map(|ratio| ratio.median)
                        .filter(|_| metric.compared),
                })
            });
            (case, bars.collect())
        })
        .collect();

    let bars: usize = panels.iter().map(|(_, bars)| bars.len()).sum();
    let width = LABELS + BARS + NUMBERS;
    let height = TITLE + panels.len() as f64 * (PANEL_TITLE + AXIS) + bars as f64 * BAR + 12.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"15\" font-weight=\"bold\">{}: {}, {} ({} is better)</text>\n\
         <text x=\"12\" y=\"42\" fill=\"#666666\">median and quartiles of {} rounds; in brackets \
         the median ratio to {} in the same round</text>\n",
        scenario.name,
        metric.name,
        metric.unit,
        match metric.better {
            Better::Less => "less",
            Better::More => "more",
        },
        results
            .samples
            .iter()
            .map(|sample| sample.round + 1)
            .max()
            .unwrap_or(0),
        baseline,
    );
    let mut y = TITLE;
    for (case, bars) in &panels {
        let _ = writeln!(
            svg,
            "<text x=\"12\" y=\"{}\" font-weight=\"bold\">{}</text>",
            y + 22.0,
            scenario.case(*case)
        );
        y += PANEL_TITLE;
        let longest = bars.iter().map(|bar| bar.spread.high).fold(0.0, f64::max);
        let scale = if longest > 0.0 { BARS / longest } else { 0.0 };
        axis(
            &mut svg,
            longest,
            y,
            y + bars.len() as f64 * BAR,
            metric.unit,
        );
        for bar in bars {
            draw(&mut svg, bar, y, scale);
            y += BAR;
        }
        y += AXIS;
    }
    svg.push_str("</svg>\n");
    fs::create_dir_all(directory)?;
    fs::write(directory.join(scenario.name).with_extension("svg"), svg)
}

/// A line at each step from zero to the longest bar, with its number below.
fn axis(svg: &mut String, longest: f64, top: f64, bottom: f64, unit: &str) {
    let step = step(longest);
    let mut value = 0.0;
    while value <= longest && step > 0.0 {
        let x = LABELS + value / longest * BARS;
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {top}V{:.1}\" stroke=\"#dddddd\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"#666666\" \
             text-anchor=\"middle\">{value}</text>",
            bottom + 3.0,
            bottom + 14.0,
        );
        value += step;
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{:.1}\" font-size=\"10\" fill=\"#666666\">{unit}</text>",
        LABELS + BARS + 8.0,
        bottom + 14.0,
    );
}

/// 1, 2 or 5 times a power of ten, of which the longest bar has two to five.
fn step(longest: f64) -> f64 {
    if longest <= 0.0 {
        return 0.0;
    }
    let power = 10f64.powf((longest / 5.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
    let fits = steps.into_iter().find(|step| longest / step <= 5.0);
    fits.unwrap_or(10.0 * power)
}

fn draw(svg: &mut String, bar: &Bar, y: f64, scale: f64) {
    let colour = if bar.variant.starts_with("green") {
        "#2e8b57"
    } else {
        "#9aa7b4"
    };
    let Spread { low, median, high } = bar.spread;
    let text = y + BAR * 0.65;
    let ratio = bar
        .ratio
        .map_or(String::new(), |ratio| format!(" ({ratio:.2})"));
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{}</text>\n\
         <rect x=\"{LABELS}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>\n\
         <path d=\"M{:.1} {mid}H{:.1}\" stroke=\"#222222\"/>\n\
         <text x=\"{}\" y=\"{text}\">{}{ratio}</text>",
        LABELS - 8.0,
        bar.variant,
        y + 2.0,
        median * scale,
        BAR - 5.0,
        LABELS + low * scale,
        LABELS + high * scale,
        LABELS + BARS + 8.0,
        figure(median),
        mid = y + BAR / 2.0 - 0.5,
    );
}

#[cfg(test)]
mod tests {
    use super::step;

    #[test]
    fn an_axis_has_two_to_five_round_steps() {
        for (longest, expected) in [(5.0, 1.0), (9.9, 2.0), (22.7, 5.0), (41_000.0, 10_000.0)] {
            assert_eq!(step(longest), expected, "{longest}");
        }
        assert_eq!(step(0.0), 0.0);
    }
}
