//! What there is to fetch, what was seen, and the workers that fetch.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use green::http::ureq::{self, Agent};
use green::queue::Queue;
use green::sync::{Mutex, OnceLock};

use crate::links;

/// For one page, from connecting to its last byte.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Crawl {
    agent: Agent,
    /// `http://host:port`.
    origin: String,
    /// Paths to be fetched; `None` sends a worker home.
    frontier: Queue<Option<String>>,
    seen: Mutex<HashSet<String>>,
    pages: usize,
    fetched: AtomicUsize,
    failed: AtomicUsize,
    bytes: AtomicU64,
    first_failure: OnceLock<String>,
}

#[derive(Clone, Copy)]
pub struct Counts {
    pub fetched: usize,
    pub failed: usize,
    pub bytes: u64,
}

impl Crawl {
    pub fn new(origin: String, pages: usize, connections: usize) -> Crawl {
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections)
            .build();
        Crawl {
            agent: green::http::agent(config),
            origin,
            frontier: Queue::new(),
            seen: Mutex::default(),
            pages,
            fetched: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            first_failure: OnceLock::new(),
        }
    }

    /// Has a path fetched, unless it was before or there are enough.
    pub fn add(&self, path: String) {
        let mut seen = self.seen.lock().expect("nothing panics in there");
        if seen.len() < self.pages && seen.insert(path.clone()) {
            self.frontier.put(Some(path));
        }
    }

    /// A worker's life.
    pub fn work(&self) {
        while let Some(path) = self.frontier.get() {
            match self.fetch(&path) {
                Ok(page) => {
                    self.fetched.fetch_add(1, Relaxed);
                    self.bytes.fetch_add(page.len() as u64, Relaxed);
                    let page = String::from_utf8_lossy(&page);
                    links::of(&page, &self.origin, &path).for_each(|link| self.add(link));
                }
                Err(error) => {
                    self.failed.fetch_add(1, Relaxed);
                    let _ = self
                        .first_failure
                        .set(format!("{}{path}: {error}", self.origin));
                }
            }
            self.frontier.task_done().expect("it was put");
        }
    }

    fn fetch(&self, path: &str) -> Result<Vec<u8>, ureq::Error> {
        let mut answer = self.agent.get(format!("{}{path}", self.origin)).call()?;
        answer.body_mut().read_to_vec()
    }

    /// Whether everything has been fetched, after waiting for that no longer than `limit`.
    pub fn is_done_within(&self, limit: Duration) -> bool {
        self.frontier.join_timeout(limit)
    }

    pub fn dismiss(&self, workers: usize) {
        (0..workers).for_each(|_| self.frontier.put(None));
    }

    pub fn counts(&self) -> Counts {
        Counts {
            fetched: self.fetched.load(Relaxed),
            failed: self.failed.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }

    pub fn first_failure(&self) -> Option<&str> {
        self.first_failure.get().map(String::as_str)
    }
}
