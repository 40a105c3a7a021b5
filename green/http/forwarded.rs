//! Whose request it is, where proxies stand in front.

use std::net::{IpAddr, SocketAddr};

use http::Request;

use super::handler::Peer;

/// The address of the client, where proxies in front tell it in `X-Forwarded-For`, as nginx does with
/// `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for`; `None` where nobody says it.
///
/// `trusted` says which addresses are those of your proxies. It has to be said, and there is no default: anybody can send
/// that header, with any address in it. A proxy adds the address that it sees at the end and leaves what came before, so the
/// list is read from its end for as long as proxies of yours have written it. The first address that is not one of them is the
/// client's. A peer without an address has come by a Unix socket, whose permissions say who may do so: it counts as trusted.
///
/// The header `Forwarded` is not read: a proxy that only sets the one passes the other on as the client has forged it.
///
/// ```
/// use green::http::{Peer, Request, forwarded_for};
///
/// let nginx = |address: std::net::IpAddr| address.is_loopback();
/// let request = |peer: &str| {
///     let request = Request::builder().header("x-forwarded-for", "198.51.100.1, 203.0.113.9");
///     request.extension(Peer(peer.parse().unwrap())).body(()).unwrap()
/// };
/// // The last one is what the proxy has seen, the other what the client has said.
/// assert_eq!(forwarded_for(&request("127.0.0.1:4711"), nginx), "203.0.113.9".parse().ok());
/// // Not by way of the proxy: the header is the client's own.
/// assert_eq!(forwarded_for(&request("192.0.2.7:4711"), nginx), "192.0.2.7".parse().ok());
/// ```
pub fn forwarded_for<B>(request: &Request<B>, trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut client = request.extensions().get().map(|Peer(peer)| peer.ip());
    let lines = request.headers().get_all("x-forwarded-for").iter().rev();
    // One that is no text ends the list, as one that is no address does.
    let mut told = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
    while client.is_none_or(&trusted) {
        match told.next().map(|word| address(word.trim())) {
            Some(Some(before)) => client = Some(before),
            Some(None) | None => break,
        }
    }
    client
}

/// Some proxies add a port.
fn address(word: &str) -> Option<IpAddr> {
    let with_port = || word.parse().ok().map(|it: SocketAddr| it.ip());
    let in_brackets = || word.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    word.parse().ok().or_else(with_port).or_else(in_brackets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_from_its_end_as_far_as_it_is_trusted() {
        let ours = |address: IpAddr| address.is_loopback() || address.to_string() == "10.0.0.1";
        for (peer, lines, client) in [
            ("192.0.2.7:1", &["1.1.1.1"][..], Some("192.0.2.7")),
            ("127.0.0.1:1", &[], Some("127.0.0.1")),
            ("127.0.0.1:1", &["1.1.1.1"], Some("1.1.1.1")),
            ("127.0.0.1:1", &["1.1.1.1, 2.2.2.2"], Some("2.2.2.2")),
            (
                "127.0.0.1:1",
                &["1.1.1.1,2.2.2.2 ", "10.0.0.1"],
                Some("2.2.2.2"),
            ),
            ("127.0.0.1:1", &["10.0.0.1"], Some("10.0.0.1")),
            ("[::1]:1", &["2001:db8::1"], Some("2001:db8::1")),
            ("[::1]:1", &["[2001:db8::1]:80"], Some("2001:db8::1")),
            ("[::1]:1", &["[2001:db8::1]"], Some("2001:db8::1")),
            ("[::1]:1", &["1.1.1.1:80"], Some("1.1.1.1")),
            // What is no address is not passed over.
            ("127.0.0.1:1", &["1.1.1.1, unknown"], Some("127.0.0.1")),
            ("127.0.0.1:1", &["1.1.1.1, x, 10.0.0.1"], Some("10.0.0.1")),
            ("127.0.0.1:1", &["1.1.1.1", "\u{e9}"], Some("127.0.0.1")),
            ("127.0.0.1:1", &["1.1.1.1,"], Some("127.0.0.1")),
            ("", &["1.1.1.1"], Some("1.1.1.1")),
            ("", &[], None),
        ] {
            let mut request = Request::builder();
            for line in lines {
                request = request.header("X-Forwarded-For", *line);
            }
            if let Ok(peer) = peer.parse() {
                request = request.extension(Peer(peer));
            }
            let found = forwarded_for(&request.body(()).unwrap(), ours);
            let client = client.map(|it| it.parse::<IpAddr>().unwrap());
            assert_eq!(found, client, "{peer} {lines:?}");
        }
    }
}
