//! eventlet's toolkit: servers, pools, queues, events, tasks that depend on each other. The feature `toolkit`.

pub mod convenience;
pub mod dagpool;
pub mod event;
pub mod pool;
pub mod pools;
pub mod queue;
pub mod reconnect;
pub mod semaphore;
pub mod tpool;
