use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::*;
use crate::net::{TcpListener, TcpStream};
use crate::os::unix::net::UnixStream;
use crate::ssl::testing::{AUTHORITY, Leaf};
use crate::ssl::{Reason, SslError};
use crate::thread;

fn connector() -> TlsConnector {
    let authority = Certificate::from_pem(AUTHORITY.pem.as_bytes()).unwrap();
    TlsConnector::builder()
        .add_root_certificate(authority)
        .build()
        .unwrap()
}

fn acceptor() -> TlsAcceptor {
    let Leaf { chain, key } = AUTHORITY.leaf("localhost");
    TlsAcceptor::new(Identity::from_pkcs8(chain.as_bytes(), key.as_bytes()).unwrap()).unwrap()
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Runs `body` on this OS thread and on a green thread.
fn both(body: impl Fn() + Copy + Send + 'static) {
    test_support::bounded("native_tls", Duration::from_secs(100), || {
        body();
        crate::run(body);
    });
}

#[test]
fn a_program_written_for_native_tls_works_over_tcp_and_unix_streams() {
    fn exchange<S: Read + Write + Send + 'static + fmt::Debug>(client: S, server: S) {
        let serving = thread::spawn(move || {
            let mut stream = acceptor().accept(server).unwrap();
            let mut request = vec![0; 200_000];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(&request).unwrap();
            stream.shutdown().unwrap();
            assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
        });
        let mut stream = connector().connect("localhost", client).unwrap();
        assert!(stream.peer_certificate().unwrap().is_some());
        let request: Vec<u8> = (0..200_000).map(|n: u32| n as u8).collect();
        stream.write_all(&request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, request);
        stream.shutdown().unwrap();
        serving.join().unwrap();
    }
    both(|| {
        let (client, server) = tcp_pair();
        exchange(client, server);
        let (client, server) = UnixStream::pair().unwrap();
        exchange(client, server);
    });
}

#[test]
fn a_wrong_name_fails_with_the_cause_and_the_server_hears_of_it() {
    both(|| {
        let (client, server) = tcp_pair();
        let serving = thread::spawn(move || acceptor().accept(server));
        let Err(HandshakeError::Failure(error)) = connector().connect("example.org", client) else {
            panic!("the name is wrong");
        };
        let error = error.into_io();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(
            SslError::of(&error).unwrap().reason(),
            Reason::HostnameMismatch
        );
        let _ = serving.join().unwrap();
    });
}

#[test]
fn an_end_without_close_notify_is_no_clean_end() {
    both(|| {
        let (client, server) = tcp_pair();
        let serving = thread::spawn(move || {
            let mut stream = acceptor().accept(server).unwrap();
            stream.write_all(b"data").unwrap();
            stream.get_ref().shutdown(Shutdown::Write).unwrap();
            stream
        });
        let mut stream = connector().connect("localhost", client).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(stream.read(&mut buffer).unwrap(), 4);
        for _ in 0..2 {
            let error = stream.read(&mut buffer).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        drop(serving.join().unwrap());
    });
}

#[test]
fn a_handshake_that_would_block_goes_on_later() {
    both(|| {
        let (client, server) = tcp_pair();
        client.set_nonblocking(true).unwrap();
        let Err(HandshakeError::WouldBlock(mut middle)) = connector().connect("localhost", client)
        else {
            panic!("the server has said nothing yet");
        };
        let serving = thread::spawn(move || acceptor().accept(server).unwrap());
        let stream = loop {
            middle = match middle.handshake() {
                Ok(stream) => break stream,
                Err(HandshakeError::WouldBlock(middle)) => middle,
                Err(HandshakeError::Failure(error)) => panic!("{error}"),
            };
            thread::sleep(Duration::from_millis(1));
        };
        drop((stream, serving.join().unwrap()));
    });
}

#[test]
fn a_silent_server_ends_by_the_streams_own_timeout() {
    both(|| {
        let (client, _server) = tcp_pair();
        client
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let outcome = connector().connect("localhost", client);
        assert!(matches!(outcome, Err(HandshakeError::WouldBlock(_))));
    });
}

/// The two ends of TLS over sockets that hold few `bytes`.
fn connected(bytes: usize) -> (TlsStream<TcpStream>, TlsStream<TcpStream>) {
    let (client, server) = tcp_pair();
    client.as_ref().set_send_buffer_size(bytes).unwrap();
    server.as_ref().set_recv_buffer_size(bytes).unwrap();
    let serving = thread::spawn(move || acceptor().accept(server).unwrap());
    let client = connector().connect("localhost", client).unwrap();
    (client, serving.join().unwrap())
}

#[test]
fn what_arrived_is_read_although_a_write_timed_out() {
    const LIMIT: Duration = Duration::from_millis(100);
    both(|| {
        let (mut client, mut server) = connected(8192);
        client.get_ref().set_write_timeout(Some(LIMIT)).unwrap();
        let error = loop {
            if let Err(error) = client.write(&[7; 65536]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);

        // The peer answers early, and ends; it reads nothing.
        server.write_all(b"no more").unwrap();
        server.shutdown().unwrap();
        let began = Instant::now();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"no more");
        assert!(began.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn much_passes_both_ways_without_blocking() {
    const AMOUNT: usize = 5_000_000;
    both(|| {
        let (client, server) = connected(128 * 1024);
        // The peer sends all of its own before it takes anything.
        let serving = thread::spawn(move || {
            let mut server = server;
            server.write_all(&vec![1; AMOUNT]).unwrap();
            let mut heard = vec![0; AMOUNT];
            server.read_exact(&mut heard).unwrap();
            heard.iter().all(|&byte| byte == 2)
        });
        let mut client = client;
        client.get_ref().set_nonblocking(true).unwrap();
        let (mut sent, mut heard) = (0, 0);
        let mut buffer = vec![0; 65536];
        let began = Instant::now();
        while sent < AMOUNT || heard < AMOUNT {
            assert!(began.elapsed() < Duration::from_secs(60), "{sent} {heard}");
            let mut idle = true;
            if sent < AMOUNT
                && let Ok(count) = client.write(&vec![2; (AMOUNT - sent).min(65536)])
            {
                sent += count;
                idle = false;
            }
            if heard < AMOUNT
                && let Ok(count) = client.read(&mut buffer)
            {
                assert!(buffer[..count].iter().all(|&byte| byte == 1));
                heard += count;
                idle = false;
            }
            if idle {
                thread::sleep(Duration::from_millis(1));
            }
        }
        // What the last write left goes with any call.
        while let Err(error) = client.flush() {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            thread::sleep(Duration::from_millis(1));
        }
        assert!(serving.join().unwrap());
    });
}

#[test]
fn what_a_write_left_goes_along_with_reads() {
    both(|| {
        let (mut client, mut server) = connected(8192);
        client.get_ref().set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(count) = client.write(&[7; 65536]) {
            sent += count;
        }
        let serving = thread::spawn(move || {
            server.read_exact(&mut vec![0; sent]).unwrap();
            server.write_all(b"all of it").unwrap();
            server
        });
        let mut answer = [0; 9];
        let began = Instant::now();
        while let Err(error) = client.read(&mut answer) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            assert!(began.elapsed() < Duration::from_secs(60));
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(&answer, b"all of it");
        drop(serving.join().unwrap());
    });
}

#[test]
fn a_limit_covers_the_call_against_a_peer_that_drips() {
    const LIMIT: Duration = Duration::from_millis(300);
    both(|| {
        let (mut client, server) = connected(8192);
        client.get_ref().set_read_timeout(Some(LIMIT)).unwrap();
        // A record whose head promises more than ever comes, a byte at a time.
        let dripping = thread::spawn(move || {
            let mut socket = server.get_ref();
            for byte in [23, 3, 3, 16, 0].into_iter().chain([0; 200]) {
                if socket.write_all(&[byte]).is_err() {
                    break;
                }
                thread::sleep(LIMIT / 6);
            }
        });
        let began = Instant::now();
        let error = client.read(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(began.elapsed() < LIMIT * 25, "{:?}", began.elapsed());
        drop(client);
        dripping.join().unwrap();
    });
}

#[test]
fn a_limit_covers_a_handshake_against_a_peer_that_drips() {
    const LIMIT: Duration = Duration::from_millis(300);
    both(|| {
        let (client, mut server) = tcp_pair();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        let dripping = thread::spawn(move || {
            for byte in [22, 3, 3, 16, 0].into_iter().chain([2; 200]) {
                if server.write_all(&[byte]).is_err() {
                    break;
                }
                thread::sleep(LIMIT / 6);
            }
        });
        let began = Instant::now();
        let outcome = connector().connect("localhost", client);
        assert!(matches!(outcome, Err(HandshakeError::WouldBlock(_))));
        assert!(began.elapsed() < LIMIT * 25, "{:?}", began.elapsed());
        drop(outcome);
        dripping.join().unwrap();
    });
}

/// A stream that takes little at once, so that a record takes many waits.
#[derive(Debug)]
struct Sips(UnixStream);

impl Read for Sips {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Sips {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(&buf[..buf.len().min(512)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn a_limit_covers_a_write_to_a_peer_that_sips() {
    const LIMIT: Duration = Duration::from_millis(600);
    both(|| {
        let (client, server) = UnixStream::pair().unwrap();
        client.as_ref().set_send_buffer_size(1).unwrap();
        let serving = thread::spawn(move || acceptor().accept(server).unwrap());
        let mut client = connector().connect("localhost", Sips(client)).unwrap();
        let server = serving.join().unwrap();
        client.get_ref().0.set_write_timeout(Some(LIMIT)).unwrap();
        // Each wait for room is shorter than the limit, and all that one call sends takes twelve of it.
        let sipping = thread::spawn(move || {
            let mut socket = server.get_ref();
            while socket.read(&mut [0; 512]).unwrap() > 0 {
                thread::sleep(LIMIT / 8);
            }
        });
        let began = Instant::now();
        // It is taken, and the rest of it is the next call's to send.
        assert_eq!(client.write(&[7; 48 * 1024]).unwrap(), 48 * 1024);
        assert!(began.elapsed() < LIMIT * 8, "{:?}", began.elapsed());
        let began = Instant::now();
        let error = client.write(&[7]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(began.elapsed() < LIMIT * 8, "{:?}", began.elapsed());
        client.get_ref().0.shutdown(Shutdown::Both).unwrap();
        drop(client);
        sipping.join().unwrap();
    });
}
