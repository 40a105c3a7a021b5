//! No lock is held across a wait, but where a list has the reason why none comes about.

use std::collections::BTreeSet;

use super::{GREEN, GREEN_MONKEY, GREENHUB, only};

/// The locks of others, under which nothing refuses a wait: where, and why none comes about. All else is a short lock,
/// under which a debug build panics at a wait, or one of green's own, which parks whoever wants it.
const LOCKS: &[(&str, &str)] = &[
    (
        "green/faces/io/reentrant_lock.rs: Mutex",
        "the lock around it parks who wants it; this one is tried, never waited for",
    ),
    ("green/http/client/tls.rs: Mutex", "never locked"),
    ("green/http/rt.rs: Mutex", "held for a look at a map"),
    (
        "green/monkey/src/patch.rs: Mutex",
        "held while an OS thread is started, which does not park",
    ),
    (
        "green/toolkit/tpool.rs: Mutex",
        "a semaphore around it parks who wants it; nobody waits for this one",
    ),
    (
        "src/blocking/pool.rs: Condvar",
        "the pool's OS threads wait with it",
    ),
    (
        "src/blocking/pool.rs: Mutex",
        "held while an OS thread is started, which is not short and does not park",
    ),
    (
        "src/debug/monitor.rs: Condvar",
        "an OS thread of ours waits with it",
    ),
    (
        "src/debug/monitor.rs: Mutex",
        "an OS thread of ours waits with it, and looks under it without parking",
    ),
    (
        "src/engine/may.rs: Mutex",
        "held once, while `may` is set up on an OS thread of its own",
    ),
    (
        "src/hub/placement.rs: Mutex",
        "held while the hubs are started: nobody can park before",
    ),
];

/// What is made once, by whoever comes first while all others wait for it: where, and what, so that nothing waits meanwhile.
const MADE_ONCE: &[(&str, &str)] = &[
    (
        "green/asyncio/calls.rs: OnceLock",
        "empty places, one a hub",
    ),
    (
        "green/asyncio/datagram/endpoint.rs: OnceLock",
        "set, never made",
    ),
    ("green/asyncio/futures.rs: OnceLock", "set, never made"),
    (
        "green/asyncio/transport/shared.rs: OnceLock",
        "set, never made",
    ),
    ("green/backdoor/report_json.rs: OnceLock", "a moment"),
    ("green/faces/io/stdin.rs: OnceLock", "an empty buffer"),
    (
        "green/faces/io/stdout.rs: LazyLock",
        "an empty buffer, and a call of atexit(3)",
    ),
    (
        "green/http/client/mod.rs: OnceLock",
        "settings; it connects later",
    ),
    ("green/http/client/tls.rs: OnceLock", "made before"),
    (
        "green/tls/ssl/engine/openssl/connection.rs: OnceLock",
        "a number of OpenSSL's",
    ),
    ("green/toolkit/event.rs: OnceLock", "set, never made"),
    ("src/clock.rs: OnceLock", "a moment"),
    (
        "src/config.rs: OnceLock",
        "settings, out of the environment",
    ),
    ("src/hub/mod.rs: OnceLock", "set, never made"),
    ("src/hub/os_parker.rs: OnceLock", "an eventfd, made before"),
    ("src/hub/placement.rs: Once", "a panic hook is set"),
    ("src/hub/placement.rs: OnceLock", "hubs, started before"),
    (
        "src/hub/turn.rs: Once",
        "an OS thread is started, on which a logger may wait",
    ),
    ("src/limits.rs: OnceLock", "a number of the kernel's"),
    ("src/stacks/guards.rs: OnceLock", "a look at a page"),
    ("src/sys/fd.rs: OnceLock", "a socket, made before"),
    ("src/sys/memory.rs: OnceLock", "a setting of the kernel's"),
    (
        "src/sys/signal.rs: OnceLock",
        "handlers and masks of signals",
    ),
    ("src/sys/snapshot.rs: OnceLock", "set, never made"),
    ("src/thread_locals/mod.rs: OnceLock", "set, never made"),
];

#[test]
fn no_lock_is_held_across_a_wait_that_nothing_refuses() {
    let (mut locks, mut made_once) = (BTreeSet::new(), BTreeSet::new());
    for modules in [&*GREENHUB, &*GREEN, &*GREEN_MONKEY] {
        locks.extend(modules.naming(|path| match *path {
            // What it has beside locks names locks too.
            ["parking_lot" | "spin" | "crossbeam_utils", name, ..] => Some(name.into()),
            [
                "std",
                "sync",
                name @ ("Mutex" | "RwLock" | "Condvar" | "Barrier" | "ReentrantLock"),
                ..,
            ] => Some(name.into()),
            _ => None,
        }));
        made_once.extend(modules.naming(|path| match *path {
            ["std", "sync", name @ ("Once" | "OnceLock" | "LazyLock"), ..] => Some(name.into()),
            _ => None,
        }));
    }
    for (found, listed, rule) in [
        (
            &locks,
            LOCKS,
            "a lock is a short one, or it is listed with the reason why nothing waits under it",
        ),
        (
            &made_once,
            MADE_ONCE,
            "what is made once is made without a wait, and listed",
        ),
    ] {
        let listed: Vec<_> = listed.iter().map(|(place, _)| *place).collect();
        only(found, &listed, rule);
    }
}
