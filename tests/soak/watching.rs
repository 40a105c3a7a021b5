//! The backdoor, and who looks through it all the while: its page, its figures and its console answer as they should.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use green::backdoor::Server;
use tempfile::TempDir;

/// For an answer: the program is busy, and the machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A backdoor that is open.
pub struct Watched {
    server: Server,
    path: PathBuf,
    looks: Arc<AtomicU64>,
    _directory: TempDir,
}

/// Those who look, until they are told to leave.
pub struct Watchers {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Watched {
    pub fn open() -> Watched {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("soak.sock");
        let server = Server::new().count_cpu();
        Watched {
            server: server.http("127.0.0.1:0").unwrap().unix(&path).unwrap(),
            path,
            looks: Arc::default(),
            _directory: directory,
        }
    }

    pub fn url(&self) -> String {
        self.server.url().unwrap()
    }

    /// How many answers were looked at.
    pub fn looks(&self) -> u64 {
        self.looks.load(SeqCst)
    }

    pub fn watch(&self) -> Watchers {
        let over = Arc::new(AtomicBool::new(false));
        let url = self.url();
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let address: SocketAddr = address.parse().unwrap();
        let path = self.path.clone();
        let spawn = |look: Box<dyn Fn(u64) + Send>| {
            let (over, looks) = (over.clone(), self.looks.clone());
            std::thread::spawn(move || {
                for number in 0.. {
                    look(number);
                    looks.fetch_add(1, SeqCst);
                    if over.load(SeqCst) {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
            })
        };
        let threads = vec![
            spawn(Box::new(move |number| page(address, number))),
            spawn(Box::new(move |number| console(&path, number))),
        ];
        Watchers { over, threads }
    }
}

impl Watchers {
    pub fn leave(self) {
        self.over.store(true, SeqCst);
        crate::storms::join_all(self.threads);
    }
}

fn page(address: SocketAddr, number: u64) {
    let target = ["/", "/report.json", "/metrics", "/health"][number as usize % 4];
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    if number % 7 == 6 {
        // It leaves without the answer.
        return;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    match target {
        "/report.json" => {
            let report: serde_json::Value = serde_json::from_str(body).unwrap();
            assert!(report.is_object(), "{body}");
        }
        "/metrics" => {
            let families = test_support::prometheus_text::parse(body);
            assert!(families.len() > 5, "{body}");
        }
        "/health" => assert_eq!(body, "well\n"),
        _ => assert!(body.contains("</html>"), "half a page"),
    }
}

fn console(path: &PathBuf, number: u64) {
    const COMMANDS: [&str; 6] = ["threads", "tree", "hubs", "listeners", "timers", "stats"];
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let command = COMMANDS[number as usize % COMMANDS.len()];
    writeln!(stream, "{command}").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    if number % 7 == 6 {
        return;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer.matches("green> ").count(), 2, "{answer}");
}
