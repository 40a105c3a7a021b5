use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

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
    body();
    crate::run(body);
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
fn p3_an_end_without_close_notify_is_no_clean_end() {
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
