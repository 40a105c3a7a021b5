//! Fourth act: peers that go away, in every way a TCP peer can go.
//!
//! Each scene is played many times at once. What our side must see is what the same program over
//! `std::net` would see; what must never happen is that it goes on waiting.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use green::greenio::GreenSocket;
use green::net::{Shutdown, TcpListener, TcpStream};
use green::thread;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::screen::time;
use crate::stage::{CHECK_LIMIT, Failure, Outcome, Progress, Stage};

/// How often each scene is played, all at once.
const CAST: usize = 100;
/// The scenes that cost a process each are played less often.
const CAST_OF_PROCESSES: usize = 5;
/// Time for the other side to be waiting already when something happens to it.
const SOON: Duration = Duration::from_millis(30);
/// The time limits that our side sets where only they can help.
const LIMIT: Duration = Duration::from_millis(100);

type Scene = fn() -> Result<(), Failure>;

pub fn play(stage: &mut Stage) {
    stage.act(
        "Departures",
        "Every way in which a peer can go away, each of them a hundred times at once.\n\
         On the left what the peer does, on the right what our blocked call returns.",
    );
    let scenes: [(&str, usize, &str, Scene); 18] = [
        ("closes", CAST, "end of stream, and again", closes),
        (
            "closes its sending half, reads on",
            CAST,
            "end of stream; our words still arrive",
            half_closes,
        ),
        (
            "resets while we read",
            CAST,
            "ConnectionReset",
            resets_reader,
        ),
        (
            "resets while we write",
            CAST,
            "ConnectionReset or BrokenPipe",
            resets_writer,
        ),
        (
            "sends, then resets before we read",
            CAST,
            "the data first, then ConnectionReset",
            sends_then_resets,
        ),
        (
            "closes without reading what we sent",
            CAST,
            "ConnectionReset",
            closes_unread,
        ),
        (
            "has closed, and we write on",
            CAST,
            "BrokenPipe, no signal",
            closed_and_written_to,
        ),
        (
            "falls silent while we read",
            CAST,
            "WouldBlock at the read timeout; usable after",
            silent_for_reader,
        ),
        (
            "falls silent while we write",
            CAST,
            "WouldBlock at the write timeout",
            silent_for_writer,
        ),
        (
            "stops within a message",
            CAST,
            "UnexpectedEof",
            stops_midway,
        ),
        (
            "is a process and gets killed",
            CAST_OF_PROCESSES,
            "end of stream or ConnectionReset",
            process_killed,
        ),
        ("was never there", CAST, "ConnectionRefused", refuses),
        (
            "listens, but never accepts; queue full",
            CAST,
            "TimedOut at the connect timeout",
            backlog_full,
        ),
        (
            "stops listening with us in its queue",
            CAST,
            "ConnectionReset",
            listener_gone,
        ),
        (
            "is fine: a sibling shuts our socket down",
            CAST,
            "end of stream",
            shut_down_by_sibling,
        ),
        (
            "is fine: a sibling closes our socket",
            CAST,
            "NotConnected: closed here, no end, no reset",
            closed_by_sibling,
        ),
        (
            "is fine: a sibling stops our listener",
            CAST,
            "InvalidInput from accept",
            listener_shut_down,
        ),
        (
            "dies over and over, we reconnect at once",
            CAST,
            "ten connections, ten ends noticed",
            comes_back,
        ),
    ];
    for (what, cast, sees, scene) in scenes {
        stage.check(what, move |progress| many(cast, sees, scene, progress));
    }
}

/// What `tour --peer ADDRESS` is: a process that connects and waits to be killed.
pub fn be_a_peer(address: &str) -> ExitCode {
    let Ok(_stream) = std::net::TcpStream::connect(address) else {
        return ExitCode::FAILURE;
    };
    std::thread::sleep(CHECK_LIMIT);
    ExitCode::FAILURE
}

/// Plays one scene `cast` times at once. All must end well; the stage sees to it that they end.
pub fn many(cast: usize, sees: &str, scene: Scene, progress: &Arc<Progress>) -> Outcome {
    let mut players = Vec::new();
    for _ in 0..cast {
        let progress = progress.clone();
        players.push(thread::spawn(move || {
            let result = scene();
            progress.add(1);
            result
        }));
    }
    for player in players {
        player.join().map_err(|_| "a scene panicked")??;
    }
    Ok(format!("{sees}   ({cast} of {cast})"))
}

fn closes() -> Result<(), Failure> {
    let (ours, theirs) = pair()?;
    soon(move || drop(theirs));
    expect_end(read(&ours))?;
    expect_end(read(&ours))
}

fn half_closes() -> Result<(), Failure> {
    let (ours, theirs) = pair()?;
    let peer = thread::spawn(move || -> io::Result<Vec<u8>> {
        thread::sleep(SOON);
        theirs.shutdown(Shutdown::Write)?;
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

fn resets_reader() -> Result<(), Failure> {
    let (ours, theirs) = pair()?;
    soon(move || reset(theirs));
    expect(read(&ours), &[ErrorKind::ConnectionReset])
}

fn resets_writer() -> Result<(), Failure> {
    let (ours, theirs) = pair()?;
    soon(move || reset(theirs));
    expect(
        write_on(&ours),
        &[ErrorKind::ConnectionReset, ErrorKind::BrokenPipe],
    )
}

fn sends_then_resets() -> Result<(), Failure> {
    let (ours, mut theirs) = pair()?;
    theirs.write_all(b"hello")?;
    reset(theirs);
    let mut heard = [0; 5];
    (&ours).read_exact(&mut heard)?;
    expect(read(&ours), &[ErrorKind::ConnectionReset])
}

fn closes_unread() -> Result<(), Failure> {
    let (ours, theirs) = pair()?;
    (&ours).write_all(b"never read")?;
    soon(move || drop(theirs));
    expect(read(&ours), &[ErrorKind::ConnectionReset])
}

fn closed_and_written_to() -> Result<(), Failure> {
    let (ours, theirs) = pair()?;
    drop(theirs);
    // The first write is what makes the peer's kernel say that nobody is there.
    (&ours).write_all(b"hello?")?;
    thread::sleep(SOON);
    expect((&ours).write(b"hello?"), &[ErrorKind::BrokenPipe])
}

fn silent_for_reader() -> Result<(), Failure> {
    let (ours, mut theirs) = pair()?;
    ours.set_read_timeout(Some(LIMIT))?;
    expect_at(LIMIT, || expect(read(&ours), &[ErrorKind::WouldBlock]))?;
    theirs.write_all(b"late")?;
    let mut heard = [0; 4];
    (&ours).read_exact(&mut heard)?;
    Ok(())
}

fn silent_for_writer() -> Result<(), Failure> {
    let (ours, _theirs) = pair()?;
    ours.set_write_timeout(Some(LIMIT))?;
    expect(write_on(&ours), &[ErrorKind::WouldBlock])
}

fn stops_midway() -> Result<(), Failure> {
    let (ours, mut theirs) = pair()?;
    theirs.write_all(b"half of")?;
    soon(move || drop(theirs));
    let mut message = [0; 14];
    expect(
        (&ours).read_exact(&mut message).map(|()| 14),
        &[ErrorKind::UnexpectedEof],
    )
}

fn process_killed() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut peer = Command::new(std::env::current_exe()?)
        .args(["--peer", &listener.local_addr()?.to_string()])
        .spawn()?;
    let (ours, _) = listener.accept()?;
    soon(move || {
        let _ = peer.kill();
        // Waiting for a process blocks the OS thread, so it is done on one that may be blocked.
        let _ = green::blocking(move || peer.wait());
    });
    match read(&ours) {
        Ok(0) => Ok(()),
        result => expect(result, &[ErrorKind::ConnectionReset]),
    }
}

fn refuses() -> Result<(), Failure> {
    // Bound, so that the port is nobody else's, but not listening.
    let nobody = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    nobody.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0))))?;
    let address = nobody.local_addr()?.as_socket().ok_or("no address")?;
    expect(
        TcpStream::connect(address).map(|_| 0),
        &[ErrorKind::ConnectionRefused],
    )
}

fn backlog_full() -> Result<(), Failure> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0))))?;
    listener.listen(0)?;
    let address = listener.local_addr()?.as_socket().ok_or("no address")?;
    let mut queued = Vec::new();
    for _ in 0..8 {
        let begun = Instant::now();
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(stream) => queued.push(stream),
            result => {
                let at_limit = begun.elapsed() >= LIMIT;
                expect(result.map(|_| 0), &[ErrorKind::TimedOut])?;
                return if at_limit {
                    Ok(())
                } else {
                    Err("too soon".into())
                };
            }
        }
    }
    Err("the queue never filled".into())
}

fn listener_gone() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let ours = TcpStream::connect(listener.local_addr()?)?;
    soon(move || drop(listener));
    expect(read(&ours), &[ErrorKind::ConnectionReset])
}

fn shut_down_by_sibling() -> Result<(), Failure> {
    let (ours, _theirs) = pair()?;
    let sibling = ours.try_clone()?;
    soon(move || drop(sibling.shutdown(Shutdown::Both)));
    expect_end(read(&ours))
}

/// std's types have no way to close while others hold the stream; the socket beneath them has.
fn closed_by_sibling() -> Result<(), Failure> {
    let (ours, _theirs) = pair()?;
    let ours = GreenSocket::from(std::net::TcpStream::from(OwnedFd::from(ours)));
    let sibling = ours.try_clone()?;
    soon(move || sibling.close());
    expect((&ours).read(&mut [0; 64]), &[ErrorKind::NotConnected])
}

fn listener_shut_down() -> Result<(), Failure> {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0")?);
    let sibling = listener.clone();
    soon(move || drop(SockRef::from(&*sibling).shutdown(Shutdown::Both)));
    expect(listener.accept().map(|_| 0), &[ErrorKind::InvalidInput])
}

fn comes_back() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let peer = thread::spawn(move || -> io::Result<()> {
        for round in 0..10 {
            let (stream, _) = listener.accept()?;
            match round % 2 {
                0 => drop(stream),
                _ => reset(stream),
            }
        }
        Ok(())
    });
    for _ in 0..10 {
        // The peer may be gone before we know that we are connected.
        match TcpStream::connect(address).and_then(|stream| read(&stream)) {
            Ok(0) => {}
            result => expect(result, &[ErrorKind::ConnectionReset])?,
        }
    }
    peer.join()
        .map_err(|_| "the peer panicked")?
        .map_err(Failure::from)
}

/// Both ends of a new connection.
pub fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let ours = TcpStream::connect(listener.local_addr()?)?;
    let (theirs, _) = listener.accept()?;
    Ok((ours, theirs))
}

/// Does something a little later, while the caller waits for it to happen.
pub fn soon(action: impl FnOnce() + Send + 'static) {
    thread::spawn(move || {
        thread::sleep(SOON);
        action();
    });
}

/// Closes with a reset instead of an orderly end.
pub fn reset(stream: TcpStream) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

fn read(mut stream: &TcpStream) -> io::Result<usize> {
    stream.read(&mut [0; 64])
}

/// Writes until something stops it.
fn write_on(mut stream: &TcpStream) -> io::Result<usize> {
    loop {
        stream.write_all(&[0; 16 * 1024])?;
    }
}

pub fn expect_end(result: io::Result<usize>) -> Result<(), Failure> {
    match result {
        Ok(0) => Ok(()),
        other => Err(format!("expected the end of the stream, got {other:?}").into()),
    }
}

pub fn expect(result: io::Result<usize>, kinds: &[ErrorKind]) -> Result<(), Failure> {
    match result {
        Err(error) if kinds.contains(&error.kind()) => Ok(()),
        other => Err(format!("expected {kinds:?}, got {other:?}").into()),
    }
}

/// Checks that `wait` does not end before its limit.
pub fn expect_at(
    limit: Duration,
    wait: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    wait()?;
    match begun.elapsed() {
        took if took >= limit => Ok(()),
        took => Err(format!("a limit of {} passed after {}", time(limit), time(took)).into()),
    }
}
