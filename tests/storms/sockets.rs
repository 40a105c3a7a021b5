//! Streams, listeners and datagrams of TCP, UDP and Unix: bytes come in order, and none is lost but by a close or a reset.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use green::greenio::GreenSocket;
use green::net::{TcpListener, TcpStream, UdpSocket};
use green::os::unix::net::{UnixDatagram, UnixStream};

use super::*;

/// What may come when the peer, or a thread of ours, ended the connection.
fn is_an_end(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    let kinds = [
        BrokenPipe,
        ConnectionAborted,
        ConnectionReset,
        NotConnected,
        UnexpectedEof,
    ];
    kinds.contains(&error.kind()) || green::ClosedLocally::caused(error)
}

/// The byte at a place of a stream.
pub fn byte_at(place: u64) -> u8 {
    (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// What is known of one direction of a connection.
#[derive(Default)]
pub struct Way {
    pub sent: AtomicU64,
    pub received: AtomicU64,
    /// Whether the reader saw the end of the stream.
    pub has_ended: AtomicBool,
}

impl Way {
    /// Fills some of `piece` with what comes next, and returns that.
    pub fn next<'a>(&self, piece: &'a mut [u8], random: &mut Random) -> &'a [u8] {
        let length = 1 + random.below(piece.len() as u64) as usize;
        for (byte, place) in piece[..length].iter_mut().zip(self.sent.load(SeqCst)..) {
            *byte = byte_at(place);
        }
        &piece[..length]
    }

    /// Reads to the end, and checks what comes; within limits, unless it is to be calm. `goes_on` says of an error
    /// whether to read on.
    pub fn receive_all(
        &self,
        from: &mut impl Read,
        is_calm: bool,
        goes_on: impl Fn(&io::Error) -> bool,
        random: &mut Random,
    ) {
        let mut buffer = vec![0; 20_000];
        loop {
            let most = 1 + random.below(20_000) as usize;
            let mut read = || from.read(&mut buffer[..most]);
            let read = match is_calm {
                true => Some(read()),
                false => limited(random, read),
            };
            match read {
                Some(Ok(0)) => return self.has_ended.store(true, SeqCst),
                Some(Ok(n)) => {
                    let first = self.received.fetch_add(n as u64, SeqCst);
                    for (byte, place) in buffer[..n].iter().zip(first..) {
                        assert_eq!(*byte, byte_at(place), "at {place}");
                    }
                }
                Some(Err(error)) if !goes_on(&error) => return,
                Some(Err(_)) | None => {}
            }
            count(&OPERATIONS);
            pause(random);
        }
    }
}

/// Whether an error was a limit of the socket's; otherwise it is an end.
fn is_late(error: &io::Error) -> bool {
    let is_late = green::is_timeout(error);
    match is_late {
        true => count(&LIMITS),
        false => assert!(is_an_end(error), "{error:?}"),
    }
    is_late
}

fn send_all(mut socket: &GreenSocket, way: &Way, mut random: Random) {
    let mut chunk = vec![0; 1 + random.below(20_000) as usize];
    for _ in 0..1 + random.below(12) {
        let piece = way.next(&mut chunk, &mut random);
        let written = limited(&mut random, || {
            // No wait comes between the call and the count.
            let written = socket.write(piece);
            if let Ok(n) = written {
                way.sent.fetch_add(n as u64, SeqCst);
            }
            written
        });
        if let Some(Err(error)) = written
            && !is_late(&error)
        {
            return;
        }
        count(&OPERATIONS);
        pause(&mut random);
    }
}

/// A connection over loopback.
pub fn tcp_pair() -> (GreenSocket, GreenSocket) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near.into(), listener.accept().unwrap().0.into())
}

/// One connection, written and read in both directions; perhaps with somebody who ends it in between.
fn stream(mut random: Random) {
    let (near, far) = match random.below(2) {
        0 => tcp_pair(),
        _ => UnixStream::pair()
            .map(|(near, far)| (near.into(), far.into()))
            .unwrap(),
    };
    if random.below(6) == 0 {
        near.set_send_buffer_size(4096).unwrap();
    }
    if random.below(3) == 0 {
        let limit = MICROSECOND * (1 + random.below(2_000) as u32);
        near.set_read_timeout(Some(limit)).unwrap();
        far.set_write_timeout(Some(limit)).unwrap();
    }
    let ends = [near, far].map(Arc::new);
    let ways: [Arc<Way>; 2] = Default::default();
    let mut crew = Crew::new(&mut random);
    for at in 0..2 {
        let (writer, reader) = (ends[at].clone(), ends[1 - at].clone());
        let (sending, receiving) = (ways[at].clone(), ways[at].clone());
        // Made here: who is killed before its first turn never begins, but drops them.
        let socket = writer.clone();
        let end = finally(move || {
            let _ = socket.shutdown(Shutdown::Write);
        });
        crew.any(move |random| {
            let _end = end;
            send_all(&writer, &sending, random);
        });
        let (socket, way) = (reader.clone(), receiving.clone());
        let end = finally(move || {
            // Nobody writes to a reader that is not there.
            if !way.has_ended.load(SeqCst) {
                socket.close();
            }
        });
        crew.any(move |mut random| {
            let _end = end;
            receiving.receive_all(&mut &*reader, false, is_late, &mut random);
        });
    }
    let how = random.below(6);
    let ends = if how < 3 {
        let [near, far] = ends;
        let mut own = crew.random();
        crew.any(move |_| {
            sleep(MICROSECOND * own.below(3_000) as u32);
            count(&CLOSES);
            match how {
                0 => near.close(),
                1 => drop(near.shutdown(Shutdown::Both)),
                _ => {
                    drop(near.set_linger(Some(Duration::ZERO)));
                    near.close();
                }
            }
            drop(far);
        });
        None
    } else {
        Some(ends)
    };
    let is_whole = ends.is_some();
    drop(ends);
    crew.storm();
    // A reader that died cut both directions.
    let is_whole = is_whole && ways.iter().all(|way| way.has_ended.load(SeqCst));
    for way in ways {
        let (sent, received) = (way.sent.load(SeqCst), way.received.load(SeqCst));
        assert!(received <= sent, "{received} of {sent}");
        if is_whole {
            assert_eq!(received, sent, "lost, though nobody cut the connection");
        }
    }
}

/// Acceptors die, or the listener is closed under them; each connection that was made is somebody's.
fn accept(mut random: Random) {
    let listener: Arc<GreenSocket> = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap().into());
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let accepted = Arc::new(AtomicU64::new(0));
    let mut acceptors = Crew::new(&mut random);
    for _ in 0..1 + random.below(5) {
        let (listener, accepted) = (listener.clone(), accepted.clone());
        acceptors.any(move |mut random| {
            loop {
                match limited(&mut random, || listener.accept()) {
                    Some(Ok(_)) => count(&accepted),
                    None => {}
                    Some(Err(error)) if green::ClosedLocally::caused(&error) => break,
                    // Whoever counts at the end has asked for that.
                    Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => yield_now(),
                    Some(Err(error)) => panic!("accept: {error:?}"),
                }
                count(&OPERATIONS);
                pause(&mut random);
            }
        });
    }
    let acceptors = acceptors.strikes();
    let mut connected = 0;
    for _ in 0..random.below(40) {
        let made = limited(&mut random, || TcpStream::connect(address).unwrap());
        connected += u64::from(made.is_some());
        // Reset before or after it is accepted.
        if let Some(made) = &made
            && random.below(3) == 0
        {
            made.as_green_socket()
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
        pause(&mut random);
    }
    let closes_early = random.below(2) == 0;
    if !closes_early {
        // What no acceptor took waits in the backlog. Resets stay there as well.
        let began = Instant::now();
        listener.set_nonblocking(true);
        while accepted.load(SeqCst) < connected {
            match listener.accept() {
                Ok(_) => count(&accepted),
                Err(error) if error.kind() == ErrorKind::WouldBlock => yield_now(),
                Err(error) => panic!("accept: {error:?}"),
            }
            assert!(
                began.elapsed() < SETTLES,
                "{connected} connections, {accepted:?} accepted"
            );
        }
        listener.set_nonblocking(false);
    }
    count(&CLOSES);
    listener.close();
    acceptors.join();
}

/// Each datagram is somebody's, and once, whoever was interrupted in receiving.
fn datagrams(mut random: Random) {
    let (sender, socket): (GreenSocket, GreenSocket) = match random.below(2) {
        0 => {
            let (sender, socket) = UnixDatagram::pair().unwrap();
            (sender.into(), socket.into())
        }
        _ => {
            let [sender, socket] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
            sender.connect(socket.local_addr().unwrap()).unwrap();
            (sender.into(), socket.into())
        }
    };
    let socket = Arc::new(socket);
    let taken = Arc::new(std::sync::Mutex::new(Vec::new()));
    let take = |socket: &GreenSocket, taken: &std::sync::Mutex<Vec<u64>>| {
        let mut buffer = [0; 64];
        let n = socket.recv(&mut buffer)?;
        let number = u64::from_le_bytes(buffer[..n].try_into().unwrap());
        taken.lock().unwrap().push(number);
        io::Result::Ok(())
    };
    let mut crew = Crew::new(&mut random);
    for _ in 0..1 + random.below(6) {
        let (socket, taken) = (socket.clone(), taken.clone());
        crew.any(move |mut random| {
            loop {
                match limited(&mut random, || take(&socket, &taken)) {
                    Some(Ok(())) | None => {}
                    Some(Err(error)) if green::ClosedLocally::caused(&error) => break,
                    // Whoever counts at the end has asked for that.
                    Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => yield_now(),
                    Some(Err(error)) => panic!("recv_from: {error:?}"),
                }
                count(&OPERATIONS);
                pause(&mut random);
            }
        });
    }
    let strikes = crew.strikes();
    // Few enough for the kernel to keep them all, or to say that it is full.
    let total = random.below(100);
    for number in 0..total {
        sender.set_write_timeout(Some(MILLISECOND)).unwrap();
        while let Err(error) = sender.send(&number.to_le_bytes()) {
            assert!(green::is_timeout(&error), "send: {error:?}");
            // Perhaps nobody lives who would make room.
            let _ = green::timeout(MILLISECOND, || take(&socket, &taken));
        }
        pause(&mut random);
    }
    // Those who live go on; we help them.
    socket.set_nonblocking(true);
    let began = Instant::now();
    while (taken.lock().unwrap().len() as u64) < total {
        if take(&socket, &taken).is_err() {
            yield_now();
        }
        assert!(began.elapsed() < SETTLES, "{total} sent, {taken:?} taken");
    }
    count(&CLOSES);
    socket.close();
    strikes.join();
    let mut taken = taken.lock().unwrap().clone();
    taken.sort_unstable();
    assert_eq!(taken, (0..total).collect::<Vec<_>>());
}

pub fn round(random: Random) {
    side_by_side(
        random,
        &[
            accept, datagrams, stream, stream, stream, stream, stream, stream,
        ],
    );
}
