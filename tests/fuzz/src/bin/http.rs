//! Bytes for the HTTP server: what its handler is asked depends neither on how they are cut into pieces nor on what was
//! asked before on the same connection, and no answer is heard that it did not give.
#![no_main]

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};

use arbitrary::Arbitrary;
use green::http::{Body, Request, Server};
use green::net::{TcpListener, TcpStream};
use green::sim::{Faults, Simulation};
use green::thread;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    seed: u32,
    piece: u8,
    keep_alive: bool,
    limits_body: bool,
    sent: &'a [u8],
}

/// What a handler was asked.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    head: String,
    body: Option<Result<Vec<u8>, ErrorKind>>,
}

type Transcript = Arc<Mutex<Vec<Asked>>>;

fn handle(request: Request<Body>, transcript: &Transcript) -> String {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let place = {
        let mut all = transcript.lock().unwrap();
        all.push(Asked {
            head: format!(
                "{} {} {:?} {:?}",
                head.method, head.uri, head.version, head.headers
            ),
            body: None,
        });
        all.len() - 1
    };
    if !path.ends_with("unread") {
        let mut bytes = Vec::new();
        let read = body.read_to_end(&mut bytes);
        let read = read.map(|_| bytes).map_err(|error| error.kind());
        transcript.lock().unwrap()[place].body = Some(read);
    }
    path
}

/// Returns what the handler was asked, and what the client heard.
fn exchange(
    seed: u64,
    faults: Faults,
    piece: usize,
    keep_alive: bool,
    body: u64,
    sent: Vec<u8>,
) -> (Vec<Asked>, Vec<u8>) {
    let transcript = Transcript::default();
    let kept = transcript.clone();
    let program = move || {
        let listener = TcpListener::bind("10.0.0.1:80").unwrap();
        let server = Server::new(listener).keep_alive(keep_alive).max_body(body);
        thread::spawn(move || {
            server.run(move |request: Request<Body>| handle(request, &transcript))
        });
        let mut client = TcpStream::connect("10.0.0.1:80").unwrap();
        let mut writer = client.try_clone().unwrap();
        thread::spawn(move || {
            for piece in sent.chunks(piece) {
                if writer.write_all(piece).is_err() {
                    break;
                }
            }
            let _ = writer.shutdown(Shutdown::Write);
        });
        let mut heard = Vec::new();
        let mut room = [0; 1024];
        while let Ok(count @ 1..) = client.read(&mut room) {
            heard.extend_from_slice(&room[..count]);
        }
        heard
    };
    let heard = Simulation::new(seed)
        .faults(faults)
        .run(program)
        .result
        .unwrap();
    let asked = kept.lock().unwrap().clone();
    (asked, heard)
}

/// How many answers with this status have been heard. None of the handler's has such words in it.
fn answers(heard: &[u8], status: &str) -> usize {
    let begins = format!("HTTP/1.1 {status}").into_bytes();
    let places = heard.windows(begins.len());
    places.filter(|place| *place == begins).count()
}

/// They are the same, but that a connection goes on behind a body that nobody reads only if the body has come already.
fn compare(one: &[Asked], other: &[Asked], are_all_read: bool) {
    let shorter = one.len().min(other.len());
    let agree = one[..shorter] == other[..shorter];
    assert!(
        agree && (one.len() == other.len() || !are_all_read),
        "{one:#?}\n{other:#?}"
    );
}

const FIRST: &[u8] = b"GET /first HTTP/1.1\r\nhost: x\r\n\r\n";

fuzz_target!(|input: Input| {
    let Input {
        seed,
        piece,
        keep_alive,
        limits_body,
        sent,
    } = input;
    let sent = &sent[..sent.len().min(2048)];
    let body = if limits_body { 100 } else { u64::MAX };
    let seed = u64::from(seed);
    let whole = |sent: Vec<u8>| exchange(seed, Faults::none(), usize::MAX, keep_alive, body, sent);
    let (asked, heard) = whole(sent.to_vec());
    // HTTP/2 has its own pieces, and handlers at the same time.
    if sent.starts_with(b"PRI * HTTP/2.0\r\n\r\n") {
        return;
    }
    let well = answers(&heard, "200 ");
    assert!(well <= asked.len(), "an answer that nobody gave");
    let is_read = |asked: &Asked| matches!(asked.body, Some(Ok(_)));
    let are_all_read = well == answers(&heard, "") && asked.iter().all(is_read);

    let piece = usize::from(piece).max(1);
    let (cut, _) = exchange(seed, Faults::mild(), piece, keep_alive, body, sent.to_vec());
    compare(&asked, &cut, are_all_read);

    if keep_alive {
        let (later, _) = whole([FIRST, sent].concat());
        assert_eq!(later[0].head, "GET /first HTTP/1.1 {\"host\": \"x\"}");
        compare(&asked, &later[1..], are_all_read);
    }
});
