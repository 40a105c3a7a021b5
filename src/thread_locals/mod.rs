//! Thread-locals of a green thread's own: std's, C's and C++'s, as an OS thread has them.
//!
//! A thread-local is found from the thread's *base*, a register (`fs` on x86-64,
//! `tpidr_el0` on aarch64) that points into a [`block`]. With this on, each green
//! thread has a block at the top of its stack, and the switch changes the base
//! together with the stack pointer. So no function ever sees two.
//!
//! - [`glibc`], [`layout`], [`places`]: the C library's functions, and where it keeps
//!   what in a block, by names that it exports or found by value.
//! - [`allocator`]: what malloc keeps by thread, which stays the hub's.
//! - [`proof`]: tries all of it out, once, before the first hub. If anything is not
//!   as it must be, thread-locals are shared by the green threads of a hub.
//! - [`block`], [`values`]: a block from its start to its end, and destructors;
//!   [`mutexes`]: what a thread that ends still holds.
//! - [`base`], [`visits`]: the register, and code that must run on the OS thread's
//!   own base.
//! - [`fork`], [`setxid`]: what the C library does with the base by itself.
//!
//! # Safety
//!
//! The base changes in the switch, in [`visits`], in the handlers of [`fork`] and in
//! that of [`setxid`], nowhere else. The words of [`allocator`] are copied at each
//! change but the last one's, whose handler does not allocate. The hub's loop runs
//! on its OS thread's base alone.
#![cfg_attr(
    feature = "engine-may",
    allow(dead_code, unused_imports, reason = "that engine has no blocks")
)]

use std::io;
use std::sync::OnceLock;

use crate::config::{ThreadLocals, settings};
use proof::Refusal;

mod allocator;
mod base;
mod block;
mod fork;
mod glibc;
mod layout;
mod mutexes;
mod places;
mod proof;
mod setxid;
mod values;
mod visits;

pub(crate) use base::get as base;
pub(crate) use block::{Block, forget, hand_over, prefetch, room};
pub(crate) use layout::{HEAD, are_own};
pub(crate) use values::{end_values, make_values};
pub use visits::on_green_thread;
pub(crate) use visits::on_os_thread;

/// What was found out at the start, for people.
static TOLD: OnceLock<String> = OnceLock::new();

/// Applies the setting. To be called before the first hub starts.
///
/// # Errors
///
/// `Unsupported` if they must be a green thread's own and cannot be; what kept an OS thread from starting that was to try it
/// out: it may be tried again.
pub(crate) fn prepare() -> io::Result<()> {
    if TOLD.get().is_some() {
        return Ok(());
    }
    let told = match settings().thread_locals {
        ThreadLocals::Shared => "shared by the green threads of a hub, as set".to_owned(),
        wanted => match turn_on() {
            Ok(()) => "each green thread's own".to_owned(),
            Err(Refusal::Untried(error)) => return Err(error),
            Err(Refusal::Lacking(why)) if wanted == ThreadLocals::Own => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!("green threads cannot have thread-locals of their own: {why}"),
                ));
            }
            Err(Refusal::Lacking(why)) => format!("shared by the green threads of a hub: {why}"),
        },
    };
    let _ = TOLD.set(told);
    Ok(())
}

/// Whose thread-locals there are, and why; `None` before the first start.
pub(crate) fn told() -> Option<&'static str> {
    TOLD.get().map(String::as_str)
}

/// Whether a green thread runs here, on thread-locals of its own: not while it has left
/// them by [`on_os_thread`].
pub(crate) fn are_set() -> bool {
    Block::running().is_some()
}

fn turn_on() -> Result<(), Refusal> {
    if cfg!(feature = "engine-may") {
        return Err("the engine `may` switches stacks alone".into());
    }
    if cfg!(green_sanitize) {
        return Err("a sanitizer keeps thread-locals of its own".into());
    }
    let layout = proof::prove()?;
    fork::install().map_err(Refusal::Untried)?;
    setxid::install()?;
    layout::set_current(layout);
    Ok(())
}
