//! Which request a line in the log is about.

use std::fmt;

use greenhub::one_line;
use http::{Method, Request, Uri};

/// A request's method and target; nothing where nobody reads the log.
#[derive(Clone, Debug)]
pub(super) struct Named(Option<Box<(Method, Uri)>>);

impl Named {
    pub(super) fn of<B>(request: &Request<B>) -> Named {
        let logs = log::log_enabled!(target: "green::http", log::Level::Error);
        Named(logs.then(|| Box::new((request.method().clone(), request.uri().clone()))))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_deref() {
            Some((method, uri)) => write!(f, "{method} {}", one_line(uri)),
            None => f.write_str("a request"),
        }
    }
}
