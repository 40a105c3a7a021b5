//! Crates and C libraries as they are, and what each is asked: the tests and a benchmark share it.

pub mod databases;
pub mod http;
pub mod libraries;

use std::any::Any;
use std::sync::Arc;

/// Asks, waits for the answer, and returns it.
pub type Ask = Box<dyn FnOnce() -> String>;

#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    open: Arc<dyn Fn(usize) -> Ask + Send + Sync>,
    /// Lives as long.
    _server: Arc<dyn Any + Send + Sync>,
}

impl Case {
    /// `open` connects and returns how the question with this number is asked.
    fn new<A: FnOnce() -> String + 'static>(
        name: &'static str,
        server: impl Any + Send + Sync,
        open: impl Fn(usize) -> A + Send + Sync + 'static,
    ) -> Case {
        Case {
            name,
            open: Arc::new(move |n| Box::new(open(n))),
            _server: Arc::new(server),
        }
    }

    pub fn open(&self, n: usize) -> Ask {
        (self.open)(n)
    }
}
