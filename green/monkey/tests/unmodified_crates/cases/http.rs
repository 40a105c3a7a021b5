//! Clients of a late web server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use native_tls::{Certificate, TlsConnector};

use super::Case;
use crate::late::Late;

/// The longest that a request may take, for every second one.
fn limit(n: usize) -> Option<Duration> {
    n.is_multiple_of(2).then_some(Duration::from_secs(60))
}

pub fn ureq(late: &Late) -> Case {
    let server = late.http.clone();
    Case::new("ureq", (), move |n| {
        let url = format!("{server}/{n}");
        move || {
            let config = ureq::Agent::config_builder()
                .timeout_global(limit(n))
                .build();
            let mut answer = config.new_agent().get(url).call().unwrap();
            answer.body_mut().read_to_string().unwrap()
        }
    })
}

pub fn minreq(late: &Late) -> Case {
    let server = late.http.clone();
    Case::new("minreq", (), move |n| {
        let request = minreq::get(format!("{server}/{n}"));
        let request = match limit(n) {
            Some(limit) => request.with_timeout(limit.as_secs()),
            None => request,
        };
        move || request.send().unwrap().as_str().unwrap().to_owned()
    })
}

pub fn attohttpc(late: &Late) -> Case {
    let server = late.http.clone();
    Case::new("attohttpc", (), move |n| {
        let request = attohttpc::get(format!("{server}/{n}"));
        let request = match limit(n) {
            Some(limit) => request.timeout(limit),
            None => request,
        };
        move || request.send().unwrap().text().unwrap()
    })
}

/// Over std's TcpStream.
pub fn native_tls(late: &Late) -> Case {
    let port = late.tls_port;
    let mut connector = TlsConnector::builder();
    connector.disable_built_in_roots(true);
    connector.add_root_certificate(Certificate::from_pem(late.authority.as_bytes()).unwrap());
    // One for all: each that is built takes tens of milliseconds.
    let connector = connector.build().unwrap();
    Case::new("native-tls", (), move |n| {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut stream = connector.connect("localhost", stream).unwrap();
        move || {
            write!(stream, "GET /{n} HTTP/1.1\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            body.to_owned()
        }
    })
}
