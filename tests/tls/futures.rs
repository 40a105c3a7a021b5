//! Futures over TLS, alone and beside threads that block.

use std::io::{Read, Write};

use futures_util::{AsyncReadExt, AsyncWriteExt};
use green::aio::Async;
use green::{block_on, thread};

use crate::{green_test, pair, tls_roles};

const SENT: usize = 600_000;

fn numbers() -> Vec<u8> {
    (0..SENT).map(|n| (n % 251) as u8).collect()
}

#[test]
fn both_directions_at_once_by_futures() {
    for role in tls_roles().filter(|role| !role.server) {
        green_test("futures over TLS", move || {
            let (client, server) = pair(role);
            let server = thread::spawn(move || block_on(echo(Async::new(server))));
            let (mut reader, mut writer) = Async::new(client).split();
            let heard = block_on(async {
                let sent = numbers();
                let writing = async {
                    writer.write_all(&sent).await.unwrap();
                    writer.close().await.unwrap();
                };
                let mut heard = Vec::new();
                let ((), read) = futures_util::join!(writing, reader.read_to_end(&mut heard));
                read.unwrap();
                heard
            });
            assert!(heard == numbers());
            server.join().unwrap();
        });
    }
}

async fn echo(stream: Async<green::ssl::GreenSslSocket>) {
    let (mut reader, mut writer) = stream.split();
    futures_util::io::copy(&mut reader, &mut writer)
        .await
        .unwrap();
    writer.close().await.unwrap();
}

/// The thread that blocks has the turn to write or to read; nothing of the kernel's tells a future when it is free.
#[test]
fn a_thread_and_futures_share_a_connection() {
    for role in tls_roles().filter(|role| !role.server) {
        green_test("futures over TLS", move || {
            let (client, server) = pair(role);
            let server = thread::spawn(move || block_on(echo(Async::new(server))));
            client.do_handshake().unwrap();
            let blocking = client.try_clone().unwrap();
            let reading = thread::spawn(move || {
                let mut heard = Vec::new();
                (&blocking).read_to_end(&mut heard).unwrap();
                heard.len()
            });
            let writer = client.try_clone().unwrap();
            let writing = thread::spawn(move || {
                for piece in numbers().chunks(5000) {
                    (&writer).write_all(piece).unwrap();
                }
            });
            // Beside them, tasks that read and write.
            let beside = client.try_clone().unwrap();
            let mut reader = Async::new(client.try_clone().unwrap());
            let reading_too = thread::spawn(move || {
                let mut heard = Vec::new();
                block_on(reader.read_to_end(&mut heard)).unwrap();
                heard.len()
            });
            block_on(async {
                let mut beside = Async::new(beside);
                for piece in numbers().chunks(5000) {
                    beside.write_all(piece).await.unwrap();
                }
                beside.flush().await.unwrap();
            });
            writing.join().unwrap();
            client.shutdown_write().unwrap();
            let heard = reading.join().unwrap() + reading_too.join().unwrap();
            assert_eq!(heard, 2 * SENT);
            server.join().unwrap();
        });
    }
}
