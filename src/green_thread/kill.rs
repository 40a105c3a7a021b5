//! Ending a green thread from outside.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::hub::current;
use crate::hub::interrupt::{CAN_UNWIND, is_held};
use crate::hub::task::Task;

/// As [`JoinHandle::kill`](super::JoinHandle::kill).
pub(crate) fn kill(victim: &Arc<Task>) -> io::Result<()> {
    if !CAN_UNWIND {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "killing needs unwinding, and this program is built with panic = \"abort\"",
        ));
    }
    victim.kill();
    if let (Some(green), Some(local)) = (victim.green(), current::local())
        && current::is_green()
        && !is_held()
        && std::ptr::eq(green.home, &local.hub.home)
    {
        current::with(|task| {
            let stays = task.stays.load(Ordering::Relaxed);
            if let Some(own) = task.green()
                && !Arc::ptr_eq(task, victim)
                && !stays
            {
                // It sees the kill before we go on.
                local.hurry(victim);
                local.push(task.clone());
                local.suspend(task, own);
            }
        });
    }
    Ok(())
}
