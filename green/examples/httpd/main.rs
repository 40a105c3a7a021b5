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

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::time::Duration;

mod answer;
mod files;
mod listing;
mod preconditions;
#[path = "../program/mod.rs"]
mod program;
mod range;
mod target;

use green::convenience::Accept;
use green::http::{self, Body, Request, Server, StopHandle, Transport};
use green::signal::Signals;
use green::signal::consts::{SIGINT, SIGTERM};
use green::ssl::{Purpose, SslContext};
use green::thread;

use files::Site;
use program::{
    Error, Long, Parser, Program, Short, Value, ValueExt, about, above_zero, counted, seconds,
};

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
    directory: Option<PathBuf>,
    listen: String,
    tls: Option<(PathBuf, PathBuf)>,
    connections: Option<usize>,
    limit: Duration,
    grace: Duration,
}

fn main() -> ExitCode {
    PROGRAM.run(options, |options| run(&options))
}

fn options(mut parser: Parser) -> Result<Option<Options>, Error> {
    let mut options = Options {
        directory: None,
        listen: "127.0.0.1:8080".to_owned(),
        tls: None,
        connections: None,
        limit: Duration::from_secs(30),
        grace: Duration::from_secs(10),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => options.listen = parser.value()?.string()?,
            Long("tls") => options.tls = Some((parser.value()?.into(), parser.value()?.into())),
            Long("connections") => options.connections = Some(above_zero(parser.value()?)?),
            Long("limit") => options.limit = seconds(parser.value()?)?,
            Long("grace") => options.grace = seconds(parser.value()?)?,
            Long("help") | Short('h') => return Ok(None),
            Value(word) if options.directory.is_none() => options.directory = Some(word.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> io::Result<()> {
    // From here on the two signals no longer end the process.
    let signals = Signals::new([SIGTERM, SIGINT])?;
    let directory = options.directory.as_deref().unwrap_or(Path::new("."));
    let site = Site::open(directory).map_err(about(directory.display()))?;
    let listener = green::listen(&options.listen).map_err(about(&options.listen))?;
    let address = listener.local_addr()?;
    let (site, directory) = (Arc::new(site), directory.display());
    match &options.tls {
        None => {
            say(format!("serving {directory} on http://{address}/"));
            serve(listener, site, signals, options)
        }
        Some((cert, key)) => {
            let context = SslContext::create_default_context(Purpose::ClientAuth)?;
            context
                .load_cert_chain(cert, Some(key), None)
                .map_err(about(format!("{}, {}", cert.display(), key.display())))?;
            context.set_alpn_protocols(&http::ALPN)?;
            say(format!("serving {directory} on https://{address}/"));
            serve(green::wrap_ssl(listener, &context), site, signals, options)
        }
    }
}

fn serve<L>(listener: L, site: Arc<Site>, signals: Signals, options: &Options) -> io::Result<()>
where
    L: Accept,
    L::Stream: Transport,
{
    let descriptors = rlimit::increase_nofile_limit(u64::MAX)?;
    let most = options
        .connections
        .unwrap_or((descriptors * 3 / 4) as usize);
    let server = Server::new(listener)
        .concurrency(most)
        .head_timeout(Some(options.limit))
        .read_timeout(Some(options.limit))
        .write_timeout(Some(options.limit))
        .max_body(BODY_BYTES_MAX)
        .grace(options.grace);
    stop_on_signals(signals, server.stop_handle());
    let served = server.run(move |request: Request<Body>| answer::answer(&site, request))?;
    match served.cut {
        0 => say("stopped"),
        cut => say(format!(
            "stopped; {} that took too long cut off",
            counted(cut, "connection")
        )),
    }
    Ok(())
}

fn stop_on_signals(signals: Signals, stop: StopHandle) {
    thread::spawn(move || {
        if signals.wait().is_ok() {
            say("stopping; a second signal ends it at once");
            stop.stop();
        }
        if signals.wait().is_ok() {
            process::exit(130);
        }
    });
}

/// Tells whoever runs the program; that nobody may be listening is no reason to end.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
