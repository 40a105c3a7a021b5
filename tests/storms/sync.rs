//! Locks, condition variables, barriers, once cells, semaphores, events, park, join and scope.

use green::event::Event;
use green::semaphore::{BoundedSemaphore, CappedSemaphore, Semaphore};
use green::sync::{Barrier, Condvar, Mutex, Once, OnceLock, PoisonError, RwLock};
use green::thread::{park, scope};

use super::*;

const PERMITS: usize = 3;
const PARTIES: usize = 3;
const STEPS: u64 = 60;

/// A semaphore made of a lock and a condition variable.
#[derive(Default)]
struct Turnstile {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Turnstile {
    fn pass(&self) -> impl Drop + '_ {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = (self.freed.wait_while(free, |free| *free == 0))
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        finally(|| {
            *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            self.freed.notify_one();
        })
    }
}

/// A cell that is filled by the first who does not die of it.
#[derive(Default)]
struct Cell {
    cell: OnceLock<u64>,
    running: Inside,
    filled: AtomicU64,
}

struct Deed {
    once: Once,
    running: Inside,
    done: AtomicU64,
}

struct World {
    lock: Mutex<u64>,
    locked: Inside,
    locks: AtomicU64,
    shared: RwLock<u64>,
    readers: Inside,
    writer: Inside,
    permits: Semaphore,
    permitted: Inside,
    bounded: BoundedSemaphore,
    bounded_in: Inside,
    capped: CappedSemaphore,
    capped_in: Inside,
    turnstile: Turnstile,
    turned: Inside,
    barrier: Barrier,
    came: AtomicU64,
    passed: AtomicU64,
    leaders: AtomicU64,
    cells: [Cell; 16],
    deeds: [Deed; 16],
}

impl World {
    fn new() -> World {
        World {
            lock: Mutex::new(0),
            locked: Inside::default(),
            locks: AtomicU64::new(0),
            shared: RwLock::new(0),
            readers: Inside::default(),
            writer: Inside::default(),
            permits: Semaphore::new(PERMITS),
            permitted: Inside::default(),
            bounded: BoundedSemaphore::new(PERMITS),
            bounded_in: Inside::default(),
            capped: CappedSemaphore::new(PERMITS, PERMITS),
            capped_in: Inside::default(),
            turnstile: Turnstile {
                free: Mutex::new(PERMITS),
                freed: Condvar::new(),
            },
            turned: Inside::default(),
            barrier: Barrier::new(PARTIES),
            came: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            leaders: AtomicU64::new(0),
            cells: Default::default(),
            deeds: std::array::from_fn(|_| Deed {
                once: Once::new(),
                running: Inside::default(),
                done: AtomicU64::new(0),
            }),
        }
    }

    fn step(&self, random: &mut Random) {
        match random.below(14) {
            0 | 1 => {
                let mut value = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
                let _inside = self.locked.enter(1);
                *value += 1;
                count(&self.locks);
                pause(random);
            }
            2 => {
                if let Ok(mut value) = self.lock.try_lock() {
                    let _inside = self.locked.enter(1);
                    *value += 1;
                    count(&self.locks);
                    pause(random);
                }
            }
            3 => {
                let value = self.shared.read().unwrap_or_else(PoisonError::into_inner);
                let _inside = self.readers.enter(usize::MAX);
                assert!(self.writer.is_empty(), "a reader beside a writer");
                let seen = *value;
                pause(random);
                assert_eq!(*value, seen, "written beside a reader");
            }
            4 => {
                let mut value = self.shared.write().unwrap_or_else(PoisonError::into_inner);
                let inside = self.writer.enter(1);
                assert!(self.readers.is_empty(), "a writer beside a reader");
                *value += 1;
                pause(random);
                if random.below(2) == 0 {
                    drop(inside);
                    let seen = *value;
                    let value = green::sync::RwLockWriteGuard::downgrade(value);
                    let _inside = self.readers.enter(usize::MAX);
                    pause(random);
                    assert_eq!(*value, seen, "written after a downgrade");
                } else {
                    drop((inside, value));
                }
            }
            5 => {
                let _permit = self.permits.permit();
                let _inside = self.permitted.enter(PERMITS);
                pause(random);
            }
            6 => {
                let limit = MICROSECOND * random.below(300) as u32;
                if let Some(_permit) = self.bounded.permit_timeout(limit) {
                    let _inside = self.bounded_in.enter(PERMITS);
                    pause(random);
                }
            }
            7 => {
                let _permit = self.bounded.permit();
                let _inside = self.bounded_in.enter(PERMITS);
                pause(random);
            }
            8 => {
                let _permit = self.capped.permit();
                let _inside = self.capped_in.enter(PERMITS);
                pause(random);
            }
            9 => {
                let _free = self.turnstile.pass();
                let _inside = self.turned.enter(PERMITS);
                pause(random);
            }
            10 => {
                let limit = MICROSECOND * random.below(500) as u32;
                count(&self.came);
                if let Ok(passed) = green::timeout(limit, || self.barrier.wait()) {
                    count(&self.passed);
                    if passed.is_leader() {
                        count(&self.leaders);
                    }
                }
            }
            11 => self.once(random),
            12 => {
                let mut ends = [0; 3];
                let mut randoms = [0; 3].map(|_| Random::new(random.below(u64::MAX)));
                scope(|scope| {
                    for (end, random) in ends.iter_mut().zip(&mut randoms) {
                        scope.spawn(move || {
                            pause(random);
                            *end = 1;
                        });
                    }
                    pause(random);
                });
                assert_eq!(ends, [1; 3], "scope went on before its threads had ended");
            }
            _ => match random.below(3) {
                0 => ring(random),
                1 => tell(random),
                _ => open(random),
            },
        }
    }

    fn once(&self, random: &mut Random) {
        let Cell {
            cell,
            running,
            filled,
        } = &self.cells[random.below(16) as usize];
        let value = cell.get_or_init(|| {
            let _inside = running.enter(1);
            pause(random);
            filled.fetch_add(1, SeqCst) + 7
        });
        assert_eq!(*value, 7, "filled twice");
        let Deed {
            once,
            running,
            done,
        } = &self.deeds[random.below(16) as usize];
        once.call_once_force(|_| {
            let _inside = running.enter(1);
            pause(random);
            count(done);
        });
        assert_eq!(done.load(SeqCst), 1, "went on before it was done");
    }

    /// Everything is free, nobody waits, and what was counted is there.
    fn is_calm(&mut self) {
        let value = *self.lock.get_mut().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(value, self.locks.load(SeqCst));
        let would_block = |held: &str| panic!("the {held} is held by the dead");
        if let Err(green::sync::TryLockError::WouldBlock) = self.lock.try_lock() {
            would_block("Mutex");
        }
        if let Err(green::sync::TryLockError::WouldBlock) = self.shared.try_write() {
            would_block("RwLock");
        }
        assert_eq!(
            (self.permits.available(), self.permits.waiting()),
            (PERMITS, 0)
        );
        assert_eq!(
            (self.bounded.available(), self.bounded.waiting()),
            (PERMITS, 0)
        );
        let capped = &self.capped;
        assert_eq!(
            (capped.available(), capped.acquiring(), capped.releasing()),
            (PERMITS, 0, 0)
        );
        let free = *self
            .turnstile
            .free
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        assert_eq!(free, PERMITS);
        // Who dies on the way out was there, but has not passed.
        let [came, passed, leaders] =
            [&self.came, &self.passed, &self.leaders].map(|count| count.load(SeqCst));
        let released = PARTIES as u64 * leaders;
        assert!(
            passed <= released && released <= came,
            "{came} {passed} {leaders}"
        );
        for Cell { cell, filled, .. } in &self.cells {
            assert_eq!(u64::from(cell.get().is_some()), filled.load(SeqCst));
        }
        for Deed { once, done, .. } in &self.deeds {
            assert_eq!(u64::from(once.is_completed()), done.load(SeqCst));
        }
    }
}

/// A thread parks until it is rung up, also if who rings dies.
fn ring(random: &mut Random) {
    let rung = Arc::new(AtomicBool::new(false));
    let theirs = rung.clone();
    let parked = spawn(move || {
        while !theirs.load(SeqCst) {
            park();
        }
    });
    let bell = finally(|| {
        rung.store(true, SeqCst);
        parked.thread().unpark();
    });
    pause(random);
    drop(bell);
    parked.join().unwrap();
}

/// Two wait for an event.
fn tell(random: &mut Random) {
    let event = Arc::new(Event::new());
    let waits = [0; 2].map(|_| {
        let event = event.clone();
        spawn(move || assert_eq!(event.wait(), Ok(7)))
    });
    let tells = finally(|| event.send(7).unwrap());
    if let Some(early) = event.wait_timeout(MICROSECOND * random.below(50) as u32) {
        panic!("{early:?} before it was sent");
    }
    pause(random);
    drop(tells);
    for wait in waits {
        wait.join().unwrap();
    }
    assert_eq!(event.waiting(), 0);
}

/// Two wait at a gate that opens for all.
fn open(random: &mut Random) {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let waits = [0; 2].map(|_| {
        let gate = gate.clone();
        spawn(move || {
            let closed = gate.0.lock().unwrap_or_else(PoisonError::into_inner);
            drop(gate.1.wait_while(closed, |open| !*open));
        })
    });
    let opens = finally(|| {
        *gate.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        gate.1.notify_all();
    });
    let limit = MICROSECOND * random.below(50) as u32;
    let closed = gate.0.lock().unwrap_or_else(PoisonError::into_inner);
    let (open, waited) = (gate.1.wait_timeout_while(closed, limit, |open| !*open))
        .unwrap_or_else(PoisonError::into_inner);
    assert!(!*open && waited.timed_out(), "nobody has opened it");
    drop(open);
    pause(random);
    drop(opens);
    for wait in waits {
        wait.join().unwrap();
    }
}

pub fn round(mut random: Random) {
    let world = Arc::new(World::new());
    let mut crew = Crew::new(&mut random);
    for _ in 0..4 + random.below(20) {
        let world = world.clone();
        crew.any(move |mut random| {
            for _ in 0..STEPS {
                let mut own = Random::new(random.below(u64::MAX));
                limited(&mut random, || world.step(&mut own));
                count(&OPERATIONS);
            }
        });
    }
    crew.storm();
    let mut world = Arc::into_inner(world).expect("a thread that has ended keeps nothing");
    world.is_calm();
}
