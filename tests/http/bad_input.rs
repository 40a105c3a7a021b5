//! What is no request, or not all of one, and handlers that fail: the peer gets its status or a reset, the log a line, and a
//! neighbour notices nothing.

use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use green::http::{Body, Reply, Request, Response};
use green::thread;

use crate::{LIMIT, Served, to_end, until, usual};
use test_support::child::alone;

/// Keeps what is logged.
pub struct Kept(Mutex<Vec<String>>);

impl log::Log for Kept {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("green")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {}", record.level(), record.args());
            self.0.lock().unwrap().push(line);
        }
    }

    fn flush(&self) {}
}

pub static KEPT: Kept = Kept(Mutex::new(Vec::new()));

/// Waits for a line with `what` in it, and takes all lines.
pub fn logged(what: &str) -> Vec<String> {
    loop {
        {
            let mut kept = KEPT.0.lock().unwrap();
            if kept.iter().any(|line| line.contains(what)) {
                return std::mem::take(&mut *kept);
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn handler(request: Request<Body>) -> std::io::Result<Response<Reply>> {
    if request.uri().path() == "/killed" {
        green::debug::kill(thread::current().id().as_u64().get()).unwrap();
        thread::sleep(Duration::from_secs(3600));
    }
    if request.uri().path() == "/lines" {
        return Err(std::io::Error::other("a line\r\nERROR and one more"));
    }
    usual(request)
}

#[test]
fn bad_input_has_its_status_a_line_in_the_log_and_no_other_effect() {
    const NAME: &str = "bad_input::bad_input_has_its_status_a_line_in_the_log_and_no_other_effect";
    alone(NAME, &[], || {
        log::set_logger(&KEPT).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
        let short = Duration::from_millis(300);
        // Nobody but those that say nothing more need be quick.
        let servers = [LIMIT, short].map(|limit| {
            Served::with(handler, |server| {
                server.read_timeout(Some(limit)).max_body(1 << 20)
            })
        });
        let mut neighbours = servers.each_ref().map(Served::connect);
        // What is sent, whether the peer then ends its half, the status (none: the connection just ends), and what the log
        // says once.
        let cases: &[(&str, bool, Option<&str>, &str)] = &[
            ("no HTTP\r\n\r\n", false, Some("400"), "a connection failed: invalid"),
            ("GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n", false, Some("400"), "a connection failed: invalid HTTP header"),
            ("GET / HTTP/1.1\r\n\r\n", false, Some("400"), "\"GET / HTTP/1.1\" 400"),
            ("GET / HTTP/1.1\r\nhost: x\r\nhalf", true, None, "a connection failed"),
            ("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nfour", true, Some("400"), "\"POST /length HTTP/1.1\" 400"),
            ("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 90000\r\n\r\nfour", true, Some("400"), "a request failed with 400"),
            ("POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfour\r\n", true, Some("400"), "a request failed with 400"),
            ("POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno length\r\n", false, Some("400"), "a request failed with 400"),
            ("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nfour and more", false, Some("200"), "a connection failed: invalid"),
            ("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nfour", false, Some("408"), "\"POST /length HTTP/1.1\" 408"),
            ("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 90000\r\n\r\nfour", false, Some("408"), "a request failed with 408"),
            ("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n", false, Some("413"), "\"POST /length HTTP/1.1\" 413"),
            ("POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false, Some("501"), "\"POST /length HTTP/1.1\" 501"),
            ("GET /panic HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", false, Some("500"), "GET /panic: the handler panicked"),
            ("GET /cut HTTP/1.1\r\nhost: x\r\n\r\n", false, Some("200"), "a response was cut off: no more"),
            ("GET /lines HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", false, Some("500"), "a line\\r\\nERROR and one more"),
            ("GET /killed HTTP/1.1\r\nhost: x\r\n\r\n", false, None, ""),
            ("POST /killed HTTP/1.1\r\nhost: x\r\ncontent-length: 90000\r\n\r\n", false, Some("503"), "\"POST /killed HTTP/1.1\" 503"),
        ];
        for (sent, half, status, line) in cases {
            let at = usize::from(*status == Some("408"));
            let (served, neighbour) = (&servers[at], &mut neighbours[at]);
            let mut stream = served.connect();
            stream.write_all(sent.as_bytes()).unwrap();
            if *half {
                stream.shutdown(green::net::Shutdown::Write).unwrap();
            }
            let answer = to_end(&mut stream);
            match status {
                Some(status) => {
                    let told = answer.get(9..12).unwrap_or_default();
                    assert_eq!(told, *status, "{sent:?}: {answer:?}");
                }
                None => assert_eq!(answer, "", "{sent:?}"),
            }
            // Whoever killed a handler knows of it.
            if !line.is_empty() {
                let lines = logged(line);
                let times = lines.iter().filter(|one| one.contains(line)).count();
                assert_eq!(times, 1, "{sent:?}: {lines:?}");
            }
            neighbour
                .write_all(b"GET /on HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap();
            assert!(until(neighbour, "GET /on").starts_with("HTTP/1.1 200"));
            logged("\"GET /on HTTP/1.1\" 200 7 ");
        }
        drop(neighbours);
        for served in servers {
            served.stop();
        }

        let impatient = Served::with(usual, |server| server.head_timeout(Some(short)));
        let mut stream = impatient.connect();
        stream.write_all(b"GET / HTT").unwrap();
        assert_eq!(to_end(&mut stream), "");
        let lines = logged("a connection failed");
        assert_eq!(lines.len(), 1, "{lines:?}");
        impatient.stop();
    })
    .well();
}
