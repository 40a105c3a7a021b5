//! Ending a green thread from outside.

use std::io;
use std::sync::Arc;

use crate::hub::interrupt::CAN_UNWIND;
use crate::hub::task::Task;
use crate::hub::wait::give_precedence;

/// As [`JoinHandle::kill`](super::JoinHandle::kill).
pub(crate) fn kill(victim: &Arc<Task>) -> io::Result<()> {
    if !CAN_UNWIND {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "killing needs unwinding, and this program is built with panic = \"abort\"",
        ));
    }
    victim.kill();
    // It sees the kill before we go on.
    give_precedence(victim);
    Ok(())
}
