//! How a hub is reached from other OS threads: its number, its inbox, its bell.
//!
//! | who | does first | and then |
//! |---|---|---|
//! | whoever posts | fills the inbox, sets `mail` | rings, if the hub is `sleeping` |
//! | the hub | sets `sleeping` | looks at `mail`, and polls only if there is none |
//!
//! So either the hub sees the mail or it is rung for.

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sys::eventfd::EventFd;
use crate::sys::lock::Lock;

pub(crate) struct Home<T> {
    pub(crate) index: usize,
    bell: EventFd,
    inbox: Lock<Vec<T>>,
    /// Whether the inbox holds anything: a look without the lock.
    mail: AtomicBool,
    /// Whether the hub is in, or about to enter, a poll that only the bell ends.
    sleeping: AtomicBool,
}

impl<T> Home<T> {
    pub(super) fn new(index: usize) -> io::Result<Home<T>> {
        Ok(Home {
            index,
            bell: EventFd::new()?,
            inbox: Lock::new(Vec::new()),
            mail: AtomicBool::new(false),
            sleeping: AtomicBool::new(false),
        })
    }

    /// The descriptor by which others ring for the hub, and which it polls with all others.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Leaves `item` for the hub, which is not this OS thread's.
    pub(super) fn post(&self, item: T) {
        self.inbox.lock().push(item);
        self.mail.store(true, Ordering::SeqCst);
        if self.sleeping.swap(false, Ordering::SeqCst) {
            self.bell.ring();
        }
    }

    /// If the inbox holds anything, exchanges it for `empty` and returns true. Only the hub calls
    /// this.
    #[inline]
    pub(super) fn take(&self, empty: &mut Vec<T>) -> bool {
        let mail = self.mail.load(Ordering::Relaxed);
        if mail {
            self.mail.store(false, Ordering::SeqCst);
            mem::swap(&mut *self.inbox.lock(), empty);
        }
        mail
    }

    /// The hub is about to poll. False if it must not wait there, since there is mail.
    #[inline]
    pub(super) fn may_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        !self.mail.load(Ordering::SeqCst)
    }

    /// The hub has polled.
    #[inline]
    pub(super) fn is_awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_sleeping(&self) -> bool {
        self.sleeping.load(Ordering::Relaxed)
    }

    /// How many items are there that the hub has not taken yet.
    pub(super) fn len(&self) -> usize {
        self.inbox.lock().len()
    }
}
