//! A web server for a directory, on `green::http`: files, ranges, conditional requests, pages for directories.
//!
//! ```sh
//! cargo run --release -p green-std --features http --example httpd -- --listen 127.0.0.1:8080 some/directory
//! ```
//!
//! It speaks HTTP/1.1 and HTTP/2; with `--tls cert.pem key.pem`, HTTPS.
//!
//! - `answer.rs`: from a request to its response; `target.rs`, `range.rs`, `preconditions.rs` judge the request, `listing.rs`
//!   makes the page of a directory;
//! - `files.rs`: the directory, from which no path leads out.
#![allow(missing_docs, reason = "a program has no users of its items")]

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

mod answer;
mod files;
mod listing;
mod preconditions;
#[path = "../program/mod.rs"]
mod program;
mod range;
#[path = "../program/serving.rs"]
mod serving;
mod target;

use green::http::{Body, Request};

use files::Site;
use program::{Error, Parser, Program, about, above_zero, counted};
use serving::{Bounds, Other, Serving, say};

const PROGRAM: Program = Program {
    name: "httpd",
    usage: "\
Usage: httpd [OPTIONS] [DIRECTORY]

Serves a directory, the current one unless named, over HTTP/1.1 and HTTP/2.

  --listen ADDRESS      where to listen      (127.0.0.1:8080)
  --tls CERT KEY        HTTPS, with this certificate and its key (PEM files)
  --connections N       most at a time       (three quarters of the descriptors)
  --limit SECONDS       for a request to come, a piece of an answer to be taken,
                        and between two requests                     (30)
  --grace SECONDS       for requests under way when asked to stop    (10)

Ctrl-C or SIGTERM stops it: no new connections, requests under way are answered.
A second one ends it at once.",
};

/// The longest body that is read, and thrown away: nothing here wants one.
const BODY_BYTES_MAX: u64 = 64 * 1024;

struct Options {
    serving: Serving,
    directory: Option<PathBuf>,
    connections: Option<usize>,
}

fn main() -> ExitCode {
    PROGRAM.run(options, |options| run(&options))
}

fn options(parser: Parser) -> Result<Option<Options>, Error> {
    let (mut directory, mut connections) = (None, None);
    let serving = Serving::read(parser, |other, parser| {
        match other {
            Other::Option(name) if name == "--connections" => {
                connections = Some(above_zero(parser.value()?)?);
            }
            Other::Word(word) if directory.is_none() => directory = Some(word.into()),
            other => return Err(other.unexpected()),
        }
        Ok(())
    })?;
    Ok(serving.map(|serving| Options {
        serving,
        directory,
        connections,
    }))
}

fn run(options: &Options) -> io::Result<()> {
    let directory = options.directory.as_deref().unwrap_or(Path::new("."));
    let site = Arc::new(Site::open(directory).map_err(about(directory.display()))?);
    let descriptors = rlimit::increase_nofile_limit(u64::MAX)?;
    let most = (descriptors * 3 / 4) as usize;
    let bounds = Bounds {
        connections: options.connections.unwrap_or(most),
        body: BODY_BYTES_MAX,
        ..Bounds::default()
    };
    let served = options.serving.run(
        &bounds,
        |url| say(format!("serving {} on {url}", directory.display())),
        move |request: Request<Body>| answer::answer(&site, request),
    )?;
    match served.cut {
        0 => say("stopped"),
        cut => say(format!(
            "stopped; {} that took too long cut off",
            counted(cut, "connection")
        )),
    }
    Ok(())
}
