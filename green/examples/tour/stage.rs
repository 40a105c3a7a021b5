//! Runs checks one after the other, shows how they go, and keeps what came out.
//!
//! A check runs on a green thread while the main thread watches: so a check that hangs, panics or
//! fails ends as a line, not as the end of the tour.

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

/// Columns of the screen, and of what a check is called.
const WIDTH: usize = 100;
const WHAT_WIDTH: usize = 49;

const WHAT_IT_TAKES: &str = "\
It takes about half a minute, both ends of up to 10,000 connections, 100,000 green threads and
1.4 GB of memory; fewer where memory or the limit of open files is short. All of it is within this
process, a few children, 127.0.0.1 and the directory for temporary files.";

const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// A check that takes longer has hung.
pub const CHECK_LIMIT: Duration = Duration::from_secs(60);
/// The tour that takes longer has hung in a way the checks' own limit did not catch.
const TOUR_LIMIT: Duration = Duration::from_secs(300);

pub struct Stage {
    screen: Screen,
    opened: Instant,
    rows: Vec<Row>,
    /// For the watchdog: whether it may go home, and what it should name otherwise.
    over: Arc<AtomicBool>,
    current: Arc<Mutex<String>>,
}

/// An act as the table at the end has it.
struct Row {
    act: &'static str,
    checks: usize,
    took: Duration,
    /// What went wrong.
    lost: Vec<String>,
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
        screen.line(&title);
        screen.line("");
        for line in WHAT_IT_TAKES.lines() {
            screen.line(&screen.paint(Colour::Dim, line));
        }
        let over = Arc::new(AtomicBool::new(false));
        let current = Arc::new(Mutex::new(String::new()));
        watch_over(over.clone(), current.clone());
        Stage {
            screen,
            opened: Instant::now(),
            rows: Vec::new(),
            over,
            current,
        }
    }

    /// Begins an act and says what it is about.
    pub fn act(&mut self, name: &'static str, about: &str) {
        self.rows.push(Row {
            act: name,
            checks: 0,
            took: Duration::ZERO,
            lost: Vec::new(),
        });
        let title = self
            .screen
            .paint(Colour::Bold, &format!("{}. {name}", self.rows.len()));
        self.screen.line("");
        self.screen.line(&title);
        self.note(about);
    }

    /// Says something in passing.
    pub fn note(&mut self, text: &str) {
        for line in text.lines().flat_map(|line| wrapped(line, WIDTH - 3)) {
            let line = self.screen.paint(Colour::Dim, &line);
            self.screen.line(&format!("   {line}"));
        }
    }

    /// Runs `check` on a green thread and records how it ended. True: it ended well.
    pub fn check(
        &mut self,
        what: &str,
        check: impl FnOnce(&Arc<Progress>) -> Outcome + Send + 'static,
    ) -> bool {
        let act = self.rows.last().map_or("", |row| row.act);
        *self.current.lock().unwrap() = format!("{act}: {what}");
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

    fn record(&mut self, what: &str, outcome: Result<String, String>, took: Duration) -> bool {
        let (mark, words) = match &outcome {
            Ok(words) => (self.screen.paint(Colour::Green, "ok  "), words),
            Err(words) => (self.screen.paint(Colour::Red, "LOST"), words),
        };
        let mut left = format!("   {mark} {what:<WHAT_WIDTH$}");
        for line in wrapped(words, WIDTH - 9 - WHAT_WIDTH) {
            self.screen.line(&format!("{left} {line}"));
            left = " ".repeat(8 + WHAT_WIDTH);
        }
        let row = self.rows.last_mut().expect("an act has begun");
        row.checks += 1;
        row.took += took;
        row.lost.extend(
            outcome
                .as_ref()
                .err()
                .map(|words| format!("{what}: {words}")),
        );
        outcome.is_ok()
    }

    /// Prints a line an act. Success only if every check ended well.
    pub fn close(mut self) -> ExitCode {
        self.over.store(true, Relaxed);
        let screen = &mut self.screen;
        screen.line("");
        let title = format!("{:<13} {:>6} {:>8}", "act", "checks", "took");
        screen.line(&screen.paint(Colour::Bold, &title));
        let (mut all, mut lost) = (0, Vec::new());
        for row in self.rows {
            let (act, checks, took) = (row.act, row.checks, time(row.took));
            let verdict = match row.lost.len() {
                0 => String::new(),
                lost => screen.paint(Colour::Red, &format!("  {lost} LOST")),
            };
            screen.line(&format!("{act:<13} {checks:>6} {took:>8}{verdict}"));
            all += checks;
            lost.extend(row.lost.into_iter().map(|words| format!("{act}: {words}")));
        }
        screen.line("");
        let took = time(self.opened.elapsed());
        if lost.is_empty() {
            let verdict = format!("All {all} checks passed in {took}; nothing was lost.");
            screen.line(&screen.paint(Colour::Green, &verdict));
            return ExitCode::SUCCESS;
        }
        let verdict = format!("{} of {all} checks failed ({took}):", lost.len());
        screen.line(&screen.paint(Colour::Red, &verdict));
        for words in lost {
            screen.line(&format!("  {words}"));
        }
        ExitCode::FAILURE
    }
}

/// The text in lines of at most so many characters, if its words are not longer.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
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
