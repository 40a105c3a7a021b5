//! The client: one question after the other, over as many connections as that takes.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::net::TcpStream;
use green::reconnect::{Presence, Reconnect};
use green::thread;

/// How long the server may take to accept us, and to answer.
pub const LIMIT: Duration = Duration::from_millis(500);
/// The longest time between two attempts.
pub const PAUSE_MAX: Duration = Duration::from_millis(500);
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// How long the server may be away before we give up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(100);

/// A client on a green thread of its own, until it is dropped.
pub struct Client {
    counts: Arc<Counts>,
    thread: thread::JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    answers: AtomicU64,
    failures: AtomicU64,
}

impl Client {
    pub fn start(address: SocketAddr) -> Client {
        let counts = Arc::new(Counts::default());
        let thread = thread::spawn({
            let counts = counts.clone();
            move || ask(address, &counts)
        });
        Client { counts, thread }
    }

    pub fn answers(&self) -> u64 {
        self.counts.answers.load(SeqCst)
    }

    pub fn failures(&self) -> u64 {
        self.counts.failures.load(SeqCst)
    }

    /// Waits until `count` is at least `enough`.
    pub fn wait_for(
        &self,
        what: &str,
        count: impl Fn(&Client) -> u64,
        enough: u64,
    ) -> Result<(), String> {
        let begun = Instant::now();
        while count(self) < enough {
            if begun.elapsed() > GIVE_UP_AFTER || self.thread.is_finished() {
                return Err(format!("the client is not {what}"));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.thread.kill();
    }
}

fn ask(address: SocketAddr, counts: &Counts) {
    let begun = Instant::now();
    let log = |words: String| println!("{:7.3} s  {words}", begun.elapsed().as_secs_f64());
    let mut server = Reconnect::new(|| {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        // For the times between questions, when no limit of ours runs.
        Presence::SWIFT.apply(&stream)?;
        Ok(stream)
    })
    .open_limit(LIMIT)
    .use_limit(LIMIT)
    .pauses(PAUSE_MIN..=PAUSE_MAX)
    .attempts(None)
    .total_limit(GIVE_UP_AFTER)
    .on_open(|stream| {
        let ours = stream.local_addr().map_or(0, |ours| ours.port());
        log(format!("connected to {address} from port {ours}"));
    })
    .on_retry(|attempt, error, pause| {
        counts.failures.fetch_add(1, SeqCst);
        let pause = pause.as_millis();
        log(format!("attempt {attempt}: {error}; again in {pause} ms"));
    });
    for question in 0_u64.. {
        let answer = server.run(|stream| {
            stream.write_all(format!("{question:09}\n").as_bytes())?;
            let mut answer = [0; 10];
            stream.read_exact(&mut answer)?;
            Ok(answer)
        });
        match answer {
            Ok(answer) if answer == *format!("{question:09}\n").as_bytes() => {
                counts.answers.fetch_add(1, SeqCst);
            }
            Ok(answer) => return log(format!("wrong answer: {answer:?}")),
            Err(gave_up) => return log(gave_up.to_string()),
        }
        thread::sleep(BETWEEN_QUESTIONS);
    }
}
