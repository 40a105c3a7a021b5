//! What the targets share.

pub mod checked_pipe;
