//! TLS on green sockets: what a service does all day, what breaks implementations, hostile peers, and other people's
//! TLS libraries.
//!
//! `GREEN_TRIALS=full` runs the trials at their full length.

mod defects;
mod floods;
mod futures;
mod interoperation;
mod mistakes;
mod partings;
mod services;
mod trials;

use std::time::Duration;

use green::ssl::GreenSslSocket;
use test_support::certs::Peers;
use test_support::ends::ends;
use test_support::ends::ours::{Ours, Stream};
use test_support::ends::peer::Peer;
use test_support::ends::roles::{Conduct, ROLES, Role};

const LIMIT: Duration = Duration::from_secs(180);

/// How often a trial goes round.
fn rounds(short: usize, full: usize) -> usize {
    match std::env::var("GREEN_TRIALS") {
        Ok(length) if length == "full" => full,
        _ => short,
    }
}

/// A test in a green thread, bounded in time.
fn green_test(name: &str, body: impl FnOnce() + Send + 'static) {
    let limit = match std::env::var_os("GREEN_TRIALS") {
        Some(_) => LIMIT * 30,
        None => LIMIT,
    };
    test_support::bounded(name, limit, || greenhub::run(body));
}

fn tls_roles() -> impl Iterator<Item = Role> {
    ROLES
        .into_iter()
        .filter(|role| role.conduct != Conduct::Plain)
}

/// Both ends of a role after their handshake: our socket, and the peer.
fn shaken(role: Role) -> (GreenSslSocket, Peer) {
    let (ours, mut peer) = ends(role, Peers::Easy, "");
    let peer = std::thread::spawn(move || {
        assert!(peer.handshake());
        peer
    });
    let tls = tls_of(ours);
    tls.do_handshake().unwrap();
    (tls, peer.join().unwrap())
}

fn tls_of(ours: Ours) -> GreenSslSocket {
    match ours.stream {
        Some(Stream::Tls(tls)) => tls,
        _ => panic!("not TLS"),
    }
}

/// Two ends of ours, before their handshake: a client in this role, and a server on OpenSSL.
fn pair(role: Role) -> (GreenSslSocket, GreenSslSocket) {
    let (client, server) = test_support::ends::tcp_pair();
    let server_role = ROLES[if role.version == test_support::ends::roles::V12 {
        2
    } else {
        3
    }];
    let ends = [(client, role), (server, server_role)].map(|(tcp, role)| {
        match test_support::ends::ours_over(tcp, role) {
            Stream::Tls(tls) => tls,
            Stream::Tcp(_) => panic!("not TLS"),
        }
    });
    ends.into()
}
