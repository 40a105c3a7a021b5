//! What each of these programs does with its command line and its errors.
#![allow(dead_code, reason = "each program needs some of it")]

use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::process::{ExitCode, Termination};
use std::str::FromStr;
use std::time::Duration;

pub use lexopt::Arg::{Long, Short, Value};
pub use lexopt::{Error, Parser, ValueExt};

/// A program: its name, and the page that `--help` shows.
#[derive(Clone, Copy)]
pub struct Program {
    pub name: &'static str,
    pub usage: &'static str,
}

impl Program {
    /// Reads the command line by `options`, which gives `None` for `--help`, and runs. A wrong argument is named, with the
    /// usage, and is exit code 2; an error is named too, and is 1.
    pub fn run<O, T: Termination, E: Display>(
        self,
        options: impl FnOnce(Parser) -> Result<Option<O>, Error>,
        run: impl FnOnce(O) -> Result<T, E>,
    ) -> ExitCode {
        match options(Parser::from_env()) {
            Ok(Some(options)) => self.end(run(options)),
            Ok(None) => self.help(),
            Err(error) => self.misuse(&error),
        }
    }

    /// For a program that takes words alone; `run` gives `None` for those that fit no line of the usage.
    pub fn run_words<T: Termination, E: Display>(
        self,
        run: impl FnOnce(&[&str]) -> Option<Result<T, E>>,
    ) -> ExitCode {
        let words = match words(Parser::from_env()) {
            Ok(Some(words)) => words,
            Ok(None) => return self.help(),
            Err(error) => return self.misuse(&error),
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match run(&words) {
            Some(outcome) => self.end(outcome),
            None if words.is_empty() => self.misuse(&"an argument is missing"),
            None => self.misuse(&format_args!("'{}' fits none of these", words.join(" "))),
        }
    }

    fn end<T: Termination, E: Display>(self, outcome: Result<T, E>) -> ExitCode {
        match outcome {
            Ok(done) => done.report(),
            Err(error) => {
                eprintln!("{}: {error}", self.name);
                ExitCode::FAILURE
            }
        }
    }

    fn help(self) -> ExitCode {
        println!("{}", self.usage);
        ExitCode::SUCCESS
    }

    fn misuse(self, error: &dyn Display) -> ExitCode {
        eprintln!("{}: {error}\n\n{}", self.name, self.usage);
        ExitCode::from(2)
    }
}

fn words(mut parser: Parser) -> Result<Option<Vec<String>>, Error> {
    let mut words = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(None),
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(words))
}

/// Puts the file or the address before the reason.
pub fn about(what: impl Display) -> impl FnOnce(io::Error) -> io::Error {
    move |error| {
        let reason = match error.to_string() {
            // std's words for what has no port.
            vague if vague == "invalid socket address" => {
                "not HOST:PORT, such as 127.0.0.1:7007".to_owned()
            }
            reason => reason,
        };
        io::Error::new(error.kind(), format!("{what}: {reason}"))
    }
}

/// `1 connection`, `2 connections`.
pub fn counted<N: Display + PartialEq + From<u8>>(number: N, thing: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// The value of an option, as a number above 0.
pub fn above_zero<N: FromStr + PartialOrd + Default>(value: OsString) -> Result<N, Error>
where
    N::Err: Display,
{
    let text = value.string()?;
    match text.parse() {
        Ok(number) if number > N::default() => Ok(number),
        Ok(_) => Err(format!("'{text}' is not above 0").into()),
        Err(error) => Err(format!("'{text}': {error}").into()),
    }
}

/// The value of an option, as seconds.
pub fn seconds(value: OsString) -> Result<Duration, Error> {
    let text = value.string()?;
    let seconds = text
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| format!("'{text}' is not a number of seconds").into())
}
