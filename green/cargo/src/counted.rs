//! Numbers, each with what is counted.

/// `1 copy`, `2 copies`.
pub fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
