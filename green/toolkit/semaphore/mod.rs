//! Counting semaphores, between green threads and OS threads alike.
//!
//! | | releasing more than was acquired |
//! |---|---|
//! | [`Semaphore`] | adds permits |
//! | [`BoundedSemaphore`] | is an error |
//! | [`CappedSemaphore`] | waits until somebody acquires |
//!
//! Waiters are served in order of arrival. One that runs out of time or is killed takes no permit
//! with it. A permit can be taken as a mere count and given back by a call, or as a guard.
//!
//! # Differences from eventlet
//!
//! A number of permits cannot be negative. Instead of flags there are methods: `try_acquire` never waits,
//! `acquire_timeout` waits for a limit, and `acquire` until there is a permit; [`Semaphore::acquire`] takes a
//! [`Deadline`](crate::Deadline) to give up at, which may be `NEVER`. There is no `Lock` here:
//! [`Mutex`](crate::sync::Mutex) is one.
//!
//! # Examples
//!
//! ```
//! use green::semaphore::Semaphore;
//! use green::{Deadline, thread};
//!
//! // Three may be at it at a time.
//! let tickets = Semaphore::new(3);
//! thread::scope(|scope| {
//!     for _ in 0..10 {
//!         scope.spawn(|| {
//!             tickets.acquire(Deadline::NEVER);
//!             thread::yield_now();
//!             tickets.release();
//!         });
//!     }
//! });
//! assert_eq!(tickets.available(), 3);
//! ```

pub use greenhub::semaphore::{MAX_PERMITS, Permit, Semaphore};

mod bounded;
mod capped;

pub use bounded::{BoundedPermit, BoundedSemaphore, NotAcquired};
pub use capped::{CappedPermit, CappedSemaphore};
