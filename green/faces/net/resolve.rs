//! Finding the addresses of a name without holding up the hub.
//!
//! The operating system's resolver blocks its OS thread, for seconds if a name
//! server is silent. So a name is looked up on the blocking pool while the
//! calling green thread waits. That is done for the types that std itself takes
//! for a name: strings and pairs of host and port, and references to them. They
//! are recognised by their type, because std's `ToSocketAddrs` says nothing about
//! what stands behind it, and a value of any other type cannot be moved to
//! another thread. What is not recognised (addresses, and types of the user's
//! own) is asked on the calling thread, just as std asks it.

#![expect(
    unsafe_code,
    reason = "views a value of a recognised type as that type"
)]

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::ptr;
use std::vec;

/// Calls `f` with each address of `addr` until one succeeds, and returns that
/// success, or else the last error.
pub(crate) fn each_address<A: ToSocketAddrs, T>(
    addr: A,
    mut f: impl FnMut(&SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for address in addr.to_socket_addrs()? {
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

/// Addresses, or a name that has some, as [`std::net::ToSocketAddrs`]; but a look-up parks only the calling green
/// thread.
///
/// Everything that implements std's trait implements this one.
///
/// # Differences from std
///
/// - A type of your own that implements this trait and not std's is taken by value alone, not
///   by reference.
/// - A function that is generic over this trait cannot pass its argument to one that is generic
///   over std's.
///
/// # Examples
///
/// ```
/// use green::net::ToSocketAddrs;
///
/// let found: Vec<_> = "localhost:80".to_socket_addrs()?.collect();
/// assert!(found.iter().all(|address| address.port() == 80));
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ToSocketAddrs {
    /// What yields the addresses.
    type Iter: Iterator<Item = SocketAddr>;

    /// The addresses, in the order in which they are to be tried. A name is looked up on the
    /// blocking pool while the calling thread waits.
    ///
    /// # Errors
    ///
    /// As std's: `InvalidInput` for what is no `host:port`, and the resolver's errors.
    fn to_socket_addrs(&self) -> io::Result<Self::Iter>;
}

impl<A: std::net::ToSocketAddrs + ?Sized> ToSocketAddrs for A {
    type Iter = A::Iter;

    fn to_socket_addrs(&self) -> io::Result<A::Iter> {
        addresses_by(self, look_up)
    }
}

/// The addresses of a name, `host:port` or a pair of them: what
/// [`to_socket_addrs`](ToSocketAddrs::to_socket_addrs) of green's trait gives, without an import.
///
/// A green thread parks meanwhile, and its hub runs the others. `connect` and `bind` look up
/// names by themselves; this is for those who want to choose among the addresses.
///
/// # Errors
///
/// As [`to_socket_addrs`](ToSocketAddrs::to_socket_addrs).
///
/// # Differences from std
///
/// std has no such function; tokio's has this name.
///
/// # Examples
///
/// ```
/// use green::net::lookup_host;
///
/// let first = lookup_host(("localhost", 80))?.next();
/// assert!(first.is_some_and(|address| address.ip().is_loopback()));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn lookup_host<A: ToSocketAddrs>(host: A) -> io::Result<A::Iter> {
    host.to_socket_addrs()
}

/// A look-up that may block: what the pool runs.
type LookUp = fn(Name) -> io::Result<vec::IntoIter<SocketAddr>>;

fn addresses_by<A: std::net::ToSocketAddrs + ?Sized>(
    addr: &A,
    look_up: LookUp,
) -> io::Result<A::Iter> {
    match name_in(addr) {
        Some(name) if is_what_a_name_gives::<A::Iter>() => {
            #[cfg(feature = "sim")]
            let look_up = match greenhub::sim::is_simulated() {
                true => look_up_simulated,
                false => look_up,
            };
            let found = greenhub::blocking(move || look_up(name))?;
            let found = mem::ManuallyDrop::new(found);
            // SAFETY: both are the same type, and the other copy is never used or dropped.
            Ok(unsafe { mem::transmute_copy::<vec::IntoIter<SocketAddr>, A::Iter>(&found) })
        }
        _ => std::net::ToSocketAddrs::to_socket_addrs(addr),
    }
}

/// Whether `I` is the iterator that std has for names. That type has no lifetimes, so that there is no second one like it.
fn is_what_a_name_gives<I>() -> bool {
    typeid::of::<I>() == typeid::of::<vec::IntoIter<SocketAddr>>()
}

fn look_up(name: Name) -> io::Result<vec::IntoIter<SocketAddr>> {
    match name {
        Name::Text(text) => std::net::ToSocketAddrs::to_socket_addrs(&text),
        Name::Pair(host, port) => std::net::ToSocketAddrs::to_socket_addrs(&(host, port)),
    }
}

#[cfg(feature = "sim")]
fn look_up_simulated(name: Name) -> io::Result<vec::IntoIter<SocketAddr>> {
    let (host, port) = match &name {
        Name::Pair(host, port) => (host.as_str(), Ok(*port)),
        Name::Text(text) => {
            let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
            (host, port.parse())
        }
    };
    let port =
        port.map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "invalid port value"))?;
    let found =
        greenhub::sim::look_up(host).unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))?;
    Ok(vec![SocketAddr::new(found, port)].into_iter())
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
fn name_in<'a, A: ?Sized>(addr: &'a A) -> Option<Name> {
    if typeid::of::<A>() == typeid::of::<str>() {
        // SAFETY: `A` is `str`, so both are the same reference.
        return text(unsafe { mem::transmute_copy::<&'a A, &'a str>(&addr) });
    }
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
