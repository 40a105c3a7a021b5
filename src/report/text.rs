//! A report as text, a line for each item.

use std::fmt::{self, Write};
use std::time::Duration;

use super::{HubReport, Report, SiteWithEnds, State, ThreadReport};

impl fmt::Display for Report {
    /// A line on thread-locals, one for each remark on a setting, a line a hub and a line a green thread.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.thread_locals.is_empty() {
            writeln!(f, "thread-locals are {}", self.thread_locals)?;
        }
        self.remarks
            .iter()
            .try_for_each(|remark| writeln!(f, "{remark}"))?;
        self.hubs.iter().try_for_each(|hub| writeln!(f, "{hub}"))?;
        self.threads
            .iter()
            .try_for_each(|thread| writeln!(f, "{thread}"))
    }
}

impl fmt::Display for HubReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "hub {}: {} green threads, {} of them ready, {} in the inbox, {} descriptors, {} deadlines, {} timers, {}; \
             {} turns, {} resumes, {} polls, {} events, {} begun, {} ended",
            self.hub,
            self.threads,
            self.ready,
            self.inbox,
            self.descriptors,
            self.deadlines,
            self.timers,
            if self.idle { "idle" } else { "awake" },
            self.turns,
            self.resumes,
            self.polls,
            self.events,
            self.begun,
            self.ended,
        )?;
        if !self.longest_turn.is_zero() {
            write!(
                f,
                ", CPU {:.3?}, longest turn {:.1?}",
                self.cpu, self.longest_turn
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for ThreadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>6} {} on hub {}: ",
            self.id.as_u64(),
            Called(self),
            self.hub
        )?;
        match self.state {
            State::New => f.write_str("new"),
            State::Running => f.write_str("runs"),
            State::Ready => f.write_str("ready"),
            State::Waiting(site) => {
                let since = self.waiting_for.unwrap_or_default();
                write!(f, "waits for {} since {since:.1?}", SiteWithEnds(site))?;
                match self.time_left {
                    Some(Duration::ZERO) => f.write_str(", due now"),
                    Some(left) => write!(f, ", at most {left:.1?} more"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A green thread's name, on one line whatever is in it: it may be a peer's
/// words, and the text may go to a terminal.
pub(crate) struct Called<'a>(pub(crate) &'a ThreadReport);

impl fmt::Display for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = self.0.name.as_deref() else {
            return f.write_str("<unnamed>");
        };
        name.chars().try_for_each(|c| match c {
            '\'' | '"' | '\\' => f.write_char(c),
            _ => write!(f, "{}", c.escape_debug()),
        })
    }
}
