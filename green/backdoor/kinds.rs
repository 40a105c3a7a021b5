//! What green threads do or wait for, in one word each.

use std::collections::BTreeMap;

use greenhub::{Site, State, ThreadReport};

/// In one word, for counting.
pub(super) fn kind(state: State) -> &'static str {
    match state {
        State::New => "new",
        State::Ready => "ready",
        State::Waiting(Site::Readable(_)) => "readable",
        State::Waiting(Site::Writable(_)) => "writable",
        State::Waiting(Site::Sleep) => "sleep",
        State::Waiting(Site::Park) => "park",
        State::Waiting(Site::Join(_)) => "join",
        State::Waiting(Site::Queue(name)) => name,
        _ => "other",
    }
}

/// How many green threads are in each state.
pub(super) fn kinds(threads: &[ThreadReport]) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for thread in threads {
        *kinds.entry(kind(thread.state)).or_default() += 1;
    }
    kinds
}
