//! Files, pipes and what waits for several streams, in code that blocks and in async code.

mod aio;
mod files;
mod pipes;
mod select;
