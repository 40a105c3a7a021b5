//! A text and the places in it that become something else; all that lies between stays to the byte.

use std::ops::Range;

#[derive(Debug, Default)]
pub struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    pub fn replace(&mut self, place: Range<usize>, with: impl Into<String>) {
        self.0.push((place, with.into()));
    }

    pub fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text with its edits. Places do not overlap; insertions at one place keep their order.
    pub fn apply(mut self, text: &str) -> String {
        self.0.sort_by_key(|(place, _)| (place.start, place.end));
        let mut result = String::with_capacity(text.len() + 64 * self.0.len());
        let mut done = 0;
        for (place, with) in self.0 {
            result.push_str(&text[done..place.start]);
            result.push_str(&with);
            done = place.end;
        }
        result.push_str(&text[done..]);
        result
    }
}
