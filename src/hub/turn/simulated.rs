//! The loop of a hub that runs simulations: nobody polls, the seed chooses who runs next, and the clock jumps.

use std::sync::Arc;

use super::count;
use crate::clock::Nanos;
use crate::hub::local::Local;
use crate::hub::meter::Meter;
use crate::hub::task::Task;
use crate::world::World;

/// How a simulation's loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SimulationEnd {
    Over,
    /// No green thread is ready, and none waits with a deadline.
    Deadlock,
    /// It has gone on for too long.
    Endless,
}

impl Local {
    /// Runs green threads until `is_over`, or until `legs` legs have been run.
    pub(crate) fn simulate(
        &self,
        world: &World,
        legs: u64,
        is_over: impl Fn() -> bool,
    ) -> SimulationEnd {
        let (mut mail, mut ready) = (Vec::new(), Vec::new());
        for _ in 0..legs {
            count(&self.hub.counters.turns, 1);
            self.take_inbox(&mut mail);
            self.fire_timers();
            world.happen(&mut ready);
            count(&self.hub.counters.events, ready.len() as u64);
            self.hub.registry.deliver(ready.drain(..));
            if is_over() {
                return SimulationEnd::Over;
            }
            match self.choose(world) {
                Some(task) => {
                    world.runs(task.id);
                    let mut meter = Meter::start();
                    self.resume(task, &mut meter);
                    meter.finish(&self.hub.counters);
                }
                None => {
                    let timer = self.timers.borrow().next().moment().map(|Nanos(at)| at);
                    match timer.into_iter().chain(world.next()).min() {
                        Some(next) => world.jump(next),
                        None => return SimulationEnd::Deadlock,
                    }
                }
            }
        }
        SimulationEnd::Endless
    }

    /// Any of those who are ready.
    fn choose(&self, world: &World) -> Option<Arc<Task>> {
        let mut acceptors = self.acceptors.borrow_mut();
        let mut ready = self.ready.borrow_mut();
        let ready_count = ready.len() + acceptors.len();
        if ready_count == 0 {
            return None;
        }
        let chosen = world.below(ready_count as u64) as usize;
        match chosen.checked_sub(ready.len()) {
            None => ready.swap_remove_back(chosen),
            Some(chosen) => acceptors.swap_remove_back(chosen),
        }
    }
}
