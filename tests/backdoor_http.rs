//! The backdoor's page: what it serves, to whom, and clients that do not behave.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use green::backdoor::Server;
use green::metrics::{Figure, Metrics};
use greenhub::green_thread::{Builder, JoinHandle, park};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(240);

fn open() -> (Server, SocketAddr) {
    open_with(Server::new())
}

fn open_with(server: Server) -> (Server, SocketAddr) {
    green::run(|| ());
    let server = server.http("127.0.0.1:0").unwrap();
    let url = server.url().unwrap();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let address = address.parse().unwrap();
    (server, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// An answer's head and body.
struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> u16 {
        let word = self.head.split(' ').nth(1).unwrap();
        word.parse().unwrap()
    }

    fn header(&self, name: &str) -> &str {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found
            .unwrap_or_else(|| panic!("no {name} in {}", self.head))
            .1
    }
}

fn send(address: SocketAddr, request: &[u8]) -> Answer {
    let answer = loop {
        let mut stream = connect(address);
        let mut answer = String::new();
        let done = stream
            .write_all(request)
            .and_then(|()| stream.read_to_string(&mut answer));
        // The place of a session that is over may not be free yet.
        if done.is_ok() && !answer.contains(" 503 ") {
            break answer;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

fn get(address: SocketAddr, target: &str) -> Answer {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\n\r\n");
    let answer = send(address, request.as_bytes());
    let length: usize = answer.header("content-length").parse().unwrap();
    assert_eq!(length, answer.body.len(), "{target}");
    answer
}

fn json(address: SocketAddr, query: &str) -> Value {
    let answer = get(address, &format!("/report.json{query}"));
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-type"), "application/json");
    serde_json::from_str(&answer.body).unwrap()
}

fn named(name: &str) -> JoinHandle<()> {
    Builder::new().name(name.to_owned()).spawn(park).unwrap()
}

fn end(threads: Vec<JoinHandle<()>>) {
    threads.iter().for_each(|thread| thread.kill().unwrap());
    threads.into_iter().for_each(|thread| drop(thread.join()));
}

#[test]
fn the_page_needs_nothing_from_other_hosts_and_allows_nothing_else() {
    test_support::bounded("page", LIMIT, || {
        let (_server, address) = open();
        let page = get(address, "/");
        assert_eq!(page.status(), 200);
        assert!(page.body.starts_with("<!DOCTYPE html>"));
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        for (path, kind) in [("/page.css", "text/css"), ("/page.js", "text/javascript")] {
            assert!(
                page.body.contains(&path[1..]),
                "the page does not use {path}"
            );
            let part = get(address, path);
            assert_eq!(part.status(), 200);
            assert!(part.header("content-type").starts_with(kind));
            assert_eq!(part.header("x-content-type-options"), "nosniff");
            assert!(!part.body.contains("://"), "{path} names another host");
            assert!(
                !part.body.contains("innerHTML"),
                "{path} takes text as markup"
            );
        }
        assert!(!page.body.contains("://"), "the page names another host");
        assert_eq!(get(address, "/etc/passwd").status(), 404);
        assert_eq!(get(address, "/../page.js").status(), 404);
    });
}

/// What somebody panics with, whose drop panics in turn.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a payload that panics when it is dropped");
    }
}

#[test]
fn figures_that_panic_are_a_status_and_nothing_else_ends() {
    struct Broken;
    impl Metrics for Broken {
        fn tell(&self, _: &mut dyn FnMut(Figure<'_>)) {
            std::panic::resume_unwind(Box::new(Bomb));
        }
    }
    test_support::bounded("figures that panic", LIMIT, || {
        let (_server, address) = open_with(Server::new().metrics("broken", Broken));
        // More often than there is room for sessions.
        for _ in 0..20 {
            assert_eq!(get(address, "/metrics").status(), 500);
        }
        assert_eq!(get(address, "/health").status(), 200);
    });
}

#[test]
fn metrics_are_served_as_prometheus_asks_for_them() {
    test_support::bounded("metrics", LIMIT, || {
        let (_server, address) = open();
        let answer = get(address, "/metrics");
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        assert_eq!(answer.header("content-type"), kind);
        let families = test_support::prometheus_text::parse(&answer.body);
        let resumes = &families["green_hub_resumes_total"];
        assert_eq!(resumes.kind, "counter");
        let resumes: f64 = resumes.samples.iter().map(|sample| sample.value).sum();
        assert!(resumes >= 1.0);
    });
}

#[test]
fn ten_thousand_green_threads_make_a_bounded_report() {
    test_support::bounded("ten thousand", LIMIT, || {
        let (_server, address) = open();
        let crowd: Vec<_> = (0..10_000).map(|n| named(&format!("crowd-{n}"))).collect();
        let report = json(address, "");
        assert!(report["total"].as_u64().unwrap() >= 10_000);
        assert_eq!(report["threads"].as_array().unwrap().len(), 200);
        let most = get(address, "/report.json?limit=1000000");
        assert!(most.body.len() < 1_000_000, "{}", most.body.len());
        let most: Value = serde_json::from_str(&most.body).unwrap();
        assert_eq!(most["threads"].as_array().unwrap().len(), 2_000);
        let page = get(address, "/");
        assert!(page.body.len() < 20_000);

        let some = json(address, "?match=CROWD-999&limit=5");
        assert_eq!(some["matching"], 11);
        let names: Vec<_> = some["threads"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| &t["name"])
            .collect();
        assert_eq!(
            names,
            [
                "crowd-999",
                "crowd-9990",
                "crowd-9991",
                "crowd-9992",
                "crowd-9993"
            ]
        );
        let sorted = json(address, "?match=crowd-1234&sort=name");
        assert_eq!(sorted["threads"][0]["name"], "crowd-1234");
        assert_eq!(
            json(address, "?match=crowd%2D77%20on&limit=x")["matching"],
            1
        );
        for sort in ["id", "hub", "state", "since", "cpu", "nonsense"] {
            let report = json(address, &format!("?sort={sort}&limit=3"));
            assert_eq!(report["threads"].as_array().unwrap().len(), 3, "{sort}");
        }
        end(crowd);
    });
}

#[test]
fn a_name_is_passed_on_as_it_is_within_quotes() {
    test_support::bounded("names", LIMIT, || {
        let (_server, address) = open();
        let name = "</script>\"\\\n\u{1b}[2J é";
        let thread = named(name);
        let id = thread.thread().id().as_u64().get();
        let found = loop {
            let report = json(address, "?match=2j%20%C3%A9&limit=2000");
            let threads = report["threads"].as_array().unwrap().clone();
            let found = threads
                .into_iter()
                .find(|thread| thread["id"] == id)
                .unwrap();
            if found["state"] == "park" {
                break found;
            }
        };
        assert_eq!(found["name"], name);
        assert_eq!(found["waits_for"], "park");
        assert_eq!(found["parent"], Value::Null);
        assert!(found["since"].as_f64().unwrap() >= 0.0);
        end(vec![thread]);
    });
}

#[test]
fn only_an_address_or_localhost_is_answered_to() {
    test_support::bounded("host", LIMIT, || {
        let (_server, address) = open();
        let port = address.port();
        let status = |hosts: &str| {
            let request = format!("GET /metrics HTTP/1.1\r\n{hosts}\r\n");
            send(address, request.as_bytes()).status()
        };
        for host in [
            "127.0.0.1",
            "localhost",
            "LocalHost",
            "[::1]",
            "127.0.0.1:1",
            "localhost:",
            "10.1.2.3:80",
        ] {
            assert_eq!(status(&format!("Host: {host}\r\n")), 200, "{host}");
        }
        assert_eq!(status(&format!("Host: localhost:{port}\r\n")), 200);
        for host in [
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evil.localhost",
            "",
            "[127.0.0.1]",
            "[evil.example]",
            "::1",
            "127.0.0.1:80:80",
            "127.1@evil.example",
            "\u{ff}",
        ] {
            assert_eq!(status(&format!("Host: {host}\r\n")), 421, "{host}");
        }
        assert_eq!(status(""), 421, "no host at all");
        assert_eq!(status("Host: localhost\r\nHost: evil.example\r\n"), 421);
    });
}

#[test]
fn nothing_but_reading_is_possible() {
    test_support::bounded("methods", LIMIT, || {
        let (_server, address) = open();
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT"] {
            let request = format!(
                "{method} /report.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nkill 1"
            );
            let answer = send(address, request.as_bytes());
            assert_eq!(answer.status(), 405, "{method}");
            assert_eq!(answer.header("allow"), "GET, HEAD");
        }
        let answer = send(address, b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!((answer.status(), answer.body.as_str()), (200, ""));
        assert_ne!(answer.header("content-length"), "0");
    });
}

#[test]
fn clients_of_the_page_that_do_not_behave_harm_nobody() {
    test_support::bounded("misbehaving", LIMIT, || {
        let (_server, address) = open();
        assert_eq!(send(address, b"threads\r\n\r\n").status(), 400);
        assert_eq!(
            send(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n").status(),
            400
        );
        let mut stream = connect(address);
        for byte in b"GET /metrics HTTP/1.0\r\nHost: [::1]:80\r\n\r\n" {
            stream.write_all(&[*byte]).unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let mut endless = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec();
        endless.resize(20_000, b'x');
        assert_eq!(send(address, &endless).status(), 431);
        let mut many = b"GET / HTTP/1.1\r\nHost: localhost\r\n".to_vec();
        many.extend(b"A: b\r\n".repeat(100));
        many.extend(b"\r\n");
        assert_eq!(send(address, &many).status(), 431);

        // Some say nothing, some half of it, some do not take the answer.
        let quiet: Vec<TcpStream> = (0..9)
            .map(|n| {
                let mut stream = connect(address);
                match n % 3 {
                    0 => {}
                    1 => stream.write_all(b"GET / HTTP/1.1\r\nHo").unwrap(),
                    _ => stream
                        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        .unwrap(),
                }
                stream
            })
            .collect();
        assert_eq!(get(address, "/metrics").status(), 200);
        drop(quiet);
        for _ in 0..50 {
            let stream = connect(address);
            let _ = (&stream).write_all(b"GET /report.json HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let _ = stream.shutdown(Shutdown::Both);
        }
        assert_eq!(get(address, "/metrics").status(), 200);
    });
}

#[test]
fn a_page_on_other_addresses_has_to_be_allowed() {
    let error = Server::new().http("0.0.0.0:0").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    let server = Server::new().allow_remote().http("0.0.0.0:0").unwrap();
    assert!(server.url().unwrap().starts_with("http://0.0.0.0:"));
}
