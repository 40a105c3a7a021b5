use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use greenhub::green_thread::{sleep, spawn};

use super::*;
use crate::net::{TcpListener, TcpStream};
use crate::os::unix::net::UnixStream;
use crate::ssl::testing::{SETUPS, Setup, client_context, server_context};
use crate::ssl::{Progress, Reason, SslError, TlsVersion};

/// Runs `body` for every pairing of engines and versions, on this OS thread and on a green thread.
fn each(body: impl Fn(Setup) + Copy + Send + 'static) {
    for setup in SETUPS {
        body(setup);
        crate::run(move || body(setup));
    }
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_nodelay(true).unwrap();
    let server = listener.accept().unwrap().0;
    server.set_nodelay(true).unwrap();
    (client, server)
}

/// Client and server, before their handshake.
fn pair(setup: Setup) -> (GreenSslSocket, GreenSslSocket) {
    let (client, server) = tcp_pair();
    let context = client_context(setup.client);
    context.set_minimum_version(setup.version).unwrap();
    context.set_maximum_version(setup.version).unwrap();
    let client = context.wrap_socket(client, Some("localhost")).unwrap();
    let server = server_context(setup.server).accept(server).unwrap();
    (client, server)
}

#[test]
fn a_request_and_its_answer() {
    each(|setup| {
        let (mut client, mut server) = pair(setup);
        let serving = spawn(move || {
            let mut request = [0; 5];
            server.read_exact(&mut request).unwrap();
            server.write_all(&request).unwrap();
            server.shutdown_write().unwrap();
            server.read_to_end(&mut Vec::new()).unwrap()
        });
        client.write_all(b"hello").unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"hello");
        assert!(client.peer_closed_cleanly());
        client.close();
        assert_eq!(serving.join().unwrap(), 0);
    });
}

#[test]
fn sixteen_megabytes_both_ways_at_once() {
    const SIZE: usize = 16 << 20;
    fn end(socket: GreenSslSocket, seed: u8) {
        socket.do_handshake().unwrap();
        let (mut reader, mut writer) = socket.split();
        let writing = spawn(move || {
            let block: Vec<u8> = (0..100_000).map(|n: u32| n as u8 ^ seed).collect();
            let mut left = SIZE;
            while left > 0 {
                let n = block.len().min(left);
                writer.write_all(&block[..n]).unwrap();
                left -= n;
            }
            writer.get_ref().shutdown_write().unwrap();
        });
        let block = (0..100_000).map(|n: u32| n as u8 ^ seed ^ 3);
        let expected: Vec<u8> = block.clone().chain(block).collect();
        let mut total = 0;
        let mut buffer = vec![0; 70_000];
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                n => {
                    let place = total % 100_000;
                    assert!(buffer[..n] == expected[place..place + n]);
                    total += n;
                }
            }
        }
        assert_eq!(total, SIZE);
        writing.join().unwrap();
    }
    for setup in SETUPS {
        let (client, server) = pair(setup);
        let serving = spawn(move || end(server, 1));
        spawn(move || end(client, 2)).join().unwrap();
        serving.join().unwrap();
    }
}

#[test]
fn the_handshake_limit_holds_against_a_dripping_peer() {
    each(|setup| {
        let (client, server) = tcp_pair();
        let context = client_context(setup.client);
        let client = context.wrap_socket(client, Some("localhost")).unwrap();
        let limit = Duration::from_millis(200);
        client.set_handshake_timeout(Some(limit)).unwrap();
        let dripping = spawn(move || {
            let mut server = server;
            let hello = [22, 3, 3, 1, 0, 2, 0, 0, 252];
            // Twelve seconds of it, were nobody to hang up.
            for byte in hello.iter().chain(std::iter::repeat(&0)).take(250) {
                sleep(Duration::from_millis(50));
                if server.write_all(&[*byte]).is_err() {
                    return;
                }
            }
        });
        let began = Instant::now();
        let error = client.do_handshake().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((limit..Duration::from_secs(10)).contains(&began.elapsed()));
        client.close();
        dripping.join().unwrap();
    });
}

#[test]
fn an_end_without_close_notify_is_an_unexpected_end_for_ever() {
    each(|setup| {
        let (mut client, mut server) = pair(setup);
        let serving = spawn(move || {
            server.write_all(b"data").unwrap();
            server.get_ref().shutdown(Shutdown::Write).unwrap();
            let mut rest = Vec::new();
            server.read_to_end(&mut rest).unwrap();
            rest
        });
        let mut buffer = [0; 16];
        assert_eq!(client.read(&mut buffer).unwrap(), 4);
        for _ in 0..2 {
            let error = client.read(&mut buffer).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        client.set_suppress_ragged_eofs(true);
        assert_eq!(client.read(&mut buffer).unwrap(), 0);
        assert!(!client.peer_closed_cleanly());
        client.write_all(b"still here").unwrap();
        client.close();
        assert_eq!(serving.join().unwrap(), b"still here");
    });
}

#[test]
fn a_close_by_a_sibling_ends_the_read() {
    each(|setup| {
        let (client, server) = pair(setup);
        let serving = spawn(move || {
            server.do_handshake().unwrap();
            (&server).read(&mut [0; 16])
        });
        client.do_handshake().unwrap();
        let closer = client.try_clone().unwrap();
        let closing = spawn(move || {
            sleep(Duration::from_millis(20));
            closer.close();
        });
        let error = (&client).read(&mut [0; 16]).unwrap_err();
        assert!(ClosedLocally::caused(&error), "{error:?}");
        closing.join().unwrap();
        // The peer is told by a close_notify.
        assert_eq!(serving.join().unwrap().unwrap(), 0);
    });
}

#[test]
fn a_client_that_is_no_tls_is_refused_with_the_cause() {
    each(|setup| {
        let (client, server) = tcp_pair();
        let server = server_context(setup.server).accept(server).unwrap();
        (&client).write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let error = (&server).read(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(SslError::of(&error).unwrap().reason(), Reason::NotTls);
    });
}

#[test]
fn a_client_that_goes_before_its_tickets_is_heard() {
    for setup in SETUPS {
        if setup.version != TlsVersion::Tls13 {
            continue;
        }
        let (theirs, ours) = UnixStream::pair().unwrap();
        let server = server_context(setup.server).accept(ours).unwrap();
        server.set_nonblocking(true);
        let mut client = client_context(setup.client)
            .pipe(Some("localhost"))
            .unwrap();
        while client.handshake().unwrap() != Progress::Done(()) {
            client.drain_to(&mut &theirs).unwrap();
            let error = server.do_handshake().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            client.feed_from(&mut &theirs).unwrap();
        }
        assert_eq!(client.write(b"last words").unwrap(), Progress::Done(10));
        while client.outgoing() > 0 {
            client.drain_to(&mut &theirs).unwrap();
        }
        drop(theirs);

        server.do_handshake().unwrap();
        let mut heard = [0; 10];
        (&server).read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"last words");
        let error = (&server).read(&mut heard).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let error = (&server).write(b"too late").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

#[test]
fn plain_then_tls_then_plain_again() {
    each(|setup| {
        let (client_tcp, server_tcp) = tcp_pair();
        (&client_tcp).write_all(b"STARTTLS").unwrap();
        let mut buffer = [0; 8];
        (&server_tcp).read_exact(&mut buffer).unwrap();
        let context = client_context(setup.client);
        let client = context.wrap_socket(client_tcp, Some("localhost")).unwrap();
        let server = server_context(setup.server).accept(server_tcp).unwrap();
        let limit = Some(Duration::from_secs(10));
        let serving = spawn(move || {
            (&server).read_exact(&mut buffer).unwrap();
            assert_eq!(&buffer, b"secretly");
            assert_eq!((&server).read(&mut buffer).unwrap(), 0);
            let plain = server.unwrap(limit).unwrap();
            assert!(plain.peer_closed_cleanly);
            plain.socket.send_all(b"in the clear").unwrap();
            let mut theirs = plain.unread;
            (&plain.socket).read_to_end(&mut theirs).unwrap();
            assert_eq!(theirs, b"to you too");
        });
        (&client).write_all(b"secretly").unwrap();
        let plain = client.unwrap(limit).unwrap();
        assert!(plain.peer_closed_cleanly);
        plain.socket.send_all(b"to you too").unwrap();
        plain.socket.shutdown(Shutdown::Write).unwrap();
        let mut all = plain.unread;
        (&plain.socket).read_to_end(&mut all).unwrap();
        assert_eq!(all, b"in the clear");
        serving.join().unwrap();
    });
}
