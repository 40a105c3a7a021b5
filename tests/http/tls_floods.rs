//! Peers that flood a server over TLS, on its one hub: neighbours are served meanwhile, and each flood ends.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use green::http::{ALPN, Server};
use green::ssl::{EngineKind, TlsVersion};
use openssl::ssl::{Ssl, SslStream};
use test_support::certs::{Peers, peer_context, server_context};
use test_support::child::alone;
use test_support::ends::peer::Peer;

use crate::frames::{PING, PREFACE, RST_STREAM, SETTINGS, frame, get};
use crate::{thread, usual};

/// Enough for a neighbour who is served at all.
const HEAD: Duration = Duration::from_secs(4);

/// Floods the server until that ends it; the flag says that it has begun.
type Flood = fn(SocketAddr, TlsVersion, &AtomicBool);

fn connect(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}

fn shaken(address: SocketAddr, version: TlsVersion, alpn: &[u8]) -> SslStream<TcpStream> {
    let context = peer_context(false, version, Peers::Easy);
    let mut ssl = Ssl::new(&context).unwrap();
    if !alpn.is_empty() {
        ssl.set_alpn_protos(alpn).unwrap();
    }
    ssl.connect(connect(address)).unwrap()
}

/// A peer of its own, before its handshake.
fn peer(address: SocketAddr, version: TlsVersion) -> Peer {
    let context = peer_context(false, version, Peers::Easy);
    Peer::new(connect(address), Some(&context), false, "")
}

/// Sends pieces, each of which may take a moment to make, until the server takes no more.
fn send_on(tcp: &mut impl Write, begun: &AtomicBool, mut piece: impl FnMut() -> Vec<u8>) {
    while tcp.write_all(&piece()).is_ok() {
        begun.store(true, SeqCst);
    }
}

/// Waits for the end of what says nothing more.
fn to_its_end(stream: &mut impl Read) {
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn nothing_at_all(address: SocketAddr, _: TlsVersion, begun: &AtomicBool) {
    let mut tcp = connect(address);
    begun.store(true, SeqCst);
    to_its_end(&mut tcp);
}

/// A byte of the handshake now and then.
fn a_slow_handshake(address: SocketAddr, version: TlsVersion, begun: &AtomicBool) {
    let mut peer = peer(address, version);
    let flight = peer.first_flight();
    let mut bytes = flight.iter();
    send_on(peer.tcp(), begun, || {
        std::thread::sleep(Duration::from_millis(50));
        bytes.next().copied().into_iter().collect()
    });
}

/// Changes of cipher in the middle of a handshake, which TLS 1.3 has a server ignore.
fn changes_of_cipher(address: SocketAddr, version: TlsVersion, begun: &AtomicBool) {
    let mut peer = peer(address, version);
    let flight = peer.first_flight();
    peer.raw(&flight);
    let changes = [20, 3, 3, 0, 1, 1].repeat(1000);
    send_on(peer.tcp(), begun, || changes.clone());
}

fn nothing_after_the_handshake(address: SocketAddr, version: TlsVersion, begun: &AtomicBool) {
    let mut stream = shaken(address, version, b"");
    begun.store(true, SeqCst);
    to_its_end(&mut stream);
}

fn a_slow_head(address: SocketAddr, version: TlsVersion, begun: &AtomicBool) {
    let mut stream = shaken(address, version, b"");
    let mut head = b"GET / HTTP/1.1\r\nx: ".iter();
    send_on(&mut stream, begun, || {
        std::thread::sleep(Duration::from_millis(50));
        vec![*head.next().unwrap_or(&b'x')]
    });
}

fn key_updates(address: SocketAddr, version: TlsVersion, begun: &AtomicBool) {
    let mut peer = peer(address, version);
    assert!(peer.handshake());
    let mut tcp = peer.duplicate();
    send_on(&mut tcp, begun, || peer.key_updates(500));
}

/// The same on a connection that was served before.
fn key_updates_after_an_answer(address: SocketAddr, version: TlsVersion, begun: &AtomicBool) {
    let mut peer = peer(address, version);
    assert!(peer.handshake());
    peer.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(peer.tcp().read(&mut [0; 4096]).unwrap() > 0);
    let mut tcp = peer.duplicate();
    send_on(&mut tcp, begun, || peer.key_updates(500));
}

/// Asks for a new handshake, which the server refuses.
fn renegotiations(address: SocketAddr, version: TlsVersion, begun: &AtomicBool) {
    for _ in 0..50 {
        let mut peer = peer(address, version);
        assert!(peer.handshake());
        peer.renegotiate();
        begun.store(true, SeqCst);
        let _ = peer.handshake();
    }
}

/// Requests over HTTP/2, each taken back at once.
fn rapid_resets(address: SocketAddr, version: TlsVersion, begun: &AtomicBool) {
    let mut stream = shaken(address, version, b"\x02h2");
    let mut first = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let mut id = 1;
    send_on(&mut stream, begun, || {
        let mut flood = std::mem::take(&mut first);
        for _ in 0..100 {
            flood.extend(get(id, "/doze"));
            flood.extend(frame(RST_STREAM, 0, id, &8u32.to_be_bytes()));
            id += 2;
        }
        flood
    });
}

/// HTTP/2 to a server that was not asked for it. It drops for half a minute what comes behind its answer; this is enough of it.
fn frames_without_alpn(address: SocketAddr, version: TlsVersion, begun: &AtomicBool) {
    let mut stream = shaken(address, version, b"");
    let first = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(100);
    let mut pieces = std::iter::once(&first).chain(std::iter::repeat_n(&pings, 2000));
    while pieces
        .next()
        .is_some_and(|piece| stream.write_all(piece).is_ok())
    {
        begun.store(true, SeqCst);
    }
}

fn is_served(address: SocketAddr, version: TlsVersion) {
    let mut stream = shaken(address, version, b"");
    stream.write_all(b"GET /on HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("GET /on"), "{answer}");
}

/// All of them at once, with a neighbour beside them.
fn floods_end(version: TlsVersion, floods: &'static [Flood]) {
    let context = server_context(EngineKind::OpenSsl, version);
    context.set_alpn_protocols(&ALPN).unwrap();
    let listener = green::listen("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(green::wrap_ssl(listener, &context)).head_timeout(Some(HEAD));
    let stop = server.stop_handle();
    let running = thread::spawn(move || server.run(usual));
    let begin = |flood: Flood| {
        let begun = Arc::new(AtomicBool::new(false));
        let theirs = begun.clone();
        let flooder = std::thread::spawn(move || flood(address, version, &theirs));
        while !begun.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        flooder
    };
    let flooders: Vec<_> = floods.iter().map(|&flood| begin(flood)).collect();
    // While those go on that only the limit ends.
    is_served(address, version);
    assert!(flooders.iter().any(|flooder| !flooder.is_finished()));
    for flooder in flooders {
        flooder.join().unwrap();
    }
    is_served(address, version);
    stop.stop();
    assert_eq!(running.join().unwrap().unwrap().cut, 0);
}

#[test]
fn peers_that_flood_by_tls_1_3_are_ended_and_hold_up_nobody() {
    let name = "tls_floods::peers_that_flood_by_tls_1_3_are_ended_and_hold_up_nobody";
    alone(name, &[("GREEN_HUBS", "1")], || {
        floods_end(
            TlsVersion::Tls13,
            &[
                nothing_at_all,
                a_slow_handshake,
                changes_of_cipher,
                nothing_after_the_handshake,
                a_slow_head,
                key_updates,
                key_updates_after_an_answer,
                rapid_resets,
                frames_without_alpn,
            ],
        );
    })
    .well();
}

#[test]
fn peers_that_flood_by_tls_1_2_are_ended_and_hold_up_nobody() {
    let name = "tls_floods::peers_that_flood_by_tls_1_2_are_ended_and_hold_up_nobody";
    alone(name, &[("GREEN_HUBS", "1")], || {
        floods_end(
            TlsVersion::Tls12,
            &[
                a_slow_handshake,
                nothing_after_the_handshake,
                renegotiations,
                rapid_resets,
                frames_without_alpn,
            ],
        );
    })
    .well();
}
