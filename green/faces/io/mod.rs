//! std's `io` for green threads: the traits and types are std's own, the descriptors park instead of blocking.
//!
//! [`pipe`], [`stdin`], [`stdout`], [`stderr`] and [`copy`] are green's own, and so are the macros
//! [`print!`](crate::print!), [`println!`](crate::println!), [`eprint!`](crate::eprint!) and
//! [`eprintln!`](crate::eprintln!); everything else is re-exported from `std::io`.
//!
//! # Differences from std
//!
//! - `copy` is never done by the kernel alone (splice, sendfile, copy_file_range).
//! - The standard streams keep buffers and locks of their own: bytes that `std::io::stdin` has read ahead are not seen
//!   by [`stdin`], and a line printed by std's macros may come between two of ours. Use one family.
//! - [`IsTerminal`] is a trait of this crate, because std's is sealed; every type with a descriptor has it.

#[cfg(feature = "tls")]
pub(crate) mod byte_queue;
mod copy;
pub(crate) mod face;
#[cfg(feature = "tls")]
pub(crate) mod kept_error;
mod pipe;
mod print;
mod raw;
mod reentrant_lock;
mod stdin;
mod stdout;

pub use std::io::{
    BufRead, BufReader, BufWriter, Bytes, Chain, Cursor, Empty, Error, ErrorKind, IntoInnerError,
    IoSlice, IoSliceMut, LineWriter, Lines, Read, Repeat, Result, Seek, SeekFrom, Sink, Split,
    Take, Write, WriterPanicked, empty, prelude, read_to_string, repeat, sink,
};

pub use copy::copy;
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use raw::IsTerminal;
pub use stdin::{Stdin, StdinLock, stdin};
pub use stdout::{Stderr, StderrLock, Stdout, StdoutLock, stderr, stdout};

#[doc(hidden)]
pub use print::{_eprint, _print};
