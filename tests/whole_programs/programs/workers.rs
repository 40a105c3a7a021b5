//! Work handed to threads by a queue, and the results back by a channel.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Barrier, Condvar, Mutex, OnceLock, RwLock};
use std::{iter, mem, thread, time::Duration};

#[derive(Default)]
struct Queue {
    jobs: Mutex<(VecDeque<NonZeroU32>, bool)>,
    changed: Condvar,
}

impl Queue {
    fn take(&self) -> Option<NonZeroU32> {
        let mut jobs = self.changed.wait_while(self.jobs.lock().unwrap(), |(jobs, closed)| jobs.is_empty() && !*closed).unwrap();
        jobs.0.pop_front()
    }
}

fn main() {
    static FACTOR: OnceLock<u64> = OnceLock::new();
    let queue = Arc::new(Queue::default());
    let (sender, results) = mpsc::channel();
    let done = Arc::new(AtomicU64::new(0));
    let all_here = Arc::new(Barrier::new(4));
    let names = Arc::new(RwLock::new(Vec::new()));
    let workers: Vec<_> = (0..4)
        .map(|n| {
            let (queue, sender, done, all_here, names) = (queue.clone(), sender.clone(), done.clone(), all_here.clone(), names.clone());
            thread::Builder::new()
                .name(std::format!("worker {n}"))
                .spawn(move || {
                    names.write().unwrap().push(thread::current().name().map(str::to_owned));
                    all_here.wait();
                    for job in iter::from_fn(|| queue.take()) {
                        let factor = FACTOR.get_or_init(|| 3);
                        sender.send(u64::from(job.get()) * factor).unwrap();
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                })
                .unwrap()
        })
        .collect();
    for job in (1..=100).filter_map(NonZeroU32::new) {
        queue.jobs.lock().unwrap().0.push_back(job);
        queue.changed.notify_one();
    }
    queue.jobs.lock().unwrap().1 = true;
    queue.changed.notify_all();
    mem::drop(sender);
    std::println!("sum {}", results.iter().sum::<u64>());
    assert_eq!(results.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Disconnected));
    for worker in workers {
        worker.join().unwrap();
    }
    let mut names = names.read().unwrap().clone();
    names.sort();
    std::println!("{} by {names:?}", done.load(Ordering::Relaxed));
}
