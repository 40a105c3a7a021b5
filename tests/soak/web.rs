//! A web server and its clients: bodies come back whole, and a server that stops leaves nobody waiting.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use green::http::{Body, IntoResponse, Reply, Request, Response, Server, StatusCode};
use green::net::{TcpListener, TcpStream};
use test_support::random::Random;

use crate::storms::sockets::byte_at;
use crate::storms::{CLOSES, Crew, OPERATIONS, count, finally, limited, pause};

fn answer(request: Request<Body>) -> io::Result<Response<Reply>> {
    Ok(match request.uri().path() {
        "/echo" => Response::new(Reply::reader(request.into_body())),
        "/length" => {
            let mut body = request.into_body();
            let length = io::copy(&mut body, &mut io::sink())?;
            length.to_string().into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    })
}

/// What came in chunks.
fn dechunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = std::str::from_utf8(&rest[..end]).expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a length");
        if length == 0 {
            return Some(body);
        }
        body.extend(rest.get(end + 2..end + 2 + length)?);
        rest = rest.get(end + 4 + length..)?;
    }
}

/// Asks once and checks the answer.
fn ask(address: SocketAddr, path: &str, random: &mut Random) -> io::Result<()> {
    let most = [500, 60_000][random.below(2) as usize];
    let length = random.below(most);
    let body: Vec<u8> = (0..length).map(byte_at).collect();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let cut_off = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(cut_off)?;
    let (head, rest) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]);
    if path == "/nothing" {
        assert!(head.starts_with("HTTP/1.1 404"), "{head}");
        return Ok(());
    }
    if !head.starts_with("HTTP/1.1 200") {
        // The server stops, and has not had the whole body.
        return Err(cut_off());
    }
    match path {
        "/length" => assert_eq!(rest, length.to_string().as_bytes()),
        _ => assert!(dechunked(rest).ok_or_else(cut_off)? == body, "another body"),
    }
    Ok(())
}

pub fn round(mut random: Random) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(listener).grace(Duration::from_millis(random.below(100)));
    let stop = server.stop_handle();
    let serving = std::thread::spawn(move || {
        server.run(answer).unwrap();
    });
    let stopping = finally(move || stop.stop());
    let mut crew = Crew::new(&mut random);
    let is_calm = random.below(3) == 0;
    for _ in 0..1 + random.below(6) {
        crew.any(move |mut random| {
            for _ in 0..8 {
                let mut own = Random::new(random.below(u64::MAX));
                if is_calm {
                    let path = ["/echo", "/length"][own.below(2) as usize];
                    ask(address, path, &mut own).unwrap();
                } else {
                    // A reset may overtake the answer to a body that nobody wanted.
                    let path = ["/echo", "/length", "/nothing"][own.below(3) as usize];
                    let _ = limited(&mut random, || ask(address, path, &mut own));
                }
                count(&OPERATIONS);
                pause(&mut random);
            }
        });
    }
    if is_calm {
        crew.calm();
        drop(stopping);
    } else {
        let strikes = crew.strikes();
        if random.below(2) == 0 {
            count(&CLOSES);
            drop(stopping);
            strikes.join();
        } else {
            strikes.join();
            drop(stopping);
        }
    }
    serving.join().unwrap();
}
