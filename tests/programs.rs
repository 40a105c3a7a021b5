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
