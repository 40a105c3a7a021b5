//! A hub's loop.
//!
//! A turn:
//! 1. take the inbox;
//! 2. fire the timers that are due at one instant;
//! 3. run the ready green threads, those that accept connections first, at most [`RESUMES`] times,
//!    and no more once one of them had to give way because it had used up its budget; most are
//!    switched to by another one, without the loop ([`next`](super::next));
//! 4. poll: without waiting if something is ready, else until the next deadline
//!    or the bell;
//! 5. hand the events out.
//!
//! So neither a green thread that yields in a loop nor one that reads a stream which never runs dry
//! keeps the others from the poller and the clock. And threads that wait for a listener do not have
//! to queue behind a thousand handlers: the listener's queue is short, and the kernel drops clients
//! that find it full.

use std::io;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::local::Local;
use super::meter::Meter;
use super::task::{Green, Task};
use super::wait_word::Phase;
use super::{count, current, wait};
use crate::clock::Nanos;
use crate::deadline::Deadline;
use crate::sys::epoll;

#[cfg(feature = "sim")]
pub(crate) mod simulated;

/// Resumes in a turn before the poller is looked at.
const RESUMES: u32 = 61;
/// Events taken from the poller at once.
const EVENTS: usize = 256;

impl Local {
    /// The loop.
    pub(super) fn run(&self) -> ! {
        let mut events = vec![epoll::EMPTY; EVENTS];
        let mut mail = Vec::new();
        loop {
            count(&self.hub.counters.turns, 1);
            self.take_inbox(&mut mail);
            self.fire_timers();
            self.run_ready();
            if self.hub.stacks.tidy_at().has_passed_at(self.time.get()) {
                self.hub.stacks.tidy(self.time.get());
            }
            let n = self.poll(&mut events);
            count(&self.hub.counters.events, n as u64);
            self.hub
                .registry
                .deliver(events[..n].iter().map(|event| (event.u64, event.events)));
        }
    }

    fn take_inbox(&self, mail: &mut Vec<Arc<Task>>) {
        if self.hub.home.take(mail) {
            mail.drain(..).for_each(|task| self.push(task));
        }
    }

    fn fire_timers(&self) {
        let mut timers = self.timers.borrow_mut();
        if timers.len() == 0 {
            self.time.set(Nanos::coarse());
            return;
        }
        let now = Nanos::now();
        self.time.set(now);
        while let Some(task) = timers.pop_due(now) {
            let Some(green) = task.green() else { continue };
            let deadline = green.deadline.get();
            if deadline.has_passed_at(now) {
                if let Some(ticket) = task.word.open_ticket() {
                    task.wake_owned(ticket, Phase::TimedOut);
                }
            } else if !deadline.is_never() {
                // It has begun another wait since the entry was made.
                timers.at_latest(green, deadline, || task.clone());
            }
        }
    }

    fn run_ready(&self) {
        let mut meter = Meter::start();
        self.is_metered.set(meter.is_on());
        let acceptors = self.acceptors.borrow().len();
        for _ in 0..acceptors {
            let Some(task) = self.acceptors.borrow_mut().pop_front() else {
                break;
            };
            // The one after it may be of either queue.
            self.legs_left.set(0);
            self.resume(task, &mut meter);
        }
        self.legs_left.set(RESUMES);
        while let Some(task) = self.next_ready() {
            self.resume(task, &mut meter);
        }
        self.legs_left.set(0);
        meter.finish(&self.hub.counters);
    }

    /// Runs `task`, and those that it leaves for, until one of them waits or ends.
    fn resume(&self, task: Arc<Task>, meter: &mut Meter) {
        self.begin_leg(task);
        let goes_on = current::with(|task| self.run_legs(task));
        // The last one of them.
        let over = current::with(|task| {
            meter.charge(task);
            (!goes_on).then(|| self.handle(task))
        });
        current::set_on(self, ptr::null());
        match over {
            None => drop(self.running.take()),
            Some(task) => self.retire(&task),
        }
    }

    /// Runs the current task, and those that it leaves for, until one of them waits,
    /// which gives true, or ends.
    #[inline]
    fn run_legs(&self, task: &Arc<Task>) -> bool {
        let Some(green) = task.green() else {
            return true;
        };
        if !green.legs.have_begun() && !self.begin_or_put_off(task, green) {
            return true;
        }
        // Looked at by the OS thread itself, whatever `self` is.
        let at_home = current::local().is_some_and(|here| ptr::eq(&here.hub.home, green.home));
        green.legs.run(at_home)
    }

    /// Gives a green thread without one a fiber; false if it has to wait for that.
    fn begin_or_put_off(&self, task: &Arc<Task>, green: &Green) -> bool {
        if green.carried.is_some() {
            let is_lent = self.lend(task, green).is_some();
            if !is_lent {
                wait::await_stack(self, task, green);
            }
            return is_lent;
        }
        let now = !self.put_off(task, green);
        if now {
            self.begin(task, green);
        }
        now
    }

    /// Whether a green thread is to start only later. Then it sleeps, without a stack.
    fn put_off(&self, task: &Arc<Task>, green: &Green) -> bool {
        if green.start == Nanos::LONG_AGO {
            return false;
        }
        green.deadline.set(Deadline::NEVER);
        let now = Nanos::now();
        now < green.start && wait::sleep_unstarted(self, task, green, now)
    }

    fn retire(&self, task: &Arc<Task>) {
        let Some(green) = task.green() else { return };
        green.legs.are_over();
        let listed = self.dismiss(task, green);
        if let Some(stack) = green.legs.end() {
            self.hub.stacks.put(stack, self.time.get());
        }
        // Whoever sees it may count on the stack.
        count(&self.hub.counters.ended, 1);
        drop(listed);
    }

    fn poll(&self, events: &mut [epoll::Event]) -> usize {
        let idle = self.ready.borrow().is_empty() && self.acceptors.borrow().is_empty();
        let timeout = if idle {
            if !self.hub.home.may_sleep() {
                Some(Duration::ZERO)
            } else {
                let next = self.timers.borrow().next();
                let tidy_at = self.hub.stacks.tidy_at();
                next.min(tidy_at).remaining()
            }
        } else {
            Some(Duration::ZERO)
        };
        count(&self.hub.counters.polls, 1);
        let timers = self.timers.borrow().len();
        self.hub.counters.timers.store(timers, Ordering::Relaxed);
        let polled = epoll::wait(self.hub.epoll(), events, timeout);
        self.hub.home.is_awake();
        match polled {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => {
                // Nothing that we know of causes it (epoll_wait(2)); the green
                // threads that are ready, and the timers, go on.
                tell_of_failed_poll(self.hub.home.index, error);
                std::thread::sleep(Duration::from_millis(1));
                0
            }
        }
    }
}

/// Once, and on an OS thread of its own: a logger is the program's, and may wait.
#[cold]
fn tell_of_failed_poll(hub: usize, error: io::Error) {
    static TOLD: std::sync::Once = std::sync::Once::new();
    TOLD.call_once(|| {
        let log = move || log::error!("hub {hub}: polling failed: {error}");
        let _ = std::thread::Builder::new().spawn(log);
    });
}
