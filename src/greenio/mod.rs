//! Green sockets and pipes: blocking to look at, non-blocking underneath.
//!
//! [`GreenSocket`] is a socket of any family and type. Its calls read like those
//! of a blocking socket and behave so; a call that would block parks the calling
//! green thread instead, and the hub serves others meanwhile. On a plain OS
//! thread the same call blocks that thread.
//!
//! ```text
//!   recv(buf) ──► try ──► data, end or error ──────────────► return it
//!                  │
//!                  └─► EAGAIN ──► park until readable ──► try again
//!                                 └► limit passed ─────────► Err(WouldBlock)
//!                                 └► closed here ──────────► Err(NotConnected)
//! ```
//!
//! The descriptor is always `O_NONBLOCK`, whatever the user set: non-blocking
//! mode and timeouts are properties of the [`GreenSocket`], kept beside it and
//! shared by its clones.
//!
//! [`GreenPipe`] is the same for pipes, FIFOs and terminals, with the plain
//! read and write calls.
//!
//! Left out on purpose: name look-up (a green type one layer up does that) and
//! anything that would block the hub's OS thread.

mod accept;
mod ancillary;
mod backoff;
mod connect;
mod handover;
mod ip_options;
mod nonblocking;
mod one_call;
mod options;
mod pipe;
mod poll;
mod raw_options;
mod receive;
mod send;
mod send_file;
mod settings;
mod socket;
mod stream;
mod tcp_options;
mod timeouts;
mod unannounced;
mod verdict;

pub use ancillary::{ControlMessage, ControlMessages, ControlWriter, Received};
pub use nonblocking::NonBlocking;
pub use one_call::OneCall;
pub use pipe::GreenPipe;
pub use send::SendAllError;
pub use socket::GreenSocket;
pub use socket2::{Domain, Protocol, SockAddr, TcpKeepalive, Type};
