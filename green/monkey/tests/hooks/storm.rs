//! All of it at once: green threads of two hubs and OS threads over sockets, pipes, locks, channels
//! and children, with kills, limits and closes. GREEN_TRIALS=full has it go on for ten minutes.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock, mpsc};
use std::thread as os;
use std::time::{Duration, Instant};

use green::thread::Builder;
use green::timeout;

use crate::patched;

use test_support::random::Random;

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

#[test]
fn all_at_once() {
    let full = std::env::var("GREEN_TRIALS").is_ok_and(|trials| trials == "full");
    let length = Duration::from_secs(if full { 600 } else { 5 });
    test_support::bounded("storm", length + Duration::from_secs(120), || {
        patched();
        let seed = test_support::random::seed();
        eprintln!("seed {seed}");
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
            Builder::new()
                .spawn(move || {
                    while Instant::now() < end {
                        let Ok((mut stream, _)) = world.listener.accept() else {
                            break;
                        };
                        let _ = stream.read(&mut [0; 4]).and_then(|_| stream.write(b"pong"));
                    }
                })
                .unwrap()
        };
        let runs = |number: u64| {
            let world = world.clone();
            move || {
                let mut random = Random::new(seed ^ number.wrapping_mul(0x9e37_79b9));
                while Instant::now() < end {
                    let limit = Duration::from_micros(random.below(20_000));
                    let _ = match random.below(3) {
                        0 => timeout(limit, || step(&world, &mut random)).is_ok(),
                        _ => step(&world, &mut random).is_ok(),
                    };
                    world.done.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let os: Vec<_> = (0..3).map(|n| os::spawn(runs(n))).collect();
        let mut random = Random::new(seed);
        let mut green: Vec<_> = (3..43)
            .map(|n| Builder::new().spawn(runs(n)).unwrap())
            .collect();
        let mut next = 43;
        while Instant::now() < end {
            // One is killed, another takes its place.
            let at = random.below(green.len() as u64) as usize;
            let killed =
                std::mem::replace(&mut green[at], Builder::new().spawn(runs(next)).unwrap());
            next += 1;
            let _ = killed.kill();
            let _ = killed.join();
            os::sleep(Duration::from_millis(2));
        }
        os.into_iter().for_each(|thread| thread.join().unwrap());
        for thread in green {
            thread.join().unwrap();
        }
        let _ = TcpStream::connect(world.listener.local_addr().unwrap());
        server.join().unwrap();
        let done = world.done.load(Ordering::Relaxed);
        assert!(done > 100, "{done}");
        assert!(world.mutex.lock().is_ok() && world.lock.read().is_ok());
    });
}
