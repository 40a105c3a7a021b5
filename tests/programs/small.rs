//! The example programs, run as a newcomer would run them. The server `httpd` has a file of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use test_support::example_program::build;
use test_support::running::{Running, Signal, signal};

/// Longer than any of them takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a program to its end, with its output caught.
pub fn run(command: &mut Command) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            let _ = signal(id, Signal::KILL);
            panic!("{command:?} does not end");
        }
    }
}

pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn echo_server_echoes_to_many_at_once() {
    let mut server = Command::new(build("echo_server"))
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("echoing on ").unwrap();
    let mut clients: Vec<TcpStream> = (0..200)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
            .write_all(&vec![number as u8; 1000 + number])
            .unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate().rev() {
        let mut echo = Vec::new();
        client.read_to_end(&mut echo).unwrap();
        assert_eq!(echo, vec![number as u8; 1000 + number]);
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Descriptors that the program may have open: fewer than its clients, and more than its hub takes.
const DESCRIPTORS: usize = 40;

#[test]
fn echo_server_goes_on_when_its_descriptors_have_run_out() {
    let mut limited = Command::new("sh");
    let program = build("echo_server");
    limited
        .args([
            "-c",
            &format!("ulimit -n {DESCRIPTORS}; exec \"$0\" 127.0.0.1:0"),
        ])
        .arg(program)
        .env("GREEN_HUBS", "1")
        .stderr(Stdio::piped());
    let mut server = Running::start(&mut limited);
    let address = server.line("echoing on ");
    let mut clients: Vec<TcpStream> = (0..2 * DESCRIPTORS)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    let mut complaint = String::new();
    let mut complaints = BufReader::new(server.process.stderr.take().unwrap());
    complaints.read_line(&mut complaint).unwrap();
    assert!(
        complaint.contains("cannot accept: Too many open files"),
        "{complaint}"
    );

    // As the first ones leave, those who have waited get their turn.
    clients.drain(..DESCRIPTORS + DESCRIPTORS / 2);
    for client in &mut clients {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"still there?").unwrap();
        client.read_exact(&mut [0; 12]).unwrap();
    }
}

#[test]
fn udp_multicast_ends_by_itself() {
    let output = run(&mut Command::new(build("udp_multicast")));
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("receiver 0 heard 5 of 5") && text.contains("receiver 1 heard 8 of 8"),
        "{text}"
    );
}

#[test]
fn tour_loses_nothing() {
    let begun = Instant::now();
    let mut tour = Command::new(build("tour"));
    tour.args(["--connections", "300"]);
    if !std::env::var("GREEN_TRIALS").is_ok_and(|trials| trials == "full") {
        tour.args(["--sleepers", "10000"]);
    }
    let output = run(&mut tour);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("nothing was lost") && !text.contains("LOST"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "escapes in plain output: {text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "too wide: {line}");
    }
    assert!(begun.elapsed() < PATIENCE);
}

/// Starts the program `serve`; gives it, its output and its address.
fn serve(
    grace: &str,
) -> (
    std::process::Child,
    BufReader<std::process::ChildStdout>,
    String,
) {
    let mut server = Command::new(build("serve"))
        .args(["127.0.0.1:0", "--grace", grace])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("serving on ").unwrap().to_owned();
    (server, lines, address)
}

/// A client of `serve` whom it has answered once, so that a handler has it.
fn client_of(address: &str) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (&stream).write_all(b"hello\n").unwrap();
    let mut client = BufReader::new(stream);
    let mut answer = String::new();
    client.read_line(&mut answer).unwrap();
    assert_eq!(answer, "HELLO\n");
    client
}

fn terminate(server: &std::process::Child) {
    signal(server.id(), Signal::TERM).unwrap();
}

#[test]
fn serve_answers_what_is_under_way_at_sigterm_and_refuses_what_comes_after() {
    let (mut server, mut lines, address) = serve("3600");
    let mut client = client_of(&address);
    client.get_ref().write_all(b"wait 0.5\n").unwrap();
    // Should the machine be so slow that the answer is out before the signal, this ends it.
    client.get_ref().shutdown(Shutdown::Write).unwrap();
    terminate(&server);
    while TcpStream::connect(&address).is_ok() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "WAIT 0.5\n");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with(" 0 cut off\n"), "{rest}");
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_second_sigterm_ends_serve_at_once() {
    let (mut server, _lines, address) = serve("3600");
    let client = client_of(&address);
    client.get_ref().write_all(b"wait 3600\n").unwrap();
    terminate(&server);
    while TcpStream::connect(&address).is_ok() {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(server.try_wait().unwrap().is_none());
    terminate(&server);
    let ended = server.wait().unwrap();
    assert_eq!(ended.signal(), Some(15), "{ended}");
}

#[test]
fn serve_cuts_whoever_takes_longer_than_the_grace() {
    let (mut server, mut lines, address) = serve("0.1");
    let mut client = client_of(&address);
    terminate(&server);
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "stopped; 1 connection, 1 cut off\n");
    assert!(server.wait().unwrap().success());
    // With a reset, had there been something unread.
    assert_eq!(client.read_to_string(&mut String::new()).unwrap(), 0);
}

/// A guest of the chat.
struct Guest {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Guest {
    fn new(address: &str, name: &str) -> Guest {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        let mut guest = Guest { stream, lines };
        assert_eq!(guest.hear(), "What is your name?\n");
        guest.say(name);
        guest
    }

    fn say(&mut self, words: &str) {
        self.stream
            .write_all(format!("{words}\n").as_bytes())
            .unwrap();
    }

    /// The next line, or nothing at the end.
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }
}

/// Starts a program that says on its first line where it listens.
fn start(command: &mut Command) -> (Child, BufReader<ChildStdout>, String) {
    let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let address = line.split_whitespace().last().unwrap().to_owned();
    (server, lines, address)
}

#[test]
fn chat_waits_for_no_slow_guest_and_says_good_bye() {
    let (mut server, mut log, address) =
        start(Command::new(build("chat")).args(["--guests", "4", "127.0.0.1:0"]));
    let mut ann = Guest::new(&address, "ann");
    assert_eq!(ann.hear(), "* welcome, ann: nobody else is there\n");
    let mut bob = Guest::new(&address, "bob");
    assert_eq!(bob.hear(), "* welcome, bob: there are ann\n");
    assert_eq!(ann.hear(), "* bob has come\n");
    let slow = Guest::new(&address, "slow");
    assert_eq!(ann.hear(), "* slow has come\n");
    assert_eq!(bob.hear(), "* slow has come\n");
    let mut taken = Guest::new(&address, "ann");
    assert!(taken.hear().starts_with("That name is taken"));
    let mut turned_away = BufReader::new(TcpStream::connect(&address).unwrap());
    let mut all = String::new();
    turned_away.read_to_string(&mut all).unwrap();
    assert_eq!(all, "The room is full.\n");
    // More than fits into the buffers between the chat and a guest that does not read; so many at a
    // time that one who reads is not too slow.
    let words = vec!["x".repeat(900); 100].join("\n");
    let (mut batches, mut slow_is_there) = (0, true);
    while slow_is_there && batches < 1000 {
        ann.say(&words);
        let mut heard = 0;
        while heard < 100 {
            match bob.hear() {
                left if left == "* slow has left\n" => slow_is_there = false,
                line if line.starts_with("ann: x") => heard += 1,
                line => panic!("{line}"),
            }
        }
        batches += 1;
    }
    assert!(!slow_is_there && batches > 2, "{batches} batches");
    drop(slow);
    assert_eq!(ann.hear(), "* slow has left\n");
    bob.say("/quit");
    assert_eq!((bob.hear().as_str(), bob.hear().as_str()), ("", ""));
    assert_eq!(ann.hear(), "* bob has left\n");
    signal(server.id(), Signal::TERM).unwrap();
    assert_eq!(ann.hear(), "* the chat ends here, good-bye\n");
    assert_eq!((ann.hear().as_str(), taken.hear().as_str()), ("", ""));
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(
        rest.ends_with("good-bye\nann has left, 0 there\nall have gone\n"),
        "{rest}"
    );
    assert!(server.wait().unwrap().success());
}

#[test]
fn crawler_fetches_every_page_of_its_own_site() {
    let output = run(Command::new(build("crawler")).args(["--pages", "3000"]));
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("\n3000 pages, ") && text.contains(", 0 failed, "),
        "{text}"
    );
}

#[test]
fn crawler_follows_the_links_of_httpd() {
    let site = tempfile::tempdir().unwrap();
    for directory in 0..10 {
        let path = site.path().join(format!("part {directory}"));
        std::fs::create_dir(&path).unwrap();
        for page in 0..30 {
            std::fs::write(path.join(format!("{page}.txt")), vec![b'.'; page * 1000]).unwrap();
        }
    }
    let link = "<a href='part%200/1.txt'>back</a> <a href=/gone>gone</a>";
    std::fs::write(site.path().join("part 9/last.html"), link).unwrap();
    let mut httpd = Command::new(build("httpd"));
    let (mut server, _log, address) = start(
        httpd
            .args(["--listen", "127.0.0.1:0"])
            .arg(site.path())
            .stderr(Stdio::null()),
    );
    let crawler = build("crawler");
    let output = run(Command::new(&crawler).arg(&address));
    let all = text(&output);
    // The root, ten directories, what is in them, and two links that lead nowhere.
    assert_eq!(output.status.code(), Some(1), "{all}");
    assert!(
        all.contains("\n312 pages, ") && all.contains(", 2 failed, "),
        "{all}"
    );
    let output = run(Command::new(&crawler).args(["--pages", "100", &address]));
    let some = text(&output);
    assert!(
        output.status.success() && some.contains("\n100 pages, "),
        "{some}"
    );
    server.kill().unwrap();
    server.wait().unwrap();
    let output = run(Command::new(&crawler).arg(&address));
    assert_eq!(output.status.code(), Some(1));
}
