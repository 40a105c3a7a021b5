//! std's names over green threads: change `std::` to `green::`, and the same blocking code serves thousands of peers.
//!
//! | std | green |
//! |---|---|
//! | `std::net`, `std::os` | [`net`], [`os`] |
//! | `std::thread`, `std::thread_local!` | [`mod@thread`], [`thread_local!`] |
//! | `std::sync`, crossbeam-channel | [`sync`], [`channel`] |
//! | `std::io`, `std::fs`, `std::process`, `std::time` | [`io`], [`fs`], [`process`], [`time`] |
//! | native-tls, Python's `ssl` | [`mod@native_tls`], [`ssl`] |
//!
//! eventlet's toolkit: [`event`], [`semaphore`], [`queue`], [`pool`], [`pools`], [`tpool`].
//!
//! Beyond std: [`timeout()`], [`reconnect`], [`blocking()`], [`report()`], [`debug`], [`backdoor`], [`block_on`],
//! [`signal`], [`select`], [`asyncio`], and [`JoinHandle::kill`](thread::JoinHandle::kill). Beneath it, for what std
//! has no type for: [`greenio`], [`source`] and [`wait_queue`].
//!
//! The [`guide`] has the long pages: porting a program, std item by item, soundness, and what happens when the peer goes away.

pub mod asyncio;
pub mod backdoor;
pub mod channel;
pub mod convenience;
pub mod event;
pub mod fs;
pub mod guide;
pub mod io;
pub mod native_tls;
pub mod net;
pub mod os;
pub mod pool;
pub mod pools;
pub mod process;
pub mod queue;
pub mod reconnect;
pub mod select;
pub mod semaphore;
pub mod shielded;
pub mod signal;
pub mod ssl;
pub mod sync;
pub mod thread;
pub mod time;
pub mod tpool;

mod future;
pub use future::block_on;

pub use convenience::{connect, listen, serve, wrap_ssl};

pub use greenhub::{
    ClosedLocally, Config, Elapsed, HubReport, Killed, Report, Site, State, ThreadReport, blocking,
    debug, hub_count, is_green, is_timeout, report, run, shield, thread_local, timeout, trampoline,
    wait_readable, wait_writable,
};
// What typed sockets, locks and protocols of one's own are made of.
pub use greenhub::{greenio, source, wait_queue};

// The README's example compiles and runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
