//! The example `reverse_proxy`: what leaves HTTP goes through it, and clients that go while nobody sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use test_support::bounded;
use test_support::certs::{AUTHORITY, LOCALHOST};
use test_support::example_program::build;
use test_support::running::{Running, find, free_address};

use super::{LIMIT, answering, ask, connect, head, mirror, start, upstream};
use crate::web_chat::Guest;

const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: shout\r\n";

/// Answers an upgrade with what it was asked, and then each line by a louder one, until the client ends.
fn shouting(stream: TcpStream, _: usize) {
    let mut stream = BufReader::new(stream);
    let asked = head(&mut stream).to_lowercase();
    for line in [
        "connection: upgrade",
        "upgrade: shout",
        "x-forwarded-for: 127.0.0.1",
    ] {
        assert!(
            asked.contains(&format!("\r\n{line}\r\n")),
            "{line}: {asked}"
        );
    }
    let agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\nX-Kept: 1\r\n\r\nWELCOME\n";
    stream.get_mut().write_all(agreed.as_bytes()).unwrap();
    let mut line = String::new();
    while stream.read_line(&mut line).unwrap_or(0) > 0 {
        stream
            .get_mut()
            .write_all(line.to_uppercase().as_bytes())
            .unwrap();
        line.clear();
    }
    // Our own direction is open still.
    let _ = stream.get_mut().write_all(b"BYE\n");
}

/// A request, the first line behind it in the same packet.
fn upgraded(address: &str) -> BufReader<TcpStream> {
    let mut client = connect(address);
    write!(
        client,
        "GET /room HTTP/1.1\r\nHost: front\r\n{UPGRADE}\r\nearly\n"
    )
    .unwrap();
    let mut client = BufReader::new(client);
    let answer = head(&mut client).to_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    for line in ["connection: upgrade", "upgrade: shout", "x-kept: 1"] {
        assert!(
            answer.contains(&format!("\r\n{line}\r\n")),
            "{line}: {answer}"
        );
    }
    client
}

fn line(client: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    client.read_line(&mut line).unwrap();
    line
}

#[test]
fn what_leaves_http_is_passed_through_with_its_ends() {
    bounded("reverse_proxy's upgrades", LIMIT, || {
        let behind = upstream(shouting);
        let (_proxy, address) = start(&behind, &[]);
        let mut client = upgraded(&address);
        assert_eq!(line(&mut client), "WELCOME\n");
        assert_eq!(line(&mut client), "EARLY\n");
        client.get_mut().write_all(b"hello\n").unwrap();
        assert_eq!(line(&mut client), "HELLO\n");
        client.get_mut().shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        client.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "BYE\n");
        // A hundred at once, each in both directions for a megabyte.
        let clients: Vec<_> = (0..100).map(|_| upgraded(&address)).collect();
        let talks = clients.into_iter().map(|mut client| {
            thread::spawn(move || {
                let mut writer = client.get_ref().try_clone().unwrap();
                let text = "x".repeat(1023) + "\n";
                let writes = thread::spawn(move || {
                    (0..1000).for_each(|_| writer.write_all(text.as_bytes()).unwrap());
                    writer.shutdown(Shutdown::Write).unwrap();
                });
                let mut all = String::new();
                client.read_to_string(&mut all).unwrap();
                writes.join().unwrap();
                all
            })
        });
        for talk in talks.collect::<Vec<_>>() {
            let all = talk.join().unwrap();
            assert_eq!(
                all.len(),
                "WELCOME\nEARLY\n".len() + 1024 * 1000 + "BYE\n".len()
            );
            assert!(all.ends_with("BYE\n"));
        }
    });
}

#[test]
fn an_upgrade_that_is_refused_has_the_answer_of_the_server_behind() {
    bounded("reverse_proxy and refused upgrades", LIMIT, || {
        for (answer, body) in [
            (
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
                "no",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\npla\r\n2\r\nin\r\n0\r\n\r\n",
                "plain",
            ),
            (
                "HTTP/1.1 404 Not Found\r\n\r\nuntil the end",
                "until the end",
            ),
        ] {
            let behind = upstream(answering(answer));
            let (_proxy, address) = start(&behind, &[]);
            let answered = ask(&address, "GET /", UPGRADE);
            assert_eq!(answered[..12], answer[..12], "{answered}");
            let (_, seen) = answered.split_once("\r\n\r\n").unwrap();
            let seen = seen.replace("\r\n", "").replace(char::is_numeric, "");
            let is_there = answered.contains(body) || seen.contains(body);
            assert!(is_there, "{answered}");
        }
        // Nobody there, nobody who answers, and what is no upgrade.
        let silent = upstream(|mut stream, _| drop(stream.read_to_end(&mut Vec::new())));
        for (behind, status) in [
            (free_address(), 502),
            (upstream(|stream, _| drop(stream)), 502),
            (silent, 504),
        ] {
            // Only silence may take the limit.
            let limit = &["--limit", "1"][..];
            let options = if status == 504 { limit } else { &[] };
            let (_proxy, address) = start(&behind, options);
            let answer = ask(&address, "GET /", UPGRADE);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
        }
        let (_proxy, address) = start(&upstream(mirror), &[]);
        let posted = "Connection: upgrade\r\nUpgrade: shout\r\nContent-Length: 3\r\n\r\nabc";
        assert!(ask(&address, "POST /", posted).starts_with("HTTP/1.1 200 "));
        assert!(ask(&address, "CONNECT elsewhere:80", "").starts_with("HTTP/1.1 501 "));
    });
}

#[test]
fn websockets_of_another_program_go_through_it() {
    bounded("reverse_proxy and websockets", LIMIT, || {
        let mut chat = Running::start(Command::new(build("web_chat")).arg("127.0.0.1:0"));
        let behind = chat.line("chat on http://").replace('/', "");
        let (_proxy, address) = start(&behind, &[]);
        let mut ann = Guest::named(&address, "Ann");
        let mut bob = Guest::named(&address, "Bob");
        ann.hears("* Bob has come");
        bob.says("hello");
        ann.hears("Bob: hello");
        // One that goes without a word has left.
        drop(bob);
        ann.hears("* Bob has left");
    });
}

#[test]
fn a_client_that_goes_while_nobody_sends_is_noticed() {
    bounded("reverse_proxy and silent servers", LIMIT, || {
        let (told, hears) = mpsc::channel();
        let behind = upstream(move |stream, _| {
            let mut stream = BufReader::new(stream);
            let asked = head(&mut stream);
            if asked.starts_with("GET /half") {
                let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
                stream.get_mut().write_all(half.as_bytes()).unwrap();
            }
            if asked.starts_with("GET /room") {
                let agreed = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\nConnection: upgrade\r\n\r\nhalf";
                stream.get_mut().write_all(agreed.as_bytes()).unwrap();
            }
            told.send("begun").unwrap();
            // Until the proxy ends the connection.
            let _ = stream.read_to_end(&mut Vec::new());
            told.send("over").unwrap();
        });
        // Longer than the test.
        let (_proxy, address) = start(&behind, &["--limit", "1000"]);
        for (line, more, half) in [
            ("GET /none", "", false),
            ("POST /none", "Content-Length: 3\r\n", false),
            ("GET /half", "", true),
            ("GET /room", UPGRADE, true),
        ] {
            let mut client = connect(&address);
            write!(client, "{line} HTTP/1.1\r\nHost: front\r\n{more}\r\n").unwrap();
            if line.starts_with("POST") {
                client.write_all(b"abc").unwrap();
            }
            assert_eq!(hears.recv(), Ok("begun"), "{line}");
            let mut seen = Vec::new();
            while half && !seen.ends_with(b"half") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                seen.extend(byte);
            }
            drop(client);
            assert_eq!(hears.recv(), Ok("over"), "{line}");
        }
    });
}

#[test]
fn curl_that_is_ended_takes_its_stream_of_http_2_along() {
    if find("curl").is_none() {
        return;
    }
    bounded("reverse_proxy and a curl that is ended", LIMIT, || {
        let (told, hears) = mpsc::channel();
        let behind = upstream(move |stream, _| {
            let mut stream = BufReader::new(stream);
            head(&mut stream);
            told.send("begun").unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
            told.send("over").unwrap();
        });
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (cert, key) = (
            file("cert.pem", &LOCALHOST.chain),
            file("key.pem", &LOCALHOST.key),
        );
        let roots = file("roots.pem", &AUTHORITY.pem);
        let options = ["--limit", "1000", "--tls", &cert, &key];
        let (_proxy, address) = start(&behind, &options);
        let port = address.rsplit(':').next().unwrap();
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--http2", "--cacert", &roots]);
        let curl = Running::start(curl.arg(format!("https://localhost:{port}/")));
        assert_eq!(hears.recv(), Ok("begun"));
        drop(curl);
        assert_eq!(hears.recv(), Ok("over"));
    });
}
