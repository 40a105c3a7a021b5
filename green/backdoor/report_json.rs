//! A report as JSON, of bounded length: what the page shows.

use std::cmp::Reverse;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use greenhub::{HubReport, State, ThreadReport, report};
use percent_encoding::percent_decode_str;

use super::json::{Json, Object};
use crate::metrics::{kind, kinds};

/// Green threads shown if the query does not say, and at most.
const USUAL: usize = 200;
const MOST: usize = 2_000;

/// What the query asks for: `limit=N&sort=id|name|hub|state|since|cpu&match=TEXT`. What makes no
/// sense is ignored.
#[derive(Debug)]
struct Query {
    limit: usize,
    sort: String,
    part: String,
}

impl Query {
    fn parse(query: &str) -> Query {
        let value = |name: &str| {
            let mut fields = query.split('&').filter_map(|field| field.split_once('='));
            let found = fields.find(|(field, _)| *field == name);
            let value = found.map_or("", |(_, value)| value);
            percent_decode_str(value).decode_utf8_lossy().into_owned()
        };
        Query {
            limit: value("limit").parse().unwrap_or(USUAL).min(MOST),
            sort: value("sort"),
            part: value("match").to_lowercase(),
        }
    }

    fn order(&self, threads: &mut [&ThreadReport]) {
        match self.sort.as_str() {
            "name" => threads.sort_by_key(|t| (t.name.is_none(), t.name.clone(), t.id.as_u64())),
            "hub" => threads.sort_by_key(|t| (t.hub, t.id.as_u64())),
            "state" => threads.sort_by_key(|t| (kind(t.state), t.id.as_u64())),
            "since" => threads.sort_by_key(|t| (Reverse(t.waiting_for), t.id.as_u64())),
            "cpu" => threads.sort_by_key(|t| (Reverse(t.cpu), t.id.as_u64())),
            _ => threads.sort_by_key(|t| t.id.as_u64()),
        }
    }
}

pub(super) fn render(query: &str) -> String {
    let query = Query::parse(query);
    let report = report();
    let mut threads: Vec<&ThreadReport> = report.threads.iter().collect();
    if !query.part.is_empty() {
        threads.retain(|thread| thread.to_string().to_lowercase().contains(&query.part));
    }
    query.order(&mut threads);
    let shown: Vec<Object> = threads
        .iter()
        .take(query.limit)
        .map(|t| thread(t))
        .collect();
    let mut text = String::new();
    Object::new()
        .with("program", program())
        .with("process", std::process::id())
        .with("seconds", since_the_first().as_secs_f64())
        .with("counts_cpu", crate::debug::CpuAccounting::is_on())
        .with("hubs", report.hubs.iter().map(hub).collect::<Vec<_>>())
        .with("states", kinds(&report.threads))
        .with("total", report.threads.len())
        .with("matching", threads.len())
        .with("threads", shown)
        .write(&mut text);
    text
}

/// A clock for rates.
fn since_the_first() -> Duration {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

/// The file that the process runs.
pub(super) fn program() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn hub(hub: &HubReport) -> Object {
    Object::new()
        .with("hub", hub.hub)
        .with("threads", hub.threads)
        .with("ready", hub.ready)
        .with("inbox", hub.inbox)
        .with("idle", hub.idle)
        .with("descriptors", hub.descriptors)
        .with("deadlines", hub.deadlines)
        .with("timers", hub.timers)
        .with("turns", hub.turns)
        .with("resumes", hub.resumes)
        .with("polls", hub.polls)
        .with("events", hub.events)
        .with("begun", hub.begun)
        .with("ended", hub.ended)
        .with("cpu", hub.cpu.as_secs_f64())
        .with("longest_turn", hub.longest_turn.as_secs_f64())
}

fn thread(thread: &ThreadReport) -> Object {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    Object::new()
        .with("id", thread.id.as_u64().get())
        .with("name", thread.name.as_deref())
        .with("parent", thread.parent.map(|parent| parent.as_u64().get()))
        .with("hub", thread.hub)
        .with("state", kind(thread.state))
        .with(
            "waits_for",
            match thread.state {
                State::Waiting(site) => Some(match thread.socket() {
                    Some(ends) => format!("{site} [{ends}]"),
                    None => site.to_string(),
                }),
                _ => None,
            },
        )
        .with("since", seconds(thread.waiting_for))
        .with("left", seconds(thread.time_left))
        .with("cpu", thread.cpu.as_secs_f64())
}
