//! Who was started by whom.

use std::collections::HashMap;
use std::fmt;

use crate::green_thread::ThreadId;
use crate::report::{ThreadReport, report};

/// Steps of indentation; whoever stands deeper stands at the last one.
const DEEPEST: usize = 24;

/// Every green thread under the one that started it: see [`tree`].
///
/// ```
/// use green::{debug::tree, thread::{park, spawn}};
///
/// let parked = spawn(park);
/// let id = parked.thread().id().as_u64().to_string();
/// // A line a green thread: "     1 an unnamed one on hub 0: waits for park since 2.0ms".
/// assert!(tree().to_string().contains(&id));
/// parked.thread().unpark();
/// ```
#[derive(Clone, Debug)]
pub struct Tree {
    threads: Vec<ThreadReport>,
}

/// Lists every green thread under the one that started it, with its name and
/// its wait, as gevent's `print_run_info` does.
///
/// One that was started by an OS thread is not indented, and neither is one
/// whose parent has ended; its line says which that was.
///
/// ```
/// use std::time::Duration;
///
/// use green::thread::{Builder, sleep};
///
/// let hour = Duration::from_secs(3600);
/// let parent = Builder::new().name("parent".to_owned()).spawn(move || {
///     let child = Builder::new().name("child".to_owned());
///     child.spawn(move || sleep(hour))?.join().unwrap();
///     std::io::Result::Ok(())
/// })?;
/// let text = loop {
///     let text = green::debug::tree().to_string();
///     if text.contains("child on hub") {
///         break text;
///     }
/// };
/// println!("{text}");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn tree() -> Tree {
    let mut threads = report().threads;
    threads.sort_unstable_by_key(|thread| thread.id.as_u64());
    Tree { threads }
}

impl Tree {
    /// Each green thread with its depth, parents before their children.
    fn walk(&self) -> impl Iterator<Item = (usize, &ThreadReport)> {
        let known = |id: ThreadId| {
            let found = self
                .threads
                .binary_search_by_key(&id.as_u64(), |t| t.id.as_u64());
            found.is_ok()
        };
        let mut children: HashMap<ThreadId, Vec<&ThreadReport>> = HashMap::new();
        let mut next = Vec::new();
        // Taken from the end: the last to be pushed is the first.
        for thread in self.threads.iter().rev() {
            match thread.parent.filter(|parent| known(*parent)) {
                Some(parent) => children.entry(parent).or_default().push(thread),
                None => next.push((0, thread)),
            }
        }
        std::iter::from_fn(move || {
            let (depth, thread) = next.pop()?;
            let below = children.remove(&thread.id).unwrap_or_default();
            next.extend(below.into_iter().map(|child| (depth + 1, child)));
            Some((depth, thread))
        })
    }
}

impl fmt::Display for Tree {
    /// A line a green thread.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.walk().try_for_each(|(depth, thread)| {
            let indent = 2 * depth.min(DEEPEST);
            write!(f, "{:indent$}{thread}", "")?;
            match thread.parent {
                Some(parent) if depth == 0 => {
                    writeln!(f, "; started by {}, which has ended", parent.as_u64())
                }
                Some(parent) if depth > DEEPEST => writeln!(f, "; started by {}", parent.as_u64()),
                _ => writeln!(f),
            }
        })
    }
}
