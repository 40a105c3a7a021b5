//! The same with tasks, on tokio's runtime on one thread.

use std::future::Future;
use std::io;
use std::sync::Arc;

use program::{Arguments, time_each};
use tokio::sync::{Mutex, mpsc};
use tokio::task;

pub fn yield_now(_: &Arguments) -> io::Result<()> {
    inside(|count| async move {
        let yielder = || async move {
            for _ in 0..count / 2 {
                task::yield_now().await;
            }
        };
        join_all([task::spawn(yielder()), task::spawn(yielder())]).await;
    })
}

pub fn spawn_join(_: &Arguments) -> io::Result<()> {
    inside(|count| async move {
        for _ in 0..count {
            join_all([task::spawn(async {})]).await;
        }
    })
}

pub fn channel_hand_over(_: &Arguments) -> io::Result<()> {
    inside(|count| async move {
        let (there, mut at_echo) = mpsc::unbounded_channel::<u64>();
        let (back, mut at_home) = mpsc::unbounded_channel();
        let echo = task::spawn(async move {
            while let Some(value) = at_echo.recv().await {
                back.send(value).expect("home listens");
            }
        });
        for value in 0..count / 2 {
            there.send(value).expect("the echo listens");
            assert_eq!(at_home.recv().await, Some(value));
        }
        drop(there);
        join_all([echo]).await;
    })
}

pub fn contended_mutex(_: &Arguments) -> io::Result<()> {
    inside(|count| async move {
        let counter = Arc::new(Mutex::new(0));
        let tasks = [(); 4].map(|()| {
            let counter = Arc::clone(&counter);
            task::spawn(async move {
                for _ in 0..count / 4 {
                    let mut guard = counter.lock().await;
                    *guard += 1;
                    task::yield_now().await;
                }
            })
        });
        join_all(tasks).await;
        assert_eq!(*counter.lock().await, count / 4 * 4);
    })
}

async fn join_all<const N: usize>(tasks: [task::JoinHandle<()>; N]) {
    for task in tasks {
        task.await.expect("the task panicked");
    }
}

/// Measures in a task.
fn inside<F>(work: impl Fn(u64) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = crate::workloads::tokio_runtime(0)?;
    let nanoseconds = time_each(|count| {
        let task = runtime.spawn(work(count));
        runtime.block_on(task).expect("the task panicked");
    });
    program::result("time", nanoseconds)
}
