//! Bodies of HTTP/2 that outlive their answers: what they hold of the connection's window comes back.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use green::http::{Body, Request};
use green::net::TcpStream;
use green::sync::mpsc::channel;

use crate::frames::{
    ACK, CANCEL, DATA, END_STREAM, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, begin, frame, post,
};
use crate::{Served, bounded, nobody_is_left};

const SHORT: Duration = Duration::from_millis(200);

/// A client that keeps to its windows.
struct Client {
    stream: TcpStream,
    /// How much it may still send, in all.
    window: usize,
}

impl Client {
    fn new(served: &Served) -> Client {
        let stream = begin(served);
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut client = Client {
            stream,
            window: 65_535,
        };
        // The server's own settings, and its window, come first.
        while client.window < 1 << 20 {
            client.next().expect("the server begins");
        }
        client
    }

    /// The next frame, as its kind, its stream and its payload.
    fn next(&mut self) -> std::io::Result<(u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
        let (length, stream) = ((number(0) >> 8) as usize, number(5));
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        if head[3] == WINDOW_UPDATE && stream == 0 {
            self.window += u32::from_be_bytes(payload[..].try_into().unwrap()) as usize;
        }
        match (head[3], head[4]) {
            (SETTINGS, 0) => self.stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            (PING, 0) => self.stream.write_all(&frame(PING, ACK, 0, &payload))?,
            _ => {}
        }
        Ok((head[3], stream, payload))
    }

    /// Sends what the window has room for.
    fn fill(&mut self, stream: u32) {
        while self.window > 0 {
            let count = self.window.min(16_384);
            self.stream
                .write_all(&frame(DATA, 0, stream, &vec![b'x'; count]))
                .unwrap();
            self.window -= count;
        }
    }

    /// Waits for a frame of this kind and stream.
    fn expect(&mut self, kind: u8, stream: u32) {
        loop {
            let (came, of, payload) = self.next().expect("a frame comes in time");
            if (came, of) == (kind, stream) {
                return;
            }
            assert!(came != RST_STREAM, "{of}: {payload:?}");
        }
    }
}

#[test]
fn a_body_that_is_kept_beyond_its_answer_gives_the_window_back() {
    bounded("kept bodies of HTTP/2", || {
        let (keep, kept) = channel();
        let keeps = move |request: Request<Body>| {
            let path = request.uri().path().to_owned();
            let mut body = request.into_body();
            match &*path {
                "/leak" => std::mem::forget(body),
                "/keep" => keep.send(body).unwrap(),
                "/late" => {
                    std::mem::forget(body);
                    green::thread::sleep(SHORT * 2);
                }
                _ => drop(std::io::copy(&mut body, &mut std::io::sink())),
            }
            "answered"
        };
        let served = Served::with(keeps, |server| server.read_timeout(Some(SHORT)));
        let mut client = Client::new(&served);
        for (id, path) in [(1, "/leak"), (5, "/keep"), (9, "/late")] {
            client.stream.write_all(&post(id, path)).unwrap();
            client.fill(id);
            if path == "/late" {
                // The peer gives up before there is an answer.
                let given_up = frame(RST_STREAM, 0, id, &CANCEL.to_be_bytes());
                client.stream.write_all(&given_up).unwrap();
            } else {
                client.expect(DATA, id);
                client.expect(RST_STREAM, id);
            }
            while client.window < 100_000 {
                client.next().expect("the window comes back");
            }
            // A neighbour has its upload answered.
            client.stream.write_all(&post(id + 2, "/")).unwrap();
            for _ in 0..6 {
                let piece = frame(DATA, 0, id + 2, &[b'y'; 16_000]);
                client.stream.write_all(&piece).unwrap();
                client.window -= 16_000;
            }
            let end = frame(DATA, END_STREAM, id + 2, &[]);
            client.stream.write_all(&end).unwrap();
            client.expect(DATA, id + 2);
        }
        let mut body = kept.recv().unwrap();
        let error = body.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // A stop waits for such a one no longer.
        let mut stopped = Client::new(&served);
        stopped.stream.write_all(&post(1, "/leak")).unwrap();
        stopped.expect(DATA, 1);
        let ending = [client, stopped]
            .map(|mut client| green::thread::spawn(move || while client.next().is_ok() {}));
        assert_eq!(served.stop().cut, 0);
        ending.into_iter().for_each(|ended| ended.join().unwrap());
        nobody_is_left();
    });
}

#[test]
fn who_reads_on_in_a_body_beyond_its_answer_may_take_longer_than_the_limit() {
    bounded("a body of HTTP/2 that is read on", || {
        let (keep, kept) = channel();
        let keeps = move |request: Request<Body>| {
            keep.send(request.into_body()).unwrap();
            "answered"
        };
        let served = Served::with(keeps, |server| server.read_timeout(Some(SHORT)));
        let mut client = Client::new(&served);
        client.stream.write_all(&post(1, "/")).unwrap();
        client.expect(DATA, 1);
        let mut body = kept.recv().unwrap();
        for _ in 0..20 {
            client.stream.write_all(&frame(DATA, 0, 1, b"y")).unwrap();
            body.read_exact(&mut [0]).unwrap();
            green::thread::sleep(SHORT / 4);
        }
        drop(body);
        client.expect(RST_STREAM, 1);
        drop(client);
        assert_eq!(served.stop().cut, 0);
    });
}
