//! Starting the hubs, and choosing one for a new green thread.

use std::ffi::c_void;
use std::io;
use std::mem;
#[cfg(feature = "sim")]
use std::slice;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, Once, OnceLock, PoisonError};
use std::thread::JoinHandle;

use super::held::hold_at_exit;
use super::interrupt::install_panic_hook;
use super::local::Local;
use super::{Hub, current};
use crate::config::settings;
use crate::sys::signal::SignalStack;
use crate::{engine, sys, thread_locals};

static HUBS: OnceLock<Box<[&'static Hub]>> = OnceLock::new();

/// All hubs, started by the first call.
///
/// # Errors
///
/// What made it impossible to start: no descriptors, no OS thread. A later call
/// tries again. In a child of fork(2), `Unsupported`.
pub(crate) fn hubs() -> io::Result<&'static [&'static Hub]> {
    static STARTING: Mutex<()> = Mutex::new(());
    #[cfg(feature = "sim")]
    if let Some(alone) = of_a_simulation() {
        return Ok(alone);
    }
    if let Some(hubs) = HUBS.get()
        && !sys::fork::is_child()
    {
        return Ok(hubs);
    }
    if sys::fork::is_child() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "no green threads in a child of fork(2): its parent had started hubs, which the child has not",
        ));
    }
    // Its first call may log, which is not to happen under the lock.
    settings();
    let hubs = {
        let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hubs) = HUBS.get() {
            return Ok(hubs);
        }
        let started = start()?;
        HUBS.get_or_init(|| started)
    };
    log::info!(
        "thread-locals are {}",
        thread_locals::told().unwrap_or_default()
    );
    Ok(hubs)
}

/// The hubs, if they have been started.
pub(crate) fn started() -> &'static [&'static Hub] {
    #[cfg(feature = "sim")]
    if let Some(alone) = of_a_simulation() {
        return alone;
    }
    HUBS.get().map_or(&[], |hubs| hubs)
}

/// The hub that the running thread belongs to, if that runs simulations: there are no others then.
#[cfg(feature = "sim")]
fn of_a_simulation() -> Option<&'static [&'static Hub]> {
    let local = current::local()?;
    local.world.map(|_| slice::from_ref(&local.hub))
}

/// Starts a hub of its own that runs `simulations`, on the OS thread of that name.
#[cfg(feature = "sim")]
pub(crate) fn start_simulated(
    os_thread_name: String,
    simulations: impl FnOnce(&'static Local) + Send + 'static,
) -> io::Result<()> {
    // Prepares the process.
    hubs()?;
    let starting = Starting::new(0, os_thread_name, move |hub| {
        let local = Local::simulated(hub);
        current::set_hub(local);
        simulations(local);
    })?;
    starting.go();
    Ok(())
}

/// Starts all hubs, or none: whatever was made for those that could start goes
/// when one cannot.
fn start() -> io::Result<Box<[&'static Hub]>> {
    sys::symbols::keep_loaded(start as *const c_void);
    sys::fork::watch()?;
    hold_at_exit()?;
    sys::signal::remember_mask();
    engine::prepare(current::occupant)?;
    thread_locals::prepare()?;
    #[cfg(not(feature = "engine-may"))]
    super::gdb::keep();
    let mut starting = Vec::new();
    for index in 0..settings().hubs {
        match Starting::new(index, Hub::os_thread_name(index), run) {
            Ok(hub) => starting.push(hub),
            Err(error) => {
                starting.into_iter().for_each(Starting::give_up);
                return Err(error);
            }
        }
    }
    Ok(starting.into_iter().map(Starting::go).collect())
}

/// A hub and its OS thread, which waits for the word to begin.
struct Starting {
    hub: Hub,
    thread: JoinHandle<()>,
    go: SyncSender<&'static Hub>,
}

impl Starting {
    /// `run` is what its OS thread does as long as it lives.
    fn new(
        index: usize,
        os_thread_name: String,
        run: impl FnOnce(&'static Hub) + Send + 'static,
    ) -> io::Result<Starting> {
        let hub = Hub::new(index)?;
        let (go, wait_for_go) = sync_channel(1);
        let (ready, is_ready) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name(os_thread_name)
            .spawn(move || match SignalStack::install() {
                Ok(signal_stack) => {
                    sys::signal::block_process_signals();
                    // Here, since whoever starts the hubs may be panicking.
                    static HOOK: Once = Once::new();
                    HOOK.call_once(install_panic_hook);
                    let _ = ready.send(Ok(sys::snapshot::this_thread()));
                    // Unless the others could not start.
                    if let Ok(hub) = wait_for_go.recv() {
                        // A hub lives as long as the process.
                        mem::forget(signal_stack);
                        run(hub);
                    }
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            })?;
        let os_thread = is_ready
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("a hub ended while it started")));
        match os_thread {
            Ok(os_thread) => {
                hub.os_thread.store(os_thread, Ordering::Relaxed);
                Ok(Starting { hub, thread, go })
            }
            Err(error) => {
                let _ = thread.join();
                Err(error)
            }
        }
    }

    fn go(self) -> &'static Hub {
        let hub = Box::leak(Box::new(self.hub));
        self.go
            .send(hub)
            .expect("the hub's OS thread waits for this");
        hub
    }

    fn give_up(self) {
        drop(self.go);
        let _ = self.thread.join();
    }
}

/// What a hub's OS thread does once it is prepared: its loop.
fn run(hub: &'static Hub) {
    let local = Local::new(hub);
    current::set_hub(local);
    local.run()
}

/// The hub for a new green thread: the one with the fewest, at home on a tie.
pub(crate) fn choose(hubs: &'static [&'static Hub]) -> &'static Hub {
    let home = current::local().map(|local| local.hub);
    let mut best = home.unwrap_or(hubs[0]);
    for hub in hubs {
        if hub.load() < best.load() {
            best = hub;
        }
    }
    best
}
