//! `os::unix::net::SocketAddr` and abstract names.

use std::path::Path;

use super::lib::os::linux::net::SocketAddrExt;
use super::lib::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use super::support::directory;
use crate::harness::Transcript;

parity! {
    topic: unix_addr,
    items: [
        "SocketAddr::from_pathname",
        "SocketAddr::is_unnamed",
        "SocketAddr::as_pathname",
        "impl Clone for SocketAddr",
        "impl Debug for SocketAddr",
        "impl SocketAddrExt for SocketAddr",
        "SocketAddrExt::from_abstract_name",
        "SocketAddrExt::as_abstract_name",
    ],
    differs: [],
    bodies: {
        is_the_type_of_std: ["impl SocketAddrExt for SocketAddr"],
        from_paths: [
            "SocketAddr::from_pathname", "SocketAddr::as_pathname", "SocketAddr::is_unnamed",
        ],
        from_abstract_names: [
            "SocketAddrExt::from_abstract_name", "SocketAddrExt::as_abstract_name",
        ],
        of_sockets: ["SocketAddr::is_unnamed", "impl Clone for SocketAddr"],
        debug: ["impl Debug for SocketAddr"],
    },
}

fn show(t: &mut Transcript, label: &str, addr: &SocketAddr) {
    t.see(label, addr);
    t.see("is unnamed", addr.is_unnamed());
    t.see("path", addr.as_pathname());
    t.see("abstract name", addr.as_abstract_name());
}

/// Compiles only if a value of std's type is a value of this one.
pub fn is_the_type_of_std(t: &mut Transcript) {
    fn extended<T: std::os::linux::net::SocketAddrExt>(addr: T) -> T {
        addr
    }
    let addr: std::os::unix::net::SocketAddr = SocketAddr::from_pathname("x").expect("address");
    show(t, "address", &extended::<SocketAddr>(addr));
}

pub fn from_paths(t: &mut Transcript) {
    show(
        t,
        "absolute",
        &SocketAddr::from_pathname("/a/path").expect("address"),
    );
    show(
        t,
        "relative",
        &SocketAddr::from_pathname(Path::new("a")).expect("address"),
    );
    show(t, "empty", &SocketAddr::from_pathname("").expect("address"));
    t.outcome("the longest", &SocketAddr::from_pathname("x".repeat(107)));
    t.outcome("too long", &SocketAddr::from_pathname("x".repeat(108)));
    t.outcome("NUL", &SocketAddr::from_pathname("a\0b"));
    t.outcome("NUL first", &SocketAddr::from_pathname("\0b"));
}

pub fn from_abstract_names(t: &mut Transcript) {
    show(
        t,
        "name",
        &SocketAddr::from_abstract_name("name").expect("address"),
    );
    show(
        t,
        "bytes",
        &SocketAddr::from_abstract_name(b"\xff\0x").expect("address"),
    );
    show(
        t,
        "empty",
        &SocketAddr::from_abstract_name("").expect("address"),
    );
    t.outcome(
        "the longest",
        &SocketAddr::from_abstract_name("x".repeat(107)),
    );
    t.outcome("too long", &SocketAddr::from_abstract_name("x".repeat(108)));
}

pub fn of_sockets(t: &mut Transcript) {
    let (left, _right) = UnixStream::pair().expect("pair");
    show(t, "pair", &left.local_addr().expect("address"));
    let socket = UnixDatagram::unbound().expect("unbound");
    show(t, "unbound", &socket.local_addr().expect("address"));
    let (_kept, path) = directory();
    let bound = UnixDatagram::bind(path("bound")).expect("bind");
    let addr = bound.local_addr().expect("address");
    let copy = addr.clone();
    t.see("a copy", copy.as_pathname() == addr.as_pathname());
    t.see("path", copy.as_pathname() == Some(&*path("bound")));
    // Binding to the empty name lets the kernel choose an abstract one.
    let empty = SocketAddr::from_pathname("").expect("address");
    let chosen = UnixDatagram::bind_addr(&empty).expect("bind");
    let name = chosen.local_addr().expect("address");
    t.see(
        "length of the chosen name",
        name.as_abstract_name().map(<[u8]>::len),
    );
}

pub fn debug(t: &mut Transcript) {
    t.see(
        "path",
        SocketAddr::from_pathname("/a \"path\"\n").expect("address"),
    );
    t.see(
        "abstract",
        SocketAddr::from_abstract_name(b"a\0\n\xff").expect("address"),
    );
    let (left, _right) = UnixStream::pair().expect("pair");
    t.see("unnamed", left.local_addr().expect("address"));
}
