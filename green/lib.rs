//! std's names over green threads: change `std::` to `green::`, and the same blocking code serves thousands of peers.
//!
//! A call that would block parks its green thread, and the *hub*, an OS thread with an epoll instance, runs the others
//! meanwhile. There is no `async`, no macro and no special `main`: on a plain OS thread the same types block that thread.
//!
//! # Add it
//!
//! ```toml
//! [dependencies]
//! green = { package = "green-std", version = "0.1" }
//! ```
//!
//! The package is `green-std` because the name `green` belongs to somebody else in the public registry.
//! TLS is on by default and needs OpenSSL's headers (on Debian `apt-get install libssl-dev pkg-config`); the feature
//! `vendored` builds OpenSSL instead. `default-features = false` does without, in two fifths of the time; see
//! [Features](#features).
//!
//! # A first server
//!
//! ```
//! use std::io::{self, Read, Write};
//!
//! use green::net::{TcpListener, TcpStream};
//! use green::thread;
//!
//! fn echo(mut stream: TcpStream) -> io::Result<()> {
//!     let mut buffer = [0; 4096];
//!     loop {
//!         match stream.read(&mut buffer)? {
//!             0 => return Ok(()),
//!             n => stream.write_all(&buffer[..n])?,
//!         }
//!     }
//! }
//!
//! # fn main() -> io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! thread::spawn(move || {
//!     for stream in listener.incoming() {
//!         match stream {
//!             Ok(stream) => drop(thread::spawn(|| echo(stream))),
//!             // Out of descriptors, say. The accept has paused by itself, and the next may succeed.
//!             Err(error) => eprintln!("cannot accept: {error}"),
//!         }
//!     }
//! });
//!
//! let mut client = TcpStream::connect(address)?;
//! client.write_all(b"hello")?;
//! let mut answer = [0; 5];
//! client.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! [`serve()`] does the accepting, with a limit to the connections and a graceful stop.
//!
//! # Which module
//!
//! | std | green |
//! |---|---|
//! | `std::net`, `std::os` | [`net`], [`os`] |
//! | `std::thread`, `std::thread_local!` | [`mod@thread`], [`thread_local!`] |
//! | `std::sync`, crossbeam-channel | [`sync`], [`channel`] |
//! | `std::io`, `std::fs`, `std::process`, `std::time` | [`io`], [`fs`], [`process`], [`time`] |
//! | the rest of std: `env`, `collections`, `fmt`, `vec!` … | the same names, std's own |
//!
//! | to | there is |
//! |---|---|
//! | limit how long a block of code may wait | [`timeout()`] |
//! | end a green thread from outside | [`JoinHandle::kill`](thread::JoinHandle::kill), and [`shield`](shield()) against it; [`shielded`] has std's names with it |
//! | keep a connection to a peer that comes and goes | [`reconnect`] |
//! | call what blocks or computes | [`blocking()`], [`tpool`] |
//! | call `async` code | [`block_on`], [`future`]; streams for it are `green::aio` (feature `async`) |
//! | wait for signals, or for many descriptors | [`signal`], [`select`] |
//! | collect what hubs, pools and servers count | [`metrics`] |
//! | use eventlet's toolkit | [`event`], [`semaphore`], [`queue`], [`pool`], [`pools`], [`dagpool`], [`convenience`] |
//! | use asyncio's names | [`asyncio`] |
//! | build sockets, locks and protocols of your own | [`greenio`], [`source`], [`wait_queue`], [`trampoline`](trampoline()) |
//!
//! The [`guide`] has the long pages: [porting a program](guide::porting), from Flask, net/http or axum (features `http-client`, `json`, `tower` and
//! `websocket`: `guide::web`), [from one process to many machines](guide::production), [what clippy finds in one](guide::lints),
//! [crates that work](guide::crates) and [those made green by their source](guide::unmodified_crates), [std item by item](guide::std_table), [soundness](guide::soundness),
//! [what happens when the peer goes away](guide::peer_close), a program in a simulation (feature `sim`: `guide::simulation`), [what was tried to break green](guide::what_we_tried), [debuggers](guide::debugging), and
//! [coming from eventlet, gevent or asyncio](guide::coming_from).
//!
//! # TLS
//!
//! [`ssl`] for new code: contexts in the terms of Python's module, TLS 1.3, client certificates, resumption, and sockets
//! that read and write at once. [`mod@native_tls`] for code that uses the crate native-tls: the same names, over any stream.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `tls` | yes | [`ssl`] and [`mod@native_tls`]; needs OpenSSL's headers, or the feature `vendored` |
//! | `asyncio` | yes | [`asyncio`]; brings `signal` and `tls` |
//! | `toolkit` | yes | eventlet's toolkit, [`serve()`] and [`reconnect`] |
//! | `backdoor` | yes | [`backdoor`] |
//! | `signal` | yes | [`signal`], on signal-hook |
//! | `backtrace` | yes | the stack of a green thread that holds its hub, in the warnings of [`debug::blocking_detection`] |
//! | `vendored` | | OpenSSL built from source and linked statically; needs a C compiler, perl and make |
//! | `native-tls-engine` | | [`ssl`] on the platform's own TLS library; see [`ssl::EngineKind`] |
//! | `async` | | `green::future::spawn`, and `green::aio`, the streams as `AsyncRead` and `AsyncWrite` of futures-io |
//! | `tokio-io` | | the same for tokio's traits; brings `async` |
//! | `http` | | `green::http`, an HTTP/1.1 and HTTP/2 server in blocking style |
//! | `http-client` | | `green::http::get` and `agent`: ureq over green sockets; `green::http::ReverseProxy` |
//! | `json` | | `green::http::Json`: a value that a handler returns or a request brings; brings `http` |
//! | `tower`, `websocket` | | services of tower, and websockets, on that server |
//! | `proxy-protocol` | | `convenience::ProxyProtocol`: the client that a proxy in front passes on |
//! | `parking_lot` | | `green::parking_lot`, that crate's names |
//! | `socket2-0-5` | | conversions with socket2 0.5's sockets, beside 0.6's |
//! | `sim` | | `green::sim`: runs a whole program in a simulation that a seed decides |
//! | `engine-may` | | the crate `may` switches between green threads, to tell whether a fault is in our switch |
//!
//! Without any of them everything under a name of std's is there, and [`select`], [`future`], [`block_on`] and [`metrics`].
//!
//! # Settings
//!
//! [`Config`] before the first green thread, or the environment: `GREEN_HUBS` (default: one for each core),
//! `GREEN_STACK_SIZE` (bytes, default 262144), `GREEN_BLOCKING_THREADS`, `GREEN_THREAD_LOCALS` ([`ThreadLocals`]).
//! A value that cannot be used is told to the crate `log`, and by [`report()`].
//!
//! # Limits
//!
//! - Green threads of a hub take turns only when they wait. Computation belongs on an OS thread: [`blocking()`].
//! - A blocking call of std still compiles, and holds up every green thread of the hub: see [`guide::lints`].
//! - A stack has 256 KiB of address space, [`Builder::stack_size`](thread::Builder::stack_size) changes it. An overflow
//!   ends the process with a message that names the green thread.
//! - A connection is a descriptor: raise `ulimit -n` above the number of connections. When none is free,
//!   [`accept`](net::TcpListener::accept) pauses and fails, and a server's loop goes on.
//! - A green thread must not wait in a callback that C code calls.
//! - Kills and time limits unwind, so they are refused under `panic = "abort"`.
//!
//! # A program that is stuck
//!
//! `println!("{}", green::report())` says for every green thread where it waits and since when; [`debug`] has more,
//! [`debug::blocking_detection`] finds what holds a hub up, [`debug::deadlock_detection`] tells when all wait for one
//! another, and [`backdoor`] answers all of it in a live program.
//!
//! # Platforms
//!
//! Linux on x86-64 and aarch64, Rust 1.95 or later. Elsewhere the build ends with a sentence that says so.

// In the order in which they stand on each other; tests/tidy holds them to it.
pub mod metrics;

mod waits;

mod faces;

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "async")]
pub mod aio;

#[cfg(feature = "toolkit")]
mod toolkit;

#[cfg(feature = "http")]
pub mod http;

#[cfg(feature = "asyncio")]
pub mod asyncio;
#[cfg(feature = "backdoor")]
pub mod backdoor;

// Its examples use everything.
#[cfg(all(
    feature = "asyncio",
    feature = "backdoor",
    feature = "tls",
    feature = "toolkit"
))]
pub mod guide;

#[cfg(feature = "parking_lot")]
pub use faces::parking_lot;
pub use faces::{channel, fs, io, net, os, process, shielded, sync, thread, time};
pub use waits::{block_on, future, select};

#[cfg(feature = "signal")]
pub use waits::signal;

// The rest of std, so that a whole program can say `green::` for `std::`.
#[doc(no_inline)]
pub use faces::integers::*;
#[cfg(target_arch = "x86_64")]
#[doc(no_inline)]
pub use std::is_x86_feature_detected;
#[doc(no_inline)]
pub use std::{
    alloc, any, arch, array, ascii, assert, assert_eq, assert_ne, backtrace, borrow, boxed, cell,
    cfg, cfg_select, char, clone, cmp, collections, column, compile_error, concat, convert, dbg,
    debug_assert, debug_assert_eq, debug_assert_ne, default, env, error, f32, f64, ffi, file, fmt,
    format, format_args, hash, hint, include, include_bytes, include_str, iter, line, marker,
    matches, mem, module_path, num, ops, option, option_env, panic, path, pin, prelude, primitive,
    ptr, range, rc, result, slice, str, string, stringify, task, todo, unimplemented, unreachable,
    vec, write, writeln,
};

#[cfg(feature = "tls")]
pub use tls::{native_tls, ssl};

#[cfg(feature = "toolkit")]
pub use toolkit::{
    convenience::{self, connect, listen, serve},
    dagpool, event, pool, pools, queue, reconnect, semaphore, tpool,
};

#[cfg(all(feature = "tls", feature = "toolkit"))]
pub use toolkit::convenience::wrap_ssl;

#[cfg(feature = "sim")]
pub use greenhub::sim;
pub use greenhub::{
    ClosedLocally, Config, Deadline, Elapsed, HubReport, Killed, Report, Site, SocketEnds, State,
    ThreadLocals, ThreadReport, blocking, debug, hub_count, is_green, is_timeout, report, run,
    shield, thread_local, timeout, trampoline, wait_readable, wait_writable,
};
// What typed sockets, locks and protocols of one's own are made of.
pub use greenhub::{greenio, source, wait_queue};

// The README's example compiles and runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("README.md")]
struct Readme;
