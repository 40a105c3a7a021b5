//! `GreenPool` with its piles and `imap`, `Group`, `DagPool`: no task is lost, no result comes twice, no place stays
//! taken, and whoever is killed is waited for.

use std::collections::VecDeque;

use green::pool::{GreenPool, Group};
use green::thread::{Thread, park};

use super::*;
use dag::dag;

mod dag;

const STEPS: u64 = 40;

/// What became of the tasks of a part.
#[derive(Default)]
struct Tasks {
    made: AtomicU64,
    ran: AtomicU64,
    /// Dropped, after they ran or instead.
    gone: AtomicU64,
}

/// What a task captures.
struct Token {
    number: u64,
    tasks: Arc<Tasks>,
}

impl Token {
    fn new(tasks: &Arc<Tasks>) -> Token {
        Token {
            number: tasks.made.fetch_add(1, SeqCst),
            tasks: tasks.clone(),
        }
    }

    /// The task has begun.
    fn runs(&self) -> u64 {
        count(&self.tasks.ran);
        self.number
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        count(&self.tasks.gone);
    }
}

/// What a task gave, if nobody killed it.
fn outcome<T>(ended: std::thread::Result<T>) -> Option<T> {
    match ended {
        Ok(value) => Some(value),
        Err(payload) if green::Killed::caused(&*payload) => {
            count(&KILLS);
            None
        }
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// The most places that a pool has.
const PLACES: usize = 4;

/// A pool, and who is in it.
struct Place {
    pool: GreenPool,
    inside: Inside,
    tasks: Arc<Tasks>,
    /// Tasks that were not started, because there was no place, or whoever spawned them died.
    unstarted: AtomicU64,
    /// Whether tasks are killed.
    is_deadly: bool,
    strikes: AtomicU64,
    started: std::sync::Mutex<Vec<Thread>>,
}

impl Place {
    /// A task that returns its number.
    fn task(
        self: &Arc<Place>,
        random: &mut Random,
    ) -> (u64, impl FnOnce() -> u64 + Send + 'static + use<>) {
        let token = Token::new(&self.tasks);
        let (place, mut random) = (self.clone(), Random::new(random.below(u64::MAX)));
        let number = token.number;
        let task = move || {
            token.runs();
            {
                let _inside = place.inside.enter(PLACES);
                pause(&mut random);
            }
            // It lends its place, if there is no other.
            if random.below(4) == 0 {
                let (inner, task) = place.task(&mut random);
                let ends = place.pool.spawn(task);
                if random.below(2) == 0 {
                    assert_eq!(ends.join().unwrap(), inner);
                }
                let _inside = place.inside.enter(PLACES);
                pause(&mut random);
            }
            number
        };
        (number, task)
    }

    /// Starts a task in one of the ways that there are, perhaps kills it, and perhaps hears of its end.
    fn step(self: &Arc<Place>, random: &mut Random) {
        if random.below(6) == 0 {
            return self.disturb(random);
        }
        let (number, task) = self.task(random);
        let limit = MICROSECOND * random.below(300) as u32;
        let unwound = finally(|| count(&self.unstarted));
        let started = match random.below(4) {
            0 => self.pool.try_spawn(task).ok(),
            1 => self.pool.spawn_timeout(limit, task).ok(),
            _ => Some(self.pool.spawn(task)),
        };
        let Some(started) = started else {
            return drop(unwound);
        };
        unwound.disarm();
        if self.is_deadly {
            let thread = started.thread().clone();
            self.started.lock().unwrap().push(thread);
        }
        if random.below(2) == 0 {
            pause(random);
            match outcome(started.join()) {
                Some(ended) => assert_eq!(ended, number),
                None => assert!(self.is_deadly, "killed by nobody"),
            }
        }
    }

    fn disturb(&self, random: &mut Random) {
        match random.below(3) {
            0 => self.pool.resize(1 + random.below(PLACES as u64) as usize),
            1 => {
                let limit = MICROSECOND * random.below(500) as u32;
                let _ = self.pool.waitall_timeout(limit);
            }
            _ => {
                let victim = self.started.lock().unwrap().pop();
                if let Some(victim) = victim {
                    count(&self.strikes);
                    victim.kill().unwrap();
                }
            }
        }
    }
}

/// All places of a pool are free, and stay so.
fn is_free(pool: &GreenPool) {
    assert!(pool.waitall_timeout(SETTLES), "not idle: {pool:?}");
    let counts = (pool.running(), pool.free(), pool.waiting());
    assert_eq!(counts, (0, pool.size(), 0), "places were lost");
}

fn pool(mut random: Random) {
    let place = Arc::new(Place {
        pool: GreenPool::new(1 + random.below(PLACES as u64) as usize),
        inside: Inside::default(),
        tasks: Arc::default(),
        unstarted: AtomicU64::new(0),
        is_deadly: random.below(2) == 0,
        strikes: AtomicU64::new(0),
        started: Default::default(),
    });
    let mut crew = Crew::new(&mut random);
    for _ in 0..2 + random.below(8) {
        let place = place.clone();
        crew.any(move |mut random| {
            for _ in 0..STEPS {
                let mut own = Random::new(random.below(u64::MAX));
                limited(&mut random, || place.step(&mut own));
                count(&OPERATIONS);
            }
        });
    }
    crew.storm();
    is_free(&place.pool);
    place.pool.resize(PLACES);
    is_free(&place.pool);
    let Tasks { made, ran, gone } = &*place.tasks;
    let [made, ran, gone, unstarted, strikes] =
        [made, ran, gone, &place.unstarted, &place.strikes].map(|count| count.load(SeqCst));
    let counts =
        format!("{made} made, {ran} ran, {gone} gone, {unstarted} not started, {strikes} killed");
    assert_eq!(made, gone, "a task was kept: {counts}");
    // A task that is killed may die before its first turn.
    let killed = (made - unstarted).checked_sub(ran);
    assert!(
        killed.is_some_and(|killed| killed <= strikes),
        "a task was lost: {counts}"
    );
}

/// Several piles share a pool; each has all its results, in its order.
fn piles(mut random: Random) {
    let pool = GreenPool::new(1 + random.below(PLACES as u64) as usize);
    let tasks: Arc<Tasks> = Arc::default();
    let mut crew = Crew::new(&mut random);
    for _ in 0..1 + random.below(5) {
        let (pool, tasks) = (pool.clone(), tasks.clone());
        crew.any(move |random| match random.clone().below(3) {
            0 => spread_out(&pool, &tasks, random),
            _ => pile_up(&pool, &tasks, random),
        });
    }
    crew.storm();
    is_free(&pool);
    assert_eq!(
        tasks.made.load(SeqCst),
        tasks.gone.load(SeqCst),
        "a task was kept"
    );
}

/// Returns its number, or fails with it.
fn number(token: &Token, mut random: Random) -> u64 {
    let number = token.runs();
    pause(&mut random);
    if random.below(8) == 0 {
        std::panic::resume_unwind(Box::new(number));
    }
    number
}

fn numbered(ended: std::thread::Result<u64>) -> u64 {
    let failed = |payload: Box<dyn std::any::Any + Send>| payload.downcast::<u64>();
    match ended.map_err(failed) {
        Ok(number) => number,
        Err(Ok(number)) => *number,
        Err(Err(payload)) => std::panic::resume_unwind(payload),
    }
}

fn pile_up(pool: &GreenPool, tasks: &Arc<Tasks>, mut random: Random) {
    let mut pile = pool.pile();
    let mut expected = VecDeque::new();
    for _ in 0..STEPS {
        let mut own = Random::new(random.below(u64::MAX));
        limited(&mut random, || match own.below(3) {
            0 => {
                let result = pile.next().map(numbered);
                assert_eq!(result, expected.pop_front(), "out of order");
            }
            1 => {
                let (token, random) = (Token::new(tasks), own.clone());
                let number = token.number;
                let limit = MICROSECOND * own.below(300) as u32;
                let task = move || self::number(&token, random);
                if pile.spawn_timeout(limit, task).is_ok() {
                    expected.push_back(number);
                }
            }
            _ => {
                let (token, random) = (Token::new(tasks), own.clone());
                let number = token.number;
                pile.spawn(move || self::number(&token, random));
                expected.push_back(number);
            }
        });
        count(&OPERATIONS);
    }
    assert_eq!(pile.len(), expected.len());
    assert!(pile.map(numbered).eq(expected), "out of order");
}

fn spread_out(pool: &GreenPool, tasks: &Arc<Tasks>, mut random: Random) {
    let numbers = random.below(STEPS);
    let first = random.below(1 << 32);
    let (tasks, seed) = (tasks.clone(), random.below(u64::MAX));
    let doubles = move |at: u64| {
        Token::new(&tasks).runs();
        pause(&mut Random::of(seed, at));
        2 * at
    };
    let mut results = pool.imap(doubles, first..first + numbers);
    let mut at = first;
    loop {
        let ended = limited(&mut random, || match results.next() {
            Some(result) => {
                assert_eq!(result.unwrap(), 2 * at, "out of order");
                at += 1;
                false
            }
            None => true,
        });
        count(&OPERATIONS);
        if ended == Some(true) {
            break;
        }
    }
    assert_eq!(at, first + numbers, "a result was lost");
}

/// Members that would never end come, go, start others and kill all, themselves included.
fn group(mut random: Random) {
    fn member(
        group: &Group,
        tasks: &Arc<Tasks>,
        random: &mut Random,
    ) -> impl FnOnce() + Send + use<> {
        let token = Token::new(tasks);
        let (group, mut random) = (group.clone(), Random::new(random.below(u64::MAX)));
        move || {
            token.runs();
            pause(&mut random);
            match random.below(8) {
                0 => return,
                1 => {
                    let _ = group.kill_timeout(MICROSECOND * random.below(500) as u32);
                }
                2 => {
                    group.spawn(member(&group, &token.tasks, &mut random));
                }
                _ => {}
            }
            loop {
                park();
            }
        }
    }
    let (group, tasks) = (Group::new(), Arc::<Tasks>::default());
    let mut crew = Crew::new(&mut random);
    for _ in 0..1 + random.below(6) {
        let (group, tasks) = (group.clone(), tasks.clone());
        crew.any(move |mut random| {
            for _ in 0..STEPS / 2 {
                let mut own = Random::new(random.below(u64::MAX));
                limited(&mut random, || {
                    let limit = MICROSECOND * own.below(500) as u32;
                    match own.below(12) {
                        0..5 => drop(group.spawn(member(&group, &tasks, &mut own))),
                        5 => {
                            // It comes from elsewhere, and may have ended.
                            let other = spawn(member(&group, &tasks, &mut own));
                            let ends = finally(|| other.kill().unwrap());
                            pause(&mut own);
                            ends.disarm();
                            group.add(&other);
                        }
                        6 => {
                            let leaves = group.spawn(member(&group, &tasks, &mut own));
                            let ends = finally(|| leaves.kill().unwrap());
                            pause(&mut own);
                            group.discard(leaves.thread());
                            drop(ends);
                        }
                        7 => {
                            if let Some(victim) = group.threads().next() {
                                victim.kill().unwrap();
                            }
                        }
                        8 => group.kill().unwrap(),
                        9 => {
                            let _ = group.kill_timeout(limit).unwrap();
                        }
                        10 => {
                            let _ = group.join_timeout(limit);
                        }
                        _ => pause(&mut own),
                    }
                });
                count(&OPERATIONS);
            }
        });
    }
    crew.storm();
    assert!(
        group.kill_timeout(SETTLES).unwrap(),
        "{group:?} does not end"
    );
    assert!(group.is_empty() && group.join_timeout(Duration::ZERO));
    // Those who left were killed, and nobody waited for them.
    let began = Instant::now();
    while tasks.gone.load(SeqCst) < tasks.made.load(SeqCst) {
        assert!(
            began.elapsed() < SETTLES,
            "a member was lost: {}",
            green::report()
        );
        std::thread::sleep(MILLISECOND);
    }
}

pub fn round(random: Random) {
    side_by_side(random, &[pool, pool, piles, group, dag]);
}
