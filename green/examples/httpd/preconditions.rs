//! Requests that are to be answered only if something has changed, or has not (RFC 9110, 13).

use std::time::SystemTime;

use crate::request::{Request, items};
use crate::status::Status;

/// What tells one state of a resource from another.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    pub etag: Option<&'a str>,
    pub modified: Option<SystemTime>,
}

/// The answer that `request` has earned by its conditions alone. Entity tags, where given, decide.
pub fn check(request: &Request, validators: Validators<'_>) -> Option<Status> {
    let Validators { etag, modified } = validators;
    let goes_on = match &request.if_match {
        // A weak tag does not say that the bytes are the same.
        Some(tags) => names(tags, etag),
        None => match (date(&request.if_unmodified_since), modified) {
            (Some(since), Some(modified)) => seconds(modified) <= since,
            _ => true,
        },
    };
    if !goes_on {
        return Some(Status::PRECONDITION_FAILED);
    }
    let has_news = match &request.if_none_match {
        Some(tags) => !names(&tags.replace("W/\"", "\""), etag),
        None => match (date(&request.if_modified_since), modified) {
            (Some(since), Some(modified)) => seconds(modified) > since,
            _ => true,
        },
    };
    (!has_news).then_some(Status::NOT_MODIFIED)
}

/// Whether `etag` is one of `tags`; anything that exists is meant by `*`.
fn names(tags: &str, etag: Option<&str>) -> bool {
    tags.trim() == "*" || items(tags).any(|tag| Some(tag) == etag)
}

/// Whole seconds are what a header can say; one that says no date is as good as none.
fn date(header: &Option<String>) -> Option<u64> {
    let date = httpdate::parse_http_date(header.as_deref()?).ok()?;
    Some(seconds(date))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
