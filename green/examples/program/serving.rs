//! What programs that serve HTTP have in common: their options, and how they begin and stop.
#![allow(dead_code, reason = "each program needs some of it")]

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use green::convenience::{Accept, Served};
use green::http::{self, Handler, Server, Transport};
use green::ssl::{Purpose, SslContext};

use crate::program::{Error, Long, Parser, Short, Value, ValueExt, about, seconds};

/// The options `--listen`, `--tls`, `--limit` and `--grace`.
pub struct Serving {
    pub listen: String,
    pub tls: Option<(PathBuf, PathBuf)>,
    pub limit: Duration,
    pub grace: Duration,
}

/// An argument that is none of these.
pub enum Other {
    Option(String),
    Word(OsString),
}

impl Other {
    pub fn unexpected(self) -> Error {
        match self {
            Other::Option(name) => Error::UnexpectedOption(name),
            Other::Word(word) => Error::UnexpectedArgument(word),
        }
    }
}

/// What is not for whoever starts the program to say.
pub struct Bounds {
    pub connections: usize,
    pub body: u64,
    pub end_abandoned: bool,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            connections: 10_000,
            body: u64::MAX,
            end_abandoned: false,
        }
    }
}

impl Serving {
    pub fn at(address: &str) -> Serving {
        Serving {
            listen: address.to_owned(),
            tls: None,
            limit: Duration::from_secs(30),
            grace: Duration::from_secs(10),
        }
    }

    /// Reads the command line; `None` for `--help`. `take` takes the program's own arguments.
    pub fn read(
        mut parser: Parser,
        mut take: impl FnMut(Other, &mut Parser) -> Result<(), Error>,
    ) -> Result<Option<Serving>, Error> {
        let mut serving = Serving::at("127.0.0.1:8080");
        while let Some(argument) = parser.next()? {
            let other = match argument {
                Long("listen") => {
                    serving.listen = parser.value()?.string()?;
                    continue;
                }
                Long("tls") => {
                    serving.tls = Some((parser.value()?.into(), parser.value()?.into()));
                    continue;
                }
                Long("limit") => {
                    serving.limit = seconds(parser.value()?)?;
                    continue;
                }
                Long("grace") => {
                    serving.grace = seconds(parser.value()?)?;
                    continue;
                }
                Long("help") | Short('h') => return Ok(None),
                Long(name) => Other::Option(format!("--{name}")),
                Value(word) => Other::Word(word),
                short => return Err(short.unexpected()),
            };
            take(other, &mut parser)?;
        }
        Ok(Some(serving))
    }

    /// Serves until Ctrl-C or SIGTERM, a second of which ends the program at once. `begun` is told where.
    pub fn run(
        &self,
        bounds: &Bounds,
        begun: impl FnOnce(&str),
        handler: impl Handler,
    ) -> io::Result<Served> {
        let listener = green::listen(&self.listen).map_err(about(&self.listen))?;
        let address = listener.local_addr()?;
        let Some((cert, key)) = &self.tls else {
            let begun = || begun(&format!("http://{address}/"));
            return self.serve(listener, bounds, begun, handler);
        };
        let context = SslContext::create_default_context(Purpose::ClientAuth)?;
        context.load_cert_chain(cert, Some(key), None)?;
        context.set_alpn_protocols(&http::ALPN)?;
        let begun = || begun(&format!("https://{address}/"));
        self.serve(green::wrap_ssl(listener, &context), bounds, begun, handler)
    }

    fn serve<L>(
        &self,
        listener: L,
        bounds: &Bounds,
        begun: impl FnOnce(),
        handler: impl Handler,
    ) -> io::Result<Served>
    where
        L: Accept,
        L::Stream: Transport,
    {
        let limit = Some(self.limit);
        let server = Server::new(listener)
            .concurrency(bounds.connections)
            .max_body(bounds.body)
            .end_abandoned(bounds.end_abandoned)
            .head_timeout(limit)
            .read_timeout(limit)
            .write_timeout(limit)
            .grace(self.grace);
        let server = server.stop_on_signals()?;
        begun();
        server.run(handler)
    }
}

/// Tells whoever runs the program; that nobody may be listening is no reason to end.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
