//! Where the requests of a connection of HTTP/1 begin and end, seen before hyper sees them.
//!
//! hyper takes what two servers could understand differently: any byte in a chunk's extension, and lines after the last
//! chunk that end in a bare LF. Who stands in front and ends lines there sees a request that hyper does not. So such a
//! body fails here. And hyper knows no versions but 1.0 and 1.1: here a higher minor version becomes 1.1 (RFC 9110,
//! 2.5), and another major version is noted, for an answer that says why it is refused. So is a length beyond what
//! hyper counts, which it would call a head that is too long: of that it sees the first digits alone.
//!
//! No byte is kept, save of a name that matters: what a client sends behind a request to leave HTTP is held back until
//! it is known whether it is HTTP.

use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};

use greenhub::wait_queue::ShortLock;
use http::StatusCode;
use memchr::{memchr, memchr2};

use super::transport::Cut;

#[cfg(test)]
mod tests;

/// The most that one read behind a request to leave HTTP takes.
const HELD: usize = 4096;

/// The longest body that hyper knows; it takes a length above it for a head that is too long.
const LONGEST: u64 = u64::MAX - 2;

const USUAL: &[u8] = b"HTTP/1.1\r\n";

/// The bytes of a connection's requests, as they pass.
#[derive(Debug)]
pub(super) struct Framing {
    at: At,
    head: Head,
    /// How many heads have ended.
    heads: u64,
    exchange: Exchange,
    /// Behind a request to leave HTTP.
    held: Vec<u8>,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// A method, or empty lines before it.
    Start,
    /// Behind a part of an empty line, which hyper has kept.
    Empty,
    Method,
    Target,
    /// So much of the version has come.
    Version(usize),
    /// The name of a field, or the end of the head.
    Name,
    HeadLf,
    Length,
    /// A line of the head that does not matter.
    Line,
    Body(u64),
    /// A chunk's size, so far.
    Size(Option<u64>),
    SizeSpace(u64),
    Extension(u64),
    SizeLf(u64),
    Chunk(u64),
    ChunkCr,
    ChunkLf,
    /// A line behind the last chunk.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    /// Behind a request to leave HTTP.
    Parting,
    /// Out of HTTP.
    Beyond,
    Failed,
}

/// What matters of a head.
#[derive(Debug, Default)]
struct Head {
    word: Word,
    other_major: bool,
    chunked: bool,
    length: u64,
    too_long: bool,
    parts: bool,
}

/// A method or a field's name in lower case, cut off where it is longer than all that matter.
#[derive(Debug, Default)]
struct Word {
    bytes: [u8; 18],
    length: usize,
}

impl Word {
    fn push(&mut self, byte: u8) {
        if let Some(next) = self.bytes.get_mut(self.length) {
            *next = byte.to_ascii_lowercase();
            self.length += 1;
        }
    }

    fn take(&mut self) -> ([u8; 18], usize) {
        (self.bytes, std::mem::take(&mut self.length))
    }
}

impl Framing {
    pub(super) fn new(exchange: Exchange) -> Framing {
        Framing {
            at: At::Start,
            head: Head::default(),
            heads: 0,
            exchange,
            held: Vec::new(),
        }
    }

    /// Ready when more may be read: not while it is open whether what comes next is HTTP.
    ///
    /// # Errors
    ///
    /// `InvalidData` behind what is no body.
    pub(super) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.at {
            At::Failed => Poll::Ready(Err(failed())),
            At::Parting => match self.exchange.poll_parted(self.heads, context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(parted) => {
                    self.at = if parted { At::Beyond } else { At::Start };
                    Poll::Ready(Ok(()))
                }
            },
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Holds back what comes while it is open whether that is HTTP, or is ready with the connection's end: a client that
    /// has gone waits for no answer.
    pub(super) fn hold(
        &mut self,
        read: impl FnOnce(&mut [MaybeUninit<u8>]) -> Poll<io::Result<&mut [u8]>>,
    ) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            let mut piece = [MaybeUninit::uninit(); HELD];
            match ready!(read(&mut piece))? {
                [] => return Poll::Ready(Ok(())),
                held => self.held = held.to_vec(),
            }
        }
        Poll::Pending
    }

    /// Whether bytes were held back, which come before all others.
    pub(super) fn holds_back(&self) -> bool {
        !self.held.is_empty()
    }

    /// Those of them that fit, and may pass.
    pub(super) fn give_back<'room>(
        &mut self,
        room: &'room mut [MaybeUninit<u8>],
    ) -> io::Result<&'room mut [u8]> {
        let count = self.held.len().min(room.len());
        let given = room[..count].write_copy_of_slice(&self.held[..count]);
        let passed = self.look(given)?;
        self.held.drain(..passed);
        Ok(&mut given[..passed])
    }

    /// How many of the bytes that have just come may pass.
    ///
    /// # Errors
    ///
    /// `InvalidData` if not even the first.
    pub(super) fn pass(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let passed = self.look(bytes)?;
        if self.at == At::Parting {
            self.held = bytes[passed..].to_vec();
        }
        Ok(passed)
    }

    /// A read of the connection came to this.
    pub(super) fn read<R>(&self, polled: &Poll<R>) {
        if polled.is_ready() {
            count(&self.exchange.0.reads);
        }
        let awaits = match (polled, self.at) {
            (_, At::Parting | At::Beyond | At::Failed) => Awaits::Nothing,
            (Poll::Pending, At::Start) => Awaits::Request,
            (
                Poll::Pending,
                At::Empty
                | At::Method
                | At::Target
                | At::Version(_)
                | At::Name
                | At::HeadLf
                | At::Length
                | At::Line,
            ) => Awaits::Head,
            _ => Awaits::Body,
        };
        self.exchange.0.awaits.store(awaits as u8, Relaxed);
    }

    /// What was held back, now that nobody waits for a request any more.
    pub(super) fn into_held(self) -> Vec<u8> {
        self.held
    }

    fn look(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &mut bytes[done..];
            done += match self.at {
                At::Beyond => rest.len(),
                At::Parting => return Ok(done),
                At::Body(left) => {
                    let (count, left) = spent(left, rest.len());
                    self.at = At::Body(left);
                    if left == 0 {
                        self.end();
                    }
                    count
                }
                At::Chunk(left) => {
                    let (count, left) = spent(left, rest.len());
                    self.at = if left == 0 {
                        At::ChunkCr
                    } else {
                        At::Chunk(left)
                    };
                    count
                }
                At::Line => match memchr(b'\n', rest) {
                    Some(end) => {
                        self.at = At::Name;
                        end + 1
                    }
                    None => rest.len(),
                },
                At::Target if !b" \n".contains(&rest[0]) => {
                    memchr2(b' ', b'\n', rest).unwrap_or(rest.len())
                }
                // What nearly every request has, at one go.
                At::Start if let Some((method, end)) = usual_line(rest) => {
                    self.head.parts = method.eq_ignore_ascii_case(b"connect");
                    self.at = At::Name;
                    end
                }
                At::Name if self.head.word.length == 0 && rest.starts_with(b"\r\n") => {
                    self.at = self.body();
                    if self.at == At::Body(0) {
                        self.end();
                    }
                    2
                }
                At::Name
                    if self.head.word.length == 0
                        && !may_matter(rest[0])
                        && !b"\r\n".contains(&rest[0]) =>
                {
                    match memchr(b'\n', rest) {
                        Some(end) => end + 1,
                        None => {
                            self.at = At::Line;
                            rest.len()
                        }
                    }
                }
                At::Version(0) if rest.starts_with(USUAL) => {
                    self.at = At::Name;
                    USUAL.len()
                }
                At::Name
                    if self.head.word.length == 0
                        && let Some(end) = name_end(rest) =>
                {
                    self.at = self.field(&rest[..end]);
                    end + 1
                }
                at => {
                    self.at = match at {
                        At::Start
                        | At::Empty
                        | At::Method
                        | At::Target
                        | At::Version(_)
                        | At::Name
                        | At::HeadLf
                        | At::Length => self.of_head(at, &mut rest[0]),
                        at => of_chunks(at, rest[0]),
                    };
                    match self.at {
                        At::Failed if done == 0 => return Err(failed()),
                        At::Failed => return Ok(done),
                        At::Body(0) => self.end(),
                        _ => {}
                    }
                    1
                }
            };
        }
        Ok(done)
    }

    /// A byte of a head. What hyper refuses may lead anywhere.
    fn of_head(&mut self, at: At, byte: &mut u8) -> At {
        const VERSION: &[u8] = b"HTTP/1.";
        match (at, *byte) {
            (At::Start | At::Empty, b'\r' | b'\n') => At::Empty,
            (At::Start | At::Empty | At::Method, b' ') => {
                let (word, length) = self.head.word.take();
                self.head.parts = &word[..length] == b"connect";
                At::Target
            }
            (At::Start | At::Empty | At::Method, _) => {
                self.head.word.push(*byte);
                At::Method
            }
            (At::Target, b' ') => At::Version(0),
            (At::Target | At::Version(_), b'\n') => At::Name,
            (At::Target, _) => At::Target,
            (At::Version(5), b'0'..=b'9') => {
                self.head.other_major = *byte != b'1';
                *byte = b'1';
                At::Version(6)
            }
            (At::Version(7), b'0'..=b'9') => {
                if self.head.other_major || *byte > b'1' {
                    *byte = b'1';
                }
                At::Line
            }
            (At::Version(at), _) if VERSION.get(at) == Some(byte) => At::Version(at + 1),
            (At::Version(_), _) => At::Line,
            (At::Name, b'\n') if self.head.word.length == 0 => self.body(),
            (At::Name, b'\r') if self.head.word.length == 0 => At::HeadLf,
            (At::Name, b':') => {
                let (word, length) = self.head.word.take();
                self.field(&word[..length])
            }
            (At::Name, b'\n') => {
                self.head.word.take();
                At::Name
            }
            (At::Name, _) => {
                if self.head.word.length == 0 && !may_matter(*byte) {
                    return At::Line;
                }
                self.head.word.push(*byte);
                At::Name
            }
            (At::HeadLf, b'\n') => self.body(),
            // Not its end, for hyper either, which refuses it when the rest has come.
            (At::HeadLf, _) => At::Line,
            (At::Length, b'\n') => At::Name,
            (At::Length, digit @ b'0'..=b'9') => {
                let length = self.head.length.checked_mul(10);
                let length = length.and_then(|it| it.checked_add(u64::from(digit - b'0')));
                match length.filter(|&length| length <= LONGEST && !self.head.too_long) {
                    Some(length) => self.head.length = length,
                    None => {
                        self.head.too_long = true;
                        *byte = b' ';
                    }
                }
                At::Length
            }
            (at, _) => at,
        }
    }

    /// The name of a field has ended.
    fn field(&mut self, name: &[u8]) -> At {
        if name.eq_ignore_ascii_case(b"content-length") {
            self.head.length = 0;
            return At::Length;
        }
        self.head.chunked |= name.eq_ignore_ascii_case(b"transfer-encoding");
        self.head.parts |= name.eq_ignore_ascii_case(b"upgrade");
        At::Line
    }

    /// The end of a head.
    fn body(&mut self) -> At {
        self.heads += 1;
        if self.head.other_major {
            let first = &self.exchange.0.other_major;
            let _ = first.compare_exchange(0, self.heads, Relaxed, Relaxed);
        }
        if self.head.too_long && !self.head.chunked {
            let first = &self.exchange.0.too_long;
            let _ = first.compare_exchange(0, self.heads, Relaxed, Relaxed);
        }
        if self.head.chunked {
            At::Size(None)
        } else {
            At::Body(self.head.length)
        }
    }

    /// The end of a request.
    fn end(&mut self) {
        let head = std::mem::take(&mut self.head);
        self.at = if head.parts { At::Parting } else { At::Start };
    }
}

/// The method of a first line as nearly every request has it, if all of that has come, and where it ends.
fn usual_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = memchr(b'\n', bytes)? + 1;
    let asked = bytes[..end].strip_suffix(USUAL)?.strip_suffix(b" ")?;
    let space = memchr(b' ', asked)?;
    let (method, target) = (&asked[..space], &asked[space + 1..]);
    let is_usual = !method.starts_with(b"\r") && memchr(b' ', target).is_none();
    is_usual.then_some((method, end))
}

/// Where a name that may matter ends, if that has come.
fn name_end(line: &[u8]) -> Option<usize> {
    let end = may_matter(line[0]).then(|| memchr2(b':', b'\n', line))??;
    (line[end] == b':').then_some(end)
}

/// Whether a name that matters begins with this byte.
fn may_matter(byte: u8) -> bool {
    b"CcTtUu".contains(&byte)
}

/// A byte of a body in chunks (RFC 9112, 7.1).
fn of_chunks(at: At, byte: u8) -> At {
    match (at, byte) {
        (At::Size(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
            let digit = char::from(byte).to_digit(16).map(u64::from);
            let size = size.unwrap_or(0).checked_mul(16);
            match size.zip(digit) {
                Some((size, digit)) => At::Size(Some(size + digit)),
                None => At::Failed,
            }
        }
        (At::Size(Some(size)) | At::SizeSpace(size), b' ' | b'\t') => At::SizeSpace(size),
        (At::Size(Some(size)) | At::SizeSpace(size), b';') => At::Extension(size),
        (At::Size(Some(size)) | At::SizeSpace(size) | At::Extension(size), b'\r') => {
            At::SizeLf(size)
        }
        (At::Extension(size), byte) if is_text(byte) => At::Extension(size),
        (At::SizeLf(0), b'\n') => At::Trailer,
        (At::SizeLf(size), b'\n') => At::Chunk(size),
        (At::ChunkCr, b'\r') => At::ChunkLf,
        (At::ChunkLf, b'\n') => At::Size(None),
        (At::Trailer, b'\r') => At::LastLf,
        (At::Trailer | At::TrailerName, byte) if is_of_a_name(byte) => At::TrailerName,
        (At::TrailerName, b':') => At::TrailerValue,
        (At::TrailerValue, b'\r') => At::TrailerLf,
        (At::TrailerValue, byte) if is_text(byte) => At::TrailerValue,
        (At::TrailerLf, b'\n') => At::Trailer,
        (At::LastLf, b'\n') => At::Body(0),
        _ => At::Failed,
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// How many of `there` bytes count against `left`, and what is left then.
fn spent(left: u64, there: usize) -> (usize, u64) {
    let count = usize::try_from(left).map_or(there, |left| left.min(there));
    (count, left - count as u64)
}

fn failed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a body that is not in chunks")
}

/// What who reads the requests of a connection and who answers them, one after the other, tell each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The number of the first request of another major version, or 0.
    other_major: AtomicU64,
    /// And of the first that announces a body longer than can be counted.
    too_long: AtomicU64,
    answered: AtomicU64,
    parted: AtomicBool,
    waiting: ShortLock<Option<Waker>>,
    waits: AtomicBool,
    /// Nothing was sent since this was last set.
    unanswered: AtomicBool,
    cut: Option<Cut>,
    /// Requests that were asked, and whose answers have come to their end.
    asked: AtomicU64,
    done: AtomicU64,
    unsent: AtomicBool,
    reads: AtomicU64,
    awaits: AtomicU8,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    Nothing,
    /// The rest of a head.
    Head,
    /// The first byte of a request.
    Request,
    /// The rest of a body, or that somebody takes what there is of it.
    Body,
}

/// A wait of the same mark is the same wait: behind how many requests it is, and of a body how many reads there were.
pub(super) type Mark = (u64, u64);

/// One more: all that count for a connection do so on its hub, one after the other.
fn count(so_far: &AtomicU64) -> u64 {
    let count = 1 + so_far.load(Relaxed);
    so_far.store(count, Relaxed);
    count
}

impl Exchange {
    /// Of a connection that can be cut.
    pub(super) fn of(cut: Cut) -> Exchange {
        Exchange(Arc::new(Shared {
            cut: Some(cut),
            ..Shared::default()
        }))
    }

    /// Cuts the connection.
    pub(super) fn cut(&self) {
        if let Some(cut) = &self.0.cut {
            cut.now();
        }
    }

    /// Whether something of an answer may be unsent.
    pub(super) fn set_unsent(&self, unsent: bool) {
        self.0.unsent.store(unsent, Relaxed);
    }

    /// From now on nothing was sent, until something is.
    pub(super) fn set_unanswered(&self) {
        self.0.unanswered.store(true, Relaxed);
    }

    /// Something of an answer is being sent.
    pub(super) fn begin_to_send(&self) {
        self.0.unanswered.store(false, Relaxed);
        self.set_unsent(true);
    }

    /// Whether nothing was sent since [`set_unanswered`](Self::set_unanswered): then a connection that ends has no answer under way.
    pub(super) fn is_unanswered(&self) -> bool {
        self.0.unanswered.load(Relaxed)
    }

    /// Begins to answer the next request, or gives the status that refuses it.
    pub(super) fn begin(&self) -> Option<StatusCode> {
        let asked = count(&self.0.asked);
        if self.0.other_major.load(Relaxed) == asked {
            Some(StatusCode::HTTP_VERSION_NOT_SUPPORTED)
        } else if self.0.too_long.load(Relaxed) == asked {
            Some(StatusCode::PAYLOAD_TOO_LARGE)
        } else {
            None
        }
    }

    /// The body of an answer has come to its end.
    pub(super) fn done(&self) {
        count(&self.0.done);
    }

    /// What the connection waits for, if all of its requests are done.
    pub(super) fn awaits(&self) -> Option<(Mark, Awaits)> {
        let asked = self.0.asked.load(Relaxed);
        if self.0.done.load(Relaxed) != asked || self.0.unsent.load(Relaxed) {
            return None;
        }
        match self.0.awaits.load(Relaxed) {
            awaits if awaits == Awaits::Head as u8 => Some(((asked, 0), Awaits::Head)),
            awaits if awaits == Awaits::Request as u8 => Some(((asked, 0), Awaits::Request)),
            awaits if awaits == Awaits::Body as u8 => {
                Some(((asked, self.0.reads.load(Relaxed)), Awaits::Body))
            }
            _ => None,
        }
    }

    /// That request has its answer, behind which the connection leaves HTTP or not.
    pub(super) fn answered(&self, parted: bool) {
        self.0.parted.store(parted, Relaxed);
        count(&self.0.answered);
        if self.0.waits.load(Relaxed) {
            self.0.waits.store(false, Relaxed);
            let waiting = self.0.waiting.lock().take();
            if let Some(waiting) = waiting {
                waiting.wake();
            }
        }
    }

    /// Whether the connection leaves HTTP behind the request of that number.
    fn poll_parted(&self, number: u64, context: &mut Context<'_>) -> Poll<bool> {
        if self.0.answered.load(Relaxed) >= number {
            return Poll::Ready(self.0.parted.load(Relaxed));
        }
        // A waker is cloned and dropped outside of the lock.
        let waker = context.waker().clone();
        let before = self.0.waiting.lock().replace(waker);
        drop(before);
        self.0.waits.store(true, Relaxed);
        Poll::Pending
    }
}
