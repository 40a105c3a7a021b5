//! Echo over TLS with asyncio's streams: server and client, and a message that ends with a NUL byte.
//!
//! Over plain TCP a client would say that its message is over by `write_eof`. TLS has no such half-close that every peer
//! honours, so the message says itself where it ends.
//!
//! ```sh
//! cargo run --release -p green-std --example asyncio_streams             # both in one process
//!
//! openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
//!     -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
//! cargo run --release -p green-std --example asyncio_streams -- server 127.0.0.1:7444 cert.pem key.pem
//! echo 'This is the message.' | \
//!     cargo run --release -p green-std --example asyncio_streams -- client 127.0.0.1:7444 cert.pem    # or:
//! printf 'This is the message.\0' | \
//!     openssl s_client -connect 127.0.0.1:7444 -CAfile cert.pem -quiet
//! ```
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

mod program;

use green::asyncio::{
    ConnectionOptions, Future, ReadError, Server, ServerOptions, StreamReader, StreamWriter,
    add_signal_handler, open_connection, start_server,
};
use green::signal::consts::{SIGINT, SIGTERM};
use green::ssl::{Purpose, SslContext, VerifyLocation};

use program::{Program, about, counted};

const PROGRAM: Program = Program {
    name: "asyncio_streams",
    usage: "\
Usage: asyncio_streams                                both ends in this process
       asyncio_streams server ADDRESS CERT KEY        a certificate and its key, as PEM files
       asyncio_streams client ADDRESS CAFILE [NAME]   the message is standard input; NAME is on
                                                      the server's certificate (localhost)

Echoes over TLS, with asyncio's streams. A message ends with a NUL byte. Control-C stops the server
in order.",
};

/// How long a client may think.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the last conversations may take when the server is told to stop.
const FAREWELL: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    PROGRAM.run_words(|words| {
        Some(match words {
            [] => demo(),
            ["server", address, cert, key] => serve_files(address, cert, key),
            ["client", address, cafile] => ask_from_stdin(address, cafile, "localhost"),
            ["client", address, cafile, name] => ask_from_stdin(address, cafile, name),
            _ => return None,
        })
    })
}

/// Serves until SIGINT or SIGTERM, and lets the conversations under way end.
fn serve_files(address: &str, cert: &str, key: &str) -> io::Result<()> {
    let context = SslContext::create_default_context(Purpose::ClientAuth)?;
    context.load_cert_chain(cert, Some(Path::new(key)), None)?;
    let server = serve(address, &context).map_err(about(address))?;
    green::println!("echoing over TLS on {}", server.local_addr()?);

    let stop = Future::new();
    for signal in [SIGINT, SIGTERM] {
        let stop = stop.clone();
        add_signal_handler(signal, move || drop(stop.set_result(())))?;
    }
    stop.wait(None)?;
    server.close();
    if green::timeout(FAREWELL, || server.wait_closed()).is_err() {
        server.abort_clients();
    }
    green::println!("stopped");
    Ok(())
}

fn serve(address: &str, context: &SslContext) -> io::Result<Server> {
    let options = ServerOptions::new().backlog(4096).ssl(context);
    start_server(echo, address, options)
}

/// Sends a message back, and closes the connection.
fn echo(reader: StreamReader, writer: StreamWriter) -> io::Result<()> {
    let peer = writer
        .get_extra_info()
        .peername()
        .and_then(|address| address.as_socket());
    let peer = peer.map_or("a client".to_owned(), |address| address.to_string());
    let message = match green::timeout(PATIENCE, || reader.readuntil(b"\0"))? {
        Ok(message) => message,
        Err(ReadError::Incomplete(error)) => {
            green::println!(
                "{peer} ended after {}, without a NUL",
                counted(error.partial.len(), "byte")
            );
            return Ok(());
        }
        Err(ReadError::LimitOverrun(_)) => {
            green::println!(
                "{peer} sent more than {} bytes, without a NUL",
                reader.limit()
            );
            return Ok(());
        }
        Err(error) => {
            green::println!("{peer} went: {error}");
            return Ok(());
        }
    };
    green::println!("{peer} sent {}", counted(message.len(), "byte"));
    writer.write(&message)?;
    writer.close();
    writer.wait_closed()
}

fn ask_from_stdin(address: &str, cafile: &str, name: &str) -> io::Result<()> {
    let context = SslContext::new(Purpose::ServerAuth)?;
    context.load_verify_locations(VerifyLocation::File(Path::new(cafile)))?;
    let mut message = String::new();
    green::io::stdin().read_to_string(&mut message)?;
    let answer = ask(address, &context, name, &[message.trim_end()])?;
    green::println!("{answer}");
    Ok(())
}

/// Sends a message in parts, and returns what comes back.
fn ask(address: &str, context: &SslContext, name: &str, parts: &[&str]) -> io::Result<String> {
    let options = ConnectionOptions::new().ssl(context, name);
    let (reader, writer) = open_connection(address, options).map_err(about(address))?;
    writer.writelines(parts)?;
    writer.write(b"\0")?;
    writer.drain()?;
    let mut answer = green::timeout(PATIENCE, || reader.read_to_eof())??;
    writer.close();
    writer.wait_closed()?;
    if answer.pop() != Some(0) {
        let message = "the server closed before it had sent the message back";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The same, with a certificate that is made here and never touches a disk.
fn demo() -> io::Result<()> {
    green::println!("both ends in this process; --help tells of more");
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
    let cert = made.cert.pem();
    let key = made.signing_key.serialize_pem();
    let server_context = SslContext::create_default_context(Purpose::ClientAuth)?;
    server_context.load_cert_chain_bytes(cert.as_bytes(), key.as_bytes(), None)?;
    let client_context = SslContext::new(Purpose::ServerAuth)?;
    client_context.load_verify_locations(VerifyLocation::Bytes(cert.as_bytes()))?;

    let server = serve("127.0.0.1:0", &server_context)?;
    let address = server.local_addr()?.to_string();
    let parts = ["This is the message. ", "It is sent ", "in parts."];
    let answer = ask(&address, &client_context, "localhost", &parts)?;
    green::println!("came back: {answer}");
    server.close();
    server.wait_closed();
    Ok(())
}
