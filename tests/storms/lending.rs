//! What is lent and handed over: `pools::Pool`, `tpool::Proxy`, semaphores whose two sides are different threads, and
//! `Event` sent and reset: nothing is lost or used by two at once, and every waiter ends.

use std::collections::HashSet;
use std::sync::Mutex;

use green::event::Event;
use green::pools::Pool;
use green::semaphore::{CappedSemaphore, Semaphore};
use green::tpool::Proxy;

use super::*;

const STEPS: u64 = 40;

/// The most items that a pool has.
const ITEMS: usize = 4;

/// An item of a pool. It is counted as long as it is there.
struct Thing(Arc<AtomicU64>);

impl Thing {
    fn new(things: &Arc<AtomicU64>) -> Thing {
        count(things);
        Thing(things.clone())
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

struct Failed;

/// A pool whose items are made, checked and cleaned up in calls that wait, may fail, and may be cut short anywhere.
fn resources(mut random: Random) {
    let things = Arc::new(AtomicU64::new(0));
    let seeds = Arc::new(AtomicU64::new(random.below(1 << 60)));
    let calls = move || {
        let mut random = Random::new(seeds.fetch_add(2, SeqCst));
        random.below(1 << 32);
        pause(&mut random);
        random.below(6) > 0
    };
    let (makes, cleans, made) = (calls.clone(), calls.clone(), things.clone());
    let size = 1 + random.below(ITEMS as u64) as usize;
    let mut pool = Pool::new(size, move || match makes() {
        true => Ok(Thing::new(&made)),
        false => Err(Failed),
    });
    if random.below(2) == 0 {
        pool = pool.check(move |_: &mut Thing| calls());
    }
    if random.below(2) == 0 {
        pool = pool.cleanup(MILLISECOND, move |_| cleans());
    }
    if random.below(2) == 0 {
        pool = pool.as_stack();
    }
    if random.below(4) == 0 {
        pool = pool.max_idle(300 * MICROSECOND).max_age(2 * MILLISECOND);
    }
    let is_resized = random.below(3) == 0;
    let most = if is_resized { ITEMS } else { size };
    let shared = Arc::new((pool, Inside::default()));
    let mut crew = Crew::new(&mut random);
    for _ in 0..2 + random.below(8) {
        let (shared, things) = (shared.clone(), things.clone());
        crew.any(move |mut random| {
            let (pool, inside) = &*shared;
            for _ in 0..STEPS {
                let mut own = Random::new(random.below(u64::MAX));
                limited(&mut random, || {
                    let limit = MICROSECOND * own.below(300) as u32;
                    let item = match own.below(8) {
                        0 => pool.try_get(),
                        1 | 2 => pool.get_timeout(limit),
                        3 => pool.fill(own.below(ITEMS as u64) as usize).map(|()| None),
                        4 if is_resized => {
                            pool.resize(1 + own.below(ITEMS as u64) as usize);
                            Ok(None)
                        }
                        5 => {
                            let _ = pool.put(Thing::new(&things));
                            Ok(None)
                        }
                        _ => pool.get().map(Some),
                    };
                    if let Ok(Some(item)) = item {
                        let inside = inside.enter(most);
                        pause(&mut own);
                        drop(inside);
                        match own.below(4) {
                            0 => item.discard(),
                            1 => {
                                let _ = pool.put(item.detach());
                            }
                            _ => drop(item),
                        }
                    }
                });
                let there = pool.size();
                assert!(there <= most, "{there} items in a pool of {most}");
                count(&OPERATIONS);
            }
        });
    }
    crew.storm();
    let (pool, _) = Arc::into_inner(shared).expect("whoever has ended keeps nothing");
    pool.resize(size);
    assert_eq!(
        (pool.free(), pool.waiting()),
        (size, 0),
        "places were lost: {pool:?}"
    );
    assert_eq!(
        pool.size() as u64,
        things.load(SeqCst),
        "not all items are counted: {pool:?}"
    );
    drop(pool);
    assert_eq!(things.load(SeqCst), 0, "an item was kept");
}

/// Calls on one value run one at a time, and each that began is done.
fn proxy(mut random: Random) {
    let proxy = Proxy::new(0_u64);
    let called = Arc::new((Inside::default(), AtomicU64::new(0)));
    let mut crew = Crew::new(&mut random);
    for _ in 0..1 + random.below(5) {
        let (proxy, called) = (proxy.clone(), called.clone());
        crew.any(move |mut random| {
            for _ in 0..STEPS / 2 {
                let called = called.clone();
                let nap = MICROSECOND * random.below(100) as u32;
                limited(&mut random, || {
                    proxy.call(move |value| {
                        let _inside = called.0.enter(1);
                        std::thread::sleep(nap);
                        *value += 1;
                        count(&called.1);
                    });
                });
                count(&OPERATIONS);
            }
        });
    }
    crew.storm();
    let value = proxy
        .call_timeout(SETTLES, |value| *value)
        .expect("nobody has it");
    assert_eq!(value, called.1.load(SeqCst));
}

/// What has been put into a semaphore, and what has been taken out.
#[derive(Default)]
struct Account {
    paid_in: AtomicU64,
    taken: AtomicU64,
}

impl Account {
    fn pay(&self, permits: usize) {
        self.paid_in.fetch_add(permits as u64, SeqCst);
    }

    /// `taken` says whether a permit was: no wait comes between that and the count.
    fn take(&self, taken: bool) {
        self.taken.fetch_add(u64::from(taken), SeqCst);
    }

    fn balance(&self) -> i64 {
        self.paid_in.load(SeqCst) as i64 - self.taken.load(SeqCst) as i64
    }
}

/// Who pays in is never who takes out.
fn permits(mut random: Random) {
    let shared = Arc::new((Semaphore::new(0), Account::default()));
    let (mut paying, mut taking) = (Crew::new(&mut random), Crew::new(&mut random));
    for _ in 0..1 + random.below(4) {
        let shared = shared.clone();
        paying.any(move |mut random| {
            let (permits, account) = &*shared;
            for _ in 0..STEPS {
                let more = random.below(3) as usize;
                account.pay(more);
                match more {
                    1 => permits.release(),
                    more => permits.add_permits(more),
                }
                count(&OPERATIONS);
                pause(&mut random);
            }
        });
    }
    for _ in 0..1 + random.below(5) {
        let shared = shared.clone();
        taking.any(move |mut random| {
            let (permits, account) = &*shared;
            for _ in 0..STEPS {
                let mut own = Random::new(random.below(u64::MAX));
                limited(&mut random, || match own.below(5) {
                    0 => account.take(permits.try_acquire()),
                    1 => {
                        let limit = MICROSECOND * own.below(300) as u32;
                        account.take(permits.acquire_timeout(limit));
                    }
                    2 => {
                        // What is missing is owed.
                        permits.remove_permits(1);
                        account.take(true);
                    }
                    _ => account.take(permits.acquire(green::Deadline::NEVER)),
                });
                count(&OPERATIONS);
                pause(&mut own);
            }
        });
    }
    let (paying, taking) = (paying.strikes(), taking.strikes());
    paying.join();
    let (permits, account) = &*shared;
    let waits = std::thread::spawn(move || taking.join());
    while !waits.is_finished() {
        account.pay(1);
        permits.release();
        std::thread::yield_now();
    }
    waits.join().unwrap();
    // What is still owed.
    while account.balance() < 0 {
        account.pay(1);
        permits.release();
    }
    assert_eq!(
        (permits.available() as i64, permits.waiting()),
        (account.balance(), 0)
    );
}

/// Both sides wait: for a permit, and for room for one.
fn capped(mut random: Random) {
    let cap = 1 + random.below(3) as usize;
    let shared = Arc::new((CappedSemaphore::new(0, cap), Account::default()));
    let mut crew = Crew::new(&mut random);
    for _ in 0..2 + random.below(8) {
        let shared = shared.clone();
        crew.any(move |mut random| {
            let (permits, account) = &*shared;
            for _ in 0..STEPS {
                let mut own = Random::new(random.below(u64::MAX));
                limited(&mut random, || {
                    let limit = MICROSECOND * own.below(300) as u32;
                    let put = |put: bool| account.pay(usize::from(put));
                    match own.below(8) {
                        0 => account.take(permits.try_acquire()),
                        1 => account.take(permits.acquire_timeout(limit)),
                        2 | 3 => {
                            permits.acquire();
                            account.take(true);
                        }
                        4 => put(permits.try_release()),
                        5 => put(permits.release_timeout(limit)),
                        _ => {
                            permits.release();
                            put(true);
                        }
                    }
                });
                count(&OPERATIONS);
                pause(&mut own);
            }
        });
    }
    let strikes = crew.strikes();
    let waits = std::thread::spawn(move || strikes.join());
    let (permits, account) = &*shared;
    // Those who wait at the end all wait for the same.
    while !waits.is_finished() {
        account.take(permits.try_acquire());
        std::thread::yield_now();
        account.pay(usize::from(permits.try_release()));
        std::thread::yield_now();
    }
    waits.join().unwrap();
    let counts = (
        permits.available() as i64,
        permits.acquiring(),
        permits.releasing(),
    );
    assert_eq!(counts, (account.balance(), 0, 0));
}

/// The last that is sent.
const END: u64 = u64::MAX;

/// Who waits gets what somebody sent, and nobody waits for ever.
fn event(mut random: Random) {
    struct World {
        event: Event<u64, u64>,
        sent: Mutex<HashSet<u64>>,
        told: Mutex<HashSet<u64>>,
    }
    let world = Arc::new(World {
        event: Event::fallible(),
        sent: Default::default(),
        told: Default::default(),
    });
    let (mut sending, mut waiting) = (Crew::new(&mut random), Crew::new(&mut random));
    for sender in 0..1 + random.below(3) {
        let world = world.clone();
        sending.any(move |mut random| {
            for place in 0..STEPS {
                let value = sender << 32 | place << 1 | random.below(2);
                // Odd ones are errors.
                let sent = match value % 2 {
                    0 => world.event.send(value),
                    _ => world.event.send_error(value),
                };
                match sent {
                    Ok(()) => assert!(world.sent.lock().unwrap().insert(value)),
                    Err(unsent) => assert_eq!(unsent, value),
                }
                pause(&mut random);
                let _ = world.event.reset();
                count(&OPERATIONS);
            }
        });
    }
    for _ in 0..1 + random.below(6) {
        let world = world.clone();
        waiting.any(move |mut random| {
            loop {
                let mut own = Random::new(random.below(u64::MAX));
                let told = limited(&mut random, || match own.below(4) {
                    0 => world.event.poll(),
                    1 => {
                        let limit = MICROSECOND * own.below(300) as u32;
                        world.event.wait_timeout(limit)
                    }
                    _ => Some(world.event.wait()),
                });
                count(&OPERATIONS);
                let value = match told.flatten() {
                    Some(Ok(END)) => break,
                    Some(Ok(value)) if value % 2 == 0 => value,
                    Some(Err(value)) if value % 2 == 1 => value,
                    Some(other) => panic!("{other:?} was never sent"),
                    None => continue,
                };
                world.told.lock().unwrap().insert(value);
                yield_now();
            }
        });
    }
    let (sending, waiting) = (sending.strikes(), waiting.strikes());
    sending.join();
    while world.event.send(END).is_err() {
        let _ = world.event.reset();
    }
    waiting.join();
    assert_eq!(
        (world.event.waiting(), world.event.poll()),
        (0, Some(Ok(END)))
    );
    let (sent, told) = (world.sent.lock().unwrap(), world.told.lock().unwrap());
    assert!(
        told.is_subset(&sent),
        "never sent: {:?}",
        told.difference(&sent)
    );
}

pub fn round(random: Random) {
    side_by_side(
        random,
        &[resources, resources, proxy, permits, capped, event],
    );
}
