//! `std::os::linux` on green threads.

pub mod net;

/// `std::os::linux::fs`: std's own.
pub mod fs {
    pub use std::os::linux::fs::MetadataExt;
}
