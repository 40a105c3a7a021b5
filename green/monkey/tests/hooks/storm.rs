//! All of it at once, on two and on four hubs: every symbol, and std's sockets, pipes, locks, channels and children over
//! them, by green threads and OS threads, with kills, limits and closes. It goes in rounds, each in a process of its own
//! and by a seed of its own, which it prints if it fails; GREEN_SEED=n begins with it. GREEN_TRIALS=full has it go on for
//! ten minutes on each.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock, mpsc};
use std::thread as os;
use std::time::{Duration, Instant};

use green::thread::spawn;
use green::timeout;
use test_support::child::alone;
use test_support::random::Random;

use crate::patched;
use crate::symbols::{OF_ANYBODY, Outcome, SYMBOLS};

/// What all of them share.
struct World {
    mutex: Mutex<u64>,
    lock: RwLock<u64>,
    condition: Condvar,
    parking: parking_lot::Mutex<u64>,
    listener: TcpListener,
    done: AtomicU64,
}

/// One operation, of a kind that `random` chooses. Errors are what kills and limits are told by.
fn step(world: &World, random: &mut Random) -> io::Result<()> {
    match random.below(12) {
        0 => {
            let mut value = world.mutex.lock().unwrap();
            *value += 1;
            os::sleep(Duration::from_micros(random.below(100)));
        }
        1 => drop(world.lock.read().unwrap()),
        2 => *world.lock.write().unwrap() += 1,
        3 => {
            let guard = world.mutex.lock().unwrap();
            let limit = Duration::from_micros(random.below(500));
            drop(world.condition.wait_timeout(guard, limit).unwrap());
        }
        4 => world.condition.notify_all(),
        5 => {
            let mut value = world.parking.lock();
            *value += 1;
            os::yield_now();
        }
        6 => {
            let (mut ours, mut theirs) = UnixStream::pair()?;
            let text = vec![1; random.below(100_000) as usize];
            let writer = os::spawn(move || theirs.write_all(&text));
            ours.read_to_end(&mut Vec::new())?;
            let _ = writer.join().unwrap();
        }
        7 => {
            let mut client = TcpStream::connect(world.listener.local_addr()?)?;
            client.set_read_timeout(Some(Duration::from_millis(100)))?;
            client.write_all(b"ping")?;
            let _ = client.read(&mut [0; 4]);
        }
        8 => {
            let (mut reader, writer) = io::pipe()?;
            reader_of(writer).join().unwrap();
            reader.read_to_end(&mut Vec::new())?;
        }
        9 => {
            let (sender, receiver) = mpsc::sync_channel(0);
            let other = os::spawn(move || sender.send(7));
            let _ = receiver.recv_timeout(Duration::from_millis(random.below(20)));
            drop(receiver);
            let _ = other.join().unwrap();
        }
        10 if random.below(20) == 0 => drop(Command::new("true").status()?),
        _ => os::park_timeout(Duration::from_micros(random.below(300))),
    }
    Ok(())
}

/// A thread that writes a little and closes.
fn reader_of(mut writer: io::PipeWriter) -> os::JoinHandle<()> {
    os::spawn(move || drop(writer.write_all(&[0; 100])))
}

/// How long a round lasts.
const ROUND: Duration = Duration::from_secs(5);
const LONG_ROUND: Duration = Duration::from_secs(60);

/// Green threads that are killed and limited, and such that are not: with those nothing may go wrong.
const EXPOSED: u64 = 40;
const SPARED: u64 = 10;
const OS_THREADS: u64 = 3;

/// One of the symbols, as each is tried by itself.
fn symbol(random: &mut Random) -> (&'static str, Outcome) {
    let mut symbols = SYMBOLS.iter().filter(|(name, _)| *name != OF_ANYBODY);
    let at = random.below(SYMBOLS.len() as u64 - 1) as usize;
    let (name, body) = symbols.nth(at).expect("a number below their count");
    (name, body())
}

fn a_round(seed: u64, length: Duration) {
    patched();
    let world = Arc::new(World {
        mutex: Mutex::new(0),
        lock: RwLock::new(0),
        condition: Condvar::new(),
        parking: parking_lot::Mutex::new(0),
        listener: TcpListener::bind(("127.0.0.1", 0)).unwrap(),
        done: AtomicU64::new(0),
    });
    let end = Instant::now() + length;
    let server = {
        let world = world.clone();
        spawn(move || {
            while Instant::now() < end {
                let Ok((mut stream, _)) = world.listener.accept() else {
                    break;
                };
                let _ = stream.read(&mut [0; 4]).and_then(|_| stream.write(b"pong"));
            }
        })
    };
    let steps = |number: u64| {
        let (world, mut random) = (world.clone(), Random::of(seed, number));
        move || {
            while Instant::now() < end {
                let _ = step(&world, &mut random);
                world.done.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let exposed = |number: u64| {
        let (world, mut random) = (world.clone(), Random::of(seed, number));
        spawn(move || {
            while Instant::now() < end {
                let limit = Duration::from_micros(random.below(20_000));
                let is_limited = random.below(3) == 0;
                let mut once = || match random.below(2) {
                    0 => drop(symbol(&mut random)),
                    _ => drop(step(&world, &mut random)),
                };
                match is_limited {
                    true => drop(timeout(limit, once)),
                    false => once(),
                }
                world.done.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let spared = |number: u64| {
        let (world, mut random) = (world.clone(), Random::of(seed, number));
        spawn(move || {
            while Instant::now() < end {
                let (name, outcome) = symbol(&mut random);
                outcome.unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
                world.done.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let os: Vec<_> = (0..OS_THREADS).map(|n| os::spawn(steps(n))).collect();
    let spared: Vec<_> = (OS_THREADS..OS_THREADS + SPARED).map(spared).collect();
    let mut next = OS_THREADS + SPARED;
    let mut another = || {
        next += 1;
        exposed(next)
    };
    let mut under_fire: Vec<_> = (0..EXPOSED).map(|_| another()).collect();
    let mut random = Random::new(seed);
    while Instant::now() < end {
        // One is killed, another takes its place.
        let at = random.below(EXPOSED) as usize;
        let killed = std::mem::replace(&mut under_fire[at], another());
        let _ = killed.kill();
        let _ = killed.join();
        os::sleep(Duration::from_millis(2));
    }
    os.into_iter().for_each(|thread| thread.join().unwrap());
    for thread in spared.into_iter().chain(under_fire) {
        thread.join().unwrap();
    }
    let _ = TcpStream::connect(world.listener.local_addr().unwrap());
    server.join().unwrap();
    let done = world.done.load(Ordering::Relaxed);
    assert!(done > 100, "{done}");
    assert!(world.mutex.lock().is_ok() && world.lock.read().is_ok());
}

fn rounds(name: &str, hubs: &str) {
    let full = std::env::var("GREEN_TRIALS").is_ok_and(|trials| trials == "full");
    let (count, length) = if full { (10, LONG_ROUND) } else { (1, ROUND) };
    let first = test_support::random::seed();
    for seed in (0..count).map(|n| first.wrapping_add(n)) {
        let told = seed.to_string();
        let environment = [("GREEN_HUBS", hubs), ("GREEN_SEED", &told)];
        let ended = alone(name, &environment, || a_round(seed, length));
        assert!(ended.status.success(), "GREEN_SEED={seed}: {ended:?}");
        eprintln!("{name}: {length:?} by the seed {seed}: well");
    }
}

#[test]
fn all_at_once_on_two_hubs() {
    rounds("storm::all_at_once_on_two_hubs", "2");
}

#[test]
fn all_at_once_on_four_hubs() {
    rounds("storm::all_at_once_on_four_hubs", "4");
}
