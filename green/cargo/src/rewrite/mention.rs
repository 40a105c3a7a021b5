//! What is found in a source, and where.

use crate::names::Kind;

/// A place in the source that matters for what the crate does to a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    pub line: usize,
    /// `std::thread::sleep`.
    pub what: String,
    pub found: Found,
    pub via: Via,
    /// Other crates see it.
    pub public: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Import,
    /// A path that says it in full.
    Path,
    /// A name that an import brought.
    Local,
    /// A name in a module that an import brought.
    Module,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A name that green has.
    Std(Kind),
    /// A call of C that waits.
    Raw,
    /// Another crate's lock.
    Foreign,
    /// `once_cell` or `lazy_static`.
    FirstUse,
    Socket2,
    /// A method of that name is called.
    Method,
    Unsafe,
    /// The same module is meant in a way that is not rewritten.
    NotRewritten,
}
