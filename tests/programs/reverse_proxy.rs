//! The example `reverse_proxy`, between raw clients and raw servers.

mod upgrades;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use test_support::bounded;
use test_support::certs::{AUTHORITY, LOCALHOST};
use test_support::example_program::build;

use test_support::running::{Running, find, free_address, memory};
use test_support::servers::Postgres;

use super::json_service::start_with;

const LIMIT: Duration = Duration::from_secs(300);

/// A server for the proxy to ask: each connection has a thread, which is told how many there were before.
fn upstream(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (serve, stream) = (serve.clone(), stream.unwrap());
            thread::spawn(move || serve(stream, number));
        }
    });
    address
}

/// The next request's head; empty at the end.
fn head(stream: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match stream.read_line(&mut head) {
            Ok(0) | Err(_) => return String::new(),
            Ok(_) => {}
        }
    }
    head
}

/// Answers each request with its own head.
fn mirror(stream: TcpStream, _: usize) {
    let mut stream = BufReader::new(stream);
    loop {
        let head = head(&mut stream);
        if head.is_empty() {
            return;
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: x-secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n\
             X-Kept: 1\r\nVia: 1.0 behind\r\n\r\n{head}",
            head.len()
        );
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
    }
}

/// What asks for one page, after a request has come.
fn answering(answer: &'static str) -> impl Fn(TcpStream, usize) {
    move |stream, _| {
        let mut stream = BufReader::new(stream);
        head(&mut stream);
        let _ = stream.get_mut().write_all(answer.as_bytes());
    }
}

fn start(upstream: &str, options: &[&str]) -> (Running, String) {
    let mut command = Command::new(build("reverse_proxy"));
    command.args(["--listen", "127.0.0.1:0"]).args(options);
    let mut proxy = Running::start(command.arg(format!("http://{upstream}")));
    let line = proxy.line("passing ");
    let address = line.split('/').nth(2).unwrap();
    (proxy, address.to_owned())
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT / 2)).unwrap();
    stream
}

fn ask(address: &str, line: &str, headers: &str) -> String {
    let mut stream = connect(address);
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: front\r\nConnection: close\r\n{headers}\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    // What is cut off may end with a reset.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn headers_of_one_connection_stay_there_and_the_way_is_told() {
    bounded("reverse_proxy's headers", LIMIT, || {
        let behind = upstream(mirror);
        let (_proxy, address) = start(&behind, &[]);
        let headers = "Connection: x-hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\
            Proxy-Connection: keep-alive\r\nX-Kept: yes\r\nX-Forwarded-For: 203.0.113.9\r\n\
            X-Forwarded-Host: spoofed\r\nVia: 1.0 before\r\nCookie: a=1\r\nCookie: b=2\r\nUpgrade: h2c\r\n";
        let answer = ask(&address, "GET /page?q=1", headers).to_lowercase();
        let (back, seen) = answer.split_once("\r\n\r\n").unwrap();
        assert!(seen.starts_with("get /page?q=1 http/1.1\r\n"), "{seen}");
        for line in [
            &format!("host: {behind}"),
            "x-kept: yes",
            "x-forwarded-for: 203.0.113.9, 127.0.0.1",
            "x-forwarded-host: front",
            "x-forwarded-proto: http",
            "forwarded: for=127.0.0.1;host=\"front\";proto=http",
            "via: 1.0 before, 1.1 green",
            "cookie: a=1; b=2",
        ] {
            assert!(seen.contains(&format!("\r\n{line}\r\n")), "{line}: {seen}");
        }
        for word in [
            "x-hop",
            "keep-alive",
            "te:",
            "connection:",
            "upgrade",
            "spoofed",
            "accept",
            "user-agent",
            "content-length",
            "transfer-encoding",
        ] {
            assert!(
                !seen.contains(&format!("\n{word}")) && !seen.contains("spoofed"),
                "{word}: {seen}"
            );
        }
        assert!(back.starts_with("http/1.1 200 ok\r\n"), "{back}");
        assert!(back.contains("\r\nx-kept: 1"), "{back}");
        assert!(back.contains("\r\nvia: 1.0 behind, 1.1 green"), "{back}");
        for word in ["x-secret", "keep-alive"] {
            assert!(!back.contains(word), "{word}: {back}");
        }
    });
}

#[test]
fn connections_to_the_server_behind_are_used_again() {
    bounded("reverse_proxy's pool", LIMIT, || {
        let opened = Arc::new(AtomicUsize::new(0));
        let counts = opened.clone();
        let behind = upstream(move |stream, number| {
            counts.fetch_max(number + 1, SeqCst);
            mirror(stream, number);
        });
        let (_proxy, address) = start(&behind, &[]);
        for _ in 0..100 {
            assert!(ask(&address, "GET /", "").starts_with("HTTP/1.1 200"));
        }
        // A client may have its answer a moment before the connection is back.
        let opened = opened.load(SeqCst);
        assert!(opened < 20, "{opened} connections");
    });
}

#[test]
fn a_connection_that_has_ended_is_not_used_again() {
    bounded("reverse_proxy and a server that restarts", LIMIT, || {
        // One answer for each connection, without a word of that.
        let behind = upstream(answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
        let (_proxy, address) = start(&behind, &[]);
        for _ in 0..50 {
            let answer = ask(&address, "GET /", "");
            assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
        }
    });
}

#[test]
fn who_is_not_reached_or_late_or_talks_nonsense_has_a_status() {
    bounded("reverse_proxy's errors", LIMIT, || {
        let silent = || {
            upstream(|mut stream, _| {
                let _ = stream.read_to_end(&mut Vec::new());
            })
        };
        for (behind, status) in [
            (free_address(), 502),
            (upstream(|stream, _| drop(stream)), 502),
            (upstream(answering("")), 502),
            (upstream(answering("what?\r\n\r\n")), 502),
            (
                upstream(answering("HTTP/1.1 101 Switching Protocols\r\n\r\n")),
                502,
            ),
            (silent(), 504),
        ] {
            // Only silence may take the limit.
            let limit = &["--limit", "1"][..];
            let options = if status == 504 { limit } else { &[] };
            let (_proxy, address) = start(&behind, options);
            for line in ["GET /", "POST /"] {
                let answer = ask(&address, line, "");
                let begins = answer.starts_with(&format!("HTTP/1.1 {status} "));
                assert!(begins, "{line} {behind}: {answer}");
            }
        }
        // Who takes nothing of a long body.
        let (_proxy, address) = start(
            &upstream(|stream, _| {
                thread::sleep(LIMIT);
                drop(stream);
            }),
            &["--limit", "1"],
        );
        let mut client = connect(&address);
        let length = 100_000_000;
        write!(
            client,
            "POST / HTTP/1.1\r\nHost: front\r\nContent-Length: {length}\r\n\r\n"
        )
        .unwrap();
        let mut sends = client.try_clone().unwrap();
        let sender = thread::spawn(move || {
            let piece = [0; 64 * 1024];
            while sends.write_all(&piece).is_ok() {}
        });
        let mut line = String::new();
        BufReader::new(&client).read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 504 "), "{line}");
        client.shutdown(Shutdown::Both).unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    bounded("reverse_proxy and servers that die", LIMIT, || {
        for (answer, end) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "half"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
                "half\r\n",
            ),
        ] {
            let (_proxy, address) = start(&upstream(answering(answer)), &[]);
            let answer = ask(&address, "GET /", "");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            // No last chunk.
            assert!(
                answer.ends_with(end) || answer.ends_with("\r\n\r\n"),
                "{answer}"
            );
            assert!(!answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
        }
        // One that falls silent in the middle is cut at the limit.
        let behind = upstream(|stream, _| {
            answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")(
                stream.try_clone().unwrap(),
                0,
            );
            thread::sleep(LIMIT);
        });
        let (_proxy, address) = start(&behind, &["--limit", "1"]);
        let begun = Instant::now();
        assert!(ask(&address, "GET /", "").ends_with("half"));
        assert!(begun.elapsed() < LIMIT / 2);
    });
}

#[test]
fn a_client_that_goes_takes_its_request_along() {
    bounded("reverse_proxy and clients that go", LIMIT, || {
        let (told, hears) = mpsc::channel();
        let behind = upstream(move |stream, _| {
            let mut stream = BufReader::new(stream);
            let how = match head(&mut stream).split(' ').next() {
                // Until nobody takes it any more.
                Some("GET") => {
                    let begin = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";
                    stream.get_mut().write_all(begin.as_bytes()).unwrap();
                    while stream.get_mut().write_all(&[b'x'; 64 * 1024]).is_ok() {}
                    "an answer"
                }
                _ => {
                    let mut body = [0; 4];
                    stream.read_exact(&mut body).unwrap();
                    assert_eq!(&body, b"half");
                    told.send("half").unwrap();
                    let mut more = Vec::new();
                    let _ = stream.read_to_end(&mut more);
                    assert_eq!(more, b"");
                    "a request"
                }
            };
            told.send(how).unwrap();
        });
        let (_proxy, address) = start(&behind, &[]);
        let mut client = connect(&address);
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: front\r\n\r\n")
            .unwrap();
        client.read_exact(&mut [0; 1_000_000]).unwrap();
        drop(client);
        assert_eq!(hears.recv(), Ok("an answer"));
        let mut client = connect(&address);
        client
            .write_all(b"PUT / HTTP/1.1\r\nHost: front\r\nContent-Length: 100000\r\n\r\nhalf")
            .unwrap();
        assert_eq!(hears.recv(), Ok("half"));
        drop(client);
        assert_eq!(hears.recv(), Ok("a request"));
    });
}

#[test]
fn a_slow_peer_holds_a_fast_one_back_and_nothing_piles_up() {
    bounded("reverse_proxy's back-pressure", LIMIT, || {
        let sent = Arc::new(AtomicUsize::new(0));
        let counts = sent.clone();
        let behind = upstream(move |stream, _| {
            let mut stream = BufReader::new(stream);
            if head(&mut stream).starts_with("PUT") {
                // It reads nothing.
                return thread::sleep(LIMIT);
            }
            let mut stream = stream.into_inner();
            let begin = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            stream.write_all(begin.as_bytes()).unwrap();
            while let Ok(count) = stream.write(&[b'x'; 64 * 1024]) {
                counts.fetch_add(count, SeqCst);
            }
        });
        let (proxy, address) = start(&behind, &["--limit", "100"]);
        let mut slow = connect(&address);
        slow.write_all(b"GET / HTTP/1.1\r\nHost: front\r\n\r\n")
            .unwrap();
        slow.read_exact(&mut [0; 1000]).unwrap();
        // And the other way round.
        let mut fast = connect(&address);
        fast.write_all(b"PUT / HTTP/1.1\r\nHost: front\r\nTransfer-Encoding: chunked\r\n\r\n")
            .unwrap();
        let took = Arc::new(AtomicUsize::new(0));
        let counts = took.clone();
        let mut sends = fast.try_clone().unwrap();
        let sender = thread::spawn(move || {
            let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
            while sends.write_all(chunk.as_bytes()).is_ok() {
                counts.fetch_add(chunk.len(), SeqCst);
            }
        });
        for count in [&sent, &took] {
            let mut before = usize::MAX;
            // Until it has begun and no more is taken.
            while before == 0 || count.load(SeqCst) != before {
                before = count.load(SeqCst);
                thread::sleep(Duration::from_millis(500));
            }
            // What the buffers of four sockets may hold.
            assert!((1..40_000_000).contains(&before), "{before} bytes");
        }
        let used = memory(proxy.process.id());
        assert!(used < 40_000, "{used} KiB");
        // Who reads on gets all, with no more memory.
        let mut gone = 0;
        let mut piece = vec![0; 1 << 20];
        while gone < 200_000_000 {
            gone += slow.read(&mut piece).unwrap();
        }
        let used = memory(proxy.process.id());
        assert!(used < 40_000, "{used} KiB");
        fast.shutdown(Shutdown::Both).unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn curl_is_served_by_http_2_and_with_tls() {
    if find("curl").is_none() {
        return;
    }
    bounded("reverse_proxy and curl", LIMIT, || {
        // The server behind is another of the programs; what is posted to it comes back.
        let Some(database) = Postgres::start() else {
            return;
        };
        let (_service, behind) = start_with(&database);
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let cert = file("cert.pem", &LOCALHOST.chain);
        let (key, roots) = (
            file("key.pem", &LOCALHOST.key),
            file("roots.pem", &AUTHORITY.pem),
        );
        let (_plain, plain) = start(&behind, &[]);
        let (_tls, tls) = start(&behind, &["--tls", &cert, &key]);
        let port = tls.rsplit(':').next().unwrap();
        let tls = format!("https://localhost:{port}");
        let plain = format!("http://{plain}");
        let title = "x".repeat(10_000);
        let note = format!(r#"{{"title":"{title}"}}"#);
        let ways = [
            (&plain, "--http1.1", "1.1"),
            (&plain, "--http2-prior-knowledge", "2"),
            (&plain, "--http2", "1.1"),
            (&tls, "--http2", "2"),
            (&tls, "--http1.1", "1.1"),
        ];
        for (number, (url, how, version)) in (1..).zip(ways) {
            let curl = |arguments: &[&str]| {
                let mut curl = Command::new("curl");
                curl.args([
                    "-sS",
                    how,
                    "--cacert",
                    &roots,
                    "-w",
                    " %{http_code} %{http_version}",
                ]);
                let output = curl.args(arguments).output().unwrap();
                assert!(output.status.success(), "{how} {url}: {output:?}");
                String::from_utf8(output.stdout).unwrap()
            };
            let notes = format!("{url}/notes");
            let json = "content-type: application/json";
            let made = curl(&["-H", json, "-d", &note, &notes]);
            let kept = format!(r#"{{"id":{number},"title":"{title}","done":false}}"#);
            assert_eq!(made, format!("{kept} 201 {version}"));
            let one = format!("{notes}/{number}");
            assert_eq!(curl(&[&one]), format!("{kept} 200 {version}"));
            let head = curl(&["-I", &one]);
            let length = format!("content-length: {}\r\n", kept.len());
            assert!(head.to_lowercase().contains(&length), "{head}");
            // An empty body, and an answer without one.
            assert!(curl(&["-X", "POST", &notes]).contains(" 415 "));
            assert_eq!(curl(&["-X", "DELETE", &one]), format!(" 204 {version}"));
        }
    });
}

#[test]
fn a_stop_lets_answers_come_to_their_end() {
    bounded("reverse_proxy's stop", LIMIT, || {
        let (go, goes) = mpsc::channel::<()>();
        let goes = std::sync::Mutex::new(goes);
        let behind = upstream(move |stream, _| {
            let mut stream = BufReader::new(stream);
            head(&mut stream);
            let begin = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf";
            stream.get_mut().write_all(begin.as_bytes()).unwrap();
            goes.lock().unwrap().recv().unwrap();
            stream.get_mut().write_all(b"full").unwrap();
        });
        let (mut proxy, address) = start(&behind, &[]);
        let mut client = connect(&address);
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: front\r\n\r\n")
            .unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"half") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            seen.extend(byte);
        }
        proxy.terminate();
        while TcpStream::connect(&address).is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
        go.send(()).unwrap();
        let mut rest = String::new();
        client.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "full");
        proxy.line("stopped after ");
        assert!(proxy.process.wait().unwrap().success());
    });
}
