//! A crowd: threads of some kind that are all started, all wait, are all woken
//! and joined. What is measured is the same for every kind; how it is started,
//! woken and joined is each program's own.

use std::io;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// The measurements, one after another; each says its figures.
#[derive(Debug)]
pub struct Crowd {
    count: usize,
    /// Bytes that were resident before the crowd.
    empty: f64,
    since: Instant,
}

impl Crowd {
    /// Begins with nobody there, and best with no runtime either: what that
    /// sets aside for its threads is theirs.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a crowd of nobody; whatever reading `/proc` fails with.
    pub fn begin(count: usize) -> io::Result<Crowd> {
        if count == 0 {
            let message = "a crowd needs --count";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let empty = crate::resident_bytes(process::id())?;
        Ok(Crowd {
            count,
            empty,
            since: Instant::now(),
        })
    }

    /// The first is about to be started.
    pub fn comes(&mut self) {
        self.since = Instant::now();
    }

    /// All have run and wait.
    ///
    /// # Errors
    ///
    /// Whatever reading `/proc` or writing to standard output fails with.
    pub fn waits(&mut self) -> io::Result<()> {
        self.lap("start")?;
        let full = crate::resident_bytes(process::id())?;
        let kib = (full - self.empty) / 1024.0;
        crate::result("resident", kib / self.count as f64)?;
        // Reading that takes a while.
        self.since = Instant::now();
        Ok(())
    }

    /// All have been woken and joined.
    ///
    /// # Errors
    ///
    /// Whatever writing to standard output fails with.
    pub fn left(&mut self) -> io::Result<()> {
        self.lap("wake")
    }

    /// As many have been started and joined one by one.
    ///
    /// # Errors
    ///
    /// Whatever writing to standard output fails with.
    pub fn came_one_by_one(&mut self) -> io::Result<()> {
        self.lap("again")
    }

    /// Says the microseconds for each since the last lap.
    fn lap(&mut self, name: &str) -> io::Result<()> {
        let microseconds = self.since.elapsed().as_secs_f64() * 1e6;
        crate::result(name, microseconds / self.count as f64)?;
        self.since = Instant::now();
        Ok(())
    }
}

/// Where a crowd waits whose threads park: it counts who has come, and opens
/// once. Waking is left to whoever opens it.
#[derive(Debug)]
pub struct Gate {
    missing: AtomicUsize,
    open: AtomicBool,
}

impl Gate {
    /// A closed one, for so many.
    pub fn new(count: usize) -> Gate {
        Gate {
            missing: AtomicUsize::new(count),
            open: AtomicBool::new(false),
        }
    }

    /// One more has come; whether it is the last.
    pub fn come(&self) -> bool {
        self.missing.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Whether all have come.
    pub fn is_full(&self) -> bool {
        self.missing.load(Ordering::Acquire) == 0
    }

    /// Lets all through that look again.
    pub fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// Whether one may pass.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }
}
