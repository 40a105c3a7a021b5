//! std's modules, name by name, on green threads: what every build of the crate has.

pub mod channel;
pub mod fs;
pub mod integers;
pub mod io;
pub mod net;
pub mod os;
#[cfg(feature = "parking_lot")]
pub mod parking_lot;
pub mod process;
pub mod shielded;
pub mod sync;
pub mod thread;
pub mod time;
