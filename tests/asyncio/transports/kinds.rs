//! Connections of every kind, for tests that hold for all of them. The peer is a blocking socket, with raw OpenSSL around
//! it where TLS is spoken.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use green::asyncio::{
    BufferedProtocol, ConnectionOptions, Protocol, ServerOptions, StreamProtocol, Transport,
    connect_accepted_socket, create_connection_over,
};
use green::greenio::GreenSocket;
use green::ssl::{EngineKind, TlsVersion};
use openssl::ssl::{Ssl, SslStream};
use socket2::Socket;

use crate::transports::recorder::{Call, PATIENCE, Record, Recorder};
use crate::transports::tls::Setup;
use test_support::bounded;
use test_support::certs::{Peers, client_context, peer_context, server_context};

/// A connection, and who is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub unix: bool,
    pub tls: Option<Setup>,
    pub buffered: bool,
}

pub fn each_kind(name: &str, body: impl Fn(Kind)) {
    let mut speech = vec![None];
    for server in [false, true] {
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            speech.push(Some(Setup { server, version }));
        }
    }
    for unix in [false, true] {
        for buffered in [false, true] {
            for &tls in &speech {
                let kind = Kind {
                    unix,
                    tls,
                    buffered,
                };
                println!("{name}: {kind:?}");
                bounded(name, PATIENCE, || body(kind));
            }
        }
    }
}

/// A recorder that receives into a buffer of its own.
struct InABuffer {
    recorder: Recorder,
    room: [u8; 5000],
}

impl BufferedProtocol for InABuffer {
    fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
        self.recorder.connection_made(transport)
    }

    fn get_buffer(&mut self, _: usize) -> &mut [u8] {
        &mut self.room
    }

    fn buffer_updated(&mut self, count: usize) -> io::Result<()> {
        self.recorder.data_received(&self.room[..count])
    }

    fn eof_received(&mut self) -> io::Result<bool> {
        self.recorder.eof_received()
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        self.recorder.connection_lost(error);
    }

    fn pause_writing(&mut self) {
        self.recorder.pause_writing();
    }

    fn resume_writing(&mut self) {
        self.recorder.resume_writing();
    }
}

/// The other end.
pub enum Peer {
    Clear(Socket),
    Tls(SslStream<Socket>),
}

impl Peer {
    pub fn socket(&self) -> &Socket {
        match self {
            Peer::Clear(socket) => socket,
            Peer::Tls(tls) => tls.get_ref(),
        }
    }

    /// Says something, if it is still heard.
    pub fn say(&mut self, data: &[u8]) {
        let _ = match self {
            Peer::Clear(socket) => socket.write_all(data),
            Peer::Tls(tls) => tls.write_all(data),
        };
    }

    /// Ends its direction in order.
    pub fn end(&mut self) {
        let _ = match self {
            Peer::Clear(socket) => socket.shutdown(Shutdown::Write).is_ok(),
            Peer::Tls(tls) => tls.shutdown().is_ok(),
        };
    }

    /// All that is still said to it, however that ends.
    pub fn rest(&mut self) -> Vec<u8> {
        let (mut all, mut piece) = (Vec::new(), [0; 65_536]);
        loop {
            let read = match self {
                Peer::Clear(socket) => socket.read(&mut piece),
                Peer::Tls(tls) => tls.read(&mut piece),
            };
            match read {
                Ok(count @ 1..) => all.extend(&piece[..count]),
                _ => return all,
            }
        }
    }
}

pub struct Pair {
    pub transport: Transport,
    pub record: Record,
    pub peer: Peer,
}

pub fn pair(kind: Kind, (recorder, record): (Recorder, Record)) -> Pair {
    let (ours, theirs) = wires(kind);
    let room = [0; 5000];
    let (transport, peer) = match kind.buffered {
        true => meet(kind, ours, theirs, InABuffer { recorder, room }),
        false => meet(kind, ours, theirs, recorder),
    };
    Pair {
        transport,
        record,
        peer,
    }
}

/// A connection of which the kernel holds little.
pub fn wires(kind: Kind) -> (GreenSocket, Socket) {
    let (ours, theirs): (Socket, Socket) = if kind.unix {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ours.into(), theirs.into())
    } else {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours.into(), listener.accept().unwrap().0.into())
    };
    ours.set_send_buffer_size(64 * 1024).unwrap();
    theirs.set_read_timeout(Some(PATIENCE)).unwrap();
    theirs.set_write_timeout(Some(PATIENCE)).unwrap();
    (GreenSocket::from(OwnedFd::from(ours)), theirs)
}

pub fn meet<K, P: StreamProtocol<K>>(
    kind: Kind,
    ours: GreenSocket,
    theirs: Socket,
    protocol: P,
) -> (Transport, Peer) {
    let Some(setup) = kind.tls else {
        let transport = serve(kind, ours, protocol, PATIENCE).unwrap();
        return (transport, Peer::Clear(theirs));
    };
    let ssl = Ssl::new(&peer_context(!setup.server, setup.version, Peers::Easy)).unwrap();
    let shaking = std::thread::spawn(move || match setup.server {
        true => ssl.connect(theirs),
        false => ssl.accept(theirs),
    });
    let transport = serve(kind, ours, protocol, PATIENCE).unwrap();
    (transport, Peer::Tls(shaking.join().unwrap().unwrap()))
}

/// Our end alone.
pub fn serve<K, P: StreamProtocol<K>>(
    kind: Kind,
    ours: GreenSocket,
    protocol: P,
    handshake: Duration,
) -> io::Result<Transport> {
    let (client, server) = (ConnectionOptions::new(), ServerOptions::new());
    let made = match kind.tls {
        None => create_connection_over(|| protocol, ours, client),
        Some(setup) if setup.server => {
            let context = server_context(EngineKind::default(), setup.version);
            let options = server.ssl(&context).ssl_handshake_timeout(handshake);
            connect_accepted_socket(|| protocol, ours, options)
        }
        Some(setup) => {
            let context = client_context(EngineKind::default(), setup.version);
            let options = client.ssl(&context, "localhost");
            let options = options.ssl_handshake_timeout(handshake);
            create_connection_over(|| protocol, ours, options)
        }
    };
    made.map(|(transport, _)| transport)
}

/// What a protocol was told until the end, and of the end.
pub fn told(record: &Record) -> (Vec<Call>, Option<io::ErrorKind>) {
    let mut calls = record.all();
    calls.pop();
    (calls, record.verdict())
}

pub fn data(bytes: &[u8]) -> Call {
    Call::Data(bytes.to_vec())
}
