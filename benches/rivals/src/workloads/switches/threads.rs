//! The same on OS threads.

use std::{sync, thread};

#[path = "../../../blocking/switches.rs"]
mod switches;

#[path = "../../../blocking/hand_over.rs"]
mod hand_over;

pub use hand_over::{channel_hand_over, contended_mutex};
pub use switches::{spawn_join, yield_now};
