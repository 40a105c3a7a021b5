//! The page for a browser, and what Prometheus asks for: HTTP/1.1, one request for each connection, and nothing that
//! changes the program.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::greenio::GreenSocket;
use httparse::{EMPTY_HEADER, Error, Request, Status};

use super::report_json;
use super::settings::Counted;

/// Bytes of a request's head.
const LONGEST_HEAD: usize = 8 << 10;
const HEADERS: usize = 64;
/// How long a client may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    Connection: close\r\nContent-Length: 18\r\n\r\ntoo many sessions\n";

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// Whether the program is well.
pub(super) type Health = dyn Fn() -> bool + Send + Sync;

struct Response {
    status: &'static str,
    kind: &'static str,
    body: Cow<'static, str>,
}

impl Response {
    fn ok(kind: &'static str, body: impl Into<Cow<'static, str>>) -> Response {
        Response {
            status: "200 OK",
            kind,
            body: body.into(),
        }
    }

    fn refusal(status: &'static str, why: &'static str) -> Response {
        Response {
            status,
            kind: "text/plain; charset=utf-8",
            body: why.into(),
        }
    }
}

/// Answers one request.
pub(super) fn serve(
    socket: &GreenSocket,
    is_well: Option<&Health>,
    counted: &Counted,
) -> io::Result<()> {
    socket.set_write_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let deadline = Deadline::after(PATIENCE);
    let (response, with_body) = loop {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut request = Request::new(&mut headers);
        match request.parse(&head) {
            Ok(Status::Complete(_)) => {
                let response = respond(&request, is_well, counted);
                break (response, request.method != Some("HEAD"));
            }
            Ok(Status::Partial) if head.len() < LONGEST_HEAD => {}
            Ok(Status::Partial) | Err(Error::TooManyHeaders) => {
                let status = "431 Request Header Fields Too Large";
                break (Response::refusal(status, "too long\n"), true);
            }
            Err(_) => {
                let why = "this is not HTTP/1.1\n";
                break (Response::refusal("400 Bad Request", why), true);
            }
        }
        let left = deadline.remaining();
        if left == Some(Duration::ZERO) {
            return Ok(());
        }
        socket.set_read_timeout(left)?;
        let mut chunk = [0; 1024];
        match socket.recv(&mut chunk)? {
            0 => return Ok(()),
            n => head.extend_from_slice(&chunk[..n]),
        }
    };
    socket.send_all(head_of(&response).as_bytes())?;
    if with_body {
        socket.send_all(response.body.as_bytes())?;
    }
    Ok(())
}

fn head_of(response: &Response) -> String {
    format!(
        "HTTP/1.1 {}\r\n\
         Content-Type: {}\r\n\
         Content-Length: {}\r\n\
         Connection: close\r\n\
         Allow: GET, HEAD\r\n\
         Cache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\n\
         Referrer-Policy: no-referrer\r\n\
         X-Content-Type-Options: nosniff\r\n\r\n",
        response.status,
        response.kind,
        response.body.len()
    )
}

fn health(is_well: Option<&Health>) -> Response {
    let asked = AssertUnwindSafe(|| is_well.is_none_or(|is_well| is_well()));
    match catch_unwind(asked).map_err(greenhub::discard_panic) {
        Ok(true) => Response::ok("text/plain; charset=utf-8", "well\n"),
        _ => Response::refusal("503 Service Unavailable", "not now\n"),
    }
}

fn metrics(counted: &Counted) -> Response {
    match counted.text() {
        Some(text) => Response::ok("text/plain; version=0.0.4; charset=utf-8", text),
        None => Response::refusal("500 Internal Server Error", "what counts has panicked\n"),
    }
}

fn respond(request: &Request<'_, '_>, is_well: Option<&Health>, counted: &Counted) -> Response {
    if !is_for_an_address(request) {
        // Some page's own name, made to stand for our address.
        let why = "the backdoor answers to an address or to localhost only\n";
        return Response::refusal("421 Misdirected Request", why);
    }
    if !matches!(request.method, Some("GET" | "HEAD")) {
        let why = "there is nothing here but to read\n";
        return Response::refusal("405 Method Not Allowed", why);
    }
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match path {
        "/" => Response::ok("text/html; charset=utf-8", PAGE),
        "/page.css" => Response::ok("text/css; charset=utf-8", STYLE),
        "/page.js" => Response::ok("text/javascript; charset=utf-8", SCRIPT),
        "/metrics" => metrics(counted),
        "/health" => health(is_well),
        "/report.json" => Response::ok("application/json", report_json::render(query)),
        _ => Response::refusal(
            "404 Not Found",
            "try /, /metrics, /health or /report.json\n",
        ),
    }
}

/// Whether the client asked for an address, which no foreign page can have as
/// its own name (DNS rebinding needs one).
fn is_for_an_address(request: &Request<'_, '_>) -> bool {
    let mut hosts = request
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("host"));
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(host) = std::str::from_utf8(host.value) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    match name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        Some(address) => address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_ipv6()),
        None => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse().is_ok_and(|address: IpAddr| address.is_ipv4())
        }
    }
}
