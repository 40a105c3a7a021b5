//! Figures in the text format of Prometheus.

use std::fmt::Write;

use super::{Figure, Kind, Metrics};

/// What `sources` tell, in the text format that Prometheus reads (version 0.0.4), its content type `text/plain;
/// version=0.0.4`. The name of a source is the label `name` of its figures, unless it is empty; two sources of one kind
/// need two names.
///
/// Does not wait.
///
/// ```
/// use green::metrics::{Metrics, prometheus};
///
/// green::run(|| ());
/// let text = prometheus([("", &green::report() as &dyn Metrics)]);
/// assert!(text.contains("# TYPE green_hub_resumes_total counter\n"));
/// assert!(text.lines().any(|line| line.starts_with("green_hub_resumes_total{hub=\"0\"} ")));
/// ```
pub fn prometheus<'a, S>(sources: S) -> String
where
    S: IntoIterator<Item = (&'a str, &'a dyn Metrics)>,
{
    // A name's samples stand together, whoever tells them.
    let mut families: Vec<(&'static str, String)> = Vec::new();
    for (source, metrics) in sources {
        metrics.tell(&mut |figure| {
            let place = families.iter().position(|(name, _)| *name == figure.name);
            let place = place.unwrap_or_else(|| {
                families.push((figure.name, head(&figure)));
                families.len() - 1
            });
            sample(&mut families[place].1, source, &figure);
        });
    }
    families.into_iter().map(|(_, text)| text).collect()
}

fn head(figure: &Figure<'_>) -> String {
    let kind = match figure.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    let (name, help) = (figure.name, figure.help);
    format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")
}

fn sample(text: &mut String, source: &str, figure: &Figure<'_>) {
    let named = Some(("name", source)).filter(|(_, source)| !source.is_empty());
    let labels = [named, figure.label].into_iter().flatten();
    let labels: Vec<String> = labels
        .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
        .collect();
    let labels = match labels.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", labels.join(",")),
    };
    let _ = writeln!(text, "{}{labels} {}", figure.name, figure.value);
}

/// A label's value, with what the format asks to be escaped.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', r"\\").replace('"', "\\\"");
    value.replace('\n', r"\n")
}
