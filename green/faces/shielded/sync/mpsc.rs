//! [`green::sync::mpsc`](crate::sync::mpsc), whose waits are shielded.
//!
//! # Examples
//!
//! ```
//! use green::shielded::sync::mpsc::sync_channel;
//!
//! let (send, receive) = sync_channel(1);
//! green::thread::spawn(move || (1..=3).try_for_each(|n| send.send(n)));
//! assert_eq!(receive.iter().collect::<Vec<_>>(), [1, 2, 3]);
//! ```

use std::time::Duration;

use crate::shield;
use crate::shielded::{converted, received_by_iterators, shielded};
use crate::sync::mpsc;

#[doc(no_inline)]
pub use crate::sync::mpsc::{
    RecvError, RecvTimeoutError, SendError, Sender, TryIter, TryRecvError, TrySendError,
};

/// As [`mpsc::channel`]. A sender never waits.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (send, receive) = mpsc::channel();
    (send, Receiver(receive))
}

/// As [`mpsc::sync_channel`].
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let (send, receive) = mpsc::sync_channel(bound);
    (SyncSender(send), Receiver(receive))
}

shielded! {
    /// As [`mpsc::SyncSender`].
    SyncSender [T] [T] over mpsc::SyncSender<T>
}
converted! { SyncSender [T] [T] over mpsc::SyncSender<T> }

impl<T> SyncSender<T> {
    /// As [`mpsc::SyncSender::send`].
    ///
    /// # Errors
    ///
    /// Gives `t` back if the receiver is gone.
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        shield(|| self.0.send(t))
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> SyncSender<T> {
        SyncSender(self.0.clone())
    }
}

shielded! {
    /// As [`mpsc::Receiver`].
    Receiver [T] [T] over mpsc::Receiver<T>
}
converted! { Receiver [T] [T] over mpsc::Receiver<T> }

impl<T> Receiver<T> {
    /// As [`mpsc::Receiver::recv`].
    ///
    /// # Errors
    ///
    /// If the channel is empty and all senders are gone.
    pub fn recv(&self) -> Result<T, RecvError> {
        shield(|| self.0.recv())
    }

    /// As [`mpsc::Receiver::recv_timeout`].
    ///
    /// # Errors
    ///
    /// If the time passes, or the channel is empty and all senders are gone.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        shield(|| self.0.recv_timeout(timeout))
    }

    /// As [`mpsc::Receiver::iter`].
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }
}

received_by_iterators!();
