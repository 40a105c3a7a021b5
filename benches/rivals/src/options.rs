//! The orchestrator's command line.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

const USAGE: &str = "\
usage: rivals SCENARIO... [options]

SCENARIO is one of those below, the first part of several (`echo`), or `all`.

  --rounds K            how often every variant runs (15)
  --seconds S           length of one measurement (0.3)
  --connections A,B,C   instead of the scenario's own numbers (of threads, for crowd)
  --variants A,B,C      only these (the baseline always runs)
  --server-cpu N        core of the measured program when pinned (0)
  --load-cpu N          core of the load generator when pinned (1)
  --nice N              priority of the measured programs, e.g. -10 on a shared machine
  --results DIRECTORY   where tables and charts go (benches/results)
  --redraw              measures nothing, and draws the charts from the samples that are there
  --help                this text

scenarios:";

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct Options {
    pub scenarios: Vec<String>,
    pub rounds: usize,
    pub time: Duration,
    pub connections: Option<Vec<usize>>,
    pub variants: Option<Vec<String>>,
    pub server_cpu: usize,
    pub load_cpu: usize,
    pub nice: Option<i32>,
    pub results: PathBuf,
    pub redraw: bool,
}

impl Options {
    /// `None`: asked for [`usage`].
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> io::Result<Option<Options>> {
        Options::try_parse(arguments).map_err(|error| {
            let message = format!("{error}\n\n{}", usage());
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
    }

    fn try_parse(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Option<Options>, lexopt::Error> {
        use lexopt::{Arg::Long, Arg::Short, Arg::Value, ValueExt};
        let mut options = Options {
            scenarios: Vec::new(),
            rounds: 15,
            time: Duration::from_millis(300),
            connections: None,
            variants: None,
            server_cpu: 0,
            load_cpu: 1,
            nice: None,
            results: Path::new(env!("CARGO_MANIFEST_DIR")).join("../results"),
            redraw: false,
        };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Value(name) if !name.is_empty() => options.scenarios.push(name.string()?),
                Long("rounds") => options.rounds = parser.value()?.parse()?,
                Long("seconds") => {
                    let seconds = parser.value()?.parse()?;
                    options.time = Duration::try_from_secs_f64(seconds)
                        .map_err(|error| lexopt::Error::Custom(error.into()))?;
                }
                Long("connections") => options.connections = Some(list(parser.value()?)?),
                Long("variants") => options.variants = Some(list(parser.value()?)?),
                Long("server-cpu") => options.server_cpu = parser.value()?.parse()?,
                Long("load-cpu") => options.load_cpu = parser.value()?.parse()?,
                Long("nice") => options.nice = Some(parser.value()?.parse()?),
                Long("results") => options.results = parser.value()?.into(),
                Long("redraw") => options.redraw = true,
                Long("help") | Short('h') => return Ok(None),
                Value(_) => return Err("which scenario?".into()),
                other => return Err(other.unexpected()),
            }
        }
        if options.scenarios.is_empty() || options.rounds == 0 {
            return Err("at least one scenario and one round".into());
        }
        Ok(Some(options))
    }
}

/// What the command line may say.
pub fn usage() -> String {
    let mut text = USAGE.to_owned();
    for scenario in crate::scenarios::ALL {
        text += &format!("\n  {:<18}{}", scenario.name, scenario.about);
    }
    text
}

fn list<T: FromStr>(value: OsString) -> Result<Vec<T>, lexopt::Error>
where
    T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    use lexopt::ValueExt;
    value.parse_with(|text| text.split(',').map(|part| part.trim().parse()).collect())
}
