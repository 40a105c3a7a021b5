//! Echo over TLS, server and client, and the two ways to tell where a message ends.
//!
//! ```sh
//! cargo run --release -p green-std --example echo_tls                    # both in one process
//!
//! openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
//!     -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
//! cargo run --release -p green-std --example echo_tls -- server 127.0.0.1:7443 cert.pem key.pem
//! cargo run --release -p green-std --example echo_tls -- client 127.0.0.1:7443 cert.pem    # or:
//! openssl s_client -connect 127.0.0.1:7443 -CAfile cert.pem -quiet
//! ```
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

mod program;

use green::net::TcpStream;
use green::ssl::{GreenSslSocket, Purpose, SslContext, SslListener, VerifyLocation};
use green::{reconnect::Presence, thread};

use program::{Program, about};

const PROGRAM: Program = Program {
    name: "echo_tls",
    usage: "\
Usage: echo_tls                                both ends in this process
       echo_tls server ADDRESS CERT KEY        a certificate and its key, as PEM files
       echo_tls client ADDRESS CAFILE [NAME]   lines from standard input; NAME is on the
                                               server's certificate (localhost)",
};

fn main() -> ExitCode {
    PROGRAM.run_words(|words| {
        Some(match words {
            [] => demo(),
            ["server", address, cert, key] => serve_files(address, cert, key),
            ["client", address, cafile] => talk_from_stdin(address, cafile, "localhost"),
            ["client", address, cafile, name] => talk_from_stdin(address, cafile, name),
            _ => return None,
        })
    })
}

fn serve_files(address: &str, cert: &str, key: &str) -> io::Result<()> {
    let context = SslContext::create_default_context(Purpose::ClientAuth)?;
    context.load_cert_chain(cert, Some(Path::new(key)), None)?;
    let listener = green::listen(address).map_err(about(address))?;
    println!("echoing over TLS on {}", listener.local_addr()?);
    serve(&context.wrap_listener(listener));
    Ok(())
}

/// One green thread a connection; the handshake happens there, at the first read.
fn serve(listener: &SslListener) {
    for connection in listener.incoming() {
        match connection {
            Ok(tls) => {
                thread::spawn(move || {
                    if let Err(error) = echo(&tls) {
                        eprintln!("a client went: {error}");
                    }
                });
            }
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
}

/// Sends back what comes until the client says that no more will, then says the same.
fn echo(mut tls: &GreenSslSocket) -> io::Result<()> {
    Presence::STEADY.apply(tls)?;
    green::io::copy(&mut { tls }, &mut tls)?;
    tls.shutdown_write()
}

fn talk_from_stdin(address: &str, cafile: &str, name: &str) -> io::Result<()> {
    let context = SslContext::new(Purpose::ServerAuth)?;
    context.load_verify_locations(VerifyLocation::File(Path::new(cafile)))?;
    let tcp = TcpStream::connect(address).map_err(about(address))?;
    let tls = context.connect(tcp, name).map_err(about(address))?;
    talk(tls, green::io::stdin().lines())
}

fn talk(tls: GreenSslSocket, messages: impl Iterator<Item = io::Result<String>>) -> io::Result<()> {
    tls.set_read_timeout(Some(Duration::from_secs(10)))?;
    if let (Some(version), Some(cipher)) = (tls.version()?, tls.cipher()?) {
        println!("connected: {version}, {}", cipher.name);
    }
    let mut incoming = BufReader::new(&tls);

    // A message ends with a NUL byte. Every peer can do that, because it needs nothing of TLS.
    for message in messages {
        (&tls).write_all(message?.as_bytes())?;
        (&tls).write_all(&[0])?;
        let mut echo = Vec::new();
        incoming.read_until(0, &mut echo)?;
        if echo.pop() != Some(0) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        println!("echoed up to NUL: {}", String::from_utf8_lossy(&echo));
    }

    // Here a message ends with the end of our direction: close_notify goes out, and we read on. TLS
    // allows that, but many peers close both directions as soon as they see the first
    // close_notify; so this is for peers that one knows, such as the server above.
    (&tls).write_all(b"and now for the half-close")?;
    tls.shutdown_write()?;
    let mut echo = Vec::new();
    incoming.read_to_end(&mut echo)?;
    println!("echoed up to the end: {}", String::from_utf8_lossy(&echo));
    println!("the peer closed cleanly: {}", tls.peer_closed_cleanly());
    Ok(())
}

/// The same, with a certificate that is made here and never touches a disk.
fn demo() -> io::Result<()> {
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
    let cert = made.cert.pem();
    let server = SslContext::create_default_context(Purpose::ClientAuth)?;
    let key = made.signing_key.serialize_pem();
    server.load_cert_chain_bytes(cert.as_bytes(), key.as_bytes(), None)?;
    let listener = green::listen("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || serve(&server.wrap_listener(listener)));

    let client = SslContext::new(Purpose::ServerAuth)?;
    client.load_verify_locations(VerifyLocation::Bytes(cert.as_bytes()))?;
    let tls = client.connect(TcpStream::connect(address)?, "localhost")?;
    let messages = ["hello", "", "a longer message, in many words"];
    talk(tls, messages.into_iter().map(|text| Ok(text.to_owned())))
}
