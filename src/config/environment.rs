//! Settings from the environment: what cannot be used as it stands there leaves a remark, not an error.

use std::ffi::OsStr;
use std::num::{IntErrorKind, ParseIntError};
use std::ops::RangeInclusive;

#[cfg(test)]
mod tests;

/// The number in the variable `name` if there is one, or what holds in its place: the end of `range` that is nearer, or
/// `default`.
pub(super) fn number(
    name: &str,
    range: RangeInclusive<usize>,
    default: impl FnOnce() -> usize,
    remarks: &mut Vec<String>,
) -> usize {
    match std::env::var_os(name) {
        Some(value) => number_in(name, &value, range, default, remarks),
        None => default(),
    }
}

fn number_in(
    name: &str,
    value: &OsStr,
    range: RangeInclusive<usize>,
    default: impl FnOnce() -> usize,
    remarks: &mut Vec<String>,
) -> usize {
    let value = value.to_string_lossy();
    let (wrong, used, why) = match value.trim().parse() {
        Ok(number) if number < *range.start() => {
            ("too small", *range.start(), "the least there can be")
        }
        Ok(number) if number > *range.end() => ("too large", *range.end(), "the most there can be"),
        Ok(number) => return number,
        Err(error) => (not_parsed(&error), default(), "the default"),
    };
    remarks.push(format!(
        "{name}={value:?} is {wrong}: {used} is used, {why}"
    ));
    used
}

fn not_parsed(error: &ParseIntError) -> &'static str {
    match error.kind() {
        IntErrorKind::PosOverflow => "too large",
        _ => "not a number in digits alone",
    }
}

/// What the word in the variable `name` stands for, or `default`, which is one of `words`.
pub(super) fn word<T: Copy + PartialEq>(
    name: &str,
    words: &[(&str, T)],
    default: T,
    remarks: &mut Vec<String>,
) -> T {
    let Some(value) = std::env::var_os(name) else {
        return default;
    };
    let value = value.to_string_lossy();
    if let Some((_, set)) = words.iter().find(|(word, _)| *word == value.trim()) {
        return *set;
    }
    let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    let used = words.iter().find(|(_, set)| *set == default);
    remarks.push(format!(
        "{name}={value:?} is none of {}: {} is used, the default",
        all.join(", "),
        used.map_or("", |(word, _)| word)
    ));
    default
}
