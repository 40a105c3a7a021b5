//! The example `json_service`, by raw requests and by curl, with a PostgreSQL of each test's own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use test_support::bounded;
use test_support::example_program::build;

use test_support::running::{Running, find};
use test_support::servers::Postgres;

mod database;

const LIMIT: Duration = Duration::from_secs(300);

/// The program, and the address that it serves.
pub fn start_with(database: &Postgres) -> (Running, String) {
    let mut service = Command::new(build("json_service"));
    let mut service = Running::start(service.args(["127.0.0.1:0", &database.address()]));
    let url = service.line("notes on http://");
    (service, url.trim_end_matches("/notes").to_owned())
}

fn with_service(name: &str, body: impl FnOnce(&mut Running, &Postgres, String) + Send) {
    bounded(name, LIMIT, || {
        if let Some(database) = Postgres::start() {
            let (mut service, address) = start_with(&database);
            body(&mut service, &database, address);
        }
    });
}

/// What curl prints, and the status behind it.
fn curl(arguments: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-w", " %{http_code}"]);
    let output = curl.args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

const JSON: [&str; 2] = ["-H", "content-type: application/json"];

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert!(
            self.head.contains("\r\ncontent-type: application/json\r\n"),
            "{}",
            self.head
        );
        serde_json::from_str(&self.body).unwrap()
    }
}

/// One exchange on a connection of its own; `rest` is what comes behind the request line.
fn exchange(address: &str, line: &str, rest: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{rest}"
    )
    .unwrap();
    read_answer(stream)
}

fn read_answer(mut stream: TcpStream) -> Answer {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3]
        .parse()
        .unwrap();
    let (head, body) = (format!("{head}\r\n"), body.to_owned());
    Answer { status, head, body }
}

fn ask(address: &str, line: &str) -> Answer {
    exchange(address, line, "\r\n")
}

fn send(address: &str, line: &str, body: &str) -> Answer {
    let length = body.len();
    let rest = format!(
        "Content-Type: application/json; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    exchange(address, line, &rest)
}

#[test]
fn notes_are_made_read_changed_and_deleted() {
    with_service("json_service", |_, _, address| {
        assert_eq!(ask(&address, "GET /notes").json(), json!([]));
        let made = send(&address, "POST /notes", r#"{"title": "mílk"}"#);
        assert_eq!(made.status, 201);
        assert!(
            made.head.contains("\r\nlocation: /notes/1\r\n"),
            "{}",
            made.head
        );
        let milk = json!({"id": 1, "title": "mílk", "done": false});
        assert_eq!(made.json(), milk);
        let bread = r#"{"title": "bread", "done": true}"#;
        assert_eq!(send(&address, "POST /notes", bread).json()["id"], 2);
        assert_eq!(ask(&address, "GET /notes/1").json(), milk);
        let changed = send(
            &address,
            "PUT /notes/1",
            r#"{"title": "milk", "done": true}"#,
        );
        assert_eq!(
            (changed.status, &changed.json()["done"]),
            (200, &json!(true))
        );
        let gone = ask(&address, "DELETE /notes/2");
        assert_eq!((gone.status, gone.body.as_str()), (204, ""));
        assert_eq!(ask(&address, "GET /notes/2").status, 404);
        let head = ask(&address, "HEAD /notes/1");
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        // A number is not given twice.
        assert_eq!(send(&address, "POST /notes", bread).json()["id"], 3);
        let all = ask(&address, "GET /notes").json();
        let ids: Vec<_> = all.as_array().unwrap().iter().map(|n| &n["id"]).collect();
        assert_eq!(ids, [&json!(3), &json!(1)]);
    });
}

#[test]
fn what_cannot_be_done_is_told_in_json() {
    with_service("json_service's refusals", |_, _, address| {
        let json = "Content-Type: application/json\r\n";
        let long = "x".repeat(20_000);
        let chunked =
            format!("{json}Transfer-Encoding: chunked\r\n\r\n4e20\r\n{long}\r\n0\r\n\r\n");
        let cases = [
            ("GET /", "\r\n".to_owned(), 404, "nothing at /"),
            ("GET /notes/7", "\r\n".to_owned(), 404, "no note 7"),
            ("GET /notes/-1", "\r\n".to_owned(), 404, "no note -1"),
            ("DELETE /notes", "\r\n".to_owned(), 405, "DELETE"),
            (
                "POST /notes/1",
                "Content-Length: 0\r\n\r\n".to_owned(),
                405,
                "POST",
            ),
            (
                "POST /notes",
                "Content-Length: 2\r\n\r\n{}".to_owned(),
                415,
                "''",
            ),
            (
                "POST /notes",
                "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
                415,
                "text/plain",
            ),
            (
                "POST /notes",
                format!("{json}Content-Length: 2\r\n\r\n{{}}"),
                400,
                "title",
            ),
            (
                "POST /notes",
                format!("{json}Content-Length: 1\r\n\r\n{{"),
                400,
                "EOF",
            ),
            (
                "POST /notes",
                format!("{json}Content-Length: 0\r\n\r\n"),
                400,
                "EOF",
            ),
            // JSON has a NUL, and PostgreSQL has none.
            (
                "POST /notes",
                format!("{json}Content-Length: 18\r\n\r\n{{\"title\":\"\\u0000\"}}"),
                400,
                "0x00",
            ),
            (
                "POST /notes",
                format!("{json}Content-Length: 23\r\n\r\n{{\"title\":\"\",\"colour\":1}}"),
                400,
                "colour",
            ),
            // Without a go-ahead, and so without the body.
            (
                "POST /notes",
                format!("{json}Content-Length: 20000\r\nExpect: 100-continue\r\n\r\n"),
                413,
                "16384",
            ),
            (
                "POST /notes",
                format!("{json}Content-Length: 20000\r\n\r\n{long}"),
                413,
                "16384",
            ),
            ("POST /notes", chunked, 413, "16384"),
            (
                "PUT /notes/7",
                format!("{json}Content-Length: 12\r\n\r\n{{\"title\":\"\"}}"),
                404,
                "7",
            ),
        ];
        for (line, rest, status, word) in cases {
            let answer = exchange(&address, line, &rest);
            assert_eq!(answer.status, status, "{line} {rest}");
            let why = answer.json()["error"].to_string();
            assert!(why.contains(word), "{why}");
            if status == 405 {
                let allow = match line.contains("/1") {
                    true => "\r\nallow: GET, HEAD, PUT, DELETE\r\n",
                    false => "\r\nallow: GET, HEAD, POST, PUT\r\n",
                };
                assert!(answer.head.contains(allow), "{}", answer.head);
            }
        }
        assert_eq!(ask(&address, "GET /notes").json(), json!([]));
    });
}

#[test]
fn a_client_that_goes_in_the_middle_disturbs_nobody_and_a_stop_waits_for_the_others() {
    with_service("json_service's stop", |service, _, address| {
        let body = r#"{"title": "milk"}"#;
        let head = format!(
            "POST /notes HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        for length in 1..10 {
            let mut gone = TcpStream::connect(&address).unwrap();
            write!(gone, "{head}{}", &body[..length]).unwrap();
        }
        assert_eq!(ask(&address, "GET /notes").json(), json!([]));
        let mut late = TcpStream::connect(&address).unwrap();
        write!(late, "{head}{}", &body[..5]).unwrap();
        // It has come before who asks behind it is answered.
        assert_eq!(ask(&address, "GET /notes").json(), json!([]));
        service.terminate();
        while TcpStream::connect(&address).is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
        late.write_all(&body.as_bytes()[5..]).unwrap();
        assert_eq!(read_answer(late).status, 201);
        service.line("stopped after ");
        assert!(service.process.wait().unwrap().success());
    });
}

#[test]
fn curl_speaks_to_it_by_http_2() {
    if find("curl").is_none() {
        return;
    }
    with_service("json_service by HTTP/2", |_, _, address| {
        let curl = |arguments: &[&str]| {
            let version = [
                "--http2-prior-knowledge",
                "-w",
                " %{http_code} %{http_version}",
            ];
            curl(&[&version[..], arguments].concat())
        };
        let notes = format!("http://{address}/notes");
        let json = "content-type: application/json";
        assert_eq!(
            curl(&["-H", json, "-d", r#"{"title":"milk"}"#, &notes]),
            r#"{"id":1,"title":"milk","done":false} 201 2"#
        );
        let long = format!(r#"{{"title":"{}"}}"#, "x".repeat(17_000));
        let refused = curl(&["-H", json, "-d", &long, &notes]);
        assert_eq!(
            refused,
            r#"{"error":"the body is longer than 16384 bytes"} 413 2"#
        );
        let one = format!("{notes}/1");
        assert_eq!(curl(&["-X", "DELETE", &one]), " 204 2");
        assert!(curl(&[&one]).ends_with("404 2"));
    });
}
