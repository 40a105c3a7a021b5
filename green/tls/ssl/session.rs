//! A session to resume: what a client keeps of one connection to shorten the next handshake.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A resumable session, from [`SslPipe::session`](super::SslPipe::session), for [`SslContext::pipe_resuming`](super::SslContext::pipe_resuming).
///
/// It holds secrets of the connection that it came from. In TLS 1.3 the server sends it after the handshake,
/// so it is there once something has been read, and is best used once.
#[derive(Clone)]
pub struct SslSession {
    /// The engine's own form of it, with the settings under which it was made.
    pub(crate) inner: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for SslSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SslSession").finish_non_exhaustive()
    }
}
