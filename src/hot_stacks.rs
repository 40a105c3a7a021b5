//! How many stacks that nobody uses keep their memory for good, so that the next users find it.

/// At most, of a size.
pub(crate) const MOST: usize = 16;
/// And how many bytes all of them may be, if each was used whole: large ones that were used deeply, or those of many
/// sizes, would take their memory for ever.
const BYTES: usize = 8 << 20;

/// How many of `size` bytes, where there are stacks of so many `sizes`.
pub(crate) fn count(size: usize, sizes: usize) -> usize {
    MOST.min(BYTES / sizes / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_few_and_their_bytes_are() {
        assert_eq!(count(64 << 10, 1), MOST);
        assert_eq!(count(2 << 20, 1), 4);
        assert_eq!(count(2 << 20, 4), 1);
        assert_eq!(count(16 << 20, 1), 0);
    }
}
