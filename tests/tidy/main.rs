//! The rules of ARCHITECTURE.md that no compiler checks: layers, circles, where `unsafe` is, what texts name.

mod backlogs;
mod coming_from;
mod crates;
mod examples;
mod locks;
mod modules;
mod published;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use modules::Modules;

/// Where the repository is.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

static GREENHUB: LazyLock<Modules> = LazyLock::new(|| Modules::read(&top().join("src/lib.rs")));
static GREEN: LazyLock<Modules> = LazyLock::new(|| Modules::read(&top().join("green/lib.rs")));
static GREEN_MONKEY: LazyLock<Modules> =
    LazyLock::new(|| Modules::read(&top().join("green/monkey/src/lib.rs")));
static CARGO_GREEN: LazyLock<Modules> =
    LazyLock::new(|| Modules::read(&top().join("green/cargo/src/main.rs")));

/// The crates, each with the folder that its modules are in.
fn our_crates() -> [(&'static Modules, &'static str); 4] {
    [
        (&GREENHUB, "src/"),
        (&GREEN, "green/"),
        (&GREEN_MONKEY, "green/monkey/src/"),
        (&CARGO_GREEN, "green/cargo/src/"),
    ]
}

/// The files below a folder that end so.
fn files(folder: &str, ends: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![top().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() || path.ends_with("target") {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else if ends.iter().any(|end| path.to_str().unwrap().ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What cargo says, by what is here alone.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .current_dir(top())
        .args(arguments)
        .args(["--locked", "--offline"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn short(path: &Path) -> String {
    path.strip_prefix(top()).unwrap().display().to_string()
}

/// What the code breaks is what the list has.
#[track_caller]
fn only(broken: &BTreeSet<String>, listed: &[&str], rule: impl Display) {
    let listed: BTreeSet<String> = listed.iter().map(|&line| line.to_owned()).collect();
    let new: Vec<_> = broken.difference(&listed).collect();
    assert!(new.is_empty(), "{rule}; this is new:\n{new:#?}");
    let gone: Vec<_> = listed.difference(broken).collect();
    assert!(
        gone.is_empty(),
        "{rule}; take from the list in {} what is mended:\n{gone:#?}",
        Location::caller().file()
    );
}

#[test]
fn a_module_uses_only_what_its_crate_lists_before_it() {
    let mut broken = BTreeSet::new();
    for (modules, _) in our_crates() {
        let layer = |name: &Vec<String>| {
            let first = name.first()?;
            modules.layers().iter().position(|layer| layer == first)
        };
        for (user, used) in modules.uses() {
            for used in used {
                if let (Some(user_layer), Some(used_layer)) = (layer(&user), layer(&used))
                    && used_layer > user_layer
                {
                    broken.insert(format!("{} -> {}", modules.file(&user), used[0]));
                }
            }
        }
    }
    only(
        &broken,
        &[],
        "a module uses what stands above it in its crate's root",
    );
}

#[test]
fn the_code_map_has_the_order_of_the_crates() {
    let architecture = fs::read_to_string(top().join("ARCHITECTURE.md")).unwrap();
    let (_, map) = architecture.split_once("## Code map").unwrap();
    for (modules, folder) in our_crates() {
        let mut last = 0;
        for layer in modules.layers() {
            let names = [
                format!("`{folder}{layer}/`"),
                format!("`{folder}{layer}.rs`"),
            ];
            let place = names.iter().filter_map(|name| map.find(name)).min();
            let place = place.unwrap_or_else(|| panic!("the code map lacks {folder}{layer}"));
            assert!(
                place >= last,
                "{folder}{layer} stands elsewhere in its crate's root"
            );
            last = place;
        }
    }
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let mut broken = BTreeSet::new();
    for (modules, _) in our_crates() {
        broken.extend(modules.circles().into_iter().flatten());
        broken.extend(modules.circles_of_siblings().into_iter().flatten());
    }
    only(&broken, &[], "modules use each other in one direction");
}

#[test]
fn a_use_is_seen_however_it_is_written() {
    let crate_ = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(crate_.path().join(name), text).unwrap();
    write(
        "lib.rs",
        "mod by_name; mod by_macro; mod by_module; mod handed_on; mod thing;",
    );
    write("thing.rs", "pub(crate) struct Thing; mod inner;");
    fs::create_dir(crate_.path().join("thing")).unwrap();
    write("thing/inner.rs", "pub(crate) fn f() {}");
    write("by_name.rs", "use crate::thing::Thing; fn f(_: Thing) {}");
    write(
        "by_macro.rs",
        "fn f() { dbg!(\"super::by_name\", super::thing::Thing); }",
    );
    write(
        "by_module.rs",
        "use super::thing; fn f() { thing::inner::f(); }",
    );
    write(
        "handed_on.rs",
        "pub(crate) use super::thing::Thing; fn f(_: Thing) {}",
    );
    let uses = Modules::read(&crate_.path().join("lib.rs")).uses();
    let used = |user: &str| {
        let used = &uses[&vec![user.to_owned()]];
        used.iter().map(|name| name.join("::")).collect::<Vec<_>>()
    };
    assert_eq!(used("by_name"), ["thing"]);
    assert_eq!(used("by_macro"), ["thing"]);
    assert_eq!(used("by_module"), ["thing", "thing::inner"]);
    assert_eq!(used("handed_on"), ["thing"]);
}

/// Words of the glossary that name several types, and why they may.
const NAMESAKES: &[&str] = &[
    // One idea; each is the private guard that gives one kind of right back.
    r#"right: {"green/asyncio/streams/reader.rs", "green/tls/ssl/duplex.rs", "green/toolkit/tpool.rs"}"#,
];

#[test]
fn a_word_of_the_glossary_is_the_name_of_one_type() {
    let architecture = fs::read_to_string(top().join("ARCHITECTURE.md")).unwrap();
    let (_, glossary) = architecture.split_once("## Glossary").unwrap();
    let (glossary, _) = glossary.split_once("\n## ").unwrap();
    let rows = glossary.lines().filter(|line| line.starts_with("| "));
    let words: Vec<&str> = rows
        .skip(1)
        .flat_map(|row| row.split('|').nth(1).unwrap().split([',', '/']))
        .map(str::trim)
        .collect();
    let distinct: BTreeSet<&str> = words.iter().copied().collect();
    assert_eq!(
        distinct.len(),
        words.len(),
        "a word stands twice in {words:?}"
    );

    let mut homes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in ["src", "green"]
        .map(|folder| files(folder, &[".rs"]))
        .concat()
    {
        let name = short(&file);
        // Other programs, with words of their own.
        let others = ["green/cargo/", "green/examples/", "green/monkey/"];
        if others.iter().any(|other| name.starts_with(other)) || name.contains("tests") {
            continue;
        }
        for line in fs::read_to_string(&file).unwrap().lines() {
            let mut parts = line
                .split_whitespace()
                .skip_while(|part| part.starts_with("pub"));
            if let Some("struct" | "enum" | "trait" | "union" | "type") = parts.next()
                && let Some(defined) = parts.next()
            {
                let end = |c: char| !c.is_alphanumeric();
                let defined = defined.split(end).next().unwrap().to_lowercase();
                if distinct.contains(defined.as_str()) {
                    homes.entry(defined).or_default().insert(name.clone());
                }
            }
        }
    }
    assert!(homes.len() > 10, "hardly any word is found: {homes:?}");
    let broken = homes
        .into_iter()
        .filter(|(_, homes)| homes.len() > 1)
        .map(|(word, homes)| format!("{word}: {homes:?}"))
        .collect();
    only(&broken, NAMESAKES, "one word is one idea");
}

/// The fence: files that may have `unsafe`.
const UNSAFE: &[&str] = &[
    "benches/rivals/program/src/epoll.rs",
    "benches/rivals/program/src/sys.rs",
    "green/aio/pollable.rs",
    "green/aio/tokio.rs",
    "green/cargo/src/rewrite/tests.rs",
    "green/faces/fs/file.rs",
    "green/faces/io/pipe.rs",
    "green/faces/io/raw.rs",
    "green/faces/io/stdout.rs",
    "green/faces/net/face.rs",
    "green/faces/net/resolve.rs",
    "green/faces/os/unix/process.rs",
    "green/faces/parking_lot/condvar.rs",
    "green/faces/parking_lot/raw_mutex.rs",
    "green/faces/parking_lot/raw_rwlock.rs",
    "green/faces/shielded/thread.rs",
    "green/faces/sync/lazy_lock.rs",
    "green/faces/sync/mutex.rs",
    "green/faces/sync/once_lock.rs",
    "green/faces/sync/rwlock.rs",
    "green/http/stream.rs",
    "green/monkey/benches/hooks.rs",
    "green/monkey/src/behind.rs",
    "green/monkey/src/errno.rs",
    "green/monkey/src/hooks.rs",
    "green/monkey/src/hooks/accept.rs",
    "green/monkey/src/hooks/child.rs",
    "green/monkey/src/hooks/close.rs",
    "green/monkey/src/hooks/command.rs",
    "green/monkey/src/hooks/cond.rs",
    "green/monkey/src/hooks/connect.rs",
    "green/monkey/src/hooks/copy.rs",
    "green/monkey/src/hooks/descriptor.rs",
    "green/monkey/src/hooks/dns.rs",
    "green/monkey/src/hooks/epoll.rs",
    "green/monkey/src/hooks/file_locks.rs",
    "green/monkey/src/hooks/futex.rs",
    "green/monkey/src/hooks/iovec.rs",
    "green/monkey/src/hooks/late.rs",
    "green/monkey/src/hooks/locks.rs",
    "green/monkey/src/hooks/message.rs",
    "green/monkey/src/hooks/option.rs",
    "green/monkey/src/hooks/poll.rs",
    "green/monkey/src/hooks/process.rs",
    "green/monkey/src/hooks/read_write.rs",
    "green/monkey/src/hooks/receive.rs",
    "green/monkey/src/hooks/select.rs",
    "green/monkey/src/hooks/send.rs",
    "green/monkey/src/hooks/terms.rs",
    "green/monkey/src/hooks/thread.rs",
    "green/monkey/src/hooks/time.rs",
    "green/monkey/src/hooks/vfork.rs",
    "green/monkey/src/patch.rs",
    "green/monkey/src/real.rs",
    "green/monkey/src/self_test.rs",
    "green/monkey/tests/hooks/commands.rs",
    "green/monkey/tests/hooks/files.rs",
    "green/monkey/tests/hooks/interrupts.rs",
    "green/monkey/tests/hooks/locks.rs",
    "green/monkey/tests/hooks/main.rs",
    "green/monkey/tests/hooks/polls.rs",
    "green/monkey/tests/hooks/processes.rs",
    "green/monkey/tests/hooks/safety.rs",
    "green/monkey/tests/hooks/sockets.rs",
    "green/monkey/tests/hooks/symbols.rs",
    "green/monkey/tests/hooks/symbols/ways.rs",
    "green/monkey/tests/hooks/terms.rs",
    "green/monkey/tests/hooks/times.rs",
    "green/monkey/tests/unmodified_crates/at_once.rs",
    "green/monkey/tests/unmodified_crates/cases/libraries.rs",
    "green/monkey/tests/unmodified_crates/main.rs",
    "green/monkey/tests/unmodified_crates/late.rs",
    "green/tls/ssl/engine/openssl/session.rs",
    "green/tls/ssl/pipe/tests/renewal.rs",
    "green/toolkit/convenience/handed.rs",
    "green/toolkit/reconnect/classify.rs",
    "green/waits/signal.rs",
    "src/debug/unwind.rs",
    "src/engine/may.rs",
    "src/engine/own.rs",
    "src/engine/own/aarch64.rs",
    "src/engine/own/watched.rs",
    "src/engine/own/x86_64.rs",
    "src/future/spawned.rs",
    "src/future/waker.rs",
    "src/green_thread/join_handle.rs",
    "src/green_thread/local.rs",
    "src/green_thread/scope.rs",
    "src/green_thread/spawn.rs",
    "src/greenio/ancillary.rs",
    "src/greenio/handover.rs",
    "src/greenio/poll.rs",
    "src/greenio/raw_options.rs",
    "src/hub/current.rs",
    "src/hub/leg.rs",
    "src/hub/root.rs",
    "src/hub/site.rs",
    "src/hub/task.rs",
    "src/hub/values.rs",
    "src/source/tests.rs",
    "src/stacks/guards.rs",
    "src/stacks/mod.rs",
    "src/sys/destructors.rs",
    "src/sys/epoll.rs",
    "src/sys/fd.rs",
    "src/sys/futex.rs",
    "src/sys/lock.rs",
    "src/sys/memory.rs",
    "src/sys/mod.rs",
    "src/sys/pipe.rs",
    "src/sys/poll.rs",
    "src/sys/raw.rs",
    "src/sys/signal.rs",
    "src/sys/snapshot.rs",
    "src/sys/socket.rs",
    "src/sys/symbols.rs",
    "src/sys/valgrind.rs",
    "src/sys/virtual_time.rs",
    "src/thread_locals/allocator.rs",
    "src/thread_locals/base.rs",
    "src/thread_locals/block.rs",
    "src/thread_locals/fork.rs",
    "src/thread_locals/glibc.rs",
    "src/thread_locals/layout.rs",
    "src/thread_locals/mutexes.rs",
    "src/thread_locals/places.rs",
    "src/thread_locals/proof.rs",
    "src/thread_locals/setxid.rs",
    "src/thread_locals/values.rs",
    "src/thread_locals/visits.rs",
    "tests/accept_exhaustion.rs",
    "tests/asyncio/futures.rs",
    "tests/engine/registers.rs",
    "tests/engine/steps.rs",
    "tests/engine_facts.rs",
    "tests/fd_reuse.rs",
    "green/tests/streams/files.rs",
    "tests/green_socket/linger.rs",
    "tests/green_socket/messages.rs",
    "tests/green_socket/options.rs",
    "tests/green_thread/threads.rs",
    "tests/hub/start.rs",
    "tests/last_words/exit.rs",
    "tests/debug/blocking_detector/functions.rs",
    "green/tests/net/tcp.rs",
    "tests/peer_close/namespace.rs",
    "tests/support/ends/peer.rs",
    "tests/support/heap.rs",
    "tests/support/steps.rs",
    "green/tests/streams/pipes.rs",
    "tests/process.rs",
    "tests/sanitized/faulty.rs",
    "tests/green_thread/shielded.rs",
    "tests/stacks/main.rs",
    "green/tests/std_parity/bodies/fd.rs",
    "green/tests/std_parity/bodies/fs.rs",
    "green/tests/std_parity/bodies/io.rs",
    "green/tests/std_parity/bodies/process.rs",
    "green/tests/std_parity/bodies/support.rs",
    "green/tests/std_parity/bodies/thread_spawn.rs",
    "tests/thread_locals/main.rs",
    "tests/storms/thread_locals.rs",
    "tests/trials/main.rs",
];

#[test]
fn unsafe_is_where_the_list_has_it() {
    let mut found = BTreeSet::new();
    for folder in ["src", "green", "tests", "benches", "xtask"] {
        for file in files(folder, &[".rs"]) {
            let mut text = fs::read_to_string(&file).unwrap();
            // An attribute may have several lines.
            text.retain(|c| !c.is_whitespace());
            if ["expect", "allow"]
                .iter()
                .any(|word| text.contains(&format!("{word}(unsafe_code")))
            {
                found.insert(short(&file));
            }
        }
    }
    found.remove(file!());
    only(&found, UNSAFE, "unsafe stays where it was looked at");
}

/// The lines of a text with their numbers, without what it quotes of a session at a terminal.
fn said(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut quoted = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let line = line.trim_start();
        let fence = line.contains("```");
        if fence {
            quoted = !quoted && line.contains("```text");
        }
        (!quoted && !fence).then_some((number + 1, line))
    })
}

/// What green has no name for: the runtime's functions that it does not show, on their own pages, and its file for gdb.
const NOT_IN_GREEN: &[&str] = &[
    "greenhub::blocking_uncut",
    "greenhub::catch_panic",
    "greenhub::discard_panic",
    "greenhub::panic_message",
    "greenhub::without_waiting",
    "src/hub/gdb.py",
];

#[test]
fn no_page_or_example_of_green_names_the_runtime() {
    let mut broken = BTreeSet::new();
    let mut look = |file: &Path, whole: bool| {
        for (number, line) in said(&fs::read_to_string(file).unwrap()) {
            let shown = whole || line.starts_with("///") || line.starts_with("//!");
            if shown
                && line.contains("greenhub")
                && !NOT_IN_GREEN.iter().any(|name| line.contains(name))
            {
                broken.insert(format!("{}:{}: {line}", short(file), number));
            }
        }
    };
    for file in files("green", &[".rs", ".md"]) {
        let whole = file.extension().is_some_and(|end| end == "md")
            || file.starts_with(top().join("green/examples"));
        look(&file, whole);
    }
    // Shown in green's pages too; lib.rs is the runtime's own page.
    for file in files("src", &[".rs"]) {
        if !file.ends_with("src/lib.rs") {
            look(&file, false);
        }
    }
    only(&broken, &[], "a user of green writes green::");
}

#[test]
fn every_path_that_a_text_names_exists() {
    const FOLDERS: [&str; 6] = ["src/", "green/", "tests/", "benches/", "xtask/", ".ci/"];
    let mut texts = files(".", &[".md", ".toml", ".rs", "run"]);
    texts.retain(|file| !file.ends_with("CHANGELOG.md") && !file.ends_with(file!()));
    let mut broken = BTreeSet::new();
    for file in texts {
        let text = fs::read_to_string(&file).unwrap();
        let is_code = file.extension().is_some_and(|end| end == "rs");
        // A manifest names paths from its own folder.
        let from = match file.extension() {
            Some(end) if end == "toml" => [top(), file.parent().unwrap()],
            _ => [top(), top()],
        };
        for (_, line) in said(&text) {
            let line = match line.find("//") {
                Some(comment) if is_code => &line[comment..],
                None if is_code => continue,
                _ => line,
            };
            let words = line.split(|c: char| !c.is_alphanumeric() && !"_-./".contains(c));
            for word in words {
                let path = word.trim_end_matches('.').trim_start_matches("./");
                let ours = FOLDERS.iter().any(|folder| path.starts_with(folder));
                let is_there = from.iter().any(|folder| folder.join(path).exists());
                if ours && !is_there && !path.contains("...") {
                    broken.insert(format!("{}: {path}", short(&file)));
                }
            }
        }
    }
    only(&broken, &[], "a text names what is there");
}

/// The functions that are tests, each with its file.
fn tests() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["src", "green", "tests", "xtask"] {
        for file in files(folder, &[".rs"]) {
            let text = fs::read_to_string(&file).unwrap();
            // Further attributes may stand in between.
            for after in text.split("#[test]\n").skip(1) {
                let head = after.split_once("fn ").map(|(_, head)| head);
                let name = head.and_then(|head| head.split_once('('));
                match name {
                    // A macro's tests have the names that it is called with: words of several parts.
                    Some((name, _)) if name.starts_with('$') => {
                        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
                        let names = words.filter(|word| word.matches('_').count() > 1);
                        found.extend(names.map(|name| (short(&file), name.to_owned())));
                    }
                    Some((name, _)) => found.push((short(&file), name.to_owned())),
                    None => {}
                }
            }
        }
    }
    found
}

#[test]
fn a_test_is_named_by_words_and_by_no_code() {
    let tests = tests();
    assert!(tests.len() > 1000, "{} tests", tests.len());
    // A letter, a number and perhaps a letter.
    let code = |word: &str| {
        let number = word.split_at(1).1;
        number.starts_with(|c: char| c.is_ascii_digit())
            && number
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len()
                <= 1
    };
    let mut broken = BTreeSet::new();
    for (file, name) in tests {
        if name.split('_').next().is_some_and(code) || !name.contains('_') {
            broken.insert(format!("{file}: {name}"));
        }
    }
    only(&broken, &[], "a test's name says what it proves");
}
