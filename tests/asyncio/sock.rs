//! `green::asyncio`'s calls on a socket.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;

use green::asyncio::{
    sock_accept, sock_connect, sock_recv, sock_recv_into, sock_recvfrom, sock_recvfrom_into,
    sock_sendall, sock_sendfile, sock_sendto,
};
use green::fs::File;
use green::greenio::{Domain, GreenSocket, Type};
use test_support::both::on_both;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn tcp_pair() -> (GreenSocket, GreenSocket) {
    let listener = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&LOOPBACK.into()).unwrap();
    listener.listen(1).unwrap();
    let client = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    sock_connect(&client, listener.local_addr().unwrap()).unwrap();
    let (server, address) = sock_accept(&listener).unwrap();
    assert_eq!(address, client.local_addr().unwrap());
    (client, server)
}

/// A file of `len` bytes, each its place modulo 251.
fn file(len: usize) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&pattern(0, len)).unwrap();
    File::from(file)
}

fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len)
        .map(|place| (place % 251) as u8)
        .collect()
}

#[test]
fn a_stream_is_read_and_written_to_its_end() {
    on_both("stream", || {
        let (client, server) = tcp_pair();
        let echo = green::thread::spawn(move || {
            loop {
                let data = sock_recv(&server, 1000).unwrap();
                if data.is_empty() {
                    break sock_sendall(&server, b"bye").unwrap();
                }
                sock_sendall(&server, &data).unwrap();
            }
        });
        let message = pattern(0, 200_000);
        let (sending, sent) = (client.try_clone().unwrap(), message.clone());
        let sender = green::thread::spawn(move || {
            sock_sendall(&sending, &sent).unwrap();
            sending.shutdown(Shutdown::Write).unwrap();
        });
        let (mut received, mut buf) = (Vec::new(), [0; 4096]);
        loop {
            match sock_recv_into(&client, &mut buf).unwrap() {
                0 => break,
                len => received.extend_from_slice(&buf[..len]),
            }
        }
        assert_eq!(received, [&message[..], b"bye"].concat());
        sender.join().unwrap();
        echo.join().unwrap();
    });
}

#[test]
fn datagrams_keep_their_ends_and_tell_their_senders() {
    on_both("datagrams", || {
        let socket = || {
            let socket = GreenSocket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
            socket.bind(&LOOPBACK.into()).unwrap();
            socket
        };
        let (one, other) = (socket(), socket());
        let to = other.local_addr().unwrap().as_socket().unwrap();
        for data in [&b"first"[..], b"", b"a long one"] {
            assert_eq!(sock_sendto(&one, data, to).unwrap(), data.len());
        }
        let from = one.local_addr().unwrap();
        assert_eq!(
            sock_recvfrom(&other, 100).unwrap(),
            (b"first".to_vec(), from.clone())
        );
        assert_eq!(
            sock_recvfrom(&other, 100).unwrap(),
            (Vec::new(), from.clone())
        );
        let mut buf = [0; 6];
        assert_eq!(sock_recvfrom_into(&other, &mut buf).unwrap(), (6, from));
        assert_eq!(&buf, b"a long");
    });
}

#[test]
fn a_refused_connection_is_an_error() {
    on_both("refused", || {
        let listener = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&LOOPBACK.into()).unwrap();
        let client = GreenSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let error = sock_connect(&client, listener.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    });
}

#[test]
fn a_file_larger_than_the_socket_holds_is_sent_whole() {
    on_both("whole", || {
        const LEN: usize = 8_000_000;
        let (client, server) = tcp_pair();
        let reader = green::thread::spawn(move || {
            let mut received = Vec::new();
            (&client).read_to_end(&mut received).unwrap();
            received
        });
        let file = file(LEN);
        assert_eq!(
            sock_sendfile(&server, &file, 0, None, false).unwrap(),
            LEN as u64
        );
        assert_eq!((&file).stream_position().unwrap(), LEN as u64);
        drop(server);
        assert!(reader.join().unwrap() == pattern(0, LEN));
    });
}

#[test]
fn offset_and_count_choose_the_part_that_is_sent() {
    on_both("part", || {
        let (client, server) = tcp_pair();
        let file = file(1000);
        (&file).seek(SeekFrom::Start(77)).unwrap();
        let cases = [
            (10, Some(20), 20),
            (990, Some(20), 10),
            (990, None, 10),
            (0, Some(0), 0),
            (1000, None, 0),
            (5000, Some(1), 0),
        ];
        for (offset, count, sent) in cases {
            assert_eq!(
                sock_sendfile(&server, &file, offset, count, true).unwrap(),
                sent
            );
            assert_eq!((&file).stream_position().unwrap(), offset + sent);
            let mut received = vec![0; sent as usize];
            (&client).read_exact(&mut received).unwrap();
            assert_eq!(received, pattern(offset as usize, sent as usize));
        }
    });
}

#[test]
fn what_the_kernel_cannot_send_is_read_and_sent_or_refused() {
    on_both("fallback", || {
        let (client, server) = tcp_pair();
        // Its text is made as it is read: there are no pages to send from.
        let path = format!("/proc/{}/limits", std::process::id());
        let text = std::fs::read(&path).unwrap();
        let file = File::open(&path).unwrap();
        let refused = sock_sendfile(&server, &file, 0, None, false).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        let sent = sock_sendfile(&server, &file, 3, Some(20), true).unwrap();
        assert_eq!(sent, 20);
        assert_eq!((&file).stream_position().unwrap(), 23);
        let rest = sock_sendfile(&server, &file, 23, None, true).unwrap();
        assert_eq!(rest, text.len() as u64 - 23);
        drop(server);
        let mut received = Vec::new();
        (&client).read_to_end(&mut received).unwrap();
        assert_eq!(received, text[3..]);
    });
}

#[test]
fn a_peer_that_goes_away_ends_the_sending_with_an_error() {
    on_both("gone", || {
        let (client, server) = tcp_pair();
        let file = file(8_000_000);
        let sender = green::thread::spawn(move || {
            let error = sock_sendfile(&server, &file, 0, None, true).unwrap_err();
            let place = (&file).stream_position().unwrap();
            (error, place)
        });
        let first = sock_recv(&client, 1000).unwrap();
        assert_eq!(first, pattern(0, first.len()));
        client.set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        let (error, place) = sender.join().unwrap();
        let kinds = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        assert!(kinds.contains(&error.kind()), "{error}");
        assert!(place >= first.len() as u64 && place < 8_000_000, "{place}");
    });
}

#[test]
fn a_limit_ends_the_sending_and_the_position_tells_how_far_it_came() {
    on_both("limit", || {
        let (client, server) = tcp_pair();
        server
            .set_write_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let file = file(16_000_000);
        let error = sock_sendfile(&server, &file, 0, None, true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let place = (&file).stream_position().unwrap() as usize;
        drop(server);
        let mut received = Vec::new();
        (&client).read_to_end(&mut received).unwrap();
        assert!(received == pattern(0, place));
    });
}
