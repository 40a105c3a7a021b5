//! `green::asyncio::StreamReader`, fed by hand.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use green::asyncio::{IncompleteReadError, LimitOverrunError, ReadError, StreamReader};
use test_support::bounded;
use test_support::late_error::error_that_waits_in_drop;

const LIMIT: Duration = Duration::from_secs(60);

/// A reader that holds `data` and has no end yet.
fn holding(limit: usize, data: &[u8]) -> StreamReader {
    let reader = StreamReader::with_limit(limit);
    reader.feed_data(data);
    reader
}

/// A reader that holds `data` and ends then.
fn ended(limit: usize, data: &[u8]) -> StreamReader {
    let reader = holding(limit, data);
    reader.feed_eof();
    reader
}

fn incomplete(outcome: Result<Vec<u8>, ReadError>) -> IncompleteReadError {
    match outcome {
        Err(ReadError::Incomplete(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn overrun(outcome: Result<Vec<u8>, ReadError>) -> LimitOverrunError {
    match outcome {
        Err(ReadError::LimitOverrun(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn read_returns_what_is_there_and_nothing_at_the_end() {
    bounded("read", LIMIT, || {
        let reader = ended(10, b"hello");
        assert_eq!(reader.read(0).unwrap(), b"");
        assert_eq!(reader.read(2).unwrap(), b"he");
        assert!(!reader.at_eof());
        assert_eq!(reader.read(usize::MAX).unwrap(), b"llo");
        assert!(reader.at_eof());
        assert_eq!(reader.read(5).unwrap(), b"");
        assert_eq!(reader.read(0).unwrap(), b"");
        assert_eq!(reader.readline().unwrap(), b"");
        assert_eq!(reader.read_to_eof().unwrap(), b"");
    });
}

#[test]
fn read_waits_for_the_first_byte_and_not_for_more() {
    bounded("first byte", LIMIT, || {
        let reader = StreamReader::new();
        let theirs = reader.clone();
        let reading = green::thread::spawn(move || theirs.read(100).unwrap());
        reader.feed_data(b"x");
        assert_eq!(reading.join().unwrap(), b"x");
    });
}

#[test]
fn read_to_eof_collects_beyond_the_limit() {
    bounded("to the end", LIMIT, || {
        let reader = StreamReader::with_limit(4);
        let theirs = reader.clone();
        let reading = green::thread::spawn(move || theirs.read_to_eof().unwrap());
        for _ in 0..100 {
            reader.feed_data(b"0123456789");
        }
        reader.feed_eof();
        assert_eq!(reading.join().unwrap(), b"0123456789".repeat(100));
    });
}

#[test]
fn readexactly_gives_what_came_before_an_early_end() {
    bounded("exactly", LIMIT, || {
        let reader = ended(4, b"0123456789");
        assert_eq!(reader.readexactly(0).unwrap(), b"");
        assert_eq!(reader.readexactly(6).unwrap(), b"012345");
        let error = incomplete(reader.readexactly(5));
        assert_eq!((error.partial, error.expected), (b"6789".to_vec(), Some(5)));
        assert!(reader.at_eof());
        let error = incomplete(reader.readexactly(1));
        assert_eq!(error.partial, b"");
        let error = io::Error::from(reader.readexactly(1).unwrap_err());
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn readline_keeps_newlines_and_takes_a_last_line_without_one() {
    bounded("lines", LIMIT, || {
        let reader = ended(100, b"one\n\ntwo\r\nthree");
        for line in ["one\n", "\n", "two\r\n", "three", ""] {
            assert_eq!(reader.readline().unwrap(), line.as_bytes());
        }
        let reader = ended(100, b"a\nb\nc");
        let lines: Vec<_> = (&reader).into_iter().map(Result::unwrap).collect();
        assert_eq!(lines, [&b"a\n"[..], b"b\n", b"c"]);
    });
}

#[test]
fn a_line_may_be_as_long_as_the_limit_and_a_longer_one_is_dropped() {
    bounded("long lines", LIMIT, || {
        let reader = holding(4, b"1234\n12345\nnext\n");
        assert_eq!(reader.readline().unwrap(), b"1234\n");
        let error = overrun(reader.readline());
        assert_eq!((error.consumed, error.found), (5, true));
        assert_eq!(reader.readline().unwrap(), b"next\n");
        // Without its end in sight what has come of it goes.
        reader.feed_data(b"12345");
        let error = overrun(reader.readline());
        assert_eq!((error.consumed, error.found), (5, false));
        reader.feed_data(b"6\nnext\n");
        assert_eq!(reader.readline().unwrap(), b"6\n");
        let mut lines = (&reader).into_iter();
        assert_eq!(lines.next().unwrap().unwrap(), b"next\n");
        reader.feed_data(b"123456\nlast");
        reader.feed_eof();
        overrun(lines.next().unwrap());
        assert_eq!(lines.next().unwrap().unwrap(), b"last");
        assert!(lines.next().is_none());
    });
}

#[test]
fn readuntil_keeps_the_data_when_the_limit_is_exceeded() {
    bounded("until", LIMIT, || {
        let reader = holding(4, b"12345");
        let error = overrun(reader.readuntil(b";"));
        assert_eq!((error.consumed, error.found), (5, false));
        assert_eq!(overrun(reader.readuntil(b";")), error);
        reader.feed_data(b"6;rest;");
        let error = overrun(reader.readuntil(b";"));
        assert_eq!((error.consumed, error.found), (6, true));
        assert_eq!(reader.readexactly(error.consumed).unwrap(), b"123456");
        assert_eq!(reader.readuntil(b";").unwrap(), b";");
        assert_eq!(reader.readuntil(b";").unwrap(), b"rest;");
        let error = io::Error::from(ReadError::LimitOverrun(error));
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    });
}

#[test]
fn a_separator_that_comes_in_pieces_is_found() {
    bounded("pieces", LIMIT, || {
        let reader = StreamReader::with_limit(8);
        let theirs = reader.clone();
        let reading = green::thread::spawn(move || {
            let first = theirs.readuntil(b"--end--").unwrap();
            (first, incomplete(theirs.readuntil(b"--end--")))
        });
        for byte in b"a--end-b--end--c--end" {
            reader.feed_data(&[*byte]);
            green::thread::yield_now();
        }
        reader.feed_eof();
        let (first, rest) = reading.join().unwrap();
        assert_eq!(first, b"a--end-b--end--");
        assert_eq!((rest.partial, rest.expected), (b"c--end".to_vec(), None));
        assert!(reader.at_eof());
    });
}

#[test]
fn of_several_separators_the_one_that_ends_first_counts() {
    bounded("several", LIMIT, || {
        let reader = ended(100, b"one\r\ntwo\nthreeSEPARATORfour");
        let separators: [&[u8]; 3] = [b"\n", b"\r\n", b"SEP"];
        for part in ["one\r\n", "two\n", "threeSEP"] {
            assert_eq!(reader.readuntil_any(&separators).unwrap(), part.as_bytes());
        }
        assert_eq!(
            incomplete(reader.readuntil_any(&separators)).partial,
            b"ARATORfour"
        );
        for wrong in [&[][..], &[&b""[..]], &[&b"a"[..], b""]] {
            match reader.readuntil_any(wrong) {
                Err(ReadError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::InvalidInput),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn what_came_before_an_error_is_read_first_and_the_error_stays() {
    bounded("error", LIMIT, || {
        let reader = holding(100, b"line\nhalf a line");
        assert!(reader.exception().is_none());
        reader.set_exception(io::Error::from_raw_os_error(libc::ECONNRESET));
        reader.set_exception(io::Error::other("a later one"));
        assert_eq!(reader.readline().unwrap(), b"line\n");
        let is_reset = |error: io::Error| assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
        is_reset(reader.readline().unwrap_err().into());
        is_reset(reader.readexactly(100).unwrap_err().into());
        is_reset(reader.read_to_eof().unwrap_err());
        is_reset(reader.exception().unwrap());
        assert_eq!(reader.read(100).unwrap(), b"half a line");
        is_reset(reader.read(100).unwrap_err());
        is_reset(Read::read(&mut &reader, &mut [0; 8]).unwrap_err());
        assert!(!reader.at_eof());
        let mut lines = (&reader).into_iter();
        is_reset(lines.next().unwrap().unwrap_err().into());
        assert!(lines.next().is_none());
    });
}

#[test]
fn an_error_or_an_end_wakes_who_waits() {
    bounded("wakes", LIMIT, || {
        let waiting = |reader: &StreamReader| {
            let reader = reader.clone();
            green::thread::spawn(move || reader.readexactly(5))
        };
        let reader = holding(100, b"123");
        let waiter = waiting(&reader);
        green::thread::sleep(Duration::from_millis(1));
        reader.set_exception(io::Error::other("cut"));
        match waiter.join().unwrap() {
            Err(ReadError::Io(error)) => assert_eq!(error.to_string(), "cut"),
            other => panic!("{other:?}"),
        }
        let reader = holding(100, b"123");
        let waiter = waiting(&reader);
        green::thread::sleep(Duration::from_millis(1));
        reader.feed_eof();
        assert_eq!(incomplete(waiter.join().unwrap()).partial, b"123");
        // Nothing comes after the end.
        reader.feed_data(b"late");
        assert!(reader.at_eof());
    });
}

#[test]
fn std_reads_a_stream_too() {
    bounded("std", LIMIT, || {
        let reader = ended(100, b"a line\nthe rest");
        let mut text = String::new();
        let mut buffered = io::BufReader::new(reader);
        io::BufRead::read_line(&mut buffered, &mut text).unwrap();
        assert_eq!(text, "a line\n");
        buffered.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a line\nthe rest");
    });
}

#[test]
fn an_error_after_the_first_is_dropped_where_it_may_wait() {
    bounded("a later error", LIMIT, || {
        let reader = StreamReader::new();
        let dropped = Arc::new(AtomicUsize::new(0));
        reader.set_exception(io::ErrorKind::ConnectionReset.into());
        reader.set_exception(error_that_waits_in_drop(&dropped));
        assert_eq!(dropped.load(SeqCst), 1);
        let error = reader.read(1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}
