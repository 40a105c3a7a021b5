//! TLS, servers, clients that come back, and asyncio's streams, over a network that does its worst.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use green::asyncio::{ConnectionOptions, ServerOptions, open_connection, start_server};
use green::convenience::Server;
use green::net::{TcpListener, TcpStream};
use green::reconnect::{Presence, Reconnect};
use green::sim::Faults;
use green::ssl::{EngineKind, SslContext, TlsVersion};
use green::thread::{sleep, spawn};
use green::timeout;

use super::{Random, trial_on};
use test_support::certs::{client_context, server_context};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];
static CLIENTS: LazyLock<[SslContext; 2]> =
    LazyLock::new(|| VERSIONS.map(|version| client_context(EngineKind::OpenSsl, version)));
static SERVERS: LazyLock<[SslContext; 2]> =
    LazyLock::new(|| VERSIONS.map(|version| server_context(EngineKind::OpenSsl, version)));

/// Tries until there is a descriptor for it.
fn listen(at: &str) -> TcpListener {
    loop {
        match TcpListener::bind(at) {
            Ok(listener) => return listener,
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EMFILE)),
        }
    }
}

fn text(random: &mut Random, most: u64) -> Vec<u8> {
    let length = random.below(most) as usize;
    (0..length).map(|n| (n * 7) as u8).collect()
}

/// Both ends of a TLS connection send and receive at once; whatever comes is a beginning of what was sent, and a clean end
/// comes after all of it.
fn converse(random: &mut Random) -> io::Result<()> {
    let version = random.below(2) as usize;
    let listener = listen("10.0.0.1:443");
    let (question, answer) = (text(random, 60_000), text(random, 60_000));
    let (theirs, expected) = (answer.clone(), question.clone());
    let server = spawn(move || -> io::Result<()> {
        let (socket, _) = loop {
            match listener.accept() {
                Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {}
                accepted => break accepted?,
            }
        };
        both_ways(SERVERS[version].accept(socket)?, theirs, &expected)
    });
    let client = move || {
        let socket = TcpStream::connect("10.0.0.1:443")?;
        both_ways(
            CLIENTS[version].connect(socket, "localhost")?,
            question,
            &answer,
        )
    };
    let ours = timeout(600 * SECOND, client);
    if ours.as_ref().is_ok_and(Result::is_ok) {
        // Then it has heard all of the server, but perhaps not the other way round.
        return server.join().unwrap().and(ours.unwrap());
    }
    server.kill()?;
    let _ = server.join();
    ours.unwrap_or(Err(ErrorKind::TimedOut.into()))
}

fn both_ways(
    socket: green::ssl::GreenSslSocket,
    to_send: Vec<u8>,
    expected: &[u8],
) -> io::Result<()> {
    let (mut reader, mut writer) = socket.split();
    let writing = spawn(move || -> io::Result<()> {
        writer.write_all(&to_send)?;
        writer.flush()?;
        writer.get_ref().shutdown_write()
    });
    let mut received = Vec::new();
    let outcome = reader.read_to_end(&mut received);
    assert!(
        expected.starts_with(&received),
        "other bytes than were sent"
    );
    let written = writing.join().unwrap();
    outcome?;
    assert_eq!(received.len(), expected.len(), "a clean end in the middle");
    written
}

#[test]
fn tls_carries_what_was_sent_whatever_the_network() {
    trial_on("TLS", Faults::mild(), |mut random| {
        converse(&mut random).unwrap()
    });
    trial_on("TLS that breaks", Faults::harsh(), |mut random| {
        let _ = converse(&mut random);
    });
}

#[test]
fn a_server_that_stops_serves_those_it_has_accepted() {
    trial_on("serve", Faults::mild(), |mut random| {
        let server = Server::new(listen("10.0.0.1:80"))
            .concurrency(1 + random.below(3) as usize)
            .grace(3600 * SECOND);
        let (stop, handled) = (server.stop_handle(), Arc::new(AtomicUsize::new(0)));
        let handling = handled.clone();
        let running = spawn(move || {
            server.run(move |mut stream, _| {
                let mut question = Vec::new();
                stream.read_to_end(&mut question).unwrap();
                stream.write_all(&question).unwrap();
                handling.fetch_add(1, SeqCst);
            })
        });
        let clients: Vec<_> = (0..6)
            .map(|number: u64| {
                let question = text(&mut random, 5_000);
                let delay = Duration::from_micros(random.below(20_000));
                spawn(move || -> io::Result<()> {
                    sleep(delay);
                    let mut stream = TcpStream::connect("10.0.0.1:80")?;
                    stream.write_all(&question)?;
                    stream.shutdown(Shutdown::Write)?;
                    let mut answer = Vec::new();
                    stream.read_to_end(&mut answer)?;
                    assert_eq!(answer, question, "client {number}");
                    Ok(())
                })
            })
            .collect();
        sleep(Duration::from_micros(random.below(40_000)));
        stop.stop();
        let served = running.join().unwrap().unwrap();
        assert_eq!(served.cut, 0);
        assert_eq!(served.connections, handled.load(SeqCst) as u64);
        // The others were refused or reset, not left waiting.
        let answered = clients
            .into_iter()
            .map(|client| timeout(SECOND, || client.join().unwrap()).expect("a client waits"))
            .filter(Result::is_ok)
            .count();
        assert_eq!(answered, handled.load(SeqCst));
    });
}

#[test]
fn a_client_that_comes_back_gets_its_answers_from_servers_that_break_down() {
    trial_on("reconnect", Faults::harsh(), |mut random| {
        // A server that dies and is started again, for a simulated hour and more.
        let mut fate = Random::of(random.below(u64::MAX), 1);
        let servers = spawn(move || {
            loop {
                let listener = listen("10.0.0.1:5000");
                let life = SECOND * (1 + fate.below(120) as u32);
                let connections = Arc::new(green::sync::Mutex::new(Vec::new()));
                let (deaf, theirs) = (fate.below(4) == 0, connections.clone());
                let server = spawn(move || {
                    loop {
                        let Ok((stream, _)) = listener.accept() else {
                            continue;
                        };
                        let handler = spawn(move || {
                            let mut stream = stream;
                            let mut line = [0; 8];
                            while !deaf && stream.read_exact(&mut line).is_ok() {
                                if stream.write_all(&line).is_err() {
                                    break;
                                }
                            }
                            // A deaf one keeps what it has and says nothing.
                            sleep(3600 * SECOND);
                        });
                        theirs.lock().unwrap().push(handler);
                    }
                });
                sleep(life);
                server.kill().unwrap();
                let _ = server.join();
                for handler in connections.lock().unwrap().drain(..) {
                    handler.kill().unwrap();
                }
                sleep(SECOND * fate.below(30) as u32);
            }
        });
        let began = Instant::now();
        ask(&mut random, 20, || TcpStream::connect("10.0.0.1:5000"));
        assert!(
            began.elapsed() < 24 * 3600 * SECOND,
            "{:?}",
            began.elapsed()
        );
        servers.kill().unwrap();
    });
}

/// Echo by asyncio's streams, a line at a time.
fn by_lines(random: &mut Random) -> io::Result<()> {
    let server = loop {
        let options = ServerOptions::new();
        let echo = |reader: green::asyncio::StreamReader, writer: green::asyncio::StreamWriter| {
            loop {
                match reader.readline() {
                    Ok(line) if line.is_empty() => break,
                    Ok(line) => {
                        writer.write(&line)?;
                        writer.drain()?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            writer.close();
            writer.wait_closed()
        };
        match start_server(echo, "10.0.0.1:7", options) {
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {}
            server => break server?,
        }
    };
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let lines: Vec<_> = (0..5).map(|_| random.below(2_000) as usize).collect();
            spawn(move || -> io::Result<()> {
                let (reader, writer) = open_connection("10.0.0.1:7", ConnectionOptions::new())?;
                for length in lines {
                    let mut line = vec![b'x'; length];
                    line.push(b'\n');
                    writer.write(&line)?;
                    writer.drain()?;
                    let answer = reader.readline()?;
                    assert!(line.starts_with(&answer), "another line came back");
                    if answer.len() < line.len() {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                writer.close();
                writer.wait_closed()
            })
        })
        .collect();
    let outcomes: Vec<_> = clients
        .into_iter()
        .map(|client| timeout(3600 * SECOND, || client.join().unwrap()))
        .collect();
    server.close();
    server.close_clients();
    server.wait_closed();
    for outcome in outcomes {
        outcome.expect("a client hangs")?;
    }
    Ok(())
}

#[test]
fn asyncio_s_streams_carry_lines_whatever_the_network() {
    trial_on("asyncio", Faults::mild(), |mut random| {
        by_lines(&mut random).unwrap()
    });
    trial_on("asyncio that breaks", Faults::harsh(), |mut random| {
        let _ = by_lines(&mut random);
    });
}

#[test]
fn callbacks_of_one_simulation_are_not_another_s() {
    for seed in 0..3 {
        green::sim::run(seed, || {
            let called = Arc::new(AtomicUsize::new(0));
            let calls = called.clone();
            green::asyncio::call_later(3600 * SECOND, move || {
                calls.fetch_add(1, SeqCst);
            });
            sleep(3601 * SECOND);
            assert_eq!(called.load(SeqCst), 1);
        });
    }
}

/// Asks so many questions of a server that says what it hears, now and then, by connections that come back.
pub(super) fn ask(
    random: &mut Random,
    questions: u64,
    mut connect: impl FnMut() -> io::Result<TcpStream> + Send + 'static,
) {
    let mut client = Reconnect::new(move || {
        let stream = connect()?;
        Presence::STEADY.apply(&stream)?;
        Ok(stream)
    })
    .open_limit(5 * SECOND)
    .use_limit(10 * SECOND)
    .pauses(10 * MS..=5 * SECOND)
    .attempts(None)
    .total_limit(None);
    for n in 0..questions {
        let question = n.to_ne_bytes();
        let answer = client.run(|stream| {
            let mut answer = [0; 8];
            stream.write_all(&question)?;
            stream.read_exact(&mut answer)?;
            Ok(answer)
        });
        assert_eq!(answer.unwrap(), question, "an answer to another question");
        sleep(SECOND * random.below(300) as u32);
    }
}
