//! `DagPool`: each key has its end once, for a reason that can be named.

use std::collections::HashSet;

use green::dagpool::{Cause, DagPool, PropagateError, Refused};

use super::*;

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

pub(super) fn dag(mut random: Random) {
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
