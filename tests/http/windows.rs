//! Peers of HTTP/2 that answer pings, and take nothing or ask nothing.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use green::http::{Body, Request};
use green::net::TcpStream;

use crate::frames::{
    ACK, DATA, END_STREAM, GOAWAY, PING, WINDOW_UPDATE, begin, frame, get, setting,
};
use crate::{Served, bounded, nobody_is_left, usual};

const INITIAL_WINDOW: u16 = 4;
const SHORT: Duration = Duration::from_millis(200);

/// The next frame, as its kind, its flags and its payload; pings are answered. None at the end.
fn next(stream: &mut TcpStream) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).ok()?;
    if head[3] == PING && head[4] & ACK == 0 {
        let _ = stream.write_all(&frame(PING, ACK, 0, &payload));
    }
    Some((head[3], head[4], payload))
}

/// Whether the connection ends within a time that is far longer than its limits.
fn ends(stream: &mut TcpStream) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if next(stream).is_none() {
            return true;
        }
    }
    false
}

#[test]
fn a_peer_that_takes_nothing_by_its_windows_is_cut() {
    bounded("windows of nothing", || {
        let served = Served::with(usual, |server| {
            server.head_timeout(Some(SHORT)).write_timeout(Some(SHORT))
        });
        // Of the last one a piece is sent, and its handler is done.
        for (window, path) in [(0, "/big"), (10, "/big"), (0, "/"), (1, "/")] {
            let mut stream = begin(&served);
            stream.write_all(&setting(INITIAL_WINDOW, window)).unwrap();
            stream.write_all(&get(1, path)).unwrap();
            assert!(ends(&mut stream), "{window} {path}");
        }
        nobody_is_left();
        assert_eq!(served.stop().cut, 0);
    });
}

#[test]
fn a_peer_that_takes_a_byte_now_and_then_is_not_cut() {
    bounded("windows of a byte", || {
        let limit = Some(Duration::from_secs(2));
        let text = |_: Request<Body>| "x".repeat(50);
        let served = Served::with(text, |server| {
            server.head_timeout(limit).write_timeout(limit)
        });
        let mut stream = begin(&served);
        stream.write_all(&setting(INITIAL_WINDOW, 1)).unwrap();
        stream.write_all(&get(1, "/")).unwrap();
        let mut taken = 0;
        loop {
            let (kind, flags, payload) = next(&mut stream).expect("it is not cut");
            if kind != DATA {
                continue;
            }
            taken += payload.len();
            if flags & END_STREAM != 0 {
                break;
            }
            green::thread::sleep(Duration::from_millis(100));
            let more = frame(WINDOW_UPDATE, 0, 1, &1u32.to_be_bytes());
            stream.write_all(&more).unwrap();
        }
        assert_eq!(taken, 50);
        drop(stream);
        assert_eq!(served.stop().cut, 0);
    });
}

#[test]
fn an_idle_connection_of_http2_ends_although_its_peer_answers_pings() {
    bounded("idle, and answers pings", || {
        let served = Served::with(usual, |server| server.head_timeout(Some(SHORT)));
        for asked in [false, true] {
            let mut stream = begin(&served);
            if asked {
                // It takes longer than a connection may be idle, which this one is not meanwhile.
                stream.write_all(&get(1, "/sleep")).unwrap();
            }
            let (mut told, mut answered) = (false, false);
            let begun = Instant::now();
            while let Some((kind, ..)) = next(&mut stream) {
                answered |= kind == DATA;
                told |= kind == GOAWAY;
                assert!(begun.elapsed() < Duration::from_secs(30), "it stays");
            }
            assert!(told);
            assert_eq!(answered, asked);
        }
        // Whoever does not answer the GOAWAY's ping is cut.
        let mut stream = begin(&served);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.is_empty());
        nobody_is_left();
        assert_eq!(served.stop().cut, 0);
    });
}
