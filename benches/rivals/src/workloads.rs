//! What the rivals can run. A workload is a file here for each rival; the
//! blocking-style ones stand in `blocking/`, once for OS threads and green.

mod crowd;
mod echo;
pub mod go;
mod http;
pub mod nginx;
mod switches;
mod tls;

use std::io;

use program::Workload;

/// Every workload of this program. Green's own are in the package `green-program`.
pub const ALL: &[Workload] = &[
    Workload::new("echo-raw", echo::raw_epoll::serve),
    Workload::new("echo-tokio", echo::tokio::serve),
    Workload::new("echo-may", echo::may::serve),
    Workload::new("echo-threads", echo::threads::serve),
    Workload::new("http-hyper", http::hyper::http1),
    Workload::new("http2-hyper", http::hyper::http2),
    Workload::new("http-nginx", nginx::http1),
    Workload::new("http2-nginx", nginx::http2),
    Workload::new("http-threads", http::threads::serve),
    Workload::new("tls-echo-tokio", tls::tokio::echo),
    Workload::new("tls-bulk-tokio", tls::tokio::bulk),
    Workload::new("tls-echo-threads", tls::threads::echo),
    Workload::new("tls-bulk-threads", tls::threads::bulk),
    Workload::new("yield-tokio", switches::tokio::yield_now),
    Workload::new("yield-may", switches::may::yield_now),
    Workload::new("yield-threads", switches::threads::yield_now),
    Workload::new("spawn-tokio", switches::tokio::spawn_join),
    Workload::new("spawn-may", switches::may::spawn_join),
    Workload::new("spawn-threads", switches::threads::spawn_join),
    Workload::new("channel-tokio", switches::tokio::channel_hand_over),
    Workload::new("channel-may", switches::may::channel_hand_over),
    Workload::new("channel-threads", switches::threads::channel_hand_over),
    Workload::new("mutex-tokio", switches::tokio::contended_mutex),
    Workload::new("mutex-may", switches::may::contended_mutex),
    Workload::new("mutex-threads", switches::threads::contended_mutex),
    Workload::new("crowd-tokio", crowd::tokio::measure),
    Workload::new("crowd-may", crowd::may::measure),
    Workload::new("echo-go", go::echo),
    Workload::new("http-go", go::http),
    Workload::new("crowd-go", go::crowd),
];

/// A tokio runtime with so many workers, or on the calling thread alone.
fn tokio_runtime(workers: usize) -> io::Result<tokio::runtime::Runtime> {
    let mut builder = match workers {
        0 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if workers > 0 {
        builder.worker_threads(workers);
    }
    builder.enable_all().build()
}
