//! Why a read from a stream did not return what was asked for.

use std::error::Error;
use std::fmt;
use std::io;

/// Why a [`StreamReader`](super::StreamReader) could not return what was asked for.
///
/// `?` turns it into an [`io::Error`], which carries it inside.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use green::asyncio::{ReadError, StreamReader};
///
/// let reader = StreamReader::with_limit(8);
/// reader.feed_data(b"a line that is too long");
/// assert!(matches!(reader.readuntil(b"\n"), Err(ReadError::LimitOverrun(_))));
/// reader.feed_eof();
/// let error = reader.readexactly(100).unwrap_err();
/// assert_eq!(error.partial(), Some(&b"a line that is too long"[..]));
/// assert_eq!(io::Error::from(error).kind(), io::ErrorKind::UnexpectedEof);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The stream ended first.
    Incomplete(IncompleteReadError),
    /// The separator did not come within the limit.
    LimitOverrun(LimitOverrunError),
    /// The connection failed, or the arguments make no sense.
    Io(io::Error),
}

/// The stream ended before all that was asked for had come; this holds what had come.
///
/// # Examples
///
/// ```
/// use green::asyncio::{ReadError, StreamReader};
///
/// let reader = StreamReader::new();
/// reader.feed_data(b"too short");
/// reader.feed_eof();
/// let Err(ReadError::Incomplete(error)) = reader.readexactly(100) else { unreachable!() };
/// assert_eq!(error.partial, b"too short");
/// assert_eq!(error.expected, Some(100));
/// assert_eq!(error.to_string(), "the stream ended after 9 of 100 bytes");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncompleteReadError {
    /// What came before the end.
    pub partial: Vec<u8>,
    /// How many bytes were asked for, if it was a number.
    pub expected: Option<usize>,
}

/// More than the reader's limit came without a separator. The data stays in the reader.
///
/// # Examples
///
/// ```
/// use green::asyncio::{ReadError, StreamReader};
///
/// let reader = StreamReader::with_limit(4);
/// reader.feed_data(b"too long;next;");
/// let Err(ReadError::LimitOverrun(error)) = reader.readuntil(b";") else { unreachable!() };
/// assert!(error.found);
/// assert_eq!(error.consumed, 8);
/// assert_eq!(reader.readexactly(error.consumed + 1)?, b"too long;");
/// assert_eq!(reader.readuntil(b";")?, b"next;");
/// # Ok::<(), ReadError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOverrunError {
    /// How many bytes were searched in vain. Read them, by [`readexactly`](super::StreamReader::readexactly) for
    /// example, to get past them.
    pub consumed: usize,
    /// Whether a separator follows them.
    pub found: bool,
}

impl ReadError {
    /// What came before the end of the stream, if that is what went wrong.
    pub fn partial(&self) -> Option<&[u8]> {
        match self {
            ReadError::Incomplete(error) => Some(&error.partial),
            _ => None,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Incomplete(error) => error.fmt(f),
            ReadError::LimitOverrun(error) => error.fmt(f),
            ReadError::Io(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for IncompleteReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let came = self.partial.len();
        match self.expected {
            Some(expected) => write!(f, "the stream ended after {came} of {expected} bytes"),
            None => write!(f, "the stream ended after {came} bytes without a separator"),
        }
    }
}

impl fmt::Display for LimitOverrunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let consumed = self.consumed;
        match self.found {
            true => write!(
                f,
                "the separator comes after {consumed} bytes: more than the limit"
            ),
            false => write!(f, "no separator in {consumed} bytes: more than the limit"),
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ReadError::Incomplete(error) => Some(error),
            ReadError::LimitOverrun(error) => Some(error),
            ReadError::Io(error) => Some(error),
        }
    }
}

impl Error for IncompleteReadError {}

impl Error for LimitOverrunError {}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError::Io(error)
    }
}

/// `UnexpectedEof` for an incomplete read, `InvalidData` for an overrun, with the error inside.
impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> io::Error {
        let kind = match error {
            ReadError::Io(error) => return error,
            ReadError::Incomplete(_) => io::ErrorKind::UnexpectedEof,
            ReadError::LimitOverrun(_) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}
