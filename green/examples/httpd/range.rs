//! The `Range` header: which bytes of a file are asked for.

use std::ops::Range;

/// More ranges than any player or download tool asks for in one request.
const RANGES_MAX: usize = 16;

#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    Everything,
    Parts(Vec<Range<u64>>),
    /// The header is well-formed and none of its ranges lies within the file.
    NotSatisfiable,
}

/// Reads a `Range` header for a file of `len` bytes. What is not understood is ignored, as HTTP
/// wants it, and so is a header that asks for more bytes than the file has: that is no download.
pub fn parse(header: &str, len: u64) -> Wanted {
    let Some((unit, list)) = header.split_once('=') else {
        return Wanted::Everything;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Everything;
    }
    let items = || {
        list.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
    };
    if items().next().is_none() {
        return Wanted::Everything;
    }
    let mut parts = Vec::new();
    for item in items() {
        match parse_one(item, len) {
            Some(Some(part)) => parts.push(part),
            Some(None) => {}
            None => return Wanted::Everything,
        }
    }
    let total = parts
        .iter()
        .fold(0u64, |sum, part| sum.saturating_add(part.end - part.start));
    if parts.is_empty() {
        Wanted::NotSatisfiable
    } else if parts.len() > RANGES_MAX || (parts.len() > 1 && total > len) {
        Wanted::Everything
    } else {
        Wanted::Parts(parts)
    }
}

/// `None`: no range at all. `Some(None)`: a range that lies outside of the file.
fn parse_one(item: &str, len: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = item.split_once('-')?;
    let range = match (first, last) {
        ("", suffix) => len.saturating_sub(number(suffix)?)..len,
        (first, "") => number(first)?..len,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..len.min(last.saturating_add(1))
        }
    };
    Some((range.start < range.end).then_some(range))
}

/// Digits only; a number too large for us lies behind the end of every file.
fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}
