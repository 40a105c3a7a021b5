//! Waits for a descriptor by its number: `trampoline`, `poll` and `select`. What is written is read; a close of the
//! number ends every wait, and so does a new file in its place.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use green::greenio::GreenSocket;
use green::select::{Interest, PollFd, poll, select};
use green::source::Direction;
use green::{Deadline, Site, State, trampoline, wait_readable};

use super::*;

/// A wait that takes this long was told of nothing.
const LONG: Duration = Duration::from_secs(5);

/// Waits until a call is worth a try, in one of the ways that there are.
fn until_ready(stream: &UnixStream, direction: Direction, random: &mut Random) {
    let limit = match random.below(3) {
        0 => Some(MICROSECOND * random.below(300) as u32),
        _ => None,
    };
    let is_reader = direction == Direction::Read;
    match random.below(3) {
        0 => drop(trampoline(stream, direction, Deadline::within(limit)).unwrap()),
        1 => {
            let interest = match is_reader {
                true => Interest::READABLE,
                false => Interest::WRITABLE,
            };
            poll(&mut [PollFd::new(stream, interest)], limit).unwrap();
        }
        _ => {
            let one: &[&dyn AsFd] = &[stream];
            let (read, write) = match is_reader {
                true => (one, &[] as &[_]),
                false => (&[] as &[_], one),
            };
            select(read, write, &[], limit).unwrap();
        }
    }
}

fn nonblocking_pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (near, far)
}

/// Reads until the end.
fn read_all(mut stream: &UnixStream, received: &AtomicU64, mut random: Random) {
    let mut buffer = [0; 5_000];
    loop {
        let mut own = Random::new(random.below(u64::MAX));
        limited(&mut random, || {
            until_ready(stream, Direction::Read, &mut own)
        });
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                received.fetch_add(n as u64, SeqCst);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        count(&OPERATIONS);
        pause(&mut own);
    }
}

/// Many write to one stream of std's, and many read.
fn shared(mut random: Random) {
    let (near, far) = nonblocking_pair();
    let (near, far) = (Arc::new(near), Arc::new(far));
    let [sent, received]: [Arc<AtomicU64>; 2] = Default::default();
    let (mut writing, mut reading) = (Crew::new(&mut random), Crew::new(&mut random));
    for _ in 0..1 + random.below(4) {
        let (near, sent) = (near.clone(), sent.clone());
        writing.any(move |mut random| {
            for _ in 0..30 {
                let mut own = Random::new(random.below(u64::MAX));
                limited(&mut random, || {
                    until_ready(&near, Direction::Write, &mut own)
                });
                match (&*near).write(&[0; 20_000][..1 + own.below(20_000) as usize]) {
                    Ok(n) => {
                        sent.fetch_add(n as u64, SeqCst);
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                count(&OPERATIONS);
                pause(&mut own);
            }
        });
    }
    for _ in 0..random.below(4) {
        let (far, received) = (far.clone(), received.clone());
        reading.any(move |random| read_all(&far, &received, random));
    }
    let survivor = {
        let (received, random) = (received.clone(), Random::new(random.below(u64::MAX)));
        spawn(move || read_all(&far, &received, random))
    };
    let (writing, reading) = (writing.strikes(), reading.strikes());
    writing.join();
    count(&CLOSES);
    near.shutdown(Shutdown::Write).unwrap();
    reading.join();
    survivor.join().unwrap();
    assert_eq!(received.load(SeqCst), sent.load(SeqCst), "lost");
}

/// A thread that waits for a number, again and again.
#[derive(Default)]
struct Waiter {
    /// Its id, once it has begun; an OS thread has none.
    id: AtomicU64,
    /// Which of its waits it is at.
    at: AtomicU64,
    /// The wait during which the number was closed.
    cut: AtomicU64,
}

impl Waiter {
    /// If it is parked for `fd` now, a close must end this wait.
    fn expects_a_close(&self, fd: RawFd) {
        let at = self.at.load(SeqCst);
        let for_it = [
            State::Waiting(Site::Readable(fd)),
            State::Waiting(Site::Writable(fd)),
        ];
        let threads = green::report().threads;
        let own = threads
            .iter()
            .find(|thread| thread.id.as_u64().get() == self.id.load(SeqCst));
        if own.is_some_and(|own| for_it.contains(&own.state)) && self.at.load(SeqCst) == at {
            self.cut.store(at, SeqCst);
        }
    }

    /// Waits until the number is closed, or everything is over. The number may be another file's by then: so only a
    /// wait that was seen before the close must end by it.
    fn wait(&self, fd: RawFd, direction: Direction, is_over: &AtomicBool, mut random: Random) {
        if green::is_green() {
            self.id
                .store(green::thread::current().id().as_u64().get(), SeqCst);
        }
        while !is_over.load(SeqCst) {
            let limit = match random.below(3) {
                0 => MICROSECOND * random.below(500) as u32,
                _ => LONG,
            };
            let at = self.at.fetch_add(1, SeqCst) + 1;
            let ended = limited(&mut random, || {
                trampoline(&fd, direction, Deadline::after(limit))
            });
            match ended {
                None | Some(Ok(true)) => {}
                Some(Ok(false)) => {
                    let was_cut = limit == LONG && self.cut.load(SeqCst) == at;
                    assert!(!was_cut, "a close has left a wait by number");
                }
                Some(Err(error)) => {
                    let is_bad = error.raw_os_error() == Some(libc::EBADF);
                    assert!(is_bad || green::ClosedLocally::caused(&error), "{error:?}");
                    assert!(is_over.load(SeqCst), "closed, before it was");
                }
            }
            count(&OPERATIONS);
            pause(&mut random);
        }
    }
}

/// A green socket is closed, dropped, shut down or left by its peer while others wait for its number.
fn closed(mut random: Random) {
    let (near, far) = nonblocking_pair();
    // So full that nobody can write.
    while (&near).write(&[0; 4096]).is_ok() {}
    let socket: Arc<GreenSocket> = Arc::new(green::os::unix::net::UnixStream::from(near).into());
    let fd = socket.as_raw_fd();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut crew = Crew::new(&mut random);
    let waiters: Vec<Arc<Waiter>> = (0..1 + random.below(6)).map(|_| Arc::default()).collect();
    for waiter in &waiters {
        let (waiter, is_over) = (waiter.clone(), is_over.clone());
        let direction = [Direction::Read, Direction::Write][random.below(2) as usize];
        crew.any(move |random| waiter.wait(fd, direction, &is_over, random));
    }
    let how = random.below(4);
    // Somebody waits for the socket itself; not if that would keep it.
    if how > 0 && random.below(2) == 0 {
        let socket = socket.clone();
        crew.any(move |_| {
            let read = (&*socket).read(&mut [0]);
            assert!(!matches!(read, Ok(1..)), "nobody has written");
        });
    }
    let strikes = crew.strikes();
    sleep(MICROSECOND * random.below(3_000) as u32);
    if how < 2 {
        waiters.iter().for_each(|waiter| waiter.expects_a_close(fd));
    }
    is_over.store(true, SeqCst);
    count(&CLOSES);
    match how {
        0 => drop(socket),
        1 => socket.close(),
        2 => socket.shutdown(Shutdown::Both).unwrap(),
        _ => drop(far),
    }
    strikes.join();
}

/// Others wait for a number while one file after another takes its place: by a close that nobody tells of.
fn replaced(mut random: Random) {
    let (first, mut peer) = nonblocking_pair();
    let mut owned = OwnedFd::from(first);
    let fd = owned.as_raw_fd();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut crew = Crew::new(&mut random);
    for _ in 0..1 + random.below(6) {
        let is_over = is_over.clone();
        crew.any(move |mut random| {
            loop {
                let limit = match random.below(3) {
                    0 => Deadline::after(MICROSECOND * random.below(500) as u32),
                    _ => Deadline::NEVER,
                };
                match limited(&mut random, || wait_readable(&fd, limit)) {
                    Some(Err(error)) => assert!(green::ClosedLocally::caused(&error), "{error:?}"),
                    Some(Ok(true)) if is_over.load(SeqCst) => return,
                    Some(Ok(_)) | None => {}
                }
                count(&OPERATIONS);
                pause(&mut random);
            }
        });
    }
    let strikes = crew.strikes();
    for _ in 0..1 + random.below(10) {
        sleep(MICROSECOND * random.below(500) as u32);
        let (next, its_peer) = nonblocking_pair();
        count(&CLOSES);
        rustix::io::dup2(&next, &mut owned).unwrap();
        drop((next, std::mem::replace(&mut peer, its_peer)));
        // Whoever waits for the number anew finds out.
        let limit = Deadline::after(MILLISECOND + MICROSECOND * random.below(300) as u32);
        let found = spawn(move || wait_readable(&fd, limit)).join().unwrap();
        assert!(!found.unwrap(), "nobody has written");
    }
    is_over.store(true, SeqCst);
    drop(peer);
    strikes.join();
}

pub fn round(random: Random) {
    side_by_side(random, &[shared, shared, closed, closed, closed, replaced]);
}
