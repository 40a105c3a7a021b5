//! `green::asyncio`'s streams: connections that are read from and written to in call and return.

mod plain;
mod python;
mod secure;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use green::asyncio::{self, ConnectionOptions, Server, ServerOptions, StreamReader, StreamWriter};
use green::net::{TcpListener, TcpStream};
use green::ssl::{Purpose, SslContext, VerifyLocation};
use test_support::both::on_both;
use test_support::certs::Leaf;

const LIMIT: Duration = Duration::from_secs(180);
/// More than sockets of [`KERNEL_BYTES`] and the buffers hold for a peer that does not read.
const MUCH: usize = 4 * 1024 * 1024;

const KERNEL_BYTES: usize = 128 * 1024;

/// So many bytes, each its place modulo 251.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|place| (place % 251) as u8).collect()
}

/// A stream and a plain socket at its other end.
fn stream_and_peer(options: ConnectionOptions) -> (StreamReader, StreamWriter, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (reader, writer) = asyncio::open_connection(address, options).unwrap();
    let (peer, _) = listener.accept().unwrap();
    for socket in [writer.get_extra_info().socket(), peer.as_green_socket()] {
        socket.set_send_buffer_size(KERNEL_BYTES).unwrap();
        socket.set_recv_buffer_size(KERNEL_BYTES).unwrap();
    }
    peer.set_read_timeout(Some(LIMIT)).unwrap();
    peer.set_write_timeout(Some(LIMIT)).unwrap();
    (reader, writer, peer)
}

fn serve<F>(handler: F, options: ServerOptions) -> (Server, SocketAddr)
where
    F: Fn(StreamReader, StreamWriter) -> io::Result<()> + Send + Sync + 'static,
{
    let server = asyncio::start_server(handler, "127.0.0.1:0", options).unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

/// Sends back what comes, piece by piece, to the end.
fn echo(reader: StreamReader, writer: StreamWriter) -> io::Result<()> {
    loop {
        let data = reader.read(100_000)?;
        if data.is_empty() {
            return Ok(());
        }
        writer.write(&data)?;
        writer.drain()?;
    }
}

/// A certificate for localhost, and the two contexts that it makes.
struct Secrets {
    shown: Leaf,
    server: SslContext,
    client: SslContext,
}

/// No two are the same.
fn secrets() -> Secrets {
    let shown = Leaf::self_signed();
    let (chain, key) = (shown.chain.as_bytes(), shown.key.as_bytes());
    let server = SslContext::new(Purpose::ClientAuth).unwrap();
    server.load_cert_chain_bytes(chain, key, None).unwrap();
    let client = SslContext::new(Purpose::ServerAuth).unwrap();
    client
        .load_verify_locations(VerifyLocation::Bytes(chain))
        .unwrap();
    Secrets {
        shown,
        server,
        client,
    }
}
