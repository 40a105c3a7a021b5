//! 2 to 64 waiters of one UDP socket, listener, pipe: each wakes, each datagram arrives once.

use super::*;
use green::Deadline;

/// Starts `readers` threads, every fourth an OS thread, that call `take` until
/// it says no, and gives what all of them took.
fn crowd(readers: u64, take: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Vec<Vec<u64>> {
    let take = Arc::new(take);
    let body = |take: Arc<dyn Fn() -> Option<u64> + Send + Sync>| {
        move || std::iter::from_fn(|| take()).collect::<Vec<u64>>()
    };
    let (mut green, mut os) = (Vec::new(), Vec::new());
    for n in 0..readers {
        let body = body(take.clone());
        if n % 4 == 3 {
            os.push(std::thread::spawn(body));
        } else {
            green.push(spawn(body));
        }
    }
    let green = green.into_iter().map(|thread| thread.join().unwrap());
    let os = os.into_iter().map(|thread| thread.join().unwrap());
    green.chain(os).collect()
}

/// Each number from 0 was taken once.
fn each_once(taken: Vec<Vec<u64>>, count: u64) -> usize {
    let idle = taken.iter().filter(|one| one.is_empty()).count();
    let mut all: Vec<u64> = taken.into_iter().flatten().collect();
    all.sort_unstable();
    assert_eq!(all, (0..count).collect::<Vec<_>>());
    idle
}

#[test]
fn each_datagram_of_one_udp_socket_reaches_one_of_many() {
    Trial::new("each datagram of one udp", 2_000, 100_000).run(|rounds, mut random| {
        let (mut crowds, mut done) = (0, 0);
        while done < rounds {
            let readers = 2 + random.below(63);
            let count = (rounds - done).min(200 + random.below(800));
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            let to = socket.local_addr().unwrap();
            let source = Source::new(socket.into());
            let taken = Arc::new(AtomicU64::new(0));
            let acknowledged = taken.clone();
            let sender = std::thread::spawn(move || {
                let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
                for n in 0..count {
                    // So that the kernel's buffer never drops one.
                    while n.saturating_sub(acknowledged.load(SeqCst)) > 50 {
                        std::thread::yield_now();
                    }
                    sender.send_to(&n.to_le_bytes(), to).unwrap();
                }
                // The word to end, for each reader.
                for _ in 0..readers {
                    sender.send_to(&u64::MAX.to_le_bytes(), to).unwrap();
                }
            });
            let all = crowd(readers, move || {
                let datagram = receive(&source, None).unwrap();
                let n = u64::from_le_bytes(datagram.try_into().unwrap());
                (n != u64::MAX).then(|| {
                    taken.fetch_add(1, SeqCst);
                    n
                })
            });
            sender.join().unwrap();
            each_once(all, count);
            done += count;
            crowds += 1;
        }
        format!("{crowds} crowds of 2 to 64 readers, every datagram once")
    });
}

#[test]
fn each_byte_of_one_pipe_reaches_one_of_many_readers() {
    Trial::new("each byte of one pipe", 2_000, 100_000).run(|rounds, mut random| {
        let (mut crowds, mut done) = (0, 0);
        while done < rounds {
            let readers = 2 + random.below(63);
            let count = (rounds - done).min(250);
            let (source, mut peer) = pair();
            let writer = std::thread::spawn(move || {
                for n in 0..count {
                    io::Write::write_all(&mut peer, &[n as u8]).unwrap();
                    if n % 16 == 0 {
                        std::thread::yield_now();
                    }
                }
                // Its end is every reader's.
            });
            let all = crowd(readers, move || {
                let mut byte = [MaybeUninit::uninit()];
                let n = source
                    .retry(Direction::Read, Deadline::NEVER, |fd| {
                        socket2::SockRef::from(&fd).recv(&mut byte)
                    })
                    .unwrap();
                (n == 1).then(|| u64::from(byte_of(byte[0])))
            });
            writer.join().unwrap();
            each_once(all, count);
            done += count;
            crowds += 1;
        }
        format!("{crowds} crowds of 2 to 64 readers, every byte once, every reader saw the end")
    });
}

#[test]
fn each_connection_of_one_listener_reaches_one_of_many() {
    Trial::new("each connection of one", 300, 100_000).run(|rounds, mut random| {
        let (mut crowds, mut done) = (0, 0);
        while done < rounds {
            let acceptors = 2 + random.below(63);
            let count = (rounds - done).min(100);
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let to = listener.local_addr().unwrap();
            let source = Arc::new(Source::new(listener.into()));
            let accepted = Arc::new(AtomicU64::new(0));
            let (shared, counted) = (source.clone(), accepted.clone());
            let connector = std::thread::spawn(move || {
                for n in 0..count {
                    drop(TcpStream::connect(to).unwrap());
                    while counted.load(SeqCst) < n {
                        std::thread::yield_now();
                    }
                }
                while counted.load(SeqCst) < count {
                    std::thread::yield_now();
                }
                source.close();
            });
            let all = crowd(acceptors, move || {
                let accept = shared.retry(Direction::Read, Deadline::NEVER, |fd| {
                    socket2::SockRef::from(&fd).accept()
                });
                match accept {
                    Ok(_) => Some(accepted.fetch_add(1, SeqCst)),
                    Err(error) => {
                        assert!(ClosedLocally::caused(&error), "{error:?}");
                        None
                    }
                }
            });
            connector.join().unwrap();
            each_once(all, count);
            done += count;
            crowds += 1;
        }
        format!("{crowds} crowds of 2 to 64 acceptors, every connection once, the close ended each")
    });
}
