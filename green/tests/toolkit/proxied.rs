//! The PROXY protocol: headers whole and in pieces, and what is none.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use green::convenience::ProxyProtocol;
use green::net::TcpStream;
use green::thread;
use test_support::net::both_ways;

const LIMIT: Duration = Duration::from_secs(20);

fn pair() -> (TcpStream, TcpStream) {
    let listener = green::listen("127.0.0.1:0").unwrap();
    let near = green::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

fn trusting() -> ProxyProtocol {
    ProxyProtocol::trusting(|peer| peer.is_loopback()).limit(LIMIT)
}

/// What is said of the client by a peer that sends this and ends.
fn said(bytes: &[u8]) -> Result<Option<SocketAddr>, ErrorKind> {
    let (mut near, far) = pair();
    near.write_all(bytes).unwrap();
    near.shutdown(std::net::Shutdown::Write).unwrap();
    trusting().client(&far).map_err(|error| error.kind())
}

/// A header of version 2.
fn binary(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
    [
        b"\r\n\r\n\0\r\nQUIT\n",
        &[0x20 | command, family][..],
        &length,
        addresses,
    ]
    .concat()
}

const V4: [u8; 12] = [192, 0, 2, 7, 192, 0, 2, 1, 0xc3, 0x50, 1, 0xbb];

fn good() -> Vec<(Vec<u8>, Option<SocketAddr>)> {
    let client = Some(SocketAddr::from(([192, 0, 2, 7], 50000)));
    let six = [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]; 2].concat();
    let six = [&six[..], &[0xc3, 0x50, 1, 0xbb]].concat();
    let long = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    assert_eq!(long.len(), 107);
    vec![
        (
            b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 443\r\n".to_vec(),
            client,
        ),
        (
            b"PROXY TCP6 2001:db8::1 2001:db8::1 50000 443\r\n".to_vec(),
            "[2001:db8::1]:50000".parse().ok(),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (long.into(), None),
        (binary(1, 0x11, &V4), client),
        (binary(1, 0x21, &six), "[2001:db8::1]:50000".parse().ok()),
        // It asks for itself.
        (binary(0, 0x11, &V4), None),
        (binary(0, 0, &[]), None),
        // Fields behind the addresses: one of no operation.
        (
            binary(1, 0x11, &[&V4[..], &[4, 0, 2, 0, 0]].concat()),
            client,
        ),
        (binary(1, 0x31, &[0; 216]), None),
    ]
}

#[test]
fn a_header_of_either_version_is_read_and_not_a_byte_more() {
    both_ways(|_| {
        for (header, client) in good() {
            let (mut near, mut far) = pair();
            near.write_all(&[&header[..], b"GET / HTTP/1.1\r\n"].concat())
                .unwrap();
            near.shutdown(std::net::Shutdown::Write).unwrap();
            far.set_read_timeout(Some(LIMIT)).unwrap();
            assert_eq!(trusting().client(&far).unwrap(), client, "{header:?}");
            assert_eq!(far.read_timeout().unwrap(), Some(LIMIT));
            let mut rest = String::new();
            far.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "GET / HTTP/1.1\r\n");
        }
    });
}

#[test]
fn a_header_that_comes_byte_by_byte_is_the_same() {
    both_ways(|_| {
        for (header, client) in good() {
            let (mut near, far) = pair();
            near.set_nodelay(true).unwrap();
            let writer = thread::spawn(move || {
                for byte in header {
                    near.write_all(&[byte]).unwrap();
                    thread::yield_now();
                }
                near
            });
            assert_eq!(trusting().client(&far).unwrap(), client);
            drop(writer.join());
        }
    });
}

#[test]
fn what_is_no_header_is_refused_and_what_is_cut_off_is_an_end() {
    both_ways(|_| {
        let many = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat();
        let huge = binary(1, 0x11, &[0; 4000]);
        for wrong in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"proxy tcp4 192.0.2.7 192.0.2.1 50000 443\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 443\n and more of it",
            b"PROXY UNKNOWN \nGET / HTTP/1.1\r\n\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 70000 443\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 +50000 443\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 +443\r\n",
            b"PROXY TCP6 2001:db8::7 ::1 +0000 443\r\n",
            b"PROXY TCP4 192.0.2.777 192.0.2.1 50000 443\r\n",
            b"PROXY TCP4 2001:db8::1 2001:db8::1 50000 443\r\n",
            b"PROXY TCP5 192.0.2.7 192.0.2.1 50000 443\r\n",
            b"PROXY  TCP4 192.0.2.7 192.0.2.1 50000 443\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 443 443\r\n",
            b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c            ",
            &many,
            &huge,
            &binary(1, 0x11, &V4[..11]),
            &binary(7, 0x11, &V4),
        ] {
            assert_eq!(said(wrong), Err(ErrorKind::InvalidData), "{wrong:?}");
        }
        for (header, _) in good() {
            for cut in [0, 5, 14, header.len() - 1] {
                let begin = &header[..cut.min(header.len() - 1)];
                assert_eq!(said(begin), Err(ErrorKind::UnexpectedEof), "{begin:?}");
            }
        }
    });
}

#[test]
fn who_is_not_trusted_says_nothing_and_who_drips_has_one_limit() {
    both_ways(|_| {
        let (mut near, mut far) = pair();
        near.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 443\r\n")
            .unwrap();
        let nobody = ProxyProtocol::trusting(|_| false);
        let refused = nobody.client(&far).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        // Not a byte was read.
        let mut byte = [0];
        far.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"P");

        let (mut near, far) = pair();
        let dripping = thread::spawn(move || {
            // Its end never comes.
            for byte in *b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 443" {
                if near.write_all(&[byte]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(300));
            }
            near
        });
        let begun = Instant::now();
        let limit = Duration::from_millis(500);
        let late = trusting().limit(limit).client(&far).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::WouldBlock);
        assert!((limit..limit * 12).contains(&begun.elapsed()));
        drop(far);
        dripping.join().unwrap();
    });
}
