//! asyncio's echo server and client over TLS, with protocols. A message ends with a NUL byte, since over TLS the end of
//! one direction is the end of both.
//!
//! ```sh
//! cargo run --release -p green-std --example asyncio_protocol             # both in one process
//!
//! openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
//!     -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
//! cargo run --release -p green-std --example asyncio_protocol -- server 127.0.0.1:7443 cert.pem key.pem
//! cargo run --release -p green-std --example asyncio_protocol -- client 127.0.0.1:7443 cert.pem hello world
//! ```
//!
//! Control-C stops the server in order: it accepts nobody else, and its clients are closed.
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

mod program;

use green::asyncio::{self, ConnectionOptions, Future, Protocol, Server, ServerOptions, Transport};
use green::signal::consts::{SIGINT, SIGTERM};
use green::ssl::{Purpose, SslContext, VerifyLocation};

use program::{Program, about};

const PROGRAM: Program = Program {
    name: "asyncio_protocol",
    usage: "\
Usage: asyncio_protocol                                 both ends in this process
       asyncio_protocol server ADDRESS CERT KEY         a certificate and its key, as PEM files
       asyncio_protocol client ADDRESS CAFILE WORD...   one message; the server is `localhost`

Echoes over TLS, with asyncio's protocols. A message ends with a NUL byte. Control-C stops the
server in order.",
};

/// How long clients may take to say goodbye when the server is stopped.
const GRACE: Duration = Duration::from_secs(5);

/// Sends back what it gets, and closes at the end of the message.
#[derive(Default)]
struct EchoServer {
    transport: Option<Transport>,
    name: String,
}

impl Protocol for EchoServer {
    fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
        let extra = transport.get_extra_info();
        if let Some(address) = extra.peername().and_then(|peer| peer.as_socket()) {
            self.name = address.to_string();
        }
        let version = extra.version().map(|version| version.to_string());
        println!("{}: connected, {}", self.name, version.unwrap_or_default());
        self.transport = Some(transport);
        Ok(())
    }

    fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
        let transport = self.transport.as_ref().expect("connection_made came first");
        transport.write(data)?;
        if data.contains(&0) {
            transport.close();
        }
        Ok(())
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        match error {
            None => println!("{}: closed", self.name),
            Some(error) => println!("{}: lost: {error}", self.name),
        }
    }
}

/// Sends a message and collects the echo.
struct EchoClient {
    message: Vec<u8>,
    echo: Vec<u8>,
    done: Future<Vec<u8>>,
}

impl Protocol for EchoClient {
    fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
        transport.writelines(&[&self.message[..], b"\0"])
    }

    fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
        self.echo.extend(data);
        Ok(())
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        // Whoever waits has the echo or the error, and is the only one.
        let _ = match error {
            Some(error) => self.done.set_exception(error),
            None => self.done.set_result(std::mem::take(&mut self.echo)),
        };
    }
}

fn main() -> ExitCode {
    PROGRAM.run_words(|words| {
        Some(match words {
            [] => demo(),
            ["server", address, cert, key] => serve(address, cert, key),
            ["client", address, cafile, words @ ..] if !words.is_empty() => {
                talk(address, cafile, &words.join(" "))
            }
            _ => return None,
        })
    })
}

fn serve(address: &str, cert: &str, key: &str) -> io::Result<()> {
    let context = SslContext::create_default_context(Purpose::ClientAuth)?;
    context.load_cert_chain(cert, Some(Path::new(key)), None)?;
    let options = ServerOptions::new().backlog(4096).ssl(&context);
    let server = asyncio::create_server(EchoServer::default, address, options);
    let server = Arc::new(server.map_err(about(address))?);
    println!("echoing over TLS on {}", server.local_addr()?);
    for signal in [SIGINT, SIGTERM] {
        let server = server.clone();
        asyncio::add_signal_handler(signal, move || server.close())?;
    }
    server.serve_forever()?;
    stop(&server)
}

/// Closes the clients of a server that is closed, within a limit.
fn stop(server: &Server) -> io::Result<()> {
    server.close_clients();
    if green::timeout(GRACE, || server.wait_closed()).is_err() {
        server.abort_clients();
        server.wait_closed();
    }
    println!("stopped");
    Ok(())
}

fn talk(address: &str, cafile: &str, message: &str) -> io::Result<()> {
    let context = SslContext::new(Purpose::ServerAuth)?;
    let issuers = VerifyLocation::File(Path::new(cafile));
    context.load_verify_locations(issuers)?;
    println!("{}", echo(address, &context, message)?);
    Ok(())
}

/// Sends `message` and returns what comes back.
fn echo(address: &str, context: &SslContext, message: &str) -> io::Result<String> {
    let done = Future::new();
    let client = EchoClient {
        message: message.into(),
        echo: Vec::new(),
        done: done.clone(),
    };
    let options = ConnectionOptions::new().ssl(context, "localhost");
    asyncio::create_connection(|| client, address, options).map_err(about(address))?;
    let mut echo = done.wait(None).map_err(io::Error::other)?;
    // The end of the message is not part of it.
    if echo.pop() != Some(0) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&echo).into_owned())
}

/// The same, with a certificate that is made here and never touches a disk.
fn demo() -> io::Result<()> {
    println!("both ends in this process; --help tells of more");
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
    let cert = made.cert.pem();
    let key = made.signing_key.serialize_pem();
    let context = SslContext::create_default_context(Purpose::ClientAuth)?;
    context.load_cert_chain_bytes(cert.as_bytes(), key.as_bytes(), None)?;
    let options = ServerOptions::new().backlog(4096).ssl(&context);
    let server = asyncio::create_server(EchoServer::default, "127.0.0.1:0", options)?;
    let address = server.local_addr()?.to_string();

    let trusting = SslContext::new(Purpose::ServerAuth)?;
    trusting.load_verify_locations(VerifyLocation::Bytes(cert.as_bytes()))?;
    for message in ["This is the message.", "It will be sent in parts."] {
        println!("echoed: {}", echo(&address, &trusting, message)?);
    }
    server.close();
    stop(&server)
}
