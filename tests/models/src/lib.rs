//! Models: all that several OS threads can do to each other in the sources that they are made of, tried out by loom.
//!
//! `build/main.rs` takes the sources as they are and puts loom's atomics in std's place. What stands
//! around them is here: threads that park, kill and time out, a futex and a bell. Every waiting
//! thread is of the kind that greenhub calls an OS thread; green threads differ in how they suspend.
//!
//! ```text
//! cargo test --manifest-path tests/models/Cargo.toml
//! ```
#![allow(
    dead_code,
    unused,
    clippy::all,
    reason = "of each source a model uses a part"
)]

macro_rules! source {
    ($file:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $file));
    };
}

pub mod atomic;

/// std, but for atomics.
mod stand_in {
    pub use ::std::*;
    pub mod sync {
        pub use crate::atomic;
        pub use ::std::sync::*;
    }
}

/// The fault that the sources are to have, by `GREEN_MUTANT`.
fn mutant() -> Option<&'static str> {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var("GREEN_MUTANT").ok());
    chosen.as_deref()
}

fn is_mutated(name: &str) -> bool {
    mutant() == Some(name)
}

/// Time that stands still, or passes by a millisecond at each look.
mod clock {
    use std::cell::Cell;

    std::thread_local! {
        static NOW: Cell<u64> = const { Cell::new(1) };
        static STEP: Cell<u64> = const { Cell::new(0) };
    }

    pub fn each_look_takes(nanos: u64) {
        STEP.set(nanos);
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Nanos(pub u64);

    impl Nanos {
        pub const LONG_AGO: Nanos = Nanos(0);

        pub fn now() -> Nanos {
            NOW.set(NOW.get() + STEP.get());
            Nanos(NOW.get())
        }
    }
}

/// A model that fails panics.
mod contain {
    pub fn abort(message: impl std::fmt::Display) -> ! {
        panic!("{message}")
    }
}

/// A deadline that is not for ever passes as soon as its thread would sleep.
mod deadline {
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Deadline(bool);

    impl Deadline {
        pub const SOON: Deadline = Deadline(false);
        pub const NEVER: Deadline = Deadline(true);

        pub fn is_never(self) -> bool {
            self == Deadline::NEVER
        }
    }

    #[derive(Debug)]
    pub struct AtomicDeadline(std::sync::atomic::AtomicBool);

    impl AtomicDeadline {
        pub fn new(deadline: Deadline) -> AtomicDeadline {
            AtomicDeadline(deadline.0.into())
        }

        pub fn get(&self) -> Deadline {
            Deadline(self.0.load(std::sync::atomic::Ordering::Relaxed))
        }

        pub fn set(&self, deadline: Deadline) {
            self.0
                .store(deadline.0, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

use deadline::Deadline;

mod sys {
    pub mod lock {
        source!("src_sys_lock.rs");
    }

    pub mod futex {
        use std::collections::VecDeque;
        use std::sync::Arc;

        use crate::atomic::{AtomicU32, Ordering};
        use loom::sync::{Mutex, Notify};

        loom::lazy_static! {
            /// Who sleeps, by the addresses of their words.
            static ref SLEEPERS: Mutex<VecDeque<(usize, Arc<Notify>)>> = Mutex::new(VecDeque::new());
        }

        fn address(word: &AtomicU32) -> usize {
            std::ptr::from_ref(word) as usize
        }

        pub fn wait(word: &AtomicU32, expected: u32, _: Option<()>) {
            let bell = Arc::new(Notify::new());
            {
                let mut sleepers = SLEEPERS.lock().unwrap();
                if word.load(Ordering::Relaxed) != expected {
                    return;
                }
                sleepers.push_back((address(word), bell.clone()));
            }
            bell.wait();
            // It may wake up by itself.
            let mut sleepers = SLEEPERS.lock().unwrap();
            sleepers.retain(|(_, other)| !Arc::ptr_eq(other, &bell));
        }

        pub fn wake(word: &AtomicU32, count: u32) {
            assert_eq!(count, 1);
            let mut sleepers = SLEEPERS.lock().unwrap();
            let first = sleepers.iter().position(|(at, _)| *at == address(word));
            if let Some((_, bell)) = first.and_then(|first| sleepers.remove(first)) {
                bell.notify();
            }
        }
    }

    pub mod eventfd {
        use std::io;
        use std::os::fd::{AsFd, BorrowedFd};

        use loom::sync::{Condvar, Mutex};

        pub struct EventFd {
            rung: Mutex<bool>,
            waiting: Condvar,
        }

        impl EventFd {
            pub fn new() -> io::Result<EventFd> {
                Ok(EventFd {
                    rung: Mutex::new(false),
                    waiting: Condvar::new(),
                })
            }

            pub fn ring(&self) {
                *self.rung.lock().unwrap() = true;
                self.waiting.notify_all();
            }

            /// What a hub does in its poller.
            pub fn wait(&self) {
                let mut rung = self.rung.lock().unwrap();
                while !*rung {
                    rung = self.waiting.wait(rung).unwrap();
                }
                *rung = false;
            }
        }

        impl AsFd for EventFd {
            fn as_fd(&self) -> BorrowedFd<'_> {
                unreachable!("a model has no descriptors")
            }
        }
    }

    pub mod poll {}
}

pub mod hub;
pub mod waiters {
    source!("src_wait_queue_waiters.rs");
}
pub mod wait_queue {
    source!("src_wait_queue.rs");
}
pub mod lock {
    source!("green_faces_sync_lock.rs");
}
pub mod shared_lock {
    source!("green_faces_sync_shared_lock.rs");
}
pub mod channel {
    pub mod context {
        source!("green_faces_channel_context.rs");
    }
    pub mod core {
        source!("green_faces_channel_core.rs");
    }
    pub mod handoff {
        source!("green_faces_channel_handoff.rs");
    }
    pub mod readers {
        source!("green_faces_channel_readers.rs");
    }
    pub mod state {
        source!("green_faces_channel_state.rs");
    }
}
pub mod join;

#[cfg(test)]
mod models;
