//! Calling wakers that belong to other executors.
//!
//! The waker of a user's executor may do anything: take a lock, wait, drop a future that closes a
//! socket. A hub that hands events out can do none of that. So it leaves such wakers to a green
//! thread of its own, the *herald*. If a waker waits, its herald waits with it, and another herald goes on
//! with the rest.
//!
//! A hub's heralds and whoever leaves wakers to them run on the hub's OS thread alone, one at a time.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use crate::contain::contain;
use crate::deadline::Deadline;
use crate::green_thread::Builder;
use crate::hub::interrupt::Shield;
use crate::hub::{Hub, current};
use crate::sys::lock::Lock;
use crate::wait_queue::{WaitQueue, Wake};

use super::waker::is_a_thread;

/// The heralds of one hub.
#[derive(Default)]
struct Heralds {
    left: Lock<VecDeque<Waker>>,
    idle: WaitQueue,
    /// How many are on their way to the next waker.
    coming: AtomicUsize,
}

fn of(hub: &Hub) -> Arc<Heralds> {
    hub.services.get()
}

/// Calls a waker, or makes a herald call it soon.
pub(crate) fn wake(waker: Waker) {
    match current::local() {
        Some(local) if !is_a_thread(&waker) => {
            let heralds = of(local.hub);
            heralds.left.lock().push_back(waker);
            // In the hub's own context there is one: whoever left the waker has seen to it. Without a stack
            // for another the rest waits for those there are.
            if heralds.summon(local.hub).is_err() && heralds.are_none() && current::is_green() {
                heralds.call_all(local.hub);
            }
        }
        _ if is_a_thread(&waker) => waker.wake(),
        _ => call(waker),
    }
}

/// Nothing cuts the waker of another executor short, whoever calls it. A kill of his waits for his next wait.
fn call(waker: Waker) {
    let _shield = Shield::new();
    contain(|| waker.wake());
}

/// To be called before `waker` is left where `hub` will wake it: later, if there is no herald, nobody could
/// be told.
///
/// # Errors
///
/// What keeps a green thread from starting.
pub(crate) fn prepare(waker: &Waker, hub: &'static Hub) -> io::Result<()> {
    let heralds = of(hub);
    match !is_a_thread(waker) && heralds.are_none() {
        true => heralds.start(hub),
        false => Ok(()),
    }
}

impl Heralds {
    fn are_none(&self) -> bool {
        self.coming.load(Ordering::SeqCst) == 0 && self.idle.is_empty()
    }

    /// Wakes an idle herald, or starts another one, unless one is on its way.
    fn summon(self: &Arc<Heralds>, hub: &'static Hub) -> io::Result<()> {
        if self.idle.wake_one() {
            self.coming.fetch_add(1, Ordering::SeqCst);
        } else if self.coming.load(Ordering::SeqCst) == 0 {
            self.start(hub)?;
        }
        Ok(())
    }

    fn start(self: &Arc<Heralds>, hub: &'static Hub) -> io::Result<()> {
        let coming = Coming::new(self);
        let builder = Builder::new().name("wakers".to_owned());
        let builder = builder.hub(hub.home.index).serves_the_hub();
        let started = builder.spawn(move || {
            let heralds = Arc::clone(&coming.0);
            drop(coming);
            heralds.run(hub);
        });
        started.map(drop)
    }

    /// Calls the wakers that were left, in order. While one runs, this thread may have to wait, so another
    /// one stands ready for the rest.
    fn call_all(self: &Arc<Heralds>, hub: &'static Hub) {
        while let (Some(waker), rest) = self.next() {
            if rest {
                let _ = self.summon(hub);
            }
            call(waker);
        }
    }

    /// The next waker, and whether there are more.
    fn next(&self) -> (Option<Waker>, bool) {
        let mut left = self.left.lock();
        (left.pop_front(), !left.is_empty())
    }

    fn run(self: &Arc<Heralds>, hub: &'static Hub) {
        loop {
            self.call_all(hub);
            // One that waits is enough.
            if !self.idle.is_empty() {
                return;
            }
            self.rest();
        }
    }

    fn rest(&self) {
        let nothing = || self.left.lock().is_empty();
        if self.idle.wait("a waker to call", Deadline::NEVER, nothing) == Wake::Woken {
            self.coming.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// A herald that was started, until it begins, or does not.
struct Coming(Arc<Heralds>);

impl Coming {
    fn new(heralds: &Arc<Heralds>) -> Coming {
        heralds.coming.fetch_add(1, Ordering::SeqCst);
        Coming(Arc::clone(heralds))
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.coming.fetch_sub(1, Ordering::SeqCst);
    }
}
