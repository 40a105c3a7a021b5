//! The echo server on `may`'s own scheduler and sockets.

use std::io::{self, Read, Write};

use may::net::{TcpListener, TcpStream};
use program::{Arguments, BUFFER};

pub fn serve(arguments: &Arguments) -> io::Result<()> {
    may::config().set_workers(arguments.workers.max(1));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    program::announce(listener.local_addr()?)?;
    let limit = arguments.read_timeout;
    let accepting = may::go!(move || -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(limit)?;
            may::go!(move || echo(stream));
        }
    });
    accepting
        .join()
        .map_err(|_| io::Error::other("the accepting coroutine panicked"))?
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; BUFFER];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}
