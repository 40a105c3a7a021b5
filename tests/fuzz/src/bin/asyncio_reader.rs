//! asyncio's `StreamReader` against a model that is a `Vec`: which reads are done after each piece that comes, and with
//! what; several threads read, and some are killed while they wait.
#![no_main]

use std::io::{ErrorKind, Read};
use std::time::Duration;

use arbitrary::Arbitrary;
use green::asyncio::{IncompleteReadError, LimitOverrunError, ReadError, StreamReader};
use green::{sim, thread};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    seed: u64,
    limit: u8,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Clone, Debug)]
enum Step {
    Feed(Vec<u8>),
    FeedMany(u8, u16),
    Eof,
    Fail,
    Ask(Ask),
    /// One of those that wait.
    Kill(u8),
}

#[derive(Arbitrary, Clone, Debug)]
enum Ask {
    Read(u8),
    ReadInto(u8),
    ToEof,
    Exactly(u8),
    Line,
    Until(Vec<u8>),
    UntilAny(Vec<Vec<u8>>),
}

/// What a read gave, comparable.
#[derive(Debug, PartialEq)]
enum Answer {
    Bytes(Vec<u8>),
    Incomplete(Vec<u8>, Option<usize>),
    Overrun(usize, bool),
    Failed(ErrorKind),
}

impl From<Result<Vec<u8>, ReadError>> for Answer {
    fn from(result: Result<Vec<u8>, ReadError>) -> Answer {
        match result {
            Ok(bytes) => Answer::Bytes(bytes),
            Err(ReadError::Incomplete(IncompleteReadError { partial, expected })) => {
                Answer::Incomplete(partial, expected)
            }
            Err(ReadError::LimitOverrun(LimitOverrunError { consumed, found })) => {
                Answer::Overrun(consumed, found)
            }
            Err(error) => Answer::Failed(std::io::Error::from(error).kind()),
        }
    }
}

fn ask(reader: &StreamReader, what: &Ask) -> Answer {
    let result = match what {
        Ask::Read(most) => reader
            .read_some(usize::from(*most))
            .map_err(ReadError::from),
        Ask::ReadInto(room) => {
            let mut bytes = vec![0; usize::from(*room)];
            let mut reader = reader.clone();
            Read::read(&mut reader, &mut bytes)
                .map_err(ReadError::from)
                .map(|count| {
                    bytes.truncate(count);
                    bytes
                })
        }
        Ask::ToEof => reader.read_to_eof().map_err(ReadError::from),
        Ask::Exactly(len) => reader.readexactly(usize::from(*len)),
        Ask::Line => reader.readline(),
        Ask::Until(separator) => reader.readuntil(separator),
        Ask::UntilAny(separators) => {
            let separators: Vec<&[u8]> = separators.iter().map(Vec::as_slice).collect();
            reader.readuntil_any(&separators)
        }
    };
    result.into()
}

#[derive(Default)]
struct Model {
    limit: usize,
    buffer: Vec<u8>,
    has_ended: bool,
    has_failed: bool,
}

const FAILURE: ErrorKind = ErrorKind::ConnectionReset;

impl Model {
    fn take(&mut self, most: usize) -> Vec<u8> {
        self.buffer.drain(..most.min(self.buffer.len())).collect()
    }

    fn is_over(&self) -> bool {
        self.has_ended || self.has_failed
    }

    /// The answer; none while it waits.
    fn ask(&mut self, what: &Ask) -> Option<Answer> {
        let fails = self.has_failed && !self.has_ended;
        let there = self.buffer.len();
        match what {
            Ask::Read(most) | Ask::ReadInto(most) => match there {
                0 if fails => Some(Answer::Failed(FAILURE)),
                0 if !self.has_ended => None,
                _ => Some(Answer::Bytes(self.take(usize::from(*most)))),
            },
            Ask::ToEof if fails => Some(Answer::Failed(FAILURE)),
            Ask::ToEof => self.has_ended.then(|| Answer::Bytes(self.take(there))),
            Ask::Exactly(len) => {
                let len = usize::from(*len);
                if there >= len {
                    Some(Answer::Bytes(self.take(len)))
                } else if fails {
                    Some(Answer::Failed(FAILURE))
                } else {
                    self.has_ended
                        .then(|| Answer::Incomplete(self.take(there), Some(len)))
                }
            }
            Ask::Line => Some(match self.search(&[b"\n"])? {
                Answer::Incomplete(rest, None) => Answer::Bytes(rest),
                Answer::Overrun(at, found) => {
                    self.take(if found { at + 1 } else { there });
                    Answer::Overrun(at, found)
                }
                answer => answer,
            }),
            Ask::Until(separator) => self.search(&[separator]),
            Ask::UntilAny(separators) => {
                let separators: Vec<&[u8]> = separators.iter().map(Vec::as_slice).collect();
                self.search(&separators)
            }
        }
    }

    fn search(&mut self, separators: &[&[u8]]) -> Option<Answer> {
        if separators.is_empty() || separators.iter().any(|separator| separator.is_empty()) {
            return Some(Answer::Failed(ErrorKind::InvalidInput));
        }
        let found = separators.iter().filter_map(|separator| {
            let mut places = self.buffer.windows(separator.len());
            let start = places.position(|place| place == *separator)?;
            Some((start + separator.len(), start))
        });
        let found = found.min();
        if let Some((end, start)) = found
            && start <= self.limit
        {
            return Some(Answer::Bytes(self.take(end)));
        }
        let longest = separators.iter().map(|separator| separator.len()).max()?;
        let passed = (self.buffer.len() + 1).saturating_sub(longest);
        let passed = found.map_or(passed, |(_, start)| start);
        if passed > self.limit {
            Some(Answer::Overrun(passed, found.is_some()))
        } else if !self.is_over() {
            None
        } else if self.has_ended {
            let there = self.buffer.len();
            Some(Answer::Incomplete(self.take(there), None))
        } else {
            Some(Answer::Failed(FAILURE))
        }
    }
}

/// One that has asked, in the order in which they did.
struct Waiter {
    what: Ask,
    thread: thread::JoinHandle<Answer>,
}

fn program(limit: u8, steps: Vec<Step>) {
    let reader = StreamReader::with_limit(limit.into());
    let mut model = Model {
        limit: usize::from(limit).max(1),
        ..Model::default()
    };
    let mut waiting: Vec<Waiter> = Vec::new();
    for step in steps {
        match step {
            Step::Feed(bytes) => {
                reader.feed_data(&bytes);
                if !model.has_ended {
                    model.buffer.extend(bytes);
                }
            }
            Step::FeedMany(byte, count) => {
                let bytes = vec![byte; usize::from(count % 1024)];
                reader.feed_data(&bytes);
                if !model.has_ended {
                    model.buffer.extend(bytes);
                }
            }
            Step::Eof => {
                reader.feed_eof();
                model.has_ended |= !model.has_failed;
            }
            Step::Fail => {
                reader.set_exception(FAILURE.into());
                model.has_failed = true;
            }
            // Nothing is to be had at once, whoever waits.
            Step::Ask(what @ (Ask::Read(0) | Ask::ReadInto(0))) => {
                assert_eq!(ask(&reader, &what), Answer::Bytes(Vec::new()));
            }
            Step::Ask(what) if waiting.len() < 4 => {
                let reader = reader.clone();
                let asked = what.clone();
                let thread = thread::spawn(move || ask(&reader, &asked));
                waiting.push(Waiter { what, thread });
            }
            Step::Ask(_) => {}
            Step::Kill(which) if !waiting.is_empty() => {
                let killed = waiting.remove(usize::from(which) % waiting.len());
                killed.thread.kill().unwrap();
                assert!(killed.thread.join().is_err());
            }
            Step::Kill(_) => {}
        }
        settle(&mut model, &mut waiting);
        assert_eq!(reader.at_eof(), model.has_ended && model.buffer.is_empty());
        assert_eq!(reader.exception().is_some(), model.has_failed);
    }
    reader.feed_eof();
    model.has_ended |= !model.has_failed;
    settle(&mut model, &mut waiting);
    assert!(waiting.is_empty(), "somebody waits for ever");
}

/// Lets all go on that can, and compares who is done.
fn settle(model: &mut Model, waiting: &mut Vec<Waiter>) {
    thread::sleep(Duration::from_millis(1));
    while let Some(first) = waiting.first() {
        let Some(answer) = model.ask(&first.what) else {
            break;
        };
        let first = waiting.remove(0);
        assert!(first.thread.is_finished(), "{:?} waits", first.what);
        assert_eq!(first.thread.join().unwrap(), answer, "{:?}", first.what);
    }
    for one in waiting {
        assert!(!one.thread.is_finished(), "{:?} does not wait", one.what);
    }
}

fuzz_target!(|input: Input| {
    let Input {
        seed,
        limit,
        mut steps,
    } = input;
    steps.truncate(50);
    sim::run(seed, move || program(limit, steps));
});
