//! When a server's place for a connection is free again.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use green::convenience::{Accept, Counters, Server};
use green::greenio::GreenSocket;
use green::hub_count;
use green::metrics::{Metrics, prometheus};
use green::net::{SocketAddr, TcpListener, TcpStream};
use green::thread::{self, Builder};
use test_support::bounded;

/// Where a connection finds what its server counts.
type Counting = Arc<Mutex<Option<Counters>>>;

/// Kills both its connections before it waits for a third. Its own hub is the first; the others are held until then,
/// so that the connections have their first turn on none of them.
struct Watching {
    listener: TcpListener,
    others: Held,
    accepted: AtomicUsize,
    counters: Counting,
    counted: mpsc::Sender<String>,
}

/// Keeps hubs busy, until it is let go of.
#[derive(Default)]
struct Held {
    begun: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Held {
    /// All but the first, from now on.
    fn hold(&self) {
        let others = 1..hub_count().unwrap();
        for hub in others.clone() {
            let (begun, over) = (self.begun.clone(), self.over.clone());
            let busy = move || {
                begun.fetch_add(1, SeqCst);
                while !over.load(SeqCst) {
                    std::thread::yield_now();
                }
            };
            Builder::new().hub(hub).spawn(busy).unwrap();
        }
        while self.begun.load(SeqCst) < others.len() {
            std::thread::yield_now();
        }
    }

    fn let_go(&self) {
        self.over.store(true, SeqCst);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Tells at its end how many connections the server counts.
struct Watched {
    _stream: TcpStream,
    counters: Counting,
    counted: mpsc::Sender<String>,
}

impl AsRef<GreenSocket> for Watching {
    fn as_ref(&self) -> &GreenSocket {
        self.listener.as_green_socket()
    }
}

impl Accept for Watching {
    type Stream = Watched;
    type Address = SocketAddr;

    fn accept(&self) -> io::Result<(Watched, SocketAddr)> {
        let accepted = self.accepted.fetch_add(1, SeqCst);
        if accepted == 0 {
            self.others.hold();
        }
        if accepted == 2 {
            let me = thread::current().id();
            let threads = green::report().threads;
            for thread in threads.iter().filter(|thread| thread.parent == Some(me)) {
                green::debug::kill(thread.id.as_u64().get()).unwrap();
            }
            self.others.let_go();
        }
        let (stream, address) = self.listener.accept()?;
        let watched = Watched {
            _stream: stream,
            counters: self.counters.clone(),
            counted: self.counted.clone(),
        };
        Ok((watched, address))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let counters = self.counters.lock().unwrap().clone().unwrap();
        let text = prometheus([("", &counters as &dyn Metrics)]);
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix("green_server_connections "));
        let _ = self.counted.send(line.unwrap().to_owned());
    }
}

/// Whether both were killed before their first turn.
fn both_are_counted_until_they_are_closed() -> bool {
    let listener = green::listen("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (counted, counts) = mpsc::channel();
    let counters = Counting::default();
    let server = Server::new(Watching {
        listener,
        others: Held::default(),
        accepted: AtomicUsize::new(0),
        counters: counters.clone(),
        counted,
    });
    *counters.lock().unwrap() = Some(server.counters());
    let stop = server.stop_handle();
    // Both wait to be accepted when the server begins.
    let _clients = [green::connect(address), green::connect(address)];
    let begun = Arc::new(AtomicUsize::new(0));
    let serve = {
        let begun = begun.clone();
        move || {
            server.run(move |_stream: Watched, _| {
                begun.fetch_add(1, SeqCst);
                thread::park();
            })
        }
    };
    let served = Builder::new().hub(0).spawn(serve).unwrap();
    assert_eq!(counts.recv().unwrap(), "2", "it was counted no more");
    counts.recv().unwrap();
    stop.stop();
    served.join().unwrap().unwrap();
    begun.load(SeqCst) == 0
}

#[test]
fn a_connection_that_is_killed_before_its_first_turn_is_closed_before_its_place_is_free() {
    bounded(
        "a connection that is killed",
        Duration::from_secs(120),
        || {
            // Connections go to the hub with the fewest green threads, which is not to be the server's.
            let park = || Builder::new().hub(0).spawn(thread::park).unwrap();
            let parked: Vec<_> = (0..500).map(|_| park()).collect();
            let until = Instant::now() + Duration::from_secs(90);
            while !both_are_counted_until_they_are_closed() {
                assert!(
                    Instant::now() < until,
                    "in no round both were killed before their first turn"
                );
            }
            for thread in parked {
                thread.thread().unpark();
                thread.join().unwrap();
            }
        },
    );
}
