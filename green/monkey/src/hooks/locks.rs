//! C's locks: mutexes, read-write locks, semaphores.
//!
//! A lock that is free is taken at once. Otherwise the green thread parks by the lock's address,
//! and whoever unlocks wakes it. The C library also unlocks without our function, inside
//! `pthread_cond_wait`, so a wait looks again now and then. Neither a kill nor a limit ends it.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::c_int;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::foreign;
use libc::{pthread_mutex_t, pthread_rwlock_t, sem_t, timespec};

use super::parked::{ANY, park, wake};
use super::time::{duration, until};
use crate::Patch;
use crate::answer::{Answer, Plain, of};

hooks! {
    is_on(Patch::THREAD) fn pthread_mutex_lock(lock: *mut pthread_mutex_t) -> c_int = own_mutex_lock;
    is_on(Patch::THREAD) fn pthread_mutex_timedlock(lock: *mut pthread_mutex_t, at: *const timespec) -> c_int
        = own_mutex_timedlock;
    is_on_anywhere(Patch::THREAD) fn pthread_mutex_unlock(lock: *mut pthread_mutex_t) -> c_int = own_mutex_unlock;
    is_on(Patch::THREAD) fn pthread_rwlock_rdlock(lock: *mut pthread_rwlock_t) -> c_int = own_rdlock;
    is_on(Patch::THREAD) fn pthread_rwlock_wrlock(lock: *mut pthread_rwlock_t) -> c_int = own_wrlock;
    is_on_anywhere(Patch::THREAD) fn pthread_rwlock_unlock(lock: *mut pthread_rwlock_t) -> c_int = own_rwlock_unlock;
    is_on(Patch::THREAD) fn sem_wait(semaphore: *mut sem_t) -> c_int = own_sem_wait;
    is_on(Patch::THREAD) fn sem_timedwait(semaphore: *mut sem_t, at: *const timespec) -> c_int = own_sem_timedwait;
    is_on_anywhere(Patch::THREAD) fn sem_post(semaphore: *mut sem_t) -> c_int = own_sem_post;
}

/// The time between two looks at a lock while no wake-up comes.
const LOOK: Duration = Duration::from_millis(8);

/// Parks by `address` until `attempt` gives another code than `busy`.
fn take(
    what: &'static str,
    address: usize,
    deadline: Deadline,
    busy: c_int,
    attempt: impl Fn() -> c_int,
) -> c_int {
    loop {
        let mut given = busy;
        let until = deadline.min(Deadline::after(LOOK));
        let is_needed = || {
            given = attempt();
            given == busy
        };
        park(what, address, ANY, until, is_needed, || ());
        if given != busy {
            return given;
        }
        if deadline.has_passed() {
            return libc::ETIMEDOUT;
        }
    }
}

/// Whether trying and waiting mean the same but for the wait: of ordinary and of adaptive ones.
///
/// # Safety
///
/// The caller's lock.
unsafe fn is_plain(lock: *const pthread_mutex_t) -> bool {
    // The kind's place is fixed: static initialisers have it. Bits from 256 on are the library's
    // own remarks.
    const KIND: usize = 4;
    // SAFETY: as the caller promises; a lock has ten words.
    let kind = unsafe { lock.cast::<c_int>().add(KIND).read_volatile() } & 0xff;
    [libc::PTHREAD_MUTEX_NORMAL, libc::PTHREAD_MUTEX_ADAPTIVE_NP].contains(&kind)
}

/// # Safety
///
/// The caller's lock and time.
unsafe fn lock_mutex(
    lock: *mut pthread_mutex_t,
    deadline: impl FnOnce() -> Deadline,
    block: impl FnOnce() -> c_int,
) -> Plain<c_int> {
    // SAFETY: the caller's.
    let attempt = || unsafe { libc::pthread_mutex_trylock(lock) };
    // SAFETY: as above.
    if !unsafe { is_plain(lock) } {
        return Plain(block());
    }
    match attempt() {
        libc::EBUSY if foreign::may_park() => Plain(take(
            "pthread mutex",
            lock as usize,
            deadline(),
            libc::EBUSY,
            attempt,
        )),
        libc::EBUSY => Plain(block()),
        given => Plain(given),
    }
}

pub(super) unsafe fn own_mutex_lock(lock: *mut pthread_mutex_t) -> Plain<c_int> {
    // SAFETY: the caller's.
    unsafe { lock_mutex(lock, || Deadline::NEVER, || real::pthread_mutex_lock(lock)) }
}

/// The deadline at a point in time of CLOCK_REALTIME; nothing, if it is none.
///
/// # Safety
///
/// The caller's time.
unsafe fn deadline_at(at: *const timespec) -> Option<Deadline> {
    // SAFETY: the caller's, or null.
    let at = unsafe { at.as_ref() }.and_then(duration)?;
    Some(Deadline::after(until(libc::CLOCK_REALTIME, at)))
}

unsafe fn own_mutex_timedlock(lock: *mut pthread_mutex_t, at: *const timespec) -> Plain<c_int> {
    // SAFETY: the caller's.
    unsafe {
        let block = || real::pthread_mutex_timedlock(lock, at);
        match deadline_at(at) {
            Some(deadline) => lock_mutex(lock, || deadline, block),
            None => Plain(block()),
        }
    }
}

pub(super) unsafe fn own_mutex_unlock(lock: *mut pthread_mutex_t) -> Plain<c_int> {
    // SAFETY: the caller's. From here on its memory may be another's: only the address is used.
    let given = unsafe { real::pthread_mutex_unlock(lock) };
    wake(lock as usize, ANY, 1);
    Plain(given)
}

fn take_rwlock(
    lock: *mut pthread_rwlock_t,
    attempt: impl Fn() -> c_int,
    block: impl FnOnce() -> c_int,
) -> Plain<c_int> {
    Plain(match attempt() {
        libc::EBUSY if foreign::may_park() => take(
            "pthread rwlock",
            lock as usize,
            Deadline::NEVER,
            libc::EBUSY,
            attempt,
        ),
        libc::EBUSY => block(),
        given => given,
    })
}

unsafe fn own_rdlock(lock: *mut pthread_rwlock_t) -> Plain<c_int> {
    // SAFETY: the caller's.
    let attempt = || unsafe { libc::pthread_rwlock_tryrdlock(lock) };
    // SAFETY: as above.
    take_rwlock(lock, attempt, || unsafe {
        real::pthread_rwlock_rdlock(lock)
    })
}

unsafe fn own_wrlock(lock: *mut pthread_rwlock_t) -> Plain<c_int> {
    // SAFETY: the caller's.
    let attempt = || unsafe { libc::pthread_rwlock_trywrlock(lock) };
    // SAFETY: as above.
    take_rwlock(lock, attempt, || unsafe {
        real::pthread_rwlock_wrlock(lock)
    })
}

unsafe fn own_rwlock_unlock(lock: *mut pthread_rwlock_t) -> Plain<c_int> {
    // SAFETY: the caller's.
    let given = unsafe { real::pthread_rwlock_unlock(lock) };
    wake(lock as usize, ANY, usize::MAX);
    Plain(given)
}

/// # Safety
///
/// The caller's semaphore.
unsafe fn take_semaphore(
    semaphore: *mut sem_t,
    deadline: impl FnOnce() -> Deadline,
    block: impl FnOnce() -> Answer<c_int>,
) -> Answer<c_int> {
    // SAFETY: the caller's.
    let attempt = || match of(unsafe { libc::sem_trywait(semaphore) }) {
        Ok(_) => 0,
        Err(code) => code,
    };
    let given = match attempt() {
        libc::EAGAIN if foreign::may_park() => take(
            "semaphore",
            semaphore as usize,
            deadline(),
            libc::EAGAIN,
            attempt,
        ),
        libc::EAGAIN => return block(),
        given => given,
    };
    match given {
        0 => Ok(0),
        code => Err(code),
    }
}

unsafe fn own_sem_wait(semaphore: *mut sem_t) -> Answer<c_int> {
    // SAFETY: the caller's.
    unsafe {
        take_semaphore(
            semaphore,
            || Deadline::NEVER,
            || of(real::sem_wait(semaphore)),
        )
    }
}

unsafe fn own_sem_timedwait(semaphore: *mut sem_t, at: *const timespec) -> Answer<c_int> {
    // SAFETY: the caller's.
    unsafe {
        let block = || of(real::sem_timedwait(semaphore, at));
        match deadline_at(at) {
            Some(deadline) => take_semaphore(semaphore, || deadline, block),
            None => block(),
        }
    }
}

unsafe fn own_sem_post(semaphore: *mut sem_t) -> Answer<c_int> {
    // SAFETY: the caller's.
    let given = of(unsafe { real::sem_post(semaphore) });
    wake(semaphore as usize, ANY, 1);
    given
}
