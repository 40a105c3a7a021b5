//! A descriptor that threads wait for by its number.
//!
//! It is registered with the hub of the first green thread that has to wait, edge-triggered.
//! A later wait makes the poller look again: that shows what has come since, and whether it is
//! still the same open file. Somebody may have closed it without our knowledge, and the kernel says
//! nothing (epoll(7), question 6). Whoever has promised to say so, and has just found that there is
//! nothing to read, is spared that system call at first: see [`Watch::is_trusted`]. So waits end as
//! closed
//! - when a source closes the number, or when somebody else says that it is closed ([`closing`],
//!   [`closed`]),
//! - when the number is registered or waited for anew, and belonged to another file before.
//!
//! An event wakes all who wait in its direction, and each of them tries.
//!
//! Locks are taken in this order: a shard of the table, a registration, a hub's registry, the
//! waiters.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::direction::{Direction, poll_events};
use crate::hub::interrupt::{Interrupt, Masked};
use crate::hub::local::Local;
use crate::hub::registry::{Known, Ready};
use crate::hub::site::Site;
use crate::hub::task::Task;
use crate::hub::wait::{Request, Waiter, Wake, poll_for, wait_quietly};
use crate::hub::wait_word::Ticket;
use crate::hub::{Registration, current};
use crate::sys::epoll;
use crate::sys::lock::Lock;

/// How a wait for a descriptor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// A call is worth a try.
    Ready,
    TimedOut,
    /// The number was closed meanwhile.
    Closed,
}

/// After so long the poller looks again all the same, in case of a close that nobody told of.
const DOUBT: Duration = Duration::from_millis(500);

/// Parks the running thread until the number is ready in `direction`. With `keep`, the caller
/// promises to say when it is closed, and finds it still registered the next time; and it has just
/// made a call in that direction that found nothing, and has not waited since.
///
/// # Errors
///
/// What epoll_ctl(2) says.
pub(crate) fn wait(
    fd: RawFd,
    direction: Direction,
    deadline: Deadline,
    mask: Option<Masked>,
    keep: bool,
) -> io::Result<Result<Watched, Interrupt>> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    let mut request = Request {
        site: match direction {
            Direction::Read => Site::Readable(fd),
            Direction::Write => Site::Writable(fd),
        },
        deadline,
        poll_for: Some(poll_for(fd, poll_events(direction))?),
    };
    let mut trusts = keep && direction == Direction::Read;
    loop {
        let user = User::of(fd);
        let watch = &user.0;
        if keep {
            watch.kept.store(true, Ordering::Relaxed);
        }
        let trusted = current::local().filter(|local| trusts && watch.is_trusted(local));
        request.deadline = match trusted {
            Some(local) => deadline.min(Deadline::counted_from(local.time.get(), DOUBT)),
            None => deadline,
        };
        let mut refused = None;
        let mut was_stale = false;
        let waited = wait_quietly(
            &request,
            mask,
            |waiter| {
                let (task, ticket) = (waiter.task.clone(), waiter.ticket);
                watch.waiters.lock().push((direction, waiter));
                // Queued first: whoever ends the watch marks it, and then looks here.
                let armed = match watch.over.load(Ordering::SeqCst) {
                    NOT_OVER if trusted.is_some() => Ok(Armed::Told),
                    NOT_OVER => watch.arm(),
                    _ => Ok(Armed::Over),
                };
                match armed {
                    Ok(Armed::Told) => return true,
                    Ok(Armed::Stale) => {
                        // Our wait ends too, and is begun anew.
                        was_stale = true;
                        watch.end(STALE);
                        return true;
                    }
                    Ok(Armed::Over) => (),
                    Err(refusal) => refused = Some(refusal),
                }
                watch.leave(&task, ticket);
                false
            },
            |task, ticket| watch.leave(task, ticket),
        );
        let woke = match waited {
            Ok(woke) => woke,
            Err(interrupt) => return Ok(Err(interrupt)),
        };
        let outcome = match (refused, woke, watch.over.load(Ordering::SeqCst)) {
            (Some(Unwatchable::Error(error)), ..) => return Err(error),
            (Some(Unwatchable::AlwaysReady), ..) => Watched::Ready,
            (None, Wake::NotNeeded, STALE) => continue,
            _ if was_stale => continue,
            (None, Wake::TimedOut, _) if trusted.is_some() && !deadline.has_passed() => {
                trusts = false;
                continue;
            }
            (None, Wake::TimedOut, _) => Watched::TimedOut,
            (None, _, NOT_OVER) => Watched::Ready,
            (None, ..) => Watched::Closed,
        };
        return Ok(Ok(outcome));
    }
}

/// The descriptor `fd` is about to be closed: nobody waits for it by its number any more.
pub(crate) fn closing(fd: RawFd) {
    if let Some(watch) = found(fd) {
        watch.end(CLOSED);
    }
}

/// The descriptor `fd` was closed a moment ago: nobody waits any more who came between
/// [`closing`] and the close. It may be in use again.
pub(crate) fn closed(fd: RawFd) {
    end_if(fd, |old| !old.hub.still_registered(fd, old.token));
}

/// A source has registered `fd`, as `new` says: waits for that number whose open file is gone must
/// end.
pub(crate) fn reissued(fd: RawFd, new: Registration) {
    end_if(fd, |old| match std::ptr::eq(new.hub, old.hub) {
        // On one hub, those who wait for one open file share a registration.
        true => new.token != old.token,
        false => !old.hub.still_registered(fd, old.token),
    });
}

fn end_if(fd: RawFd, is_stale: impl FnOnce(Registration) -> bool) {
    if let Some(watch) = found(fd) {
        let registration = *watch.registration.lock();
        if registration.is_some_and(is_stale) {
            watch.end(STALE);
        }
    }
}

/// Whether any number is watched.
pub(crate) fn are_any() -> bool {
    WATCHED.load(Ordering::SeqCst) != 0
}

fn found(fd: RawFd) -> Option<Arc<Watch>> {
    if !are_any() || fd < 0 {
        return None;
    }
    shard(fd).lock().get(&fd).cloned()
}

/// A number that somebody waits for, or has waited for and asked to keep.
struct Watch {
    fd: RawFd,
    /// Not to be forgotten when nobody waits any more.
    kept: AtomicBool,
    /// How many are at a wait; counted under the shard's lock.
    users: AtomicUsize,
    over: AtomicU8,
    registration: Lock<Option<Registration>>,
    waiters: Lock<Vec<(Direction, Waiter)>>,
}

// Why a watch is over, in `over`.
const NOT_OVER: u8 = 0;
/// The number is being closed.
const CLOSED: u8 = 1;
/// The number was another open file's.
const STALE: u8 = 2;

type Shard = BTreeMap<RawFd, Arc<Watch>>;

const SHARDS: usize = 64;
static TABLE: [Lock<Shard>; SHARDS] = [const { Lock::new(BTreeMap::new()) }; SHARDS];
/// How many there are: a look without a lock.
static WATCHED: AtomicUsize = AtomicUsize::new(0);

fn shard(fd: RawFd) -> &'static Lock<Shard> {
    &TABLE[fd as usize % SHARDS]
}

/// What became of a registration.
enum Armed {
    Told,
    /// The open file that had been registered is gone.
    Stale,
    /// It was ended before.
    Over,
}

/// Why a descriptor could not be registered.
enum Unwatchable {
    /// epoll does not take it: it is always ready.
    AlwaysReady,
    Error(io::Error),
}

/// One who is at a wait.
struct User(Arc<Watch>);

impl User {
    fn of(fd: RawFd) -> User {
        let mut shard = shard(fd).lock();
        let watch = shard.entry(fd).or_insert_with(|| {
            WATCHED.fetch_add(1, Ordering::SeqCst);
            Arc::new(Watch {
                fd,
                kept: AtomicBool::new(false),
                users: AtomicUsize::new(0),
                over: AtomicU8::new(NOT_OVER),
                registration: Lock::new(None),
                waiters: Lock::new(Vec::new()),
            })
        });
        watch.users.fetch_add(1, Ordering::Relaxed);
        User(watch.clone())
    }
}

impl Drop for User {
    /// If nobody waits any more, it is forgotten, unless it is kept.
    fn drop(&mut self) {
        let watch = &self.0;
        if watch.kept.load(Ordering::Relaxed) {
            // Whoever counts to nothing need not know.
            watch.users.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let mut shard = shard(watch.fd).lock();
        if watch.users.fetch_sub(1, Ordering::Relaxed) == 1 && watch.is_in(&shard) {
            shard.remove(&watch.fd);
            watch.deregister();
            WATCHED.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Watch {
    /// Whether a thread that has just found nothing to read may park without another look. It is a green one, whose own
    /// hub has the registration: until it parks that hub does not poll, and then reports whatever came after the look.
    ///
    /// Not so for writes: a datagram socket of Unix's whose peer is full counts as writable, and no event tells when
    /// there is room.
    fn is_trusted(&self, local: &Local) -> bool {
        let registration = self.registration.lock();
        current::is_green() && registration.is_some_and(|known| std::ptr::eq(known.hub, local.hub))
    }

    /// Makes the poller report what is ready now and from now on. An OS thread asks poll(2).
    fn arm(self: &Arc<Watch>) -> Result<Armed, Unwatchable> {
        let Some(local) = current::local().filter(|_| current::is_green()) else {
            return Ok(Armed::Told);
        };
        let mut registration = self.registration.lock();
        if let Some(Registration { hub, token }) = *registration {
            return Ok(match hub.still_registered(self.fd, token) {
                true => Armed::Told,
                false => Armed::Stale,
            });
        }
        if self.over.load(Ordering::SeqCst) != NOT_OVER {
            return Ok(Armed::Over);
        }
        match local.hub.register(self.fd, self.clone()) {
            Ok(token) => {
                *registration = Some(Registration {
                    hub: local.hub,
                    token,
                });
                Ok(Armed::Told)
            }
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                Err(Unwatchable::AlwaysReady)
            }
            Err(error) => Err(Unwatchable::Error(error)),
        }
    }

    fn leave(&self, task: &Arc<Task>, ticket: Ticket) {
        let mut waiters = self.waiters.lock();
        let is_it =
            |(_, waiter): &(_, Waiter)| waiter.ticket == ticket && Arc::ptr_eq(&waiter.task, task);
        if let Some(at) = waiters.iter().position(is_it) {
            waiters.swap_remove(at);
        }
    }

    fn is_in(self: &Arc<Watch>, shard: &Shard) -> bool {
        let of_number = shard.get(&self.fd);
        of_number.is_some_and(|watch| Arc::ptr_eq(watch, self))
    }

    fn deregister(&self) {
        if let Some(Registration { hub, token }) = self.registration.lock().take() {
            hub.deregister(self.fd, token, self.address());
        }
    }

    /// Forgets the number and ends every wait for it.
    fn end(self: &Arc<Watch>, why: u8) {
        // First, so that nobody registers it from here on.
        self.over.store(why, Ordering::SeqCst);
        let mut shard = shard(self.fd).lock();
        match why {
            // In the poller the number belongs to another file by now, or to none.
            STALE => {
                if let Some(Registration { hub, token }) = self.registration.lock().take() {
                    hub.registry.remove(token, self.address(), || ());
                }
            }
            _ => self.deregister(),
        }
        if self.is_in(&shard) {
            shard.remove(&self.fd);
            // Last: whoever is about to close the number sees that the table is not empty, and
            // waits for the shard. So the number is still the same file's.
            WATCHED.fetch_sub(1, Ordering::SeqCst);
        }
        drop(shard);
        let waiters = std::mem::take(&mut *self.waiters.lock());
        for (_, waiter) in waiters {
            waiter.wake();
        }
    }

    /// As the registry knows it.
    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }
}

impl Ready for Watch {
    fn known(&self) -> Known {
        Known {
            fd: self.fd,
            readable: false,
            writable: false,
        }
    }

    fn deliver(&self, events: u32) {
        const BOTH: u32 = epoll::ERR | epoll::HUP;
        let readable = events & (epoll::IN | epoll::RDHUP | epoll::PRI | BOTH) != 0;
        let writable = events & (epoll::OUT | BOTH) != 0;
        let mut waiters = self.waiters.lock();
        let mut at = 0;
        while at < waiters.len() {
            let told = match waiters[at].0 {
                Direction::Read => readable,
                Direction::Write => writable,
            };
            if told {
                waiters.swap_remove(at).1.wake();
            } else {
                at += 1;
            }
        }
    }
}
