//! A web server for a directory, in plain blocking style: one green thread a connection.
//!
//! ```sh
//! cargo run --release -p green-std --example httpd -- --listen 127.0.0.1:8080 some/directory
//! ```
//!
//! With `--tls cert.pem key.pem` it speaks HTTPS.
//!
//! Take away the `green::` imports and put `std::` in their place, and it is a server with an OS
//! thread a connection; nothing else in it would change.
//!
//! - `connection.rs`: requests are read and answered; `request.rs`, `target.rs`, `range.rs` judge
//!   them, `response.rs`, `listing.rs`, `status.rs` make the answers;
//! - `files.rs`: the directory, from which no path leads out;
//! - `connections.rs`, `stop.rs`: how many there may be, and how they end.
#![allow(missing_docs, reason = "a program has no users of its items")]

mod connection;
mod connections;
mod files;
mod listing;
mod options;
mod preconditions;
mod range;
mod request;
mod response;
mod status;
mod stop;
mod target;
mod transport;

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, io, process};

use green::net::{Shutdown, TcpListener};
use green::ssl::{Purpose, SslContext};
use green::thread;

use crate::connection::Limits;
use crate::connections::{Connections, Ticket};
use crate::files::Site;
use crate::options::Options;
use crate::stop::StopSignal;

fn main() -> ExitCode {
    let options = match Options::parse(env::args_os().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("httpd: {message}; --help shows what there is");
            return ExitCode::from(2);
        }
    };
    if options.help {
        println!("{}", options::USAGE);
        return ExitCode::SUCCESS;
    }
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("httpd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> io::Result<()> {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX)?;
    let most = options
        .connections
        .unwrap_or((descriptors * 3 / 4) as usize);
    let site =
        Arc::new(Site::open(&options.directory).map_err(name(&options.directory.display()))?);
    let listener = green::listen(&options.listen).map_err(name(&options.listen))?;
    let listener = Arc::new(listener);
    let connections = Connections::new(most);
    let limits = Limits {
        request: options.request_limit,
        idle: options.idle_limit,
    };
    let tls = options.tls.as_ref().map(tls).transpose()?;
    let stop = StopSignal::install()?;
    let address = listener.local_addr()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    say(format!(
        "serving {} on {scheme}://{address}/",
        options.directory.display()
    ));

    let accepting = thread::spawn({
        let (listener, connections) = (listener.clone(), connections.clone());
        move || accept(&listener, tls, &connections, &site, limits)
    });
    stop.wait()?;
    say("stopping; a second signal ends it at once");
    thread::spawn(move || stop.wait().map(|()| process::exit(130)));
    connections.stop();
    socket2::SockRef::from(&*listener).shutdown(Shutdown::Both)?;
    drop(listener);
    let cut = connections.drain(options.stop_limit);
    let _ = accepting.join();
    match cut {
        0 => say("stopped"),
        cut => say(format!(
            "stopped; {cut} connections took too long and were cut off"
        )),
    }
    Ok(())
}

/// Accepts connections until the server stops.
fn accept(
    listener: &TcpListener,
    tls: Option<SslContext>,
    connections: &Arc<Connections>,
    site: &Arc<Site>,
    limits: Limits,
) {
    while connections.wait_for_room() {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(_) if connections.is_stopping() => return,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                // Out of descriptors, most likely: some come back as connections end, and
                // `accept` has paused for a moment already.
                eprintln!("httpd: cannot accept: {error}");
                continue;
            }
        };
        // Answers leave in one piece, so there is nothing to wait for to send along.
        let _ = stream.set_nodelay(true);
        let (ticket, site, tls) = (connections.add(stream), site.clone(), tls.clone());
        let served = thread::Builder::new()
            .name("connection".into())
            .spawn(move || {
                // How a peer went is its own affair.
                let _ = match tls {
                    None => connection::serve(ticket.stream(), &site, limits, &ticket),
                    Some(tls) => serve_tls(&tls, &site, limits, &ticket),
                };
            });
        if let Err(error) = served {
            eprintln!("httpd: cannot serve a connection: {error}");
        }
    }
}

/// The handshake is done here, on the connection's own thread, and counts as its first request.
fn serve_tls(
    tls: &SslContext,
    site: &Arc<Site>,
    limits: Limits,
    ticket: &Ticket,
) -> io::Result<()> {
    let stream = tls.accept(ticket.stream().try_clone()?)?;
    stream.set_handshake_timeout(Some(limits.request))?;
    stream.do_handshake()?;
    connection::serve(&stream, site, limits, ticket).inspect_err(|_| {
        // No close_notify: half an answer must not pass for a whole one.
        stream.get_ref().close();
    })
}

/// What a server needs to speak TLS.
fn tls((cert, key): &(PathBuf, PathBuf)) -> io::Result<SslContext> {
    let context = SslContext::create_default_context(Purpose::ClientAuth)?;
    context
        .load_cert_chain(cert, Some(key), None)
        .map_err(name(&format!("{}, {}", cert.display(), key.display())))?;
    context.set_alpn_protocols(&["http/1.1"])?;
    Ok(context)
}

/// Tells whoever runs the program; that nobody may be listening is no reason to end.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Puts the thing that failed before the reason.
fn name(what: &dyn Display) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}
