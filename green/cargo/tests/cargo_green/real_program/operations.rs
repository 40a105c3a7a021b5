//! Twenty green threads on one hub each do one operation of a crate that was never written for them, while a neighbour sleeps 10 ms
//! at a time. Each answer comes 400 ms late, so a hub that is held shows. Then twenty more, of which every second one is killed while it
//! waits. A line a crate: name, right answers, milliseconds, the neighbour's longest sleep in milliseconds, but for the time that the
//! hub waited for a processor, right answers of those that were not killed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const LATE: Duration = Duration::from_millis(400);

fn main() {
    let http = http_server();
    trial("minreq", move |n| {
        let answer = minreq::get(format!("http://localhost:{}/{n}", http.port()))
            .send()
            .unwrap();
        answer.as_str().unwrap() == format!("/{n}")
    });
    trial("ureq", move |n| {
        let answer = ureq::get(&format!("http://localhost:{}/{n}", http.port()))
            .call()
            .unwrap();
        answer.into_string().unwrap() == format!("/{n}")
    });
    let pool = threadpool::ThreadPool::new(20);
    trial("threadpool", move |n| {
        let (send, receive) = green::sync::mpsc::channel();
        pool.execute(move || {
            green::thread::sleep(LATE);
            // Who asked may have been killed.
            let _ = send.send(n);
        });
        receive.recv().unwrap() == n
    });
    lazy_static::lazy_static! {
        static ref LATE_VALUE: usize = { green::thread::sleep(LATE); 7 };
    }
    trial("lazy_static", |_| *LATE_VALUE == 7);
    let pool = green::run(|| r2d2::Pool::builder().max_size(10).build(Numbers).unwrap());
    trial("r2d2", move |_| {
        let number = pool.get().unwrap();
        green::thread::sleep(LATE);
        *number == 7
    });
    if let Some(proxy) = late_proxy("redis") {
        let client = redis::Client::open(format!("redis://{proxy}")).unwrap();
        trial("redis", move |n| {
            let mut connection = client.get_connection().unwrap();
            let key = format!("key {n}");
            let () = redis::cmd("SET")
                .arg(&key)
                .arg(n)
                .query(&mut connection)
                .unwrap();
            redis::cmd("GET")
                .arg(&key)
                .query::<usize>(&mut connection)
                .unwrap()
                == n
        });
    }
    if let Some(proxy) = late_proxy("memcache") {
        // With r2d2 and scheduled-thread-pool inside.
        let connect = move || memcache::Client::with_pool_size(format!("memcache://{proxy}"), 5);
        let client = green::run(connect).unwrap();
        trial("memcache", move |n| {
            let key = format!("key{n}");
            // One that is cut in the midst of a request would go back to the pool so.
            green::shield(|| {
                client.set(&key, n as u64, 0).unwrap();
                client.get::<u64>(&key).unwrap() == Some(n as u64)
            })
        });
    }
    if let Some(proxy) = late_proxy("nats") {
        trial("nats", move |n| {
            let connection = nats::connect(proxy.to_string()).unwrap();
            let subject = format!("subject.{n}");
            let subscription = connection.subscribe(&subject).unwrap();
            connection.publish(&subject, n.to_string()).unwrap();
            let message = subscription.next().unwrap();
            message.data == n.to_string().as_bytes()
        });
    }
}

/// What r2d2 keeps in its pool.
struct Numbers;

impl r2d2::ManageConnection for Numbers {
    type Connection = u8;
    type Error = std::io::Error;

    fn connect(&self) -> Result<u8, std::io::Error> {
        green::thread::sleep(LATE);
        Ok(7)
    }

    fn is_valid(&self, _number: &mut u8) -> Result<(), std::io::Error> {
        Ok(())
    }

    fn has_broken(&self, _number: &mut u8) -> bool {
        false
    }
}

fn trial(name: &str, operation: impl Fn(usize) -> bool + Send + Sync + 'static) {
    let stop = Arc::new(AtomicBool::new(false));
    let longest = Arc::new(AtomicU64::new(0));
    let neighbour = {
        let (stop, longest) = (stop.clone(), longest.clone());
        green::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let (start, queued) = (Instant::now(), queued());
                green::thread::sleep(Duration::from_millis(10));
                let took = start.elapsed().saturating_sub(self::queued() - queued);
                longest.fetch_max(took.as_millis() as u64, Ordering::Relaxed);
            }
        })
    };
    let start = Instant::now();
    let operation = Arc::new(operation);
    let twenty = || -> Vec<_> {
        let operations = (0..20).map(|n| (n, operation.clone()));
        operations
            .map(|(n, operation)| green::thread::spawn(move || operation(n)))
            .collect()
    };
    let right = |threads: Vec<green::thread::JoinHandle<bool>>| {
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.filter(|right| *right).count()
    };
    let all = right(twenty());
    let took = start.elapsed().as_millis();
    stop.store(true, Ordering::Relaxed);
    neighbour.join().unwrap();

    let threads = twenty();
    green::thread::sleep(LATE / 4);
    let (mut spared, mut killed) = (Vec::new(), Vec::new());
    for (n, thread) in threads.into_iter().enumerate() {
        if n % 2 == 0 {
            spared.push(thread);
        } else {
            thread.kill().unwrap();
            killed.push(thread);
        }
    }
    let spared = right(spared);
    for thread in killed {
        // It may have been over before.
        let _ = thread.join();
    }
    let longest = longest.load(Ordering::Relaxed);
    println!("{name} {all} {took} {longest} {spared}");
}

/// How long this OS thread, which is the hub's, has waited for a processor that others had: no fault of the crate's. The kernel
/// counts it, in nanoseconds; zero where it does not.
fn queued() -> Duration {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let count = counts.split(' ').nth(1).and_then(|count| count.parse().ok());
    Duration::from_nanos(count.unwrap_or(0))
}

/// Answers with the path that was asked for, on OS threads.
fn http_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                let request = String::from_utf8(request).unwrap();
                let path = request.split(' ').nth(1).unwrap();
                thread::sleep(LATE);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    path.len()
                );
                stream.write_all((head + path).as_bytes()).unwrap();
            });
        }
    });
    address
}

/// Hands on at once what a client says and late what the server answers, on OS threads. The server's port is in an argument,
/// `name=port`; `None` without.
fn late_proxy(name: &str) -> Option<SocketAddr> {
    let begins = format!("{name}=");
    let port = std::env::args().find_map(|word| word.strip_prefix(&begins)?.parse().ok())?;
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(server).unwrap();
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || hand_on(from, to, Duration::ZERO));
            thread::spawn(move || hand_on(server, client, LATE));
        }
    });
    Some(address)
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, late: Duration) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        thread::sleep(late);
        if to.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}
