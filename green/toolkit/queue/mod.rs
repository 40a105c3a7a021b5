//! Queues between green threads and OS threads: put at one end, get at the other, and wait for
//! whichever is not possible yet.
//!
//! | | gives out |
//! |---|---|
//! | [`Queue`] | the item that was put first |
//! | [`LifoQueue`] | the item that was put last |
//! | [`PriorityQueue`] | the smallest item |
//! | [`LightQueue`] | as `Queue`, without `task_done` and `join` |
//!
//! A queue is shared by reference: [`Arc`](std::sync::Arc) has it outlive the function that made it, as below.
//!
//! A queue made by `new` is unbounded, and a put never waits. With one made by `bounded` a put waits while the
//! queue holds that many items; a bound of zero makes it a *rendezvous*, where a put returns when a get has taken
//! its item.
//!
//! Waiting threads are served in order of arrival. If a thread that waits to get is killed or its limit passes, it
//! is given no item; one that waits to put keeps its item. So nothing is lost, and nobody who has gone is served.
//! [`green::timeout`](crate::timeout()) limits every wait here.
//!
//! A queue ends when it is [shut down](Queue::shutdown): nothing can be put any more, and [iterating](Queue::iter)
//! over it gives what is in it, and then ends. A queue has no sender and receiver that could be dropped; if it is
//! to end when the last producer is dropped, use a [`channel`](crate::channel).
//!
//! # Differences from eventlet
//!
//! Waiters are served in order, which eventlet does not promise. To wait, to try and to wait with
//! a limit are methods of their own. An item that could not be put comes back in the error.
//! `shutdown` is that of Python 3.13's queues.
//!
//! # Examples
//!
//! Workers that share a queue, and a thread that waits until all is done:
//!
//! ```
//! use std::sync::Arc;
//!
//! use green::queue::Queue;
//!
//! let queue = Arc::new(Queue::bounded(4));
//! for _ in 0..3 {
//!     let queue = Arc::clone(&queue);
//!     green::thread::spawn(move || {
//!         for number in queue.iter() {
//!             assert!(number < 100);
//!             queue.task_done().unwrap();
//!         }
//!     });
//! }
//! (0..100).for_each(|number| queue.put(number));
//! queue.join();
//! queue.shutdown(); // The workers end.
//! ```

pub(crate) mod core;
mod error;
mod interface;
pub(crate) mod order;
mod tasks;

use greenhub::Deadline;
use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    time::Duration,
};

pub use error::{Empty, Full, NothingOutstanding};

use self::{
    core::Core,
    interface::{counts_tasks, queue},
    order::{Fifo, LeastFirst, Lifo},
    tasks::{CountedItem, NoTasks, NotCounted, Tasks},
};

queue! {
    /// A queue that gives out the item that was put first, and knows how many items are still being worked on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::queue::{Empty, Full, Queue};
    ///
    /// let queue = Queue::bounded(1);
    /// queue.put("first");
    /// assert_eq!(queue.try_put("second"), Err(Full("second")));
    /// assert_eq!(queue.get(), "first");
    /// assert_eq!(queue.get_timeout(Duration::from_millis(1)), Err(Empty));
    /// ```
    Queue [] Fifo, Tasks, CountedItem<'_>, "queue"
}

queue! {
    /// A [`Queue`] without `task_done` and `join`.
    ///
    /// # Examples
    ///
    /// A rendezvous: the putter goes on when its item has been taken.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use green::queue::LightQueue;
    ///
    /// let queue = Arc::new(LightQueue::bounded(0));
    /// let theirs = Arc::clone(&queue);
    /// let putter = green::thread::spawn(move || theirs.put(7));
    /// assert_eq!(queue.get(), 7);
    /// putter.join().unwrap();
    /// ```
    LightQueue [] Fifo, NoTasks, NotCounted, "queue"
}

queue! {
    /// A queue that gives out the item that was put last.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::queue::LifoQueue;
    ///
    /// let queue = LifoQueue::new();
    /// ["first", "last"].map(|item| queue.put(item));
    /// assert_eq!(queue.get(), "last");
    /// ```
    LifoQueue [] Lifo, Tasks, CountedItem<'_>, "queue"
}

queue! {
    /// A queue that gives out the smallest item, and of equal items the one that was put first.
    ///
    /// Items are compared under the queue's lock: their `Ord` must not wait, nor use this queue.
    /// [`Reverse`](std::cmp::Reverse) turns the order round.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::queue::PriorityQueue;
    ///
    /// let queue = PriorityQueue::new();
    /// [(2, "later"), (1, "soon"), (3, "last")].map(|item| queue.put(item));
    /// assert_eq!(queue.get(), (1, "soon"));
    /// ```
    PriorityQueue [Ord] LeastFirst, Tasks, CountedItem<'_>, "queue"
}

counts_tasks!(Queue []);
counts_tasks!(LifoQueue []);
counts_tasks!(PriorityQueue[Ord]);
