//! A crawler: follows the links of a site until it has seen so many pages, many at a time.
//!
//! ```sh
//! cargo run --release -p green-std --features http-client --example crawler  # a site of its own
//! cargo run --release -p green-std --features http-client --example crawler -- http://127.0.0.1:8080/
//! ```
//!
//! The workers are tasks of a `GreenPool` and share a `Queue` of pages to be fetched; its `join` says
//! when there is nothing left. `green::http::agent` fetches.
#![allow(missing_docs, reason = "a program has no users of its items")]

mod bar;
mod crawl;
mod links;
#[path = "../program/mod.rs"]
mod program;
mod site;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green::pool::GreenPool;

use bar::Bar;
use crawl::Crawl;
use program::{Error, Long, Parser, Program, Short, Value, ValueExt, above_zero, counted};

const PROGRAM: Program = Program {
    name: "crawler",
    usage: "\
Usage: crawler [--pages N] [--connections N] [URL]

Fetches pages of one site, from URL on, until it has N (10000) or has seen all
there are; over so many connections at a time (64). Without a URL it serves a
site of its own. Exit status: 0, 1 if pages could not be fetched, 2 for usage.",
};

struct Options {
    url: Option<String>,
    pages: usize,
    connections: usize,
}

fn main() -> ExitCode {
    PROGRAM.run(options, |options| run(&options))
}

fn options(mut parser: Parser) -> Result<Option<Options>, Error> {
    let mut options = Options {
        url: None,
        pages: 10_000,
        connections: 64,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("pages") => options.pages = above_zero(parser.value()?)?,
            Long("connections") => options.connections = above_zero(parser.value()?)?,
            Long("help") | Short('h') => return Ok(None),
            Value(url) if options.url.is_none() => options.url = Some(url.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

/// An error is the first failure, if a page could not be fetched.
fn run(options: &Options) -> io::Result<()> {
    let url = match &options.url {
        Some(url) => url.clone(),
        None => site::serve(options.pages)?,
    };
    let Some((origin, path)) = links::split(&url) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{url} is no http:// address"),
        ));
    };
    println!("crawling {origin}{path}");
    let crawl = Arc::new(Crawl::new(origin, options.pages, options.connections));
    let begun = Instant::now();
    crawl.add(path);
    let pool = GreenPool::new(options.connections);
    for _ in 0..options.connections {
        let crawl = crawl.clone();
        pool.spawn_n(move || crawl.work());
    }
    let mut bar = Bar::new(options.pages);
    while !crawl.is_done_within(Duration::from_millis(100)) {
        bar.show(crawl.counts().fetched);
    }
    crawl.dismiss(options.connections);
    pool.waitall();
    bar.clear();
    let (counts, took) = (crawl.counts(), begun.elapsed());
    println!(
        "{}, {:.1} MB, {} failed, in {:.2} s: {:.0} pages a second over {}",
        counted(counts.fetched, "page"),
        counts.bytes as f64 / 1e6,
        counts.failed,
        took.as_secs_f64(),
        counts.fetched as f64 / took.as_secs_f64(),
        counted(options.connections, "connection"),
    );
    match crawl.first_failure() {
        Some(failure) => Err(io::Error::other(failure)),
        None => Ok(()),
    }
}
