//! Seventh act: TLS. Handshakes, bulk both ways at once, every way in which a TLS peer can go, and
//! clients that come back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use green::net::{Shutdown, TcpStream};
use green::reconnect::Reconnect;
use green::ssl::{GreenSslSocket, Purpose, SslContext, TlsVersion, VerifyLocation};
use green::thread;

use crate::departures::{expect, expect_at, expect_end, many, pair, soon};
use crate::payload::{Random, echo, exchange, make_frame, read_frame};
use crate::screen::{bytes, count};
use crate::stage::{Failure, Outcome, Progress, Stage};

const HANDSHAKES: usize = 200;
const BULK_CONNECTIONS: usize = 4;
/// In each direction of each connection.
const BULK_FRAMES: usize = 1000;
const FRAME_BYTES: usize = 16 * 1024;
/// How often each scene is played, all at once.
const CAST: usize = 25;
const CLIENTS: u64 = 50;
const QUESTIONS: u64 = 20;
const LIMIT: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);

/// The two ends' settings, over a certificate that lives as long as the tour.
static CONTEXTS: LazyLock<Contexts> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a certificate can be made");
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    Contexts::new(cert.as_bytes(), key.as_bytes()).expect("a context can be made")
});

struct Contexts {
    server: SslContext,
    client: SslContext,
    client_of_tls12: SslContext,
    client_of_strangers: SslContext,
}

impl Contexts {
    fn new(cert: &[u8], key: &[u8]) -> io::Result<Contexts> {
        let server = SslContext::new(Purpose::ClientAuth)?;
        server.load_cert_chain_bytes(cert, key, None)?;
        let client = || {
            let context = SslContext::new(Purpose::ServerAuth)?;
            context.load_verify_locations(VerifyLocation::Bytes(cert))?;
            io::Result::Ok(context)
        };
        let client_of_tls12 = client()?;
        client_of_tls12.set_maximum_version(TlsVersion::Tls12)?;
        Ok(Contexts {
            server,
            client: client()?,
            client_of_tls12,
            client_of_strangers: SslContext::new(Purpose::ServerAuth)?,
        })
    }
}

type Scene = fn() -> Result<(), Failure>;

pub fn play(stage: &mut Stage) {
    stage.act(
        "Secrecy",
        "The same over TLS, with a certificate made a moment ago. A cut is told from an end, and\n\
         no peer can make us wait for a handshake or for a farewell.",
    );
    stage.check("200 clients shake hands at once, 1.2 and 1.3", handshakes);
    stage.check("4 connections, bulk both ways at once", bulk);
    let scenes: [(&str, &str, Scene); 11] = [
        ("closes", "end of stream, cleanly", closes),
        (
            "closes its sending half, reads on",
            "end of stream; our words still arrive",
            half_closes,
        ),
        (
            "goes back to plain text with us",
            "its close_notify, then its words in the clear",
            goes_back_to_plain,
        ),
        (
            "is cut off without close_notify",
            "UnexpectedEof",
            is_cut_off,
        ),
        ("resets", "ConnectionReset", resets),
        (
            "falls silent while we read",
            "TimedOut; usable after",
            falls_silent,
        ),
        (
            "falls silent before the handshake",
            "TimedOut",
            silent_from_the_start,
        ),
        (
            "goes in the midst of the handshake",
            "UnexpectedEof",
            goes_in_handshake,
        ),
        ("does not speak TLS", "InvalidData", is_plain),
        (
            "is somebody whom we do not trust",
            "InvalidData",
            is_a_stranger,
        ),
        (
            "is fine: a sibling closes our socket",
            "NotConnected",
            closed_by_sibling,
        ),
    ];
    for (what, sees, scene) in scenes {
        stage.check(what, move |progress| many(CAST, sees, scene, progress));
    }
    stage.check("50 clients, a server that breaks down", reconnects);
}

fn handshakes(progress: &Arc<Progress>) -> Outcome {
    let (address, server) = serve(|tls, _| echo(tls))?;
    let clients: Vec<_> = (0..HANDSHAKES)
        .map(|number| {
            let progress = progress.clone();
            thread::spawn(move || -> io::Result<()> {
                let contexts = &*CONTEXTS;
                let context = match number % 2 {
                    0 => &contexts.client,
                    _ => &contexts.client_of_tls12,
                };
                let tls = context.connect(TcpStream::connect(address)?, "localhost")?;
                tls.set_read_timeout(Some(PATIENCE))?;
                exchange(&tls, &mut Random::new(number), 1000)?;
                progress.add(1);
                tls.shutdown_write()?;
                match (&tls).read(&mut [0])? {
                    0 if tls.peer_closed_cleanly() => Ok(()),
                    _ => Err(io::Error::other("no clean end")),
                }
            })
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| "a client panicked")??;
    }
    server.kill()?;
    Ok("each with a message there and back, and a clean end".to_owned())
}

/// Both ends of every connection send and receive at the same time.
fn bulk(progress: &Arc<Progress>) -> Outcome {
    let begun = Instant::now();
    let mut players = Vec::new();
    for number in 0..BULK_CONNECTIONS {
        let (ours, theirs) = tls_pair()?;
        for (end, tls) in [ours, theirs].into_iter().enumerate() {
            tls.set_read_timeout(Some(PATIENCE))?;
            tls.set_write_timeout(Some(PATIENCE))?;
            let (mut reader, mut writer) = tls.split();
            let mut random = Random::new(2 * number + end);
            players.push(thread::spawn(move || {
                let mut frame = Vec::new();
                for _ in 0..BULK_FRAMES {
                    make_frame(&mut frame, &mut random, FRAME_BYTES);
                    writer.write_all(&frame)?;
                }
                writer.get_ref().shutdown_write().map(|()| 0)
            }));
            let progress = progress.clone();
            players.push(thread::spawn(move || {
                let (mut frame, mut frames) = (Vec::new(), 0);
                while read_frame(&mut reader, &mut frame)? {
                    frames += 1;
                    progress.add(frame.len() as u64);
                }
                Ok(frames)
            }));
        }
    }
    let mut frames = 0;
    for player in players {
        frames += player.join().map_err(|_| "an end panicked")??;
    }
    if frames != 2 * BULK_CONNECTIONS * BULK_FRAMES {
        return Err(format!("{frames} frames arrived").into());
    }
    let rate = progress.done() as f64 / begun.elapsed().as_secs_f64();
    let total = bytes(progress.done());
    Ok(format!(
        "{total}, {}/s, every checksum right",
        bytes(rate as u64)
    ))
}

fn closes() -> Result<(), Failure> {
    let (ours, theirs) = tls_pair()?;
    soon(move || theirs.close());
    expect_end(read(&ours))?;
    expect_end(read(&ours))?;
    match ours.peer_closed_cleanly() {
        true => Ok(()),
        false => Err("the end does not count as clean".into()),
    }
}

fn half_closes() -> Result<(), Failure> {
    let (ours, theirs) = tls_pair()?;
    let peer = thread::spawn(move || -> io::Result<Vec<u8>> {
        theirs.shutdown_write()?;
        let mut heard = Vec::new();
        (&theirs).read_to_end(&mut heard)?;
        Ok(heard)
    });
    expect_end(read(&ours))?;
    (&ours).write_all(b"still here")?;
    drop(ours);
    match peer.join().map_err(|_| "the peer panicked")??.as_slice() {
        b"still here" => Ok(()),
        heard => Err(format!("the peer heard {heard:?}").into()),
    }
}

fn goes_back_to_plain() -> Result<(), Failure> {
    let (ours, theirs) = tls_pair()?;
    let peer = thread::spawn(move || -> io::Result<()> {
        let plain = theirs.unwrap(Some(PATIENCE))?;
        TcpStream::from(plain.socket).write_all(b"in the clear")
    });
    let plain = ours.unwrap(Some(PATIENCE))?;
    let mut heard = plain.unread;
    TcpStream::from(plain.socket).read_to_end(&mut heard)?;
    peer.join().map_err(|_| "the peer panicked")??;
    match (plain.peer_closed_cleanly, heard.as_slice()) {
        (true, b"in the clear") => Ok(()),
        other => Err(format!("heard {other:?}").into()),
    }
}

fn is_cut_off() -> Result<(), Failure> {
    let (ours, theirs) = tls_pair()?;
    soon(move || drop(theirs.get_ref().shutdown(Shutdown::Both)));
    expect(read(&ours), &[ErrorKind::UnexpectedEof])?;
    expect(read(&ours), &[ErrorKind::UnexpectedEof])
}

fn resets() -> Result<(), Failure> {
    let (ours, theirs) = tls_pair()?;
    soon(move || {
        let _ = theirs.get_ref().set_linger(Some(Duration::ZERO));
        theirs.get_ref().close();
    });
    expect(read(&ours), &[ErrorKind::ConnectionReset])?;
    expect(read(&ours), &[ErrorKind::ConnectionReset])
}

fn falls_silent() -> Result<(), Failure> {
    let (ours, theirs) = tls_pair()?;
    ours.set_read_timeout(Some(LIMIT))?;
    expect_at(LIMIT, || expect(read(&ours), &[ErrorKind::TimedOut]))?;
    (&theirs).write_all(b"late")?;
    let mut heard = [0; 4];
    (&ours).read_exact(&mut heard)?;
    Ok(())
}

fn silent_from_the_start() -> Result<(), Failure> {
    let (ours, _theirs) = pair()?;
    let ours = CONTEXTS.client.wrap_socket(ours, Some("localhost"))?;
    ours.set_handshake_timeout(Some(LIMIT))?;
    let shake_hands = || expect(ours.do_handshake().map(|()| 0), &[ErrorKind::TimedOut]);
    expect_at(LIMIT, shake_hands)
}

fn goes_in_handshake() -> Result<(), Failure> {
    let (ours, mut theirs) = pair()?;
    thread::spawn(move || -> io::Result<()> {
        // The first message is longer than this, so some of it is left; that makes it a reset
        // unless it is read to its end.
        theirs.read_exact(&mut [0; 100])?;
        theirs.shutdown(Shutdown::Write)?;
        theirs.read_to_end(&mut Vec::new()).map(drop)
    });
    expect(shake_hands(ours), &[ErrorKind::UnexpectedEof])
}

fn is_plain() -> Result<(), Failure> {
    let (ours, mut theirs) = pair()?;
    theirs.write_all(b"220 mail.example.org ESMTP\r\n")?;
    expect(shake_hands(ours), &[ErrorKind::InvalidData])
}

fn is_a_stranger() -> Result<(), Failure> {
    let (ours, theirs) = pair()?;
    let peer = thread::spawn(move || CONTEXTS.server.accept(theirs)?.do_handshake());
    let result = CONTEXTS.client_of_strangers.connect(ours, "localhost");
    expect(result.map(|_| 0), &[ErrorKind::InvalidData])?;
    // It hears from us why.
    let heard = peer.join().map_err(|_| "the peer panicked")?;
    expect(heard.map(|()| 0), &[ErrorKind::InvalidData])
}

fn closed_by_sibling() -> Result<(), Failure> {
    let (ours, _theirs) = tls_pair()?;
    let sibling = ours.try_clone()?;
    soon(move || sibling.close());
    expect(read(&ours), &[ErrorKind::NotConnected])
}

/// Clients whose every question is answered rightly, over as many connections as that takes.
fn reconnects(progress: &Arc<Progress>) -> Outcome {
    let (address, server) = serve(break_down)?;
    let retries = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (retries, progress) = (retries.clone(), progress.clone());
            thread::spawn(move || ask(number, address, &retries, &progress))
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| "a client panicked")??;
    }
    server.kill()?;
    let retries = count(retries.load(SeqCst));
    Ok(format!("1,000 questions answered, {retries} reconnects"))
}

fn ask(
    number: u64,
    address: SocketAddr,
    retries: &AtomicU64,
    progress: &Progress,
) -> io::Result<()> {
    let mut server = Reconnect::new(|| {
        let tcp = TcpStream::connect(address)?;
        CONTEXTS.client.connect(tcp, "localhost")
    })
    .use_limit(Duration::from_millis(500))
    .pauses(Duration::from_millis(1)..=Duration::from_millis(50))
    .attempts(100)
    .on_retry(|_, _, _| {
        retries.fetch_add(1, SeqCst);
    });
    for question in 0..QUESTIONS {
        let question = number * QUESTIONS + question;
        let answer = server.run(|tls| {
            tls.write_all(&question.to_le_bytes())?;
            let mut answer = [0; 8];
            tls.read_exact(&mut answer)?;
            Ok(u64::from_le_bytes(answer))
        })?;
        if answer != question * 2 {
            return Err(io::Error::other("a wrong answer"));
        }
        progress.add(1);
    }
    Ok(())
}

/// Answers some questions, then breaks down in one of the ways there are.
fn break_down(mut tls: &GreenSslSocket, number: usize) -> io::Result<()> {
    let mut random = Random::new(number);
    for _ in 0..random.below(10) {
        let mut question = [0; 8];
        tls.read_exact(&mut question)?;
        let answer = u64::from_le_bytes(question) * 2;
        tls.write_all(&answer.to_le_bytes())?;
    }
    match random.below(4) {
        0 => tls.close(),
        1 => tls.get_ref().close(),
        2 => {
            tls.get_ref().set_linger(Some(Duration::ZERO))?;
            tls.get_ref().close();
        }
        // Silence, until the client has had enough.
        _ => drop(tls.read_to_end(&mut Vec::new())),
    }
    Ok(())
}

/// A server that serves its connections, which it counts, until it is killed.
fn serve(
    work: fn(&GreenSslSocket, usize) -> io::Result<()>,
) -> io::Result<(SocketAddr, thread::JoinHandle<()>)> {
    let listener = green::listen("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let listener = CONTEXTS.server.wrap_listener(listener);
    let server = thread::spawn(move || {
        for (number, tls) in listener.incoming().flatten().enumerate() {
            thread::spawn(move || work(&tls, number));
        }
    });
    Ok((address, server))
}

/// Both ends of a new TLS connection.
fn tls_pair() -> Result<(GreenSslSocket, GreenSslSocket), Failure> {
    let (ours, theirs) = pair()?;
    let theirs = thread::spawn(move || {
        let theirs = CONTEXTS.server.accept(theirs)?;
        theirs.do_handshake().map(|()| theirs)
    });
    let ours = CONTEXTS.client.connect(ours, "localhost")?;
    let theirs = theirs.join().map_err(|_| "the peer panicked")??;
    Ok((ours, theirs))
}

fn shake_hands(ours: TcpStream) -> io::Result<usize> {
    CONTEXTS.client.connect(ours, "localhost").map(|_| 0)
}

fn read(mut tls: &GreenSslSocket) -> io::Result<usize> {
    tls.read(&mut [0; 64])
}
