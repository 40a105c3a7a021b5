//! The page on an OS thread a connection.

use std::{net, thread};

#[path = "../../../blocking/http.rs"]
mod http;

pub use http::serve;
