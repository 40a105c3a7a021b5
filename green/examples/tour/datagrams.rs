//! Last act: the other sockets. UDP, and Unix sockets with a path, with an abstract name, and in
//! pairs.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddress;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green::net::UdpSocket;
use green::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use green::thread;

use crate::payload::{self, Random};
use crate::screen::count;
use crate::stage::{Failure, Outcome, Progress, Stage};

const PAIRS: usize = 100;
const ROUNDS: usize = 100;
/// Fits into a datagram everywhere.
const BYTES_MAX: usize = 1200;
const PATIENCE: Duration = Duration::from_secs(10);

pub fn play(stage: &mut Stage) {
    stage.act(
        "Other sockets",
        "UDP over IPv4, and Unix sockets by path, by abstract name and in pairs.",
    );
    stage.check("UDP: 100 pairs, 100 datagrams to and fro each", udp);
    stage.check("Unix stream sockets, at a path", unix_path);
    stage.check("Unix stream sockets, with an abstract name", unix_abstract);
    stage.check("Unix datagram sockets, in pairs", unix_datagrams);
}

fn udp(progress: &Arc<Progress>) -> Outcome {
    in_pairs(progress, |number, progress| {
        let (left, right) = (
            UdpSocket::bind("127.0.0.1:0")?,
            UdpSocket::bind("127.0.0.1:0")?,
        );
        left.connect(right.local_addr()?)?;
        right.connect(left.local_addr()?)?;
        left.set_read_timeout(Some(PATIENCE))?;
        right.set_read_timeout(Some(PATIENCE))?;
        let echo = thread::spawn(move || {
            echo_datagrams(|buffer| right.recv(buffer), |bytes| right.send(bytes))
        });
        exchange_datagrams(
            number,
            progress,
            |buffer| left.recv(buffer),
            |bytes| left.send(bytes),
        )?;
        joined(echo.join())
    })
}

fn unix_datagrams(progress: &Arc<Progress>) -> Outcome {
    in_pairs(progress, |number, progress| {
        let (left, right) = UnixDatagram::pair()?;
        left.set_read_timeout(Some(PATIENCE))?;
        right.set_read_timeout(Some(PATIENCE))?;
        let echo = thread::spawn(move || {
            echo_datagrams(|buffer| right.recv(buffer), |bytes| right.send(bytes))
        });
        exchange_datagrams(
            number,
            progress,
            |buffer| left.recv(buffer),
            |bytes| left.send(bytes),
        )?;
        joined(echo.join())
    })
}

fn unix_path(progress: &Arc<Progress>) -> Outcome {
    let name = format!("green-tour-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    let outcome = unix_streams(progress, UnixListener::bind(&path)?);
    std::fs::remove_file(&path)?;
    outcome
}

fn unix_abstract(progress: &Arc<Progress>) -> Outcome {
    let name = format!("green-tour-{}", std::process::id());
    let address = UnixAddress::from_abstract_name(name)?;
    unix_streams(progress, UnixListener::bind_addr(&address)?)
}

fn unix_streams(progress: &Arc<Progress>, listener: UnixListener) -> Outcome {
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().take(PAIRS).flatten() {
            thread::spawn(move || payload::echo(&stream));
        }
    });
    in_pairs(progress, move |number, progress| {
        let stream = UnixStream::connect_addr(&address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut random = Random::new(number);
        for _ in 0..ROUNDS {
            let len = random.below(BYTES_MAX);
            payload::exchange(&stream, &mut random, len)?;
            progress.add(1);
        }
        Ok(())
    })
}

/// Plays `play` with many pairs of sockets at once.
fn in_pairs(
    progress: &Arc<Progress>,
    play: impl Fn(usize, &Progress) -> Result<(), Failure> + Send + Sync + 'static,
) -> Outcome {
    let begun = Instant::now();
    let play = Arc::new(play);
    let pairs: Vec<_> = (0..PAIRS)
        .map(|number| {
            let (play, progress) = (play.clone(), progress.clone());
            thread::spawn(move || play(number, &progress))
        })
        .collect();
    for pair in pairs {
        joined(pair.join())?;
    }
    let per_second = (PAIRS * ROUNDS) as f64 / begun.elapsed().as_secs_f64();
    let (rounds, per_second) = (count((PAIRS * ROUNDS) as u64), count(per_second as u64));
    Ok(format!("{rounds} there and back, {per_second}/s"))
}

fn joined<E: Into<Failure>>(result: Result<Result<(), E>, impl Sized>) -> Result<(), Failure> {
    result
        .map_err(|_| "a green thread panicked")?
        .map_err(Into::into)
}

/// Sends datagrams and sees each of them come back the same.
fn exchange_datagrams(
    number: usize,
    progress: &Progress,
    receive: impl Fn(&mut [u8]) -> io::Result<usize>,
    send: impl Fn(&[u8]) -> io::Result<usize>,
) -> Result<(), Failure> {
    let (mut random, mut sent, mut buffer) = (Random::new(number), Vec::new(), [0; 2048]);
    for _ in 0..ROUNDS {
        let len = random.below(BYTES_MAX);
        payload::make_frame(&mut sent, &mut random, len);
        send(&sent)?;
        let len = receive(&mut buffer)?;
        payload::check_frame(&buffer[..len])?;
        if buffer[..len] != sent {
            return Err("another datagram came back".into());
        }
        progress.add(1);
    }
    Ok(())
}

fn echo_datagrams(
    receive: impl Fn(&mut [u8]) -> io::Result<usize>,
    send: impl Fn(&[u8]) -> io::Result<usize>,
) -> io::Result<()> {
    let mut buffer = [0; 2048];
    for _ in 0..ROUNDS {
        let len = receive(&mut buffer)?;
        payload::check_frame(&buffer[..len])?;
        send(&buffer[..len])?;
    }
    Ok(())
}
