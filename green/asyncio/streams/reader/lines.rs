//! A reader as std's `Read`, and line by line.

use std::io;

use super::StreamReader;
use crate::asyncio::streams::error::ReadError;

impl io::Read for &StreamReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_into(buf)
    }
}

impl io::Read for StreamReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_into(buf)
    }
}

/// The lines of a stream, each with its newline, waiting for each; made by iterating over a `&StreamReader`. An error
/// of the connection is the last item; a line that is too long is an error too, but the next line follows it.
///
/// # Examples
///
/// ```
/// let reader = green::asyncio::StreamReader::new();
/// reader.feed_data(b"one\ntwo\nthree");
/// reader.feed_eof();
/// let lines: Result<Vec<_>, _> = reader.into_iter().collect();
/// assert_eq!(lines?, [&b"one\n"[..], b"two\n", b"three"]);
/// # Ok::<(), green::asyncio::ReadError>(())
/// ```
#[derive(Debug)]
pub struct Lines<'a> {
    reader: &'a StreamReader,
    over: bool,
}

impl Iterator for Lines<'_> {
    type Item = Result<Vec<u8>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let line = self.reader.readline();
        self.over = match &line {
            Ok(line) => line.is_empty(),
            Err(error) => matches!(error, ReadError::Io(_)),
        };
        Some(line).filter(|line| !matches!(line, Ok(line) if line.is_empty()))
    }
}

impl<'a> IntoIterator for &'a StreamReader {
    type Item = Result<Vec<u8>, ReadError>;
    type IntoIter = Lines<'a>;

    fn into_iter(self) -> Lines<'a> {
        Lines {
            reader: self,
            over: false,
        }
    }
}
