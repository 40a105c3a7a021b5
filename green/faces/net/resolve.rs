//! Finding the addresses of a name without holding up the hub.
//!
//! The operating system's resolver blocks its OS thread, for seconds if a name
//! server is silent. So a name is looked up on the blocking pool while the
//! calling green thread waits. That is done for the types that std itself takes
//! for a name: strings and pairs of host and port, and references to them. They
//! are recognised by their type, because [`ToSocketAddrs`] says nothing about
//! what stands behind it, and a value of any other type cannot be moved to
//! another thread. What is not recognised (addresses, and types of the user's
//! own) is asked on the calling thread, just as std asks it.

#![expect(
    unsafe_code,
    reason = "views a value of a recognised type as that type"
)]

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::ptr;
use std::vec;

/// Calls `f` with each address of `addr` until one succeeds, and returns that
/// success, or else the last error.
pub(crate) fn each_address<A: ToSocketAddrs, T>(
    addr: A,
    mut f: impl FnMut(&SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for address in addresses(&addr)? {
        match f(&address) {
            Ok(found) => return Ok(found),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "could not resolve to any addresses",
        )
    }))
}

/// The addresses of `addr`, in order.
pub(crate) fn addresses<A: ToSocketAddrs>(addr: &A) -> io::Result<Addresses<A::Iter>> {
    addresses_by(addr, look_up)
}

/// Where the addresses come from.
pub(crate) enum Addresses<I> {
    Name(vec::IntoIter<SocketAddr>),
    Value(I),
}

impl<I: Iterator<Item = SocketAddr>> Iterator for Addresses<I> {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        match self {
            Addresses::Name(found) => found.next(),
            Addresses::Value(own) => own.next(),
        }
    }
}

/// A look-up that may block: what the pool runs.
type LookUp = fn(Name) -> io::Result<vec::IntoIter<SocketAddr>>;

fn addresses_by<A: ToSocketAddrs>(addr: &A, look_up: LookUp) -> io::Result<Addresses<A::Iter>> {
    match name_in(addr) {
        Some(name) => greenhub::blocking(move || look_up(name)).map(Addresses::Name),
        None => addr.to_socket_addrs().map(Addresses::Value),
    }
}

fn look_up(name: Name) -> io::Result<vec::IntoIter<SocketAddr>> {
    match name {
        Name::Text(text) => text.to_socket_addrs(),
        Name::Pair(host, port) => (host, port).to_socket_addrs(),
    }
}

/// A name to look up, owned, so that it can go to the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    /// `host:port`.
    Text(String),
    /// `(host, port)`.
    Pair(String, u16),
}

/// Numeric forms need no look-up, and what is not `host:port` fails without one.
fn text(text: &str) -> Option<Name> {
    let host = text.rsplit_once(':').map(|(host, _port)| host);
    let numeric = text.parse::<SocketAddr>().is_ok();
    (host.is_some() && !numeric).then(|| Name::Text(text.to_owned()))
}

fn pair(host: &str, port: u16) -> Option<Name> {
    let numeric = host.parse::<IpAddr>().is_ok();
    (!numeric).then(|| Name::Pair(host.to_owned(), port))
}

/// The name in `addr`, if its type is one of those that std looks up.
fn name_in<'a, A: ToSocketAddrs>(addr: &'a A) -> Option<Name> {
    macro_rules! names {
        ($($known:ty => $name:expr;)+) => {$(
            if typeid::of::<A>() == typeid::of::<$known>() {
                // SAFETY: `A` and `$known` are one type up to lifetimes. Those of
                // `A` last at least as long as `'a`, because `addr` does, and all
                // that `$known` has are `'a`; its references are shared, hence
                // may be shortened.
                let known: &'a $known = unsafe { &*ptr::from_ref(addr).cast::<$known>() };
                let name: fn(&'a $known) -> Option<Name> = $name;
                return name(known);
            }
        )+};
    }
    names! {
        &'a str => |known| text(known);
        &'a &'a str => |known| text(known);
        String => |known| text(known);
        &'a String => |known| text(known);
        &'a &'a String => |known| text(known);
        (&'a str, u16) => |known| pair(known.0, known.1);
        &'a (&'a str, u16) => |known| pair(known.0, known.1);
        (String, u16) => |known| pair(&known.0, known.1);
        &'a (String, u16) => |known| pair(&known.0, known.1);
    }
    None
}

#[cfg(test)]
mod tests;
