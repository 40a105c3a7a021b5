//! `green::pools::Pool` of connections to real databases: PostgreSQL by the crate tokio-postgres over green
//! streams, redis by redis-protocol. A server that is not installed is named, and its tests are skipped.

mod postgres;
mod redis;
