//! std's names over green threads: change `std::` to `green::`, and the same blocking code serves thousands of peers.
//!
//! ```toml
//! [dependencies]
//! green = { package = "green-std", version = "0.1" }
//! ```
//!
//! The package is `green-std` because the name `green` belongs to somebody else in the public registry.
//!
//! | std | green |
//! |---|---|
//! | `std::net`, `std::os` | [`net`], [`os`] |
//! | `std::thread`, `std::thread_local!` | [`mod@thread`], [`thread_local!`] |
//! | `std::sync`, crossbeam-channel | [`sync`], [`channel`] |
//! | `std::io`, `std::fs`, `std::process`, `std::time` | [`io`], [`fs`], [`process`], [`time`] |
//! | the rest of std: `env`, `collections`, `fmt`, `vec!` … | the same names, std's own |
//! | native-tls, Python's `ssl` | [`mod@native_tls`], [`ssl`] |
//!
//! eventlet's toolkit: [`event`], [`semaphore`], [`queue`], [`pool`], [`pools`], [`tpool`].
//!
//! Beyond std: [`timeout()`], [`reconnect`], [`blocking()`], [`report()`], [`debug`], [`backdoor`], [`block_on`],
//! [`signal`], [`select`], [`asyncio`], and [`JoinHandle::kill`](thread::JoinHandle::kill). Beneath it, for what std
//! has no type for: [`greenio`], [`source`] and [`wait_queue`].
//!
//! # Features
//!
//! On by default unless said otherwise.
//!
//! | feature | what it adds |
//! |---|---|
//! | `tls` | [`ssl`] and [`mod@native_tls`]; needs OpenSSL's headers, or the feature `vendored` |
//! | `asyncio` | [`asyncio`]; brings `tls` |
//! | `toolkit` | eventlet's toolkit, [`serve()`] and [`reconnect`] |
//! | `backdoor` | [`backdoor`] |
//! | `parking_lot` | `green::parking_lot`, that crate's names; off by default |
//! | `socket2-0-5` | conversions with socket2 0.5's sockets, beside 0.6's; off by default |
//! | `backtrace` | the stack of a green thread that holds its hub, in the warnings of [`debug::blocking_detection`] |
//!
//! Without any of them everything under a name of std's is there, and [`signal`], [`select`] and [`block_on`].
//!
//! The [`guide`] has the long pages: porting a program, std item by item, soundness, what happens when the peer goes away, and debuggers.

// In the order in which they stand on each other; tests/tidy holds them to it.
mod waits;

mod faces;

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "toolkit")]
mod toolkit;

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
pub use waits::{block_on, select, signal};

// The rest of std, so that a whole program can say `green::` for `std::`.
#[cfg(target_arch = "x86_64")]
#[doc(no_inline)]
pub use std::is_x86_feature_detected;
#[doc(no_inline)]
pub use std::{
    alloc, any, arch, array, ascii, assert, assert_eq, assert_ne, backtrace, borrow, boxed, cell,
    cfg, cfg_select, char, clone, cmp, collections, column, compile_error, concat, convert, dbg,
    debug_assert, debug_assert_eq, debug_assert_ne, default, env, error, f32, f64, ffi, file, fmt,
    format, format_args, future, hash, hint, include, include_bytes, include_str, iter, line,
    marker, matches, mem, module_path, num, ops, option, option_env, panic, path, pin, prelude,
    primitive, ptr, range, rc, result, slice, str, string, stringify, task, todo, unimplemented,
    unreachable, vec, write, writeln,
};

#[cfg(feature = "tls")]
pub use tls::{native_tls, ssl};

#[cfg(feature = "toolkit")]
pub use toolkit::{
    convenience::{self, connect, listen, serve},
    event, pool, pools, queue, reconnect, semaphore, tpool,
};

#[cfg(all(feature = "tls", feature = "toolkit"))]
pub use toolkit::convenience::wrap_ssl;

pub use greenhub::{
    ClosedLocally, Config, Elapsed, HubReport, Killed, Report, Site, State, ThreadLocals,
    ThreadReport, blocking, debug, hub_count, is_green, is_timeout, report, run, shield,
    thread_local, timeout, trampoline, wait_readable, wait_writable,
};
// What typed sockets, locks and protocols of one's own are made of.
pub use greenhub::{greenio, source, wait_queue};

// The README's example compiles and runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("README.md")]
struct Readme;
