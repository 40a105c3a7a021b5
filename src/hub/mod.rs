//! The hub: one OS thread that owns an epoll instance and runs the green threads placed on it.
//!
//! Data stands below behaviour. In this order, each file using only those above it:
//!
//! - [`wait_word`], [`site`], `interrupts`, [`values`], [`leg`]: the parts of a thread;
//!   [`os_parker`] of an OS thread.
//! - [`home`], [`registry`], [`services`]: the parts of a hub.
//! - [`task`]: a thread of either kind. It knows its home hub by [`home`](home::Home).
//! - [`Hub`]: what all OS threads see of one. [`local`]: what only its own touches.
//! - [`current`]: which task and which hub run here.
//! - [`held`]: why the one that runs must not suspend.
//! - `wake`: how a task comes to run. `root`: the first function on a green thread's stack.
//!   `next`: which leg is the next one. `unwinding`, `leave`: how a green thread switches to that
//!   one or to the loop.
//! - [`interrupt`]: how kills and time limits reach it.
//! - [`mod@wait`]: the one way to wait.
//! - [`visit`]: how it calls what needs the OS thread's stack.
//! - [`carrier`]: stacks that futures without one of their own are polled on.
//! - [`meter`]: CPU time by green thread, while somebody asks for it.
//! - [`turn`]: the loop: inbox, timers, ready green threads, poll.
//! - [`placement`]: starting the hubs and choosing one for a new green thread.
//! - `gdb`: where a debugger finds green threads.
//!
//! A green thread is placed once, before its first run, and resumed by its home
//! hub alone. Whoever wakes it from elsewhere puts it into the home hub's inbox
//! and rings the hub's bell if the hub sleeps.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::sys::lock::Lock;
use slab::Slab;

use crate::config::settings;
use crate::engine::Stacks;
use crate::sys::epoll;
use crate::thread_locals;

pub(crate) mod carrier;
pub(crate) mod current;
mod ends;
#[cfg(not(feature = "engine-may"))]
mod gdb;
pub(crate) mod held;
pub(crate) mod heritage;
pub(crate) mod home;
pub(crate) mod interrupt;
mod interrupts;
mod leave;
pub(crate) mod leg;
pub(crate) mod local;
pub(crate) mod meter;
mod next;
pub(crate) mod os_parker;
pub(crate) mod placement;
pub(crate) mod registry;
mod root;
pub(crate) mod services;
pub(crate) mod site;
pub(crate) mod task;
pub(crate) mod turn;
mod unwinding;
pub(crate) mod values;
pub(crate) mod visit;
pub(crate) mod wait;
pub(crate) mod wait_word;
mod wake;

use home::Home;
use registry::{Ready, Registry};
use services::Services;
use task::Task;

/// What other OS threads see of a hub. Hubs live as long as the process.
pub(crate) struct Hub {
    pub(crate) home: Home<Arc<Task>>,
    epoll: OwnedFd,
    /// Its OS thread, once that runs.
    os_thread: AtomicUsize,
    /// Where that keeps who runs.
    current: OnceLock<&'static AtomicPtr<Task>>,
    pub(crate) registry: Registry,
    /// Every green thread placed here, from its placement to its end.
    pub(crate) threads: Lock<Slab<Arc<Task>>>,
    /// How many those are, or more than there can be.
    load: AtomicUsize,
    pub(crate) stacks: Stacks,
    pub(crate) services: Services,
    pub(crate) counters: Counters,
}

/// Where a descriptor is registered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registration {
    pub(crate) hub: &'static Hub,
    pub(crate) token: u64,
}

/// Written by the hub's loop alone.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) turns: AtomicU64,
    pub(crate) resumes: AtomicU64,
    pub(crate) polls: AtomicU64,
    pub(crate) events: AtomicU64,
    /// Green threads that have run for the first time, and that have ended.
    pub(crate) begun: AtomicU64,
    pub(crate) ended: AtomicU64,
    /// Entries of the timer queue when the hub last polled.
    pub(crate) timers: AtomicUsize,
    /// Nanoseconds, while somebody asks for them: see [`meter`].
    pub(crate) cpu: AtomicU64,
    pub(crate) longest_turn: AtomicU64,
}

/// Adds to a counter that only this OS thread writes.
#[inline]
fn count(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}

impl Hub {
    fn new(index: usize) -> std::io::Result<Hub> {
        let epoll = epoll::create()?;
        let home = Home::new(index)?;
        epoll::add(
            epoll.as_fd(),
            std::os::fd::AsRawFd::as_raw_fd(&home.bell()),
            epoll::IN_EDGE,
            registry::BELL,
        )?;
        Ok(Hub {
            home,
            epoll,
            os_thread: AtomicUsize::new(0),
            current: OnceLock::new(),
            registry: Registry::default(),
            threads: Lock::new(Slab::new()),
            load: AtomicUsize::new(0),
            stacks: Stacks::new(settings().stack_size + thread_locals::room())?,
            services: Services::default(),
            counters: Counters::default(),
        })
    }

    /// Registers a descriptor, both directions, edge-triggered. What it is ready for already is
    /// reported as an event too.
    pub(crate) fn register(&self, fd: RawFd, ready: Arc<dyn Ready>) -> std::io::Result<u64> {
        #[cfg(feature = "sim")]
        if let Some(world) = crate::world::here() {
            return self.register_simulated(world, fd, ready);
        }
        let who = Arc::as_ptr(&ready).cast();
        let mut token = self.registry.insert(ready.clone());
        let mut outcome = epoll::add(self.epoll.as_fd(), fd, epoll::ALL, token);
        if already_exists(&outcome) {
            // The poller knows this open file under this number: by somebody else's
            // registration, which serves for both, or by one that was left behind.
            self.registry.remove(token, who, || ());
            token = match self.registry.join(fd, ready.clone()) {
                Some(token) => token,
                None => self.registry.insert(ready),
            };
            outcome = epoll::modify(self.epoll.as_fd(), fd, epoll::ALL, token);
            if outcome.is_err() {
                // It has just been taken back.
                outcome = epoll::add(self.epoll.as_fd(), fd, epoll::ALL, token);
            }
        }
        match outcome {
            Ok(()) => Ok(token),
            Err(error) => {
                self.registry.remove(token, who, || ());
                Err(error)
            }
        }
    }

    #[cfg(feature = "sim")]
    fn register_simulated(
        &self,
        world: &crate::world::World,
        fd: RawFd,
        ready: Arc<dyn Ready>,
    ) -> std::io::Result<u64> {
        let joined = world
            .token(fd)?
            .and_then(|_| self.registry.join(fd, ready.clone()));
        let token = joined.unwrap_or_else(|| self.registry.insert(ready));
        world.register(fd, token)?;
        Ok(token)
    }

    /// Removes `who` from those that are told of a descriptor. Events of it
    /// already fetched do not find `who` any more.
    pub(crate) fn deregister(&self, fd: RawFd, token: u64, who: *const ()) {
        self.registry.remove(token, who, || {
            #[cfg(feature = "sim")]
            if let Some(world) = crate::world::here() {
                return world.deregister(fd, token);
            }
            // The open file may be gone already, and its registration with it.
            let _ = epoll::delete(self.epoll.as_fd(), fd);
        });
    }

    /// Whether the open file that was registered with `token` under this number
    /// is still there.
    pub(crate) fn still_registered(&self, fd: RawFd, token: u64) -> bool {
        #[cfg(feature = "sim")]
        if let Some(world) = crate::world::here() {
            return matches!(world.token(fd), Ok(Some(known)) if known == token);
        }
        epoll::modify(self.epoll.as_fd(), fd, epoll::ALL, token).is_ok()
    }

    /// What the OS thread of a hub is called.
    pub(crate) fn os_thread_name(index: usize) -> String {
        format!("green-hub-{index}")
    }

    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Counts green threads that come or go. Under the lock of their list, so that it need not be one step.
    #[inline]
    fn count_load(&self, _threads: &mut Slab<Arc<Task>>, by: isize) {
        let load = self.load().wrapping_add_signed(by);
        self.load.store(load, Ordering::Relaxed);
    }

    /// Has new green threads go to other hubs, if there are any: this one will not run them. Once.
    fn leave_out(&self) {
        self.count_load(&mut self.threads.lock(), isize::MAX);
    }

    /// Green threads that others have woken or started, and that the loop has
    /// not met yet.
    pub(crate) fn inbox_len(&self) -> usize {
        self.home.len()
    }

    /// How many times it has resumed a green thread. As long as the number
    /// stays, and the hub does not poll, the same one runs.
    pub(crate) fn resumes(&self) -> u64 {
        self.counters.resumes.load(Ordering::Relaxed)
    }

    /// Who runs on it: to be compared with the tasks that it lists, since it may have ended meanwhile.
    pub(crate) fn running(&self) -> *const Task {
        match self.current.get() {
            Some(current) => current.load(Ordering::Relaxed),
            None => ptr::null(),
        }
    }

    pub(crate) fn is_polling(&self) -> bool {
        self.home.is_sleeping()
    }

    /// As [`this_thread`](crate::sys::snapshot::this_thread) names it.
    pub(crate) fn os_thread(&self) -> usize {
        self.os_thread.load(Ordering::Relaxed)
    }

    fn epoll(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

fn already_exists(outcome: &std::io::Result<()>) -> bool {
    let raw = outcome
        .as_ref()
        .err()
        .and_then(|error| error.raw_os_error());
    raw == Some(libc::EEXIST)
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("index", &self.home.index)
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}
