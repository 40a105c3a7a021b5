//! The backdoor's console: sessions on every kind of socket, and clients that do not behave.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use green::backdoor::Server;
use green::net::TcpListener;
use green::thread::{Builder, JoinHandle};
use greenhub::green_thread::{park, sleep};

#[allow(dead_code, reason = "each test program needs some of the helpers")]
#[path = "util/child.rs"]
mod child;
mod prometheus_text;
mod util;

const LIMIT: Duration = Duration::from_secs(50);
const HOUR: Duration = Duration::from_secs(3600);
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

#[test]
fn j5_a_session_works_on_tcp4_tcp6_and_unix() {
    util::bounded("j5 sessions", LIMIT, || {
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
fn j5_clients_that_leave_at_once_harm_nobody() {
    util::bounded("j5 leave", LIMIT, || {
        green::run(|| ());
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        for round in 0..100 {
            // A crowd of them is told that there are too many, which is no harm.
            let client = tcp(&server);
            let socket = socket2::SockRef::from(&client.0);
            match round % 4 {
                0 => {}
                1 => socket.set_linger(Some(Duration::ZERO)).unwrap(),
                2 => (&client.0).write_all(b"threads\nhub").unwrap(),
                _ => {
                    (&client.0).write_all(b"threads\n").unwrap();
                    socket.set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
        }
        works(patiently(&server));
    });
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
fn j5_garbage_is_answered_with_a_word_of_help() {
    util::bounded("j5 garbage", LIMIT, || {
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        let unknown = "lists the commands\n";
        for garbage in [
            &b"\xff\xfe\x00\x1b[2J\n"[..],
            b"\xff\xfb\x06\r\n",
            b"Threads\n",
            b"kil 1\n",
        ] {
            client.0.write_all(garbage).unwrap();
            let answer = client.answer();
            assert!(answer.ends_with(unknown), "{answer:?}");
            assert!(!answer.trim_end().contains(char::is_control), "{answer:?}");
        }
        for (line, answer) in [
            ("", ""),
            ("   ", ""),
            (
                "kill",
                "the number of a green thread is missing: 'threads' lists them\n",
            ),
            (
                "kill -1",
                "the number of a green thread is missing: 'threads' lists them\n",
            ),
            (
                "kill 99999999999999999999",
                "the number of a green thread is missing: 'threads' lists them\n",
            ),
            (
                "thread 18446744073709551615",
                "there is no green thread 18446744073709551615\n",
            ),
            ("kill 0", "there is no green thread 0\n"),
            ("top 0", "top takes a number of seconds from 1 to 60\n"),
            ("top 61", "top takes a number of seconds from 1 to 60\n"),
            ("tree 7", "tree takes nothing after it\n"),
        ] {
            assert_eq!(client.ask(line), answer, "{line:?}");
        }
        works(tcp(&server));
    });
}

#[test]
fn j5_an_endless_line_ends_its_session_alone() {
    util::bounded("j5 endless", LIMIT, || {
        green::run(|| ());
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut other = tcp(&server);
        other.answer();
        let mut client = tcp(&server);
        client.answer();
        // As long as it goes: the server stops taking it.
        let endless = vec![b'x'; 64 << 10];
        let sent = (0..1_000).try_for_each(|_| client.0.write_all(&endless));
        let error = sent.unwrap_err();
        assert!(
            matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ),
            "{error}"
        );
        // A little too long: it hears why.
        let mut client = tcp(&server);
        client.answer();
        client.0.write_all(&endless[..1025]).unwrap();
        client.0.write_all(b"\n").unwrap();
        assert_eq!(client.rest(), "a line has 1024 bytes at most\n");
        // The longest.
        assert!(other.ask(&"x".repeat(1024)).starts_with("unknown command"));
        assert!(other.ask("hubs").starts_with("hub 0: "));
    });
}

#[test]
fn j5_a_client_that_never_reads_keeps_nobody_from_being_served() {
    util::bounded("j5 never reads", LIMIT, || {
        let crowd: Vec<_> = (0..2_000)
            .map(|n| named(&format!("crowd-{n}"), park))
            .collect();
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let deaf: Vec<_> = (0..8)
            .map(|_| {
                let mut client = tcp(&server);
                client.0.write_all(&b"threads\n".repeat(400)).unwrap();
                client
            })
            .collect();
        let mut client = tcp(&server);
        client.answer();
        assert_eq!(client.ask("threads crowd-").lines().count(), 2_000);
        assert_eq!(client.ask("threads crowd-1999 ").lines().count(), 1);
        works(tcp(&server));
        drop(deaf);
        crowd.into_iter().for_each(end);
    });
}

#[test]
fn the_seventeenth_session_is_told_and_room_comes_back() {
    util::bounded("seventeen", LIMIT, || {
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
fn a_web_page_cannot_use_the_console() {
    util::bounded("web page", LIMIT, || {
        let victim = named("victim", park);
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nkill {}\n",
            id(&victim)
        );
        client.0.write_all(request.as_bytes()).unwrap();
        assert_eq!(client.rest(), "this is not a web server\n");
        assert!(!victim.is_finished());
        let mut client = tcp(&server);
        client.answer();
        let line = client.ask(&format!("thread {}", id(&victim)));
        assert!(line.contains("victim on hub"), "{line}");
        end(victim);
    });
}

#[test]
fn each_command_shows_what_it_names() {
    util::bounded("commands", LIMIT, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&listener);
        let acceptor = named("shop-acceptor", move || drop(listener.accept()));
        let parent = named("shop-parent", || named("shop-child", || sleep(HOUR)).join());
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        let shop = loop {
            let shop = client.ask("threads shop-");
            if shop.matches("waits for").count() == 3 {
                break shop;
            }
        };
        let waits = format!("{} shop-acceptor on hub", id(&acceptor));
        assert!(
            shop.contains(&waits) && shop.contains(&format!("waits for fd {fd} readable since")),
            "{shop}"
        );

        let about = client.ask(&format!("thread {}", id(&parent)));
        assert!(
            about.contains("shop-parent")
                && about.contains("started by an OS thread\nhas started:\n"),
            "{about}"
        );
        let child: u64 = {
            let mut lines = about.lines();
            let line = lines.find(|line| line.contains("shop-child")).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let about = client.ask(&format!("thread {child}"));
        assert!(
            about.contains("started by:\n") && about.contains("shop-parent"),
            "{about}"
        );

        let listeners = client.ask("listeners");
        let line = format!(
            "fd {fd}: read not ready, awaited by {}, write ",
            id(&acceptor)
        );
        assert!(listeners.contains(&line), "{listeners}");
        assert!(
            client
                .ask("timers")
                .contains(&format!(": {child} shop-child, sleep\n"))
        );
        let tree = client.ask("tree");
        assert!(
            tree.contains(&format!("\n  {child:>6} shop-child on hub ")),
            "{tree}"
        );
        let stats = client.ask("stats");
        for name in [
            "hubs",
            "green threads",
            "readable",
            "join",
            "sleep",
            "turns",
            "polls",
            "timers",
            "events",
        ] {
            assert!(stats.contains(name), "no {name} in\n{stats}");
        }

        let killed = client.ask(&format!("kill {child}"));
        assert_eq!(
            killed,
            format!("green thread {child} ends at its wait, or its next one\n")
        );
        let outcome = parent.join().unwrap();
        assert!(outcome.unwrap_err().is::<green::Killed>());
        while client.ask(&format!("thread {child}"))
            != format!("there is no green thread {child}\n")
        {}
        end(acceptor);
    });
}

#[test]
fn top_names_who_uses_the_cpu() {
    util::bounded("top", LIMIT, || {
        static OVER: AtomicBool = AtomicBool::new(false);
        let busy = named("busy-bee", || {
            while !OVER.load(SeqCst) {
                (0..10_000).for_each(|n| assert!(std::hint::black_box(n) >= 0));
                green::thread::yield_now();
            }
        });
        let lazy = named("lazy-bee", park);
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        while !client.ask("threads lazy-bee").contains("waits for park") {}
        let top = client.ask("top");
        assert!(top.starts_with("hub 0: "), "{top}");
        assert!(
            top.contains(" resumes a second, longest turn so far "),
            "{top}"
        );
        let line = top
            .lines()
            .find(|line| line.contains("busy-bee"))
            .unwrap_or_else(|| panic!("{top}"));
        let share: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
        assert!(share > 0.0 && share <= 150.0, "{line}");
        assert!(!top.contains("lazy-bee"), "{top}");
        assert!(
            !green::debug::CpuAccounting::is_on(),
            "counting ends with it"
        );
        OVER.store(true, SeqCst);
        busy.join().unwrap();
        end(lazy);
    });
}

#[test]
fn a_read_only_backdoor_kills_nobody() {
    util::bounded("read only", LIMIT, || {
        let victim = named("victim", park);
        let server = Server::new().read_only().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        assert_eq!(
            client.ask(&format!("kill {}", id(&victim))),
            "this backdoor is for reading only\n"
        );
        assert!(
            client
                .ask(&format!("thread {}", id(&victim)))
                .contains("victim")
        );
        victim.thread().unpark();
        victim.join().unwrap();
    });
}

#[test]
fn metrics_are_what_prometheus_reads() {
    util::bounded("metrics", LIMIT, || {
        let sleepers: Vec<_> = (0..3).map(|_| named("metric", || sleep(HOUR))).collect();
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        let families = prometheus_text::parse(&client.ask("metrics"));
        let hubs = green::hub_count().unwrap();
        assert_eq!(families["green_hubs"].samples[0].value, hubs as f64);
        assert_eq!(families["green_hub_resumes_total"].samples.len(), hubs);
        assert_eq!(families["green_hub_resumes_total"].kind, "counter");
        let sleeping = || {
            let families = prometheus_text::parse(&green::backdoor::metrics());
            let states = &families["green_threads"].samples;
            let sleep = states
                .iter()
                .find(|sample| sample.labels == [("state".to_owned(), "sleep".to_owned())]);
            sleep.map_or(0.0, |sample| sample.value)
        };
        while sleeping() < 3.0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        sleepers.into_iter().for_each(end);
    });
}

#[test]
fn the_console_answers_while_every_hub_is_held_up() {
    let name = "the_console_answers_while_every_hub_is_held_up";
    child::alone(name, &[("GREEN_HUBS", "1")], || {
        static RUNS: AtomicBool = AtomicBool::new(false);
        static OVER: AtomicBool = AtomicBool::new(false);
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let hog = named("hog", || {
            RUNS.store(true, SeqCst);
            while !OVER.load(SeqCst) {
                std::thread::yield_now();
            }
        });
        while !RUNS.load(SeqCst) {
            std::thread::yield_now();
        }
        let behind = named("behind", || ());
        let mut client = tcp(&server);
        client.answer();
        assert!(client.ask("threads hog").contains("hog on hub 0: ready"));
        assert!(
            client
                .ask("threads behind")
                .contains("behind on hub 0: new")
        );
        assert!(client.ask("hubs").contains("1 in the inbox"));
        assert!(client.ask("top").contains("; held up all the while\n"));
        OVER.store(true, SeqCst);
        hog.join().unwrap();
        behind.join().unwrap();
    })
    .well();
}

#[test]
fn dropping_the_server_ends_its_sessions_and_its_listeners() {
    util::bounded("drop", LIMIT, || {
        green::run(|| ());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backdoor");
        // An address whose ports nobody else takes meanwhile.
        let server = Server::new()
            .tcp("127.91.3.7:0")
            .unwrap()
            .unix(&path)
            .unwrap();
        let address = server.address().unwrap();
        let (mut one, mut other) = (tcp(&server), unix(&path));
        one.answer();
        other.answer();
        drop(server);
        assert_eq!(one.rest(), "");
        assert_eq!(other.rest(), "");
        assert!(!path.exists());
        assert_eq!(
            TcpStream::connect(address).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn only_loopback_addresses_are_taken_unless_others_are_allowed() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let error = Server::new().tcp(address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{address}");
        assert!(error.to_string().contains("loopback"), "{error}");
    }
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let error = Server::new().listener(listener).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let server = Server::new().allow_remote().tcp("0.0.0.0:0").unwrap();
    assert!(server.address().unwrap().ip().is_unspecified());
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = Server::new().listener(datagrams).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_unix_socket_is_its_owners_alone_and_replaces_only_what_was_left_behind() {
    use std::os::unix::fs::PermissionsExt;
    util::bounded("unix file", LIMIT, || {
        green::run(|| ());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backdoor");
        let in_use = || Server::new().unix(&path).unwrap_err().kind() == io::ErrorKind::AddrInUse;

        // Left behind: std does not remove the file.
        drop(UnixListener::bind(&path).unwrap());
        let server = loop {
            // Another test may be starting a process, which has a copy of the
            // listener until it runs its program.
            match Server::new().unix(&path) {
                Ok(server) => break server,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse),
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        works(unix(&path));
        // Alive.
        assert!(in_use());
        works(unix(&path));
        drop(server);
        assert!(!path.exists());

        // Alive, but not answering.
        let deaf = UnixListener::bind(&path).unwrap();
        assert!(in_use());
        drop(deaf);
        std::fs::remove_file(&path).unwrap();

        // Something else.
        std::fs::write(&path, "precious").unwrap();
        assert!(in_use());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();

        // Somebody else's by now.
        let server = Server::new().unix(&path).unwrap();
        let elsewhere = directory.path().join("elsewhere");
        let other = UnixListener::bind(&elsewhere).unwrap();
        std::fs::rename(&elsewhere, &path).unwrap();
        drop(server);
        assert!(path.exists());
        drop(other);
    });
}

#[test]
fn a_last_line_without_an_end_is_answered() {
    util::bounded("last line", LIMIT, || {
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
