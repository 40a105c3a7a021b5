//! The example `httpd`, driven over loopback with raw bytes.

mod files;
mod limits;
mod requests;
mod rfc;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use test_support::running::{Signal, signal};

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

    fn signal(&self, which: Signal) {
        signal(self.child.id(), which).unwrap();
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
            .or_else(|| line.strip_prefix("HTTP/1.0 "))
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

fn program() -> PathBuf {
    test_support::example_program::build("httpd")
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
