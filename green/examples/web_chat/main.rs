//! A chat in the browser: a page, and a websocket for each who has it open.
//!
//! ```sh
//! cargo run --release -p green-std --features websocket --example web_chat -- 127.0.0.1:8080
//! ```
//!
//! Each guest has two green threads: one reads, the other alone writes what the room has put into the guest's queue. Nobody
//! waits for a guest who does not read: when its queue is full, it is cut off.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

#[path = "../program/mod.rs"]
mod program;

use green::channel::{self, Receiver, RecvTimeoutError, Sender};
use green::http::{self, Body, IntoResponse, Request, Response, Server, StatusCode, Upgraded};
use green::signal::Signals;
use green::signal::consts::{SIGINT, SIGTERM};
use green::sync::{Arc, Mutex};
use green::thread;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use program::{Program, about};

const PROGRAM: Program = Program {
    name: "web_chat",
    usage: "\
Usage: web_chat ADDRESS

  ADDRESS   where the page is, such as 127.0.0.1:8080

What one says, all read; the first line is the name. Ctrl-C or SIGTERM ends it.",
};

/// How many messages may wait for a guest.
const BACKLOG: usize = 256;
/// A guest who is sent nothing is asked so often whether it is there, and may take so long for a message.
const PATIENCE: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    PROGRAM.run_words(|words| match words {
        [address] => Some(run(address)),
        _ => None,
    })
}

fn run(address: &str) -> io::Result<()> {
    let signals = Signals::new([SIGTERM, SIGINT])?;
    let listener = green::listen(address).map_err(about(address))?;
    println!("chat on http://{}/", listener.local_addr()?);
    let server = Server::new(listener).concurrency(10_000).grace(PATIENCE);
    let (stop, room) = (server.stop_handle(), Arc::new(Room::default()));
    let theirs = room.clone();
    thread::spawn(move || {
        if signals.wait().is_ok() {
            stop.stop();
            let (code, reason) = (CloseCode::Away, "the chat ends".into());
            theirs.tell(&Message::Close(Some(CloseFrame { code, reason })));
        }
    });
    server.run(move |request| answer(&room, request)).map(drop)
}

fn answer(room: &Arc<Room>, request: Request<Body>) -> impl IntoResponse + use<> {
    match request.uri().path() {
        "/" => {
            let page = Response::builder().header("content-type", "text/html; charset=utf-8");
            page.body(include_str!("page.html").into())
                .expect("a header that is one")
        }
        "/chat" => {
            let room = room.clone();
            http::websocket(request, move |socket| {
                // The guest has gone, whatever the reason.
                let _ = talk(&room, socket.into_inner());
            })
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Those who have given a name, by it.
#[derive(Default)]
struct Room(Mutex<BTreeMap<String, Arc<Guest>>>);

struct Guest {
    outbox: Sender<Message>,
    line: Upgraded,
}

impl Guest {
    /// Never waits.
    fn send(&self, message: Message) {
        if self.outbox.try_send(message).is_err() {
            let _ = self.line.shutdown();
        }
    }
}

impl Room {
    /// Lets a guest in, unless somebody has that name.
    fn enter(&self, name: &str, guest: &Arc<Guest>) -> bool {
        let mut guests = self.0.lock().unwrap();
        let free = !guests.contains_key(name);
        if free {
            guests.insert(name.to_owned(), guest.clone());
        }
        free
    }

    fn tell(&self, message: &Message) {
        for guest in self.0.lock().unwrap().values() {
            guest.send(message.clone());
        }
    }
}

fn talk(room: &Room, stream: Upgraded) -> tungstenite::Result<()> {
    let (outbox, messages) = channel::bounded(BACKLOG);
    let (writes, line) = (stream.try_clone()?, stream.try_clone()?);
    let writer = thread::spawn(move || write(writes, &messages));
    let guest = Arc::new(Guest { outbox, line });
    let limits = WebSocketConfig::default().max_message_size(Some(4096));
    let mut reader = WebSocket::from_raw_socket(ReadOnly(stream), Role::Server, Some(limits));
    let mut name = None;
    while let Some(words) = hear(&mut reader, &guest) {
        match &name {
            Some(name) => room.tell(&Message::text(format!("{name}: {words}"))),
            None if room.enter(&words, &guest) => {
                room.tell(&Message::text(format!("* {words} has come")));
                name = Some(words);
            }
            None => guest.send(Message::text("* another name, please: that one is taken")),
        }
    }
    if let Some(name) = name {
        room.0.lock().unwrap().remove(&name);
        room.tell(&Message::text(format!("* {name} has left")));
    }
    // With its last sender the queue ends, and so does who writes from it.
    drop(guest);
    writer.join().unwrap_or(Ok(()))
}

/// The next line; `None` once the guest has gone.
fn hear(reader: &mut WebSocket<ReadOnly>, guest: &Guest) -> Option<String> {
    loop {
        match reader.read().ok()? {
            Message::Text(words) if !words.trim().is_empty() => return Some(words.trim().into()),
            Message::Ping(data) => guest.send(Message::Pong(data)),
            Message::Close(frame) => {
                guest.send(Message::Close(frame));
                return None;
            }
            _ => {}
        }
    }
}

fn write(stream: Upgraded, messages: &Receiver<Message>) -> tungstenite::Result<()> {
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
    loop {
        let message = match messages.recv_timeout(PATIENCE) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => Message::Ping(Default::default()),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let sent = green::timeout(PATIENCE, || socket.send(message));
        if !matches!(sent, Ok(Ok(()))) {
            // Its reader learns of it, too.
            return Ok(socket.get_ref().shutdown()?);
        }
    }
}

/// The stream for who reads: what the protocol answers by itself is left out, since the other one alone knows whether the
/// last word has been said.
struct ReadOnly(Upgraded);

impl Read for ReadOnly {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for ReadOnly {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
