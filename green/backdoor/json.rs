//! Values written as JSON. Nothing here reads it.
//!
//! Why no crate does it: with serde_json among a program's crates integers and strings compare with its `Value` too, and
//! `assert_eq!(bytes, Vec::new())` in that program has no type any more.

use std::collections::BTreeMap;
use std::fmt::Write;

pub(super) trait Json {
    fn write(&self, text: &mut String);
}

macro_rules! as_displayed {
    ($($kind:ty),*) => {$(
        impl Json for $kind {
            fn write(&self, text: &mut String) {
                let _ = write!(text, "{self}");
            }
        }
    )*};
}

as_displayed!(bool, u32, u64, usize);

impl Json for f64 {
    fn write(&self, text: &mut String) {
        // JSON has no other numbers.
        if self.is_finite() {
            let _ = write!(text, "{self:?}");
        } else {
            text.push_str("null");
        }
    }
}

impl Json for str {
    fn write(&self, text: &mut String) {
        text.push('"');
        for character in self.chars() {
            match character {
                '"' | '\\' => text.extend(['\\', character]),
                '\0'..'\x20' => {
                    let _ = write!(text, "\\u{:04x}", u32::from(character));
                }
                _ => text.push(character),
            }
        }
        text.push('"');
    }
}

impl Json for String {
    fn write(&self, text: &mut String) {
        self.as_str().write(text);
    }
}

impl<T: Json + ?Sized> Json for &T {
    fn write(&self, text: &mut String) {
        (**self).write(text);
    }
}

impl<T: Json> Json for Option<T> {
    fn write(&self, text: &mut String) {
        match self {
            Some(value) => value.write(text),
            None => text.push_str("null"),
        }
    }
}

impl<T: Json> Json for Vec<T> {
    fn write(&self, text: &mut String) {
        text.push('[');
        for (number, value) in self.iter().enumerate() {
            if number > 0 {
                text.push(',');
            }
            value.write(text);
        }
        text.push(']');
    }
}

impl<T: Json> Json for BTreeMap<&str, T> {
    fn write(&self, text: &mut String) {
        let mut object = Object::new();
        for (name, value) in self {
            object = object.with(name, value);
        }
        object.write(text);
    }
}

/// An object, a field after the other.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Object {
        Object(String::new())
    }

    pub(super) fn with(mut self, name: &str, value: impl Json) -> Object {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        name.write(&mut self.0);
        self.0.push(':');
        value.write(&mut self.0);
        self
    }
}

impl Json for Object {
    fn write(&self, text: &mut String) {
        text.extend(["{", &self.0, "}"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: impl Json) -> String {
        let mut text = String::new();
        value.write(&mut text);
        text
    }

    #[test]
    fn every_kind_of_value_is_written_as_json_has_it() {
        assert_eq!(written(Object::new()), "{}");
        let object = Object::new()
            .with("count", 3_usize)
            .with("seconds", 0.5)
            .with("ratio", f64::NAN)
            .with("idle", true)
            .with("name", None::<&str>)
            .with("threads", vec![Object::new().with("id", 1_u64)])
            .with("states", BTreeMap::from([("park", 1_u32), ("sleep", 2)]));
        assert_eq!(
            written(object),
            r#"{"count":3,"seconds":0.5,"ratio":null,"idle":true,"name":null,"threads":[{"id":1}],"states":{"park":1,"sleep":2}}"#
        );
    }

    #[test]
    fn what_would_end_a_string_is_escaped() {
        assert_eq!(
            written("a\"b\\c\n\u{1b}é\u{7f}"),
            "\"a\\\"b\\\\c\\u000a\\u001bé\u{7f}\""
        );
    }
}
