//! A small page over HTTP/1.1 on every rival.

pub mod hyper;
pub mod threads;
