//! Which traits each type implements, auto traits among them.

use std::cell::{Cell, RefCell};

use super::lib::net::{self, TcpListener, TcpStream, UdpSocket};
use super::lib::os::unix::net::{self as unix, UnixDatagram, UnixListener, UnixStream};
use super::lib::thread::{
    AccessError, Builder, JoinHandle, LocalKey, Scope, ScopedJoinHandle, Thread, ThreadId,
};
use super::lib::{fs, io, process};
use crate::harness::Transcript;

parity! {
    topic: traits,
    items: ["impl Send for JoinHandle", "impl Sync for JoinHandle"],
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
        re_exports_are_std: [],
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
    fn resolves<T: std::net::ToSocketAddrs>(_: &T) {}
    fn takes<T: net::ToSocketAddrs>(addr: &T) {
        resolves(addr);
    }
    takes(&"127.0.0.1:1");
    let result: super::lib::thread::Result<u8> = Ok(1);
    let _: std::thread::Result<u8> = result;
    t.see("compiles", true);
}
