//! `cargo green`: crates that were never written for green threads, made green by their source.
//!
//! `patch` gives a program copies of chosen dependencies whose std imports are green's; `check` lists what still holds a hub.
//! The guide's page *Unmodified crates* (`green::guide`) says when to use it.

// In the order in which they stand on each other; tests/tidy holds them to it.
mod counted;
mod edits;
mod names;

mod allowed;
mod asking;
mod rewrite;

mod place;
mod program;

mod survey;
mod unpatchable;

mod lockfile;
mod manifest;
mod ties;

mod choice;
mod closure;
mod copy;
mod record;

mod drift;
mod options;
mod root_manifest;
mod stage;

mod change;

mod lost;

mod check;
mod patch;
mod undo;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use asking::Asking;
use clap::{Args, Parser, Subcommand};
use options::Options;
use place::Place;

#[derive(Debug, Parser)]
#[command(
    name = "cargo green",
    bin_name = "cargo green",
    version,
    about = "Runs crates that were never written for green threads on them"
)]
struct Cli {
    #[command(subcommand)]
    command: Sub,
    #[command(flatten)]
    asking: Asking,
    /// The folder of the copies, below that of the workspace
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "green-patched"
    )]
    into: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Copies dependencies, and what has to go with them, with green's names for std's; `patch --undo` takes them back
    Patch(Patch),
    /// Lists what still holds a hub, with file and line; exits with 1 if there is any
    Check,
    /// What one may look for
    #[command(hide = true)]
    Undo { crates: Vec<String> },
}

#[derive(Debug, Args)]
struct Patch {
    /// Crates of the lock file, as `name` or `name@version`
    #[arg(required_unless_present = "undo", value_name = "CRATE")]
    crates: Vec<String>,
    /// Take copies back: those of the crates that are named, and of what only they needed; all, if none is named
    #[arg(long, conflicts_with = "except")]
    undo: bool,
    /// Show what would change, change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask whether other crates may go along
    #[arg(long, short)]
    yes: bool,
    /// Leave a crate as it is that would go along
    #[arg(long, value_name = "CRATE")]
    except: Vec<String>,
}

fn main() -> ExitCode {
    // Cargo calls us as `cargo-green green …`.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "green") {
        arguments.remove(1);
    }
    let cli = Cli::parse_from(arguments);
    run(cli).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(cli: Cli) -> Result<ExitCode> {
    let place = Place::of(&cli.asking, &cli.into)?;
    stage::clear(&place.at)?;
    match cli.command {
        Sub::Undo { crates } => {
            let command = ["cargo green patch --undo".to_owned()];
            let command: Vec<String> = command.into_iter().chain(crates).collect();
            bail!("copies are taken back by `{}`", command.join(" "));
        }
        Sub::Check => {
            if !check::check(&cli.asking, &place)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Sub::Patch(patch) => {
            let options = Options {
                asking: cli.asking,
                crates: patch.crates,
                except: patch.except,
                place,
                dry_run: patch.dry_run,
                yes: patch.yes,
            };
            match patch.undo {
                true => undo::undo(&options)?,
                false => patch::patch(&options)?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
