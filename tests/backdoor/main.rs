//! The backdoor's console: sessions on every kind of socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use green::backdoor::Server;
use green::net::TcpListener;
use green::thread::{Builder, JoinHandle};

mod commands;
mod listeners;
mod misbehaviour;

const LIMIT: Duration = Duration::from_secs(120);
const PROMPT: &[u8] = b"green> ";

/// A client's end.
struct Client<S>(S);

fn tcp(server: &Server) -> Client<TcpStream> {
    let stream = TcpStream::connect(server.address().unwrap()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    Client(stream)
}

fn unix(path: &Path) -> Client<UnixStream> {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    Client(stream)
}

impl<S: Read + Write> Client<S> {
    /// What comes up to and without the next prompt.
    fn answer(&mut self) -> String {
        let mut text = Vec::new();
        while !text.ends_with(PROMPT) {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
        text.truncate(text.len() - PROMPT.len());
        String::from_utf8(text).unwrap()
    }

    fn ask(&mut self, command: &str) -> String {
        self.0.write_all(format!("{command}\n").as_bytes()).unwrap();
        self.answer()
    }

    /// What comes up to the end of the session.
    fn rest(mut self) -> String {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        text
    }
}

/// A session that shows that the server is well.
fn works<S: Read + Write>(mut client: Client<S>) {
    assert!(client.answer().contains("'help' lists the commands"));
    assert!(client.ask("help").contains("kill ID"));
    assert!(client.ask("hubs").starts_with("hub 0: "));
    client.0.write_all(b"quit\n").unwrap();
    assert_eq!(client.rest(), "bye\n");
}

fn named<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().name(name.to_owned()).spawn(f).unwrap()
}

fn end<T>(thread: JoinHandle<T>) {
    thread.kill().unwrap();
    let _ = thread.join();
}

fn id<T>(thread: &JoinHandle<T>) -> u64 {
    thread.thread().id().as_u64().get()
}

/// Connects once there is room for another session.
fn patiently(server: &Server) -> Client<TcpStream> {
    loop {
        let mut client = tcp(server);
        let mut first = [0; 5];
        // Cut with a reset, perhaps, while it was refused.
        if client.0.peek(&mut first).is_ok() && first == *b"green" {
            return client;
        }
        let _ = client.0.read(&mut first);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_session_works_on_tcp4_tcp6_and_unix() {
    test_support::bounded("a session works on tcp4", LIMIT, || {
        green::run(|| ());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backdoor");
        works(tcp(&Server::new().tcp("127.0.0.1:0").unwrap()));
        let server = Server::new().unix(&path).unwrap();
        works(unix(&path));
        drop(server);
        match TcpListener::bind("[::1]:0") {
            Ok(listener) => works(tcp(&Server::new().listener(listener).unwrap())),
            Err(error) => eprintln!("no IPv6 here: {error}"),
        }
        // One server, several listeners and sessions.
        let server = Server::new()
            .tcp("localhost:0")
            .unwrap()
            .unix(&path)
            .unwrap();
        assert_eq!(server.paths().collect::<Vec<_>>(), [&path]);
        let mut several: Vec<_> = (0..5).map(|_| (tcp(&server), unix(&path))).collect();
        for (tcp, unix) in &mut several {
            tcp.answer();
            assert!(tcp.ask("stats").contains("green threads"));
            unix.answer();
            assert!(
                unix.ask("tree")
                    .lines()
                    .all(|line| line.contains(" on hub "))
            );
        }
        for (mut tcp, _) in several {
            assert!(!tcp.ask("hubs").is_empty());
        }
    });
}

#[test]
fn the_seventeenth_session_is_told_and_room_comes_back() {
    test_support::bounded("seventeen", LIMIT, || {
        green::run(|| ());
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut sessions: Vec<_> = (0..16).map(|_| tcp(&server)).collect();
        sessions.iter_mut().for_each(|client| drop(client.answer()));
        assert_eq!(tcp(&server).rest(), "too many sessions\n");
        assert!(sessions[15].ask("hubs").starts_with("hub 0"));
        sessions.clear();
        works(patiently(&server));
    });
}

#[test]
fn a_last_line_without_an_end_is_answered() {
    test_support::bounded("last line", LIMIT, || {
        green::run(|| ());
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        client.0.write_all(b"help\r\nhubs").unwrap();
        client.0.shutdown(std::net::Shutdown::Write).unwrap();
        let text = client.rest();
        assert!(
            text.contains("kill ID") && text.contains("hub 0: "),
            "{text}"
        );
    });
}
