//! One connection: requests are read and answered one after the other, until one side has enough.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connections::Ticket;
use crate::files::{OpenFile, Site};
use crate::request::{self, Body, Method, Request};
use crate::response::{Piece, Response};
use crate::status::Status;
use crate::target::Target;
use crate::transport::Transport;

/// The longest body that is read (and thrown away: nothing here wants one), in bytes.
const BODY_BYTES_MAX: u64 = 64 * 1024;
/// How much is read from a file, and written to the peer, at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// How long we listen after our last word, so that the peer gets to hear it: as a whole, and for its next byte.
const FAREWELL: Duration = Duration::from_secs(30);
const FAREWELL_SILENCE: Duration = Duration::from_secs(2);
/// The longest line that begins a chunk.
const CHUNK_LINE_BYTES_MAX: usize = 1024;

/// How long a peer may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a whole request, from its first byte to its last; and for any one write of an answer.
    pub request: Duration,
    /// Between two requests.
    pub idle: Duration,
}

/// Why there is no request to answer.
enum Failure {
    /// The peer did something that deserves an answer.
    Refused(Status),
    /// The peer is gone, or the network is.
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match has_timed_out(&error) {
            true => Failure::Refused(Status::REQUEST_TIMEOUT),
            false => Failure::Io(error),
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        Failure::Refused(status)
    }
}

/// Serves one connection until it ends. An error says how the peer went; nobody need care.
pub fn serve<S: Transport>(
    stream: S,
    site: &Arc<Site>,
    limits: Limits,
    ticket: &Ticket,
) -> io::Result<()> {
    let mut connection = Connection {
        stream,
        site,
        limits,
        ticket,
        incoming: Vec::new(),
    };
    connection.stream.set_write_limit(limits.request)?;
    while connection.wait_for_request()? {
        ticket.asked();
        if !connection.answer_one()? || !ticket.answered() {
            return connection.farewell();
        }
    }
    Ok(())
}

struct Connection<'a, S> {
    stream: S,
    site: &'a Arc<Site>,
    limits: Limits,
    ticket: &'a Ticket,
    /// What has been read and not yet been understood: part of a request, or several of them.
    incoming: Vec<u8>,
}

impl<S: Transport> Connection<'_, S> {
    /// Waits for the first byte of a request. False: there will be none.
    fn wait_for_request(&mut self) -> io::Result<bool> {
        if !self.incoming.is_empty() {
            return Ok(true);
        }
        match self.fill(Instant::now() + self.limits.idle) {
            Ok(count) => Ok(count > 0),
            Err(error) if has_timed_out(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads a request and answers it. False: that was the last one of this connection.
    fn answer_one(&mut self) -> io::Result<bool> {
        let deadline = Instant::now() + self.limits.request;
        let (response, with_body, keep_alive) = match self.read_request(deadline) {
            Ok(request) => {
                let keep_alive = request.keep_alive && !self.ticket.is_stopping();
                (
                    self.respond(&request),
                    request.method != Method::Head,
                    keep_alive,
                )
            }
            Err(Failure::Refused(status)) => (Response::refusal(status), true, false),
            Err(Failure::Io(error)) => return Err(error),
        };
        let head = response.head(keep_alive);
        self.send(head, if with_body { response.body } else { Vec::new() })?;
        Ok(keep_alive)
    }

    fn read_request(&mut self, deadline: Instant) -> Result<Request, Failure> {
        let mut already_parsed = 0;
        let (request, head_len) = loop {
            // A head cannot end without a new line's end; so a head that drips in byte by byte is
            // not parsed again for every byte, unless it has become too long to bear.
            let new = &self.incoming[already_parsed..];
            let worth_it = new.contains(&b'\n') || self.incoming.len() > request::HEAD_BYTES_MAX;
            if worth_it && let Some(parsed) = request::parse(&self.incoming)? {
                break parsed;
            }
            already_parsed = self.incoming.len();
            self.fill_or_fail(deadline)?;
        };
        self.incoming.drain(..head_len);
        if request.expects_continue && request.body != Body::None {
            // Nothing here wants a body, so there is nothing to go ahead with.
            return Err(match request.method {
                Method::Other => Status::METHOD_NOT_ALLOWED.into(),
                _ => Status::CONTENT_TOO_LARGE.into(),
            });
        }
        match request.body {
            Body::None => {}
            Body::Length(len) => self.discard(len, deadline)?,
            Body::Chunked => self.discard_chunks(deadline)?,
        }
        Ok(request)
    }

    /// What the request asks for, or the refusal it gets.
    fn respond(&self, request: &Request) -> Response {
        if request.method == Method::Other {
            return Response::refusal(Status::METHOD_NOT_ALLOWED);
        }
        let target = match Target::parse(&request.target) {
            Ok(target) => target,
            Err(status) => return Response::refusal(status),
        };
        let (site, path, is_directory) = (self.site.clone(), target.path(), target.is_directory);
        match green::blocking(move || site.find(&path, is_directory)) {
            Ok(found) => Response::found(request, &target, found),
            Err(error) => Response::refusal(match error.kind() {
                io::ErrorKind::PermissionDenied => Status::FORBIDDEN,
                io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::InvalidFilename => Status::NOT_FOUND,
                _ => Status::INTERNAL_ERROR,
            }),
        }
    }

    /// Reads what has come in, up to `deadline`. Zero: the peer will send no more.
    fn fill(&mut self, deadline: Instant) -> io::Result<usize> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_limit(left)?;
        let mut buffer = [0; 4096];
        let len = self.stream.read(&mut buffer)?;
        self.incoming.extend_from_slice(&buffer[..len]);
        Ok(len)
    }

    fn fill_or_fail(&mut self, deadline: Instant) -> Result<(), Failure> {
        match self.fill(deadline)? {
            0 => Err(Failure::Io(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    /// Reads `len` bytes of a body and forgets them.
    fn discard(&mut self, len: u64, deadline: Instant) -> Result<(), Failure> {
        if len > BODY_BYTES_MAX {
            return Err(Status::CONTENT_TOO_LARGE.into());
        }
        let len = len as usize;
        while self.incoming.len() < len {
            self.fill_or_fail(deadline)?;
        }
        self.incoming.drain(..len);
        Ok(())
    }

    /// Reads a chunked body with its trailer and forgets it.
    fn discard_chunks(&mut self, deadline: Instant) -> Result<(), Failure> {
        let mut total = 0;
        loop {
            let size = match request::chunk_size(&self.incoming)? {
                Some((line_len, size)) => {
                    self.incoming.drain(..line_len);
                    size
                }
                None if self.incoming.len() < CHUNK_LINE_BYTES_MAX => {
                    self.fill_or_fail(deadline)?;
                    continue;
                }
                None => return Err(Status::BAD_REQUEST.into()),
            };
            total += size.min(BODY_BYTES_MAX + 1);
            if total > BODY_BYTES_MAX {
                return Err(Status::CONTENT_TOO_LARGE.into());
            }
            if size == 0 {
                return self.discard_trailer(deadline);
            }
            self.discard(size, deadline)?;
            self.expect_line_end(deadline)?;
        }
    }

    fn expect_line_end(&mut self, deadline: Instant) -> Result<(), Failure> {
        while self.incoming.len() < 2 {
            self.fill_or_fail(deadline)?;
        }
        match self.incoming.starts_with(b"\r\n") {
            true => self.incoming.drain(..2),
            false => return Err(Status::BAD_REQUEST.into()),
        };
        Ok(())
    }

    /// The lines after the last chunk, down to the empty one. As those of chunks, they end in CR LF and nothing else.
    fn discard_trailer(&mut self, deadline: Instant) -> Result<(), Failure> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 16];
            match httparse::parse_headers(&self.incoming, &mut headers) {
                Ok(httparse::Status::Complete((len, _))) => {
                    let trailer: Vec<_> = self.incoming.drain(..len).collect();
                    let mut lines = trailer.split_inclusive(|&b| b == b'\n');
                    return match lines.all(|line| line.ends_with(b"\r\n")) {
                        true => Ok(()),
                        false => Err(Status::BAD_REQUEST.into()),
                    };
                }
                Ok(httparse::Status::Partial) if self.incoming.len() < CHUNK_BYTES / 8 => {
                    self.fill_or_fail(deadline)?;
                }
                _ => return Err(Status::BAD_REQUEST.into()),
            }
        }
    }

    /// Sends a head and a body, in as few writes as their length allows.
    fn send(&mut self, head: Vec<u8>, body: Vec<Piece>) -> io::Result<()> {
        let mut outgoing = head;
        for piece in body {
            match piece {
                Piece::Text(text) => outgoing.extend_from_slice(text.as_bytes()),
                Piece::File(file, range) => {
                    for chunk in chunks(range) {
                        self.append(&mut outgoing, &file, chunk)?;
                        if outgoing.len() >= CHUNK_BYTES {
                            self.stream.write_all(&outgoing)?;
                            outgoing.clear();
                        }
                    }
                }
            }
        }
        self.stream.write_all(&outgoing)
    }

    /// Adds a stretch of a file to what is about to be sent.
    fn append(
        &self,
        outgoing: &mut Vec<u8>,
        file: &Arc<OpenFile>,
        chunk: Range<u64>,
    ) -> io::Result<()> {
        if let Some(bytes) = file.in_memory(chunk.clone()) {
            outgoing.extend_from_slice(bytes);
            return Ok(());
        }
        let (file, mut buffer) = (file.clone(), std::mem::take(outgoing));
        *outgoing = green::blocking(move || {
            let start = buffer.len();
            buffer.resize(start + (chunk.end - chunk.start) as usize, 0);
            file.read_exact_at(&mut buffer[start..], chunk.start)
                .map(|()| buffer)
        })?;
        Ok(())
    }

    /// Ends the connection so that the peer gets our last answer: closing while there is
    /// something left to read would make the kernel send a reset, and the peer's kernel throw
    /// away what we said.
    fn farewell(&mut self) -> io::Result<()> {
        self.stream.finish()?;
        let end = Instant::now() + FAREWELL;
        loop {
            self.incoming.clear();
            if self.fill(end.min(Instant::now() + FAREWELL_SILENCE))? == 0 {
                return Ok(());
            }
        }
    }
}

fn has_timed_out(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Cuts a range into pieces of at most one chunk.
fn chunks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    range
        .step_by(CHUNK_BYTES)
        .map(move |start| start..end.min(start + CHUNK_BYTES as u64))
}
