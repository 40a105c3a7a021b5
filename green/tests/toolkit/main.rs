//! eventlet's toolkit: pools, queues, events, servers in one call.

mod convenience;
mod dag_pool;
mod events;
mod groups;
mod handed;
mod places;
mod pools;
#[cfg(feature = "proxy-protocol")]
mod proxied;
mod queues;
mod reconnect;
mod resource_pools;
mod tpool;
