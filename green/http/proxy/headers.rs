//! What a proxy changes in the headers of a message.

use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

use crate::http::handler::Peer;

/// What is said to a neighbour alone (RFC 9110, 7.6.1), beside what `Connection` names. Of trailers, which are not passed on,
/// nothing is promised either.
const TO_A_NEIGHBOUR: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What the proxy is called in `Via`.
const NAME: &str = "green";

/// Makes the head of a client's request that of ours.
pub(super) fn onward(head: &mut Parts, over_tls: bool) {
    let headers = &mut head.headers;
    drop_hops(headers);
    // Our own server has seen to it, and knows how long the body is.
    headers.remove(header::EXPECT);
    headers.remove(header::CONTENT_LENGTH);
    // HTTP/2 may have several (RFC 9113, 8.2.3).
    join(headers, header::COOKIE, "; ", None);
    let host = headers.remove(header::HOST);
    let host = match head.uri.authority() {
        Some(authority) => HeaderValue::try_from(authority.as_str()).ok(),
        None => host,
    };
    let proto = if over_tls { "https" } else { "http" };
    let mut forwarded = Vec::new();
    if let Some(Peer(peer)) = head.extensions.get() {
        let client = peer.ip().to_string();
        forwarded.push(match peer.ip() {
            IpAddr::V4(_) => format!("for={client}"),
            IpAddr::V6(_) => format!("for=\"[{client}]\""),
        });
        // What came with the request is kept before it: who reads it believes the last one alone.
        join(
            headers,
            HeaderName::from_static("x-forwarded-for"),
            ", ",
            Some(&client),
        );
    }
    let host_text = host.as_ref().and_then(|host| host.to_str().ok());
    if let Some(host) = host_text.filter(|host| !host.contains(['"', '\\'])) {
        forwarded.push(format!("host=\"{host}\""));
    }
    forwarded.push(format!("proto={proto}"));
    join(headers, header::FORWARDED, ", ", Some(&forwarded.join(";")));
    headers.insert("x-forwarded-proto", HeaderValue::from_static(proto));
    headers.remove("x-forwarded-host");
    if let Some(host) = host {
        headers.insert("x-forwarded-host", host);
    }
    via(headers, head.version);
}

/// Makes the headers of an answer ours.
pub(super) fn back(headers: &mut HeaderMap, version: Version) {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        // It counts for nothing beside that (RFC 9112, 6.3).
        headers.remove(header::CONTENT_LENGTH);
    }
    drop_hops(headers);
    via(headers, version);
}

fn drop_hops(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in TO_A_NEIGHBOUR {
        headers.remove(name);
    }
}

fn via(headers: &mut HeaderMap, version: Version) {
    let number = match version {
        Version::HTTP_2 => "2.0",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    join(
        headers,
        header::VIA,
        ", ",
        Some(&format!("{number} {NAME}")),
    );
}

/// Makes the lines of a list one, since there are readers of the first line alone, with one more entry.
fn join(headers: &mut HeaderMap, name: HeaderName, between: &str, more: Option<&str>) {
    let lines = headers.get_all(&name).iter().map(HeaderValue::as_bytes);
    let lines: Vec<_> = lines.chain(more.map(str::as_bytes)).collect();
    let list = HeaderValue::from_bytes(&lines.join(between.as_bytes()));
    if let Ok(list) = list
        && !list.is_empty()
    {
        headers.insert(name, list);
    }
}
