//! A protocol as its transport sees it.

use std::any::Any;
use std::io;
use std::sync::Arc;

/// How bytes are received that a protocol has given room for.
pub type Receive<'a> = &'a mut dyn FnMut(&mut [u8]) -> io::Result<usize>;

/// The protocol of a stream, whatever its type: its calls, made while nobody else uses it. What a call returns or
/// panics with comes back as an error.
pub trait Callbacks: Send + Sync {
    fn received(&self, data: &[u8]) -> io::Result<()>;

    /// For a protocol with a buffer of its own: receives into that. The outer error is that of `receive`, the inner
    /// result that of the protocol.
    fn receive_into(&self, _receive: Receive<'_>) -> Option<io::Result<(usize, io::Result<()>)>> {
        None
    }

    fn has_buffer(&self) -> bool {
        false
    }

    fn ended(&self) -> io::Result<bool>;

    fn lost(&self, error: Option<io::Error>) -> io::Result<()>;

    fn paused(&self, paused: bool) -> io::Result<()>;

    /// The `Arc<Cell<P>>`.
    fn cell(&self) -> Arc<dyn Any + Send + Sync>;
}
