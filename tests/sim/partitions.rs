//! Programs of several machines, and networks that are cut between them for a while.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::sync::Arc;
use std::time::{Duration, Instant};

use green::convenience::Connect;
use green::greenio::GreenSocket;
use green::net::{TcpListener, TcpStream, UdpSocket};
use green::os::unix::net::{UnixListener, UnixStream};
use green::reconnect::Presence;
use green::sim::{Faults, Partition, Simulation, on_machine, partition};
use green::thread::{sleep, spawn};
use green::timeout;

use super::net::{calmly, on};
use super::programs::ask;
use super::{Random, trial_on};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// When the kernel gives up what nobody confirms, by default, and a connection that nobody answers.
const UNCONFIRMED: Duration = Duration::from_secs(924);
const UNANSWERED: Duration = Duration::from_secs(127);

fn machine(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, number).into()
}

fn cut() -> Partition {
    partition([machine(1)], [machine(2)])
}

/// The client's end, on machine 2, and the server's, on machine 1.
fn connected() -> (TcpStream, TcpStream) {
    let listener = on_machine(machine(1), || TcpListener::bind("0.0.0.0:0")).unwrap();
    let at = (machine(1), listener.local_addr().unwrap().port());
    let client = on_machine(machine(2), || TcpStream::connect(at)).unwrap();
    (client, listener.accept().unwrap().0)
}

fn kind<T: std::fmt::Debug>(outcome: io::Result<T>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

#[test]
fn each_machine_has_its_own_names() {
    calmly(|| {
        let sockets = [1, 2].map(|number| {
            on_machine(machine(number), || {
                let path = UnixListener::bind("/run/app").unwrap();
                let datagrams = UdpSocket::bind("0.0.0.0:53").unwrap();
                let local = TcpListener::bind("127.0.0.1:81").unwrap();
                let not_here = kind(TcpListener::bind((machine(3 - number), 80)));
                assert_eq!(not_here, ErrorKind::AddrNotAvailable);
                (
                    TcpListener::bind("0.0.0.0:80").unwrap(),
                    path,
                    datagrams,
                    local,
                )
            })
        });
        let [(one, ..), (other, ..)] = &sockets;
        assert_eq!(kind(UnixStream::connect("/run/app")), ErrorKind::NotFound);
        // The machine that has every other address meets neither of them.
        assert_eq!(
            kind(TcpListener::bind((machine(1), 80))),
            ErrorKind::AddrInUse
        );
        let third = TcpListener::bind("0.0.0.0:80").unwrap();
        let _not_there = TcpListener::bind("0.0.0.0:82").unwrap();
        assert_eq!(
            kind(TcpStream::connect((machine(2), 82))),
            ErrorKind::ConnectionRefused
        );
        on_machine(machine(4), || {
            let error = kind(TcpStream::connect("127.0.0.1:81"));
            assert_eq!(error, ErrorKind::ConnectionRefused);
        });
        let from_third = TcpStream::connect((machine(1), 80)).unwrap();
        assert_eq!(one.accept().unwrap().1, from_third.local_addr().unwrap());
        on_machine(machine(1), || {
            let local = TcpStream::connect("127.0.0.1:80").unwrap();
            assert_eq!(one.accept().unwrap().1, local.local_addr().unwrap());
            let remote = TcpStream::connect((machine(2), 80)).unwrap();
            let (_, peer) = other.accept().unwrap();
            assert_eq!(
                (peer.ip(), peer),
                (machine(1), remote.local_addr().unwrap())
            );
            let bound = Connect::new().bind("0.0.0.0:9999".parse().unwrap());
            let bound = bound.to((machine(2), 80)).unwrap();
            assert_eq!(bound.local_addr().unwrap(), (machine(1), 9999).into());
            // A green thread is where its spawner is, and a machine has the family of its address alone.
            spawn(move || {
                let port = bound.peer_addr().unwrap().port();
                let elsewhere = TcpStream::connect((machine(3), port)).unwrap();
                assert_eq!(third.accept().unwrap().1.ip(), machine(1));
                drop(elsewhere);
                let error = TcpStream::connect("[2001:db8::1]:80").unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::ENETUNREACH));
            })
            .join()
            .unwrap();
        });
        // Closed, a machine's own listener leaves nobody there.
        drop(sockets);
        assert_eq!(
            kind(TcpStream::connect((machine(1), 80))),
            ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn a_connection_is_tried_until_the_network_heals() {
    calmly(|| {
        let _listener = on_machine(machine(1), || TcpListener::bind("0.0.0.0:80")).unwrap();
        let connect = || on_machine(machine(2), || TcpStream::connect((machine(1), 80)));
        let (cut, began) = (cut(), Instant::now());
        assert_eq!(kind(connect()), ErrorKind::TimedOut);
        let took = began.elapsed();
        assert!(took >= UNANSWERED && took < UNANSWERED + SECOND, "{took:?}");
        // A machine that is in neither group is not concerned.
        on_machine(machine(3), || TcpStream::connect((machine(1), 80))).unwrap();

        let (began, healing) = (Instant::now(), spawn(move || sleep(5 * SECOND)));
        let connecting = spawn(connect);
        healing.join().unwrap();
        cut.heal();
        connecting.join().unwrap().unwrap();
        // At the fourth attempt.
        let took = began.elapsed();
        assert!(took >= 7 * SECOND && took < 8 * SECOND, "{took:?}");
    });
}

#[test]
fn an_answer_that_meets_a_cut_comes_once_it_has_healed() {
    let mut faults = Faults::none();
    faults.latency = 10 * MS..10 * MS;
    for is_there in [true, false] {
        on(faults.clone(), move || {
            let listener = on_machine(machine(1), || TcpListener::bind("0.0.0.0:80")).unwrap();
            let _there = is_there.then_some(listener);
            let began = Instant::now();
            let connecting = on_machine(machine(2), || {
                spawn(|| TcpStream::connect((machine(1), 80)))
            });
            // The question has come through, and the answer is under way.
            sleep(15 * MS);
            let cut = cut();
            sleep(5 * SECOND);
            assert!(!connecting.is_finished());
            cut.heal();
            let outcome = connecting
                .join()
                .unwrap()
                .map(drop)
                .map_err(|error| error.kind());
            match is_there {
                true => assert_eq!(outcome, Ok(())),
                false => assert_eq!(outcome, Err(ErrorKind::ConnectionRefused)),
            }
            assert!(began.elapsed() < 11 * SECOND, "{:?}", began.elapsed());
        });
    }
}

#[test]
fn what_is_held_up_is_tried_again_after_as_long_again_or_two_minutes_at_most() {
    let after = |length: Duration, seed| {
        let simulation = Simulation::new(seed).faults(Faults::none());
        let outcome = simulation.run(move || {
            let (mut ours, mut theirs) = connected();
            let cut = cut();
            ours.write_all(b"x").unwrap();
            sleep(length);
            cut.heal();
            let healed = Instant::now();
            theirs.read_exact(&mut [0]).unwrap();
            healed.elapsed()
        });
        outcome.result.unwrap()
    };
    let longest = |length| (0..30).map(|seed| after(length, seed)).max().unwrap();
    let (short, long) = (longest(SECOND), longest(600 * SECOND));
    assert!(short > SECOND / 2 && short < SECOND + MS, "{short:?}");
    assert!(long > 60 * SECOND && long < 120 * SECOND + MS, "{long:?}");
    // If the network is cut again before that, it waits on.
    calmly(|| {
        let (mut ours, mut theirs) = connected();
        let first = cut();
        ours.write_all(b"x").unwrap();
        sleep(100 * SECOND);
        first.heal();
        let second = cut();
        theirs.set_read_timeout(Some(200 * SECOND)).unwrap();
        assert_eq!(kind(theirs.read(&mut [0])), ErrorKind::WouldBlock);
        second.heal();
        theirs.read_exact(&mut [0]).unwrap();
    });
}

#[test]
fn a_stream_goes_on_in_order_once_all_cuts_between_its_ends_have_healed() {
    calmly(|| {
        let (mut ours, mut theirs) = connected();
        let (first, second) = (cut(), partition([machine(9), machine(2)], [machine(1)]));
        let began = Instant::now();
        ours.write_all(b"a").unwrap();
        theirs.write_all(b"from the other side").unwrap();
        sleep(10 * SECOND);
        ours.write_all(b"b").unwrap();
        theirs.set_read_timeout(Some(10 * SECOND)).unwrap();
        assert_eq!(kind(theirs.read(&mut [0])), ErrorKind::WouldBlock);
        first.heal();
        assert_eq!(kind(theirs.read(&mut [0])), ErrorKind::WouldBlock);
        second.heal();
        ours.write_all(b"c").unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        theirs.set_read_timeout(None).unwrap();
        let mut text = String::new();
        theirs.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        // The attempts are as far apart as the cut was long.
        let took = began.elapsed();
        assert!(took > 30 * SECOND && took < 61 * SECOND, "{took:?}");
        ours.read_exact(&mut [0; 19]).unwrap();
    });
}

#[test]
fn the_limits_of_the_system_end_what_is_cut_off() {
    calmly(|| {
        // By default, whoever has sent something.
        let (ours, theirs) = connected();
        let (_cut, began) = (cut(), Instant::now());
        (&ours).write_all(b"x").unwrap();
        assert_eq!(kind((&ours).read(&mut [0])), ErrorKind::TimedOut);
        let took = began.elapsed();
        assert!(
            took >= UNCONFIRMED && took < UNCONFIRMED + SECOND,
            "{took:?}"
        );
        // The other end was told nothing, and has sent nothing.
        theirs.set_read_timeout(Some(86_400 * SECOND)).unwrap();
        assert_eq!(kind((&theirs).read(&mut [0])), ErrorKind::WouldBlock);
    });
    calmly(|| {
        let (ours, theirs) = connected();
        let (ours_too, cut) = (ours.try_clone().unwrap(), cut());
        let socket: &GreenSocket = ours.as_ref();
        socket.set_tcp_user_timeout(Some(5 * SECOND)).unwrap();
        let began = Instant::now();
        (&ours).write_all(b"x").unwrap();
        assert_eq!(kind((&ours_too).read(&mut [0])), ErrorKind::TimedOut);
        assert!(began.elapsed() >= 5 * SECOND && began.elapsed() < 6 * SECOND);
        // What was given up is not sent when the network heals; whoever sends to it then hears that it is gone.
        cut.heal();
        theirs.set_read_timeout(Some(600 * SECOND)).unwrap();
        assert_eq!(kind((&theirs).read(&mut [0])), ErrorKind::WouldBlock);
        (&theirs).write_all(b"x").unwrap();
        assert_eq!(kind((&theirs).read(&mut [0])), ErrorKind::ConnectionReset);
    });
    // Probes end a connection that has nothing to send, also if it is told to probe in the middle of a cut.
    for is_before in [true, false] {
        calmly(move || {
            let (ours, _theirs) = connected();
            let probe = || Presence::STEADY.apply(&ours).unwrap();
            if is_before {
                probe();
            }
            let (_cut, began) = (cut(), Instant::now());
            if !is_before {
                probe();
            }
            assert_eq!(kind((&ours).read(&mut [0])), ErrorKind::TimedOut);
            assert!(began.elapsed() < 120 * SECOND, "{:?}", began.elapsed());
        });
    }
    // One cut after the other: no probe is missed for long enough.
    calmly(|| {
        let (ours, mut theirs) = connected();
        Presence::STEADY.apply(&ours).unwrap();
        for _ in 0..200 {
            let cut = cut();
            sleep(SECOND);
            cut.heal();
            sleep(SECOND);
        }
        theirs.write_all(b"x").unwrap();
        (&ours).read_exact(&mut [0]).unwrap();
    });
}

#[test]
fn an_end_comes_late_and_a_reset_never() {
    // Closed in order: it is tried for a hundred seconds.
    for (length, comes) in [(90, true), (110, false)] {
        calmly(move || {
            let (mut ours, mut theirs) = connected();
            let cut = cut();
            ours.write_all(b"last words").unwrap();
            drop(ours);
            sleep(length * SECOND);
            cut.heal();
            theirs.set_read_timeout(Some(200 * SECOND)).unwrap();
            let mut text = String::new();
            match comes {
                true => assert_eq!(theirs.read_to_string(&mut text).unwrap(), 10),
                false => assert_eq!(
                    kind(theirs.read_to_string(&mut text)),
                    ErrorKind::WouldBlock
                ),
            }
        });
    }
    calmly(|| {
        let (mut ours, mut theirs) = connected();
        ours.write_all(b"unread").unwrap();
        sleep(SECOND);
        let cut = cut();
        theirs.write_all(b"forgotten with the reset").unwrap();
        drop(theirs);
        sleep(SECOND);
        cut.heal();
        ours.set_read_timeout(Some(3600 * SECOND)).unwrap();
        assert_eq!(kind(ours.read(&mut [0])), ErrorKind::WouldBlock);
        // Whoever sends hears of it.
        ours.write_all(b"hello?").unwrap();
        assert_eq!(kind(ours.read(&mut [0])), ErrorKind::ConnectionReset);
    });
}

#[test]
fn datagrams_are_lost_in_a_cut() {
    calmly(|| {
        let server = on_machine(machine(1), || UdpSocket::bind("0.0.0.0:53")).unwrap();
        let client = on_machine(machine(2), || UdpSocket::bind("0.0.0.0:0")).unwrap();
        let cut = cut();
        client.send_to(b"lost", (machine(1), 53)).unwrap();
        sleep(SECOND);
        cut.heal();
        client.send_to(b"kept", (machine(1), 53)).unwrap();
        let mut buffer = [0; 8];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from.ip()), (&b"kept"[..], machine(2)));
        server.send_to(b"answer", from).unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 6);
    });
}

#[test]
fn a_cut_by_chance_heals_by_itself() {
    let mut faults = Faults::none();
    faults.partition = 0.5;
    faults.partition_for = 30 * SECOND..31 * SECOND;
    on(faults, || {
        let began = Instant::now();
        let (mut ours, mut theirs) = connected();
        for _ in 0..8 {
            ours.write_all(b"x").unwrap();
            theirs.read_exact(&mut [0]).unwrap();
        }
        let took = began.elapsed();
        assert!(took > 30 * SECOND && took < 3600 * SECOND, "{took:?}");
        // Within a machine there is none.
        let began = Instant::now();
        let listener = TcpListener::bind("10.0.0.9:80").unwrap();
        TcpStream::connect("10.0.0.9:80").unwrap();
        listener.accept().unwrap();
        assert!(began.elapsed() < SECOND);
    });
}

/// Cuts the network between machines 1 and 2 and heals it some times, for so long at most.
fn cut_now_and_then(mut random: Random, longest: Duration) {
    let mut within =
        move |limit: Duration| Duration::from_micros(random.below(limit.as_micros() as u64));
    for n in 0..20 {
        // Every other time it stays whole for long enough to try again what was held up, so no stream comes to its limit.
        let whole = if n % 2 == 0 { 20 * MS } else { 121 * SECOND };
        sleep(whole + within(whole));
        let first = cut();
        sleep(within(longest));
        // Sometimes the next begins before this one is over.
        let second = (within(2 * MS) > MS).then(cut);
        drop(first);
        sleep(within(longest));
        drop(second);
    }
}

#[test]
fn streams_lose_nothing_and_keep_their_order_while_the_network_is_cut_now_and_then() {
    trial_on("streams across cuts", Faults::mild(), |mut random| {
        let (ours, theirs) = connected();
        let fate = Random::of(random.below(u64::MAX), 1);
        let cuts = spawn(move || cut_now_and_then(fate, 60 * SECOND));
        let both: Vec<_> = [ours, theirs]
            .into_iter()
            .map(|stream| {
                let length = random.below(20_000) as usize;
                let mut fate = Random::of(random.below(u64::MAX), 2);
                let mut writer = stream.try_clone().unwrap();
                let writing = spawn(move || {
                    let text: Vec<u8> = (0..length).map(|n| (n * 31 % 251) as u8).collect();
                    for piece in text.chunks(1 + fate.below(3_000) as usize) {
                        writer.write_all(piece).unwrap();
                        sleep(MS * fate.below(3_000) as u32);
                    }
                    writer.shutdown(Shutdown::Write).unwrap();
                    length
                });
                let stream = Arc::new(stream);
                let limit = SECOND + Duration::from_micros(random.below(200_000_000));
                let reading = spawn(move || {
                    let mut got = Vec::new();
                    // Readers that run out of time, or are killed, lose nothing.
                    loop {
                        let from = stream.clone();
                        let reader = spawn(move || {
                            let mut piece = [0; 700];
                            let read = timeout(limit, || (&*from).read(&mut piece));
                            read.map(|read| piece[..read.unwrap()].to_vec())
                        });
                        match reader.join().unwrap() {
                            // Closed, it would be given up soon with what it has still to send.
                            Ok(piece) if piece.is_empty() => return (got, stream),
                            Ok(piece) => got.extend(piece),
                            Err(_) => {}
                        }
                    }
                });
                (writing, reading)
            })
            .collect();
        let [(writes, reads), (writes_back, reads_back)] = both.try_into().unwrap();
        let check = |sent: usize, got: &[u8]| {
            assert_eq!(got.len(), sent);
            assert!((0..sent).all(|n| got[n] == (n * 31 % 251) as u8));
        };
        let (there, here) = (reads_back.join().unwrap(), reads.join().unwrap());
        check(writes.join().unwrap(), &there.0);
        check(writes_back.join().unwrap(), &here.0);
        cuts.kill().unwrap();
    });
}

#[test]
fn an_attempt_at_a_connection_ends_however_it_meets_a_cut() {
    trial_on("connecting across cuts", Faults::mild(), |mut random| {
        let listener = on_machine(machine(1), || TcpListener::bind("0.0.0.0:80")).unwrap();
        // What it accepts has one byte and an end, or is not heard of for its limit.
        let server = spawn(move || {
            let accept = || listener.accept().map(|(stream, _)| stream);
            while let Ok(mut stream) = accept() {
                spawn(move || {
                    stream.set_read_timeout(Some(3600 * SECOND)).unwrap();
                    match stream.read_exact(&mut [0]) {
                        Ok(()) => stream.write_all(b"y").unwrap(),
                        Err(error) => assert!(
                            matches!(
                                error.kind(),
                                ErrorKind::ConnectionReset | ErrorKind::WouldBlock
                            ),
                            "{error}"
                        ),
                    }
                });
            }
        });
        let fate = Random::of(random.below(u64::MAX), 1);
        // Short ones, about as long as a connection takes, or long.
        let longest = [10 * MS, 200 * SECOND][random.below(2) as usize];
        let cuts = spawn(move || cut_now_and_then(fate, longest));
        for _ in 0..5 {
            let began = Instant::now();
            let connecting = || on_machine(machine(2), || TcpStream::connect((machine(1), 80)));
            match timeout(UNANSWERED + SECOND, connecting).expect("an attempt does not end") {
                Ok(mut stream) => {
                    stream.set_read_timeout(Some(3600 * SECOND)).unwrap();
                    stream.write_all(b"x").unwrap();
                    let mut answer = [0];
                    match stream.read_exact(&mut answer) {
                        Ok(()) => assert_eq!(&answer, b"y"),
                        // It was closed, and given up, in the middle of a long cut.
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    }
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::TimedOut);
                    assert!(began.elapsed() > UNANSWERED / 2, "{:?}", began.elapsed());
                }
            }
        }
        cuts.kill().unwrap();
        server.kill().unwrap();
    });
}

#[test]
fn a_client_comes_back_whenever_its_server_can_be_reached_again() {
    trial_on("reconnect across cuts", Faults::harsh(), |mut random| {
        let listener = loop {
            if let Ok(listener) = on_machine(machine(1), || TcpListener::bind("0.0.0.0:7")) {
                break listener;
            }
        };
        let server = spawn(move || {
            loop {
                let Ok((mut stream, _)) = listener.accept() else {
                    continue;
                };
                // One that was cut off and never hears of its end must not stay for ever.
                spawn(move || -> io::Result<()> {
                    Presence::STEADY.apply(&stream)?;
                    let mut line = [0; 8];
                    loop {
                        stream.read_exact(&mut line)?;
                        stream.write_all(&line)?;
                    }
                });
            }
        });
        let fate = Random::of(random.below(u64::MAX), 1);
        let cuts = spawn(move || cut_now_and_then(fate, 600 * SECOND));
        ask(&mut random, 5, || {
            on_machine(machine(2), || TcpStream::connect((machine(1), 7)))
        });
        cuts.kill().unwrap();
        server.kill().unwrap();
    });
}

#[test]
fn cuts_replay_exactly() {
    let run = |seed| {
        let outcome = Simulation::new(seed).faults(Faults::harsh()).run(move || {
            let cuts = spawn(move || cut_now_and_then(Random::of(seed, 0), 10 * SECOND));
            let _ = timeout(600 * SECOND, || -> io::Result<()> {
                let listener = on_machine(machine(1), || TcpListener::bind("0.0.0.0:7"))?;
                let mut ours = on_machine(machine(2), || TcpStream::connect((machine(1), 7)))?;
                let (mut theirs, _) = listener.accept()?;
                for _ in 0..20 {
                    ours.write_all(&[0; 500])?;
                    theirs.read_exact(&mut [0; 500])?;
                }
                Ok(())
            });
            cuts.kill().unwrap();
        });
        (outcome.trace.fingerprint(), outcome.trace.to_string())
    };
    let mut cuts = 0;
    for seed in 0..30 {
        let first = run(seed);
        assert_eq!(first, run(seed), "seed {seed}");
        cuts += first.1.matches("the network is cut").count();
    }
    assert!(cuts > 30);
}

#[test]
fn machines_and_cuts_are_for_simulations_alone() {
    let refused = |f: fn()| std::panic::catch_unwind(f).is_err();
    assert!(refused(|| on_machine(machine(1), || ())));
    assert!(refused(|| drop(cut())));
    // One that outlives its simulation does nothing to the next.
    let kept = green::sim::run(1, cut);
    green::sim::run(2, move || {
        let (mut ours, mut theirs) = connected();
        let _cut = cut();
        ours.write_all(b"x").unwrap();
        drop(kept);
        theirs.set_read_timeout(Some(60 * SECOND)).unwrap();
        assert_eq!(kind(theirs.read(&mut [0])), ErrorKind::WouldBlock);
    });
}
