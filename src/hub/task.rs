//! A thread of either kind, as the hub and the wait queues see it.
//!
//! Green threads and plain OS threads differ in one thing only: how they
//! suspend and how they are made to run again. Everything that waits, wakes,
//! kills or reports works on a [`Task`] and need not know which it is.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::sys::lock::Lock;

use super::heritage::Heritage;
use super::home::Home;
use super::interrupts::Interrupts;
use super::leg::Legs;
use super::os_parker::OsParker;
use super::site::SiteCell;
use super::values::Values;
use super::wait_word::WaitWord;
use crate::clock::Nanos;
use crate::deadline::{AtomicDeadline, Deadline};
use crate::timer::Timed;

/// What a green thread runs, from its start to its end; it does not unwind.
pub(crate) type Body = Box<dyn FnOnce(Start)>;

/// A future that a green thread without a stack of its own consists of.
pub(crate) trait Polled {
    /// Polls it once, for `task`, which is the running one, and says whether it is over. Does not unwind.
    fn poll(self: Pin<&mut Self>, start: Start, task: &Arc<Task>) -> bool;
}

/// What a body, or a poll, is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    Run,
    /// Drop what was captured: killed before the first run, or between two polls.
    Killed,
}

pub(crate) struct Task {
    /// Never used twice in a process.
    pub(crate) id: u64,
    /// The green thread that started it; 0 if an OS thread did.
    pub(crate) parent: u64,
    pub(crate) name: Option<Box<str>>,
    pub(crate) word: WaitWord,
    pub(crate) site: SiteCell,
    pub(crate) interrupts: Interrupts,
    pub(crate) values: Values,
    pub(crate) heritage: Lock<Heritage>,
    /// What its calls on sockets are part of: when the first of them was made, or a mark of `greenio`'s.
    pub(crate) call: AtomicU64,
    /// `park`'s token, and the ticket of a `park` under way.
    pub(crate) token: AtomicBool,
    /// Whether it must not wait: about to queue, under the queue's lock, in a switch hook, or in a block
    /// [`without_waiting`](super::wait::without_waiting).
    pub(crate) stays: AtomicBool,
    pub(crate) parked: AtomicU64,
    /// The same for `block_on`, and how many of these are under way, one inside the other.
    pub(crate) woken: AtomicBool,
    pub(crate) awaiting: AtomicU64,
    pub(crate) awaits: AtomicU32,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Green(Green),
    Os(OsParker),
}

/// What only a green thread has. The cells marked *home* are touched by the
/// home hub's OS thread alone.
pub(crate) struct Green {
    pub(crate) home: &'static Home<Arc<Task>>,
    pub(crate) legs: Legs,
    pub(crate) stack_size: usize,
    /// Home: an address in the frame of the first function, which no unwind leaves.
    pub(crate) base: AtomicUsize,
    /// Taken by the first leg, or by each poll and put back.
    pub(crate) body: Lock<Option<PinnedBody>>,
    /// Of one without a stack of its own: what its carriers do, which are told an address in the
    /// frame of their first function.
    pub(crate) carried: Option<fn(usize)>,
    /// Home: an address near the end of its stack in use, when suspended.
    pub(crate) suspended_at: AtomicUsize,
    /// When it is to start: [`LONG_AGO`](Nanos::LONG_AGO), if at once.
    pub(crate) start: Nanos,
    /// Home: deadline of the wait under way, and the place of the timer.
    pub(crate) deadline: AtomicDeadline,
    timer: AtomicUsize,
    /// Home: whether it is accepting a connection, and so goes before the others.
    pub(crate) accepting: AtomicBool,
    /// Home: key in the hub's list of green threads.
    pub(crate) listed: AtomicUsize,
    /// Written at home: CPU time in nanoseconds, see [`meter`](super::meter).
    pub(crate) cpu: AtomicU64,
}

/// A body that runs where it was placed: made on one OS thread, run on the
/// home hub's. `spawn` asks for `Send`; `spawn_local` places it on the hub that
/// it is made on.
pub(crate) struct PinnedBody(Work);

enum Work {
    Once(Body),
    Polls {
        future: Pin<Box<dyn Polled>>,
        begun: bool,
    },
}

impl PinnedBody {
    /// Whether nothing of it has run.
    pub(crate) fn is_new(&self) -> bool {
        !matches!(self.0, Work::Polls { begun: true, .. })
    }
}

#[expect(unsafe_code, reason = "a body crosses to its home hub")]
mod pinned {
    use std::pin::Pin;

    use super::{Body, PinnedBody, Polled, Start, Work};

    // SAFETY: constructed only by `new_send` (the body is `Send`) and
    // `new_local` (its caller promises that it does not change OS threads).
    unsafe impl Send for PinnedBody {}

    impl PinnedBody {
        pub(crate) fn new_send(body: Box<dyn FnOnce(Start) + Send>) -> PinnedBody {
            PinnedBody(Work::Once(body))
        }

        /// # Safety
        ///
        /// The body must be run or dropped on the OS thread that it was made on.
        pub(crate) unsafe fn new_local(body: Body) -> PinnedBody {
            PinnedBody(Work::Once(body))
        }

        /// # Safety
        ///
        /// The future may be sent to the OS thread of the hub that it is placed on, which it does
        /// not leave once it was polled.
        pub(crate) unsafe fn new_polled(future: Pin<Box<dyn Polled>>) -> PinnedBody {
            let begun = false;
            PinnedBody(Work::Polls { future, begun })
        }

        /// What is called once.
        pub(crate) fn into_inner(self) -> Option<Body> {
            match self.0 {
                Work::Once(body) => Some(body),
                Work::Polls { .. } => None,
            }
        }

        /// What is polled, which begins with this.
        pub(crate) fn future(&mut self) -> Option<Pin<&mut dyn Polled>> {
            match &mut self.0 {
                Work::Once(_) => None,
                Work::Polls { future, begun } => {
                    *begun = true;
                    Some(future.as_mut())
                }
            }
        }
    }
}

const NO_PLACE: usize = usize::MAX;

impl Task {
    // Inlined, so that it is made where it will be: it is large, and what has just been
    // written in small pieces cannot be copied in large ones at once.
    #[inline(always)]
    pub(crate) fn new(name: Option<Box<str>>, parent: u64, kind: Kind) -> Task {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Task {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            parent,
            name,
            word: WaitWord::default(),
            site: SiteCell::default(),
            interrupts: Interrupts::default(),
            values: Values::default(),
            heritage: Lock::new(Heritage::default()),
            call: AtomicU64::new(0),
            token: AtomicBool::new(false),
            stays: AtomicBool::new(false),
            parked: AtomicU64::new(0),
            woken: AtomicBool::new(false),
            awaiting: AtomicU64::new(0),
            awaits: AtomicU32::new(0),
            kind,
        }
    }

    pub(crate) fn green(&self) -> Option<&Green> {
        match &self.kind {
            Kind::Green(green) => Some(green),
            Kind::Os(_) => None,
        }
    }
}

impl Green {
    #[inline(always)]
    pub(crate) fn new(
        home: &'static Home<Arc<Task>>,
        legs: Legs,
        stack_size: usize,
        body: Option<PinnedBody>,
        start: Nanos,
        carried: Option<fn(usize)>,
    ) -> Green {
        Green {
            home,
            legs,
            stack_size,
            base: AtomicUsize::new(0),
            body: Lock::new(body),
            carried,
            suspended_at: AtomicUsize::new(0),
            start,
            deadline: AtomicDeadline::new(Deadline::NEVER),
            timer: AtomicUsize::new(NO_PLACE),
            accepting: AtomicBool::new(false),
            listed: AtomicUsize::new(0),
            cpu: AtomicU64::new(0),
        }
    }

    /// Whether it has not run yet.
    pub(crate) fn is_new(&self) -> bool {
        match self.carried {
            None => !self.legs.have_begun(),
            Some(_) => self.awaits_its_body(),
        }
    }

    /// Whether it has not run its body yet, nor learned that it must not: the moment from which a kill comes too late to
    /// keep it from running. A little after it [is no longer new](Green::is_new).
    pub(crate) fn awaits_its_body(&self) -> bool {
        self.body.lock().as_ref().is_some_and(PinnedBody::is_new)
    }
}

impl Timed for Green {
    fn place(&self) -> Option<usize> {
        let place = self.timer.load(Ordering::Relaxed);
        (place != NO_PLACE).then_some(place)
    }

    fn set_place(&self, place: Option<usize>) {
        self.timer
            .store(place.unwrap_or(NO_PLACE), Ordering::Relaxed);
    }
}

/// Only green threads have timers; an OS thread's deadline is its system call's.
impl Timed for Arc<Task> {
    fn place(&self) -> Option<usize> {
        self.green().and_then(Timed::place)
    }

    fn set_place(&self, place: Option<usize>) {
        if let Some(green) = self.green() {
            green.set_place(place);
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("waits_for", &self.site.get(&self.word))
            .finish_non_exhaustive()
    }
}
