//! Green threads that never wait give way to their neighbours all the same.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use green::asyncio::{ConnectionOptions, DatagramProtocol, Protocol};
use green::greenio::SockAddr;
use green::pool::{GreenPool, Group};
use green::semaphore::{CappedSemaphore, Semaphore};
use green::ssl::{EngineKind, TlsVersion};
use green::sync::{Mutex, RwLock, mpsc};
use green::{asyncio, channel, event, queue, select};
use greenhub::Deadline;
use greenhub::green_thread::{
    Builder, current, park, sleep, sleep_until, spawn, spawn_local, yield_now,
};
use greenhub::source::{Direction, Source};
use greenhub::wait_queue::checkpoint;
use greenhub::{greenio::GreenSocket, trampoline};
use test_support::certs::{client_context, server_context};
use test_support::net::{assert_closed_here, assert_kind, tcp, tcp_listener, tcp_pair};

/// Runs a green thread whose calls never wait and take `each`, and counts how
/// often its neighbour on the same hub gets to run during `calls` of them.
fn turns_of_a_neighbour(calls: u32, each: Duration) -> u32 {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let source = Source::new(OwnedFd::from(near));
    let (turns, over) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let neighbour = Builder::new().hub(0).spawn({
        let (turns, over) = (turns.clone(), over.clone());
        move || {
            while !over.load(SeqCst) {
                turns.fetch_add(1, SeqCst);
                yield_now();
            }
        }
    });
    let greedy = Builder::new().hub(0).spawn(move || {
        // Only from here on does the neighbour run by our leave.
        yield_now();
        let before = turns.load(SeqCst);
        for _ in 0..calls {
            let call = source.retry(Direction::Read, Deadline::NEVER, |_| {
                let begun = Instant::now();
                while begun.elapsed() < each {}
                Ok(())
            });
            call.unwrap();
        }
        over.store(true, SeqCst);
        drop(far);
        turns.load(SeqCst) - before
    });
    let turns = greedy.unwrap().join().unwrap();
    neighbour.unwrap().join().unwrap();
    turns
}

#[test]
fn long_calls_give_way_sooner_than_short_ones() {
    test_support::bounded("long calls give way", Duration::from_secs(60), || {
        // Each call takes longer than a slice: every few of them, others run.
        let turns = turns_of_a_neighbour(128, Duration::from_millis(1));
        assert!(turns >= 8, "{turns} turns in 128 calls of 1 ms");
    });
}

#[test]
fn short_calls_give_way_too() {
    test_support::bounded("short calls give way too", Duration::from_secs(60), || {
        let turns = turns_of_a_neighbour(6400, Duration::ZERO);
        assert!(turns >= 64, "{turns} turns in 6400 calls");
    });
}

/// Makes a call that never has to wait, over and over, until a neighbour on the
/// same hub says that it has run.
fn until_a_neighbour_runs(call: &dyn Fn()) {
    let ran = std::rc::Rc::new(std::cell::Cell::new(false));
    let theirs = ran.clone();
    let neighbour = spawn_local(move || {
        // Not at once: it must be let run again and again.
        (0..3).for_each(|_| sleep(Duration::from_micros(50)));
        theirs.set(true);
    });
    while !ran.get() {
        call();
    }
    neighbour.join().unwrap();
}

/// A name, and a call that never has to wait.
type Call = (&'static str, Box<dyn Fn() + Send>);

fn calls() -> Vec<Call> {
    let (mutex, shared) = (Mutex::new(0), RwLock::new(0));
    let read = RwLock::new(0);
    let (permits, capped) = (Semaphore::new(1), CappedSemaphore::new(1, 2));
    let (limited, guarded) = (Semaphore::new(1), Semaphore::new(1));
    let event = event::Event::new();
    event.send(7).unwrap();
    let queue = queue::Queue::bounded(1);
    let (sender, receiver) = channel::bounded(1);
    let (unbounded, _rest) = channel::unbounded();
    let (std_like, rest) = mpsc::channel();
    let (here, there) = channel::unbounded();
    let complete = asyncio::Future::new();
    complete.set_result(7).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    vec![
        ("Mutex::lock", Box::new(move || *mutex.lock().unwrap() += 1)),
        (
            "park with a token",
            Box::new(|| {
                current().unpark();
                park();
            }),
        ),
        (
            "RwLock::write",
            Box::new(move || *shared.write().unwrap() += 1),
        ),
        ("RwLock::read", Box::new(move || drop(read.read().unwrap()))),
        (
            "Semaphore::acquire",
            Box::new(move || {
                assert!(permits.acquire(Deadline::NEVER));
                permits.release();
            }),
        ),
        (
            "Semaphore::acquire_timeout",
            Box::new(move || {
                assert!(limited.acquire_timeout(Duration::MAX));
                limited.release();
            }),
        ),
        (
            "Semaphore::permit",
            Box::new(move || drop(guarded.permit())),
        ),
        (
            "CappedSemaphore",
            Box::new(move || {
                capped.acquire();
                capped.release();
            }),
        ),
        (
            "Event::wait",
            Box::new(move || assert_eq!(event.wait(), Ok(7))),
        ),
        (
            "Queue",
            Box::new(move || {
                queue.put(());
                queue.get();
            }),
        ),
        (
            "a bounded channel",
            Box::new(move || {
                sender.send(()).unwrap();
                receiver.recv().unwrap();
            }),
        ),
        (
            "an unbounded channel",
            Box::new(move || {
                let _ = (unbounded.send(0), &_rest);
            }),
        ),
        (
            "mpsc::channel",
            Box::new(move || {
                let _ = (std_like.send(0), &rest);
            }),
        ),
        (
            "select",
            Box::new(move || {
                here.send(0).unwrap();
                let mut select = channel::Select::new();
                let from = select.recv(&there);
                let chosen = select.select();
                assert_eq!(chosen.index(), from);
                chosen.recv(&there).unwrap();
            }),
        ),
        (
            "asyncio::Future::wait",
            Box::new(move || assert_eq!(complete.wait(None).unwrap(), 7)),
        ),
        (
            "select::poll",
            Box::new(move || {
                let mut fds = [select::PollFd::new(&near, select::Interest::WRITABLE)];
                assert_eq!(select::poll(&mut fds, None).unwrap(), 1);
                let _ = &far;
            }),
        ),
        (
            "block_on",
            Box::new(|| green::block_on(std::future::ready(()))),
        ),
        ("checkpoint", Box::new(checkpoint)),
        (
            "park with a token",
            Box::new(|| {
                green::thread::current().unpark();
                park();
            }),
        ),
    ]
}

/// Of sockets: calls that fail at once, or have nothing to ask the kernel.
fn calls_on_sockets() -> Vec<Call> {
    let (listener, address) = tcp_listener();
    let (closed_listener, _) = tcp_listener();
    closed_listener.close();
    let ((closed, _), (closed_too, _)) = (tcp_pair(), tcp_pair());
    closed.close();
    closed_too.close();
    let (impatient, silent) = tcp_pair();
    impatient.set_nonblocking(true);
    vec![
        (
            "accept, closed here",
            Box::new(move || assert_closed_here(closed_listener.accept())),
        ),
        (
            "send, closed here",
            Box::new(move || assert_closed_here(closed.send(b"lost"))),
        ),
        (
            "wait_readable, closed here",
            Box::new(move || assert_closed_here(closed_too.wait_readable(None))),
        ),
        (
            "recv without waiting",
            Box::new(move || {
                assert_kind(impatient.recv(&mut [0]), io::ErrorKind::WouldBlock);
                let _ = &silent;
            }),
        ),
        (
            "bind to an address in use",
            Box::new(move || {
                assert_kind(tcp().bind(&address), io::ErrorKind::AddrInUse);
                let _ = &listener;
            }),
        ),
        (
            "trampoline with a number that is not open",
            Box::new(|| {
                let waited = trampoline(&i32::MAX, Direction::Read, Deadline::NEVER);
                assert!(waited.is_err());
            }),
        ),
    ]
}

/// Both ends of a TLS connection after their handshakes.
fn tls_pair() -> (green::ssl::GreenSslSocket, green::ssl::GreenSslSocket) {
    let (client, server) = tcp_pair();
    let (engine, version) = (EngineKind::OpenSsl, TlsVersion::Tls13);
    let server = spawn(move || {
        let server = server_context(engine, version).accept(server).unwrap();
        server.do_handshake().unwrap();
        server
    });
    let client = client_context(engine, version).connect(client, "localhost");
    (client.unwrap(), server.join().unwrap())
}

fn calls_of_tls() -> Vec<Call> {
    let (ended, server) = tls_pair();
    server.close();
    assert_eq!((&ended).read(&mut [0]).unwrap(), 0);
    let (closed, _server) = tls_pair();
    closed.close();
    vec![
        (
            "a TLS read of the end",
            Box::new(move || assert_eq!((&ended).read(&mut [0]).unwrap(), 0)),
        ),
        (
            "a TLS read, closed here",
            Box::new(move || assert_closed_here((&closed).read(&mut [0]))),
        ),
        (
            "a TLS write, closed here",
            Box::new({
                let (closed, _server) = tls_pair();
                closed.close();
                move || assert_closed_here((&closed).write(&[0]))
            }),
        ),
    ]
}

struct Silent;

impl Protocol for Silent {
    fn data_received(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

impl DatagramProtocol for Silent {
    fn datagram_received(&mut self, _: &[u8], _: &SockAddr) -> io::Result<()> {
        Ok(())
    }
}

fn calls_of_asyncio() -> Vec<Call> {
    let connection = || {
        let (here, there) = UnixStream::pair().unwrap();
        let here = green::os::unix::net::UnixStream::from(here);
        let made = asyncio::create_connection_over(|| Silent, here, ConnectionOptions::new());
        (made.unwrap().0, there)
    };
    let endpoint = || {
        let (here, there) = UnixDatagram::pair().unwrap();
        let made = asyncio::create_datagram_endpoint_over(
            || Silent,
            GreenSocket::from(OwnedFd::from(here)),
        );
        (made.unwrap().0, there)
    };
    let ((full, _peer), (drained, peer)) = (connection(), connection());
    let ((datagrams, _other), (closed, _far)) = (endpoint(), endpoint());
    closed.abort();
    // More than the kernel takes: from here on there is a sender.
    full.write(&vec![7; 4 << 20]).unwrap();
    vec![
        (
            "asyncio: a write behind a sender",
            Box::new(move || {
                full.write(b"more").unwrap();
                let _ = &_peer;
            }),
        ),
        (
            "asyncio: drain with nothing to wait for",
            Box::new(move || {
                drained.drain().unwrap();
                let _ = &peer;
            }),
        ),
        (
            "asyncio: a datagram behind a sender",
            Box::new(move || {
                datagrams.send(b"more").unwrap();
                let _ = &_other;
            }),
        ),
        (
            "asyncio: a datagram, closed here",
            Box::new(move || {
                assert_closed_here(closed.send(b"lost"));
                let _ = &_far;
            }),
        ),
    ]
}

/// Waits for what has happened already.
fn waits_for_the_past() -> Vec<Call> {
    let past = Instant::now();
    let ended = spawn(|| ());
    ended.wait();
    let (pool, group, queue) = (GreenPool::new(1), Group::new(), queue::Queue::<()>::new());
    vec![
        ("JoinHandle::wait", Box::new(move || ended.wait())),
        ("GreenPool::waitall", Box::new(move || pool.waitall())),
        ("Group::join", Box::new(move || group.join())),
        ("Queue::join", Box::new(move || queue.join())),
        ("sleep for no time", Box::new(|| sleep(Duration::ZERO))),
        ("sleep_until", Box::new(move || sleep_until(past))),
    ]
}

#[test]
fn calls_that_fail_or_are_over_at_once_give_way() {
    let all = [
        calls_on_sockets(),
        calls_of_tls(),
        calls_of_asyncio(),
        waits_for_the_past(),
    ];
    all.into_iter().for_each(each_gives_way);
}

#[test]
fn calls_in_memory_that_never_have_to_wait_give_way() {
    each_gives_way(calls());
}

fn each_gives_way(calls: Vec<Call>) {
    for (name, call) in calls {
        test_support::bounded(name, Duration::from_secs(60), || {
            let hub = Builder::new().hub(0);
            let greedy = hub.spawn(move || until_a_neighbour_runs(&call));
            greedy.unwrap().join().unwrap();
        });
    }
}

/// As std's own test of that name, with both on one hub.
#[test]
fn a_sender_that_never_waits_lets_its_receiver_on_the_same_hub_go() {
    test_support::bounded("port_gone_concurrent", Duration::from_secs(60), || {
        let both = Builder::new().hub(0).spawn(|| {
            let (sender, receiver) = mpsc::channel();
            let partner = spawn_local(move || receiver.recv().unwrap());
            while sender.send(1).is_ok() {}
            assert_eq!(partner.join().unwrap(), 1);
        });
        both.unwrap().join().unwrap();
    });
}
