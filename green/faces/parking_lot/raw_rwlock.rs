//! [`RawRwLock`]: the lock inside a reader-writer lock.
#![expect(unsafe_code, reason = "lock_api's traits are unsafe")]

use std::fmt;
use std::time::{Duration, Instant};

use crate::shield;
use crate::sync::lock::Lock;
use crate::sync::shared_lock::SharedLock;
use greenhub::Deadline;

/// A lock without data, of many readers or one writer; one of the readers may be on its way to become the writer.
pub struct RawRwLock {
    /// Owned by whoever writes, or may come to write while others read. So nobody can write
    /// between the two halves of an upgrade.
    gate: Lock,
    shared: SharedLock,
}

impl RawRwLock {
    /// Takes both, the gate first; or neither.
    fn through_gate(&self, deadline: Deadline, take: impl FnOnce() -> bool) -> bool {
        shield(|| {
            if !self.gate.lock_until(deadline) {
                return false;
            }
            let taken = take();
            if !taken {
                self.gate.unlock();
            }
            taken
        })
    }

    fn try_through_gate(&self, take: impl FnOnce() -> bool) -> bool {
        if !self.gate.try_lock() {
            return false;
        }
        let taken = take();
        if !taken {
            self.gate.unlock();
        }
        taken
    }

    /// As the owner of the gate. Nobody writes; but a reader that leaves has the lock as a writer for a moment, to pass
    /// it on to one that has given up by now.
    fn read_inside(&self, deadline: Deadline) -> bool {
        shield(|| self.shared.read_again_until(deadline))
    }

    fn upgrade_until(&self, deadline: Deadline) -> bool {
        self.shared.unlock_read();
        let upgraded = shield(|| self.shared.write_until(deadline));
        if !upgraded {
            self.read_inside(Deadline::NEVER);
        }
        upgraded
    }
}

// SAFETY: `SharedLock` has one writer or many readers. No unwind comes out of a wait, as
// lock_api expects where it locks again in a destructor.
unsafe impl lock_api::RawRwLock for RawRwLock {
    const INIT: RawRwLock = RawRwLock {
        gate: Lock::new(),
        shared: SharedLock::new(),
    };

    type GuardMarker = lock_api::GuardNoSend;

    fn lock_shared(&self) {
        shield(|| self.shared.read());
    }

    fn try_lock_shared(&self) -> bool {
        self.shared.try_read()
    }

    unsafe fn unlock_shared(&self) {
        self.shared.unlock_read();
    }

    fn lock_exclusive(&self) {
        self.through_gate(Deadline::NEVER, || self.shared.write_until(Deadline::NEVER));
    }

    fn try_lock_exclusive(&self) -> bool {
        self.try_through_gate(|| self.shared.try_write())
    }

    unsafe fn unlock_exclusive(&self) {
        self.shared.unlock_write();
        self.gate.unlock();
    }

    fn is_locked(&self) -> bool {
        self.shared.owned().0
    }

    fn is_locked_exclusive(&self) -> bool {
        self.shared.owned().1
    }
}

// SAFETY: unlocking is fair as it is.
unsafe impl lock_api::RawRwLockFair for RawRwLock {
    unsafe fn unlock_shared_fair(&self) {
        self.shared.unlock_read();
    }

    unsafe fn unlock_exclusive_fair(&self) {
        self.shared.unlock_write();
        self.gate.unlock();
    }
}

// SAFETY: the writer becomes a reader in one step, and leaves the gate.
unsafe impl lock_api::RawRwLockDowngrade for RawRwLock {
    unsafe fn downgrade(&self) {
        self.shared.downgrade();
        self.gate.unlock();
    }
}

// SAFETY: true means that the lock was taken.
unsafe impl lock_api::RawRwLockTimed for RawRwLock {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_shared_for(&self, timeout: Duration) -> bool {
        shield(|| self.shared.read_until(Deadline::after(timeout)))
    }

    fn try_lock_shared_until(&self, timeout: Instant) -> bool {
        shield(|| self.shared.read_until(Deadline::at(timeout)))
    }

    fn try_lock_exclusive_for(&self, timeout: Duration) -> bool {
        let deadline = Deadline::after(timeout);
        self.through_gate(deadline, || self.shared.write_until(deadline))
    }

    fn try_lock_exclusive_until(&self, timeout: Instant) -> bool {
        self.through_gate(Deadline::at(timeout), || {
            self.shared.write_until(Deadline::at(timeout))
        })
    }
}

// SAFETY: taken as a reader, past the writers that wait.
unsafe impl lock_api::RawRwLockRecursive for RawRwLock {
    fn lock_shared_recursive(&self) {
        shield(|| self.shared.read_again_until(Deadline::NEVER));
    }

    fn try_lock_shared_recursive(&self) -> bool {
        self.shared.try_read_again()
    }
}

// SAFETY: as above.
unsafe impl lock_api::RawRwLockRecursiveTimed for RawRwLock {
    fn try_lock_shared_recursive_for(&self, timeout: Duration) -> bool {
        shield(|| self.shared.read_again_until(Deadline::after(timeout)))
    }

    fn try_lock_shared_recursive_until(&self, timeout: Instant) -> bool {
        shield(|| self.shared.read_again_until(Deadline::at(timeout)))
    }
}

// SAFETY: an upgradable reader owns the gate and is a reader. On its way to become the writer it
// is neither for a moment, in which nobody else can write.
unsafe impl lock_api::RawRwLockUpgrade for RawRwLock {
    fn lock_upgradable(&self) {
        self.through_gate(Deadline::NEVER, || self.read_inside(Deadline::NEVER));
    }

    fn try_lock_upgradable(&self) -> bool {
        self.try_through_gate(|| self.shared.try_read_again())
    }

    unsafe fn unlock_upgradable(&self) {
        self.shared.unlock_read();
        self.gate.unlock();
    }

    unsafe fn upgrade(&self) {
        self.upgrade_until(Deadline::NEVER);
    }

    unsafe fn try_upgrade(&self) -> bool {
        self.shared.unlock_read();
        let upgraded = self.shared.try_write();
        if !upgraded {
            self.read_inside(Deadline::NEVER);
        }
        upgraded
    }
}

// SAFETY: unlocking is fair as it is.
unsafe impl lock_api::RawRwLockUpgradeFair for RawRwLock {
    unsafe fn unlock_upgradable_fair(&self) {
        self.shared.unlock_read();
        self.gate.unlock();
    }
}

// SAFETY: the gate is kept by who may write later, and left by who may not.
unsafe impl lock_api::RawRwLockUpgradeDowngrade for RawRwLock {
    unsafe fn downgrade_upgradable(&self) {
        self.gate.unlock();
    }

    unsafe fn downgrade_to_upgradable(&self) {
        self.shared.downgrade();
    }
}

// SAFETY: true means that the lock was taken, false that it is a reader's still.
unsafe impl lock_api::RawRwLockUpgradeTimed for RawRwLock {
    fn try_lock_upgradable_for(&self, timeout: Duration) -> bool {
        let deadline = Deadline::after(timeout);
        self.through_gate(deadline, || self.read_inside(deadline))
    }

    fn try_lock_upgradable_until(&self, timeout: Instant) -> bool {
        self.through_gate(Deadline::at(timeout), || {
            self.read_inside(Deadline::at(timeout))
        })
    }

    unsafe fn try_upgrade_for(&self, timeout: Duration) -> bool {
        self.upgrade_until(Deadline::after(timeout))
    }

    unsafe fn try_upgrade_until(&self, timeout: Instant) -> bool {
        self.upgrade_until(Deadline::at(timeout))
    }
}

impl fmt::Debug for RawRwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRwLock").finish_non_exhaustive()
    }
}
