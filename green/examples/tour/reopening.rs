//! Sixth act: clients that guard their connections with timeouts and reopen them, against a server
//! that goes away in the middle of its work, each time in another way.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use green::net::{TcpListener, TcpStream};
use green::thread;

use crate::departures::reset;
use crate::payload::Random;
use crate::screen::count;
use crate::stage::{Outcome, Progress, Stage};

const CLIENTS: usize = 200;
const REQUESTS: u64 = 50;
/// How long a client waits for an answer before it takes the server for gone.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long it waits before it tries again.
const BACK_OFF: Duration = Duration::from_millis(5);
/// The server is away altogether for so long, this often.
const OUTAGE: Duration = Duration::from_millis(100);
const OUTAGES: usize = 5;

/// Why connections were reopened.
#[derive(Debug, Default)]
struct Reasons {
    ended: AtomicUsize,
    reset: AtomicUsize,
    silent: AtomicUsize,
    refused: AtomicUsize,
}

pub fn play(stage: &mut Stage) {
    stage.act(
        "Reopening",
        "200 clients put 50 questions each to a server that keeps breaking down: it closes,\n\
         resets, falls silent, answers by halves, and at times is not there at all.",
    );
    stage.check("10,000 questions, every one answered rightly", questions);
}

fn questions(progress: &Arc<Progress>) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || break_down_now_and_then(listener, address));
    let reasons = Arc::new(Reasons::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (reasons, progress) = (reasons.clone(), progress.clone());
            thread::spawn(move || ask(number as u64, address, &reasons, &progress))
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| "a client panicked")??;
    }
    // It would accept for ever.
    server.kill()?;
    let of = |reason: &AtomicUsize| reason.load(SeqCst) as u64;
    Ok(format!(
        "reopened after {} ends, {} resets, {} silences, {} refusals",
        count(of(&reasons.ended)),
        count(of(&reasons.reset)),
        count(of(&reasons.silent)),
        count(of(&reasons.refused)),
    ))
}

/// Asks all its questions, over as many connections as that takes.
fn ask(number: u64, address: SocketAddr, reasons: &Reasons, progress: &Progress) -> io::Result<()> {
    let mut connection = None;
    for question in 0..REQUESTS {
        let question = number * REQUESTS + question;
        loop {
            match ask_once(&mut connection, address, question) {
                Ok(answer) if answer == question * 2 => break,
                Ok(answer) => {
                    let wrong = format!("twice {question} is not {answer}");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, wrong));
                }
                Err(error) => {
                    let reason = match error.kind() {
                        io::ErrorKind::UnexpectedEof => &reasons.ended,
                        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                            &reasons.reset
                        }
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => &reasons.silent,
                        io::ErrorKind::ConnectionRefused => &reasons.refused,
                        _ => return Err(error),
                    };
                    reason.fetch_add(1, SeqCst);
                    connection = None;
                    thread::sleep(BACK_OFF);
                }
            }
        }
        progress.add(1);
    }
    Ok(())
}

/// One question and its answer, over the connection there is or a new one.
fn ask_once(
    connection: &mut Option<TcpStream>,
    address: SocketAddr,
    question: u64,
) -> io::Result<u64> {
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            connection.insert(stream)
        }
    };
    stream.write_all(&question.to_le_bytes())?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer)?;
    Ok(u64::from_le_bytes(answer))
}

/// Serves, and now and then closes even the listener for a while.
fn break_down_now_and_then(mut listener: TcpListener, address: SocketAddr) -> io::Result<()> {
    let mut random = Random::new(0);
    for accepted in 0.. {
        let (stream, _) = listener.accept()?;
        let seed = random.below(usize::MAX);
        thread::spawn(move || answer(stream, Random::new(seed)));
        if accepted % 150 == 149 && accepted / 150 < OUTAGES {
            drop(listener);
            thread::sleep(OUTAGE);
            listener = TcpListener::bind(address)?;
        }
    }
    Ok(())
}

/// Answers some questions, then breaks down in one of the ways there are.
fn answer(mut stream: TcpStream, mut random: Random) -> io::Result<()> {
    for _ in 0..random.below(20) {
        let mut question = [0; 8];
        stream.read_exact(&mut question)?;
        let answer = u64::from_le_bytes(question) * 2;
        stream.write_all(&answer.to_le_bytes())?;
    }
    match random.below(4) {
        0 => drop(stream),
        1 => reset(stream),
        2 => stream.write_all(&[0; 3])?,
        _ => {
            // Silence, for longer than any client bears it; then the connection goes as well.
            stream.read_to_end(&mut Vec::new())?;
        }
    }
    Ok(())
}
