//! What the visitor sees: on a terminal one line that is redrawn while something goes on, and
//! finished lines above it; elsewhere plain lines only.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often something that goes on is mentioned where lines cannot be redrawn.
const PLAIN_EVERY: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Screen {
    redraws: bool,
    colours: bool,
    plain_last: Instant,
}

#[derive(Clone, Copy, Debug)]
pub enum Colour {
    Green,
    Red,
    Bold,
    Dim,
}

impl Screen {
    pub fn new() -> Screen {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let redraws = io::stdout().is_terminal() && !dumb;
        // The convention of no-color.org: set and not empty.
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Screen {
            redraws,
            colours: redraws && !no_color,
            plain_last: Instant::now(),
        }
    }

    /// A line that stays.
    pub fn line(&mut self, text: &str) {
        let clear = if self.redraws { "\r\x1b[2K" } else { "" };
        // A visitor who has left (`tour | head`) is no reason to fail.
        let _ = writeln!(io::stdout(), "{clear}{text}");
        self.plain_last = Instant::now();
    }

    /// A line about what goes on, to be replaced by the next one.
    pub fn going_on(&mut self, text: &str) {
        if self.redraws {
            let mut out = io::stdout();
            let short: String = text.chars().take(78).collect();
            let _ = write!(out, "\r\x1b[2K{}", self.paint(Colour::Dim, &short));
            let _ = out.flush();
        } else if self.plain_last.elapsed() >= PLAIN_EVERY {
            self.line(text);
        }
    }

    pub fn paint(&self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Green => "32",
            Colour::Red => "31;1",
            Colour::Bold => "1",
            Colour::Dim => "2",
        };
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A number with a comma every three digits.
pub fn count(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(0).to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time with three digits that mean something.
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.001 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}

/// Bytes in the unit that fits.
pub fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        b if b >= 1e9 => format!("{:.2} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.1} kB", b / 1e3),
    }
}
