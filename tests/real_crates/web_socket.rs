//! tungstenite, client and server.

use std::net::SocketAddr;

use green::net::TcpStream;
use green::thread;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

use crate::crowd::{ANSWER, asks_as_fast_as_one, serve};
use test_support::child::alone;

/// Echoes every message; those that say "slowly", after a while.
fn echo(stream: TcpStream) {
    let mut socket = tungstenite::accept(stream).unwrap();
    // An error is the end of the connection.
    while let Ok(message) = socket.read() {
        if message.is_text() || message.is_binary() {
            if message == Message::text("slowly") {
                thread::sleep(ANSWER);
            }
            socket.send(message).unwrap();
        }
    }
}

fn connect(address: SocketAddr) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    let (socket, answer) = tungstenite::client(format!("ws://{address}/"), stream).unwrap();
    assert_eq!(answer.status(), 101);
    socket
}

#[test]
fn messages_of_every_size_come_back_and_the_close_is_answered() {
    alone(
        "web_socket::messages_of_every_size_come_back_and_the_close_is_answered",
        &[("GREEN_HUBS", "1")],
        || {
            let address = serve(echo);
            green::run(move || {
                let mut socket = connect(address);
                for size in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
                    let sent = Message::binary(vec![size as u8; size]);
                    socket.send(sent.clone()).unwrap();
                    assert_eq!(socket.read().unwrap(), sent, "{size}");
                }
                socket.send(Message::Ping(vec![1, 2, 3].into())).unwrap();
                assert_eq!(socket.read().unwrap(), Message::Pong(vec![1, 2, 3].into()));
                let bye = CloseFrame {
                    code: CloseCode::Normal,
                    reason: "done".into(),
                };
                socket.close(Some(bye.clone())).unwrap();
                assert_eq!(socket.read().unwrap(), Message::Close(Some(bye)));
                let end = socket.read().unwrap_err();
                assert!(matches!(end, tungstenite::Error::ConnectionClosed), "{end}");
            });
        },
    )
    .well();
}

#[test]
fn two_hundred_at_once_wait_as_long_as_one() {
    alone(
        "web_socket::two_hundred_at_once_wait_as_long_as_one",
        &[("GREEN_HUBS", "1")],
        || {
            let address = serve(echo);
            asks_as_fast_as_one(
                move || connect(address),
                |socket| {
                    let slowly = Message::text("slowly");
                    socket.send(slowly.clone()).unwrap();
                    assert_eq!(socket.read().unwrap(), slowly);
                },
            );
        },
    )
    .well();
}
