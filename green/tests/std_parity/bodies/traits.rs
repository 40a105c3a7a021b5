//! Which traits each type implements, auto traits among them.

use std::cell::{Cell, RefCell};

use super::lib::net::{self, TcpListener, TcpStream, UdpSocket};
use super::lib::os::unix::net::{self as unix, UnixDatagram, UnixListener, UnixStream};
use super::lib::thread::{
    AccessError, Builder, JoinHandle, LocalKey, Scope, ScopedJoinHandle, Thread, ThreadId,
};
use super::lib::{fs, io, os, process, time};
use crate::harness::Transcript;

parity! {
    topic: traits,
    items: [
        "impl Send for JoinHandle", "impl Sync for JoinHandle",
        "net::AddrParseError", "net::IpAddr", "net::Ipv4Addr", "net::Ipv6Addr", "net::Shutdown",
        "net::SocketAddr", "net::SocketAddrV4", "net::SocketAddrV6", "net::ToSocketAddrs",
        "time::Duration", "time::Instant", "time::SystemTime", "time::SystemTimeError",
        "time::TryFromFloatSecsError", "time::UNIX_EPOCH",
        "thread::Result",
        "os::unix::ffi::OsStrExt", "os::unix::ffi::OsStringExt", "os::unix::thread::RawPthread",
        "os::unix::net::SocketAddr", "os::linux::fs::MetadataExt",
        "os::linux::net::SocketAddrExt",
    ],
    differs: [
        "impl Send for JoinHandle" =>
            "std's is Send and Sync whatever its result is, for no thread can have \
             a result that is not Send; one of green's spawn_local can",
        "impl Sync for JoinHandle" => "as Send",
    ],
    bodies: {
        of_sockets: [],
        of_threads: [],
        of_streams: [],
        of_processes: [],
        of_files: [],
        re_exports_are_std: [
            "net::AddrParseError", "net::IpAddr", "net::Ipv4Addr", "net::Ipv6Addr", "net::Shutdown",
            "net::SocketAddr", "net::SocketAddrV4", "net::SocketAddrV6", "net::ToSocketAddrs",
            "thread::Result",
        ],
        times_are_std: [
            "time::Duration", "time::Instant", "time::SystemTime", "time::SystemTimeError",
            "time::TryFromFloatSecsError", "time::UNIX_EPOCH",
        ],
        additions_of_unix_are_std: [
            "os::unix::ffi::OsStrExt", "os::unix::ffi::OsStringExt",
            "os::unix::thread::RawPthread", "os::unix::net::SocketAddr",
            "os::linux::fs::MetadataExt", "os::linux::net::SocketAddrExt",
        ],
    },
}

pub fn of_sockets(t: &mut Transcript) {
    trait_table!(t, [
        TcpStream, &'static TcpStream, &'static mut TcpStream, Box<TcpStream>,
        TcpListener, &'static TcpListener,
        UdpSocket, &'static UdpSocket,
        UnixStream, &'static UnixStream,
        UnixListener, &'static UnixListener,
        UnixDatagram, &'static UnixDatagram,
        net::Incoming<'static>, unix::Incoming<'static>, unix::SocketAddr,
        std::sync::Arc<TcpStream>, std::sync::Arc<UdpSocket>, std::rc::Rc<UnixStream>,
    ]);
}

pub fn of_threads(t: &mut Transcript) {
    trait_table!(t, [
        Thread, ThreadId, Builder, AccessError,
        JoinHandle<()>, JoinHandle<String>,
        ScopedJoinHandle<'static, ()>, ScopedJoinHandle<'static, Cell<u8>>,
        Scope<'static, 'static>, &'static Scope<'static, 'static>,
        LocalKey<u8>, LocalKey<Cell<u8>>, LocalKey<RefCell<u8>>, LocalKey<std::rc::Rc<u8>>,
        &'static LocalKey<Cell<u8>>,
    ]);
}

pub fn of_streams(t: &mut Transcript) {
    trait_table!(t, [
        io::PipeReader, &'static io::PipeReader, io::PipeWriter, &'static io::PipeWriter,
        io::Stdin, &'static io::Stdin, io::StdinLock<'static>,
        io::Stdout, &'static io::Stdout, io::StdoutLock<'static>,
        io::Stderr, &'static io::Stderr, io::StderrLock<'static>,
        std::sync::Arc<io::PipeReader>,
    ]);
}

pub fn of_processes(t: &mut Transcript) {
    trait_table!(t, [
        process::Command, process::Child, process::Stdio, process::Output,
        process::ChildStdin, &'static process::ChildStdin,
        process::ChildStdout, &'static process::ChildStdout,
        process::ChildStderr, &'static process::ChildStderr,
    ]);
}

pub fn of_files(t: &mut Transcript) {
    trait_table!(t, [
        fs::File, &'static fs::File, fs::OpenOptions, fs::DirBuilder, fs::DirEntry, fs::ReadDir,
    ]);
}

/// Compiles only if these names stand for std's own types and traits.
pub fn re_exports_are_std(t: &mut Transcript) {
    let _: std::net::SocketAddr = net::SocketAddr::from(([127, 0, 0, 1], 1));
    let _: std::net::SocketAddrV4 = net::SocketAddrV4::new(net::Ipv4Addr::LOCALHOST, 1);
    let _: std::net::SocketAddrV6 = net::SocketAddrV6::new(net::Ipv6Addr::LOCALHOST, 1, 0, 0);
    let _: std::net::IpAddr = net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let _: Result<std::net::IpAddr, std::net::AddrParseError> = "x"
        .parse::<net::IpAddr>()
        .map_err(|error: net::AddrParseError| error);
    let _: std::net::Shutdown = net::Shutdown::Both;
    // Whatever has std's trait has green's.
    fn resolves<T: net::ToSocketAddrs>(_: &T) {}
    fn takes<T: std::net::ToSocketAddrs>(addr: &T) {
        resolves(addr);
    }
    takes(&"127.0.0.1:1");
    let result: super::lib::thread::Result<u8> = Ok(1);
    let _: std::thread::Result<u8> = result;
    t.see("compiles", true);
}

/// As the one above.
pub fn times_are_std(t: &mut Transcript) {
    let _: fn(time::Duration) -> std::time::Duration = |same| same;
    let _: fn(time::Instant) -> std::time::Instant = |same| same;
    let _: fn(time::SystemTime) -> std::time::SystemTime = |same| same;
    let _: fn(time::SystemTimeError) -> std::time::SystemTimeError = |same| same;
    let _: fn(time::TryFromFloatSecsError) -> std::time::TryFromFloatSecsError = |same| same;
    t.see("epoch", time::UNIX_EPOCH == std::time::UNIX_EPOCH);
}

/// As the one above.
pub fn additions_of_unix_are_std(t: &mut Transcript) {
    fn of_text<T: std::os::unix::ffi::OsStrExt + ?Sized>() {}
    fn text<T: os::unix::ffi::OsStrExt + ?Sized>() {
        of_text::<T>();
    }
    fn of_string<T: std::os::unix::ffi::OsStringExt>() {}
    fn string<T: os::unix::ffi::OsStringExt>() {
        of_string::<T>();
    }
    fn of_metadata<T: std::os::linux::fs::MetadataExt>() {}
    fn metadata<T: os::linux::fs::MetadataExt>() {
        of_metadata::<T>();
    }
    fn of_address<T: std::os::linux::net::SocketAddrExt>() {}
    fn address<T: os::linux::net::SocketAddrExt>() {
        of_address::<T>();
    }
    text::<std::ffi::OsStr>();
    string::<std::ffi::OsString>();
    metadata::<std::fs::Metadata>();
    address::<std::os::unix::net::SocketAddr>();
    let _: fn(os::unix::net::SocketAddr) -> std::os::unix::net::SocketAddr = |same| same;
    let _: fn(os::unix::thread::RawPthread) -> std::os::unix::thread::RawPthread = |same| same;
    t.see("compiles", true);
}
