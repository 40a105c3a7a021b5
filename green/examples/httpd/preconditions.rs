//! Requests that are to be answered only if something has changed, or has not (RFC 9110, 13).

use std::time::SystemTime;

use green::http::{HeaderMap, HeaderName, StatusCode, header};

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
        Some(tags) => names(&tags, etag),
        None => match (date(headers, header::IF_UNMODIFIED_SINCE), modified) {
            (Some(since), Some(modified)) => seconds(modified) <= since,
            _ => true,
        },
    };
    if !goes_on {
        return Err(StatusCode::PRECONDITION_FAILED);
    }
    let has_news = match tags(headers, header::IF_NONE_MATCH) {
        Some(tags) => !names(&tags.replace("W/\"", "\""), etag),
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

/// All lines of a field that is a list, as one.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let lines: Vec<_> = headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// Whether `etag` is one of `tags`; anything that exists is meant by `*`.
fn names(tags: &str, etag: Option<&str>) -> bool {
    let mut each = tags.split(',').map(str::trim);
    tags.trim() == "*" || each.any(|tag| Some(tag) == etag)
}

/// Whole seconds are what a header can say; one that says no date is as good as none.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    let date = headers.get(name)?.to_str().ok()?;
    Some(seconds(httpdate::parse_http_date(date).ok()?))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
