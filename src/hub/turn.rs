//! A hub's loop, and what only its OS thread touches.
//!
//! A turn:
//! 1. take the inbox;
//! 2. fire the timers that are due at one instant;
//! 3. run each that is accepting a connection and is ready, then what else is
//!    ready, at most [`RESUMES`] times, and no further once one of these was made
//!    to give way for having used up its budget;
//! 4. poll: without waiting if something is ready, else until the next deadline
//!    or the bell;
//! 5. hand the events out.
//!
//! So neither a green thread that yields in a loop nor one that reads a stream
//! which never runs dry keeps the others from the poller and the clock. And those
//! who wait for a listener do not stand behind a thousand handlers: its queue is
//! short, and the kernel drops clients that find it full.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::meter::Meter;
use super::site::Site;
use super::task::{Green, Task};
use super::wait_word::Phase;
use super::{Hub, current, root};
use crate::clock::Nanos;
use crate::sys;
#[cfg(all(target_env = "gnu", target_pointer_width = "64"))]
use crate::sys::destructors::Destructors;
use crate::sys::epoll;
use crate::sys::memory::prefetch;
use crate::thread_locals;
use crate::timer::TimerQueue;
#[cfg(feature = "sim")]
use crate::world::World;

#[cfg(feature = "sim")]
pub(crate) mod simulated;

/// Resumes in a turn before the poller is looked at.
const RESUMES: usize = 61;
/// Calls in a row that a green thread may make without waiting.
const BUDGET: u32 = 64;
/// How long it may take over them; 64 short reads are over in no time, 64 of a
/// quarter of a megabyte are not.
const SLICE: Duration = Duration::from_micros(250);
/// Calls between two looks at the clock. A green thread that waits sooner, as
/// most do after each request, costs no look at all.
const CALLS_PER_LOOK: u32 = 4;
/// Ready green threads whose memory is fetched as a group.
const FETCHED: usize = 8;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Events taken from the poller at once.
const EVENTS: usize = 256;

pub(crate) struct Local {
    #[cfg(all(target_env = "gnu", target_pointer_width = "64"))]
    destructors: Option<Destructors>,
    pub(crate) hub: &'static Hub,
    ready: RefCell<VecDeque<Arc<Task>>>,
    /// Those of them that are accepting connections.
    acceptors: RefCell<VecDeque<Arc<Task>>>,
    /// The handle by which the running green thread stood in the ready queue.
    /// Its next wait takes it along.
    running: Cell<Option<Arc<Task>>>,

    pub(crate) timers: RefCell<TimerQueue<Arc<Task>>>,
    /// About when this turn began.
    pub(crate) time: Cell<Nanos>,
    /// The hub's OS thread as a thread that waits, where green threads have
    /// thread-locals of their own; null before it was asked for.
    pub(crate) os_task: Cell<*const Task>,
    /// How many green threads are suspended inside a destructor of an unwind, where
    /// thread-locals are shared.
    pub(crate) parked_unwinding: Cell<usize>,
    /// How many of those have not begun to unwind: they are in a panic hook.
    pub(crate) parked_in_hook: Cell<usize>,
    /// Calls that the running green thread may still make without waiting.
    budget: Cell<u32>,
    /// When the running green thread's calls were first looked at, or never.
    slice_began: Cell<Nanos>,
    /// Set when a green thread had to give way: look at the poller next.
    gave_way: Cell<bool>,
    /// Of a hub that runs simulations: what it has in the system's place.
    #[cfg(feature = "sim")]
    pub(crate) world: Option<&'static World>,
}

impl Local {
    /// A hub is never taken down: both halves live as long as the process.
    pub(super) fn new(hub: &'static Hub) -> &'static Local {
        Box::leak(Box::new(Local::of(hub)))
    }

    fn of(hub: &'static Hub) -> Local {
        Local {
            #[cfg(all(target_env = "gnu", target_pointer_width = "64"))]
            destructors: match thread_locals::are_own() {
                true => None,
                false => Destructors::watch(),
            },
            hub,
            ready: RefCell::new(VecDeque::new()),
            acceptors: RefCell::new(VecDeque::new()),
            running: Cell::new(None),
            timers: RefCell::new(TimerQueue::new()),
            time: Cell::new(Nanos::now()),
            os_task: Cell::new(std::ptr::null()),
            parked_unwinding: Cell::new(0),
            parked_in_hook: Cell::new(0),
            budget: Cell::new(BUDGET),
            slice_began: Cell::new(Nanos::NEVER),
            gave_way: Cell::new(false),
            #[cfg(feature = "sim")]
            world: None,
        }
    }

    /// Puts a task at the end of its ready queue.
    #[inline]
    pub(crate) fn push(&self, task: Arc<Task>) {
        let accepts = |green: &Green| green.accepting.load(Ordering::Relaxed);
        let queue = match task.green().is_some_and(accepts) {
            true => &self.acceptors,
            false => &self.ready,
        };
        queue.borrow_mut().push_back(task);
    }

    /// The task of the running green thread, which has not waited yet.
    pub(super) fn running(&self) -> *const Task {
        let running = self.running.take();
        let task = running.as_ref().map_or(std::ptr::null(), Arc::as_ptr);
        self.running.set(running);
        task
    }

    /// A handle to `task`, which is the running green thread, for whoever is to
    /// wake it.
    #[inline]
    pub(crate) fn handle(&self, task: &Arc<Task>) -> Arc<Task> {
        self.running.take().unwrap_or_else(|| task.clone())
    }

    /// Puts `task`, which is the running green thread, at the end of the ready
    /// queue and leaves it for the loop.
    pub(crate) fn requeue(&self, task: &Arc<Task>) {
        if let Some(green) = task.green() {
            self.push(self.handle(task));
            self.suspend(task, green);
        }
    }

    /// Moves a task that was just scheduled here to the front of the queue.
    pub(crate) fn hurry(&self, task: &Arc<Task>) {
        let mut ready = self.ready.borrow_mut();
        if ready.back().is_some_and(|last| Arc::ptr_eq(last, task))
            && let Some(task) = ready.pop_back()
        {
            ready.push_front(task);
        }
    }

    /// Whether nothing of the loop's own is being changed, so that the running green thread
    /// may leave for it.
    pub(crate) fn is_settled(&self) -> bool {
        self.ready.try_borrow_mut().is_ok()
            && self.acceptors.try_borrow_mut().is_ok()
            && self.timers.try_borrow_mut().is_ok()
    }

    /// Whether the destructors of this OS thread's thread-locals are running: it
    /// never ends, so a green thread has called exit(3).
    #[inline]
    pub(crate) fn is_ending(&self) -> bool {
        #[cfg(all(target_env = "gnu", target_pointer_width = "64"))]
        if let Some(destructors) = &self.destructors {
            return destructors.are_running();
        }
        false
    }

    /// Leaves the running green thread, which is `task`, for the loop.
    #[inline]
    pub(crate) fn suspend(&self, task: &Task, green: &Green) {
        let here = 0u8;
        green
            .suspended_at
            .store(&raw const here as usize, Ordering::Relaxed);
        match thread_locals::are_own() {
            true => green.legs.leave(),
            false => self.leave_shared(task, green),
        }
    }

    /// Where thread-locals are shared: among them are errno, which the neighbours' system
    /// calls set too, and whether somebody unwinds.
    #[inline]
    fn leave_shared(&self, task: &Task, green: &Green) {
        let errno = sys::errno();
        let unwinding = usize::from(task.is_panicking());
        self.parked_unwinding
            .set(self.parked_unwinding.get() + unwinding);
        green.legs.leave();
        self.parked_unwinding
            .set(self.parked_unwinding.get() - unwinding);
        sys::set_errno(errno);
    }

    /// To be called after a call that did not wait: says whether the green
    /// thread should now let others run.
    #[inline]
    pub(crate) fn spend(&self) -> bool {
        let left = self.budget.get();
        if left > 0 {
            self.budget.set(left - 1);
            let calls = BUDGET - left + 1;
            if !calls.is_multiple_of(CALLS_PER_LOOK) || !self.slice_is_over() {
                return false;
            }
        }
        self.gave_way.set(true);
        true
    }

    /// As [`spend`](Local::spend), for a call that goes back to its caller for others to run: if that does not let them,
    /// it begins anew.
    pub(crate) fn spend_by_poll(&self) -> bool {
        let spent = self.spend();
        if spent {
            self.budget.set(BUDGET);
            self.slice_began.set(Nanos::NEVER);
        }
        spent
    }

    /// As [`spend`](Local::spend), for calls in memory, which are over in no
    /// time: how many there are does not count, only how long they take.
    pub(crate) fn spend_in_memory(&self) -> bool {
        #[cfg(feature = "sim")]
        if let Some(world) = self.world {
            return world.gives_way();
        }
        let over = self.slice_is_over();
        if over {
            self.gave_way.set(true);
        }
        over
    }

    #[cold]
    fn slice_is_over(&self) -> bool {
        let now = Nanos::now();
        let began = self.slice_began.get();
        if began.is_never() {
            self.slice_began.set(now);
            return false;
        }
        began.until(now) >= SLICE
    }

    /// The loop.
    pub(super) fn run(&self) -> ! {
        let mut events = vec![epoll::EMPTY; EVENTS];
        let mut mail = Vec::new();
        loop {
            count(&self.hub.counters.turns, 1);
            self.take_inbox(&mut mail);
            self.fire_timers();
            self.run_ready();
            if self.hub.stacks.tidy_at() <= self.time.get() {
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
        if self.hub.mail.load(Ordering::Relaxed) {
            self.hub.mail.store(false, Ordering::SeqCst);
            std::mem::swap(&mut *self.hub.inbox.lock(), mail);
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
            let deadline = green.deadline();
            if deadline <= now {
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
        let acceptors = self.acceptors.borrow().len();
        for _ in 0..acceptors {
            let Some(task) = self.acceptors.borrow_mut().pop_front() else {
                break;
            };
            self.resume(task, &mut meter);
        }
        self.gave_way.set(false);
        for n in 0..RESUMES {
            let Some(task) = self.ready.borrow_mut().pop_front() else {
                break;
            };
            if n % FETCHED == 0 {
                self.fetch_group();
            }
            self.fetch_next();
            self.resume(task, &mut meter);
            if self.gave_way.get() {
                break;
            }
        }
        meter.finish(&self.hub.counters);
    }

    /// Has the memory that the next resume touches first brought into the
    /// cache while this one runs. With a thousand connections it is in none:
    /// the misses were a tenth of an echo request, most of them at the
    /// coroutine's context, in the top page of its stack, and at its registers
    /// and frames, where it was suspended.
    fn fetch_next(&self) {
        let ready = self.ready.borrow();
        if let Some(green) = ready.front().and_then(|task| task.green())
            && !green.is_new()
        {
            let suspended_at = green.suspended_at.load(Ordering::Relaxed);
            prefetch(green.legs.context());
            if thread_locals::are_own() {
                thread_locals::prefetch(green.legs.context());
            }
            (0..20).for_each(|line| {
                prefetch(suspended_at.wrapping_sub(640).wrapping_add(line * LINE))
            });
        }
    }

    /// The same for what takes longest: each stack has pages of its own, and
    /// the processor looks up where a page is (a page walk, some hundred
    /// nanoseconds in a virtual machine) before it can even begin to fetch. One
    /// after the other they stood still for a tenth of a request; here several
    /// are looked up at once, for the next [`FETCHED`] threads. The tasks of
    /// those after them are fetched for the next time.
    fn fetch_group(&self) {
        let ready = self.ready.borrow();
        for green in ready.iter().take(FETCHED).filter_map(|task| task.green()) {
            prefetch(green.legs.context());
        }
        for task in ready.iter().skip(FETCHED).take(FETCHED) {
            let task = Arc::as_ptr(task) as usize;
            (0..6).for_each(|line| prefetch(task + line * LINE));
        }
    }

    fn resume(&self, task: Arc<Task>, meter: &mut Meter) {
        count(&self.hub.counters.resumes, 1);
        self.budget.set(BUDGET);
        self.slice_began.set(Nanos::NEVER);
        let before = current::replace(Arc::as_ptr(&task));
        self.running.set(Some(task));
        let over = current::with(|task| {
            let goes_on = self.run_leg(task);
            meter.charge(task);
            (!goes_on).then(|| self.handle(task))
        });
        current::replace(before);
        match over {
            None => drop(self.running.take()),
            Some(task) => self.retire(&task),
        }
    }

    /// Runs the current task until it waits, which gives true, or ends.
    #[inline]
    fn run_leg(&self, task: &Arc<Task>) -> bool {
        let Some(green) = task.green() else {
            return true;
        };
        if green.is_new() {
            if self.put_off(task, green) {
                return true;
            }
            count(&self.hub.counters.begun, 1);
            let local = std::ptr::from_ref(self) as usize;
            green.legs.begin(root::run, local, Arc::as_ptr(task));
        }
        green.legs.run(green.home)
    }

    /// Whether a green thread is to start later only. It then waits like one
    /// that sleeps, but without a stack.
    fn put_off(&self, task: &Arc<Task>, green: &Green) -> bool {
        let start = green.deadline();
        if start.is_never() {
            return false;
        }
        let now = Nanos::now();
        if now < start && !task.interrupts.is_killed() {
            task.site.set(Site::Sleep, now);
            let ticket = task.word.open(false);
            self.timers
                .borrow_mut()
                .at_latest(green, start, || task.clone());
            // As in every wait: the killer sets its flag, then looks for an
            // open ticket. If it has found this one, it has us run again.
            if !task.interrupts.is_killed() || !task.word.close(ticket, Phase::Interrupted) {
                return true;
            }
        }
        green.set_deadline(Nanos::NEVER);
        false
    }

    fn retire(&self, task: &Arc<Task>) {
        let Some(green) = task.green() else { return };
        self.timers.borrow_mut().remove(task);
        let key = green.listed.load(Ordering::Relaxed);
        let listed = self.hub.threads.lock().try_remove(key);
        self.hub.load.fetch_sub(1, Ordering::Relaxed);
        #[cfg(feature = "sim")]
        if let Some(world) = self.world {
            world.ends(task.id);
        }
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
            self.hub.sleeping.store(true, Ordering::SeqCst);
            // Whoever fills the inbox sets `mail` and then looks at `sleeping`.
            if self.hub.mail.load(Ordering::SeqCst) {
                Some(Duration::ZERO)
            } else {
                let next = self.timers.borrow().next();
                let tidy_at = self.hub.stacks.tidy_at();
                next.map_or(tidy_at, |next| next.min(tidy_at)).left()
            }
        } else {
            Some(Duration::ZERO)
        };
        count(&self.hub.counters.polls, 1);
        let timers = self.timers.borrow().len();
        self.hub.counters.timers.store(timers, Ordering::Relaxed);
        let polled = epoll::wait(self.hub.epoll(), events, timeout);
        self.hub.sleeping.store(false, Ordering::Relaxed);
        match polled {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => {
                // Nothing that we know of causes it (epoll_wait(2)); the green
                // threads that are ready, and the timers, go on.
                tell_of_failed_poll(self.hub.index, error);
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

/// Adds to a counter that only this OS thread writes.
#[inline]
fn count(counter: &std::sync::atomic::AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}
