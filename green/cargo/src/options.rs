//! What a user asks of `cargo green patch`.

use std::path::PathBuf;

use crate::asking::Asking;

#[derive(Debug)]
pub struct Options {
    pub asking: Asking,
    pub crates: Vec<String>,
    pub except: Vec<String>,
    pub into: PathBuf,
    pub dry_run: bool,
    pub yes: bool,
}
