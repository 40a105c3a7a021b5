//! A peer that sends records which carry nothing, as many as the kernel keeps: no call is at work with all of them at once.

use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::{AsyncReadExt, FutureExt};
use green::aio::Async;
use green::native_tls::{Certificate, TlsConnector, TlsStream};
use green::net::TcpStream;
use greenhub::green_thread::{sleep, spawn_local, yield_now};
use greenhub::greenio::GreenSocket;
use socket2::SockRef;

use super::*;
use test_support::certs::{AUTHORITY, client_context, peer_context};
use test_support::ends::roles::{V12, V13};

/// It is longer at work with them than any limit here.
const UPDATES: usize = 20_000;

/// What a flood takes of the kernel's memory.
pub(super) const ROOM: usize = 1 << 20;

/// Sends key updates, as many as the kernel takes, after which nothing else moves. They are made beside the hub, so that
/// it has its turns meanwhile.
pub(super) fn flood(mut peer: Peer) -> Peer {
    greenhub::blocking(move || {
        let updates = peer.key_updates(UPDATES);
        fill(peer.tcp(), &updates);
        peer
    })
}

/// Sends what the kernel takes of `flood`.
fn fill(tcp: &mut std::net::TcpStream, flood: &[u8]) {
    tcp.set_nonblocking(true).unwrap();
    let mut left = flood;
    while let Ok(count @ 1..) = tcp.write(left) {
        left = &left[count..];
    }
}

/// A waker that counts its calls.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counting_waker() -> (Waker, Arc<Wakes>) {
    let wakes = Arc::new(Wakes::default());
    (wakes.clone().into(), wakes)
}

fn give_room(ours: &GreenSocket, theirs: &std::net::TcpStream) {
    ours.set_recv_buffer_size(ROOM).unwrap();
    SockRef::from(theirs).set_send_buffer_size(ROOM).unwrap();
}

/// Ends after their handshake, with a flood of key updates between them.
fn flooded(role: Role) -> (GreenSslSocket, Peer) {
    let (tls, mut peer) = shaken(role);
    give_room(tls.get_ref(), peer.tcp());
    (tls, flood(peer))
}

fn roles() -> impl Iterator<Item = Role> {
    tls_roles().filter(|role| role.version == V13)
}

/// Whether the kernel has more of the flood. Does not touch what the reader knows of the socket.
fn is_left(socket: &GreenSocket) -> bool {
    let look = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    let seen = SockRef::from(socket).recv_with_flags(&mut [MaybeUninit::uninit()], look);
    seen.is_ok()
}

#[test]
fn a_poll_ends_wakes_itself_and_goes_on_later() {
    green_test("a poll ends", || {
        for role in roles() {
            let (tls, _peer) = flooded(role);
            let mut stream = Async::new(tls.try_clone().unwrap());
            let mut buf = [0; 8];
            let mut reading = pin!(stream.read(&mut buf));
            let (waker, wakes) = counting_waker();
            assert!(
                reading
                    .poll_unpin(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            assert!(is_left(tls.get_ref()), "one poll took the whole flood");
            // The kernel has no event to come.
            assert!(wakes.0.load(SeqCst) > 0);
            // To a thread that polls it the limit comes, whose poll alone would be too long.
            assert!(greenhub::timeout(LIMIT, || green::block_on(reading)).is_err());
            assert!(is_left(tls.get_ref()), "the limit came after the flood");
        }
    });
}

#[test]
fn polls_let_a_sleeper_run_when_it_is_due() {
    green_test("polls let a sleeper", || {
        for role in roles() {
            let (tls, _peer) = flooded(role);
            let socket = tls.get_ref().try_clone().unwrap();
            let mut stream = Async::new(tls);
            let mut buf = [0; 8];
            let left = is_left_to_a_sleeper(&socket, || {
                let reading = greenhub::timeout(LIMIT, || green::block_on(stream.read(&mut buf)));
                assert!(reading.is_err());
            });
            assert!(left, "the sleeper ran after the flood");
        }
    });
}

/// Shorter than what a flood takes.
const LIMIT: Duration = Duration::from_millis(20);

#[test]
fn a_call_that_must_not_wait_ends() {
    green_test("a call that must not", || {
        for role in roles() {
            let (mut tls, _peer) = flooded(role);
            tls.set_nonblocking(true);
            let error = tls.read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            assert!(is_left(tls.get_ref()), "one read took the whole flood");
            // What comes behind it is found by whoever waits as usual.
            tls.set_nonblocking(true);
            let answer = loop {
                match tls.read(&mut [0; 8]) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        let soon = Some(Duration::from_millis(50));
                        if !tls.get_ref().wait_readable(soon).unwrap() {
                            break error;
                        }
                    }
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!(answer.kind(), ErrorKind::WouldBlock);
            assert!(!is_left(tls.get_ref()));
        }
    });
}

/// Whether a neighbour that sleeps for a millisecond finds some of the flood left when it runs, while `call` is at work
/// with it.
fn is_left_to_a_sleeper(socket: &GreenSocket, call: impl FnOnce()) -> bool {
    let socket = socket.try_clone().unwrap();
    let sleeper = spawn_local(move || {
        sleep(Duration::from_millis(1));
        is_left(&socket)
    });
    // It is asleep when the call begins.
    yield_now();
    call();
    sleeper.join().unwrap()
}

#[test]
fn a_call_that_may_wait_lets_others_run_and_meets_a_limit() {
    green_test("a call that may wait", || {
        for role in roles() {
            let (mut tls, _peer) = flooded(role);
            let socket = tls.get_ref().try_clone().unwrap();
            let left = is_left_to_a_sleeper(&socket, || {
                assert!(greenhub::timeout(LIMIT, || tls.read(&mut [0; 8])).is_err());
            });
            assert!(left, "the sleeper ran after the flood");
            assert!(is_left(&socket), "the limit came after the flood");
        }
    });
}

/// A client of `green::native_tls`, and what `peer` made of its server after the handshake.
fn native_client<T: Send + 'static>(
    peer: impl FnOnce(Peer) -> T + Send + 'static,
) -> (TlsStream<TcpStream>, std::thread::JoinHandle<T>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    let context = peer_context(true, V13, Peers::Easy);
    let peer = std::thread::spawn(move || {
        let mut shaken = Peer::new(far, Some(&context), true, "");
        assert!(shaken.handshake());
        peer(shaken)
    });
    let tls = TlsConnector::builder()
        .add_root_certificate(Certificate::from_pem(AUTHORITY.pem.as_bytes()).unwrap())
        .build()
        .unwrap()
        .connect("localhost", tcp)
        .unwrap();
    (tls, peer)
}

#[test]
fn one_of_native_tls_meets_a_limit() {
    green_test("one of native_tls", || {
        let (mut tls, peer) = native_client(|peer| peer);
        let mut peer = greenhub::blocking(|| peer.join().unwrap());
        give_room(tls.get_ref().as_green_socket(), peer.tcp());
        let _peer = flood(peer);
        assert!(greenhub::timeout(LIMIT, || tls.read(&mut [0; 8])).is_err());
        assert!(
            is_left(tls.get_ref().as_green_socket()),
            "the limit came after the flood"
        );
    });
}

#[test]
fn one_of_native_tls_meets_its_own_limit_while_the_flood_goes_on() {
    green_test("its own limit", || {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let (mut tls, flooding) = native_client(move |mut peer| {
            peer.tcp()
                .set_write_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            while !told.load(SeqCst) {
                peer.key_update();
            }
        });
        let limit = Duration::from_millis(200);
        tls.get_ref().set_read_timeout(Some(limit)).unwrap();
        let error = tls.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(!flooding.is_finished());
        stop.store(true, SeqCst);
        greenhub::blocking(|| flooding.join().unwrap());
    });
}

/// They are more than the engine takes in a few steps, and less than a socket feeds it at once.
#[test]
fn an_alert_behind_them_is_the_reason_why_nothing_can_be_written() {
    const BEHIND: usize = 1000;
    green_test("an alert behind them", || {
        for role in roles() {
            let (mut tls, mut peer) = shaken(role);
            let updates = peer.key_updates(BEHIND);
            peer.raw(&updates);
            // What the peer cannot decrypt, so that it sends its alert and goes.
            let mut broken = vec![23, 3, 3, 0, 32];
            broken.resize(5 + 32, 0);
            let mut ours = tls.get_ref();
            ours.write_all(&broken).unwrap();
            let log = greenhub::blocking(move || {
                peer.read_to_end();
                peer.flush();
                peer.close();
                peer.log
            });
            let error = loop {
                if let Err(error) = tls.write(&[7; 1024]) {
                    break error;
                }
            };
            assert!(
                error.to_string().contains("alert"),
                "{role:?}: {error}, {log:?}"
            );
        }
    });
}

/// Requests for a handshake, which a client that is at one drops. They need no key.
#[test]
fn nor_is_a_handshake_at_work_with_all_of_them() {
    green_test("nor is a handshake", || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut far = listener.accept().unwrap().0;
        give_room(tcp.as_green_socket(), &far);
        let mut record = vec![22, 3, 3, 0x40, 0];
        record.resize(5 + 0x4000, 0);
        let flood = record.repeat(2 * ROOM / record.len());
        fill(&mut far, &flood);
        let context = client_context(green::ssl::EngineKind::OpenSsl, V12);
        let tls = context.wrap_socket(tcp, Some("localhost")).unwrap();
        let mut stream = Async::new(tls.try_clone().unwrap());
        let mut buf = [0; 8];
        let mut reading = pin!(stream.read(&mut buf));
        let (waker, wakes) = counting_waker();
        match reading.poll_unpin(&mut Context::from_waker(&waker)) {
            Poll::Pending => {}
            Poll::Ready(read) => panic!("{read:?}"),
        }
        assert!(is_left(tls.get_ref()), "one poll took the whole flood");
        assert!(wakes.0.load(SeqCst) > 0);
    });
}
