//! asyncio's streams, a line at a time: what comes back is a beginning of what was sent.

use std::io;
use std::net::SocketAddr;

use green::asyncio::{
    ConnectionOptions, ServerOptions, StreamReader, StreamWriter, open_connection, start_server,
};
use test_support::random::Random;

use crate::storms::{CLOSES, Crew, OPERATIONS, count, finally, limited, pause};

fn echo(reader: StreamReader, writer: StreamWriter) -> io::Result<()> {
    loop {
        let line = reader.readline()?;
        if line.is_empty() {
            break;
        }
        writer.write(&line)?;
        writer.drain()?;
    }
    writer.close();
    writer.wait_closed()
}

/// Until it is told that the connection is over.
fn ask(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let (reader, writer) = open_connection(address, ConnectionOptions::new())?;
    let close = finally(|| writer.close());
    for _ in 0..10 {
        let most = [50, 30_000][random.below(2) as usize];
        let mut line = vec![b'x'; random.below(most) as usize];
        line.push(b'\n');
        let asked = limited(random, || {
            writer.write(&line)?;
            writer.drain()?;
            Ok::<_, io::Error>(reader.readline()?)
        });
        let Some(answer) = asked else {
            // Which answer belongs to which question is not known any more.
            return Ok(());
        };
        let answer = answer?;
        assert!(line.starts_with(&answer), "another line came back");
        if answer.len() < line.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        count(&OPERATIONS);
        pause(random);
    }
    drop(close);
    writer.wait_closed()
}

pub fn round(mut random: Random) {
    let server = start_server(echo, "127.0.0.1:0", ServerOptions::new()).unwrap();
    let address = server.local_addr().unwrap();
    let mut crew = Crew::new(&mut random);
    let is_calm = random.below(3) == 0;
    for _ in 0..1 + random.below(6) {
        crew.any(move |mut random| {
            for _ in 0..3 {
                let done = ask(address, &mut random);
                assert!(done.is_ok() || !is_calm, "{done:?}");
            }
        });
    }
    if is_calm {
        crew.calm();
    } else {
        let strikes = crew.strikes();
        pause(&mut random);
        if random.below(2) == 0 {
            count(&CLOSES);
            server.abort_clients();
        }
        strikes.join();
    }
    server.close();
    server.close_clients();
    server.wait_closed();
}
