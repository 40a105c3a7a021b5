//! asyncio's names on green threads: for programs that are ported from asyncio, its callbacks, futures, sockets,
//! transports and streams.
//!
//! | asyncio | here |
//! |---|---|
//! | `loop.call_soon`, `call_soon_threadsafe`, `call_later`, `call_at` | [`call_soon`], [`call_soon_threadsafe`], [`call_later`], [`call_at`] |
//! | `Handle`, `TimerHandle` | [`Handle`], [`TimerHandle`] |
//! | `Future`, `loop.create_future`, `wait_for(future, limit)` | [`Future`], [`Future::wait`] |
//! | `CancelledError`, `InvalidStateError`, `TimeoutError` | [`FutureError`] |
//! | `loop.run_in_executor`, `to_thread` | [`run_in_executor`], [`blocking`](crate::blocking()) |
//! | `loop.add_signal_handler`, `remove_signal_handler` | [`add_signal_handler`], [`remove_signal_handler`] |
//! | `loop.sock_recv` and the other calls on sockets | [`sock_recv`] and the others |
//! | `open_connection`, `open_unix_connection` | [`open_connection`], [`open_unix_connection`], [`open_connection_over`] |
//! | `start_server`, `start_unix_server` | [`start_server`], [`start_unix_server`], [`start_server_over`] |
//! | `StreamReader`, `StreamWriter` | [`StreamReader`], [`StreamWriter`] |
//! | `IncompleteReadError`, `LimitOverrunError` | [`ReadError`], [`IncompleteReadError`], [`LimitOverrunError`] |
//! | `Transport`, `Protocol`, `BufferedProtocol` | [`Transport`], [`Protocol`], [`BufferedProtocol`] |
//! | `loop.create_connection`, `create_unix_connection` | [`create_connection`], [`create_unix_connection`] |
//! | `loop.create_server`, `create_unix_server`, `Server` | [`create_server`], [`create_unix_server`], [`Server`] |
//! | `loop.connect_accepted_socket` | [`connect_accepted_socket`] |
//! | `loop.create_datagram_endpoint`, `DatagramTransport`, `DatagramProtocol` | [`create_datagram_endpoint`], [`DatagramTransport`], [`DatagramProtocol`] |
//! | `loop.start_tls` | [`start_tls`] |
//! | `sock=` of these | [`create_connection_over`], [`create_server_over`] |
//! | `transport.get_extra_info` | [`ExtraInfo`] |
//! | `loop.time` | [`Instant::now`](std::time::Instant::now) |
//! | `sleep`, `timeout`, `create_task` | [`thread::sleep`](crate::thread::sleep), [`timeout`](crate::timeout()), [`thread::spawn`](crate::thread::spawn) |
//!
//! There is no loop to run and nothing to await: every call works from any green or OS thread, and one that has to wait
//! parks the calling green thread. [`Future::wait`] waits for a future, such as that of [`run_in_executor`]; `async`
//! code may await it, since it is a Rust future as well. [`call_soon`] and the like return handles that can only
//! cancel: to know when the call has run, let it complete a [`Future`].
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use green::asyncio::{Future, call_later};
//!
//! let answer = Future::new();
//! let later = answer.clone();
//! call_later(Duration::from_millis(5), move || drop(later.set_result(42)));
//! // No `await`: this green thread parks.
//! assert_eq!(answer.wait(None).unwrap(), 42);
//! ```

mod calls;
mod cell;
mod connect;
mod connections;
mod datagram;
mod executor;
mod extra;
mod futures;
mod options;
mod panicked;
pub mod protocol;
mod server;
mod signals;
mod sock;
mod streams;
mod transport;

pub use calls::{Handle, TimerHandle, call_at, call_later, call_soon, call_soon_threadsafe};
pub use cell::ProtocolRef;
pub use connect::{
    Connected, DatagramOptions, connect_accepted_socket, create_connection, create_connection_over,
    create_datagram_endpoint, create_datagram_endpoint_over, create_unix_connection,
};
pub use datagram::DatagramTransport;
pub use executor::run_in_executor;
pub use extra::ExtraInfo;
pub use futures::{CallbackId, Future, FutureError};
pub use options::{ConnectionOptions, ServerOptions, TlsOptions};
pub use panicked::ProtocolPanicked;
pub use protocol::{BufferedProtocol, DatagramProtocol, Protocol, StreamProtocol};
pub use server::{Server, create_server, create_server_over, create_unix_server};
pub use signals::{add_signal_handler, remove_signal_handler};
pub use sock::{
    sock_accept, sock_connect, sock_recv, sock_recv_into, sock_recvfrom, sock_recvfrom_into,
    sock_sendall, sock_sendfile, sock_sendto,
};
pub use streams::{
    IncompleteReadError, LimitOverrunError, Lines, ReadError, StreamReader, StreamWriter,
    open_connection, open_connection_over, open_unix_connection, start_server, start_server_over,
    start_unix_server,
};
pub use transport::{Transport, start_tls};
