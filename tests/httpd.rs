//! The example `httpd`, driven over loopback with raw bytes.

mod example_program;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine; a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// More than the buffers between two sockets hold.
const BIG_BYTES: usize = 12_000_000;

/// A running server over a directory of its own.
struct Server {
    child: Child,
    address: String,
    directory: tempfile::TempDir,
}

impl Server {
    fn start(options: &[&str]) -> Server {
        let directory = site();
        let mut child = Command::new(program())
            .args(["--listen", "127.0.0.1:0"])
            .args(options)
            .arg(directory.path().join("site"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .rsplit("http://")
            .next()
            .unwrap()
            .trim_end_matches('/');
        Server {
            address: address.to_owned(),
            child,
            directory,
        }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client {
            reader: BufReader::new(stream),
        }
    }

    /// One exchange on a connection of its own.
    fn answer(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut client = self.connect();
        client.send(request);
        client.answer()
    }

    fn get(&self, target: &str) -> Answer {
        self.get_with(target, "")
    }

    fn get_with(&self, target: &str, headers: &str) -> Answer {
        self.answer(format!("GET {target} HTTP/1.1\r\nHost: t\r\n{headers}\r\n"))
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// The exit code, once the program has ended.
    fn exit_code(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join("site").join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client {
    reader: BufReader<TcpStream>,
}

struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.reader.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let len = answer
            .headers
            .get("content-length")
            .map_or(0, |len| len.parse().unwrap());
        answer.body.resize(len, 0);
        self.reader.read_exact(&mut answer.body).unwrap();
        answer
    }

    fn head(&mut self) -> Answer {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        let status = line
            .strip_prefix("HTTP/1.1 ")
            .unwrap_or_else(|| panic!("no answer: {line:?}"));
        let status = status[..3].parse().unwrap();
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                assert_eq!(line, "\r\n");
                return Answer {
                    status,
                    headers,
                    body: Vec::new(),
                };
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }

    /// Whether the server has closed the connection in an orderly way, without another word.
    fn is_at_end(&mut self) -> bool {
        // `read_to_end` goes on after an interruption, and takes no more than there may be.
        let mut rest = Vec::new();
        self.reader.by_ref().take(1).read_to_end(&mut rest).unwrap() == 0
    }
}

impl Answer {
    #[track_caller]
    fn expect(self, status: u16) -> Answer {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| example_program::build("httpd"))
}

/// A directory with a `site` in it, and a secret beside it.
fn site() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let site = directory.path().join("site");
    let write = |name: &str, content: &[u8]| fs::write(site.join(name), content).unwrap();
    fs::create_dir_all(site.join("docs")).unwrap();
    fs::create_dir_all(site.join("with index")).unwrap();
    write("hello.txt", b"hello, world\n");
    write("page.html", b"<p>page</p>");
    write("empty.bin", b"");
    write("with index/index.html", b"the index");
    write("docs/a <b> & 'c'.txt", b"odd");
    write("docs/50% & more.txt", b"percent");
    let big: Vec<u8> = (0..BIG_BYTES).map(|at| (at % 251) as u8).collect();
    write("big.bin", &big);
    fs::write(directory.path().join("secret"), "secret").unwrap();
    symlink("../secret", site.join("link out")).unwrap();
    symlink(
        directory.path().join("secret"),
        site.join("absolute link out"),
    )
    .unwrap();
    symlink("../../secret", site.join("docs/link out")).unwrap();
    symlink("..", site.join("up")).unwrap();
    symlink("hello.txt", site.join("link in")).unwrap();
    directory
}

#[test]
fn serves_files_with_their_types() {
    let server = Server::start(&[]);
    let hello = server.get("/hello.txt").expect(200);
    assert_eq!(hello.text(), "hello, world\n");
    assert_eq!(hello.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(
        server.get("/page.html").header("content-type"),
        "text/html; charset=utf-8"
    );
    assert_eq!(server.get("/empty.bin").expect(200).body, b"");
    let big = server.get("/big.bin?query#fragment").expect(200);
    assert_eq!(big.header("content-type"), "application/octet-stream");
    assert!(big.body == fs::read(server.file("big.bin")).unwrap());
    assert_eq!(
        server.get("/link%20in").expect(200).text(),
        "hello, world\n"
    );
    assert_eq!(
        server
            .get("/docs/50%25%20%26%20more.txt")
            .expect(200)
            .text(),
        "percent"
    );
    assert_eq!(
        server.get("http://any.host/hello.txt").expect(200).text(),
        "hello, world\n"
    );
}

#[test]
fn directories_show_their_index_or_an_escaped_listing() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/with%20index/").expect(200).text(), "the index");
    let moved = server.get("/with%20index").expect(301);
    assert_eq!(moved.header("location"), "/with%20index/");
    // Two slashes at the start of a Location would name a host.
    assert_eq!(
        server.get("//docs").expect(301).header("location"),
        "/docs/"
    );
    let listing = server.get("/docs/").expect(200);
    assert_eq!(listing.header("content-type"), "text/html; charset=utf-8");
    let listing = listing.text();
    assert!(
        listing.contains("a &lt;b&gt; &amp; &#39;c&#39;.txt"),
        "{listing}"
    );
    assert!(
        listing.contains("href=\"a%20%3Cb%3E%20%26%20%27c%27.txt\""),
        "{listing}"
    );
    assert!(!listing.contains("link out"), "{listing}");
    server.get("/hello.txt/").expect(404);
    assert!(
        server
            .get("/")
            .expect(200)
            .text()
            .contains("href=\"with%20index/\"")
    );
}

#[test]
fn head_sends_the_header_alone() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client
        .send("HEAD /hello.txt HTTP/1.1\r\nHost: t\r\n\r\nHEAD /none HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.head().expect(200).header("content-length"), "13");
    client.head().expect(404);
    client.send("GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer().expect(200).text(), "hello, world\n");
}

#[test]
fn single_ranges() {
    let server = Server::start(&[]);
    for (range, content_range, body) in [
        ("bytes=0-4", "bytes 0-4/13", "hello"),
        ("bytes=7-", "bytes 7-12/13", "world\n"),
        ("bytes=-6", "bytes 7-12/13", "world\n"),
        ("bytes=7-99999999999999999999", "bytes 7-12/13", "world\n"),
        ("bytes=-99", "bytes 0-12/13", "hello, world\n"),
        ("BYTES=12-12", "bytes 12-12/13", "\n"),
        ("bytes=0-4,90-", "bytes 0-4/13", "hello"),
    ] {
        let answer = server
            .get_with("/hello.txt", &format!("Range: {range}\r\n"))
            .expect(206);
        assert_eq!(
            (answer.header("content-range"), &*answer.text()),
            (content_range, body)
        );
    }
    let big = fs::read(server.file("big.bin")).unwrap();
    let answer = server
        .get_with("/big.bin", "Range: bytes=1000001-2500000\r\n")
        .expect(206);
    assert!(answer.body == big[1_000_001..=2_500_000]);
}

#[test]
fn several_ranges_come_as_parts() {
    let server = Server::start(&[]);
    let answer = server
        .get_with("/hello.txt", "Range: bytes=0-4, -6\r\n")
        .expect(206);
    let kind = answer.header("content-type");
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let part = |range: &str, body: &str| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Range: bytes {range}/13\r\n\r\n{body}"
        )
    };
    let parts =
        part("0-4", "hello") + &part("7-12", "world\n") + &format!("\r\n--{boundary}--\r\n");
    assert_eq!(answer.text(), parts);
}

#[test]
fn ranges_that_cannot_be_served() {
    let server = Server::start(&[]);
    for (target, range) in [
        ("/hello.txt", "bytes=13-"),
        ("/hello.txt", "bytes=-0"),
        ("/empty.bin", "bytes=0-"),
    ] {
        let answer = server
            .get_with(target, &format!("Range: {range}\r\n"))
            .expect(416);
        assert!(answer.header("content-range").starts_with("bytes */"));
    }
    let many = format!("bytes={}", ["0-0"; 40].join(","));
    // What is not understood, or asks for too much, is ignored.
    for range in [
        "bytes=4-2",
        "bytes=",
        "bytes=x-y",
        "lines=0-4",
        "bytes 0-4",
        "bytes=0-,0-",
        &many,
    ] {
        let answer = server
            .get_with("/hello.txt", &format!("Range: {range}\r\n"))
            .expect(200);
        assert_eq!(answer.text(), "hello, world\n");
    }
}

#[test]
fn validators_save_the_body() {
    let server = Server::start(&[]);
    let first = server.get("/hello.txt").expect(200);
    let (etag, date) = (first.header("etag"), first.header("last-modified"));
    for fresh in [
        format!("If-None-Match: {etag}\r\n"),
        format!("If-None-Match: \"other\", W/{etag}\r\n"),
        "If-None-Match: *\r\n".to_owned(),
        format!("If-Modified-Since: {date}\r\n"),
    ] {
        let answer = server.get_with("/hello.txt", &fresh).expect(304);
        assert_eq!((answer.header("etag"), answer.body.len()), (etag, 0));
    }
    for stale in [
        "If-None-Match: \"other\"\r\n".to_owned(),
        format!("If-None-Match: \"other\"\r\nIf-Modified-Since: {date}\r\n"),
        "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n".to_owned(),
        "If-Modified-Since: yesterday\r\n".to_owned(),
    ] {
        server.get_with("/hello.txt", &stale).expect(200);
    }
    for (validator, status) in [(etag, 206), (date, 206), ("\"other\"", 200)] {
        let headers = format!("Range: bytes=0-4\r\nIf-Range: {validator}\r\n");
        server.get_with("/hello.txt", &headers).expect(status);
    }
    fs::write(server.file("hello.txt"), "changed").unwrap();
    server
        .get_with("/hello.txt", &format!("If-None-Match: {etag}\r\n"))
        .expect(200);
}

#[test]
fn no_path_leads_out_of_the_directory() {
    let server = Server::start(&[]);
    for target in [
        "/../secret",
        "/docs/../../secret",
        "/%2e%2e/secret",
        "/.%2E/secret",
        "/..%2fsecret",
        "/docs%2f..%2f..%2fsecret",
        "/./hello.txt",
        "/hello.txt%00.html",
        "/%zz",
        "/%",
        "/%4",
        "secret",
        "../secret",
        "*",
    ] {
        server.get(target).expect(400);
    }
    for target in [
        "/link%20out",
        "/absolute%20link%20out",
        "/docs/link%20out",
        "/up/secret",
        "/up/",
    ] {
        let answer = server.get(target).expect(403);
        assert!(!answer.text().contains("secret"));
    }
    server.get("/%2e%2e%5csecret").expect(404);
    server.get(&format!("/{}", "n".repeat(300))).expect(404);
    server.get("/hello.txt/below").expect(404);
    server.get("/nothing").expect(404);
}

#[test]
fn special_files_are_refused_without_waiting() {
    let server = Server::start(&[]);
    assert!(
        Command::new("mkfifo")
            .arg(server.file("pipe"))
            .status()
            .unwrap()
            .success()
    );
    server.get("/pipe").expect(403);
}

#[test]
fn malformed_requests() {
    let server = Server::start(&[]);
    for (request, status) in [
        ("GET\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\n\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: t\r\nbad header\r\n\r\n", 400),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n",
            501,
        ),
        ("GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 65537\r\n\r\n",
            413,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            413,
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
            413,
        ),
        (
            "PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
            405,
        ),
    ] {
        let mut client = server.connect();
        client.send(request);
        let answer = client.answer().expect(status);
        assert_eq!(answer.header("connection"), "close", "{request:?}");
        client.reader.get_ref().shutdown(Shutdown::Write).unwrap();
        assert!(client.is_at_end(), "{request:?}");
    }
}

#[test]
fn heads_that_are_too_long() {
    let server = Server::start(&[]);
    let long = "x".repeat(9000);
    server.get(&format!("/{long}")).expect(414);
    let header = format!("A: {}\r\n", "x".repeat(1000));
    server
        .get_with("/hello.txt", &header.repeat(20))
        .expect(431);
    server
        .get_with("/hello.txt", &"A: b\r\n".repeat(200))
        .expect(431);
    // Much more than the limit, all of it sent before the answer is read: the answer arrives.
    let mut client = server.connect();
    client.send(format!(
        "GET /{} HTTP/1.1\r\nHost: t\r\n\r\n",
        "x".repeat(300_000)
    ));
    client.answer().expect(414);
}

#[test]
fn other_methods_are_refused_and_the_connection_lives() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        client.send(format!(
            "{method} /hello.txt HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody"
        ));
        let answer = client.answer().expect(405);
        assert_eq!(answer.header("allow"), "GET, HEAD");
    }
    client.send("GET /hello.txt HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\n2;extension\r\nde\r\n0\r\nTrailer: x\r\n\r\nGET /empty.bin HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer().expect(200).text(), "hello, world\n");
    assert_eq!(client.answer().expect(200).text(), "");
}

#[test]
fn connections_are_kept_as_the_version_and_the_client_say() {
    let server = Server::start(&[]);
    for (head, kept) in [
        ("GET /hello.txt HTTP/1.1\r\nHost: t\r\n", true),
        (
            "GET /hello.txt HTTP/1.1\r\nHost: t\r\nConnection: foo, Close\r\n",
            false,
        ),
        ("GET /hello.txt HTTP/1.0\r\n", false),
        (
            "GET /hello.txt HTTP/1.0\r\nConnection: Keep-Alive\r\n",
            true,
        ),
    ] {
        let mut client = server.connect();
        client.send(format!("{head}\r\n"));
        let answer = client.answer().expect(200);
        assert_eq!(
            answer.header("connection"),
            if kept { "keep-alive" } else { "close" }
        );
        if kept {
            client.send(format!("{head}\r\n"));
            client.answer().expect(200);
        } else {
            assert!(client.is_at_end());
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut requests = String::new();
    for round in 0..200 {
        let target = ["/hello.txt", "/page.html", "/nothing"][round % 3];
        requests += &format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n");
    }
    client.send(&requests);
    for round in 0..200 {
        let answer = client.answer();
        let expected = [
            (200, "hello, world\n"),
            (200, "<p>page</p>"),
            (404, "404 Not Found\n"),
        ];
        assert_eq!((answer.status, &*answer.text()), expected[round % 3]);
    }
    // A request cut into single bytes is the same request.
    for byte in b"\r\nGET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.answer().expect(200).text(), "hello, world\n");
}

#[test]
fn a_request_that_drips_in_is_cut_at_its_limit() {
    let server = Server::start(&["--request-limit", "0.6"]);
    for start in [
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n",
    ] {
        let mut client = server.connect();
        let begun = Instant::now();
        client.send(start);
        // Bytes that keep coming do not move the limit.
        let mut writer = client.reader.get_ref().try_clone().unwrap();
        let drip = std::thread::spawn(move || {
            while writer.write_all(b"x").is_ok() && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        client.answer().expect(408);
        // Later than that, the dripping ends by itself.
        let took = begun.elapsed();
        assert!(
            (Duration::from_millis(600)..PATIENCE).contains(&took),
            "{took:?}"
        );
        drop(client);
        drip.join().unwrap();
    }
}

#[test]
fn an_idle_connection_is_closed_at_its_limit() {
    let server = Server::start(&["--idle-limit", "0.3"]);
    let mut client = server.connect();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n");
    client.answer().expect(200);
    assert!(client.is_at_end());
    assert!(server.connect().is_at_end());
}

#[test]
fn a_peer_that_does_not_read_is_cut_off() {
    let server = Server::start(&["--request-limit", "0.3", "--connections", "1"]);
    let mut deaf = server.connect();
    for _ in 0..20 {
        deaf.send("GET /big.bin HTTP/1.1\r\nHost: t\r\n\r\n");
    }
    // There is room for one connection: this one is served when the other has been given up.
    server.get("/hello.txt").expect(200);
}

#[test]
fn more_connections_than_there_is_room_for_wait_their_turn() {
    let server = Server::start(&["--connections", "2"]);
    let mut held: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    for client in &mut held {
        client.send("GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n");
        client.answer().expect(200);
    }
    let mut third = server.connect();
    third.send("GET /page.html HTTP/1.1\r\nHost: t\r\n\r\n");
    third
        .reader
        .get_ref()
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(third.reader.fill_buf().is_err(), "served beyond the limit");
    drop(held.pop());
    third
        .reader
        .get_ref()
        .set_read_timeout(Some(PATIENCE))
        .unwrap();
    third.answer().expect(200);
}

#[test]
fn stopping_ends_idle_connections_and_answers_the_others() {
    for signal in ["-INT", "-TERM"] {
        let mut server = Server::start(&[]);
        let mut idle = server.connect();
        idle.send("GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n");
        idle.answer().expect(200);
        let mut busy = server.connect();
        busy.send("GET /big.bin HTTP/1.1\r\nHost: t\r\n\r\n");
        assert_eq!(busy.head().expect(200).header("connection"), "keep-alive");
        server.signal(signal);
        assert!(idle.is_at_end());
        let mut body = vec![0; BIG_BYTES];
        busy.reader.read_exact(&mut body).unwrap();
        assert!(body == fs::read(server.file("big.bin")).unwrap());
        drop(busy);
        assert_eq!(server.exit_code(), 0);
        assert!(TcpStream::connect(&server.address).is_err());
    }
}

#[test]
fn stopping_lets_a_request_come_in_to_its_end() {
    // No sign comes back that the server has seen half a request, so it gets some time to see it;
    // more time, should the machine be so busy that it was not enough.
    for head_start_ms in [50, 500, 5000] {
        let mut server = Server::start(&[]);
        let mut asking = server.connect();
        asking.send("GET /hello.txt HT");
        std::thread::sleep(Duration::from_millis(head_start_ms));
        server.signal("-TERM");
        while TcpStream::connect(&server.address).is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
        // A server that had not seen it in time has closed: then the rest may be refused.
        let rest = b"TP/1.1\r\nHost: t\r\n\r\n";
        let sent = asking.reader.get_mut().write_all(rest);
        if sent.is_ok() && matches!(asking.reader.fill_buf(), Ok(answer) if !answer.is_empty()) {
            assert_eq!(asking.answer().expect(200).header("connection"), "close");
            drop(asking);
            assert_eq!(server.exit_code(), 0);
            return;
        }
    }
    panic!("a request that was half in was never answered");
}

#[test]
fn stopping_does_not_wait_for_ever() {
    let mut server = Server::start(&["--stop-limit", "0.3"]);
    let mut client = server.connect();
    client.send("GET /hello.txt HT");
    server.get("/hello.txt").expect(200);
    server.signal("-TERM");
    assert_eq!(server.exit_code(), 0);
}

#[test]
fn wrong_arguments_are_named() {
    for (arguments, word) in [
        (&["--bogus"][..], "--bogus"),
        (&["--listen"], "--listen needs a value"),
        (&["--request-limit", "0"], "above 0"),
        (&["--connections", "many"], "number"),
        (&["--listen", "not an address"], "not an address"),
        (&["/no/such/directory"], "/no/such/directory"),
    ] {
        let output = Command::new(program()).args(arguments).output().unwrap();
        assert!(!output.status.success());
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(word), "{message}");
    }
    let help = Command::new(program()).arg("--help").output().unwrap();
    assert!(help.status.success() && help.stdout.starts_with(b"Serves a directory"));
}
