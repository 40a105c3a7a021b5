//! The example programs, run as a newcomer would run them. The server `httpd` has a file of its own.

mod example_program;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use example_program::build;

/// Longer than any of them takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a program to its end, with its output caught.
fn run(command: &mut Command) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
            panic!("{command:?} does not end");
        }
    }
}

fn text(output: &Output) -> String {
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
    let output = run(Command::new(build("tour")).args(["--connections", "300"]));
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("nothing was lost") && !text.contains("LOST"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "escapes in plain output: {text}");
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn tour_explains_its_arguments() {
    let tour = build("tour");
    let output = run(Command::new(&tour).arg("--help"));
    assert!(output.status.success() && output.stdout.starts_with(b"Usage: tour"));
    for wrong in [
        &["--connections", "none"][..],
        &["--connections"],
        &["--bogus", "1"],
    ] {
        let output = run(Command::new(&tour).args(wrong));
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stderr.starts_with(b"Usage: tour"));
    }
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

fn terminate(server: &std::process::Child, lines: &mut impl BufRead) {
    let pid = server.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "stopping\n");
}

#[test]
fn serve_answers_what_is_under_way_at_sigterm_and_refuses_what_comes_after() {
    let (mut server, mut lines, address) = serve("3600");
    let mut client = client_of(&address);
    client.get_ref().write_all(b"wait 0.5\n").unwrap();
    terminate(&server, &mut lines);
    // The word is out before the listener is closed.
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
fn serve_cuts_whoever_takes_longer_than_the_grace() {
    let (mut server, mut lines, address) = serve("0.1");
    let mut client = client_of(&address);
    terminate(&server, &mut lines);
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "stopped; 1 connections, 1 cut off\n");
    assert!(server.wait().unwrap().success());
    // With a reset, had there been something unread.
    assert_eq!(client.read_to_string(&mut String::new()).unwrap(), 0);
}
