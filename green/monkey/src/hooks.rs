//! The functions that the linker puts before the C library's, one family in each file.
//!
//! They keep next to nothing about a descriptor: what they need to know they ask the kernel, when they
//! would have to wait, and note some of it for half a second ([`terms`]). Each tries first, without waiting; if it would have to wait, it parks the
//! green thread until another try is worth it. Where the thread must not be parked they block the
//! OS thread, as if nothing were patched.

mod accept;
mod child;
mod close;
mod command;
mod cond;
mod connect;
mod copy;
mod descriptor;
mod dns;
mod epoll;
mod file_locks;
mod futex;
mod iovec;
mod late;
mod locks;
mod message;
mod naps;
mod option;
mod parked;
mod poll;
mod process;
mod read_write;
mod receive;
mod select;
mod send;
mod terms;
mod thread;
mod time;
mod vfork;
mod waiting;

pub(crate) use cond::find_clock;
pub(crate) use parked::start_late_wakes;

use crate::hook::Hook;

/// Every hook.
pub(crate) fn all() -> impl Iterator<Item = &'static Hook> {
    [
        accept::HOOKS,
        close::HOOKS,
        cond::HOOKS,
        connect::HOOKS,
        copy::HOOKS,
        dns::HOOKS,
        epoll::HOOKS,
        file_locks::HOOKS,
        futex::HOOKS,
        locks::HOOKS,
        message::HOOKS,
        poll::HOOKS,
        process::HOOKS,
        read_write::HOOKS,
        receive::HOOKS,
        select::HOOKS,
        send::HOOKS,
        terms::HOOKS,
        thread::HOOKS,
        time::HOOKS,
        vfork::HOOKS,
    ]
    .into_iter()
    .flatten()
}

/// Looks up the functions behind all of them, before `main`.
#[expect(unsafe_code, reason = "the loader calls it by its place")]
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = {
    extern "C" fn look_up() {
        for hook in all() {
            hook.real.look_up();
        }
    }
    look_up
};
