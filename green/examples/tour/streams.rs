//! Third act: streams at full speed, and a neighbour who must not be starved by them.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::net::{Shutdown, TcpStream};
use green::thread;

use crate::payload::Random;
use crate::screen::{bytes, time};
use crate::stage::{Outcome, Progress, Stage};

const STREAMS: usize = 8;
const LENGTH: Duration = Duration::from_secs(2);
const BLOCK_BYTES: usize = 64 * 1024;
const TICK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(10);

/// What one end of a stream has seen: how many bytes, and their checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tally {
    bytes: u64,
    checksum: u32,
}

pub fn play(stage: &mut Stage) {
    stage.act(
        "Streams",
        "Eight connections send as fast as they can, while a neighbour wants to wake up\n\
         every 5 ms. Nothing is pre-empted: who reads and writes gives way of its own accord.",
    );
    stage.check(
        "8 streams for 2 s, checksums compared at the end",
        stream_and_tick,
    );
}

fn stream_and_tick(progress: &Arc<Progress>) -> Outcome {
    let listener = green::listen("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let begun = Instant::now();
    let mut senders = Vec::new();
    for number in 0..STREAMS {
        let outgoing = TcpStream::connect(address)?;
        let (incoming, _) = listener.accept()?;
        let progress = progress.clone();
        thread::spawn(move || receive(&incoming));
        senders.push(thread::spawn(move || send(&outgoing, number, &progress)));
    }
    let over = Arc::new(AtomicBool::new(false));
    let ticker = thread::spawn({
        let over = over.clone();
        move || tick(&over)
    });
    let mut total = 0;
    for sender in senders {
        total += sender.join().map_err(|_| "a sender panicked")??.bytes;
    }
    let took = begun.elapsed();
    over.store(true, SeqCst);
    let (ticks, latest) = ticker.join().map_err(|_| "the ticker panicked")?;
    let due = took.as_millis() / TICK.as_millis();
    // On a busy machine it also competes with other processes, so few are forgiven; but without
    // any giving way it would not wake up at all.
    if u128::from(ticks) < due / 100 {
        return Err(format!("the neighbour woke up {ticks} times of {due}").into());
    }
    Ok(format!(
        "{}, {}/s; {ticks} of {due} ticks, the latest by {}",
        bytes(total),
        bytes((total as f64 / took.as_secs_f64()) as u64),
        time(latest),
    ))
}

/// Sends blocks until the time is over, then asks what has arrived.
fn send(mut stream: &TcpStream, number: usize, progress: &Progress) -> io::Result<Tally> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut random = Random::new(number);
    let mut block = vec![0; BLOCK_BYTES];
    random.fill(&mut block);
    let (mut hasher, mut sent) = (crc32fast::Hasher::new(), 0);
    let begun = Instant::now();
    while begun.elapsed() < LENGTH {
        let start = random.below(BLOCK_BYTES / 2);
        let end = start + 1 + random.below(BLOCK_BYTES - start);
        stream.write_all(&block[start..end])?;
        hasher.update(&block[start..end]);
        sent += (end - start) as u64;
        progress.add((end - start) as u64);
    }
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let tally = Tally {
        bytes: sent,
        checksum: hasher.finalize(),
    };
    match answer == tally.to_bytes() {
        true => Ok(tally),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the stream arrived damaged",
        )),
    }
}

/// Reads to the end of the stream and answers with what came.
fn receive(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = vec![0; BLOCK_BYTES];
    let (mut hasher, mut received) = (crc32fast::Hasher::new(), 0);
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            len => {
                hasher.update(&buffer[..len]);
                received += len as u64;
            }
        }
    }
    let tally = Tally {
        bytes: received,
        checksum: hasher.finalize(),
    };
    stream.write_all(&tally.to_bytes())
}

/// Counts how often it gets to wake up, and by how much it was late at worst.
fn tick(over: &AtomicBool) -> (u64, Duration) {
    let (mut ticks, mut latest) = (0, Duration::ZERO);
    while !over.load(SeqCst) {
        let slept = Instant::now();
        thread::sleep(TICK);
        latest = latest.max(slept.elapsed().saturating_sub(TICK));
        ticks += 1;
    }
    (ticks, latest)
}

impl Tally {
    fn to_bytes(self) -> Vec<u8> {
        [
            &self.bytes.to_le_bytes()[..],
            &self.checksum.to_le_bytes()[..],
        ]
        .concat()
    }
}
