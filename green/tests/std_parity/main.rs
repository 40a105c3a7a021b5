//! The same test bodies over `std` and over `green`.
//!
//! Each file in `bodies/` is a topic: plain functions written against
//! `super::lib`, which is `std` in [`over_std`] and `green` in [`over_green`],
//! because the file is a module of both. A body writes down what it sees in a
//! [`harness::Transcript`]: values, error kinds, raw OS codes, lengths; never
//! addresses or times. The harness runs it over std, over green on a plain OS
//! thread and over green on a green thread, and the three must agree.
//!
//! A topic's `parity!` lists the stable items of the part of std it stands
//! for and, for each body, which of them it covers; an item that no body
//! covers and that has no stated reason to differ fails the topic's
//! `every_item_is_accounted_for`.
//!
//! To add a topic: one file in `bodies/`, and its name in both lists below.
//! Bodies wait only through `lib`: a wait on a primitive of std would stop the
//! hub when the body runs on a green thread.

mod harness;
mod names;
mod standard_streams;

/// The bodies, with `std` for `lib`.
#[path = "bodies"]
mod over_std {
    pub use std as lib;

    macro_rules! parity {
        (
            topic: $topic:ident,
            items: [$($item:literal),* $(,)?],
            differs: [$($apart:literal => $reason:literal),* $(,)?],
            bodies: { $($body:ident: [$($covered:literal),* $(,)?]),* $(,)? } $(,)?
        ) => {};
    }

    #[macro_use]
    mod trait_table;
    pub mod support;

    pub mod fd;
    pub mod fs;
    pub mod io;
    pub mod mpsc;
    pub mod process;
    pub mod sync;
    pub mod sync_once;
    pub mod tcp_connect;
    pub mod tcp_endings;
    pub mod tcp_listener;
    pub mod tcp_stream;
    pub mod thread_local;
    pub mod thread_park;
    pub mod thread_scope;
    pub mod thread_spawn;
    pub mod traits;
    pub mod udp_socket;
    pub mod unix_addr;
    pub mod unix_datagram;
    pub mod unix_listener;
    pub mod unix_stream;
}

/// The bodies, with `green` for `lib`, and the tests.
#[path = "bodies"]
#[expect(
    clippy::duplicate_mod,
    reason = "the point: one text over two libraries"
)]
mod over_green {
    pub use green as lib;

    macro_rules! parity {
        (
            topic: $topic:ident,
            items: [$($item:literal),* $(,)?],
            differs: [$($apart:literal => $reason:literal),* $(,)?],
            bodies: { $($body:ident: [$($covered:literal),* $(,)?]),* $(,)? } $(,)?
        ) => {
            mod tests {
                use crate::harness::{self, Topic};

                const TOPIC: Topic = Topic {
                    name: stringify!($topic),
                    items: &[$($item),*],
                    differs: &[$(($apart, $reason)),*],
                    covered: &[$((stringify!($body), &[$($covered),*])),*],
                };

                $(
                    #[test]
                    fn $body() {
                        harness::compare(
                            &TOPIC,
                            stringify!($body),
                            crate::over_std::$topic::$body,
                            super::$body,
                        );
                    }
                )*

                #[test]
                fn every_item_is_accounted_for() {
                    harness::check_inventory(&TOPIC);
                }
            }
        };
    }

    #[macro_use]
    mod trait_table;
    pub mod support;

    pub mod fd;
    pub mod fs;
    pub mod io;
    pub mod mpsc;
    pub mod process;
    pub mod sync;
    pub mod sync_once;
    pub mod tcp_connect;
    pub mod tcp_endings;
    pub mod tcp_listener;
    pub mod tcp_stream;
    pub mod thread_local;
    pub mod thread_park;
    pub mod thread_scope;
    pub mod thread_spawn;
    pub mod traits;
    pub mod udp_socket;
    pub mod unix_addr;
    pub mod unix_datagram;
    pub mod unix_listener;
    pub mod unix_stream;
}

/// A comparison of std with itself would pass whatever green does.
#[test]
fn the_second_library_is_green_and_the_third_way_a_green_thread() {
    use std::any::TypeId;

    assert_eq!(
        TypeId::of::<over_std::lib::sync::Condvar>(),
        TypeId::of::<std::sync::Condvar>()
    );
    assert_eq!(
        TypeId::of::<over_green::lib::sync::Condvar>(),
        TypeId::of::<green::sync::Condvar>()
    );
    let [os, green] = harness::GREEN_WAYS.map(|(_, runner)| {
        runner(|t| t.see("green", green::is_green())).expect("it does not panic")
    });
    assert_eq!(os.text(), "green: false");
    assert_eq!(green.text(), "green: true");
}
