//! Who waits for what, under the pool's lock: the only code of users that runs here is that of their
//! keys.
//!
//! A node is *waiting*, then *running*, then *ended*; a failure of what it waits for takes it from the
//! first to the last. A key that is only depended on has no node.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use super::error::{Cause, PropagateError, Refused};
use crate::thread::Thread;

pub(super) type Results<K, V> = HashMap<K, Arc<V>>;
pub(super) type Work<K, V, E> = Box<dyn FnOnce(Results<K, V>) -> Result<V, E> + Send>;
/// One that is refused comes back.
type Added<K, V, E> = Result<(), (Refused<K>, Work<K, V, E>)>;
type Outcome<K, V, E> = Result<Arc<V>, PropagateError<K, E>>;

pub(super) enum Node<K, V, E> {
    Waiting {
        depends: HashSet<K>,
        /// How many of these have no value yet.
        missing: usize,
        task: Work<K, V, E>,
    },
    Running {
        /// As soon as it is known.
        thread: Option<Thread>,
        is_killed: bool,
    },
    Ended(Outcome<K, V, E>),
}

impl<K, V, E> Node<K, V, E> {
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self, Node::Waiting { .. })
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self, Node::Running { .. })
    }
}

pub(super) struct Graph<K, V, E> {
    nodes: HashMap<K, Node<K, V, E>>,
    /// Whom the end of a key concerns.
    dependents: HashMap<K, Vec<K>>,
    /// In their order.
    ended: Vec<K>,
}

/// A task with its key and what it depends on.
pub(super) type New<K, V, E> = (K, HashSet<K>, Work<K, V, E>);

/// A task all of whose values are there.
pub(super) struct Ready<K, V, E> {
    pub(super) key: K,
    pub(super) values: Results<K, V>,
    pub(super) task: Work<K, V, E>,
}

/// What is to be done without the lock.
pub(super) struct Ended<K, V, E> {
    pub(super) ready: Vec<Ready<K, V, E>>,
    pub(super) dropped: Vec<Work<K, V, E>>,
    pub(super) has_ended: bool,
}

impl<K, V, E> Default for Ended<K, V, E> {
    fn default() -> Ended<K, V, E> {
        Ended {
            ready: Vec::new(),
            dropped: Vec::new(),
            has_ended: false,
        }
    }
}

impl<K: Clone + Eq + Hash, V, E> Graph<K, V, E> {
    pub(super) fn new() -> Graph<K, V, E> {
        Graph {
            nodes: HashMap::new(),
            dependents: HashMap::new(),
            ended: Vec::new(),
        }
    }

    pub(super) fn knows(&self, key: &K) -> bool {
        self.nodes.contains_key(key)
    }

    pub(super) fn ended(&self) -> &[K] {
        &self.ended
    }

    pub(super) fn outcome(&self, key: &K) -> Option<Outcome<K, V, E>> {
        match self.nodes.get(key) {
            Some(Node::Ended(outcome)) => Some(outcome.clone()),
            _ => None,
        }
    }

    pub(super) fn keys(&self, which: impl Fn(&Node<K, V, E>) -> bool) -> Vec<K> {
        let nodes = self.nodes.iter().filter(|(_, node)| which(node));
        nodes.map(|(key, _)| key.clone()).collect()
    }

    pub(super) fn waiting_for(&self, key: &K) -> Vec<K> {
        match self.nodes.get(key) {
            Some(Node::Waiting { depends, .. }) => {
                let missing = |key: &&K| !matches!(self.nodes.get(key), Some(Node::Ended(_)));
                depends.iter().filter(missing).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Adds a task that waits, whatever is there: [`look_at`](Graph::look_at) follows.
    pub(super) fn add(
        &mut self,
        key: K,
        depends: HashSet<K>,
        task: Work<K, V, E>,
    ) -> Added<K, V, E> {
        if self.knows(&key) {
            return Err((Refused::Collision(key), task));
        }
        if let Some(way) = self.way_back(&key, &depends) {
            return Err((Refused::Cycle(way), task));
        }
        for other in &depends {
            let dependents = self.dependents.entry(other.clone()).or_default();
            dependents.push(key.clone());
        }
        let missing = depends.len();
        let node = Node::Waiting {
            depends,
            missing,
            task,
        };
        self.nodes.insert(key, node);
        Ok(())
    }

    /// Takes back what `add` did, and gives the task.
    pub(super) fn forget(&mut self, key: &K) -> Option<Work<K, V, E>> {
        let Some(Node::Waiting { depends, task, .. }) = self.nodes.remove(key) else {
            return None;
        };
        for other in depends {
            if let Some(dependents) = self.dependents.get_mut(&other) {
                dependents.retain(|dependent| dependent != key);
            }
        }
        Some(task)
    }

    /// The way from `key` to itself by what it depends on, if there is one.
    fn way_back(&self, key: &K, depends: &HashSet<K>) -> Option<Vec<K>> {
        let is_awaited = self
            .dependents
            .get(key)
            .is_some_and(|list| !list.is_empty());
        if !is_awaited && !depends.contains(key) {
            return None;
        }
        // Where each was come from.
        let mut from: HashMap<&K, &K> = depends.iter().map(|other| (other, key)).collect();
        let mut next: Vec<&K> = from.keys().copied().collect();
        while let Some(at) = next.pop() {
            if at == key {
                let back = std::iter::successors(from.get(at), |at| {
                    from.get(**at).filter(|_| **at != key)
                });
                let mut way: Vec<K> = std::iter::once(&at)
                    .chain(back)
                    .map(|&at| at.clone())
                    .collect();
                way.reverse();
                return Some(way);
            }
            if let Some(Node::Waiting { depends, .. }) = self.nodes.get(at) {
                for other in depends {
                    from.entry(other).or_insert_with(|| {
                        next.push(other);
                        at
                    });
                }
            }
        }
        None
    }

    /// Counts the values that are there for a task that was just added, and lets it run, or fail, if
    /// that decides it.
    pub(super) fn look_at(&mut self, key: K, after: &mut Ended<K, V, E>) {
        let Some(Node::Waiting { depends, .. }) = self.nodes.get(&key) else {
            return;
        };
        let mut there = 0;
        let mut failed = None;
        for other in depends {
            match self.nodes.get(other) {
                Some(Node::Ended(Ok(_))) => there += 1,
                Some(Node::Ended(Err(error))) => failed = Some(error.of(key.clone())),
                _ => (),
            }
        }
        match failed {
            Some(error) => self.settle(key, Err(error), after),
            None => self.advance(key, there, after),
        }
    }

    /// So many of what a task depends on have come.
    fn advance(&mut self, key: K, came: usize, after: &mut Ended<K, V, E>) {
        let Some(node) = self.nodes.get_mut(&key) else {
            return;
        };
        let Node::Waiting { missing, .. } = node else {
            return;
        };
        *missing -= came;
        if *missing > 0 {
            return;
        }
        let running = Node::Running {
            thread: None,
            is_killed: false,
        };
        if let Node::Waiting { depends, task, .. } = std::mem::replace(node, running) {
            let value = |key: K| Some((self.outcome(&key)?.ok()?, key));
            let values = depends.into_iter().filter_map(value);
            let values = values.map(|(value, key)| (key, value)).collect();
            after.ready.push(Ready { key, values, task });
        }
    }

    /// Ends a key, and does what follows from that.
    pub(super) fn end(&mut self, key: K, outcome: Outcome<K, V, E>) -> Ended<K, V, E> {
        let mut after = Ended::default();
        self.settle(key, outcome, &mut after);
        after
    }

    fn settle(&mut self, key: K, outcome: Outcome<K, V, E>, after: &mut Ended<K, V, E>) {
        let mut settled = vec![(key, outcome)];
        while let Some((key, outcome)) = settled.pop() {
            let node = Node::Ended(outcome.clone());
            if let Some(Node::Waiting { task, .. }) = self.nodes.insert(key.clone(), node) {
                after.dropped.push(task);
            }
            after.has_ended = true;
            for dependent in self.dependents.remove(&key).unwrap_or_default() {
                match &outcome {
                    Ok(_) => self.advance(dependent, 1, after),
                    Err(error) if self.nodes.get(&dependent).is_some_and(Node::is_waiting) => {
                        let error = error.of(dependent.clone());
                        settled.push((dependent, Err(error)));
                    }
                    Err(_) => (),
                }
            }
            self.ended.push(key);
        }
    }

    /// A task's green thread was started. Whether it should have been killed meanwhile.
    pub(super) fn runs(&mut self, key: &K, started: &Thread) -> bool {
        match self.nodes.get_mut(key) {
            Some(Node::Running { thread, is_killed }) => {
                *thread = Some(started.clone());
                *is_killed
            }
            _ => false,
        }
    }

    /// Ends a task that waits; for one that runs, gives whom to kill, if that is known.
    pub(super) fn kill(&mut self, key: &K, after: &mut Ended<K, V, E>) -> Option<Option<Thread>> {
        match self.nodes.get_mut(key)? {
            Node::Waiting { .. } => {
                let error = PropagateError::new(key.clone(), Cause::Killed);
                self.settle(key.clone(), Err(error), after);
                Some(None)
            }
            Node::Running { thread, is_killed } => {
                *is_killed = true;
                Some(thread.clone())
            }
            Node::Ended(_) => None,
        }
    }
}
