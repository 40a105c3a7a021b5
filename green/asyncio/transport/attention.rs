//! How a reader is woken, wherever it waits, to look at what others want.

use std::sync::atomic::{AtomicBool, Ordering};

use greenhub::Deadline;
use greenhub::source::{Direction, Source};
use greenhub::wait_queue::{WaitQueue, Wake};

/// A flag that somebody wants the reader to look at the state. The reader lowers it, looks, and then waits in one of
/// two places: at its socket, where it is reached by a nudge, or here. A caller changes the state first and raises the
/// flag then; so either the reader sees the change, or its wait ends.
#[derive(Debug, Default)]
pub(in super::super) struct Attention {
    wanted: AtomicBool,
    /// Whether the reader is at the socket.
    receiving: AtomicBool,
    idle: WaitQueue,
}

impl Attention {
    /// Calls the reader of `source`.
    pub(in super::super) fn call(&self, source: &Source) {
        self.wanted.store(true, Ordering::SeqCst);
        self.idle.wake_all();
        if self.receiving.load(Ordering::SeqCst) {
            source.nudge(Direction::Read);
        }
    }

    /// The reader's, before it looks at the state.
    pub(in super::super) fn lower(&self) {
        self.wanted.store(false, Ordering::SeqCst);
    }

    /// Runs `receive` at the socket, which is to give up when the flag that it is handed is set.
    pub(in super::super) fn at_socket<T>(&self, receive: impl FnOnce(&AtomicBool) -> T) -> T {
        struct Away<'a>(&'a AtomicBool);
        impl Drop for Away<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::SeqCst);
            }
        }
        // A nudge that comes before the wait outlives it until then.
        self.receiving.store(true, Ordering::SeqCst);
        let _away = Away(&self.receiving);
        receive(&self.wanted)
    }

    /// Waits to be called; false if `deadline` passed first.
    pub(in super::super) fn wait(&self, what: &'static str, deadline: Deadline) -> bool {
        let uncalled = || !self.wanted.load(Ordering::SeqCst);
        self.idle.wait(what, deadline, uncalled) != Wake::TimedOut
    }
}
