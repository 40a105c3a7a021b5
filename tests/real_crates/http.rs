//! ureq as the client, through `green::http::agent`; httparse in a server, and the example `httpd`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use green::net::TcpStream;
use green::thread;
use ureq::{Agent, Timeout};

use crate::crowd::{ANSWER, asks_as_fast_as_one, serve};
use test_support::child::alone;
use test_support::example_program::build;

/// Answers each request of a connection with its path; `/slow`, after a while,
/// and `/never`, not at all.
fn answer(mut stream: TcpStream) {
    let mut received = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(length) = request.parse(&received).unwrap() {
            let path = request.path.unwrap().to_owned();
            received.drain(..length);
            match path.as_str() {
                "/slow" => thread::sleep(ANSWER),
                "/never" => thread::park(),
                _ => {}
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", path.len());
            stream.write_all((head + &path).as_bytes()).unwrap();
            continue;
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(read) => received.extend_from_slice(&piece[..read]),
        }
    }
}

fn get(agent: &Agent, address: &str) -> Result<String, ureq::Error> {
    agent.get(address).call()?.body_mut().read_to_string()
}

#[test]
fn ureq_fetches_from_httpd() {
    // Before the time is counted: it may have to be compiled.
    let program = build("httpd");
    alone(
        "http::ureq_fetches_from_httpd",
        &[("GREEN_HUBS", "1")],
        || {
            let site = tempfile::tempdir().unwrap();
            let large: Vec<u8> = (0..3_000_000u32).map(|n| (n / 7) as u8).collect();
            std::fs::write(site.path().join("large"), &large).unwrap();
            let mut httpd = Command::new(&program)
                .args(["--listen", "127.0.0.1:0"])
                .arg(site.path())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(httpd.stdout.take().unwrap())
                .read_line(&mut line)
                .unwrap();
            let address = line.trim().rsplit("http://").next().unwrap();
            let address = format!("http://{}", address.trim_end_matches('/'));
            let large = Arc::new(large);
            let agent = green::http::agent(Agent::config_builder().build());
            let fetching: Vec<_> = (0..20)
                .map(|_| {
                    let (agent, address, large) = (agent.clone(), address.clone(), large.clone());
                    thread::spawn(move || {
                        let mut answer = agent.get(format!("{address}/large")).call().unwrap();
                        let body = answer.body_mut().read_to_vec().unwrap();
                        assert!(body == *large);
                        let missing = agent.get(format!("{address}/missing")).call();
                        assert!(matches!(missing, Err(ureq::Error::StatusCode(404))));
                    })
                })
                .collect();
            fetching.into_iter().for_each(|one| one.join().unwrap());
            httpd.kill().unwrap();
            httpd.wait().unwrap();
        },
    )
    .well();
}

#[test]
fn a_name_is_resolved_and_a_connection_used_again() {
    alone(
        "http::a_name_is_resolved_and_a_connection_used_again",
        &[("GREEN_HUBS", "1")],
        || {
            let port = serve(answer).port();
            green::run(move || {
                let agent = green::http::agent(Agent::config_builder().build());
                for path in ["/a", "/b"] {
                    let body = get(&agent, &format!("http://localhost:{port}{path}"));
                    assert_eq!(body.unwrap(), path);
                }
            });
        },
    )
    .well();
}

#[test]
fn ureqs_time_limit_holds_where_a_server_never_answers() {
    alone(
        "http::ureqs_time_limit_holds_where_a_server_never_answers",
        &[("GREEN_HUBS", "1")],
        || {
            let address = serve(answer);
            green::run(move || {
                let limit = Duration::from_millis(100);
                let config = Agent::config_builder()
                    .timeout_recv_response(Some(limit))
                    .build();
                let begun = Instant::now();
                let error = get(
                    &green::http::agent(config),
                    &format!("http://{address}/never"),
                );
                let error = error.unwrap_err();
                assert!(
                    matches!(error, ureq::Error::Timeout(Timeout::RecvResponse)),
                    "{error}"
                );
                assert!(begun.elapsed() >= limit);
            });
        },
    )
    .well();
}

#[test]
fn two_hundred_at_once_wait_as_long_as_one() {
    alone(
        "http::two_hundred_at_once_wait_as_long_as_one",
        &[("GREEN_HUBS", "1")],
        || {
            let address = serve(answer);
            asks_as_fast_as_one(
                move || {
                    let agent = green::http::agent(Agent::config_builder().build());
                    assert_eq!(get(&agent, &format!("http://{address}/")).unwrap(), "/");
                    agent
                },
                move |agent| {
                    let body = get(agent, &format!("http://{address}/slow"));
                    assert_eq!(body.unwrap(), "/slow");
                },
            );
        },
    )
    .well();
}
