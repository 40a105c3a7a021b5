//! Requests whose clients go before there is an answer, or before it has come to its end.

use std::io::{self, Read, Write};

use green::channel::{Receiver, Sender, unbounded};
use green::http::{Body, IntoResponse, Reply, Request, Response};
use green::metrics::{Metrics, prometheus};
use green::thread;

use crate::frames::{PREFACE, RST_STREAM, SETTINGS, frame, get};
use crate::{Served, bounded, to_end, until};

/// Tells of its end.
struct Work(Sender<&'static str>);

impl Work {
    fn begin(tell: &Sender<&'static str>) -> Work {
        tell.send("begun").unwrap();
        Work(tell.clone())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let how = match thread::panicking() {
            true => "ended",
            false => "done",
        };
        self.0.send(how).unwrap();
    }
}

/// Handlers that wait for ever, in each way there is.
fn served(on: bool) -> (Served, Receiver<&'static str>) {
    let (tell, told) = unbounded();
    let handler = move |request: Request<Body>| -> io::Result<Response<Reply>> {
        let tell = tell.clone();
        match request.uri().path() {
            "/wait" => {
                let _work = Work::begin(&tell);
                thread::park();
            }
            "/read" => {
                let _work = Work::begin(&tell);
                request.into_body().read_to_end(&mut Vec::new())?;
                thread::park();
            }
            "/write" => {
                return Ok(Response::new(Reply::written(move |out| {
                    out.write_all(b"half")?;
                    out.flush()?;
                    let _work = Work::begin(&tell);
                    thread::park();
                    Ok(())
                })));
            }
            _ => {}
        }
        Ok("answered".into_response())
    };
    let served = Served::with(handler, |server| server.end_abandoned(on));
    (served, told)
}

const REQUESTS: [&str; 6] = [
    "GET /wait HTTP/1.1\r\nhost: x\r\n\r\n",
    "POST /wait HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc",
    "POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc",
    "GET /write HTTP/1.1\r\nhost: x\r\n\r\n",
    "GET /write HTTP/1.0\r\n\r\n",
    "GET /wait HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
];

#[test]
fn a_client_of_http_1_that_goes_takes_its_request_along() {
    bounded("abandoned requests of HTTP/1", || {
        let (served, told) = served(true);
        for request in REQUESTS {
            let mut client = served.connect();
            client.write_all(request.as_bytes()).unwrap();
            assert_eq!(told.recv(), Ok("begun"), "{request}");
            drop(client);
            assert_eq!(told.recv(), Ok("ended"), "{request}");
        }
        // Who stays is answered, on a connection that goes on.
        let mut client = served.connect();
        for _ in 0..2 {
            let request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc";
            client.write_all(request).unwrap();
            until(&mut client, "answered");
        }
        assert_eq!(served.stop().cut, 0);
    });
}

#[test]
fn without_the_setting_a_client_that_only_ends_its_own_direction_is_answered() {
    bounded("half closed connections", || {
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let (served, _told) = served(false);
        let mut client = served.connect();
        client.write_all(request).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(to_end(&mut client).ends_with("answered"));
        served.stop();
    });
}

#[test]
fn a_stream_of_http_2_that_is_reset_ends_its_request_and_no_other() {
    bounded("abandoned requests of HTTP/2", || {
        let (served, told) = served(true);
        let mut client = served.connect();
        client.write_all(PREFACE).unwrap();
        client.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
        // It stays until the connection ends.
        client.write_all(&get(1, "/wait")).unwrap();
        assert_eq!(told.recv(), Ok("begun"));
        const CANCEL: [u8; 4] = [0, 0, 0, 8];
        for (stream, path) in [(3, "/wait"), (5, "/write")] {
            client.write_all(&get(stream, path)).unwrap();
            assert_eq!(told.recv(), Ok("begun"), "{path}");
            client
                .write_all(&frame(RST_STREAM, 0, stream, &CANCEL))
                .unwrap();
            assert_eq!(told.recv(), Ok("ended"), "{path}");
        }
        assert!(told.is_empty());
        drop(client);
        assert_eq!(told.recv(), Ok("ended"));
        served.stop();
    });
}

#[test]
fn what_a_server_counts_is_right_whatever_becomes_of_a_request() {
    bounded("counters", || {
        let (tell, told) = unbounded();
        let handler = move |request: Request<Body>| match request.uri().path() {
            "/panic" => panic!("a handler that panics"),
            "/wait" => {
                let _work = Work::begin(&tell);
                thread::park();
                "late"
            }
            _ => "answered",
        };
        let server = green::http::Server::new(green::listen("127.0.0.1:0").unwrap());
        let server = server.end_abandoned(true).concurrency(7);
        let (address, stop) = (
            server.listener().local_addr().unwrap(),
            server.stop_handle(),
        );
        let counters = server.counters();
        let running = thread::spawn(|| server.run(handler));
        let count = |name: &str, label: Option<&str>| {
            let text = prometheus([("web", &counters as &dyn Metrics)]);
            let families = test_support::prometheus_text::parse(&text);
            let samples = &families[name].samples;
            let found = samples.iter().find(|sample| match label {
                None => true,
                Some(label) => sample.labels.iter().any(|(_, value)| value == label),
            });
            assert!(
                samples[0]
                    .labels
                    .contains(&("name".to_owned(), "web".to_owned()))
            );
            found.unwrap().value
        };
        let ask = |path: &str| {
            let mut stream = green::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
            stream
        };
        for path in ["/", "/", "/panic"] {
            to_end(&mut ask(path));
        }
        let bad = b"GET / HTTP/1.1\r\n\r\n";
        let mut stream = green::connect(address).unwrap();
        stream.write_all(bad).unwrap();
        to_end(&mut stream);
        let waits = ask("/wait");
        assert_eq!(told.recv(), Ok("begun"));
        assert_eq!(count("green_http_requests", None), 1.0);
        assert_eq!(count("green_server_connections_max", None), 7.0);
        assert_eq!(count("green_server_connections_total", None), 5.0);
        drop(waits);
        assert_eq!(told.recv(), Ok("ended"));
        for name in ["green_http_requests", "green_server_connections"] {
            while count(name, None) > 0.0 {
                thread::yield_now();
            }
        }
        let responses = |class| count("green_http_responses_total", Some(class));
        assert_eq!(
            ["1xx", "2xx", "3xx", "4xx", "5xx"].map(responses),
            [0.0, 2.0, 0.0, 1.0, 1.0]
        );
        stop.stop();
        running.join().unwrap().unwrap();
    });
}
