//! The two ends of a connection, in a role.

pub mod ours;
pub mod peer;
pub mod roles;

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use green::ssl::{EngineKind, SslContext, TlsVersion};
use greenhub::greenio::GreenSocket;

use self::ours::{Ours, Stream};
use self::peer::Peer;
use self::roles::{Conduct, ROLES, Role};
use crate::certs::{Peers, client_context, peer_context, server_context};

/// Our context in a role. Made once: native-tls reads the system's roots for every connector.
pub fn our_context(role: Role) -> SslContext {
    static CONTEXTS: LazyLock<HashMap<String, SslContext>> = LazyLock::new(|| {
        let tls = ROLES.into_iter().filter_map(|role| match role.conduct {
            Conduct::Tls(engine) => Some((role.name(), made(engine, role.server, role.version))),
            Conduct::Plain => None,
        });
        tls.collect()
    });
    CONTEXTS[&role.name()].clone()
}

fn made(engine: EngineKind, server: bool, version: TlsVersion) -> SslContext {
    match server {
        true => server_context(engine, version),
        false => client_context(engine, version),
    }
}

/// The two ends of a connection on loopback, the accepted one second.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

pub fn ours_over(tcp: TcpStream, role: Role) -> Stream {
    tcp.set_nodelay(true).unwrap();
    let socket = GreenSocket::from(std::os::fd::OwnedFd::from(tcp));
    match role.conduct {
        Conduct::Plain => Stream::Tcp(socket),
        Conduct::Tls(_) => {
            let name = (!role.server).then_some("localhost");
            let tls = our_context(role).wrap_socket(socket, name);
            Stream::Tls(tls.unwrap())
        }
    }
}

/// Both ends of a role, before any handshake. `facing` is to be the name of the green thread that plays ours.
pub fn ends(role: Role, peers: Peers, facing: &str) -> (Ours, Peer) {
    let (client, server) = tcp_pair();
    match role.server {
        true => ends_over(server, client, role, peers, facing),
        false => ends_over(client, server, role, peers, facing),
    }
}

/// As [`ends`], over a connection that is there.
pub fn ends_over(
    near: TcpStream,
    far: TcpStream,
    role: Role,
    peers: Peers,
    facing: &str,
) -> (Ours, Peer) {
    // Small buffers, so that a writer has to wait soon.
    socket2::SockRef::from(&near)
        .set_send_buffer_size(64 << 10)
        .unwrap();
    socket2::SockRef::from(&far)
        .set_recv_buffer_size(64 << 10)
        .unwrap();
    let context = match role.conduct {
        Conduct::Plain => None,
        Conduct::Tls(_) => Some(peer_context(!role.server, role.version, peers)),
    };
    let peer = Peer::new(far, context.as_deref(), !role.server, facing);
    let ours = Ours {
        stream: Some(ours_over(near, role)),
        log: Vec::new(),
        slowest: Duration::ZERO,
        ready: peer.ready.clone(),
        go: peer.go.clone(),
    };
    (ours, peer)
}
