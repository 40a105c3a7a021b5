//! TLS servers in blocking style, one thread a connection. Compiled over
//! native-tls on `std` and over `green`: the module that includes it brings
//! `net`, `thread` and `acceptor` into scope.

use std::io::{self, Read, Write};

use program::bulk::{BLOCK, HEAD, Request};
use program::{Arguments, BUFFER};

use super::net::{TcpListener, TcpStream};
use super::{acceptor, thread};

/// Returns what it is given.
pub fn echo(_: &Arguments) -> io::Result<()> {
    let accept = acceptor()?;
    serve(move |stream| {
        let mut tls = accept(stream)?;
        let mut buffer = [0; BUFFER];
        loop {
            match tls.read(&mut buffer)? {
                0 => return super::finish(tls),
                length => tls.write_all(&buffer[..length])?,
            }
        }
    })
}

/// Takes and sends as much as it is told.
pub fn bulk(_: &Arguments) -> io::Result<()> {
    let accept = acceptor()?;
    serve(move |stream| {
        let mut tls = accept(stream)?;
        let mut buffer = vec![0; BLOCK];
        loop {
            let mut head = [0; HEAD];
            tls.read_exact(&mut head)?;
            let request = Request::from_head(head);
            let mut left = request.up;
            while left > 0 {
                let most = left.min(BLOCK);
                match tls.read(&mut buffer[..most])? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    length => left -= length,
                }
            }
            for length in request.writes() {
                tls.write_all(&buffer[..length])?;
            }
            tls.write_all(&head)?;
        }
    })
}

fn serve(
    converse: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    program::announce(listener.local_addr()?)?;
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        let converse = converse.clone();
        // A connection that fails is the generator's to report.
        thread::Builder::new().spawn(move || drop(converse(stream)))?;
    }
    Ok(())
}
