//! Headers of the PROXY protocol, in pieces of any length, against a reader of our own; behind the header every byte
//! must still be there.
#![no_main]

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};

use green::convenience::ProxyProtocol;
use green::net::{TcpListener, TcpStream};
use green::{sim, thread};
use libfuzzer_sys::fuzz_target;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What must come of a header.
#[derive(Debug, PartialEq)]
enum Expected {
    /// The client, and how long the header is.
    Client(Option<SocketAddr>, usize),
    Refused,
    Eof,
    /// A header that a strict reader refuses and a lenient one need not.
    Odd,
}

fn expected(sent: &[u8]) -> Expected {
    match sent {
        sent if sent.len() < 15 => Expected::Eof,
        sent if sent.starts_with(SIGNATURE) => binary(sent),
        sent if sent.starts_with(b"PROXY ") => line(sent),
        _ => Expected::Refused,
    }
}

fn binary(sent: &[u8]) -> Expected {
    let Some((head, rest)) = sent.split_at_checked(16) else {
        return Expected::Eof;
    };
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if 16 + length > 2048 {
        return Expected::Refused;
    }
    let Some(rest) = rest.get(..length) else {
        return Expected::Eof;
    };
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let client = match (head[12], head[13]) {
        (0x20, 0x00) => None,
        (0x21, 0x10..=0x12) if length >= 12 => {
            let address = Ipv4Addr::from(*rest.first_chunk::<4>().unwrap());
            Some((address, port(8)).into())
        }
        (0x21, 0x20..=0x22) if length >= 36 => {
            let address = Ipv6Addr::from(*rest.first_chunk::<16>().unwrap());
            Some((address, port(32)).into())
        }
        (0x21, 0x00) => None,
        (0x21, 0x30..=0x32) if length >= 216 => None,
        (0x21, 0x10..=0x12 | 0x20..=0x22 | 0x30..=0x32) => return Expected::Refused,
        (first, _) if first >> 4 != 2 => return Expected::Refused,
        _ => return Expected::Odd,
    };
    Expected::Client(client, 16 + length)
}

fn line(sent: &[u8]) -> Expected {
    let longest = &sent[..sent.len().min(107)];
    let Some(end) = longest.iter().position(|&byte| byte == b'\n') else {
        return if sent.len() < 107 {
            Expected::Eof
        } else {
            Expected::Refused
        };
    };
    if sent[end - 1] != b'\r' {
        return Expected::Refused;
    }
    let Ok(text) = std::str::from_utf8(&sent[..end - 1]) else {
        return Expected::Refused;
    };
    let words: Vec<&str> = text.split(' ').collect();
    let client = match words[..] {
        ["PROXY", "UNKNOWN"] => None,
        ["PROXY", "UNKNOWN", ..] => return Expected::Odd,
        ["PROXY", family, source, destination, from, to] => {
            let is_right = |address: &IpAddr| match family {
                "TCP4" => address.is_ipv4(),
                "TCP6" => address.is_ipv6(),
                _ => false,
            };
            let address = |text: &str| text.parse().ok().filter(is_right);
            let (source, destination) = (address(source), address(destination));
            let (Some(source), Some(_), Some(from), Some(_)) =
                (source, destination, port(from), port(to))
            else {
                return Expected::Refused;
            };
            Some((source, from).into())
        }
        _ => return Expected::Refused,
    };
    Expected::Client(client, end + 1)
}

/// Digits, none of them a zero in vain.
fn port(text: &str) -> Option<u16> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn program(sent: Vec<u8>) {
    let expected = expected(&sent);
    let listener = TcpListener::bind("10.0.0.1:80").unwrap();
    let mut client = TcpStream::connect("10.0.0.1:80").unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let all = sent.clone();
    thread::spawn(move || {
        // It may be refused before all of it is there.
        let _ = client.write_all(&all);
        let _ = client.shutdown(Shutdown::Write);
        let _ = client.read(&mut [0]);
    });
    let found = ProxyProtocol::trusting(|_| true).client(&stream);
    match (expected, found) {
        (Expected::Client(client, length), Ok(found)) => {
            assert_eq!(found, client);
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, sent[length..]);
        }
        (Expected::Refused, Err(error)) => assert_eq!(error.kind(), ErrorKind::InvalidData),
        (Expected::Eof, Err(error)) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof),
        // It names nobody.
        (Expected::Odd, Ok(None)) => {}
        (Expected::Odd, Err(error)) => assert_eq!(error.kind(), ErrorKind::InvalidData),
        (expected, found) => panic!("{found:?} instead of {expected:?}"),
    }
}

fuzz_target!(|input: (u16, &[u8])| {
    let (seed, sent) = input;
    let sent = sent[..sent.len().min(4096)].to_vec();
    sim::run(seed.into(), move || program(sent));
});
