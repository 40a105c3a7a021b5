//! The example `web_chat`, from tungstenite and from a page in Chromium.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use test_support::bounded;
use test_support::example_program::build;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

use crate::browser::{self, Browser, Tab, find_browser};
use test_support::running::Running;

const LIMIT: Duration = Duration::from_secs(300);

fn start() -> (Running, String) {
    let mut chat = Running::start(Command::new(build("web_chat")).arg("127.0.0.1:0"));
    let url = chat.line("chat on http://");
    (chat, url.trim_end_matches('/').to_owned())
}

pub struct Guest(WebSocket<TcpStream>);

impl Guest {
    pub fn connect(address: &str) -> Guest {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Guest(
            tungstenite::client(format!("ws://{address}/chat"), stream)
                .unwrap()
                .0,
        )
    }

    /// One who is in.
    pub fn named(address: &str, name: &str) -> Guest {
        let mut guest = Guest::connect(address);
        guest.says(name);
        guest.hears(&format!("* {name} has come"));
        guest
    }

    pub fn says(&mut self, words: &str) {
        self.0.send(Message::text(words)).unwrap();
    }

    #[track_caller]
    pub fn hears(&mut self, words: &str) {
        assert_eq!(self.0.read().unwrap(), Message::text(words));
    }
}

#[test]
fn what_one_says_all_hear_and_who_leaves_is_told() {
    bounded("web_chat", LIMIT, || {
        let (mut chat, address) = start();
        let mut ann = Guest::named(&address, "Ann");
        let mut bob = Guest::named(&address, "Bob");
        ann.hears("* Bob has come");
        let mut other = Guest::connect(&address);
        other.says("Bob");
        other.hears("* another name, please: that one is taken");
        other.says("Carl");
        for guest in [&mut ann, &mut bob, &mut other] {
            guest.hears("* Carl has come");
        }
        other.says("<b>hello</b>");
        for guest in [&mut ann, &mut bob, &mut other] {
            guest.hears("Carl: <b>hello</b>");
        }
        // A ping is answered among what is said.
        ann.0.send(Message::Ping("there?".into())).unwrap();
        assert_eq!(ann.0.read().unwrap(), Message::Pong("there?".into()));
        // Gone without a word, with one, and with a line that is too long.
        drop(other);
        ann.hears("* Carl has left");
        bob.hears("* Carl has left");
        bob.0.close(None).unwrap();
        assert_eq!(bob.0.read().unwrap(), Message::Close(None));
        ann.hears("* Bob has left");
        let mut long = Guest::named(&address, "Long");
        ann.hears("* Long has come");
        long.says(&"x".repeat(5000));
        ann.hears("* Long has left");
        // The names are free again.
        let mut bob = Guest::named(&address, "Bob");
        ann.hears("* Bob has come");

        chat.terminate();
        for guest in [&mut ann, &mut bob] {
            let bye = CloseFrame {
                code: CloseCode::Away,
                reason: "the chat ends".into(),
            };
            assert_eq!(guest.0.read().unwrap(), Message::Close(Some(bye)));
            while guest.0.read().is_ok() {}
        }
        assert!(chat.process.wait().unwrap().success());
    });
}

#[test]
fn nobody_waits_for_a_guest_who_does_not_read() {
    bounded("web_chat with a slow guest", LIMIT, || {
        let (_chat, address) = start();
        let _slow = Guest::named(&address, "Slow");
        let mut ann = Guest::named(&address, "Ann");
        // Until what waits for the slow one fits nowhere any more.
        let words = "x".repeat(4000);
        for _ in 0..100_000 {
            ann.says(&words);
            let heard = ann.0.read().unwrap();
            if heard == Message::text("* Slow has left") {
                return;
            }
            assert_eq!(heard, Message::text(format!("Ann: {words}")));
        }
        panic!("the slow guest is there for ever");
    });
}

#[test]
fn the_page_shows_what_is_said_and_says_what_is_typed() {
    let Some(program) = find_browser() else {
        eprintln!("skipped: there is no chromium in PATH");
        return;
    };
    bounded("web_chat in a browser", browser::LIMIT, || {
        let (chat, address) = start();
        let mut browser = Browser::start(&program);
        let door = match browser.door() {
            Ok(door) => door,
            Err(reason) => return eprintln!("skipped: {reason}"),
        };
        let mut ann = Guest::named(&address, "Ann");
        let mut tab = Tab::open(door, &format!("http://{address}/"));
        tab.shows("the connection", "socket.readyState === WebSocket.OPEN");
        let types =
            |words: &str| format!("words.value = {words:?}; document.forms[0].requestSubmit()");
        tab.value(&types("Bob"));
        ann.hears("* Bob has come");
        tab.value(&types("<img id=smuggled>"));
        ann.hears("Bob: <img id=smuggled>");
        ann.says("hello");
        let all = r#"[...lines.children].map((line) => line.textContent).join("|")
            === "* Bob has come|Bob: <img id=smuggled>|Ann: hello""#;
        tab.shows("what was said", all);
        tab.value("socket.close()");
        while ann.0.read().unwrap() != Message::text("* Bob has left") {}
        drop(chat);
    });
}
