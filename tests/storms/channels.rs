//! Channels and select, `mpsc`, queues: each value that was delivered is taken once, and none is kept or doubled.

use green::channel::{self, Select};
use green::queue::{LifoQueue, LightQueue, PriorityQueue, Queue};
use green::sync::mpsc;

use super::*;

/// What became of all values of a round.
#[derive(Default)]
struct Ledger {
    made: AtomicU64,
    delivered: AtomicU64,
    returned: AtomicU64,
    /// Lost to a kill or a limit in a call that did not end.
    unwound: AtomicU64,
    taken: AtomicU64,
    dropped: AtomicU64,
    numbers: std::sync::Mutex<Vec<u64>>,
}

/// A value; who drops it without a word is counted.
struct Value {
    /// Its producer, above 32 bits, and its place among that one's. `END` ends a consumer.
    number: u64,
    ledger: Option<Arc<Ledger>>,
}

const END: u64 = u64::MAX;

impl Value {
    fn new(number: u64, ledger: &Arc<Ledger>) -> Value {
        count(&ledger.made);
        Value {
            number,
            ledger: Some(ledger.clone()),
        }
    }

    fn end() -> Value {
        Value {
            number: END,
            ledger: None,
        }
    }

    fn take(mut self) -> u64 {
        if let Some(ledger) = self.ledger.take() {
            count(&ledger.taken);
            ledger.numbers.lock().unwrap().push(self.number);
        }
        self.number
    }

    fn give_back(mut self) {
        count(&self.ledger.take().expect("an end is not put so").returned);
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            count(&ledger.dropped);
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.number == other.number
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Value) -> std::cmp::Ordering {
        self.number.cmp(&other.number)
    }
}

/// Delivers a value, or gives it back.
type Put = Box<dyn Fn(Value, &mut Random) -> Result<(), Value> + Send>;
/// Takes a value; `None` if none came in time.
type Take = Box<dyn Fn(&mut Random) -> Result<Option<Value>, Ended> + Send>;

/// No value will come any more.
struct Ended;

/// The two sides of something that passes values on.
struct Sides {
    puts: Vec<Put>,
    takes: Vec<Take>,
    /// Has a consumer that still waits end. Only if the last producer's end does not.
    finish: Option<Box<dyn Fn()>>,
    /// What nobody took.
    left: Box<dyn Fn() -> Option<Value>>,
    /// What was put has been dealt with, as far as it is counted.
    is_done: Box<dyn Fn() -> bool>,
    kind: &'static str,
    /// Values of one producer come in its order.
    is_in_order: bool,
}

fn short(random: &mut Random) -> Duration {
    MICROSECOND * random.below(300) as u32
}

fn put_into(sender: channel::Sender<Value>) -> Put {
    Box::new(move |value, random| match random.below(4) {
        0 => sender.try_send(value).map_err(|error| error.into_inner()),
        1 => (sender.send_timeout(value, short(random))).map_err(|error| error.into_inner()),
        _ => sender.send(value).map_err(|error| error.into_inner()),
    })
}

fn take_from(receiver: channel::Receiver<Value>) -> Take {
    Box::new(move |random| match random.below(4) {
        0 => {
            yield_now();
            match receiver.try_recv() {
                Err(channel::TryRecvError::Disconnected) => Err(Ended),
                other => Ok(other.ok()),
            }
        }
        1 => match receiver.recv_timeout(short(random)) {
            Err(channel::RecvTimeoutError::Disconnected) => Err(Ended),
            other => Ok(other.ok()),
        },
        _ => receiver.recv().map(Some).map_err(|_| Ended),
    })
}

fn of_a_channel(random: &mut Random, producers: u64, consumers: u64) -> Sides {
    let (sender, receiver) = match random.below(4) {
        0 => channel::unbounded(),
        1 => channel::bounded(0),
        2 => channel::bounded(1),
        _ => channel::bounded(5),
    };
    Sides {
        puts: (0..producers).map(|_| put_into(sender.clone())).collect(),
        takes: (0..consumers)
            .map(|_| take_from(receiver.clone()))
            .collect(),
        finish: None,
        left: Box::new(move || receiver.try_recv().ok()),
        is_done: Box::new(|| true),
        kind: "channel",
        is_in_order: true,
    }
}

/// Both sides select over two channels.
fn of_select(random: &mut Random, producers: u64, consumers: u64) -> Sides {
    let mut open = || channel::bounded::<Value>([0, 1, 4][random.below(3) as usize]);
    let ((one, from_one), (other, from_other)) = (open(), open());
    let put = |one: channel::Sender<Value>, other: channel::Sender<Value>| -> Put {
        Box::new(move |value, random| {
            let mut select = Select::new();
            let first = select.send(&one);
            select.send(&other);
            let chosen = match random.below(3) {
                0 => select.select_timeout(short(random)).ok(),
                _ => Some(select.select()),
            };
            let Some(chosen) = chosen else {
                return Err(value);
            };
            let to = if chosen.index() == first {
                &one
            } else {
                &other
            };
            chosen.send(to, value).map_err(|error| error.into_inner())
        })
    };
    let take = |mut from: Vec<channel::Receiver<Value>>| -> Take {
        // Ended channels are left out.
        let open = std::sync::Mutex::new(std::mem::take(&mut from));
        Box::new(move |random| {
            let receivers = open.lock().unwrap().clone();
            if receivers.is_empty() {
                return Err(Ended);
            }
            let mut select = Select::new();
            for receiver in &receivers {
                select.recv(receiver);
            }
            let chosen = match random.below(3) {
                0 => select.select_timeout(short(random)).ok(),
                _ => Some(select.select()),
            };
            let Some(chosen) = chosen else {
                return Ok(None);
            };
            let index = chosen.index();
            Ok(match chosen.recv(&receivers[index]) {
                Ok(value) => Some(value),
                Err(_) => {
                    open.lock().unwrap().remove(index);
                    None
                }
            })
        })
    };
    Sides {
        puts: (0..producers)
            .map(|_| put(one.clone(), other.clone()))
            .collect(),
        takes: (0..consumers)
            .map(|_| take(vec![from_one.clone(), from_other.clone()]))
            .collect(),
        finish: None,
        left: Box::new(move || from_one.try_recv().or_else(|_| from_other.try_recv()).ok()),
        is_done: Box::new(|| true),
        kind: "select",
        is_in_order: false,
    }
}

/// One consumer alone: the one that nobody kills.
fn of_mpsc(random: &mut Random, producers: u64) -> Sides {
    let (puts, receiver): (Vec<Put>, _) = match random.below(4) {
        0 => {
            let (sender, receiver) = mpsc::channel::<Value>();
            let put = |sender: mpsc::Sender<Value>| -> Put {
                Box::new(move |value, _| sender.send(value).map_err(|error| error.0))
            };
            (
                (0..producers).map(|_| put(sender.clone())).collect(),
                receiver,
            )
        }
        bound => {
            let (sender, receiver) = mpsc::sync_channel::<Value>(bound as usize - 1);
            let put = |sender: mpsc::SyncSender<Value>| -> Put {
                Box::new(move |value, _| sender.send(value).map_err(|error| error.0))
            };
            (
                (0..producers).map(|_| put(sender.clone())).collect(),
                receiver,
            )
        }
    };
    let take: Take = Box::new(move |random| match random.below(2) {
        0 => match receiver.recv_timeout(short(random)) {
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(Ended),
            other => Ok(other.ok()),
        },
        _ => receiver.recv().map(Some).map_err(|_| Ended),
    });
    Sides {
        puts,
        takes: vec![take],
        finish: None,
        left: Box::new(|| None),
        is_done: Box::new(|| true),
        kind: "mpsc",
        is_in_order: true,
    }
}

macro_rules! of_queue {
    (@done LightQueue, $queue:expr) => {};
    (@done $kind:ident, $queue:expr) => {
        $queue.task_done().unwrap();
    };
    (@join LightQueue, $queue:expr) => {{
        // It does not count.
        drop($queue.clone());
        true
    }};
    (@join $kind:ident, $queue:expr) => {
        $queue.unfinished() == 0 && $queue.join_timeout(SETTLES)
    };
    ($kind:ident, $capacity:expr, $is_in_order:expr, $producers:expr, $consumers:expr) => {{
        let queue = Arc::new($kind::bounded($capacity));
        let put = || -> Put {
            let queue = queue.clone();
            Box::new(move |value, random| match random.below(4) {
                0 => queue.try_put(value).map_err(|full| full.into_inner()),
                1 => (queue.put_timeout(value, short(random))).map_err(|full| full.into_inner()),
                _ => Ok(queue.put(value)),
            })
        };
        let take = || -> Take {
            let queue = queue.clone();
            Box::new(move |random| {
                let item = match random.below(4) {
                    0 => {
                        yield_now();
                        queue.try_get().ok()
                    }
                    1 => queue.get_timeout(short(random)).ok(),
                    _ => Some(queue.get()),
                };
                if item.is_some() {
                    of_queue!(@done $kind, queue);
                }
                Ok(item)
            })
        };
        let (finishes, counts) = (queue.clone(), queue.clone());
        Sides {
            puts: (0..$producers).map(|_| put()).collect(),
            takes: (0..$consumers).map(|_| take()).collect(),
            finish: Some(Box::new(move || drop(finishes.try_put(Value::end())))),
            left: Box::new(move || {
                let item = queue.try_get().ok()?;
                of_queue!(@done $kind, queue);
                Some(item)
            }),
            is_done: Box::new(move || {
                of_queue!(@join $kind, counts)
            }),
            kind: stringify!($kind),
            is_in_order: $is_in_order,
        }
    }};
}

fn sides(random: &mut Random, producers: u64, consumers: u64) -> Sides {
    let capacity = random.below(4) as usize;
    match random.below(9) {
        0..=2 => of_a_channel(random, producers, consumers),
        3 => of_select(random, producers, consumers),
        4 => of_mpsc(random, producers),
        5 => of_queue!(Queue, capacity, true, producers, consumers),
        6 => of_queue!(LightQueue, capacity, true, producers, consumers),
        7 => of_queue!(LifoQueue, capacity, false, producers, consumers),
        _ => of_queue!(PriorityQueue, capacity, false, producers, consumers),
    }
}

fn produce(number: u64, put: Put, ledger: &Arc<Ledger>, mut random: Random) {
    for place in 0..10 + random.below(100) {
        let value = Value::new(number << 32 | place, ledger);
        let mut own = Random::new(random.below(u64::MAX));
        let unwound = finally(|| count(&ledger.unwound));
        let put = limited(&mut random, || {
            let ended = put(value, &mut own);
            unwound.disarm();
            ended
        });
        match put {
            Some(Ok(())) => count(&ledger.delivered),
            Some(Err(value)) => value.give_back(),
            None => {}
        }
        count(&OPERATIONS);
        pause(&mut random);
    }
}

fn consume(kind: &str, take: &Take, is_in_order: bool, mut random: Random) {
    let mut last = std::collections::HashMap::new();
    loop {
        let mut own = Random::new(random.below(u64::MAX));
        let value = match limited(&mut random, || take(&mut own)) {
            Some(Err(Ended)) => break,
            Some(Ok(Some(value))) => value.take(),
            Some(Ok(None)) | None => continue,
        };
        if value == END {
            break;
        }
        let before = last.insert(value >> 32, value);
        assert!(
            !is_in_order || before < Some(value),
            "{kind}: {before:?} before {value}"
        );
        count(&OPERATIONS);
        pause(&mut random);
    }
}

/// One thing that passes values on, between killed producers and killed consumers, and one consumer that lives.
fn pass_on(mut random: Random) {
    let ledger = Arc::new(Ledger::default());
    let (producers, consumers) = (1 + random.below(6), 1 + random.below(5));
    let Sides {
        puts,
        mut takes,
        finish,
        left,
        is_done,
        kind,
        is_in_order,
    } = sides(&mut random, producers, consumers);
    let survivor = takes.pop().expect("one at least");
    let own = Random::new(random.below(u64::MAX));
    let survivor = spawn(move || consume(kind, &survivor, is_in_order, own));
    let (mut putting, mut taking) = (Crew::new(&mut random), Crew::new(&mut random));
    for (number, put) in puts.into_iter().enumerate() {
        let ledger = ledger.clone();
        putting.any(move |random| produce(number as u64, put, &ledger, random));
    }
    for take in takes {
        taking.any(move |random| consume(kind, &take, is_in_order, random));
    }
    let (putting, taking) = (putting.strikes(), taking.strikes());
    putting.join();
    let waits = std::thread::spawn(move || {
        taking.join();
        survivor.join().unwrap();
    });
    while let Some(finish) = &finish
        && !waits.is_finished()
    {
        finish();
        std::thread::yield_now();
    }
    waits.join().unwrap();
    while let Some(value) = left() {
        value.take();
    }
    assert!(is_done(), "{kind}: what was put is not done");
    drop((left, finish, is_done));
    let ledger = Arc::into_inner(ledger).expect("a value was kept");
    let [made, delivered, returned, unwound, taken, dropped] = [
        &ledger.made,
        &ledger.delivered,
        &ledger.returned,
        &ledger.unwound,
        &ledger.taken,
        &ledger.dropped,
    ]
    .map(|count| count.load(SeqCst));
    let counts = format!(
        "{kind}: {made} made, {delivered} delivered, {returned} returned, {unwound} unwound, {taken} taken, {dropped} dropped"
    );
    assert_eq!(made, delivered + returned + unwound, "{counts}");
    assert_eq!((taken, dropped), (delivered, unwound), "{counts}");
    let mut numbers = ledger.numbers.into_inner().unwrap();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len() as u64, taken, "taken twice");
}

/// The last receiver goes while values are in the channel and senders wait: each value is dropped or given back.
fn abandon(mut random: Random) {
    let ledger = Arc::new(Ledger::default());
    let capacity = random.below(5) as usize;
    let (sender, receiver) = channel::bounded::<Value>(capacity);
    let mut crew = Crew::new(&mut random);
    for number in 0..4 {
        let (sender, ledger) = (sender.clone(), ledger.clone());
        crew.any(move |random| produce(number, put_into(sender), &ledger, random));
    }
    drop(sender);
    let strikes = crew.strikes();
    for _ in 0..random.below(20) {
        if let Ok(value) = receiver.recv_timeout(MILLISECOND) {
            value.take();
        }
    }
    count(&CLOSES);
    drop(receiver);
    strikes.join();
    let ledger = Arc::into_inner(ledger).expect("a value was kept");
    let [delivered, unwound, taken, dropped] = [
        &ledger.delivered,
        &ledger.unwound,
        &ledger.taken,
        &ledger.dropped,
    ]
    .map(|count| count.load(SeqCst));
    assert_eq!(taken + dropped, delivered + unwound);
}

pub fn round(random: Random) {
    side_by_side(random, &[abandon, pass_on, pass_on]);
}
