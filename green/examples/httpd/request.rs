//! A request's head: parsed by `httparse`, then judged.

use crate::status::Status;

/// The longest request line that is read, in bytes.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// The longest head that is read, in bytes.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 100;

/// What the rest of the server needs to know of a request.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    /// The target as it was sent: still percent-encoded.
    pub target: String,
    pub keep_alive: bool,
    pub body: Body,
    /// The client waits for a go-ahead before it sends its body.
    pub expects_continue: bool,
    pub range: Option<String>,
    pub if_range: Option<String>,
    pub if_none_match: Option<String>,
    pub if_modified_since: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Other,
}

/// How the body that follows the head is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    None,
    Length(u64),
    Chunked,
}

/// Parses the head at the start of `bytes`. `Ok(None)`: more must be read first.
/// Gives the request and the length of its head.
pub fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Status> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let head_len = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head_len)) => head_len,
        Ok(httparse::Status::Partial) => return too_long_already(bytes).map_or(Ok(None), Err),
        Err(httparse::Error::TooManyHeaders) => return Err(Status::HEADERS_TOO_LARGE),
        Err(httparse::Error::Version) if names_a_version(bytes) => {
            return Err(Status::VERSION_NOT_SUPPORTED);
        }
        Err(_) => return Err(Status::BAD_REQUEST),
    };
    if let Some(status) = too_long_already(&bytes[..head_len]) {
        return Err(status);
    }
    judge(&parsed).map(|request| Some((request, head_len)))
}

fn judge(parsed: &httparse::Request<'_, '_>) -> Result<Request, Status> {
    let is_http_1_1 = parsed.version == Some(1);
    let (mut keep_alive, mut hosts) = (is_http_1_1, 0);
    let (mut length, mut chunked, mut expects_continue) = (None, false, false);
    let (mut range, mut if_range) = (None, None);
    let (mut if_none_match, mut if_modified_since) = (None, None);
    for header in parsed.headers.iter() {
        let name = header.name.to_ascii_lowercase();
        // What is no text in a value matches nothing below, and is no number either.
        let value = &*String::from_utf8_lossy(header.value);
        match name.as_str() {
            "host" => hosts += 1,
            "connection" => {
                for option in value.split(',').map(str::trim) {
                    if option.eq_ignore_ascii_case("close") {
                        keep_alive = false;
                    } else if option.eq_ignore_ascii_case("keep-alive") && !is_http_1_1 {
                        keep_alive = true;
                    }
                }
            }
            "content-length" => {
                let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                let stated: u64 = match value.parse() {
                    Ok(stated) if digits => stated,
                    _ if digits => return Err(Status::CONTENT_TOO_LARGE),
                    _ => return Err(Status::BAD_REQUEST),
                };
                if length.is_some_and(|earlier| earlier != stated) {
                    return Err(Status::BAD_REQUEST);
                }
                length = Some(stated);
            }
            "transfer-encoding" => {
                if !value.eq_ignore_ascii_case("chunked") || chunked {
                    return Err(Status::NOT_IMPLEMENTED);
                }
                chunked = true;
            }
            "expect" => expects_continue = value.eq_ignore_ascii_case("100-continue"),
            "range" => range = Some(value.to_owned()),
            "if-range" => if_range = Some(value.to_owned()),
            "if-none-match" => if_none_match = Some(value.to_owned()),
            "if-modified-since" => if_modified_since = Some(value.to_owned()),
            _ => {}
        }
    }
    // Two framings for one body are how requests are smuggled past a proxy.
    if (chunked && length.is_some()) || (is_http_1_1 && hosts != 1) {
        return Err(Status::BAD_REQUEST);
    }
    Ok(Request {
        method: match parsed.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        },
        target: parsed.path.unwrap_or_default().to_owned(),
        keep_alive,
        body: match length {
            _ if chunked => Body::Chunked,
            Some(length) if length > 0 => Body::Length(length),
            _ => Body::None,
        },
        expects_continue,
        range,
        if_range,
        if_none_match,
        if_modified_since,
    })
}

/// The refusal a head has earned by its length alone.
fn too_long_already(head: &[u8]) -> Option<Status> {
    let line_len = head.iter().position(|&b| b == b'\n').unwrap_or(head.len());
    if line_len > LINE_BYTES_MAX {
        Some(Status::URI_TOO_LONG)
    } else if head.len() > HEAD_BYTES_MAX {
        Some(Status::HEADERS_TOO_LARGE)
    } else {
        None
    }
}

/// Whether the first line ends as `HTTP/2.0` does: well-formed, but not ours to speak.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let last = line.trim_ascii_end().rsplit(|&b| b == b' ').next();
    matches!(last, Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
        if major.is_ascii_digit() && minor.is_ascii_digit())
}
