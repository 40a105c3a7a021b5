//! A reverse proxy: HTTP/1.1 and HTTP/2 in front, with TLS if it is given a certificate, and a server of HTTP/1.1 behind.
//!
//! ```sh
//! cargo run --release -p green-std --features http-client --example reverse_proxy -- \
//!     --listen 127.0.0.1:8080 http://127.0.0.1:8000
//! ```
//!
//! `green::http::ReverseProxy` passes requests on, and websockets through. A client that goes takes its request along.

use std::io;
use std::process::ExitCode;

mod program;
#[path = "program/serving.rs"]
mod serving;

use green::http::{Body, Request, ReverseProxy};
use log::{LevelFilter, Log, Metadata, Record};

use program::{Error, Parser, Program, ValueExt, counted};
use serving::{Bounds, Other, Serving, say};

const PROGRAM: Program = Program {
    name: "reverse_proxy",
    usage: "\
Usage: reverse_proxy [OPTIONS] UPSTREAM

Passes requests on to UPSTREAM, such as http://127.0.0.1:8000, and answers back.

  --listen ADDRESS   where to listen                           (127.0.0.1:8080)
  --tls CERT KEY     HTTPS, with this certificate and its key  (PEM files)
  --limit SECONDS    for UPSTREAM to let us in, to begin its answer, and for
                     each piece of a body, of either side      (30)
  --grace SECONDS    for requests under way when it stops      (10)

Who is not reached is 502, who is late 504. Ctrl-C or SIGTERM stops it: no new
connections, requests under way are answered. A second one ends it at once.",
};

struct Options {
    serving: Serving,
    upstream: String,
    proxy: ReverseProxy,
}

fn main() -> ExitCode {
    PROGRAM.run(options, run)
}

fn options(parser: Parser) -> Result<Option<Options>, Error> {
    let mut upstream = None;
    let serving = Serving::read(parser, |other, _| match other {
        Other::Word(word) if upstream.is_none() => {
            let text = word.string()?;
            let proxy = ReverseProxy::new(&text).map_err(|error| error.to_string())?;
            upstream = Some((text, proxy));
            Ok(())
        }
        other => Err(other.unexpected()),
    })?;
    let Some(serving) = serving else {
        return Ok(None);
    };
    let (upstream, proxy) = upstream.ok_or("UPSTREAM is missing")?;
    let proxy = proxy.limit(serving.limit).over_tls(serving.tls.is_some());
    Ok(Some(Options {
        serving,
        upstream,
        proxy,
    }))
}

fn run(options: Options) -> io::Result<()> {
    let Options {
        serving,
        upstream,
        proxy,
    } = options;
    log::set_logger(&Lines).map_err(|error| io::Error::other(error.to_string()))?;
    log::set_max_level(LevelFilter::Warn);
    let bounds = Bounds {
        end_abandoned: true,
        ..Bounds::default()
    };
    let served = serving.run(
        &bounds,
        |url| say(format!("passing {url} on to {upstream}")),
        move |request: Request<Body>| proxy.pass_on(request),
    )?;
    let connections = counted(served.connections, "connection");
    say(format!("stopped after {connections}"));
    Ok(())
}

/// The library's warnings, such as why a request had no answer, as lines for whoever runs the program.
struct Lines;

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        eprintln!("{}: {}", PROGRAM.name, record.args());
    }

    fn flush(&self) {}
}
