//! Runs checks one after the other, shows how they go, and keeps what came out.
//!
//! A check runs on a green thread while the main thread watches: so a check that hangs, panics or
//! fails ends as a line in the table, not as the end of the tour.

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use green::thread;

use crate::screen::{Colour, Screen, count, time};

/// What a check gives: a few words on what was measured, or what went wrong.
pub type Outcome = Result<String, Failure>;
pub type Failure = Box<dyn Error + Send + Sync>;

const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// A check that takes longer has hung.
const CHECK_LIMIT: Duration = Duration::from_secs(60);
/// The tour that takes longer has hung in a way the checks' own limit did not catch.
const TOUR_LIMIT: Duration = Duration::from_secs(300);

pub struct Stage {
    screen: Screen,
    opened: Instant,
    act: &'static str,
    acts: usize,
    checks: usize,
    rows: Vec<Row>,
    /// For the watchdog: whether it may go home, and what it should name otherwise.
    over: Arc<AtomicBool>,
    current: Arc<Mutex<String>>,
}

/// One line of the table at the end.
struct Row {
    act: &'static str,
    what: String,
    outcome: Result<String, String>,
    took: Duration,
    /// Summed up by a later row, so that the table need not show it unless it failed.
    summed_up: bool,
}

/// How far a check has come; told by the check, shown by the stage.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
}

impl Progress {
    pub fn add(&self, more: u64) {
        self.done.fetch_add(more, Relaxed);
    }

    pub fn done(&self) -> u64 {
        self.done.load(Relaxed)
    }
}

impl Stage {
    pub fn open() -> Stage {
        let mut screen = Screen::new();
        let title = screen.paint(Colour::Bold, "green: a tour");
        screen.line(&format!("{title}   (about 20 s, all of it on 127.0.0.1)"));
        let over = Arc::new(AtomicBool::new(false));
        let current = Arc::new(Mutex::new(String::new()));
        watch_over(over.clone(), current.clone());
        Stage {
            screen,
            opened: Instant::now(),
            act: "",
            acts: 0,
            checks: 0,
            rows: Vec::new(),
            over,
            current,
        }
    }

    /// Begins an act and says what it is about.
    pub fn act(&mut self, name: &'static str, about: &str) {
        self.act = name;
        self.acts += 1;
        let title = self
            .screen
            .paint(Colour::Bold, &format!("{}. {name}", self.acts));
        self.screen.line("");
        self.screen.line(&title);
        self.note(about);
    }

    /// Says something in passing.
    pub fn note(&mut self, text: &str) {
        for line in text.lines() {
            let line = self.screen.paint(Colour::Dim, line);
            self.screen.line(&format!("   {line}"));
        }
    }

    /// Runs `check` on a green thread and records how it ended. True: it ended well.
    pub fn check(
        &mut self,
        what: &str,
        check: impl FnOnce(&Arc<Progress>) -> Outcome + Send + 'static,
    ) -> bool {
        *self.current.lock().unwrap() = format!("{}: {what}", self.act);
        self.checks += 1;
        let begun = Instant::now();
        let progress = Arc::new(Progress::default());
        let (sender, receiver) = mpsc::channel();
        thread::spawn({
            let progress = progress.clone();
            move || sender.send(check(&progress))
        });
        let outcome = loop {
            match receiver.recv_timeout(REDRAW_EVERY) {
                Ok(outcome) => break outcome.map_err(|failure| failure.to_string()),
                Err(RecvTimeoutError::Disconnected) => break Err("it panicked".to_owned()),
                Err(RecvTimeoutError::Timeout) if begun.elapsed() > CHECK_LIMIT => {
                    self.screen.line(&green::report().to_string());
                    break Err(format!("it hangs: no end after {}", time(CHECK_LIMIT)));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let done = match progress.done() {
                        0 => String::new(),
                        done => format!(": {}", count(done)),
                    };
                    self.screen.going_on(&format!("   …  {what}{done}"));
                }
            }
        };
        self.record(what, outcome, begun.elapsed())
    }

    /// Puts one row into the table for all the checks of this act so far that ended well.
    /// `words` gets the number of those and the longest time that one took.
    pub fn sum_up(&mut self, what: &str, words: impl FnOnce(usize, Duration) -> String) {
        let act = self.act;
        let well = |row: &&mut Row| row.act == act && row.outcome.is_ok();
        let (mut checks, mut took, mut longest) = (0, Duration::ZERO, Duration::ZERO);
        for row in self.rows.iter_mut().filter(well) {
            row.summed_up = true;
            checks += 1;
            took += row.took;
            longest = longest.max(row.took);
        }
        let (what, outcome) = (what.to_owned(), Ok(words(checks, longest)));
        self.rows.push(Row {
            act,
            what,
            outcome,
            took,
            summed_up: false,
        });
    }

    fn record(&mut self, what: &str, outcome: Result<String, String>, took: Duration) -> bool {
        let (mark, words) = match &outcome {
            Ok(words) => (self.screen.paint(Colour::Green, "ok  "), words.clone()),
            Err(words) => (self.screen.paint(Colour::Red, "LOST"), words.clone()),
        };
        self.screen.line(&format!("   {mark} {what:<46} {words}"));
        let well = outcome.is_ok();
        let (act, what) = (self.act, what.to_owned());
        self.rows.push(Row {
            act,
            what,
            outcome,
            took,
            summed_up: false,
        });
        well
    }

    /// Prints the table. Success only if every check ended well.
    pub fn close(mut self) -> ExitCode {
        self.over.store(true, Relaxed);
        let screen = &mut self.screen;
        screen.line("");
        let title = format!(
            "{:<13} {:<46} {:>8}  measured",
            "act", "what was done", "took"
        );
        screen.line(&screen.paint(Colour::Bold, &title));
        let mut act_before = "";
        for row in self.rows.iter().filter(|row| !row.summed_up) {
            let act = if row.act == act_before { "" } else { row.act };
            act_before = row.act;
            let words = match &row.outcome {
                Ok(words) => words.clone(),
                Err(words) => screen.paint(Colour::Red, &format!("LOST: {words}")),
            };
            screen.line(&format!(
                "{act:<13} {:<46} {:>8}  {words}",
                row.what,
                time(row.took)
            ));
        }
        screen.line("");
        let lost: Vec<&Row> = self
            .rows
            .iter()
            .filter(|row| row.outcome.is_err())
            .collect();
        let (all, took) = (self.checks, time(self.opened.elapsed()));
        if lost.is_empty() {
            let verdict = format!("All {all} checks passed in {took}; nothing was lost.");
            screen.line(&screen.paint(Colour::Green, &verdict));
            return ExitCode::SUCCESS;
        }
        let verdict = format!("{} of {all} checks failed ({took}):", lost.len());
        screen.line(&screen.paint(Colour::Red, &verdict));
        for row in lost {
            let words = row.outcome.as_ref().unwrap_err();
            screen.line(&format!("  {}: {}: {words}", row.act, row.what));
        }
        ExitCode::FAILURE
    }
}

/// Ends the process should the tour itself be stuck. On an OS thread of its own, so that nothing
/// that is shown here can hold it up.
fn watch_over(over: Arc<AtomicBool>, current: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        std::thread::sleep(TOUR_LIMIT);
        if !over.load(Relaxed) {
            let current = current.lock().unwrap();
            eprintln!(
                "\ntour: not over after {}, stuck in: {current}",
                time(TOUR_LIMIT)
            );
            std::process::exit(3);
        }
    });
}
