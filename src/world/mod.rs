//! What a simulated program has in the system's place: a clock, choices by a seed, and a trace of what happened.
//!
//! An OS thread that runs simulations has a world, which each of them begins anew. Whoever would ask the system asks here
//! first ([`here`]); on any other thread there is none.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::time::Duration;

use crate::sys::virtual_time::{self, Virtual};

mod random;
mod trace;

pub(crate) use random::Random;
pub use trace::Trace;
use trace::{Event, Subject};

/// What each leg of a green thread takes, in nanoseconds: a loop that waits for a moment and only yields comes to its end.
const LEG: u64 = 1_000;

pub(crate) struct World {
    clocks: Virtual,
    state: RefCell<State>,
}

/// What each simulation has anew.
struct State {
    random: Random,
    trace: Trace,
    /// The green threads of this simulation by their ids, numbered as they started: ids are the process's.
    threads: HashMap<u64, u32>,
}

impl State {
    fn new(seed: u64) -> State {
        State {
            random: Random::new(seed),
            trace: Trace::default(),
            threads: HashMap::new(),
        }
    }
}

thread_local! {
    static HERE: Cell<Option<&'static World>> = const { Cell::new(None) };
}

/// The world of the running thread, if it is simulated.
// Never inlined, so that the thread-local's address is taken anew after a wait.
#[inline(never)]
pub(crate) fn here() -> Option<&'static World> {
    HERE.get()
}

/// From now on the running thread lives in `world`.
pub(crate) fn enter(world: Option<&'static World>) {
    HERE.set(world);
    virtual_time::enter(world.map(|world| &world.clocks));
}

/// Refuses what is not simulated, if the running thread is.
///
/// # Errors
///
/// `Unsupported`, which says what it is.
pub(crate) fn refuse(what: &str) -> io::Result<()> {
    match here() {
        None => Ok(()),
        Some(_) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("{what} cannot be had in a simulation: see green::sim"),
        )),
    }
}

impl World {
    /// A world lasts as long as the process.
    pub(crate) fn new() -> &'static World {
        Box::leak(Box::new(World {
            clocks: Virtual::new(),
            state: RefCell::new(State::new(0)),
        }))
    }

    /// Begins another simulation.
    pub(crate) fn restart(&self, seed: u64) {
        let mut state = State::new(seed);
        self.clocks.restart(state.random.next());
        self.state.replace(state);
    }

    /// What has happened, which is nothing from now on.
    pub(crate) fn take_trace(&self) -> Trace {
        std::mem::take(&mut self.state.borrow_mut().trace)
    }

    /// Nanoseconds since the simulation began.
    pub(crate) fn elapsed(&self) -> u64 {
        self.clocks.now() - virtual_time::BEGIN
    }

    /// The clock, as [`Nanos`](crate::clock::Nanos) has it, moves on to `now`.
    pub(crate) fn jump(&self, now: u64) {
        self.clocks.set_now(now.max(self.clocks.now()));
    }

    /// A number below `n`, which is not 0.
    pub(crate) fn below(&self, n: u64) -> u64 {
        self.state.borrow_mut().random.below(n)
    }

    /// How long something takes that is over in a moment: up to a millisecond.
    pub(crate) fn moment(&self) -> Duration {
        Duration::from_micros(1 + self.below(1_000))
    }

    /// Whether a green thread that makes a call and need not wait lets others run now.
    pub(crate) fn gives_way(&self) -> bool {
        self.below(8) == 0
    }

    /// A green thread has been placed here.
    pub(crate) fn starts(&self, id: u64) {
        let state = &mut *self.state.borrow_mut();
        let number = state.threads.len() as u32 + 1;
        state.threads.insert(id, number);
        let at = self.elapsed();
        state
            .trace
            .add(Event::new(at, Subject::Thread(number), "starts"));
    }

    /// A green thread is about to run, which takes some time.
    pub(crate) fn runs(&self, id: u64) {
        self.tell_of_thread(id, "runs");
        self.clocks.set_now(self.clocks.now() + LEG);
    }

    /// A green thread has ended.
    pub(crate) fn ends(&self, id: u64) {
        self.tell_of_thread(id, "ends");
    }

    fn tell_of_thread(&self, id: u64, what: &'static str) {
        let state = &mut *self.state.borrow_mut();
        let number = state.threads.get(&id).copied().unwrap_or(0);
        let at = self.elapsed();
        state
            .trace
            .add(Event::new(at, Subject::Thread(number), what));
    }
}
