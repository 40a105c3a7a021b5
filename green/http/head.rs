//! Heads of requests that are refused although hyper accepts them.

use std::net::Ipv6Addr;

use http::uri::Scheme;
use http::{HeaderValue, Method, Request, StatusCode, Version, header};

/// The status that refuses a request if two servers could differ on what it is for, or where it ends. (The
/// frames of HTTP/2 are checked where they are read.)
///
/// `has_coding` is whether it can have a transfer coding.
pub(super) fn refusal<B>(request: &Request<B>, has_coding: bool) -> Option<StatusCode> {
    if !names_its_host(request) || !has_its_target(request) {
        Some(StatusCode::BAD_REQUEST)
    } else if has_coding && !is_coded_plainly(request) {
        Some(StatusCode::NOT_IMPLEMENTED)
    } else {
        None
    }
}

/// Once, and as RFC 9112, 3.2 has it; in HTTP/1.0 it may be left out, and in HTTP/2 where the target has it, from which it
/// must not differ (RFC 9113, 8.3.1).
fn names_its_host<B>(request: &Request<B>) -> bool {
    let version = request.version();
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let of_the_target = request.uri().authority().map(|it| it.as_str().as_bytes());
    let named = match hosts.next().map(HeaderValue::as_bytes) {
        None if version > Version::HTTP_11 => of_the_target.is_some(),
        None => version < Version::HTTP_11,
        Some(host) => {
            let is_https = request.uri().scheme() == Some(&Scheme::HTTPS);
            // The scheme's own port may be left out.
            let port: &[u8] = if is_https { b":443" } else { b":80" };
            let short =
                |host: &'_ [u8]| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
            let differs = version > Version::HTTP_11
                && of_the_target.is_some_and(|target| short(target) != short(host));
            is_host(host) && hosts.next().is_none() && !differs
        }
    };
    named && of_the_target.is_none_or(is_host)
}

/// A path, save that a `CONNECT` has a host, and that `OPTIONS` may ask of the whole server (RFC 9112, 3.2).
fn has_its_target<B>(request: &Request<B>) -> bool {
    let uri = request.uri();
    match *request.method() {
        Method::CONNECT => uri.authority().is_some(),
        Method::OPTIONS if uri.path() == "*" => true,
        _ => uri.path().starts_with('/'),
    }
}

/// Chunked, or without a coding: a body in another coding would reach the handler undecoded.
fn is_coded_plainly<B>(request: &Request<B>) -> bool {
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    codings
        .next()
        .is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none()
}

/// A name that is not empty, or an address; perhaps with a port (RFC 3986, 3.2).
fn is_host(authority: &[u8]) -> bool {
    is_usual_host(authority) || is_any_host(authority)
}

/// A name in plain letters, as nearly every one is, in one pass.
fn is_usual_host(authority: &[u8]) -> bool {
    let is_of_a_name = |&b: &u8| IN_NAMES[usize::from(b)];
    match authority.iter().position(|b| !is_of_a_name(b)) {
        None => !authority.is_empty(),
        Some(end) => {
            let port = authority[end..].strip_prefix(b":");
            end > 0 && port.is_some_and(|port| port.iter().all(u8::is_ascii_digit))
        }
    }
}

fn is_any_host(authority: &[u8]) -> bool {
    let colon = authority.iter().rposition(|&b| b == b':');
    let (host, port) = match colon.map(|at| authority.split_at(at)) {
        Some((host, port)) if !port.contains(&b']') => (host, &port[1..]),
        _ => (authority, &b""[..]),
    };
    let is_host = match host {
        [b'[', address @ .., b']'] => {
            std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
        }
        name => !name.is_empty() && is_escaped_name(name),
    };
    is_host && port.iter().all(u8::is_ascii_digit)
}

/// The bytes of a name that stand for themselves.
const IN_NAMES: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0);
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let (marks, mut at) = (b"-._~!$&'()*+,;=", 0);
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

fn is_escaped_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((&first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                after
            }
            (b, _) if IN_NAMES[usize::from(b)] => after,
            _ => return false,
        };
    }
    true
}
