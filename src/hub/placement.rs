//! Starting the hubs, and choosing one for a new green thread.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, mpsc};

use parking_lot::Mutex;

use super::interrupt::install_panic_hook;
use super::turn::Local;
use super::{Hub, current};
use crate::config::settings;
use crate::{engine, sys};

static HUBS: OnceLock<Box<[&'static Hub]>> = OnceLock::new();

/// All hubs, started by the first call.
///
/// # Errors
///
/// What made it impossible to start: no descriptors, no OS thread. A later call
/// tries again.
pub(crate) fn hubs() -> io::Result<&'static [&'static Hub]> {
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(hubs) = HUBS.get() {
        return Ok(hubs);
    }
    let _starting = STARTING.lock();
    if let Some(hubs) = HUBS.get() {
        return Ok(hubs);
    }
    sys::signal::remember_mask();
    let started = (0..settings().hubs)
        .map(start)
        .collect::<io::Result<Box<[_]>>>()?;
    Ok(HUBS.get_or_init(|| started))
}

/// The hubs, if they have been started.
pub(crate) fn started() -> &'static [&'static Hub] {
    HUBS.get().map_or(&[], |hubs| hubs)
}

fn start(index: usize) -> io::Result<&'static Hub> {
    let hub = Arc::new(Hub::new(index)?);
    let (ready, is_ready) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name(format!("green-hub-{index}"))
        .spawn(move || match prepare(hub) {
            Ok(local) => {
                let _ = ready.send(Ok(local.hub));
                local.run()
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        })?;
    is_ready
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("a hub ended while it started")))
}

/// Runs on the hub's OS thread, before its loop.
fn prepare(hub: Arc<Hub>) -> io::Result<&'static Local> {
    static HOOKS: OnceLock<()> = OnceLock::new();
    sys::signal::use_own_signal_stack()?;
    sys::signal::block_process_signals();
    // The first hub is alone while it does this.
    engine::init(settings().stack_size, current::occupant)?;
    HOOKS.get_or_init(install_panic_hook);
    hub.os_thread
        .store(sys::snapshot::this_thread(), Ordering::Relaxed);
    let local = Local::new(hub);
    current::set_local(local);
    Ok(local)
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
