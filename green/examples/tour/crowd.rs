//! First act: as many connections as the machine allows, with a green thread at each end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::net::{TcpListener, TcpStream};
use green::sync::{Condvar, Mutex};
use green::thread;

use crate::machine::{self, Usage};
use crate::payload::{self, Random};
use crate::screen::{bytes, count, time};
use crate::stage::{Failure, Outcome, Progress, Stage};

const TALK: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(1);
/// How many connect at the same time: a listener's queue is short, and the kernel lets who finds it
/// full try again a second later.
const USHERS: usize = 64;
/// Longer than a whole crowd takes to be served once.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the visitors share.
#[derive(Default)]
struct Crowd {
    size: usize,
    resident_before: u64,
    arrived: AtomicUsize,
    talking: Gate,
    hush: AtomicBool,
    silent: AtomicUsize,
    last_word: Gate,
    gone: AtomicUsize,
    served: AtomicUsize,
    messages: AtomicU64,
    bytes: AtomicU64,
    first_error: Mutex<Option<String>>,
}

/// Closed at first; once opened, it stays open.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

pub fn play(stage: &mut Stage, connections_max: usize) {
    stage.act(
        "A crowd",
        "A server and its clients in one process, written with blocking reads and writes and\n\
         a green thread at each end of each connection.",
    );
    let (size, reason) = machine::connections_that_fit(connections_max);
    if let Some(reason) = reason {
        stage.note(&format!(
            "{} connections instead of {}: {reason} has room for no more.",
            count(size as u64),
            count(connections_max as u64)
        ));
    }
    let crowd = Arc::new(Crowd {
        size,
        resident_before: machine::resident_bytes(),
        ..Crowd::default()
    });
    let arrived = stage.check(
        &format!("{} connections opened and greeted", count(size as u64)),
        {
            let crowd = crowd.clone();
            move |progress| crowd.gather(progress)
        },
    );
    if !arrived {
        return;
    }
    stage.check("all talk at once, every message comes back", {
        let crowd = crowd.clone();
        move |progress| crowd.talk(progress)
    });
    stage.check("all fall silent: what 1 s of waiting costs", {
        let crowd = crowd.clone();
        move |_| crowd.wait_in_silence()
    });
    stage.check("who waits where, and since when", {
        let crowd = crowd.clone();
        move |_| crowd.report()
    });
    stage.check(
        "all are still there, say a last word and go",
        move |progress| crowd.leave(progress),
    );
}

impl Crowd {
    /// Starts the server and opens the connections.
    fn gather(self: &Arc<Crowd>, progress: &Arc<Progress>) -> Outcome {
        let begun = Instant::now();
        let listener = green::listen("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let crowd = self.clone();
        thread::spawn(move || crowd.serve(&listener));
        let next = Arc::new(AtomicUsize::new(0));
        for _ in 0..USHERS {
            let (crowd, next, progress) = (self.clone(), next.clone(), progress.clone());
            thread::spawn(move || {
                loop {
                    let number = next.fetch_add(1, SeqCst);
                    if number >= crowd.size {
                        break;
                    }
                    match greet(address, number) {
                        Ok(stream) => crowd.admit(number, stream),
                        Err(error) => return crowd.fail("connect", &error),
                    }
                    progress.add(1);
                }
            });
        }
        self.wait_for(&self.arrived, "arrived")?;
        let took = begun.elapsed();
        Ok(format!(
            "{} green threads on {} hubs, {} connections/s",
            count(2 * self.size as u64),
            green::report().hubs.len(),
            count((self.size as f64 / took.as_secs_f64()) as u64),
        ))
    }

    fn serve(self: Arc<Crowd>, listener: &TcpListener) {
        for _ in 0..self.size {
            match listener.accept() {
                Ok((stream, _)) => {
                    let crowd = self.clone();
                    thread::spawn(move || {
                        if let Err(error) = payload::echo(&stream) {
                            crowd.fail("server", &error);
                        }
                        crowd.served.fetch_add(1, SeqCst);
                    });
                }
                Err(error) => return self.fail("accept", &error),
            }
        }
    }

    fn admit(self: &Arc<Crowd>, number: usize, stream: TcpStream) {
        let crowd = self.clone();
        thread::spawn(move || {
            crowd.arrived.fetch_add(1, SeqCst);
            if let Err(error) = crowd.visit(number, &stream) {
                crowd.fail("client", &error);
            }
            drop(stream);
            crowd.gone.fetch_add(1, SeqCst);
        });
    }

    /// What each visitor does, from top to bottom.
    fn visit(&self, number: usize, stream: &TcpStream) -> io::Result<()> {
        let mut random = Random::new(number);
        self.talking.pass();
        while !self.hush.load(SeqCst) {
            self.speak(stream, &mut random)?;
        }
        self.silent.fetch_add(1, SeqCst);
        self.last_word.pass();
        self.speak(stream, &mut random)
    }

    /// Mostly short messages, now and then a long one.
    fn speak(&self, stream: &TcpStream, random: &mut Random) -> io::Result<()> {
        let len = match random.below(20) {
            0 => random.below(payload::FRAME_BYTES_MAX),
            _ => random.below(200),
        };
        payload::exchange(stream, random, len)?;
        self.messages.fetch_add(1, SeqCst);
        self.bytes.fetch_add(len as u64, SeqCst);
        Ok(())
    }

    fn talk(&self, progress: &Progress) -> Outcome {
        let begun = Instant::now();
        self.talking.open();
        while begun.elapsed() < TALK {
            thread::sleep(Duration::from_millis(50));
            progress.add(self.messages.load(SeqCst) - progress.done());
            self.fail_if_any_failed()?;
        }
        self.hush.store(true, SeqCst);
        self.wait_for(&self.silent, "fell silent")?;
        let (took, messages) = (begun.elapsed(), self.messages.load(SeqCst));
        Ok(format!(
            "{} messages, {}, {}/s",
            count(messages),
            bytes(self.bytes.load(SeqCst)),
            count((messages as f64 / took.as_secs_f64()) as u64),
        ))
    }

    fn wait_in_silence(&self) -> Outcome {
        let before = Usage::so_far();
        thread::sleep(SILENCE);
        let used = Usage::so_far().since(before);
        let resident = machine::resident_bytes().saturating_sub(self.resident_before);
        Ok(format!(
            "{} of CPU, {} wake-ups; {:.1} KiB resident per green thread",
            time(used.cpu),
            count(used.wake_ups),
            resident as f64 / 1024.0 / (2 * self.size) as f64,
        ))
    }

    /// The same report helps to find what a program is stuck on.
    fn report(&self) -> Outcome {
        let begun = Instant::now();
        let report = green::report();
        let took = begun.elapsed();
        let waiting = |thread: &&green::ThreadReport| thread.waiting_for.is_some();
        let waiting = report.threads.iter().filter(waiting).count();
        match waiting >= 2 * self.size {
            true => Ok(format!(
                "{} waiting green threads listed in {}",
                count(waiting as u64),
                time(took)
            )),
            false => Err(format!("{waiting} of {} are said to wait", 2 * self.size).into()),
        }
    }

    fn leave(&self, progress: &Progress) -> Outcome {
        let begun = Instant::now();
        self.last_word.open();
        self.wait_for(&self.gone, "left")?;
        progress.add(self.size as u64);
        self.wait_for(&self.served, "were let go by the server")?;
        Ok(format!(
            "nobody missing, {} after the word was given",
            time(begun.elapsed())
        ))
    }

    /// Waits until all of the crowd are counted by `counter`.
    fn wait_for(&self, counter: &AtomicUsize, did_what: &str) -> Result<(), Failure> {
        let begun = Instant::now();
        while counter.load(SeqCst) < self.size {
            self.fail_if_any_failed()?;
            if begun.elapsed() > PATIENCE {
                let counted = counter.load(SeqCst);
                return Err(format!("only {counted} of {} {did_what}", self.size).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.fail_if_any_failed()
    }

    fn fail(&self, who: &str, error: &io::Error) {
        self.first_error
            .lock()
            .unwrap()
            .get_or_insert(format!("{who}: {error}"));
    }

    fn fail_if_any_failed(&self) -> Result<(), Failure> {
        match &*self.first_error.lock().unwrap() {
            Some(error) => Err(error.clone().into()),
            None => Ok(()),
        }
    }
}

/// Connects and exchanges a first message, so that the server has accepted for certain.
fn greet(address: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    payload::exchange(&stream, &mut Random::new(number), 100)?;
    Ok(stream)
}

impl Gate {
    fn pass(&self) {
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}
