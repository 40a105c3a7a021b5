//! How a server stops.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use green::http::{Body, Request};
use green::sync::mpsc::channel;

use crate::{Served, bounded, nobody_is_left, to_end, until, usual};

/// Much shorter than the 30 s of grace that a server has by itself, and long for a machine with other things to do.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_stop_closes_idle_connections_and_finishes_answers() {
    bounded("a graceful stop", || {
        let served = Served::new(usual);
        let mut idle = served.connect();
        idle.write_all(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        until(&mut idle, "GET /a");
        let mut busy = served.connect();
        busy.write_all(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        until(&mut busy, "\r\n\r\n");
        let begun = Instant::now();
        served.stop.stop();
        assert_eq!(idle.read(&mut [0]).unwrap(), 0);
        assert!(to_end(&mut busy).ends_with("0\r\n\r\n"));
        drop(busy);
        let done = served.running.join().unwrap().unwrap();
        assert_eq!((done.connections, done.cut), (2, 0));
        assert!(begun.elapsed() < SOON);
    });
}

#[test]
fn who_is_not_done_in_time_is_ended() {
    bounded("a cut", || {
        let grace = Duration::from_millis(50);
        let (tell, begun) = channel();
        let handler = move |request: Request<Body>| {
            tell.send(()).unwrap();
            usual(request)
        };
        let served = Served::with(handler, |server| server.grace(grace));
        // On the connection's thread, and on one of its own.
        let mut inline = served.connect();
        inline
            .write_all(b"GET /late HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let mut apart = served.connect();
        apart
            .write_all(b"POST /late HTTP/1.1\r\nhost: x\r\ncontent-length: 90000\r\n\r\n")
            .unwrap();
        (0..2).for_each(|_| begun.recv().unwrap());
        assert_eq!(served.stop().cut, 2);
        assert_eq!(to_end(&mut inline), "");
        nobody_is_left();
        drop(apart);
    });
}

/// Who has asked for nothing has nothing to hear, and is not waited for.
#[test]
fn a_stop_does_not_wait_for_idle_clients_to_end() {
    bounded("idle clients", || {
        let served = Served::new(usual);
        let mut idle = served.connect();
        idle.write_all(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        until(&mut idle, "GET /a");
        // As browsers do, for later.
        let silent = served.connect();
        served.ask("GET / HTTP/1.0\r\n\r\n");
        let begun = Instant::now();
        assert_eq!(served.stop().cut, 0);
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        drop(silent);
    });
}
