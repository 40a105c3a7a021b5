//! One guest's visit: asks for the name, passes on what it says, and sends what the others say.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use green::net::TcpStream;
use green::thread;

use crate::room::{Outbox, Parcel, Room};

const LINE_MOST: u64 = 1000;
const NAME_MOST: usize = 30;
/// How long a guest may take to give its name, or to take a line.
const PATIENCE: Duration = Duration::from_secs(60);

/// From the guest's coming to its going. Whatever ends it, nothing of it stays in the room.
pub fn visit(stream: &Arc<TcpStream>, room: &Room) {
    let outbox = Outbox::new(stream);
    let Some(_visit) = room.arrive(&outbox) else {
        return;
    };
    let sending = thread::spawn({
        let (stream, outbox) = (stream.clone(), outbox.clone());
        move || send_all(&stream, &outbox)
    });
    let mut lines = BufReader::new(&**stream);
    let introduced = green::timeout(PATIENCE, || introduce(&mut lines, room, &outbox));
    if let Ok(Ok(Some(name))) = introduced {
        // An error is the end of the visit too: a guest may pull the plug.
        while let Ok(Some(words)) = line(&mut lines) {
            match words.trim() {
                "" => (),
                "/quit" => break,
                words => room.say(&name, words),
            }
        }
        room.leave(&name);
    }
    outbox.send(Parcel::Farewell);
    let _ = sending.join();
}

/// The guest's name, once it has given one that is free; `None` if it leaves.
fn introduce(
    lines: &mut BufReader<&TcpStream>,
    room: &Room,
    outbox: &Outbox,
) -> io::Result<Option<String>> {
    outbox.send(Parcel::Line("What is your name?\n".into()));
    while let Some(name) = line(lines)? {
        let name = name.trim();
        let fits = !name.is_empty() && name.chars().count() <= NAME_MOST;
        if fits && !name.chars().any(char::is_control) && room.enter(name, outbox) {
            return Ok(Some(name.to_owned()));
        }
        let again = "That name is taken, or is none. Another?\n";
        outbox.send(Parcel::Line(again.into()));
    }
    Ok(None)
}

/// The next line; `None` at the end, or if it is longer than anybody would read.
fn line(lines: &mut BufReader<&TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    lines.take(LINE_MOST).read_until(b'\n', &mut line)?;
    let whole = line.ends_with(b"\n");
    Ok(whole.then(|| String::from_utf8_lossy(&line).into_owned()))
}

/// Sends what is in the outbox until the last of it, and hangs up.
fn send_all(mut stream: &TcpStream, outbox: &Outbox) {
    let mut send = |line: Arc<str>| {
        let sent = green::timeout(PATIENCE, || stream.write_all(line.as_bytes()));
        matches!(sent, Ok(Ok(())))
    };
    while outbox.next().is_some_and(&mut send) {}
    outbox.cut();
}
