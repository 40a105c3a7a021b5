//! eventlet's toolkit: servers, pools, queues, events. The feature `toolkit`.

pub mod convenience;
pub mod event;
pub mod pool;
pub mod pools;
pub mod queue;
pub mod reconnect;
pub mod semaphore;
pub mod tpool;
