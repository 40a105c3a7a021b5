//! A server as it is run in earnest: its listener comes from systemd, from the process whose place it takes, or is its
//! own; it learns from a proxy in front whose request it is; health and figures have an address of their own.
//!
//! ```sh
//! cargo run --release -p green-std --features http,proxy-protocol --example web -- \
//!     127.0.0.1:8080 --next /tmp/web.next --watch 127.0.0.1:8081
//! ```
//!
//! The same line again, in another terminal, takes the server's place without losing a connection.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

mod program;

use green::convenience::{HandOver, Handed, Listen, ProxyProtocol};
use green::http::{Body, Counters, Peer, Request, Server, StopHandle};
use green::net::TcpListener;
use green::sync::{Arc, Mutex};
use green::{backdoor, thread};

use program::{Error, Long, Parser, Program, Short, Value, ValueExt, about, counted, seconds};

const PROGRAM: Program = Program {
    name: "web",
    usage: "\
Usage: web [ADDRESS] [--next PATH] [--watch ADDRESS] [--proxied] [--reuse-port] [--grace SECONDS]

Tells each client who it is and which process it met.

  ADDRESS          where to listen, if no listener was handed over  (127.0.0.1:8080)
  --next PATH      a socket by which the next process takes over
  --watch ADDRESS  where /health and /metrics are
  --proxied        a proxy on this host speaks the PROXY protocol
  --reuse-port     several processes share ADDRESS
  --grace SECONDS  for the requests under way when it stops         (10)

SIGTERM, Ctrl-C or a successor at PATH stops it: nobody else is let in, the
requests under way are answered.",
};

struct Options {
    address: Option<String>,
    next: Option<PathBuf>,
    watch: Option<String>,
    proxied: bool,
    reuse_port: bool,
    grace: Duration,
}

fn main() -> ExitCode {
    PROGRAM.run(options, |options| run(&options))
}

fn options(mut parser: Parser) -> Result<Option<Options>, Error> {
    let mut options = Options {
        address: None,
        next: None,
        watch: None,
        proxied: false,
        reuse_port: false,
        grace: Duration::from_secs(10),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("next") => options.next = Some(parser.value()?.into()),
            Long("watch") => options.watch = Some(parser.value()?.string()?),
            Long("proxied") => options.proxied = true,
            Long("reuse-port") => options.reuse_port = true,
            Long("grace") => options.grace = seconds(parser.value()?)?,
            Long("help") | Short('h') => return Ok(None),
            Value(word) if options.address.is_none() => options.address = Some(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> io::Result<()> {
    // Before there is a second thread.
    let mut handed = Handed::from_environment()?;
    let mut before = match &options.next {
        Some(path) => Handed::from_process(path).map_err(about(path.display()))?,
        None => Handed::default(),
    };
    let named = match handed.tcp("web")? {
        // Handed over without a name.
        None => handed.tcp("unknown")?,
        named => named,
    };
    for name in handed.names() {
        println!("ignored: the listener '{name}', which is not 'web'");
    }
    let listener = match (named, before.tcp("web")?) {
        (Some(listener), _) | (None, Some(listener)) => listener,
        (None, None) => listen(options)?,
    };
    let mut server = Server::new(listener)
        .concurrency(10_000)
        .grace(options.grace)
        .stop_on_signals()?;
    println!("serving on {}", server.listener().local_addr()?);
    if options.proxied {
        let proxy = ProxyProtocol::trusting(|peer| peer.is_loopback());
        server = server.proxy_protocol(proxy);
    }
    let (stop, counters) = (server.stop_handle(), server.counters());
    let watched = Arc::new(Mutex::new(None));
    if let Some(path) = &options.next {
        let next = HandOver::new(path).map_err(about(path.display()))?;
        let next = next.listener("web", server.listener())?;
        let (stop, watched) = (stop.clone(), watched.clone());
        thread::spawn(move || {
            if next.wait().is_ok() {
                println!("another takes over");
                // That one is watched at this address from now on.
                watched.lock().unwrap().take();
                stop.stop();
            }
        });
    }
    before.ready()?;
    if let Some(address) = &options.watch {
        let opened = watch(address, stop, counters).map_err(about(address))?;
        *watched.lock().unwrap() = Some(opened);
    }
    let served = server.run(|request: Request<Body>| {
        let peer = request.extensions().get::<Peer>();
        let peer = peer.map_or("nobody".to_owned(), |peer| peer.0.ip().to_string());
        format!("{peer} met {}\n", std::process::id())
    })?;
    println!(
        "stopped after {}",
        counted(served.connections, "connection")
    );
    Ok(())
}

/// Has the process watched at an address that the one before may still have.
fn watch(address: &str, stopping: StopHandle, counters: Counters) -> io::Result<backdoor::Server> {
    let mut tries = 100;
    loop {
        let stopping = stopping.clone();
        let watched = backdoor::Server::new()
            .health(move || !stopping.is_stopping())
            .metrics("web", counters.clone());
        match watched.http(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {
                tries -= 1;
                thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

fn listen(options: &Options) -> io::Result<TcpListener> {
    let address = options.address.as_deref().unwrap_or("127.0.0.1:8080");
    let listen = Listen::new().reuse_port(options.reuse_port);
    let listening = format!("cannot listen on {address}");
    listen.tcp(address).map_err(about(listening))
}
