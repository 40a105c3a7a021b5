//! Stackful green threads over epoll: the hub, the trampoline, and what stands on them.
//!
//! Ordinary blocking-style code runs on green threads. A *hub*, one OS thread,
//! runs many of them; one that would block is *parked* until its descriptor is
//! ready or its deadline passes, and the hub runs the next. A green thread
//! stays on the OS thread where it first ran.
//!
//! This crate is the runtime. A program depends on `green` instead, which puts
//! std's names on it: `green::net`, `green::thread`, `green::sync` and so on. Its
//! package is `green-std`, since the name `green` belongs to somebody else in the
//! public registry:
//!
//! ```toml
//! [dependencies]
//! green = { package = "green-std", version = "0.1" }
//! ```
//!
//! ```
//! use std::time::Duration;
//!
//! use greenhub::green_thread;
//!
//! let sleepers: Vec<_> = (0..1000)
//!     .map(|n| {
//!         green_thread::spawn(move || {
//!             green_thread::sleep(Duration::from_millis(10));
//!             n
//!         })
//!     })
//!     .collect();
//! let sum: u32 = sleepers.into_iter().map(|sleeper| sleeper.join().unwrap()).sum();
//! assert_eq!(sum, 499_500);
//! ```

#[cfg(not(target_os = "linux"))]
compile_error!(
    "green runs on Linux only: it stands on epoll, eventfd and other calls that only Linux has"
);
#[cfg(not(all(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    target_pointer_width = "64"
)))]
compile_error!(
    "green runs on x86-64 and aarch64 only: on other architectures nobody has tried to switch stacks"
);

// In the order in which they stand on each other; tests/tidy holds them to it.
mod sys;

mod clock;
mod deadline;
#[cfg(feature = "sim")]
mod world;

mod calls;
mod config;
mod contain;
mod error;
mod hot_stacks;
mod limits;
mod one_line;

mod thread_locals;

#[cfg(not(feature = "engine-may"))]
mod stacks;

mod engine;
mod timer;

mod hub;

pub mod wait_queue;

pub mod semaphore;

pub mod green_thread;
mod shield;
mod timeout;

mod catch;

pub mod future;

mod direction;
mod trampoline;

pub mod source;

pub mod greenio;

mod blocking;
pub mod foreign;
mod report;

pub mod debug;

#[cfg(feature = "sim")]
pub mod sim;

pub use blocking::{blocking, blocking_uncut};
pub use catch::{catch_panic, discard_panic, panic_message};
pub use config::{Config, ThreadLocals};
pub use deadline::Deadline;
pub use error::{ClosedLocally, Elapsed, Killed, is_timeout};
pub use hub::visit::on_os_thread;
pub use hub::wait::without_waiting;
pub use one_line::one_line;
pub use report::{HubReport, Report, Site, SocketEnds, State, ThreadReport, report};
pub use shield::shield;
pub use thread_locals::on_green_thread;
pub use timeout::timeout;
pub use trampoline::{trampoline, wait_readable, wait_writable};

/// Runs `f` as a green thread, waits for it, and gives its value.
///
/// A program whose `main` is to run on a green thread calls this once. If `main` may stay on its OS
/// thread, nothing need be called.
///
/// # Panics
///
/// With `f`'s panic, if it panics; if no green thread can be started.
///
/// ```
/// assert_eq!(greenhub::run(|| 2 + 2), 4);
/// ```
pub fn run<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    green_thread::spawn(f)
        .join()
        .unwrap_or_else(|panic| hub::interrupt::resume_unwind(panic))
}

/// Ends the process, as [`std::process::exit`] does.
///
/// That runs the destructors of the calling thread's thread-locals, which are its neighbours' too
/// where green threads share those of their hub ([`ThreadLocals`]), then those of C++'s statics and
/// what was registered with atexit(3). From the call on no neighbour runs, even if one of these
/// waits: to join one panics. Green threads that start then are other hubs', if there are any. With `std::process::exit` none runs once statics are destroyed that were made before the
/// hubs were started; where thread-locals are shared and the C library is glibc, none as soon as the
/// first destructor has run.
///
/// ```no_run
/// greenhub::run(|| greenhub::exit(1));
/// ```
pub fn exit(code: i32) -> ! {
    hub::held::hold_for_good();
    std::process::exit(code)
}

/// Whether a green thread runs here, rather than a plain OS thread.
///
/// ```
/// assert!(!greenhub::is_green());
/// assert!(greenhub::run(greenhub::is_green));
/// ```
#[inline]
pub fn is_green() -> bool {
    hub::current::is_green()
}

/// How many hubs there are. Starts them, if nothing has yet.
///
/// # Errors
///
/// What kept them from starting: descriptors or OS threads run out.
pub fn hub_count() -> std::io::Result<usize> {
    hub::placement::hubs().map(<[_]>::len)
}
