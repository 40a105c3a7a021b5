//! Every form by example: what goes in and what comes out.

use super::{Cfg, Declared, Facts, Found, Manner, head, rewrite};
use crate::names::Kind;

/// `text` after a rewrite of a safe crate of edition 2021 that is made of it alone.
fn green(text: &str) -> String {
    rewritten(text, false)
}

fn shielded(text: &str) -> String {
    rewritten(text, true)
}

fn rewritten(text: &str, shielded: bool) -> String {
    let (mut facts, cfg) = (Facts::default(), Cfg::default());
    note(text, &mut facts);
    let manner = Manner {
        facts: &facts,
        cfg: &cfg,
        shielded,
    };
    let once = rewrite(text, manner)
        .unwrap()
        .text
        .unwrap_or_else(|| text.to_owned());
    // A second time changes nothing.
    let mut facts = Facts::default();
    note(&once, &mut facts);
    let manner = Manner {
        facts: &facts,
        ..manner
    };
    assert_eq!(rewrite(&once, manner).unwrap().text, None, "{once}");
    once
}

fn note(text: &str, facts: &mut Facts) {
    super::note(text, &Cfg::default(), facts, &mut Declared::default()).unwrap();
}

fn mentions(text: &str) -> Vec<(usize, String, Found)> {
    let (mut facts, cfg) = (Facts::default(), Cfg::default());
    note(text, &mut facts);
    let manner = Manner {
        facts: &facts,
        cfg: &cfg,
        shielded: false,
    };
    let mentions = rewrite(text, manner).unwrap().mentions;
    mentions
        .into_iter()
        .map(|mention| (mention.line, mention.what, mention.found))
        .collect()
}

#[test]
fn a_whole_import_changes_its_first_word_only() {
    assert_eq!(
        green("use std::net::TcpStream;"),
        "use ::green::net::TcpStream;"
    );
    assert_eq!(green("use ::std::thread;"), "use ::green::thread;");
    assert_eq!(
        green("pub(crate) use std::io as stdio;"),
        "pub(crate) use ::green::io as stdio;"
    );
    assert_eq!(
        green("use std::net::{TcpListener,\n    TcpStream, // both\n};"),
        "use ::green::net::{TcpListener,\n    TcpStream, // both\n};"
    );
    assert_eq!(green("use std::net::*;"), "use ::green::net::*;");
    assert_eq!(
        green("use std::{thread, io};"),
        "use ::green::{thread, io};"
    );
    assert_eq!(
        green("use std::thread::{self, JoinHandle as J};"),
        "use ::green::thread::{self, JoinHandle as J};"
    );
}

#[test]
fn a_mixed_import_sends_each_name_home_and_keeps_its_lines() {
    assert_eq!(
        green(
            "use std::{\n    io::{self, Write},\n    sync::{Arc, Mutex},\n    time::Duration,\n};\nx"
        ),
        "use {::green::io, std::io::Write, std::sync::Arc, ::green::sync::Mutex, std::time::Duration\n\n\n\n};\nx"
    );
    assert_eq!(
        green("use std::{fmt::{self as f}, sync::{self as s, Arc}};"),
        "use {std::fmt::{self as f}, ::green::sync as s, std::sync::Arc};"
    );
    assert_eq!(
        green("use {::std::fs, ::std::fmt, foo::*};"),
        "use {::green::fs, ::std::fmt, foo::*};"
    );
    assert_eq!(
        green("#[cfg(unix)]\npub use std::sync::{mpsc::{self, RecvError, Sender}, atomic};"),
        "#[cfg(unix)]\npub use {::green::sync::mpsc, std::sync::mpsc::RecvError, ::green::sync::mpsc::Sender, std::sync::atomic};"
    );
}

#[test]
fn names_that_are_the_same_stay_std_s() {
    for text in [
        "use std::sync::{Arc, Weak, atomic::AtomicUsize, PoisonError};",
        "use std::io::{Error, ErrorKind, Read, prelude::*};",
        "use std::io::prelude::*;",
        "use std::net::{IpAddr, SocketAddr};",
        "use std::time::{Duration, Instant};",
        "use std::os::raw::c_int;",
        "use std::os::windows::io::AsRawSocket;",
        "use std::os::unix::thread::JoinHandleExt;",
        "use core::fmt; use alloc::vec::Vec;",
        "use std::{fmt, str};",
        "let e: std::io::Error = std::sync::atomic::fence();",
        "extern crate std;",
    ] {
        assert_eq!(green(text), text);
    }
}

#[test]
fn what_hands_on_a_trait_that_green_s_handles_lack_is_left_out() {
    assert_eq!(
        green(
            "use std::os::unix::thread::JoinHandleExt;\nimpl<T> JoinHandleExt for Handle<'_, T> {}\nimpl Drop for Handle {}"
        ),
        "use std::os::unix::thread::JoinHandleExt;\n#[cfg(any())] impl<T> JoinHandleExt for Handle<'_, T> {}\nimpl Drop for Handle {}"
    );
}

#[test]
fn inline_paths_change_up_to_the_name() {
    assert_eq!(
        green("std::thread::sleep(d);"),
        "::green::thread::sleep(d);"
    );
    assert_eq!(
        green("let m = ::std::sync::Mutex::<u8>::new(1);"),
        "let m = ::green::sync::Mutex::<u8>::new(1);"
    );
    assert_eq!(
        green("fn f(x:std::net::TcpStream){}"),
        "fn f(x: ::green::net::TcpStream){}"
    );
    assert_eq!(
        green(
            "impl From<std::net::TcpStream> for S { fn f(e: std::io::Error, _: &dyn ::std::net::ToSocketAddrs) {} }"
        ),
        "impl From<::green::net::TcpStream> for S { fn f(e: std::io::Error, _: &dyn ::green::net::ToSocketAddrs) {} }"
    );
    assert_eq!(
        green("let x = a.std::<std::sync::Mutex<u8>>(); 0..std::fs::read(p)"),
        "let x = a.std::<::green::sync::Mutex<u8>>(); 0..::green::fs::read(p)"
    );
    assert_eq!(
        green(
            "std::os::unix::net::UnixStream::pair(); std::process::Command::new(x); std::process::ExitCode::SUCCESS;"
        ),
        "::green::os::unix::net::UnixStream::pair(); ::green::process::Command::new(x); std::process::ExitCode::SUCCESS;"
    );
}

#[test]
fn macro_arguments_are_looked_into() {
    assert_eq!(
        green("cfg_if! { if #[cfg(unix)] { use std::net::TcpStream; } }"),
        "cfg_if! { if #[cfg(unix)] { use ::green::net::TcpStream; } }"
    );
    assert_eq!(
        green("lazy_static! { static ref A: std::sync::Mutex<u8> = std::sync::Mutex::new(1); }"),
        "lazy_static! { static ref A: ::green::sync::Mutex<u8> = ::green::sync::Mutex::new(1); }"
    );
}

#[test]
fn facades_and_other_names_of_std_are_seen_through() {
    assert_eq!(
        green("extern crate std; use self::std::sync::Once;"),
        "extern crate std; use ::green::sync::Once;"
    );
    assert_eq!(
        green("use crate::lib::std::sync::{Arc, Mutex};"),
        "use {crate::lib::std::sync::Arc, ::green::sync::Mutex};"
    );
    assert_eq!(
        green("use std as other; fn f() { other::thread::sleep(d); self::other::mem::swap(); }"),
        "use std as other; fn f() { ::green::thread::sleep(d); self::other::mem::swap(); }"
    );
    assert_eq!(
        green("extern crate std as s; use s::sync::Mutex; use crate::s::io::{self, Read};"),
        "extern crate std as s; use ::green::sync::Mutex; use {::green::io, crate::s::io::Read};"
    );
    assert_eq!(
        green("mod lib { pub use std::net::TcpStream; pub use std::sync; }"),
        "mod lib { pub use ::green::net::TcpStream; pub use ::green::sync; }"
    );
    // A module of the crate's own that is called so is none of ours.
    let own = "mod std; use crate::std::sync::Mutex;";
    assert_eq!(green(own), own);
}

#[test]
fn macros_of_the_prelude_get_a_path_unless_they_are_the_crate_s_own() {
    assert_eq!(
        green("println!(\"{}\", 1);"),
        "::green::println!(\"{}\", 1);"
    );
    assert_eq!(
        green("thread_local! { static A: Cell<u8> = const { Cell::new(1) }; }"),
        "::green::thread_local! { static A: Cell<u8> = const { Cell::new(1) }; }"
    );
    assert_eq!(green("std::thread_local!{}"), "::green::thread_local!{}");
    let own = "macro_rules! println { () => {} } println!();";
    assert_eq!(green(own), own);
    let imported = "use log::eprintln; eprintln!(); x.print(); print != 1; fn print() {}";
    assert_eq!(green(imported), imported);
}

#[test]
fn bodies_of_exported_macros_go_by_way_of_the_crate() {
    assert_eq!(
        green(
            "#[macro_export]\n/// doc\nmacro_rules! m { ($x:expr) => { $crate::std::sync::Mutex::new(std::thread::sleep($x)); use std::io::{self, Read}; println!() } }"
        ),
        "#[macro_export]\n/// doc\nmacro_rules! m { ($x:expr) => { $crate::__green::sync::Mutex::new($crate::__green::thread::sleep($x)); use {$crate::__green::io, std::io::Read}; $crate::__green::println!() } }"
    );
    assert_eq!(
        green(
            "#[cfg_attr(x, macro_export)] macro_rules! m { () => (std::process::exit(1)) } macro_rules! n { () => (std::process::exit(1)) }"
        ),
        "#[cfg_attr(x, macro_export)] macro_rules! m { () => ($crate::__green::process::exit(1)) } macro_rules! n { () => (::green::process::exit(1)) }"
    );
}

#[test]
fn what_is_no_code_is_left_alone() {
    for text in [
        "// use std::net::TcpStream;\n/* std::thread::sleep */",
        "/// use std::net::TcpStream;\n//! std::thread\nfn f() {}",
        "let s = \"std::net::TcpStream\"; let r = r#\"println!() std::thread::sleep\"#; let b = b\"std::fs::read\";",
        "fn f<'std>(x: &'std u8) -> impl Fn() + use<'std> { 's' }",
        "$std::sync::Mutex",
    ] {
        assert_eq!(green(text), text);
    }
}

#[test]
fn shebangs_marks_and_wide_letters_shift_nothing() {
    assert_eq!(
        green(
            "\u{feff}#!/usr/bin/env run\n// ärger 🦀\nuse std::fs; /* ü */ std::thread::spawn(f);"
        ),
        "\u{feff}#!/usr/bin/env run\n// ärger 🦀\nuse ::green::fs; /* ü */ ::green::thread::spawn(f);"
    );
    assert_eq!(green("use std::fs;\r\nx"), "use ::green::fs;\r\nx");
}

#[test]
fn crates_with_unsafe_code_get_waits_that_nothing_interrupts() {
    assert_eq!(
        shielded("use std::{sync::{Condvar, mpsc}, thread, net::TcpStream};"),
        "use {::green::shielded::sync::Condvar, ::green::shielded::sync::mpsc, ::green::shielded::thread, ::green::net::TcpStream};"
    );
    assert_eq!(
        shielded("std::thread::park()"),
        "::green::shielded::thread::park()"
    );
    assert_eq!(
        shielded("crossbeam_channel::bounded(1)"),
        "::green::shielded::channel::bounded(1)"
    );
    // There is no shielded select, and channels of two families would not do.
    assert_eq!(
        shielded("crossbeam_channel::bounded(1); crossbeam_channel::select! {}"),
        "::green::channel::bounded(1); ::green::channel::select! {}"
    );
}

#[test]
fn crossbeam_channel_is_green_s_channel() {
    assert_eq!(
        green("use crossbeam_channel::{bounded, Sender};"),
        "use ::green::channel::{bounded, Sender};"
    );
    assert_eq!(
        green("use crossbeam_channel;"),
        "use ::green::channel as crossbeam_channel;"
    );
    assert_eq!(
        green("use crossbeam_channel as channel;"),
        "use ::green::channel as channel;"
    );
    assert_eq!(
        green("use crossbeam::{channel::{self, RecvError}, thread};"),
        "use {::green::channel, crossbeam::channel::RecvError, crossbeam::thread};"
    );
    let own = "mod crossbeam_channel; use crossbeam_channel::bounded;";
    assert_eq!(green(own), own);
}

#[test]
fn parking_lot_is_green_s_own_and_asks_for_its_feature() {
    let text = "use parking_lot::{Condvar, Mutex}; parking_lot::const_mutex(1); parking_lot::deadlock::check();";
    let facts = Facts::default();
    let manner = Manner {
        facts: &facts,
        cfg: &Cfg::default(),
        shielded: true,
    };
    let rewritten = rewrite(text, manner).unwrap();
    assert_eq!(
        rewritten.text.unwrap(),
        "use ::green::parking_lot::{Condvar, Mutex}; ::green::parking_lot::const_mutex(1); parking_lot::deadlock::check();"
    );
    assert_eq!(Vec::from_iter(rewritten.features), ["parking_lot"]);
}

#[test]
fn lints_that_would_stop_a_build_only_allow() {
    assert_eq!(
        green(
            "#![deny(warnings)] #![cfg_attr(x, forbid(unsafe_code))] #[deny(missing_docs)] fn deny() {}"
        ),
        "#![allow(warnings)] #![cfg_attr(x, allow(unsafe_code))] #[allow(missing_docs)] fn deny() {}"
    );
}

#[test]
fn the_head_of_a_root_keeps_every_line_in_its_place() {
    assert_eq!(
        head("//! Doc.\n#![no_std]\nmod a;", false, false).unwrap(),
        "#![allow(warnings, future_incompatible)] //! Doc.\n#![no_std]\nmod a;"
    );
    let old = head("#![no_std]\n/// Doc.\nmod a;", true, true).unwrap();
    assert_eq!(
        old,
        "#![allow(warnings, future_incompatible)] #![no_std]\nextern crate green; #[doc(hidden)] pub extern crate green as __green; /// Doc.\nmod a;"
    );
    assert_eq!(head(&old, true, true).unwrap(), old);
}

#[test]
fn mentions_have_the_line_of_the_call_and_leave_tests_out() {
    let text = "use std::thread;\nuse std::io;\nfn f() {\n    thread::sleep(d);\n    let e: io::Error;\n}\n\
                #[cfg(test)]\nmod tests {\n    fn g() { std::thread::sleep(d); }\n}\n\
                fn h() { a.to_socket_addrs(); libc::poll(); once_cell::sync::Lazy::new(); }";
    assert_eq!(
        mentions(text),
        [
            (4, "std::thread::sleep".into(), Found::Std(Kind::Wait)),
            (11, ".to_socket_addrs()".into(), Found::Method),
            (11, "libc::poll".into(), Found::Raw),
            (11, "once_cell::sync::Lazy::new".into(), Found::FirstUse),
        ]
    );
}

/// Whether `text`, which calls `nap` and `work`, has a call of `work` alone that counts.
#[track_caller]
fn assert_only_work_counts(text: &str) {
    let text = text
        .replace("nap", "std::thread::sleep")
        .replace("work", "std::thread::park");
    let whats: Vec<String> = (mentions(&text).into_iter().map(|(_, what, _)| what)).collect();
    assert_eq!(whats, ["std::thread::park"], "{text}");
}

#[test]
fn what_only_tests_have_ends_where_its_item_ends() {
    for attribute in [
        "test",
        "bench",
        "tokio::test",
        "::async_std::test",
        "tokio::test(flavor = \"multi_thread\")",
        "cfg(test)",
        "cfg(all(test, feature = \"a\"))",
        "cfg(all(unix, any(test)))",
        "cfg(not(not(test)))",
    ] {
        for text in [
            "#[ATTRIBUTE] fn t() { nap() } fn f() { work() }",
            "/// Doc.\n#[ATTRIBUTE]\n#[should_panic]\npub(crate) async fn t<A, B>() -> R<A, B> where A: X, { nap() }\nfn f() { work() }",
            "impl A { #[ATTRIBUTE] pub const fn t() { nap() } fn f() { work() } }",
        ] {
            assert_only_work_counts(&text.replace("ATTRIBUTE", attribute));
        }
    }
    for text in [
        // Items.
        "#[cfg(test)] const A: [u8; 1] = { nap() }; fn f() { work() }",
        "#[cfg(test)] static A: B = if c { nap() } else { nap() }.into(nap()); fn f() { work() }",
        "#[cfg(test)] extern \"C\" { fn a(); } fn f() { work() }",
        "#[cfg(test)] thread_local! { static A: u8 = nap() } fn f() { work() }",
        "#[cfg(test)] macro_rules! a { () => { nap() } } fn f() { work() }",
        "#[cfg(test)] mod a; fn f() { work() }",
        "#[cfg(test)] impl<A, B> X<A, B> for Y { fn a() { nap() } } fn f() { work() }",
        "mod a { #![cfg(test)] use x; fn a() {} fn b() { nap() } } fn f() { work() }",
        // Statements.
        "fn f() { #[cfg(test)] let a = if b { nap() } else { nap() }; work() }",
        "fn f() { #[cfg(test)] let Some(a) = b else { nap() }; work() }",
        "fn f() { #[cfg(test)] if a { b() } else if c { nap() } else { nap() } work() }",
        "fn f() { #[cfg(test)] if a { b() } if c { work() } }",
        "fn f() { #[cfg(test)] { nap() } work() }",
        "fn f() { #[cfg(test)] a.b({ 1 }, nap()); work() }",
        "fn f() { #[cfg(test)] match a { _ => b() }.c(nap()); work() }",
        "fn f() { work(); #[cfg(test)] nap() }",
        // Parts.
        "struct A { #[cfg(test)] a: B<C, fn(D) -> E, { nap() }>, b: work }",
        "enum A { #[cfg(test)] B { c: nap }, D { e: work } }",
        "enum A { #[cfg(test)] B(nap), D(work) }",
        "fn f() { A { #[cfg(test)] a: nap(), b: work() } }",
        "fn f(#[cfg(test)] a: B<C, nap>, d: work) {}",
        "fn f() { match a { #[cfg(test)] A { b } | C { d } if e => { nap() } F => work() } }",
        "fn f() { match a { #[cfg(test)] A => nap(), F => work() } }",
        "fn f() { a(#[cfg(test)] nap(), work()) }",
    ] {
        assert_only_work_counts(text);
    }
    // `test` that is not required, and names that only look like it.
    for attribute in [
        "cfg(not(test))",
        "cfg(any(test, true))",
        "cfg_attr(test, allow(x))",
        "contest",
        "test::helper",
        "doc = \"test\"",
        "derive(test)",
    ] {
        assert_only_work_counts(&format!("#[{attribute}] fn f() {{ work() }}"));
    }
}

#[test]
fn an_import_of_tests_means_nothing_outside_of_them() {
    let text = "#[cfg(test)] use std::thread::sleep; fn sleep() {} fn f() { sleep(); }";
    assert_eq!(mentions(text), []);
}

#[test]
fn a_file_that_only_tests_have_is_none_of_the_program() {
    for attributes in [
        "#[cfg(test)] #[path = \"a.rs\"]",
        "#[path = \"a.rs\"] #[cfg(test)]",
    ] {
        let (mut facts, mut declared) = (Facts::default(), Declared::default());
        let text = format!("{attributes} mod b; fn f() {{}}");
        super::note(&text, &Cfg::default(), &mut facts, &mut declared).unwrap();
        assert_eq!((declared.modules.len(), declared.files.len()), (0, 0));
    }
}

#[test]
fn a_glob_of_all_of_std_is_told_of() {
    assert_eq!(
        mentions("pub use std::*;"),
        [(1, "std::*".into(), Found::NotRewritten)]
    );
}
