//! TLS through a relay that tears, cuts, resets and falsifies: what is read is a correct beginning of what was written,
//! and a clean end comes after all of it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::LazyLock;

use green::greenio::GreenSocket;
use green::native_tls::{Certificate, Identity, TlsAcceptor, TlsConnector};
use green::net::TcpStream;
use green::ssl::{EngineKind, GreenSslSocket, SslContext, TlsVersion};

use super::sockets::{Way, tcp_pair};
use super::*;
use test_support::certs::{AUTHORITY, LOCALHOST, client_context, server_context};

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

static CLIENTS: LazyLock<[SslContext; 2]> =
    LazyLock::new(|| VERSIONS.map(|version| client_context(EngineKind::OpenSsl, version)));
static SERVERS: LazyLock<[SslContext; 2]> =
    LazyLock::new(|| VERSIONS.map(|version| server_context(EngineKind::OpenSsl, version)));
static CONNECTOR: LazyLock<TlsConnector> = LazyLock::new(|| {
    let authority = Certificate::from_pem(AUTHORITY.pem.as_bytes()).unwrap();
    let mut builder = TlsConnector::builder();
    builder.add_root_certificate(authority).build().unwrap()
});
static ACCEPTOR: LazyLock<TlsAcceptor> = LazyLock::new(|| {
    let (chain, key) = (LOCALHOST.chain.as_bytes(), LOCALHOST.key.as_bytes());
    TlsAcceptor::new(Identity::from_pkcs8(chain, key).unwrap()).unwrap()
});

/// What the relay does to the bytes of one direction.
#[derive(Clone, Copy, PartialEq)]
enum Relay {
    Honest,
    Close,
    Reset,
    /// Goes on only after a while.
    Stall,
    /// Changes a byte.
    Falsify,
}

/// Passes bytes on in pieces, honestly as far as `until`.
fn relay(
    from: &GreenSocket,
    to: &GreenSocket,
    how: Relay,
    until: u64,
    mut random: Random,
) -> io::Result<()> {
    let (mut from, mut to) = (from, to);
    let mut passed = 0;
    let mut buffer = [0; 4096];
    loop {
        let most = 1 + random.below(buffer.len() as u64) as usize;
        let n = from.read(&mut buffer[..most])?;
        if n == 0 {
            return to.shutdown(Shutdown::Write);
        }
        let before = passed;
        passed += n as u64;
        if how != Relay::Honest && before <= until && until < passed {
            let place = (until - before) as usize;
            if let Relay::Close | Relay::Reset = how {
                to.write_all(&buffer[..place])?;
                if how == Relay::Reset {
                    to.set_linger(Some(Duration::ZERO))?;
                }
                count(&CLOSES);
                to.close();
                from.close();
                return Ok(());
            }
            if how == Relay::Stall {
                sleep(MILLISECOND * random.below(10) as u32);
            } else {
                buffer[place] ^= 1 << random.below(8);
            }
        }
        to.write_all(&buffer[..n])?;
        pause(&mut random);
    }
}

/// Writes in pieces; false once it cannot be known any more how much was taken.
fn send_all(socket: &mut impl Write, way: &Way, is_calm: bool, random: &mut Random) -> bool {
    let mut piece = vec![0; 6_000];
    for _ in 0..1 + random.below(6) {
        let next = way.next(&mut piece, random);
        let mut write = || socket.write(next);
        let written = match is_calm {
            true => Some(write()),
            false => limited(random, write),
        };
        let Some(Ok(n)) = written else {
            return false;
        };
        way.sent.fetch_add(n as u64, SeqCst);
        count(&OPERATIONS);
        pause(random);
    }
    true
}

/// Reads to the end, or to an error.
fn receive_all(socket: &mut impl Read, way: &Way, is_calm: bool, random: &mut Random) {
    let goes_on = |error: &io::Error| {
        assert!(!is_calm, "read: {error:?}");
        false
    };
    way.receive_all(socket, is_calm, goes_on, random);
}

/// One end: a `GreenSslSocket` that reads and writes at once.
fn green_end(crew: &mut Crew, tls: GreenSslSocket, out: Arc<Way>, back: Arc<Way>, is_calm: bool) {
    let tls = Arc::new(tls);
    let writer = tls.clone();
    let socket = tls.clone();
    // Whoever dies, also before its first turn, leaves no half of a connection.
    let cut = finally(move || {
        if !socket.get_ref().is_closed() && !is_calm {
            socket.close();
        }
    });
    crew.any(move |mut random| {
        let cut = cut;
        if send_all(&mut &*writer, &out, is_calm, &mut random) && writer.shutdown_write().is_ok() {
            cut.disarm();
        }
    });
    let socket = tls.clone();
    let cut = finally(move || {
        if !is_calm {
            socket.close();
        }
    });
    crew.any(move |mut random| {
        let cut = cut;
        receive_all(&mut &*tls, &back, is_calm, &mut random);
        if back.has_ended.load(SeqCst) {
            // An end in order: what we know was sent before is here.
            assert!(
                back.received.load(SeqCst) >= back.sent.load(SeqCst),
                "a clean end too early"
            );
            cut.disarm();
        }
    });
}

/// One end: native-tls's names, one owner, which writes and then reads.
fn native_end(
    crew: &mut Crew,
    tcp: TcpStream,
    is_server: bool,
    out: Arc<Way>,
    back: Arc<Way>,
    is_calm: bool,
) {
    crew.any(move |mut random| {
        let shaken = match is_server {
            true => ACCEPTOR.accept(tcp).ok(),
            false => CONNECTOR.connect("localhost", tcp).ok(),
        };
        assert!(shaken.is_some() || !is_calm, "no handshake");
        let Some(mut tls) = shaken else {
            return;
        };
        if send_all(&mut tls, &out, is_calm, &mut random) && tls.shutdown().is_ok() {
            receive_all(&mut tls, &back, is_calm, &mut random);
        }
    });
}

fn connection(mut random: Random) {
    let is_calm = random.below(4) == 0;
    let ((client, here), (there, server)) = (tcp_pair(), tcp_pair());
    let (here, there) = (Arc::new(here), Arc::new(there));
    let [out, back]: [Arc<Way>; 2] = Default::default();
    let mut crew = Crew::new(&mut random);
    let relayed = [(here.clone(), there.clone()), (there, here)];
    for (from, to) in relayed {
        let how = match random.below(8) {
            _ if is_calm => Relay::Honest,
            0 | 1 => Relay::Close,
            2 | 3 => Relay::Reset,
            4 => Relay::Stall,
            5 | 6 => Relay::Falsify,
            _ => Relay::Honest,
        };
        // In the handshake, or after it.
        let most = [3_000, 30_000][random.below(2) as usize];
        let until = random.below(most);
        let ends = (from.clone(), to.clone());
        let cut = finally(move || {
            ends.0.close();
            ends.1.close();
        });
        crew.any(move |random| {
            let cut = cut;
            if relay(&from, &to, how, until, random).is_ok() {
                cut.disarm();
            }
        });
    }
    // native-tls serves TLS 1.2 alone.
    let is_native = random.below(3) == 0;
    if !is_calm {
        // A record whose length was falsified is waited for in vain.
        for end in [&client, &server] {
            end.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        }
    }
    let version = if is_native {
        0
    } else {
        random.below(2) as usize
    };
    match random.below(3) {
        0 => native_end(
            &mut crew,
            client.into(),
            false,
            out.clone(),
            back.clone(),
            is_calm,
        ),
        _ => {
            let tls = CLIENTS[version].wrap_socket(client, Some("localhost"));
            green_end(&mut crew, tls.unwrap(), out.clone(), back.clone(), is_calm);
        }
    }
    match is_native {
        true => native_end(
            &mut crew,
            server.into(),
            true,
            back.clone(),
            out.clone(),
            is_calm,
        ),
        false => {
            let tls = SERVERS[version].accept(server);
            green_end(&mut crew, tls.unwrap(), back.clone(), out.clone(), is_calm);
        }
    }
    match is_calm {
        true => crew.calm(),
        false => crew.storm(),
    }
    for way in [out, back] {
        let (sent, received) = (way.sent.load(SeqCst), way.received.load(SeqCst));
        if is_calm {
            assert!(way.has_ended.load(SeqCst), "no end");
            assert_eq!(sent, received, "lost in a quiet connection");
        }
    }
}

pub fn round(random: Random) {
    side_by_side(random, &[connection as fn(Random); 6]);
}
