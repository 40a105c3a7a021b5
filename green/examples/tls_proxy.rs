//! Terminates TLS in front of a plain server: what comes in over TLS goes on in the clear, and back.
//!
//! ```sh
//! cargo run --release -p green-std --example tls_proxy -- 127.0.0.1:8443 cert.pem key.pem 127.0.0.1:8080
//! curl --cacert cert.pem https://localhost:8443/
//! ```
//!
//! An end of either side is passed on as what it was: a half-close as a half-close, and a broken or
//! truncated stream as a broken one, never as a clean end.
use std::fmt;
use std::fmt::Display;
use std::io::{self, Write};
use std::mem;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

mod program;

use green::greenio::GreenSocket;
use green::net::{Shutdown, TcpStream, ToSocketAddrs};
use green::reconnect::Presence;
use green::ssl::{GreenSslSocket, Purpose, SslContext};
use green::{ClosedLocally, io::copy, thread};

use program::{Program, about};

const PROGRAM: Program = Program {
    name: "tls_proxy",
    usage: "\
Usage: tls_proxy LISTEN CERT KEY UPSTREAM

  LISTEN     where TLS clients connect to, such as 127.0.0.1:8443
  CERT KEY   the certificate to show and its key, as PEM files
  UPSTREAM   the plain server behind, such as 127.0.0.1:8080",
};

/// How long the plain server may take to accept us.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    PROGRAM.run_words(|words| match words {
        [listen, cert, key, upstream] => Some(run(listen, cert, key, upstream)),
        _ => None,
    })
}

fn run(listen: &str, cert: &str, key: &str, upstream: &str) -> io::Result<()> {
    let context = SslContext::create_default_context(Purpose::ClientAuth)?;
    context.load_cert_chain(cert, Some(Path::new(key)), None)?;
    // Looked up anew for each connection; what is no address at all is better told now.
    upstream.to_socket_addrs().map_err(about(upstream))?;
    let listener = green::listen(listen).map_err(about(listen))?;
    let mut stdout = io::stdout();
    writeln!(
        stdout,
        "TLS on {}, on to {upstream}",
        listener.local_addr()?
    )?;
    for connection in context.wrap_listener(listener).incoming() {
        match connection {
            Ok(client) => {
                let upstream = upstream.to_owned();
                thread::spawn(move || {
                    if let Err(failure) = serve(&client, &upstream) {
                        cut(client.get_ref());
                        eprintln!("tls_proxy: {failure}");
                    }
                });
            }
            // Out of descriptors, most likely; `accept` has paused for a moment already.
            Err(error) => eprintln!("tls_proxy: cannot accept: {error}"),
        }
    }
    Ok(())
}

/// What went wrong, and on which side.
struct Failure(&'static str, io::Error);

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

/// Puts the side before the error.
fn on(side: &'static str) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure(side, error)
}

fn serve(client: &GreenSslSocket, upstream: &str) -> Result<(), Failure> {
    Presence::STEADY.apply(client).map_err(on("client"))?;
    // Nobody troubles the server before showing that it speaks TLS.
    client.do_handshake().map_err(on("handshake"))?;
    let server = green::timeout(CONNECT_LIMIT, || TcpStream::connect(upstream))
        .unwrap_or_else(|elapsed| Err(elapsed.into()))
        .map_err(about(upstream))
        .map_err(on("upstream"))?;
    Presence::STEADY.apply(&server).map_err(on("upstream"))?;
    let _ = server.set_nodelay(true);

    let back = thread::spawn({
        let client = client.try_clone().map_err(on("client"))?;
        let server = server.try_clone().map_err(on("upstream"))?;
        move || pass(back, &client, &server)
    });
    let forth = pass(forth, client, &server);
    // One that panicked or was killed has passed on no end.
    let back = back
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the way back was cut short")));
    // The direction that failed first took the other one with it.
    let mut errors = [forth.err(), back.err()].into_iter().flatten();
    let first = errors.find(|error| !ClosedLocally::caused(error));
    first.map_or(Ok(()), Err).map_err(on("connection"))
}

/// Passes on one direction to its end. However else it ends, nothing more may arrive anywhere.
fn pass(
    direction: fn(&GreenSslSocket, &TcpStream) -> io::Result<()>,
    client: &GreenSslSocket,
    server: &TcpStream,
) -> io::Result<()> {
    let cuts = Cuts(client, server);
    direction(client, server)?;
    mem::forget(cuts);
    Ok(())
}

/// Cuts both connections when it is dropped, by a panic too, which also ends the other direction's wait.
struct Cuts<'a>(&'a GreenSslSocket, &'a TcpStream);

impl Drop for Cuts<'_> {
    fn drop(&mut self) {
        cut(self.0.get_ref());
        cut(self.1.as_green_socket());
    }
}

/// From the client to the server, down to the client's close_notify.
fn forth(mut client: &GreenSslSocket, mut server: &TcpStream) -> io::Result<()> {
    copy(&mut client, &mut server)?;
    server.shutdown(Shutdown::Write)
}

/// From the server to the client, down to the server's end.
fn back(mut client: &GreenSslSocket, mut server: &TcpStream) -> io::Result<()> {
    copy(&mut server, &mut client)?;
    client.shutdown_write()?;
    client.get_ref().shutdown(Shutdown::Write)
}

/// Resets a connection, so that its end does not look like that of a whole message.
fn cut(socket: &GreenSocket) {
    let _ = socket.set_linger(Some(Duration::ZERO));
    socket.close();
}
