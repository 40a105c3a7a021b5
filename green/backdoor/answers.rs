//! The commands of the console.

use std::fmt::Write;
use std::time::Duration;

use greenhub::{Report, ThreadReport, debug, report};

use super::settings::Settings;
use super::top;
use crate::metrics::kinds;

/// What a command leads to.
pub(super) enum Answer {
    /// Ends with a line's end.
    Text(String),
    /// The session is over.
    End(String),
}

const HELP: &str = "\
threads [TEXT]  every green thread, or those whose line contains TEXT
thread ID       one green thread, who started it and whom it has started
tree            every green thread under the one that started it
hubs            a line a hub: what it has done and what it has to do
stats           sums over all hubs, and how many green threads wait for what
listeners       the descriptors that each hub watches, and who waits for them
timers          the deadlines, the nearest first
top [SECONDS]   who used the CPU in that time (1; at most 60)
metrics         figures for Prometheus
kill ID         ends a green thread at its wait
help            this text
quit            ends the session
";
const LONGEST_TOP: u64 = 60;

/// Answers one line.
pub(super) fn answer(line: &str, settings: &Settings) -> Answer {
    // Sent by a web page to whatever listens on this machine: none of its lines
    // is meant for us.
    if line.contains(" HTTP/") {
        return Answer::End("this is not a web server\n".to_owned());
    }
    let line = line.trim();
    let (command, argument) = match line.split_once(char::is_whitespace) {
        Some((command, argument)) => (command, argument.trim()),
        None => (line, ""),
    };
    let text = match (command, argument) {
        ("", _) => String::new(),
        // End of transmission, as telnet sends it.
        ("quit" | "exit" | "\u{4}", "") => return Answer::End("bye\n".to_owned()),
        ("help" | "?", "") => HELP.to_owned(),
        ("threads", text) => threads(text),
        ("thread", id) => with_id(id, thread),
        ("tree", "") => debug::tree().to_string(),
        ("hubs", "") => match report().hubs {
            none if none.is_empty() => "no green thread has been started yet\n".to_owned(),
            hubs => lines(hubs),
        },
        ("stats", "") => stats(&report()),
        ("listeners", "") => debug::listeners().to_string(),
        ("timers", "") => debug::timers().to_string(),
        ("top", seconds) => match seconds.parse() {
            _ if seconds.is_empty() => top::top(Duration::from_secs(1)),
            Ok(seconds @ 1..=LONGEST_TOP) => top::top(Duration::from_secs(seconds)),
            _ => format!("top takes a number of seconds from 1 to {LONGEST_TOP}\n"),
        },
        ("metrics", "") => match settings.counted.text() {
            Some(text) => text,
            None => "what counts the figures has panicked\n".to_owned(),
        },
        ("kill", _) if settings.read_only => "this backdoor is for reading only\n".to_owned(),
        ("kill", id) => with_id(id, kill),
        (
            "quit" | "exit" | "help" | "tree" | "hubs" | "stats" | "listeners" | "timers"
            | "metrics",
            _,
        ) => {
            format!("{command} takes nothing after it\n")
        }
        _ => format!("unknown command {command:?}; 'help' lists the commands\n"),
    };
    Answer::Text(text)
}

fn with_id(id: &str, answer: fn(u64) -> String) -> String {
    match id.parse() {
        Ok(id) => answer(id),
        Err(_) => "the number of a green thread is missing: 'threads' lists them\n".to_owned(),
    }
}

fn lines<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().fold(String::new(), |mut text, item| {
        text.push_str(&item.to_string());
        text.push('\n');
        text
    })
}

fn threads(part: &str) -> String {
    let all = report()
        .threads
        .into_iter()
        .map(|thread| thread.to_string());
    lines(all.filter(|line| line.contains(part)))
}

fn none_with(id: u64) -> String {
    format!("there is no green thread {id}\n")
}

fn thread(id: u64) -> String {
    let threads = report().threads;
    let number = |thread: &ThreadReport| thread.id.as_u64().get();
    let Some(found) = threads.iter().find(|thread| number(thread) == id) else {
        return none_with(id);
    };
    let mut text = format!("{found}\n");
    match found.parent {
        Some(parent) => {
            let parent = parent.as_u64().get();
            let _ = match threads.iter().find(|thread| number(thread) == parent) {
                Some(parent) => writeln!(text, "started by:\n{parent}"),
                None => writeln!(text, "started by {parent}, which has ended"),
            };
        }
        None => text.push_str("started by an OS thread\n"),
    }
    let children = lines(threads.iter().filter(|t| t.parent == Some(found.id)));
    if !children.is_empty() {
        let _ = write!(text, "has started:\n{children}");
    }
    if !found.cpu.is_zero() {
        let _ = writeln!(text, "CPU time counted so far: {:.3?}", found.cpu);
    }
    text
}

fn kill(id: u64) -> String {
    match debug::kill(id) {
        Ok(true) => format!("green thread {id} ends at its wait, or its next one\n"),
        Ok(false) => none_with(id),
        Err(error) => format!("{error}\n"),
    }
}

fn stats(report: &Report) -> String {
    let hubs = &report.hubs;
    let sum = |of: fn(&greenhub::HubReport) -> u64| hubs.iter().map(of).sum::<u64>();
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<22} {value}");
    };
    line("hubs", hubs.len().to_string());
    line(
        "idle hubs",
        hubs.iter().filter(|hub| hub.idle).count().to_string(),
    );
    line("thread-locals", report.thread_locals.to_owned());
    line("green threads", report.threads.len().to_string());
    for (kind, count) in kinds(&report.threads) {
        let kind: String = kind.escape_debug().collect();
        line(&format!("  {kind}"), count.to_string());
    }
    line("begun", sum(|hub| hub.begun).to_string());
    line("ended", sum(|hub| hub.ended).to_string());
    line("in the inboxes", sum(|hub| hub.inbox as u64).to_string());
    line("descriptors", sum(|hub| hub.descriptors as u64).to_string());
    line("deadlines", sum(|hub| hub.deadlines as u64).to_string());
    line("timers", sum(|hub| hub.timers as u64).to_string());
    line("turns", sum(|hub| hub.turns).to_string());
    line("resumes", sum(|hub| hub.resumes).to_string());
    line("polls", sum(|hub| hub.polls).to_string());
    line("events", sum(|hub| hub.events).to_string());
    let longest = hubs.iter().map(|hub| hub.longest_turn).max();
    if let Some(longest) = longest.filter(|longest| !longest.is_zero()) {
        line(
            "CPU time counted",
            format!("{:.3?}", hubs.iter().map(|hub| hub.cpu).sum::<Duration>()),
        );
        line("longest turn", format!("{longest:.1?}"));
    }
    text
}
