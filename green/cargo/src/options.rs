//! What a user asks of `cargo green patch`.

use crate::asking::Asking;
use crate::place::Place;

#[derive(Debug)]
pub struct Options {
    pub asking: Asking,
    pub crates: Vec<String>,
    pub except: Vec<String>,
    pub place: Place,
    pub dry_run: bool,
    pub yes: bool,
}
