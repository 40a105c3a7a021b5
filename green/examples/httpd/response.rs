//! An answer: its header and a body of pieces, some in memory, some still in a file.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use crate::files::{Found, OpenFile};
use crate::listing;
use crate::preconditions::{self, Validators};
use crate::range::{self, Wanted};
use crate::request::{Method, Request};
use crate::status::Status;
use crate::target::Target;

/// An answer, ready to be sent.
#[derive(Debug)]
pub struct Response {
    status: Status,
    headers: Vec<(&'static str, String)>,
    pub body: Vec<Piece>,
}

/// A stretch of a body.
#[derive(Debug)]
pub enum Piece {
    Text(String),
    File(Arc<OpenFile>, Range<u64>),
}

impl Response {
    fn new(status: Status) -> Response {
        Response {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.headers.push((name, value.into()));
        self
    }

    fn text(self, content_type: &str, text: String) -> Response {
        let mut response = self.header("Content-Type", content_type);
        response.body.push(Piece::Text(text));
        response
    }

    /// The answer that says no more than its status.
    pub fn refusal(status: Status) -> Response {
        let response =
            Response::new(status).text("text/plain; charset=utf-8", format!("{status}\n"));
        match status {
            Status::NOT_MODIFIED => Response::new(status),
            Status::METHOD_NOT_ALLOWED => response.header("Allow", "GET, HEAD"),
            _ => response,
        }
    }

    /// The answer to a request for something that was found.
    pub fn found(request: &Request, target: &Target, found: Found) -> Response {
        match found {
            Found::File(file) => Response::file(request, file),
            Found::Directory(entries) => {
                let unknown = Validators {
                    etag: None,
                    modified: None,
                };
                match preconditions::check(request, unknown) {
                    Some(status) => Response::refusal(status),
                    None => Response::new(Status::OK)
                        .text("text/html; charset=utf-8", listing::page(target, &entries)),
                }
            }
            Found::DirectoryWithoutSlash => Response::refusal(Status::MOVED_PERMANENTLY)
                .header("Location", target.directory_link()),
        }
    }

    fn file(request: &Request, file: OpenFile) -> Response {
        let last_modified = httpdate::fmt_http_date(file.modified);
        let with_validators = |status| {
            Response::new(status)
                .header("Last-Modified", last_modified.clone())
                .header("ETag", file.etag.clone())
                .header("Accept-Ranges", "bytes")
        };
        let validators = Validators {
            etag: Some(&file.etag),
            modified: Some(file.modified),
        };
        match preconditions::check(request, validators) {
            Some(Status::NOT_MODIFIED) => return with_validators(Status::NOT_MODIFIED),
            Some(status) => return Response::refusal(status),
            None => {}
        }
        // A client that resumes a download asks for the rest only if the file is still the same.
        let is_same = match request.if_range.as_deref() {
            Some(validator) => validator == file.etag || validator == last_modified,
            None => true,
        };
        let wanted = match request.range.as_deref() {
            // Of GET alone (RFC 9110, 14.2).
            Some(header) if is_same && request.method == Method::Get => {
                range::parse(header, file.len)
            }
            _ => Wanted::Everything,
        };
        let len = file.len;
        match wanted {
            Wanted::NotSatisfiable => Response::refusal(Status::RANGE_NOT_SATISFIABLE)
                .header("Content-Range", format!("bytes */{len}")),
            Wanted::Everything => {
                let mut response =
                    with_validators(Status::OK).header("Content-Type", file.content_type.clone());
                response.body.push(Piece::File(Arc::new(file), 0..len));
                response
            }
            Wanted::Parts(parts) if parts.len() == 1 => {
                let mut response = with_validators(Status::PARTIAL_CONTENT)
                    .header("Content-Type", file.content_type.clone())
                    .header("Content-Range", content_range(&parts[0], len));
                response
                    .body
                    .push(Piece::File(Arc::new(file), parts[0].clone()));
                response
            }
            Wanted::Parts(parts) => {
                let boundary = format!("{:016x}", RandomState::new().hash_one(&file.etag));
                let mut response = with_validators(Status::PARTIAL_CONTENT).header(
                    "Content-Type",
                    format!("multipart/byteranges; boundary={boundary}"),
                );
                response.body = multipart(Arc::new(file), &parts, &boundary);
                response
            }
        }
    }

    /// The number of bytes in the body.
    pub fn body_len(&self) -> u64 {
        self.body.iter().map(Piece::len).sum()
    }

    /// The status line and the header as they are sent.
    pub fn head(&self, keep_alive: bool) -> Vec<u8> {
        let mut head = format!(
            "HTTP/1.1 {}\r\nDate: {}\r\nServer: green-httpd\r\nConnection: {}\r\n",
            self.status,
            httpdate::fmt_http_date(SystemTime::now()),
            if keep_alive { "keep-alive" } else { "close" },
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.status != Status::NOT_MODIFIED {
            head.push_str(&format!("Content-Length: {}\r\n", self.body_len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Piece::Text(text) => text.len() as u64,
            Piece::File(_, range) => range.end - range.start,
        }
    }
}

fn content_range(part: &Range<u64>, len: u64) -> String {
    format!("bytes {}-{}/{len}", part.start, part.end - 1)
}

fn multipart(file: Arc<OpenFile>, parts: &[Range<u64>], boundary: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for part in parts {
        pieces.push(Piece::Text(format!(
            "\r\n--{boundary}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n",
            file.content_type,
            content_range(part, file.len),
        )));
        pieces.push(Piece::File(file.clone(), part.clone()));
    }
    pieces.push(Piece::Text(format!("\r\n--{boundary}--\r\n")));
    pieces
}
