//! An error that is returned more than once.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// What is needed to make an `io::Error`, which cannot be cloned, once more.
#[derive(Clone)]
pub(crate) enum KeptError {
    /// The operating system's code.
    Os(i32),
    /// Any other, wrapped.
    Other(Arc<io::Error>),
    /// One whose like can be made.
    #[cfg(feature = "asyncio")]
    Made(Arc<dyn Fn() -> io::Error + Send + Sync>),
}

impl KeptError {
    pub(crate) fn new(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(code) => Self::Os(code),
            None => Self::Other(Arc::new(error)),
        }
    }

    pub(crate) fn error(&self) -> io::Error {
        match self {
            Self::Os(code) => io::Error::from_raw_os_error(*code),
            Self::Other(error) => io::Error::new(error.kind(), Again(Arc::clone(error))),
            #[cfg(feature = "asyncio")]
            Self::Made(make) => make(),
        }
    }
}

impl fmt::Debug for KeptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error().fmt(f)
    }
}

#[derive(Debug)]
struct Again(Arc<io::Error>);

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Again {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
