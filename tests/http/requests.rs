//! The client: against our own server, through a proxy, and over TLS.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use green::http::{self, Body, IntoResponse, Request, StatusCode, ureq};
use green::ssl::{Purpose, SslContext};
use green::thread;
use ureq::{Agent, Timeout};

use crate::{Served, bounded, usual};
use test_support::certs::SELF_SIGNED;
use test_support::child::alone;

#[test]
fn a_page_is_got_and_a_status_is_an_error() {
    bounded("a page", || {
        let served = Served::new(usual);
        let url = |path: &str| format!("http://localhost:{}{path}", served.address.port());
        for _ in 0..3 {
            let mut page = http::get(&url("/page")).unwrap();
            assert_eq!(page.body_mut().read_to_string().unwrap(), "GET /page");
        }
        let failed = http::get(&url("/panic")).unwrap_err();
        assert!(matches!(failed, ureq::Error::StatusCode(500)), "{failed}");
        served.stop();
    });
}

/// The connection is used again, also where a redirect is followed.
#[test]
fn a_hundred_requests_take_one_connection() {
    bounded("a hundred requests", || {
        let served = Served::new(|request: Request<Body>| {
            if request.uri().path() == "/moved" {
                let moved = http::Response::builder().status(StatusCode::TEMPORARY_REDIRECT);
                return moved
                    .header("location", "/")
                    .body(http::Reply::empty())
                    .unwrap();
            }
            let all = request.into_body().read_all(1 << 20).unwrap();
            all.len().to_string().into_response()
        });
        let agent = http::agent(Agent::config_builder().build());
        for n in 0..100 {
            let url = format!("http://{}/", served.address);
            let sent = vec![b'x'; n * 300];
            let mut answer = agent.post(&url).send(&sent).unwrap();
            let length = answer.body_mut().read_to_string().unwrap();
            assert_eq!(length, sent.len().to_string());
            if n % 10 == 0 {
                let mut followed = agent.get(format!("{url}moved")).call().unwrap();
                assert_eq!(followed.body_mut().read_to_string().unwrap(), "0");
            }
        }
        drop(agent);
        assert_eq!(served.stop().connections, 1);
    });
}

#[test]
fn many_wait_at_once_on_one_hub_and_a_limit_holds() {
    bounded("many requests", || {
        let served = Served::with(usual, |server| server.grace(Duration::from_secs(2)));
        let url = format!("http://{}", served.address);
        let begun = Instant::now();
        // One after the other they would take 30 s.
        let asking: Vec<_> = (0..100)
            .map(|_| {
                let url = format!("{url}/sleep");
                let ask = move || {
                    http::get(&url)
                        .unwrap()
                        .body_mut()
                        .read_to_string()
                        .unwrap()
                };
                thread::Builder::new().hub(0).spawn(ask).unwrap()
            })
            .collect();
        for asked in asking {
            assert_eq!(asked.join().unwrap(), "slept");
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            begun.elapsed()
        );
        let limit = Agent::config_builder().timeout_global(Some(Duration::from_millis(50)));
        let late = http::agent(limit.build()).get(format!("{url}/late")).call();
        let late = late.unwrap_err();
        assert!(
            matches!(late, ureq::Error::Timeout(Timeout::Global)),
            "{late}"
        );
        // On a slow machine the limit may have passed before there was a connection.
        assert!(served.stop().cut <= 1);
    });
}

/// ureq looks at them under a lock that blocks OS threads: whoever wants it meanwhile must not run on the hub.
#[test]
fn kept_connections_that_have_ended_hold_up_no_hub() {
    const NAME: &str = "requests::kept_connections_that_have_ended_hold_up_no_hub";
    /// So many that a look at each is worth giving way.
    const KEPT: usize = 16;
    let body = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (end, ending) = std::sync::mpsc::channel();
        let (ended, all_ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut kept: Vec<_> = (0..KEPT).map(|_| listener.accept().unwrap().0).collect();
            kept.iter_mut().for_each(|stream| answer(stream, ""));
            ending.recv().unwrap();
            drop(kept);
            ended.send(()).unwrap();
            for _ in 0..2 {
                answer(&mut listener.accept().unwrap().0, "connection: close\r\n");
            }
        });
        let config = Agent::config_builder()
            .max_idle_connections(KEPT)
            .max_idle_connections_per_host(KEPT);
        let agent = http::agent(config.build());
        let ask = |busy: Duration| {
            let (agent, url) = (agent.clone(), url.clone());
            thread::spawn(move || {
                let begun = Instant::now();
                while begun.elapsed() < busy {
                    std::hint::spin_loop();
                }
                let mut page = agent.get(&url).call().unwrap();
                assert_eq!(page.body_mut().read_to_string().unwrap(), "ok");
            })
        };
        let asking: Vec<_> = (0..KEPT).map(|_| ask(Duration::ZERO)).collect();
        asking.into_iter().for_each(|asked| asked.join().unwrap());
        end.send(()).unwrap();
        all_ended.recv().unwrap();
        // Longer than what a green thread may run through without giving way.
        [(); 2]
            .map(|()| ask(Duration::from_micros(300)))
            .into_iter()
            .for_each(|asked| asked.join().unwrap());
    };
    alone(NAME, &[("GREEN_HUBS", "1")], body).well();
}

/// Reads one request and answers it.
fn answer(stream: &mut std::net::TcpStream, headers: &str) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        asked.extend(byte);
    }
    let answer = format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\nok");
    stream.write_all(answer.as_bytes()).unwrap();
}

/// Asks for a page over TLS from a server with this certificate.
fn ask_over_tls(certificate: &str, key: &str) -> Result<String, ureq::Error> {
    let context = SslContext::create_default_context(Purpose::ClientAuth).unwrap();
    context
        .load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)
        .unwrap();
    let listener = green::listen("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = http::Server::new(green::wrap_ssl(listener, &context));
    let stop = server.stop_handle();
    let running = thread::spawn(|| server.run(usual));
    let got = http::get(&format!("https://localhost:{port}/page"));
    let page = got.and_then(|mut page| page.body_mut().read_to_string());
    stop.stop();
    running.join().unwrap().unwrap();
    page
}

#[test]
fn https_to_a_stranger_is_refused() {
    bounded("https to a stranger", || {
        let refused = ask_over_tls(&SELF_SIGNED.chain, &SELF_SIGNED.key);
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains("certificate"), "{refused}");
    });
}

#[test]
fn https_trusts_what_the_system_trusts() {
    const NAME: &str = "requests::https_trusts_what_the_system_trusts";
    const KEY: &str = "GREEN_TEST_KEY";
    let directory = tempfile::tempdir().unwrap();
    let [trusted, key] = SELF_SIGNED.write_to(directory.path());
    let environment = [("SSL_CERT_FILE", &*trusted), (KEY, &key)];
    let ask = || {
        let read = |name| std::fs::read_to_string(std::env::var(name).unwrap()).unwrap();
        assert_eq!(
            ask_over_tls(&read("SSL_CERT_FILE"), &read(KEY)).unwrap(),
            "GET /page"
        );
    };
    alone(NAME, &environment, ask).well();
}

#[test]
fn a_proxy_is_asked_to_connect() {
    bounded("a proxy", || {
        let served = Served::new(usual);
        let listener = green::listen("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let address = served.address;
        let relaying = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let asked = crate::until(&mut client, "\r\n\r\n");
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            let mut server = green::net::TcpStream::connect(address).unwrap();
            let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || green::io::copy(&mut back, &mut forth));
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = client.read(&mut piece) {
                server.write_all(&piece[..count]).unwrap();
            }
            server.shutdown(green::net::Shutdown::Write).unwrap();
            asked
        });
        let config = Agent::config_builder().proxy(Some(ureq::Proxy::new(&proxy).unwrap()));
        let agent = http::agent(config.build());
        let mut page = agent.get(format!("http://{address}/page")).call().unwrap();
        assert_eq!(page.body_mut().read_to_string().unwrap(), "GET /page");
        drop((page, agent));
        assert!(
            relaying
                .join()
                .unwrap()
                .starts_with(&format!("CONNECT {address}"))
        );
        served.stop();
    });
}
