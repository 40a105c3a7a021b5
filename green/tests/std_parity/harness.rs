//! Runs one body three ways and compares what it wrote down.

use std::any::Any;
use std::fmt::{self, Debug, Write};
use std::io;
use std::panic;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use test_support::bounded;

/// A body may take this long; all of them end in a fraction of it.
const LIMIT: Duration = Duration::from_secs(60);

/// A panic whose message starts with this is part of a body's plan and is not
/// printed.
pub const PLANNED: &str = "planned: ";

/// A body: writes what it sees into the transcript.
pub type Body = fn(&mut Transcript);

/// What a body saw, one line an observation.
#[derive(Debug, Default)]
pub struct Transcript {
    lines: Vec<Line>,
}

#[derive(Debug, PartialEq)]
enum Line {
    /// Must be the same.
    Exactly(String),
    /// May have more.
    AtLeast(String, Vec<&'static str>),
}

impl Transcript {
    /// Writes down a value.
    pub fn see(&mut self, label: &str, value: impl Debug) {
        self.line(label, &format!("{value:?}"));
    }

    /// Writes down a set of which green must have at least what std has.
    pub fn at_least(&mut self, label: &str, values: Vec<&'static str>) {
        self.lines.push(Line::AtLeast(label.to_owned(), values));
    }

    fn line(&mut self, label: &str, shown: &str) {
        self.lines.push(Line::Exactly(format!("{label}: {shown}")));
    }

    /// Writes down the value, or the kind and the raw code of the error.
    pub fn result<T: Debug>(&mut self, label: &str, result: &io::Result<T>) {
        let shown = match result {
            Ok(value) => format!("Ok({value:?})"),
            Err(error) => show_error(error),
        };
        self.line(label, &shown);
    }

    /// All that was seen.
    pub fn text(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(Line::to_string).collect();
        lines.join("\n")
    }

    /// As [`result`](Self::result), without the value.
    pub fn outcome<T>(&mut self, label: &str, result: &io::Result<T>) {
        self.result(label, &result.as_ref().map(|_| ()).map_err(copy_error));
    }

    /// Writes down whether `panics` panicked, and with what.
    pub fn panic<T>(&mut self, label: &str, panics: Result<T, Box<dyn Any + Send>>) {
        let shown = match panics {
            Ok(_) => "no panic".to_owned(),
            Err(payload) => format!("panic of {}", show_payload(&*payload)),
        };
        self.line(label, &shown);
    }
}

fn show_error(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => format!("Err({:?}, os error {code})", error.kind()),
        None => format!("Err({:?}, no os error)", error.kind()),
    }
}

fn copy_error(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.kind().into(),
    }
}

fn show_payload(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        format!("&str {text:?}")
    } else if let Some(text) = payload.downcast_ref::<String>() {
        format!("String {text:?}")
    } else {
        "another type".to_owned()
    }
}

/// A part of std: its items, and what accounts for each.
#[derive(Debug)]
pub struct Topic {
    /// The name of its file.
    pub name: &'static str,
    /// The stable items that it stands for.
    pub items: &'static [&'static str],
    /// Items that cannot or should not be as in std, with the reason.
    pub differs: &'static [(&'static str, &'static str)],
    /// Each body, with the items that it covers.
    pub covered: &'static [(&'static str, &'static [&'static str])],
}

impl Topic {
    fn covered_by(&self, body: &str) -> String {
        let covered = self.covered.iter().find(|(name, _)| *name == body);
        covered.map_or_else(String::new, |(_, items)| items.join(", "))
    }
}

/// Fails unless every item of the topic is covered by a body or has a reason
/// to differ, and every name that a body claims to cover is an item.
pub fn check_inventory(topic: &Topic) {
    let covered = |item: &str| topic.covered.iter().any(|(_, items)| items.contains(&item));
    let differs = |item: &str| topic.differs.iter().any(|(name, _)| *name == item);
    let mut faults = String::new();
    for item in topic.items {
        if !covered(item) && !differs(item) {
            let _ = writeln!(faults, "  {item}: no body covers it");
        }
    }
    let claimed = topic.covered.iter().flat_map(|(_, items)| items.iter());
    for item in claimed.chain(topic.differs.iter().map(|(name, _)| name)) {
        if !topic.items.contains(item) {
            let _ = writeln!(faults, "  {item}: not in the list of items");
        }
    }
    assert!(faults.is_empty(), "topic {}:\n{faults}", topic.name);
}

/// Runs the body over std, over green on an OS thread and over green on a
/// green thread, and fails with the lines that differ.
pub fn compare(topic: &Topic, name: &str, over_std: Body, over_green: Body) {
    hush_planned_panics();
    let test = format!("{}::{name}", topic.name);
    let expected = uninterrupted(|| run(&test, "std", over_std, on_os_thread));
    let mut faults = String::new();
    for (way, runner) in GREEN_WAYS {
        let seen = run(&test, way, over_green, runner);
        write_difference(&mut faults, way, &expected, &seen);
    }
    assert!(
        faults.is_empty(),
        "{test} ({}) is not as in std\n{faults}",
        topic.covered_by(name)
    );
}

type Runner = fn(Body) -> thread::Result<Transcript>;

/// How a body runs over green.
pub const GREEN_WAYS: [(&str, Runner); 2] = [
    ("green on an OS thread", on_os_thread),
    ("green on a green thread", on_green_thread),
];

fn run(test: &str, way: &str, body: Body, runner: Runner) -> Transcript {
    let ended = bounded(&format!("{test} over {way}"), LIMIT, || runner(body));
    ended.unwrap_or_else(|payload| {
        panic!(
            "{test} over {way} panicked: {}",
            show_payload(payload.as_ref())
        )
    })
}

/// A process that is stopped, frozen or looked at by a debugger goes on with waits that end by `EINTR` where they have a
/// limit (signal(7)). That is not what a body is about, so it runs again.
fn uninterrupted(mut run: impl FnMut() -> Transcript) -> Transcript {
    let interrupted = show_error(&io::Error::from_raw_os_error(libc::EINTR));
    let mut seen = run();
    for _ in 0..5 {
        if !seen.text().contains(&interrupted) {
            break;
        }
        seen = run();
    }
    seen
}

fn on_os_thread(body: Body) -> thread::Result<Transcript> {
    thread::Builder::new()
        .name("body".to_owned())
        .spawn(move || transcribe(body))
        .expect("an OS thread for the body")
        .join()
}

fn on_green_thread(body: Body) -> thread::Result<Transcript> {
    green::thread::Builder::new()
        .name("body".to_owned())
        .spawn(move || transcribe(body))
        .expect("a green thread for the body")
        .join()
}

fn transcribe(body: Body) -> Transcript {
    let mut transcript = Transcript::default();
    body(&mut transcript);
    transcript
}

impl Line {
    /// Whether green's `other` is as it should be where std has this line.
    fn allows(&self, other: &Line) -> bool {
        match (self, other) {
            (Line::AtLeast(label, least), Line::AtLeast(other_label, values)) => {
                label == other_label && least.iter().all(|value| values.contains(value))
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Exactly(text) => f.write_str(text),
            Line::AtLeast(label, values) => write!(f, "{label}: at least {values:?}"),
        }
    }
}

fn write_difference(out: &mut String, way: &str, expected: &Transcript, seen: &Transcript) {
    let show = |line: Option<&Line>| line.map_or("(nothing)".to_owned(), Line::to_string);
    let mut differing = String::new();
    for index in 0..expected.lines.len().max(seen.lines.len()) {
        let (left, right) = (expected.lines.get(index), seen.lines.get(index));
        let allowed = left
            .zip(right)
            .is_some_and(|(left, right)| left.allows(right));
        if !allowed {
            let _ = writeln!(differing, "  std:   {}", show(left));
            let _ = writeln!(differing, "  green: {}", show(right));
        }
    }
    if !differing.is_empty() {
        let _ = writeln!(out, "over {way}:\n{differing}");
    }
}

/// Keeps the messages of planned panics out of the test's output.
fn hush_planned_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let planned = info
                .payload_as_str()
                .is_some_and(|text| text.starts_with(PLANNED));
            if !planned {
                usual(info);
            }
        }));
    });
}
