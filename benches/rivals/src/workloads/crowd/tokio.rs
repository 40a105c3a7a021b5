//! A crowd of tasks that wait for one `Notify`, on tokio's runtime on one thread.

use std::io;
use std::sync::Arc;

use program::Arguments;
use program::crowd::{Crowd, Gate};
use tokio::sync::Notify;
use tokio::task::{self, JoinHandle};

/// Measures from inside a task.
pub fn measure(arguments: &Arguments) -> io::Result<()> {
    let crowd = Crowd::begin(arguments.count)?;
    let runtime = crate::workloads::tokio_runtime(0)?;
    let task = runtime.spawn(measure_inside(crowd, arguments.count));
    runtime.block_on(task).map_err(io::Error::other)?
}

async fn measure_inside(mut crowd: Crowd, count: usize) -> io::Result<()> {
    crowd.comes();
    let shared = Arc::new((Gate::new(count), Notify::new(), Notify::new()));
    let spawn = |_| {
        let shared = Arc::clone(&shared);
        task::spawn(async move {
            let (gate, all_here, open) = &*shared;
            let opened = open.notified();
            if gate.come() {
                all_here.notify_one();
            }
            opened.await;
        })
    };
    let tasks: Vec<_> = (0..count).map(spawn).collect();
    let (_, all_here, open) = &*shared;
    all_here.notified().await;
    crowd.waits()?;
    open.notify_waiters();
    for task in tasks {
        join(task).await;
    }
    crowd.left()?;
    for _ in 0..count {
        join(task::spawn(async {})).await;
    }
    crowd.came_one_by_one()
}

async fn join(task: JoinHandle<()>) {
    task.await.expect("the task panicked");
}
