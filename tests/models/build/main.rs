//! Makes the models' sources: files of greenhub and green with loom's atomics in std's place, and with
//! each mutant beside the text that it changes.

mod mutants;

use std::path::{Path, PathBuf};
use std::{env, fs};

use mutants::PLACES;

/// What is taken from the top of the repository: where from, and up to which code.
const SOURCES: &[(&str, &str)] = &[
    ("src/sys/lock.rs", ""),
    ("src/hub/wait_word.rs", ""),
    ("src/hub/home.rs", ""),
    ("src/hub/interrupts.rs", ""),
    // Waits in the panic hook and of green threads need an engine.
    ("src/hub/wait.rs", "const HOOKS_PATIENCE"),
    ("src/hub/wake.rs", "impl Hub {"),
    ("src/wait_queue.rs", ""),
    ("src/wait_queue/waiters.rs", ""),
    ("green/faces/sync/lock.rs", ""),
    ("green/faces/sync/shared_lock.rs", ""),
    ("green/faces/channel/context.rs", ""),
    ("green/faces/channel/core.rs", ""),
    ("green/faces/channel/handoff.rs", ""),
    ("green/faces/channel/readers.rs", ""),
    ("green/faces/channel/state.rs", ""),
];

/// Parts of files that are otherwise about something else: from which code up to which, and what
/// stands around it.
const PARTS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "src/hub/interrupt.rs",
        "    pub(crate) fn kill(",
        "    pub(crate) fn masked(",
        "impl Task {",
        "}",
    ),
    (
        "src/hub/turn.rs",
        "                if let Some(ticket) = task.word.open_ticket() {",
        "            } else if !deadline.is_never()",
        "pub(crate) fn fire(task: Arc<Task>) {",
        "}",
    ),
    (
        "src/green_thread/packet.rs",
        "        let waker = {",
        "        if let Some(waker) = waker {",
        "impl<T> Packet<T> { pub(crate) fn end(&self, result: T) -> Option<Waker> {",
        "waker } }",
    ),
    (
        "src/green_thread/join_handle.rs",
        "        while !self.is_finished() {",
        "    fn poll(",
        "impl<T> JoinInner<T> { fn wait(&self, deadline: Deadline) -> bool {
            let request = Request { site: Site::Park, deadline, poll_for: None };",
        "}",
    ),
];

/// loom's constructors are not constant, and a model has all features.
const SWAPS: &[(&str, &str)] = &[
    ("use std::", "use crate::stand_in::"),
    ("greenhub::", "crate::"),
    ("const fn ", "fn "),
    ("pub(in crate::faces)", "pub(crate)"),
    ("pub(super)", "pub(crate)"),
    ("#[cfg(feature = \"parking_lot\")]", ""),
    ("#[cfg(test)]", "#[cfg(any())]"),
    ("const LOOKS: u32 = 100;", "const LOOKS: u32 = 0;"),
    ("mod waiters;", "use crate::waiters;"),
];

fn main() {
    let top = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap()).join("../..");
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    println!("cargo::rerun-if-changed=build");
    let mut applied = 0;
    for (file, end) in SOURCES {
        let text = read(&top, file);
        let end = if end.is_empty() {
            text.len()
        } else {
            end_before(&text, end, file)
        };
        write(&out, file, &text[..end], &mut applied);
    }
    for (file, from, to, before, after) in PARTS {
        let text = read(&top, file);
        let from = place(&text, from, file);
        let to = from + end_before(&text[from..], to, file);
        let text = format!("{before}\n{}\n{after}\n", &text[from..to]);
        write(&out, file, &text, &mut applied);
    }
    assert_eq!(
        applied,
        PLACES.len(),
        "a mutant names a file that no model has"
    );
}

fn read(top: &Path, file: &str) -> String {
    println!("cargo::rerun-if-changed={}", top.join(file).display());
    fs::read_to_string(top.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn place(text: &str, of: &str, file: &str) -> usize {
    text.find(of)
        .unwrap_or_else(|| panic!("{file} has no {of:?}"))
}

/// Where the code above this ends: what is said of it, in comments and attributes, is left out too.
fn end_before(text: &str, of: &str, file: &str) -> usize {
    let above = &text[..place(text, of, file)];
    let mut end = above.rfind('\n').map_or(0, |line| line + 1);
    for line in above[..end].split_inclusive('\n').rev() {
        let said = line.trim_start();
        if !(said.starts_with("//") || said.starts_with("#[")) {
            break;
        }
        end -= line.len();
    }
    end
}

fn write(out: &Path, file: &str, text: &str, applied: &mut usize) {
    let mut text = without_inner_attributes(text);
    for place in PLACES.iter().filter(|place| place.file == file) {
        let times = text.matches(place.text).count();
        assert_eq!(times, 1, "{file} has {times} times: {}", place.text);
        let mut all = String::new();
        for (name, mutant) in place.mutants {
            all += &format!("if crate::is_mutated({name:?}) {{ {mutant} }} else ");
        }
        all += &format!("{{ {} }}", place.text);
        let is_statement = place.text.ends_with([';', '}']);
        text = text.replace(
            place.text,
            &if is_statement {
                all
            } else {
                format!("({all})")
            },
        );
        *applied += 1;
    }
    for (from, to) in SWAPS {
        text = text.replace(from, to);
    }
    fs::write(out.join(file.replace('/', "_")), text).unwrap();
}

/// A file that is included cannot have any.
fn without_inner_attributes(text: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in text.lines() {
        inside |= line.starts_with("#![");
        if !inside && !line.starts_with("//!") {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= !line.ends_with(']');
    }
    kept
}
