//! Crates with `unsafe` code whose waits `cargo green patch` has shielded, in a storm: green threads wait in them for each other
//! while others kill them and limits pass. What they hold is checked by its content. Arguments say for how many seconds, and which servers there are.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_utils::sync::{Parker, ShardedLock, WaitGroup};
use green::thread::{self, JoinHandle};
use green::timeout;

static VALUES: AtomicU64 = AtomicU64::new(0);
static KILLS: AtomicU64 = AtomicU64::new(0);
static LIMITS: AtomicU64 = AtomicU64::new(0);

const CROWD: usize = 24;

/// A value that shows if it was written over, or was never written.
#[derive(Debug, PartialEq)]
struct Value([u64; 32]);

impl Value {
    fn new(n: u64) -> Value {
        Value([n; 32])
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn check(&self) {
        assert!(self.0.iter().all(|word| *word == self.0[0]), "{self:?}");
        VALUES.fetch_add(1, Relaxed);
    }
}

fn main() {
    let seconds = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut operations: Vec<(&str, fn(usize))> = vec![
        ("parker", parker),
        ("wait_group", wait_group),
        ("scope", scope),
        ("sharded_lock", sharded_lock),
        ("once_cell", once_cell),
        ("r2d2", r2d2),
        ("lazy_static", lazy_static),
        ("tungstenite", tungstenite),
        ("filetime", filetime),
    ];
    for (name, operation) in [("memcache", memcache as fn(usize)), ("nats", nats)] {
        if port(name).is_some() {
            operations.push((name, operation));
        }
    }
    let each = Duration::from_secs(seconds) / operations.len() as u32;
    for (name, operation) in operations {
        let until = Instant::now() + each;
        let before = VALUES.load(Relaxed);
        while Instant::now() < until {
            round(operation);
        }
        println!("{name} {}", VALUES.load(Relaxed) - before);
    }
    println!(
        "kills {}\nlimits {}",
        KILLS.load(Relaxed),
        LIMITS.load(Relaxed)
    );
}

/// The port of a server, which an argument `name=port` has.
fn port(name: &str) -> Option<u16> {
    let begins = format!("{name}=");
    std::env::args().find_map(|word| word.strip_prefix(&begins)?.parse().ok())
}

/// A crowd does it at once; some are killed in the middle, some have a limit.
fn round(operation: fn(usize)) {
    let crowd: Vec<JoinHandle<()>> = (0..CROWD)
        .map(|n| {
            thread::spawn(move || match n % 3 {
                0 => {
                    let limit = Duration::from_micros(100 * n as u64);
                    if timeout(limit, || operation(n)).is_err() {
                        LIMITS.fetch_add(1, Relaxed);
                    }
                }
                _ => operation(n),
            })
        })
        .collect();
    for (n, one) in crowd.iter().enumerate().filter(|(n, _)| n % 4 == 1) {
        if n % 8 == 1 {
            thread::yield_now();
        }
        let _ = one.kill();
    }
    for one in crowd {
        match one.join() {
            Ok(()) => (),
            Err(payload) if payload.is::<green::Killed>() => drop(KILLS.fetch_add(1, Relaxed)),
            Err(payload) => std::panic::resume_unwind(payload),
        }
    }
}

fn parker(n: usize) {
    let parker = Parker::new();
    let unparker = parker.unparker().clone();
    thread::spawn(move || {
        thread::yield_now();
        unparker.unpark();
    });
    parker.park();
    Value::new(n as u64).check();
}

fn wait_group(n: usize) {
    let group = WaitGroup::new();
    for _ in 0..3 {
        let one = group.clone();
        thread::spawn(move || {
            thread::yield_now();
            drop(one);
        });
    }
    group.wait();
    Value::new(n as u64).check();
}

/// The scope's threads write to this frame.
fn scope(n: usize) {
    let mut values = [Value::new(0), Value::new(1), Value::new(2)];
    crossbeam_utils::thread::scope(|scope| {
        for value in &mut values {
            scope.spawn(move |_| {
                for word in &mut value.0 {
                    *word = n as u64;
                    if *word % 8 == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
    })
    .unwrap();
    values.iter().for_each(Value::check);
}

fn sharded_lock(n: usize) {
    static LOCK: LazyLock<ShardedLock<Value>> = LazyLock::new(|| ShardedLock::new(Value::new(0)));
    if n % 4 == 0 {
        let mut value = LOCK.write().unwrap_or_else(PoisonError::into_inner);
        for at in 0..32 {
            value.0[at] = n as u64;
            if at % 16 == 0 {
                green::shield(thread::yield_now);
            }
        }
    } else {
        let value = LOCK.read().unwrap_or_else(PoisonError::into_inner);
        value.check();
        thread::yield_now();
        value.check();
    }
}

/// Whoever makes the value may be killed meanwhile; then another does.
fn once_cell(n: usize) {
    type Cell = once_cell::sync::OnceCell<Value>;
    static CELL: LazyLock<green::sync::Mutex<Arc<Cell>>> = LazyLock::new(Default::default);
    let cell = CELL.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let make = || {
        thread::sleep(Duration::from_micros(200));
        Value::new(n as u64)
    };
    cell.get_or_init(make).check();
    if n % 8 == 0 {
        *CELL.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }
}

fn r2d2(_: usize) {
    struct Values;
    impl r2d2::ManageConnection for Values {
        type Connection = Value;
        type Error = std::io::Error;

        fn connect(&self) -> Result<Value, std::io::Error> {
            Ok(Value::new(7))
        }

        fn is_valid(&self, value: &mut Value) -> Result<(), std::io::Error> {
            value.check();
            Ok(())
        }

        fn has_broken(&self, _: &mut Value) -> bool {
            false
        }
    }
    static POOL: green::sync::LazyLock<r2d2::Pool<Values>> = green::sync::LazyLock::new(|| {
        green::shield(|| r2d2::Pool::builder().max_size(4).build(Values).unwrap())
    });
    let value = POOL.get().unwrap();
    thread::yield_now();
    value.check();
}

/// Whoever makes the value may not be killed meanwhile, as with std: nobody gets one then. Those who wait for it may.
fn lazy_static(n: usize) {
    type Lazy = lazy_static::lazy::Lazy<Value>;
    static LAZY: LazyLock<green::sync::Mutex<&'static Lazy>> =
        LazyLock::new(|| green::sync::Mutex::new(fresh()));
    // It is made for a whole program.
    fn fresh() -> &'static Lazy {
        Box::leak(Box::new(Lazy::INIT))
    }
    let lazy = *LAZY.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        green::shield(|| thread::sleep(Duration::from_micros(200)));
        Value::new(n as u64)
    };
    lazy.get(make).check();
    if n % 8 == 0 {
        *LAZY.lock().unwrap_or_else(PoisonError::into_inner) = fresh();
    }
}

/// A connection each, to a server that says everything again.
fn tungstenite(n: usize) {
    static SERVER: green::sync::LazyLock<SocketAddr> = green::sync::LazyLock::new(|| {
        let listener = green::shield(|| green::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || {
                    // Its client may be killed at any time.
                    let mut socket = tungstenite::accept(stream.unwrap()).ok()?;
                    while let Ok(message) = socket.read() {
                        socket.send(message).ok()?;
                    }
                    Some(())
                });
            }
        });
        address
    });
    let (mut socket, _) = tungstenite::connect(format!("ws://{}/", *SERVER)).unwrap();
    let value = Value::new(n as u64);
    for _ in 0..3 {
        socket.send(value.bytes().into()).unwrap();
        assert_eq!(socket.read().unwrap().into_data(), value.bytes());
        value.check();
    }
}

/// A file each.
fn filetime(n: usize) {
    static FILES: AtomicU64 = AtomicU64::new(0);
    struct File(std::path::PathBuf);
    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }
    let name = format!(
        "green-{}-{}",
        std::process::id(),
        FILES.fetch_add(1, Relaxed)
    );
    let file = File(std::env::temp_dir().join(name));
    std::fs::write(&file.0, "").unwrap();
    let time = filetime::FileTime::from_unix_time(n as i64, 7);
    filetime::set_file_mtime(&file.0, time).unwrap();
    let metadata = green::fs::metadata(&file.0).unwrap();
    assert_eq!(
        filetime::FileTime::from_last_modification_time(&metadata),
        time
    );
    Value::new(n as u64).check();
}

/// By a pool that is shared: r2d2 inside. Under a shield: whoever is killed in the midst of a request puts its connection back
/// so, and the next would fail on it, or wait for an answer that never comes.
fn memcache(n: usize) {
    static CLIENT: green::sync::LazyLock<memcache::Client> = green::sync::LazyLock::new(|| {
        let url = format!("memcache://127.0.0.1:{}", port("memcache").unwrap());
        green::shield(|| memcache::Client::with_pool_size(url, 4)).unwrap()
    });
    let (key, value) = (format!("key{n}"), Value::new(n as u64));
    let got = green::shield(|| {
        CLIENT.set(&key, &*value.bytes(), 0).unwrap();
        CLIENT.get::<Vec<u8>>(&key).unwrap()
    });
    assert_eq!(got.unwrap(), value.bytes());
    value.check();
    thread::yield_now();
}

/// By one connection that all share, with green threads of its own.
fn nats(n: usize) {
    static CONNECTION: green::sync::LazyLock<nats::Connection> = green::sync::LazyLock::new(|| {
        green::shield(|| nats::connect(format!("127.0.0.1:{}", port("nats").unwrap()))).unwrap()
    });
    static SUBJECTS: AtomicU64 = AtomicU64::new(0);
    let subject = format!("subject.{}", SUBJECTS.fetch_add(1, Relaxed));
    let subscription = CONNECTION.subscribe(&subject).unwrap();
    let value = Value::new(n as u64);
    CONNECTION.publish(&subject, value.bytes()).unwrap();
    assert_eq!(subscription.next().unwrap().data, value.bytes());
    value.check();
}
