//! How far it has come: on a terminal a bar that is redrawn, elsewhere a line now and then.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const WIDTH: usize = 40;
const PLAIN_EVERY: Duration = Duration::from_secs(2);

pub struct Bar {
    of: usize,
    redraws: bool,
    begun: Instant,
    last: Instant,
}

impl Bar {
    pub fn new(of: usize) -> Bar {
        let now = Instant::now();
        Bar {
            of,
            redraws: io::stdout().is_terminal(),
            begun: now,
            last: now,
        }
    }

    pub fn show(&mut self, done: usize) {
        let speed = done as f64 / self.begun.elapsed().as_secs_f64();
        let text = format!("{done} of {} pages, {speed:.0} a second", self.of);
        // Whoever has left (`crawler | head`) is no reason to fail.
        if self.redraws {
            let filled = "#".repeat(WIDTH * done.min(self.of) / self.of);
            let _ = write!(io::stdout(), "\r[{filled:.<WIDTH$}] {text}\x1b[K");
            let _ = io::stdout().flush();
        } else if self.last.elapsed() >= PLAIN_EVERY {
            self.last = Instant::now();
            let _ = writeln!(io::stdout(), "{text}");
        }
    }

    pub fn clear(&self) {
        if self.redraws {
            let _ = write!(io::stdout(), "\r\x1b[K");
        }
    }
}
