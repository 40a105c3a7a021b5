//! How often the tests that are to hold a thousand times in a row are run.

/// `GREEN_REPEAT`, once by default.
pub fn repeats() -> u32 {
    std::env::var("GREEN_REPEAT")
        .map_or(1, |times| times.parse().expect("a number in GREEN_REPEAT"))
}
