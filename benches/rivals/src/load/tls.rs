//! The generator's side of TLS. The client chooses, so that every server does
//! the same work: TLS 1.2, ECDHE over P-256 with ECDSA, AES-256-GCM, and no
//! ticket, so that every handshake is a full one.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use openssl::ssl::{SslConnector, SslMethod, SslOptions, SslStream, SslVerifyMode, SslVersion};
use program::MESSAGE;
use program::bulk::{BLOCK, Request};

const CIPHER: &str = "ECDHE-ECDSA-AES256-GCM-SHA384";

/// A server that says nothing for so long has lost something.
const STALL: Duration = Duration::from_secs(20);

/// Opens TLS connections.
#[derive(Clone)]
pub struct Client {
    connector: SslConnector,
}

impl Client {
    pub fn new() -> io::Result<Client> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        builder.set_max_proto_version(Some(SslVersion::TLS1_2))?;
        builder.set_cipher_list(CIPHER)?;
        builder.set_groups_list("P-256")?;
        builder.set_options(SslOptions::NO_TICKET);
        // The server's certificate is made at its start, and nothing is secret.
        builder.set_verify(SslVerifyMode::NONE);
        Ok(Client {
            connector: builder.build(),
        })
    }

    /// Connects, and does the handshake.
    pub fn connect(&self, address: SocketAddr) -> io::Result<SslStream<TcpStream>> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STALL))?;
        let tls = self.connector.connect("localhost", stream);
        let tls = tls.map_err(|error| io::Error::other(error.to_string()))?;
        match tls.ssl().current_cipher() {
            Some(cipher) if cipher.name() == CIPHER => Ok(tls),
            other => Err(io::Error::other(format!(
                "the server chose {:?}",
                other.map(|cipher| cipher.name())
            ))),
        }
    }
}

/// What many blocking connections did together.
#[derive(Debug)]
pub struct Outcome {
    done: u64,
    elapsed: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        write!(out, "requests={} seconds={seconds}", self.done)
    }
}

/// Connections over which bulk goes, a blocking thread each while it does.
pub struct Bulk {
    connections: Vec<SslStream<TcpStream>>,
}

impl Bulk {
    /// Opens so many, and has each served once.
    pub fn open(address: SocketAddr, count: usize) -> io::Result<Bulk> {
        let client = Client::new()?;
        let nothing = Request { up: 0, down: 0 };
        let open = |_| {
            let mut tls = client.connect(address)?;
            exchange(&mut tls, nothing, &mut [0; BLOCK])?;
            Ok(tls)
        };
        let connections = (0..count).map(open).collect::<io::Result<_>>()?;
        Ok(Bulk { connections })
    }

    /// The same request on every connection, again and again for `time`.
    pub fn for_time(&mut self, request: Request, time: Duration) -> io::Result<Outcome> {
        let end = Instant::now() + time;
        together(&mut self.connections, |tls| {
            let mut block = vec![b'.'; BLOCK];
            let mut done = 0;
            while Instant::now() < end {
                exchange(tls, request, &mut block)?;
                done += 1;
            }
            Ok(done)
        })
    }
}

/// Sends `request` and its bytes in blocks, and takes the answer.
fn exchange(tls: &mut SslStream<TcpStream>, request: Request, block: &mut [u8]) -> io::Result<()> {
    let mut head = request.to_head();
    tls.write_all(&head)?;
    let mut left = request.up;
    while left > 0 {
        let length = left.min(block.len());
        tls.write_all(&block[..length])?;
        left -= length;
    }
    let mut left = request.down;
    while left > 0 {
        let most = left.min(block.len());
        match tls.read(&mut block[..most])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => left -= length,
        }
    }
    tls.read_exact(&mut head)
}

/// Clients that connect, shake hands, have one message echoed, and leave.
pub struct Visitors {
    address: SocketAddr,
    clients: Vec<Client>,
}

impl Visitors {
    /// So many at a time; each visits once.
    pub fn open(address: SocketAddr, count: usize) -> io::Result<Visitors> {
        let client = Client::new()?;
        let visitors = Visitors {
            address,
            clients: vec![client; count],
        };
        visitors
            .clients
            .iter()
            .try_for_each(|client| visit(client, address))?;
        Ok(visitors)
    }

    /// Visit after visit for `time`.
    pub fn for_time(&mut self, time: Duration) -> io::Result<Outcome> {
        let end = Instant::now() + time;
        self.run(|_| Instant::now() < end)
    }

    /// So many visits in all.
    pub fn for_count(&mut self, visits: u64) -> io::Result<Outcome> {
        self.run(|begun| begun < visits)
    }

    fn run(&mut self, go_on: impl Fn(u64) -> bool + Sync) -> io::Result<Outcome> {
        let (address, begun) = (self.address, AtomicU64::new(0));
        together(&mut self.clients, |client| {
            let mut done = 0;
            while go_on(begun.fetch_add(1, Ordering::Relaxed)) {
                visit(client, address)?;
                done += 1;
            }
            Ok(done)
        })
    }
}

/// Ends with the server's end, so that none of its work is left over.
fn visit(client: &Client, address: SocketAddr) -> io::Result<()> {
    let mut tls = client.connect(address)?;
    let mut message = [b'.'; MESSAGE];
    tls.write_all(&message)?;
    tls.read_exact(&mut message)?;
    tls.shutdown().map_err(io::Error::other)?;
    let mut nothing = [0; MESSAGE];
    match tls.get_mut().read(&mut nothing)? {
        0 => Ok(()),
        // close_notify, and then the end.
        _ => match tls.get_mut().read(&mut nothing)? {
            0 => Ok(()),
            _ => Err(io::Error::other("more came than an end")),
        },
    }
}

/// Runs `work` on a thread for each of `all`, and adds up what they did.
fn together<T: Send>(
    all: &mut [T],
    work: impl Fn(&mut T) -> io::Result<u64> + Sync,
) -> io::Result<Outcome> {
    let start = Instant::now();
    let work = &work;
    let done = thread::scope(|scope| {
        let threads: Vec<_> = all
            .iter_mut()
            .map(|one| scope.spawn(move || work(one)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("the generator does not panic"))
            .sum::<io::Result<u64>>()
    })?;
    Ok(Outcome {
        done,
        elapsed: start.elapsed(),
    })
}
