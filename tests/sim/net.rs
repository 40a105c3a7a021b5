//! The simulated network: what it does as the kernel's does, and the sockets over it under many seeds.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use green::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use green::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use green::sim::{Faults, Simulation};
use green::thread::{sleep, spawn};
use green::timeout;

use super::{Random, trial_on};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Runs it once on a network without faults.
pub(super) fn calmly<T: Send + 'static>(program: impl FnOnce() -> T + Send + 'static) -> T {
    on(Faults::none(), program)
}

pub(super) fn on<T: Send + 'static>(
    faults: Faults,
    program: impl FnOnce() -> T + Send + 'static,
) -> T {
    let outcome = Simulation::new(1).faults(faults).run(program);
    match outcome.result {
        Ok(value) => value,
        Err(panic) => {
            eprintln!("{:.100}", outcome.trace);
            std::panic::resume_unwind(panic)
        }
    }
}

fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("10.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn names_are_as_the_kernel_has_them() {
    calmly(|| {
        let listener = TcpListener::bind("10.0.0.1:80").unwrap();
        assert_eq!(
            TcpListener::bind("10.0.0.1:80").unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        assert_eq!(
            TcpListener::bind("0.0.0.0:80").unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        let beside = TcpListener::bind("10.0.0.2:80").unwrap();
        let client = TcpStream::connect("10.0.0.1:80").unwrap();
        let (server, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        assert_eq!(server.peer_addr().unwrap(), peer);
        assert_eq!(server.local_addr().unwrap(), client.peer_addr().unwrap());
        drop((listener, beside));
        let refused = TcpStream::connect("10.0.0.1:80").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        TcpListener::bind("10.0.0.1:80").unwrap();
    });
    // All of it is gone with the simulation, and none of it was the kernel's.
    calmly(|| drop(TcpListener::bind("10.0.0.1:80").unwrap()));
    std::net::TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], 9)), MS).unwrap_err();
}

#[test]
fn both_families_meet_at_the_unspecified_address() {
    calmly(|| {
        let listener = TcpListener::bind("[::]:443").unwrap();
        let client = TcpStream::connect("127.0.0.1:443").unwrap();
        let (_server, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip().to_canonical(), client.local_addr().unwrap().ip());
        assert_eq!(peer.port(), client.local_addr().unwrap().port());
        let client = TcpStream::connect("[::1]:443").unwrap();
        assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
    });
}

#[test]
fn an_end_a_reset_and_a_half_close_are_told_apart() {
    calmly(|| {
        let (mut ours, mut theirs) = connected();
        theirs.write_all(b"last words").unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        assert_eq!(text, "last words");
        ours.write_all(b"an answer").unwrap();
        drop(ours);
        theirs.read_to_string(&mut text).unwrap();
        assert_eq!(text, "last wordsan answer");

        // Closed with something unread: a reset, for ever.
        let (mut ours, mut theirs) = connected();
        ours.write_all(b"unread").unwrap();
        sleep(SECOND);
        drop(theirs);
        for _ in 0..2 {
            assert_eq!(
                ours.read(&mut [0]).unwrap_err().kind(),
                ErrorKind::ConnectionReset
            );
        }
        assert_eq!(ours.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);

        // Written to one that is gone: the first write is still taken.
        let (mut ours, theirs_) = connected();
        theirs = theirs_;
        drop(theirs);
        sleep(SECOND);
        ours.write_all(b"too late").unwrap();
        sleep(SECOND);
        assert_eq!(
            ours.write(b"x").unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
        assert_eq!(ours.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_full_buffer_holds_the_writer_up() {
    let mut faults = Faults::none();
    faults.buffer = 1000..1001;
    on(faults, || {
        let (ours, theirs) = connected();
        ours.set_write_timeout(Some(SECOND)).unwrap();
        assert_eq!((&ours).write(&[7; 5000]).unwrap(), 1000);
        assert_eq!(
            (&ours).write(&[7; 5000]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        let reader = spawn(move || {
            sleep(SECOND / 2);
            let read = (&theirs).read(&mut [0; 100]).unwrap();
            (theirs, read)
        });
        assert_eq!((&ours).write(&[7; 5000]).unwrap(), 100);
        drop(ours);
        let (mut theirs, read) = reader.join().unwrap();
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).unwrap();
        assert_eq!(read + rest.len(), 1100);
    });
}

#[test]
fn a_queue_that_is_full_is_knocked_at_again() {
    let mut faults = Faults::none();
    faults.backlog = 1;
    on(faults, || {
        let listener = TcpListener::bind("10.0.0.1:80").unwrap();
        let knock =
            || TcpStream::connect_timeout(&SocketAddr::from(([10, 0, 0, 1], 80)), 100 * SECOND);
        let began = Instant::now();
        let _first = knock().unwrap();
        assert!(began.elapsed() < SECOND);
        let second = spawn(knock);
        sleep(SECOND / 2);
        let _accepted = listener.accept().unwrap();
        second.join().unwrap().unwrap();
        assert!(began.elapsed() > SECOND && began.elapsed() < 2 * SECOND);
        // Nobody accepts any more.
        let gave_up = TcpStream::connect("10.0.0.1:80").unwrap_err();
        assert_eq!(gave_up.kind(), ErrorKind::TimedOut);
        let took = began.elapsed();
        assert!(took > 100 * SECOND && took < 200 * SECOND, "{took:?}");
    });
}

#[test]
fn ports_and_descriptors_run_out() {
    let mut faults = Faults::none();
    faults.ports = 5000..5003;
    on(faults, || {
        let bound: Vec<_> = (0..3)
            .map(|_| TcpListener::bind("10.0.0.1:0").unwrap())
            .collect();
        let error = TcpListener::bind("10.0.0.1:0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        drop(bound);
        TcpListener::bind("10.0.0.1:0").unwrap();
    });
    let mut faults = Faults::none();
    faults.no_descriptor = 1.0;
    let error = on(faults, || TcpListener::bind("10.0.0.1:0").unwrap_err());
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
}

#[test]
fn silence_ends_by_itself_or_by_the_kernel_s_own_limits() {
    let mut faults = Faults::none();
    faults.silence = 1.0;
    faults.silence_for = 30 * SECOND..31 * SECOND;
    on(faults, || {
        let (mut ours, mut theirs) = connected();
        let began = Instant::now();
        ours.write_all(b"x").unwrap();
        theirs.read_exact(&mut [0]).unwrap();
        assert!(began.elapsed() >= 30 * SECOND);

        let (ours, _theirs) = connected();
        let socket: &green::greenio::GreenSocket = ours.as_ref();
        socket.set_tcp_user_timeout(Some(5 * SECOND)).unwrap();
        let began = Instant::now();
        (&ours).write_all(b"x").unwrap();
        assert_eq!(
            (&ours).read(&mut [0]).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        assert!(began.elapsed() >= 5 * SECOND && began.elapsed() < 6 * SECOND);
    });
}

#[test]
fn unix_sockets_have_names_and_no_latency() {
    on(Faults::none(), || {
        let path = "/simulated/socket";
        let listener = UnixListener::bind(path).unwrap();
        assert!(!std::path::Path::new(path).exists());
        assert_eq!(
            UnixListener::bind(path).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        let mut client = UnixStream::connect(path).unwrap();
        client.write_all(b"hello").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        assert_eq!(server.read(&mut [0; 8]).unwrap(), 5);
        assert_eq!(
            client.peer_addr().unwrap().as_pathname(),
            Some(path.as_ref())
        );
        drop(listener);
        assert_eq!(
            UnixStream::connect(path).unwrap_err().kind(),
            ErrorKind::NotFound
        );

        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.write_all(b"x").unwrap();
        drop(one);
        let mut bytes = Vec::new();
        other.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"x");

        let (one, other) = UnixDatagram::pair().unwrap();
        one.send(b"datagram").unwrap();
        let named = UnixDatagram::bind("/simulated/other").unwrap();
        other.send_to(b"x", "/simulated/other").unwrap();
        UnixDatagram::unbound()
            .unwrap()
            .send_to(b"yy", "/simulated/other")
            .unwrap();
        assert_eq!(named.recv(&mut [0; 8]).unwrap(), 1);
        assert_eq!(named.recv(&mut [0; 8]).unwrap(), 2);
        assert_eq!(other.recv(&mut [0; 16]).unwrap(), 8);
    });
}

#[test]
fn names_are_looked_up_in_the_simulation() {
    calmly(|| {
        let at = |host: &str| (host, 80).to_socket_addrs().unwrap().next().unwrap();
        assert_eq!(at("localhost"), "127.0.0.1:80".parse().unwrap());
        assert_eq!(at("db.example"), at("db.example"));
        let listener = TcpListener::bind("db.example:80").unwrap();
        TcpStream::connect("db.example:80").unwrap();
        listener.accept().unwrap();
    });
    let mut faults = Faults::none();
    faults.no_answer = 1.0;
    on(faults, || TcpStream::connect("db.example:80").unwrap_err());
}

#[test]
fn a_network_with_faults_replays_exactly() {
    let run = |seed| {
        let outcome = Simulation::new(seed).faults(Faults::harsh()).run(|| {
            let _ = exchange(&mut Random::new(7));
        });
        (
            outcome.trace.fingerprint(),
            outcome.trace.to_string(),
            outcome.elapsed,
        )
    };
    let mut fingerprints: Vec<_> = (0..30)
        .map(|seed| {
            let first = run(seed);
            assert_eq!(first, run(seed), "seed {seed}");
            assert!(first.1.contains(" socket"), "{}", first.1);
            first.0
        })
        .collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    // Some find no descriptor at once, which looks the same.
    assert!(fingerprints.len() > 25);
}

/// Some clients send a stream each and have it sent back by an echo server; whatever comes is what was sent.
fn exchange(random: &mut Random) -> io::Result<()> {
    let listener = TcpListener::bind("10.0.0.1:7")?;
    let server = spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            spawn(move || -> io::Result<()> {
                let mut buffer = [0; 3000];
                loop {
                    match stream.read(&mut buffer) {
                        Ok(0) => return Ok(()),
                        Ok(n) => stream.write_all(&buffer[..n])?,
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
            });
        }
    });
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let length = random.below(20_000) as usize;
            spawn(move || -> io::Result<()> {
                let sent: Vec<u8> = (0..length).map(|n| (n * 31 + number) as u8).collect();
                let stream = TcpStream::connect("10.0.0.1:7")?;
                let (mut reader, mut writer) = (stream.try_clone()?, stream);
                let to_send = sent.clone();
                let writing = spawn(move || -> io::Result<()> {
                    writer.write_all(&to_send)?;
                    writer.shutdown(Shutdown::Write)
                });
                let mut echoed = Vec::new();
                let outcome = reader.read_to_end(&mut echoed);
                assert!(sent.starts_with(&echoed), "other bytes came than were sent");
                let written = writing.join().unwrap();
                outcome?;
                written?;
                assert_eq!(echoed.len(), sent.len(), "a clean end in the middle");
                Ok(())
            })
        })
        .collect();
    let outcomes: Vec<_> = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .collect();
    server.kill().unwrap();
    outcomes.into_iter().collect()
}

#[test]
fn streams_carry_what_was_sent_whatever_the_network() {
    trial_on("streams", Faults::mild(), |mut random| {
        exchange(&mut random).unwrap()
    });
    trial_on("streams that break", Faults::harsh(), |mut random| {
        let _ = exchange(&mut random);
    });
}

#[test]
fn readers_that_are_killed_or_run_out_of_time_lose_nothing() {
    trial_on("reads cut short", Faults::mild(), |mut random| {
        let listener = TcpListener::bind("10.0.0.1:7").unwrap();
        let writer = spawn(|| {
            let mut stream = TcpStream::connect("10.0.0.1:7").unwrap();
            for n in 0..200_u8 {
                stream.write_all(&[n]).unwrap();
                if n % 16 == 0 {
                    sleep(3 * MS);
                }
            }
        });
        let stream = Arc::new(listener.accept().unwrap().0);
        let read = Arc::new(green::sync::Mutex::new(Vec::<u8>::new()));
        loop {
            let (from, to) = (stream.clone(), read.clone());
            let limit = Duration::from_micros(random.below(4_000));
            let by_kill = random.below(2) == 0;
            let reader = spawn(move || {
                let mut byte = [0; 7];
                let mut one = || {
                    let n = (&*from).read(&mut byte).unwrap();
                    // No wait in between, so nothing is taken and not noted.
                    to.try_lock().unwrap().extend(&byte[..n]);
                    n
                };
                match by_kill {
                    true => while one() > 0 {},
                    false => {
                        let _ = timeout(limit, || while one() > 0 {});
                    }
                }
            });
            sleep(limit);
            if by_kill {
                reader.kill().unwrap();
            }
            let _ = reader.join();
            if read.try_lock().unwrap().len() == 200 {
                break;
            }
        }
        writer.join().unwrap();
        assert_eq!(*read.try_lock().unwrap(), (0..200).collect::<Vec<u8>>());
    });
}

#[test]
fn each_of_many_readers_and_writers_of_one_stream_is_served() {
    trial_on("many readers", Faults::mild(), |mut random| {
        let (ours, theirs) = connected();
        let (ours, theirs) = (Arc::new(ours), Arc::new(theirs));
        let writers: Vec<_> = (0..3)
            .map(|_| {
                let (to, pieces) = (ours.clone(), random.below(20));
                spawn(move || {
                    for n in 0..pieces {
                        (&*to).write_all(&[7; 50]).unwrap();
                        if n % 8 == 0 {
                            sleep(MS);
                        }
                    }
                    50 * pieces as usize
                })
            })
            .collect();
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let from = theirs.clone();
                spawn(move || {
                    let (mut count, mut buffer) = (0, [0; 30]);
                    loop {
                        match (&*from).read(&mut buffer).unwrap() {
                            0 => return count,
                            n => count += n,
                        }
                    }
                })
            })
            .collect();
        let sum = |threads: Vec<green::thread::JoinHandle<usize>>| -> usize {
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        };
        let sent = sum(writers);
        ours.shutdown(Shutdown::Write).unwrap();
        assert_eq!(sum(readers), sent);
    });
}

#[test]
fn whoever_waits_for_a_socket_is_woken_when_it_is_closed() {
    trial_on("close under waiters", Faults::mild(), |mut random| {
        let (ours, theirs) = connected();
        let (stream, listener) = (
            Arc::new(ours),
            Arc::new(TcpListener::bind("10.0.0.1:9").unwrap()),
        );
        let waiters: Vec<_> = (0..3)
            .map(|number| {
                let (stream, listener) = (stream.clone(), listener.clone());
                spawn(move || match number {
                    0 => (&*stream).read(&mut [0]).map(drop),
                    1 => loop {
                        (&*stream).write_all(&[0; 1000])?;
                    },
                    _ => listener.accept().map(drop),
                })
            })
            .collect();
        sleep(Duration::from_micros(random.below(20_000)));
        let (stream, listener): (&green::greenio::GreenSocket, &green::greenio::GreenSocket) =
            ((*stream).as_ref(), (*listener).as_ref());
        stream.close();
        listener.close();
        for waiter in waiters {
            let error = waiter.join().unwrap().unwrap_err();
            assert!(green::ClosedLocally::caused(&error), "{error}");
        }
        drop(theirs);
    });
}

#[test]
fn datagrams_come_whole_or_not_at_all() {
    trial_on("datagrams", Faults::harsh(), |mut random| {
        let open = |at: &str| loop {
            match UdpSocket::bind(at) {
                Ok(socket) => return socket,
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EMFILE)),
            }
        };
        let server = open("10.0.0.1:53");
        let echo = spawn(move || {
            let mut buffer = [0; 2000];
            loop {
                match server.recv_from(&mut buffer) {
                    Ok((n, from)) => while server.send_to(&buffer[..n], from).is_err() {},
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted),
                }
            }
        });
        let client = open("10.0.0.2:0");
        client.connect("10.0.0.1:53").unwrap();
        client.set_read_timeout(Some(50 * MS)).unwrap();
        let mut answered = 0;
        let mut asked = 0..;
        // A cut of the network may last longer than twenty questions.
        while let Some(n) = asked.next().filter(|n| *n < 20 || answered == 0) {
            let n = n as u8;
            let sent = vec![n; 1 + random.below(1500) as usize];
            while client.send(&sent).is_err() {}
            let mut buffer = [0; 2000];
            while let Ok(length) = client.recv(&mut buffer) {
                assert!(buffer[..length].iter().all(|byte| *byte == buffer[0]));
                answered += 1;
            }
        }
        echo.kill().unwrap();
    });
}
