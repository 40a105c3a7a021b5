//! Requests that are to be answered only if something has changed, or has not (RFC 9110, 13).

use std::time::SystemTime;

use green::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// What tells one state of a resource from another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validators<'a> {
    pub etag: Option<&'a str>,
    pub modified: Option<SystemTime>,
}

/// The status that a request has earned by its conditions alone, as an error. Entity tags, where given, decide.
pub fn check(headers: &HeaderMap, validators: Validators<'_>) -> Result<(), StatusCode> {
    let Validators { etag, modified } = validators;
    let goes_on = match tags(headers, header::IF_MATCH) {
        // A weak tag does not say that the bytes are the same.
        Some(tags) => list_of(&tags).any(|tag| is(tag, etag)),
        None => match (date(headers, header::IF_UNMODIFIED_SINCE), modified) {
            (Some(since), Some(modified)) => seconds(modified) <= since,
            _ => true,
        },
    };
    if !goes_on {
        return Err(StatusCode::PRECONDITION_FAILED);
    }
    let has_news = match tags(headers, header::IF_NONE_MATCH) {
        Some(tags) => {
            let mut strong = list_of(&tags).map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag));
            !strong.any(|tag| is(tag, etag))
        }
        None => match (date(headers, header::IF_MODIFIED_SINCE), modified) {
            (Some(since), Some(modified)) => seconds(modified) > since,
            _ => true,
        },
    };
    match has_news {
        true => Ok(()),
        false => Err(StatusCode::NOT_MODIFIED),
    }
}

/// All lines of a field that is a list, as one. Tags may have bytes that are no ASCII.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Vec<u8>> {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let lines: Vec<_> = lines.collect();
    (!lines.is_empty()).then(|| lines.join(&b','))
}

fn list_of(tags: &[u8]) -> impl Iterator<Item = &[u8]> {
    tags.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether `tag` is `etag`; anything that exists is meant by `*`.
fn is(tag: &[u8], etag: Option<&str>) -> bool {
    tag == b"*" || etag.is_some_and(|etag| tag == etag.as_bytes())
}

/// Whole seconds are what a header can say; one that says no date, or several, is as good as none.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    let date = only(headers, name)?.to_str().ok()?;
    Some(seconds(httpdate::parse_http_date(date).ok()?))
}

/// The value of a field that must have one line.
pub fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
