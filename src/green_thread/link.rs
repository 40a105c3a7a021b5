//! Functions to be run when a green thread ends.

use super::ending::Ending;
use crate::contain::contain;
use crate::hub::interrupt::Shield;
use crate::sys::lock::Lock;

/// Names a function that was [linked](super::JoinHandle::link) to a green
/// thread.
///
/// ```
/// use green::thread::{Link, park, spawn};
///
/// let handle = spawn(park);
/// let link: Link = handle.link(|_| ());
/// assert!(handle.unlink(link));
/// handle.thread().unpark();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(u64);

pub(super) type Linked = Box<dyn FnOnce(Ending) + Send>;

/// Most green threads have none, and then nothing is allocated.
#[derive(Default)]
pub(super) struct Links(Lock<State>);

enum State {
    Alive {
        functions: Vec<(Link, Linked)>,
        made: u64,
    },
    Ended(Ending),
}

impl Default for State {
    fn default() -> State {
        State::Alive {
            functions: Vec::new(),
            made: 0,
        }
    }
}

impl Links {
    /// Runs `f` at the end, or now if that has passed.
    pub(super) fn add(&self, f: Linked) -> Link {
        let ended = match &mut *self.0.lock() {
            State::Alive { functions, made } => {
                *made += 1;
                let link = Link(*made);
                functions.push((link, f));
                return link;
            }
            State::Ended(ending) => *ending,
        };
        // As at the end itself. A kill of the caller's waits for its next wait.
        let _shield = Shield::new();
        run(f, ended);
        Link(0)
    }

    pub(super) fn remove(&self, link: Link) -> bool {
        let removed = match &mut *self.0.lock() {
            State::Alive { functions, .. } => functions
                .iter()
                .position(|(other, _)| *other == link)
                .map(|place| functions.remove(place)),
            State::Ended(_) => None,
        };
        // Dropped without the lock: it is user code.
        removed.is_some()
    }

    /// The end has come: runs them all. One that is added from now on, even by another link, runs
    /// at once.
    pub(super) fn follow(&self, ending: Ending) {
        let state = std::mem::replace(&mut *self.0.lock(), State::Ended(ending));
        if let State::Alive { functions, .. } = state {
            functions.into_iter().for_each(|(_, f)| run(f, ending));
        }
    }
}

fn run(f: Linked, ending: Ending) {
    contain(|| f(ending));
}
