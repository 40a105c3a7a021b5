//! Whole programs in a simulation: one seed decides what happens, and the same seed replays it.
//!
//! [`run`] runs a program of green threads on a hub of its own. There
//!
//! - **time** is simulated. When nobody is ready the clock jumps to the next deadline, so an hour of sleep is over at
//!   once. `std::time::Instant::now()`, `SystemTime::now()` and whatever else asks libc show that clock, which begins at the same
//!   moment each time, the first second of 2026;
//! - **who runs next** is chosen by the seed among those who are ready, and so is whether a call that need not wait lets
//!   others run before it;
//! - **the network** is simulated in memory: TCP, UDP and Unix sockets, and look-ups of names, by the same functions
//!   and types. It has latency, buffers of any size, pieces of any length, readiness that is late or false, and, if
//!   [`Faults`] say so, resets, silence, refusals, losses and more, as the seed decides;
//! - **machines** may be several, with addresses of their own ([`on_machine`]), and the network between them may be cut
//!   for a while ([`partition`]);
//! - **random bytes** by libc's `getrandom` come from the seed, so std's `HashMap` has the same order each time (where
//!   green threads have thread-locals of their own).
//!
//! Nothing in the program changes: it uses the same names. Everything that a green thread of the program starts runs in
//! the simulation too, and ends with it: once the given function has returned, green threads that are left are killed,
//! as they would be at the end of a process.
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use green::{sim, sync::mpsc, thread};
//!
//! for seed in 0..100 {
//!     sim::run(seed, || {
//!         let began = Instant::now();
//!         let (sender, receiver) = mpsc::channel();
//!         for n in 0..3 {
//!             let sender = sender.clone();
//!             thread::spawn(move || {
//!                 thread::sleep(Duration::from_secs(3600 * n));
//!                 sender.send(n).unwrap();
//!             });
//!         }
//!         drop(sender);
//!         assert_eq!(receiver.iter().collect::<Vec<_>>(), [0, 1, 2]);
//!         assert!(began.elapsed() >= Duration::from_secs(7200));
//!     });
//! }
//! ```
//!
//! # When it fails
//!
//! A panic of the program passes through [`run`], after the seed and the end of the [`Trace`] were printed on standard error.
//! If no green thread is ready and none waits with a deadline, that is a deadlock: the run ends with a panic that has a
//! [`report`](crate::report()) of who waits for what.
//!
//! ```should_panic
//! use green::{sim, thread};
//!
//! sim::run(1, || thread::park()); // nobody will unpark it
//! ```
//!
//! # What is not simulated
//!
//! - Descriptors other than those of simulated sockets cannot be waited for: an error of kind
//!   [`Unsupported`](std::io::ErrorKind::Unsupported). So are `green::select`, processes, pipes, ancillary messages, and sockets of other kinds.
//! - Files are the real ones. A file call and whatever else goes to [`blocking`](crate::blocking()) runs in place, after a moment of
//!   simulated time: so it should not wait for another thread.
//! - OS threads that the program starts run beside the simulation, in real time, and it does not wait for them.
//! - std's own waits (`std::thread::sleep`, a `std::sync` lock) block as ever, and the simulation with them.
//! - Random bytes in a simulation are not secret: make no keys there that are to last.

mod machines;

use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::time::{Duration, Instant};

use crate::clock::Nanos;
use crate::contain::contain;
use crate::green_thread::{Builder, JoinHandle, Result};
use crate::hub::interrupt::{CAN_UNWIND, resume_unwind};
use crate::hub::local::Local;
use crate::hub::placement;
use crate::hub::turn::simulated::SimulationEnd;
use crate::report::{Report, report};
use crate::sys::lock::Lock;
use crate::world::{self, World};
pub use crate::world::{Faults, Trace};
pub use machines::{Partition, on_machine, partition};

/// Runs `f` as the main thread of a simulated program, and returns its value.
///
/// Blocks the calling thread; a green thread waits as for [`blocking`](crate::blocking()). Several may run at once, on several
/// threads.
///
/// # Panics
///
/// With the panic of `f`; if the program comes to a deadlock. Both print the seed first. If no hub can be started for it;
/// inside a simulation.
///
/// ```
/// let sum = green::sim::run(1, || {
///     let other = green::thread::spawn(|| 2);
///     1 + other.join().unwrap()
/// });
/// assert_eq!(sum, 3);
/// ```
pub fn run<F, T>(seed: u64, f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let outcome = Simulation::new(seed).run(f);
    outcome.result.unwrap_or_else(|panic| {
        let trace = outcome.trace;
        eprintln!(
            "green::sim: seed {seed} fails, and will again; its last events were\n{trace:.40}"
        );
        if let Some(report) = outcome.deadlock {
            eprintln!("{DEADLOCK}\n{report}");
        }
        resume_unwind(panic)
    })
}

const DEADLOCK: &str = "a deadlock: nobody is ready, and nobody waits for a moment";

/// Whether the running thread belongs to a simulated program.
///
/// ```
/// assert!(!green::sim::is_simulated());
/// assert!(green::sim::run(1, green::sim::is_simulated));
/// ```
pub fn is_simulated() -> bool {
    world::here().is_some()
}

/// The number of the simulation that the running thread belongs to; no two in a process have the same. `None` outside
/// simulations, and in one whose main thread has ended.
///
/// It is for values that are kept in a static, once for each process, and must not come from another simulation.
///
/// ```
/// use green::sim;
///
/// assert_eq!(sim::number(), None);
/// assert_ne!(sim::run(1, sim::number), sim::run(1, sim::number));
/// ```
pub fn number() -> Option<u64> {
    world::here()?.number()
}

/// Looks a name up in the simulation: `localhost` is this machine, and any other name has an address of its own, the
/// same each time, unless [`Faults::no_answer`] makes the look-up fail. `None` outside a simulation.
///
/// It is what `green::net` asks; a resolver of your own may ask too.
///
/// ```
/// use green::sim;
///
/// assert!(sim::look_up("db.example").is_none());
/// sim::run(1, || {
///     let found = sim::look_up("db.example").unwrap().unwrap();
///     assert_eq!(found, sim::look_up("db.example").unwrap().unwrap());
///     assert_ne!(found, sim::look_up("www.example").unwrap().unwrap());
/// });
/// ```
pub fn look_up(name: &str) -> Option<io::Result<IpAddr>> {
    let world = world::here()?;
    crate::green_thread::sleep(world.moment());
    Some(world.look_up(name))
}

/// A simulation to be run: its seed and its settings.
///
/// ```
/// use std::time::Duration;
///
/// use green::{sim::Simulation, thread::sleep};
///
/// let outcome = Simulation::new(1).run(|| sleep(Duration::from_secs(3600)));
/// assert!(outcome.result.is_ok());
/// assert!(outcome.elapsed >= Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug)]
pub struct Simulation {
    seed: u64,
    faults: Faults,
}

/// The outcome of a simulation.
#[derive(Debug)]
#[non_exhaustive]
pub struct Simulated<T> {
    /// What the function returned, or the payload of its panic; after a deadlock, a text.
    pub result: Result<T>,
    /// Who waited for what, if there was a deadlock.
    pub deadlock: Option<Report>,
    /// How long it took, in simulated time.
    pub elapsed: Duration,
    /// What happened.
    pub trace: Trace,
}

impl Simulation {
    /// A simulation with this seed.
    pub fn new(seed: u64) -> Simulation {
        Simulation {
            seed,
            faults: Faults::default(),
        }
    }

    /// Sets what the network does; by default [`Faults::mild`].
    pub fn faults(self, faults: Faults) -> Simulation {
        Simulation { faults, ..self }
    }

    /// Runs `f` as the main thread of a simulated program, and returns the outcome.
    ///
    /// Blocks the calling thread, as [`run`] does.
    ///
    /// # Panics
    ///
    /// If no hub can be started for it; inside a simulation.
    pub fn run<F, T>(&self, f: F) -> Simulated<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        assert!(
            !is_simulated(),
            "a simulation cannot run inside a simulation"
        );
        let simulation = self.clone();
        crate::blocking(move || simulation.run_elsewhere(f))
    }

    /// On a hub of its own, while this OS thread waits.
    fn run_elsewhere<F, T>(self, f: F) -> Simulated<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (tell, outcome) = sync_channel(1);
        let hub = SimulationHub::take().expect("failed to start a hub for a simulation");
        let job: Job = Box::new(move |local, world| {
            let (outcome, is_clean) = self.run_on(local, world, f);
            (is_clean, Box::new(move || drop(tell.send(outcome))))
        });
        hub.0.send(job).expect("the hub waits for simulations");
        outcome.recv().expect("a simulation's hub does not end")
    }

    /// Gives the outcome, and whether the hub is as it was before.
    fn run_on<F, T>(self, local: &'static Local, world: &World, f: F) -> (Simulated<T>, bool)
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        world.restart(self.seed, self.faults);
        assert_eq!(
            Nanos::from(Instant::now()),
            Nanos::now(),
            "this program takes the time from elsewhere than libc's clock_gettime"
        );
        let main = Builder::new().name("main".to_owned()).spawn(f);
        let main: JoinHandle<T> = main.expect("failed to spawn thread");
        let ending = local.simulate(world, u64::MAX, || main.is_finished());
        let deadlock = (ending != SimulationEnd::Over).then(report);
        let elapsed = Duration::from_nanos(world.elapsed());
        let trace = world.take_trace();

        let is_clean = end_all(local, world);
        contain(|| local.hub.services.end());
        let result = match &deadlock {
            None => main.join(),
            Some(report) => Err(Box::new(format!("{DEADLOCK}\n{report}")) as _),
        };
        let outcome = Simulated {
            result,
            deadlock,
            elapsed,
            trace,
        };
        (outcome, is_clean)
    }
}

/// Ends the green threads that are left, as the end of `main` does; returns whether none is left.
fn end_all(local: &'static Local, world: &World) -> bool {
    /// How many legs are run before those that have been started meanwhile are killed too, and how often that is done.
    const LEGS: u64 = 10_000;
    const ROUNDS: usize = 100;
    world.end();
    let is_empty = || local.hub.load() == 0;
    for _ in 0..ROUNDS {
        let threads = local.hub.threads.lock();
        let left: Vec<_> = threads.iter().map(|(_, task)| task.clone()).collect();
        drop(threads);
        let are_new = left.iter().any(|task| !task.interrupts.is_killed());
        if CAN_UNWIND {
            left.iter().for_each(|task| task.kill());
        }
        drop(left);
        match local.simulate(world, LEGS, is_empty) {
            SimulationEnd::Over => return true,
            // Who waits now may wait for one who is killed in the next round.
            SimulationEnd::Deadlock if !are_new => break,
            SimulationEnd::Deadlock | SimulationEnd::Endless => {}
        }
    }
    false
}

/// Runs one simulation. Returns whether the hub can be used again, and what to call after that.
type Job = Box<dyn FnOnce(&'static Local, &World) -> (bool, Box<dyn FnOnce()>) + Send>;

/// A hub that runs simulations, one after the other.
struct SimulationHub(Sender<Job>);

/// The hubs that run no simulation now.
static IDLE: Lock<Vec<SimulationHub>> = Lock::new(Vec::new());

impl SimulationHub {
    fn take() -> io::Result<SimulationHub> {
        let idle = IDLE.lock().pop();
        idle.map_or_else(SimulationHub::start, Ok)
    }

    fn start() -> io::Result<SimulationHub> {
        let (jobs, queue) = channel::<Job>();
        let hub = SimulationHub(jobs.clone());
        let serve = move |local: &'static Local| {
            let world = local.world.expect("a hub for simulations");
            while let Ok(job) = queue.recv() {
                let (is_clean, tell) = job(local, world);
                if !is_clean {
                    // Some would not end. Their stacks stay where they are.
                    tell();
                    loop {
                        std::thread::park();
                    }
                }
                IDLE.lock().push(SimulationHub(jobs.clone()));
                tell();
            }
        };
        placement::start_simulated("green-sim".to_owned(), serve)?;
        Ok(hub)
    }
}
