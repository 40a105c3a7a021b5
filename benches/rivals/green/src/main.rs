//! The measured program on green: the sources in `blocking/`, with `green`
//! where the rivals' program has `std`.

use std::io;

use green::{net, sync, thread};
use program::Workload;

mod crowd;
#[path = "../../blocking/echo.rs"]
mod echo;
#[path = "../../blocking/hand_over.rs"]
mod hand_over;
#[path = "../../blocking/http.rs"]
mod http;
mod http_async;
mod http_server;
#[path = "../../blocking/switches.rs"]
mod switches;
mod tls;

const WORKLOADS: &[Workload] = &[
    Workload::new("echo", echo::serve),
    Workload::new("http", http::serve),
    Workload::new("http-server", http_server::serve),
    Workload::new("http-async", http_async::http1),
    Workload::new("http2-async", http_async::http2),
    Workload::new("tls-echo", tls::echo),
    Workload::new("tls-bulk", tls::bulk),
    Workload::new("yield", switches::yield_now),
    Workload::new("spawn", switches::spawn_join),
    Workload::new("channel", hand_over::channel_hand_over),
    Workload::new("mutex", hand_over::contended_mutex),
    Workload::new("crowd", crowd::measure),
];

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_deref().and_then(|role| role.to_str()) {
        Some("run") => program::run(WORKLOADS, arguments),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "usage: green-program run WORKLOAD",
        )),
    }
}
