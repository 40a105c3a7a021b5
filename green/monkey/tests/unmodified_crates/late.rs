//! Servers on OS threads that answer late.
#![expect(unsafe_code, reason = "a longer queue for a listener")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread::{sleep, spawn};
use std::time::Duration;

use native_tls::{Identity, TlsAcceptor};
use test_support::certs::{AUTHORITY, LOCALHOST};

pub const LATE: Duration = Duration::from_millis(50);

/// Servers that answer a GET with its path, late.
pub struct Late {
    /// How URLs begin.
    pub http: String,
    pub tls_port: u16,
    /// Who issued the certificate for `localhost`.
    pub authority: String,
}

impl Late {
    pub fn start() -> Late {
        let http = serve(answer);
        let identity = Identity::from_pkcs8(LOCALHOST.chain.as_bytes(), LOCALHOST.key.as_bytes());
        let acceptor = Arc::new(TlsAcceptor::new(identity.unwrap()).unwrap());
        let tls_port = serve(move |stream| {
            let mut stream = acceptor.accept(stream).map_err(io::Error::other)?;
            answer(&mut stream)?;
            stream.shutdown()
        });
        Late {
            http: format!("http://127.0.0.1:{http}"),
            tls_port,
            authority: AUTHORITY.pem.clone(),
        }
    }
}

/// Answers each connection on an OS thread of its own; the port.
fn serve(answer: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // With std's 128 the kernel drops some of two hundred that come at once, and they try again a second later.
    // SAFETY: no pointer is passed.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 1024) }, 0);
    spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let answer = answer.clone();
            spawn(move || answer(stream));
        }
    });
    port
}

fn answer(mut stream: impl Read + Write) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let path = String::from_utf8_lossy(&request);
    let path = path.split(' ').nth(1).unwrap_or_default();
    sleep(LATE);
    let length = path.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all((head + path).as_bytes())
}
