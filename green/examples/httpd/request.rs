//! A request's head: parsed by `httparse`, then judged.

use crate::status::Status;
use crate::target;

/// The longest request line that is read, in bytes.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// The longest head that is read, in bytes.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 100;

/// What the rest of the server needs to know of a request. A field that came in several lines is their list.
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
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
    pub if_modified_since: Option<String>,
    pub if_unmodified_since: Option<String>,
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
        Err(httparse::Error::Version) => {
            return match version_at(bytes) {
                // What a later minor version adds may be ignored (RFC 9110, 2.5).
                Some((b'1', minor_at)) if bytes[minor_at] > b'1' => {
                    let mut as_1_1 = bytes.to_vec();
                    as_1_1[minor_at] = b'1';
                    parse(&as_1_1)
                }
                Some((major, _)) if major != b'1' => Err(Status::VERSION_NOT_SUPPORTED),
                _ => Err(Status::BAD_REQUEST),
            };
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
    // Many lines of one name are one list (RFC 9110, 5.3). Where a field is no list, that makes a value which means
    // nothing.
    let field = |name: &str| {
        let lines = parsed
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        // What is no text in a value matches nothing below, and is no number either.
        let values: Vec<_> = lines
            .map(|header| String::from_utf8_lossy(header.value))
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    };
    let options = field("Connection").unwrap_or_default();
    let connection = |option| items(&options).any(|item| item.eq_ignore_ascii_case(option));
    match field("Host") {
        Some(host) if !target::is_host(&host) => return Err(Status::BAD_REQUEST),
        None if is_http_1_1 => return Err(Status::BAD_REQUEST),
        _ => {}
    }
    let mut keep_alive = !connection("close") && (is_http_1_1 || connection("keep-alive"));
    let length = field("Content-Length").as_deref().map(length).transpose()?;
    let body = match (field("Transfer-Encoding"), length) {
        // There was no such thing in HTTP/1.0: where the message ends is anybody's guess (RFC 9112, 6.1).
        (Some(_), _) if !is_http_1_1 => {
            keep_alive = false;
            Body::None
        }
        // Two framings for one body are how requests are smuggled past a proxy.
        (Some(_), Some(_)) => return Err(Status::BAD_REQUEST),
        (Some(codings), None) => chunked(&codings)?,
        (None, Some(length @ 1..)) => Body::Length(length),
        (None, _) => Body::None,
    };
    let expectations = field("Expect").unwrap_or_default();
    let expects_continue =
        items(&expectations).any(|expected| expected.eq_ignore_ascii_case("100-continue"));
    Ok(Request {
        method: match parsed.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        },
        target: parsed.path.unwrap_or_default().to_owned(),
        keep_alive,
        body,
        expects_continue: expects_continue && is_http_1_1,
        range: field("Range"),
        if_range: field("If-Range"),
        if_match: field("If-Match"),
        if_none_match: field("If-None-Match"),
        if_modified_since: field("If-Modified-Since"),
        if_unmodified_since: field("If-Unmodified-Since"),
    })
}

/// The items of a list.
pub fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(trim).filter(|item| !item.is_empty())
}

/// Without the white space around it. Only these two characters are any (RFC 9110, 5.6.3): a proxy that does not take
/// others for white space would see another value.
fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

/// Reads `Content-Length`; lines that say the same may be many.
fn length(value: &str) -> Result<u64, Status> {
    let mut stated = None;
    for digits in value.split(',').map(trim) {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Status::BAD_REQUEST);
        }
        // More than a number holds is more than anybody takes.
        let length: u64 = digits.parse().map_err(|_| Status::CONTENT_TOO_LARGE)?;
        if stated.is_some_and(|earlier| earlier != length) {
            return Err(Status::BAD_REQUEST);
        }
        stated = Some(length);
    }
    stated.ok_or(Status::BAD_REQUEST)
}

/// Reads `Transfer-Encoding`. Only "chunked", at the end and once, says where the body ends (RFC 9112, 6.3); what comes
/// before it would have to be decoded.
fn chunked(codings: &str) -> Result<Body, Status> {
    let is_chunked = |coding: &&str| coding.eq_ignore_ascii_case("chunked");
    let codings: Vec<_> = items(codings).collect();
    match codings.split_last() {
        Some((last, before)) if is_chunked(last) && !before.iter().any(is_chunked) => {
            match before.is_empty() {
                true => Ok(Body::Chunked),
                false => Err(Status::NOT_IMPLEMENTED),
            }
        }
        _ => Err(Status::BAD_REQUEST),
    }
}

/// Reads the line that begins a chunk, if all of it is there: its length, and the chunk's size.
///
/// It ends in CR LF and has no other line's end in it: a proxy in front of us may take a lone LF for the line's end, or
/// not, and two who disagree about that see different requests.
pub fn chunk_size(bytes: &[u8]) -> Result<Option<(usize, u64)>, Status> {
    let Some(end) = bytes.iter().position(|&b| b == b'\n') else {
        return Ok(None);
    };
    let line = bytes[..end]
        .strip_suffix(b"\r")
        .ok_or(Status::BAD_REQUEST)?;
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (digits, extension) = line.split_at(digits);
    let is_extension = extension
        .iter()
        .find(|b| !b" \t".contains(b))
        .is_some_and(|&b| b == b';')
        && extension
            .iter()
            .all(|&b| b == b'\t' || !b.is_ascii_control());
    if digits.is_empty() || !(extension.is_empty() || is_extension) {
        return Err(Status::BAD_REQUEST);
    }
    let digits = str::from_utf8(digits).expect("hexadecimal digits are text");
    // More than a number holds is more than anybody takes.
    let size = u64::from_str_radix(digits, 16).map_err(|_| Status::CONTENT_TOO_LARGE)?;
    Ok(Some((end + 1, size)))
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

/// The major version that a request line of three parts names, and where its minor one is: `HTTP/2.0` is well-formed,
/// but not ours to speak.
fn version_at(bytes: &[u8]) -> Option<(u8, usize)> {
    let start = bytes.iter().position(|b| !b"\r\n".contains(b))?;
    let end = start + bytes[start..].iter().position(|&b| b == b'\n')?;
    let line = bytes[start..end]
        .strip_suffix(b"\r")
        .unwrap_or(&bytes[start..end]);
    let parts: Vec<_> = line.split(|&b| b == b' ').collect();
    match parts[..] {
        [_, _, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Some((*major, start + line.len() - 1))
        }
        _ => None,
    }
}
