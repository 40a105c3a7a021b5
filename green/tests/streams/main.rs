//! Files, pipes and what waits for several streams.

mod files;
mod pipes;
mod select;
