//! The echo server on an OS thread a connection.

use std::{net, thread};

#[path = "../../../blocking/echo.rs"]
mod echo;

pub use echo::serve;
