//! The echo server in blocking style, one thread a connection. Compiled over
//! `std` and over `green`: the module that includes it brings `net` and
//! `thread` into scope.

use std::io::{self, Read, Write};

use program::{Arguments, BUFFER};

use super::net::{TcpListener, TcpStream};
use super::thread;

pub fn serve(arguments: &Arguments) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    program::announce(listener.local_addr()?)?;
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(arguments.read_timeout)?;
        thread::Builder::new().spawn(move || echo(stream))?;
    }
    Ok(())
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; BUFFER];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}
