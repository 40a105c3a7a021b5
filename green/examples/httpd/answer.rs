//! From a request to its response.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use green::http::{
    Body, HeaderName, HeaderValue, IntoResponse, Method, Reply, Request, Response, StatusCode,
    header, request::Parts,
};

use crate::files::{Found, OpenFile, Site};
use crate::listing;
use crate::preconditions::{self, Validators, only};
use crate::range::{self, Wanted};
use crate::target::Target;

/// How much is read from a file at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Answers one request.
pub fn answer(site: &Arc<Site>, request: Request<Body>) -> io::Result<Response<Reply>> {
    let (head, mut body) = request.into_parts();
    // Nothing here wants a body; where it has come to its end the connection goes on.
    io::copy(&mut body, &mut io::sink())?;
    Ok(respond(site, &head).unwrap_or_else(refusal))
}

/// The response that says no more than its status.
fn refusal(status: StatusCode) -> Response<Reply> {
    if status == StatusCode::NOT_MODIFIED {
        return status.into_response();
    }
    let mut response = format!("{status}\n").into_response();
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        set(&mut response, header::ALLOW, "GET, HEAD");
    }
    response
}

fn set(response: &mut Response<Reply>, name: HeaderName, value: &str) {
    let value = HeaderValue::try_from(value).expect("made here, of what a header may have");
    response.headers_mut().insert(name, value);
}

fn respond(site: &Arc<Site>, head: &Parts) -> Result<Response<Reply>, StatusCode> {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let target = Target::parse(&head.uri)?;
    let (site, path, is_directory) = (site.clone(), target.path(), target.is_directory);
    let found = green::blocking(move || site.find(&path, is_directory));
    match found.map_err(|error| status_of(&error))? {
        Found::File(file) => respond_with(head, file),
        Found::Directory(entries) => {
            preconditions::check(&head.headers, Validators::default())?;
            let page = listing::page(&target, &entries);
            let mut response = Response::new(page.into());
            set(
                &mut response,
                header::CONTENT_TYPE,
                "text/html; charset=utf-8",
            );
            Ok(response)
        }
        Found::DirectoryWithoutSlash => {
            let mut response = refusal(StatusCode::MOVED_PERMANENTLY);
            set(&mut response, header::LOCATION, &target.directory_link());
            Ok(response)
        }
    }
}

fn status_of(error: &io::Error) -> StatusCode {
    match error.kind() {
        io::ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
            StatusCode::NOT_FOUND
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A piece of a body.
enum Piece {
    Text(String),
    Part(Range<u64>),
}

fn respond_with(head: &Parts, file: OpenFile) -> Result<Response<Reply>, StatusCode> {
    let last_modified = httpdate::fmt_http_date(file.modified);
    let with_validators = |status, body| {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        set(&mut response, header::LAST_MODIFIED, &last_modified);
        set(&mut response, header::ETAG, &file.etag);
        set(&mut response, header::ACCEPT_RANGES, "bytes");
        response
    };
    let validators = Validators {
        etag: Some(&file.etag),
        modified: Some(file.modified),
    };
    match preconditions::check(&head.headers, validators) {
        Err(StatusCode::NOT_MODIFIED) => {
            return Ok(with_validators(StatusCode::NOT_MODIFIED, Reply::empty()));
        }
        checked => checked?,
    }
    let len = file.len;
    let (status, pieces, content_type, content_range) = match wanted(head, &file) {
        Wanted::NotSatisfiable => {
            let mut response = refusal(StatusCode::RANGE_NOT_SATISFIABLE);
            set(
                &mut response,
                header::CONTENT_RANGE,
                &format!("bytes */{len}"),
            );
            return Ok(response);
        }
        Wanted::Everything => {
            let all = vec![Piece::Part(0..len)];
            (StatusCode::OK, all, file.content_type.clone(), None)
        }
        Wanted::Parts(parts) if parts.len() == 1 => {
            let range = Some(content_range(&parts[0], len));
            let part = parts.into_iter().map(Piece::Part).collect();
            (
                StatusCode::PARTIAL_CONTENT,
                part,
                file.content_type.clone(),
                range,
            )
        }
        Wanted::Parts(parts) => {
            let boundary = format!("{:016x}", RandomState::new().hash_one(&file.etag));
            let content_type = format!("multipart/byteranges; boundary={boundary}");
            let pieces = multipart(&file, parts, &boundary);
            (StatusCode::PARTIAL_CONTENT, pieces, content_type, None)
        }
    };
    let mut response = with_validators(status, Reply::empty());
    set(&mut response, header::CONTENT_TYPE, &content_type);
    if let Some(range) = content_range {
        set(&mut response, header::CONTENT_RANGE, &range);
    }
    let length: u64 = pieces.iter().map(Piece::len).sum();
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    *response.body_mut() = body(file, pieces);
    Ok(response)
}

/// What of the file is asked for: of GET alone (RFC 9110, 14.2), and, of a client that resumes a download, only if the file is
/// still the same. That a tag alone can say (13.1.5): the file may have had two states within the second of a date.
fn wanted(head: &Parts, file: &OpenFile) -> Wanted {
    let is_same = !head.headers.contains_key(header::IF_RANGE)
        || only(&head.headers, header::IF_RANGE).is_some_and(|tag| tag == &*file.etag);
    let range = only(&head.headers, header::RANGE).and_then(|range| range.to_str().ok());
    match range {
        Some(range) if is_same && head.method == Method::GET => range::parse(range, file.len),
        _ => Wanted::Everything,
    }
}

/// A short file is in memory already; a long one is read while the peer takes it.
fn body(file: OpenFile, pieces: Vec<Piece>) -> Reply {
    if let Some(bytes) = file.in_memory() {
        let mut all = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => all.extend_from_slice(text.as_bytes()),
                Piece::Part(part) => {
                    all.extend_from_slice(&bytes[part.start as usize..part.end as usize]);
                }
            }
        }
        return all.into();
    }
    Reply::written(move |out| {
        let mut buffer = vec![0; CHUNK_BYTES];
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.write_all(text.as_bytes())?,
                Piece::Part(part) => {
                    for start in part.clone().step_by(CHUNK_BYTES) {
                        let chunk =
                            &mut buffer[..(part.end - start).min(CHUNK_BYTES as u64) as usize];
                        file.read_exact_at(chunk, start)?;
                        out.write_all(chunk)?;
                    }
                }
            }
        }
        Ok(())
    })
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Piece::Text(text) => text.len() as u64,
            Piece::Part(range) => range.end - range.start,
        }
    }
}

fn content_range(part: &Range<u64>, len: u64) -> String {
    format!("bytes {}-{}/{len}", part.start, part.end - 1)
}

fn multipart(file: &OpenFile, parts: Vec<Range<u64>>, boundary: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for part in parts {
        pieces.push(Piece::Text(format!(
            "\r\n--{boundary}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n",
            file.content_type,
            content_range(&part, file.len),
        )));
        pieces.push(Piece::Part(part));
    }
    pieces.push(Piece::Text(format!("\r\n--{boundary}--\r\n")));
    pieces
}
