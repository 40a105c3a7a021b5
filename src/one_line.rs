//! What others have said, in one line of a log.

use std::fmt::{self, Display, Write};

/// `text` with its control characters escaped, and what else ends a line: nobody can add lines of his own to a log.
#[doc(hidden)]
pub fn one_line(text: impl Display) -> impl Display {
    OneLine(text)
}

struct OneLine<T>(T);

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        let is_escaped = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        while let Some(at) = text.find(is_escaped) {
            let (plain, rest) = text.split_at(at);
            let mut rest = rest.chars();
            self.0.write_str(plain)?;
            rest.next()
                .map_or(Ok(()), |c| write!(self.0, "{}", c.escape_default()))?;
            text = rest.as_str();
        }
        self.0.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn what_ends_a_line_or_moves_a_terminal_s_cursor_is_escaped_and_the_rest_is_not() {
        let all = "a\nb\r\n\tc\u{1b}[2K\u{85}\u{2028}\u{7f} \\ \"é\"";
        let one = r#"a\nb\r\n\tc\u{1b}[2K\u{85}\u{2028}\u{7f} \ "é""#;
        assert_eq!(one_line(all).to_string(), one);
        assert_eq!(one_line(format_args!("{}\n", 7)).to_string(), "7\\n");
        assert_eq!(one_line("").to_string(), "");
    }
}
