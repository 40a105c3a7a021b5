//! A server that echoes, and clients side by side.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

fn echo(mut stream: TcpStream) -> io::Result<u64> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut back = stream.try_clone()?;
    io::copy(&mut stream, &mut back)
}

fn ask(address: impl ToSocketAddrs, words: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(words.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(|| echo(stream.unwrap()).unwrap());
        }
    });
    let clients: std::vec::Vec<_> = (0..20)
        .map(|n| thread::spawn(move || ask(address, &std::format!("hello from {n}"))))
        .collect();
    for client in clients {
        std::println!("{}", client.join().unwrap()?);
    }
    Ok(())
}
