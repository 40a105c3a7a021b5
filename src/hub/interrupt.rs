//! Kills and time limits: how they reach a thread that waits.
//!
//! Both arrive as an unwind with a private payload, raised at the wait under
//! way or the next one, so that code which retries on every error cannot
//! swallow them. A wait that is entered while its thread unwinds, for whatever
//! reason, raises nothing: a second unwind would abort the process. A limit that
//! was set inside the destructor itself is the exception: what it raises is
//! caught before it leaves the destructor.

use std::any::Any;
use std::cell::Cell;
use std::ops::Deref;
use std::panic;
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::current;
use super::held::{self, InHook, is_held};
use super::interrupts::MASK;
pub(crate) use super::interrupts::{Interrupt, Masked, Raised};
use super::task::Task;
use super::wait_word::Phase;
use crate::deadline::Deadline;

/// Whether the process can unwind at all.
pub(crate) const CAN_UNWIND: bool = cfg!(panic = "unwind");

impl Task {
    /// Kills the thread: it unwinds at the wait under way or the next one.
    pub(crate) fn kill(self: &Arc<Task>) {
        self.interrupts.mark_killed();
        if let Some(ticket) = self.word.open_ticket() {
            self.wake(ticket, Phase::Interrupted);
        }
    }

    /// What must not end a wait of this thread, which is the running one.
    #[inline(always)]
    pub(crate) fn masked(&self) -> Masked {
        let masks = self.interrupts.masks();
        if masks >= MASK || self.is_unwinding() {
            Masked::All
        } else if masks > 0 || self.is_nested() {
            Masked::Kills
        } else {
            Masked::Nothing
        }
    }

    /// The interrupt that is to end this thread's next wait at its beginning, if any.
    #[inline(always)]
    pub(crate) fn pending(&self, masked: Masked) -> Option<Interrupt> {
        if masked == Masked::Nothing && self.interrupts.is_killed() {
            return Some(Interrupt::Kill);
        }
        let (limit, scope) = self.interrupts.limit();
        if masked != Masked::All && limit.has_passed() {
            return Some(Interrupt::Elapsed { scope });
        }
        None
    }

    /// Raises what is to be raised before this thread, which is the running
    /// one, may wait.
    #[inline(always)]
    pub(crate) fn raise_pending(&self, masked: Masked) {
        if let Some(interrupt) = self.pending(masked) {
            self.raise(interrupt);
        }
    }

    /// Unwinds the running thread, which is this one.
    pub(crate) fn raise(&self, interrupt: Interrupt) -> ! {
        self.count_interrupt();
        resume_unwind(Box::new(Raised(interrupt)))
    }

    /// Notes that this thread, which is the running one, is told of an interrupt by a code instead of
    /// an unwind. The next wait meets it again. Gives how often it has been told of the same one before.
    pub(crate) fn tell(&self, interrupt: Interrupt) -> u32 {
        self.count_interrupt();
        if let Interrupt::Elapsed { scope } = interrupt {
            self.interrupts.told.store(scope, Ordering::Relaxed);
        }
        self.interrupts.count_told(interrupt)
    }

    /// As [`tell`](Task::tell), where it is a sleep that ends.
    pub(crate) fn tell_asleep(&self, interrupt: Interrupt) -> u32 {
        let before = self.tell(interrupt);
        self.interrupts.woke_a_sleep.store(true, Ordering::Relaxed);
        before
    }

    /// Whether an interrupt is in force that has ended a sleep of this thread, which is the running one.
    pub(crate) fn has_been_woken(&self) -> bool {
        let pending = self.pending(self.masked());
        pending.is_some_and(|interrupt| self.interrupts.has_woken_a_sleep(interrupt))
    }

    fn count_interrupt(&self) {
        if self.interrupts.raised.fetch_add(1, Ordering::Relaxed) > 0 {
            // Somebody ignores it and waits again in a loop: the others must run.
            if let Some(local) = current::local().filter(|_| self.green().is_some() && !is_held()) {
                current::with(|task| local.requeue(task));
            }
        }
    }
}

/// As [`std::panic::resume_unwind`], once no neighbour is suspended in its panic hook: an unwind that
/// began meanwhile would mean to std that the hook is over.
pub(crate) fn resume_unwind(payload: Box<dyn Any + Send>) -> ! {
    while let Some(local) = current::local()
        && local.parked_in_hook.get() > 0
        && current::is_green()
        && !is_held()
    {
        current::with(|task| local.requeue(task));
    }
    panic::resume_unwind(payload)
}

/// While it lives, waits of the running thread are not interrupted.
#[derive(Debug)]
pub(crate) struct Mask(Arc<Task>);

impl Mask {
    pub(crate) fn new() -> Mask {
        current::with(|task| {
            task.interrupts.add_masks(MASK);
            Mask(task.clone())
        })
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        self.0.interrupts.remove_masks(MASK);
    }
}

/// While it lives, neither a kill nor a limit that was set before ends a wait of the running thread.
#[derive(Debug)]
pub(crate) struct Shield<T: Deref<Target = Task> = Arc<Task>> {
    task: T,
    outer: (Deadline, u64),
}

impl Shield {
    pub(crate) fn new() -> Shield {
        Shield::of(current::with(Clone::clone))
    }
}

impl<T: Deref<Target = Task>> Shield<T> {
    /// Of `task`, which is the running thread.
    #[inline]
    pub(crate) fn of(task: T) -> Shield<T> {
        let outer = task.interrupts.limit();
        task.interrupts.set_limit((Deadline::NEVER, 0));
        let shields = task.interrupts.add_masks(1);
        assert!(
            !(shields + 1).is_multiple_of(MASK),
            "shields within shields"
        );
        Shield { task, outer }
    }
}

impl<T: Deref<Target = Task>> Drop for Shield<T> {
    #[inline]
    fn drop(&mut self) {
        self.task.interrupts.remove_masks(1);
        self.task.interrupts.set_limit(self.outer);
    }
}

/// Suspends the running green thread, which is in a panic hook, by `nap`.
pub(crate) fn suspend_in_hook(nap: impl FnOnce()) {
    let Some(local) = current::local() else {
        return;
    };
    let change = |count: &Cell<usize>, by: isize| count.set(count.get().wrapping_add_signed(by));
    let _mask = Mask::new();
    held::leave_hook();
    // It does not unwind yet, but std takes this OS thread for one that panics.
    change(&local.parked_unwinding, 1);
    change(&local.parked_in_hook, 1);
    nap();
    change(&local.parked_in_hook, -1);
    change(&local.parked_unwinding, -1);
    held::enter_hook_again();
    if !std::thread::panicking() {
        eprintln!(
            "green: a green thread began to unwind, by std's resume_unwind, while another was in its panic hook"
        );
        process::abort();
    }
}

/// std's hook names the thread as std knows it: nameless, or, where thread-locals are shared, by its hub's name.
fn name_green_thread() {
    if current::is_green() {
        current::with(|task| {
            let name = task.name.as_deref().unwrap_or("<unnamed>");
            eprintln!("\ngreen thread '{name}' (id {}):", task.id);
        });
    }
}

/// Puts our panic hook in front of the present one: ours marks the OS thread on which a hook runs.
/// Must be called on an OS thread that is not panicking.
pub(crate) fn install_panic_hook() {
    let previous = panic::take_hook();
    // What is there now is std's.
    let std_s = panic::take_hook();
    let is_std_s = std::ptr::eq(&*previous, &*std_s);
    panic::set_hook(Box::new(move |info| {
        let _in_hook = InHook::new();
        if is_std_s {
            name_green_thread();
        }
        previous(info);
    }));
}
