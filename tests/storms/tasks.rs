//! `GreenPool` with its piles and `imap`, `Group`, `DagPool`: no task is lost, no result comes twice, no place stays
//! taken, and whoever is killed is waited for.

use std::collections::{HashSet, VecDeque};

use green::dagpool::{Cause, DagPool, PropagateError, Refused};
use green::pool::{GreenPool, Group};
use green::thread::{Thread, park};

use super::*;

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

const KEYS: u64 = 48;

/// What a task of the graph does.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Posted,
    Sums,
    /// As `Sums`, but asks for what it needs while it runs.
    Asks,
    Fails,
    Panics,
}

struct Plan {
    depends: Vec<u64>,
    fate: Fate,
    /// The value, if nothing fails.
    value: u64,
}

type Dag = DagPool<u64, u64, u64>;

struct Graph {
    pool: Dag,
    plans: Vec<Plan>,
    runs: Vec<AtomicU64>,
    /// Whom somebody wanted to kill.
    struck: Vec<AtomicBool>,
    tasks: Arc<Tasks>,
}

impl Graph {
    fn new(random: &mut Random) -> Graph {
        let mut plans: Vec<Plan> = Vec::new();
        for key in 0..KEYS {
            let depends: HashSet<u64> = match key {
                0 => HashSet::new(),
                _ => (0..random.below(4)).map(|_| random.below(key)).collect(),
            };
            let fate = match random.below(30) {
                0 => Fate::Fails,
                1 => Fate::Panics,
                2..8 => Fate::Posted,
                8..14 => Fate::Asks,
                _ => Fate::Sums,
            };
            let depends: Vec<u64> = match fate {
                Fate::Posted => Vec::new(),
                _ => depends.into_iter().collect(),
            };
            let value = depends.iter().map(|&other| plans[other as usize].value);
            let value = key + value.fold(0, u64::wrapping_add);
            plans.push(Plan {
                depends,
                fate,
                value,
            });
        }
        Graph {
            pool: DagPool::new(),
            plans,
            runs: (0..KEYS).map(|_| AtomicU64::new(0)).collect(),
            struck: (0..KEYS).map(|_| AtomicBool::new(false)).collect(),
            tasks: Arc::default(),
        }
    }

    /// Puts a key into the pool; refused if it is there.
    fn add(self: &Arc<Graph>, key: u64, random: &mut Random) -> Result<(), Refused<u64>> {
        let plan = &self.plans[key as usize];
        if plan.fate == Fate::Posted {
            return self.pool.post(key, plan.value);
        }
        let depends = match plan.fate {
            Fate::Asks => Vec::new(),
            _ => plan.depends.clone(),
        };
        let (graph, token, mut random) = (
            self.clone(),
            Token::new(&self.tasks),
            Random::new(random.below(u64::MAX)),
        );
        self.pool.spawn(key, depends, move |values| {
            token.runs();
            count(&graph.runs[key as usize]);
            pause(&mut random);
            let plan = &graph.plans[key as usize];
            let values = match plan.fate {
                Fate::Asks => graph
                    .pool
                    .wait(plan.depends.iter().copied())
                    .map_err(|error| root(&error))?,
                Fate::Fails => return Err(key),
                Fate::Panics => std::panic::resume_unwind(Box::new("its fate")),
                _ => values,
            };
            assert_eq!(values.len(), plan.depends.len());
            Ok(values
                .values()
                .fold(key, |sum, value| sum.wrapping_add(**value)))
        })
    }

    /// As the plan has it, or a failure that has a reason.
    fn check(&self, key: u64, outcome: Result<Arc<u64>, PropagateError<u64, u64>>) {
        let plan = &self.plans[key as usize];
        let runs = self.runs[key as usize].load(SeqCst);
        assert!(runs <= 1, "{key} ran {runs} times");
        let root = match outcome {
            Ok(value) => return assert_eq!(*value, plan.value, "{key}"),
            Err(error) => {
                assert_eq!(*error.key(), key);
                let is_panic = matches!(error.cause(), Cause::Panicked(_));
                let root = root(&error);
                assert!(
                    !is_panic || self.plans[root as usize].fate == Fate::Panics,
                    "{error}"
                );
                root
            }
        };
        let has_failed = matches!(self.plans[root as usize].fate, Fate::Fails | Fate::Panics);
        let is_struck = self.struck[root as usize].load(SeqCst);
        assert!(
            has_failed || is_struck,
            "{key} failed by {root}, for no reason"
        );
    }
}

/// The first that failed.
fn root(error: &PropagateError<u64, u64>) -> u64 {
    error.cause().error().copied().unwrap_or(*error.origin())
}

fn dag(mut random: Random) {
    let graph = Arc::new(Graph::new(&mut random));
    let is_deadly = random.below(2) == 0;
    let mut crew = Crew::new(&mut random);
    for _ in 0..1 + random.below(6) {
        let graph = graph.clone();
        crew.any(move |mut random| {
            for _ in 0..STEPS {
                let mut own = Random::new(random.below(u64::MAX));
                let key = own.below(KEYS);
                limited(&mut random, || match own.below(8) {
                    0 if is_deadly => {
                        graph.struck[key as usize].store(true, SeqCst);
                        if graph.pool.kill(&key).unwrap() {
                            count(&KILLS);
                        }
                    }
                    1 => {
                        let limit = MICROSECOND * own.below(1_000) as u32;
                        let _ = green::timeout(limit, || {
                            let keys = [key, own.below(KEYS)];
                            for (key, outcome) in graph.pool.wait_each(keys) {
                                graph.check(key, outcome);
                            }
                        });
                    }
                    2 => {
                        let circle = [(KEYS + key, [KEYS]), (KEYS, [KEYS + key])];
                        let refused = graph.pool.spawn_many(circle, |key, _| Ok(*key));
                        assert!(matches!(refused, Err(Refused::Cycle(_))), "{refused:?}");
                    }
                    3 => pause(&mut own),
                    _ => match graph.add(key, &mut own) {
                        Ok(()) | Err(Refused::Collision(_)) => {}
                        Err(refused) => panic!("{refused}"),
                    },
                });
                count(&OPERATIONS);
            }
        });
    }
    crew.storm();
    // What nobody has come to is added now; then each key has its end.
    for key in 0..KEYS {
        let _ = graph.add(key, &mut random);
    }
    let all = graph.pool.keys();
    assert_eq!(all.len() as u64, KEYS, "{all:?}");
    let ended: Vec<_> = graph.pool.wait_each(0..KEYS).collect();
    let keys: HashSet<u64> = ended.iter().map(|(key, _)| *key).collect();
    assert_eq!(
        (ended.len(), keys.len()),
        (all.len(), all.len()),
        "not each key once"
    );
    for (key, outcome) in &ended {
        let failed = |other: &u64| matches!(graph.pool.get(other), Some(Err(_)));
        let plan = &graph.plans[*key as usize];
        assert!(
            outcome.is_err() || !plan.depends.iter().any(failed),
            "{key} without its values"
        );
    }
    for (key, outcome) in ended {
        graph.check(key, outcome);
    }
    assert_eq!(
        (graph.pool.running(), graph.pool.waiting()),
        (vec![], vec![])
    );
    // An end is told before the task has quite gone.
    let began = Instant::now();
    while graph.tasks.gone.load(SeqCst) < graph.tasks.made.load(SeqCst) {
        assert!(began.elapsed() < SETTLES, "a task was kept");
        std::thread::sleep(MILLISECOND);
    }
}

pub fn round(random: Random) {
    side_by_side(random, &[pool, pool, piles, group, dag]);
}
