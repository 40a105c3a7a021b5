//! A chat over lines of text: what one says, all the others read.
//!
//! ```sh
//! cargo run --release -p green-std --example chat -- 127.0.0.1:7027
//! nc 127.0.0.1 7027          # in two other terminals
//! ```
//!
//! Each guest is a task of a `GreenPool`, and has a `Queue` of what is still to be sent to it. Nobody
//! waits for a guest who does not read: when its queue is full, it is shown out. Ctrl-C or SIGTERM
//! says good-bye to all.
#![allow(missing_docs, reason = "a program has no users of its items")]

mod guest;
#[path = "../program/mod.rs"]
mod program;
mod room;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use green::net::{TcpListener, TcpStream};
use green::pool::GreenPool;
use green::signal::Signals;
use green::signal::consts::{SIGINT, SIGTERM};
use green::thread;

use program::{Error, Long, Parser, Program, Short, Value, ValueExt, about, above_zero};
use room::Room;

const PROGRAM: Program = Program {
    name: "chat",
    usage: "\
Usage: chat [--guests N] [ADDRESS]

What one says, all the others read: `nc ADDRESS PORT`, a name, then lines;
/quit leaves.

  --guests N   guests at a time   (1000)
  ADDRESS      where to listen    (127.0.0.1:7027)

Ctrl-C or SIGTERM says good-bye to all and ends it.",
};
/// How long the guests have to read the rest, when the chat ends.
const GOOD_BYE: Duration = Duration::from_secs(5);

struct Options {
    address: Option<String>,
    guests: usize,
}

fn main() -> ExitCode {
    PROGRAM.run(options, |options| run(&options))
}

fn options(mut parser: Parser) -> Result<Option<Options>, Error> {
    let mut options = Options {
        address: None,
        guests: 1000,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("guests") => options.guests = above_zero(parser.value()?)?,
            Long("help") | Short('h') => return Ok(None),
            Value(word) if options.address.is_none() => options.address = Some(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> io::Result<()> {
    let signals = Signals::new([SIGINT, SIGTERM])?;
    let address = options.address.as_deref().unwrap_or("127.0.0.1:7027");
    let listening = format!("cannot listen on {address}");
    let listener = green::listen(address).map_err(about(listening))?;
    note(&format!("chatting on {}", listener.local_addr()?));
    let guests = GreenPool::new(options.guests);
    let room = Arc::new(Room::default());
    let door = thread::spawn({
        let (guests, room) = (guests.clone(), room.clone());
        move || welcome(&listener, &guests, &room)
    });
    signals.wait()?;
    note("good-bye");
    // It waits in accept, and its listener is closed as it ends.
    door.kill()?;
    let _ = door.join();
    room.close();
    if !guests.waitall_timeout(GOOD_BYE) {
        room.cut();
        guests.waitall();
    }
    note("all have gone");
    Ok(())
}

/// Takes guests in until it is killed.
fn welcome(listener: &TcpListener, guests: &GreenPool, room: &Arc<Room>) {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, say: guests who leave give theirs back.
                eprintln!("chat: a guest was not taken in: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        // A line is to be read now, not when there is more to send.
        let _ = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        let (theirs, room) = (stream.clone(), room.clone());
        if guests
            .try_spawn(move || guest::visit(&theirs, &room))
            .is_err()
        {
            turn_away(&stream);
        }
    }
}

fn turn_away(mut stream: &TcpStream) {
    // It fits into the socket's buffer, so this does not wait; if the guest has gone, all the better.
    let _ = stream.write_all(b"The room is full.\n");
}

/// A line for the host; one who does not want it (`chat | head`) is no reason to fail.
fn note(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
