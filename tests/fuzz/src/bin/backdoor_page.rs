//! The backdoor's page: any request, in pieces. An answer is whole, and one with content goes to those only who asked for an
//! address, which no foreign page can have as its name.
#![no_main]

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::LazyLock;

use green::backdoor::Server;
use libfuzzer_sys::fuzz_target;

static DOOR: LazyLock<(Server, SocketAddr)> = LazyLock::new(|| {
    green::thread::spawn(|| green::thread::sleep(std::time::Duration::MAX));
    let server = Server::new().http("127.0.0.1:0").unwrap();
    let url = server.url().unwrap();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let address = address.parse().unwrap();
    (server, address)
});

/// The lines of the head, without their ends.
fn lines(sent: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = sent.split(|&byte| byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty())
}

/// The values of the header `Host`.
fn hosts(sent: &[u8]) -> Vec<String> {
    let fields = lines(sent).skip(1).filter_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (name, value) = line.split_once(':')?;
        let value = value.trim_matches([' ', '\t']);
        name.eq_ignore_ascii_case("host").then(|| value.to_owned())
    });
    fields.collect()
}

/// Whether it is an address or `localhost`, with a port or without.
fn is_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fuzz_target!(|input: (u16, &[u8])| {
    let (piece, sent) = input;
    let sent = &sent[..sent.len().min(16 << 10)];
    let mut client = TcpStream::connect(DOOR.1).unwrap();
    client.set_nodelay(true).unwrap();
    for piece in sent.chunks(usize::from(piece).max(1)) {
        // It may be answered before all was sent.
        if client.write_all(piece).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    // Reset, if it was answered before all was sent.
    let read = client.read_to_end(&mut answer);
    if read.is_err() || answer.is_empty() {
        return;
    }
    let answer = String::from_utf8(answer).expect("an answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("the whole of a head");
    let status = head.strip_prefix("HTTP/1.1 ").expect("an answer of HTTP");
    let status: u16 = status[..3].parse().unwrap();
    assert!(
        matches!(status, 200 | 400 | 404 | 405 | 421 | 431 | 503),
        "{status}"
    );
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let length: usize = length.unwrap().parse().unwrap();
    let method = lines(sent).next().unwrap_or_default();
    if method.starts_with(b"HEAD ") && body.is_empty() {
        return;
    }
    assert_eq!(body.len(), length);
    if status == 200 {
        let hosts = hosts(sent);
        assert!(
            matches!(&hosts[..], [host] if is_address(host)),
            "answered for {hosts:?}"
        );
        assert!(method.starts_with(b"GET ") || method.starts_with(b"HEAD "));
    }
});
