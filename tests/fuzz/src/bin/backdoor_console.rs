//! The backdoor's console: any lines, in pieces. Each gets its answer and a prompt, or ends the session.
#![no_main]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::LazyLock;

use green::backdoor::Server;
use libfuzzer_sys::{Corpus, fuzz_target};

/// Bytes of a line, its end not counted.
const LONGEST: usize = 1024;
const PROMPT: &str = "green> ";

static DOOR: LazyLock<(Server, PathBuf)> = LazyLock::new(|| {
    // Somebody to list, who waits in a way of each kind.
    green::thread::spawn(|| green::thread::sleep(std::time::Duration::MAX));
    green::thread::spawn(|| {
        green::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .accept()
    });
    let name = format!("green-fuzz-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let server = Server::new().read_only().unix(&path).unwrap();
    (server, path)
});

/// How many lines are answered, and whether a line ends the session before the input ends.
fn model(sent: &[u8]) -> (usize, bool) {
    let mut answered = 0;
    let mut lines: Vec<&[u8]> = sent.split(|&byte| byte == b'\n').collect();
    // What is behind the last end is a line if it is not empty.
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > LONGEST {
            return (answered, true);
        }
        let text = String::from_utf8_lossy(line);
        if text.contains(" HTTP/") || matches!(text.trim(), "quit" | "exit" | "\u{4}") {
            return (answered, true);
        }
        answered += 1;
    }
    (answered, false)
}

fuzz_target!(|input: (u16, &[u8])| -> Corpus {
    let (piece, sent) = input;
    // `top` takes seconds.
    if sent.len() > 4096 || sent.windows(3).any(|word| word == b"top") {
        return Corpus::Reject;
    }
    let mut client = loop {
        // The place of a session that is over may not be free yet.
        match UnixStream::connect(&DOOR.1) {
            Ok(client) => break client,
            Err(_) => std::thread::yield_now(),
        }
    };
    let mut writer = client.try_clone().unwrap();
    let pieces = sent.to_vec();
    // The answers may be more than fits on the way.
    let sending = std::thread::spawn(move || {
        for piece in pieces.chunks(usize::from(piece).max(1)) {
            if writer.write_all(piece).is_err() {
                break;
            }
        }
        let _ = writer.shutdown(Shutdown::Write);
    });
    let mut said = Vec::new();
    let read = client.read_to_end(&mut said);
    sending.join().unwrap();
    let said = String::from_utf8(said).expect("an answer is text");
    if said == "too many sessions\n" {
        return Corpus::Reject;
    }
    let (answered, is_ended) = model(sent);
    let prompts = said.matches(PROMPT).count();
    // A connection that is ended with something unread is reset, and an answer may be lost.
    if read.is_ok() && !is_ended {
        assert_eq!(prompts, answered + 1, "one for each line");
        assert!(said.ends_with(PROMPT));
    } else if is_ended && read.is_ok() {
        assert!(!said.ends_with(PROMPT), "the session goes on");
    }
    Corpus::Keep
});
