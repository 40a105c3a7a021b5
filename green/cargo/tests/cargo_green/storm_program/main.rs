//! Crates with `unsafe` code whose waits `cargo green patch` has shielded, in a storm: green threads wait in them for each other
//! while others kill them and limits pass. What they hold is checked by its content. An argument says for how many seconds.

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

    fn check(&self) {
        assert!(self.0.iter().all(|word| *word == self.0[0]), "{self:?}");
        VALUES.fetch_add(1, Relaxed);
    }
}

fn main() {
    let seconds = std::env::args().nth(1).map_or(10, |text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    for (name, operation) in [
        ("parker", parker as fn(usize)),
        ("wait_group", wait_group),
        ("scope", scope),
        ("sharded_lock", sharded_lock),
        ("once_cell", once_cell),
        ("r2d2", r2d2),
    ] {
        let until = Instant::now() + (end - Instant::now()).min(Duration::from_secs(seconds) / 6);
        let before = VALUES.load(Relaxed);
        while Instant::now() < until {
            round(operation);
        }
        println!("{name} {}", VALUES.load(Relaxed) - before);
    }
    println!("kills {}\nlimits {}", KILLS.load(Relaxed), LIMITS.load(Relaxed));
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
