//! Two hundred clients of one hub against a server that takes its time: they wait side by side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use green::thread::{self, Builder};

/// How long the servers take to answer.
pub const ANSWER: Duration = Duration::from_millis(50);
/// How many ask at once.
pub const CROWD: usize = 200;
/// What all of them together take at most on a machine with nothing else to do, as a multiple of what one takes alone.
const WANTED: f64 = 1.5;
/// What shows that they wait side by side on a machine that is busy as well: in turn it would be two hundred.
const MOST: f64 = 20.0;
/// On a busy machine a comparison may be disturbed; then there is another,
const ATTEMPTS: usize = 20;
/// but not for longer than this if what has been seen will do.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens two hundred connections with `open` and has all of them `ask` at once:
/// that takes about as long as one asking alone.
///
/// To be called in a process of its own, since hub 0 should have nothing else to
/// do. Opening is not measured: a handshake is work, and not waiting.
pub fn asks_as_fast_as_one<C, Open, Ask>(open: Open, ask: Ask)
where
    C: Send + 'static,
    Open: Fn() -> C + Send + Sync + 'static,
    Ask: Fn(&mut C) + Send + Sync + 'static,
{
    let open = Arc::new(open);
    let ask = Arc::new(ask);
    let opening: Vec<_> = (0..CROWD)
        .map(|_| {
            let open = open.clone();
            on_hub_0(move || open())
        })
        .collect();
    let mut clients: Vec<C> = opening.into_iter().map(join).collect();
    let mut best = f64::INFINITY;
    let begun = Instant::now();
    for _ in 0..ATTEMPTS {
        let mut rest = clients.split_off(1);
        let alone;
        (clients, alone) = all_ask(clients, &ask);
        assert!(
            alone >= ANSWER,
            "the server is to take {ANSWER:?}, not {alone:?}"
        );
        clients.append(&mut rest);
        let together;
        (clients, together) = all_ask(clients, &ask);
        let ratio = together.as_secs_f64() / alone.as_secs_f64();
        best = best.min(ratio);
        if best <= WANTED || best <= MOST && begun.elapsed() > PATIENCE {
            break;
        }
    }
    println!("{CROWD} took {best:.2} times as long as one");
    assert!(best <= MOST, "{CROWD} took {best:.2} times as long as one");
}

fn all_ask<C: Send + 'static>(
    clients: Vec<C>,
    ask: &Arc<impl Fn(&mut C) + Send + Sync + 'static>,
) -> (Vec<C>, Duration) {
    let begun = Instant::now();
    let asking: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let ask = ask.clone();
            on_hub_0(move || {
                ask(&mut client);
                client
            })
        })
        .collect();
    let clients = asking.into_iter().map(join).collect();
    (clients, begun.elapsed())
}

fn on_hub_0<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    Builder::new().hub(0).spawn(f).unwrap()
}

fn join<T>(handle: thread::JoinHandle<T>) -> T {
    handle.join().expect("a client that ends well")
}

/// Serves on a free port, each connection on a green thread of the last hub.
pub fn serve(
    serve_one: impl Fn(green::net::TcpStream) + Send + Sync + 'static,
) -> std::net::SocketAddr {
    let listener = green::listen("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let hub = green::hub_count().unwrap() - 1;
    let serve_one = Arc::new(serve_one);
    let accepting = move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let serve_one = serve_one.clone();
            let _detached = Builder::new()
                .hub(hub)
                .spawn(move || serve_one(stream))
                .unwrap();
        }
    };
    let _detached = Builder::new().hub(hub).spawn(accepting).unwrap();
    address
}
