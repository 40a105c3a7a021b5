//! A lock for short critical sections, on a futex of its own.
//!
//! Two things set it apart from `parking_lot`'s: a program that puts itself
//! between us and libc does not see its system calls (they do not go through
//! libc), and it is one word beside the value.
//!
//! | state | means | who moves it |
//! |---|---|---|
//! | `FREE` | | the holder, when it lets go |
//! | `HELD` | nobody sleeps | whoever finds it free |
//! | `WAITED` | somebody may sleep | who is about to sleep, or has slept |
//!
//! Nobody waits for anything else, runs a user's code or suspends a green thread
//! while he holds one: whoever wants it meanwhile may be a hub.
//!
//! # Safety
//!
//! The value is reached through a [`Guard`] alone, and there is one at a time.
#![expect(unsafe_code, reason = "a lock lends what it guards")]

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering, compiler_fence};

use super::futex;

const FREE: u32 = 0;
const HELD: u32 = 1;
const WAITED: u32 = 2;

/// How often a held lock is looked at before sleeping: either its holder is nearly done, or it has lost its processor,
/// and then looking does not help.
const LOOKS: u32 = 100;

thread_local! {
    /// How many of these locks this thread holds, is about to take, or has just let go: whoever interrupts it may come at
    /// any instruction.
    static HELD_HERE: Cell<u32> = const { Cell::new(0) };
}

/// Whether the running thread holds a lock: then nothing that it calls, such as an allocator, may suspend it, and a signal
/// handler on it may take none.
pub(crate) fn is_any_held() -> bool {
    HELD_HERE.get() != 0
}

/// A lock around data for critical sections of a few instructions, on a futex of its own.
///
/// Whoever finds it held blocks the OS thread, and with it the hub; so nobody may wait, give way, or run a user's code
/// while holding one. Debug builds panic at a wait under one. There is no poison: a panic just unlocks it. It suits the
/// state that a wait queue's `still_needed` looks at.
///
/// ```
/// use green::wait_queue::ShortLock;
///
/// static COUNT: ShortLock<u32> = ShortLock::new(0);
///
/// *COUNT.lock() += 1;
/// assert_eq!(*COUNT.lock(), 1);
/// ```
#[derive(Default)]
pub struct Lock<T: ?Sized> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value to one thread at a time.
unsafe impl<T: ?Sized + Send> Send for Lock<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// An unlocked lock.
    pub const fn new(value: T) -> Lock<T> {
        Lock {
            state: AtomicU32::new(FREE),
            value: UnsafeCell::new(value),
        }
    }
}

impl<T: ?Sized> Lock<T> {
    /// Blocks the OS thread while another one holds the lock.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        HELD_HERE.set(HELD_HERE.get() + 1);
        compiler_fence(Ordering::SeqCst);
        if self.take(FREE, HELD).is_err() {
            self.wait();
        }
        Guard {
            lock: self,
            here: PhantomData,
        }
    }

    /// The value, without locking, since `&mut` proves that nobody else can reach it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    #[inline]
    fn take(&self, from: u32, to: u32) -> Result<u32, u32> {
        self.state
            .compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
    }

    #[cold]
    fn wait(&self) {
        for _ in 0..LOOKS {
            if self.state.load(Ordering::Relaxed) == FREE && self.take(FREE, HELD).is_ok() {
                return;
            }
            std::hint::spin_loop();
        }
        // From here on we take it as one that others may wait for, since we do
        // not know whether they do.
        while self.state.swap(WAITED, Ordering::Acquire) != FREE {
            futex::wait(&self.state, WAITED, None);
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// The right to the value, until it is dropped.
pub struct Guard<'a, T: ?Sized> {
    lock: &'a Lock<T>,
    /// Stays on its OS thread.
    here: PhantomData<*const ()>,
}

impl<T: ?Sized> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this is the one guard (module, # Safety).
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.lock.state.swap(FREE, Ordering::Release) == WAITED {
            futex::wake(&self.lock.state, 1);
        }
        compiler_fence(Ordering::SeqCst);
        HELD_HERE.set(HELD_HERE.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn threads_exclude_each_other() {
        let lock = Arc::new(Lock::new(0u64));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || (0..50_000).for_each(|_| *lock.lock() += 1))
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(*lock.lock(), 200_000);
    }

    #[test]
    fn a_thread_knows_that_it_holds_a_lock() {
        let (first, second) = (Lock::new(()), Lock::new(()));
        assert!(!is_any_held());
        let held = first.lock();
        drop(second.lock());
        assert!(is_any_held());
        let elsewhere = thread::spawn(is_any_held);
        assert!(!elsewhere.join().unwrap());
        drop(held);
        assert!(!is_any_held());
    }

    /// Each instruction of a lock's life, seen from a signal handler on its thread.
    #[cfg(target_arch = "x86_64")]
    mod steps {
        use std::sync::atomic::AtomicUsize;

        use test_support::steps::at_each_instruction;

        use super::*;

        static LOCK: Lock<()> = Lock::new(());
        static HELD_STEPS: AtomicUsize = AtomicUsize::new(0);
        static UNTOLD_STEPS: AtomicUsize = AtomicUsize::new(0);

        fn on_step() {
            if LOCK.state.load(Ordering::Relaxed) != FREE {
                HELD_STEPS.fetch_add(1, Ordering::Relaxed);
                if !is_any_held() {
                    UNTOLD_STEPS.fetch_add(1, Ordering::Relaxed);
                }
            }
        }

        #[test]
        fn a_signal_handler_is_told_of_a_lock_at_each_instruction_that_it_is_held() {
            at_each_instruction(on_step, || {
                for _ in 0..3 {
                    drop(LOCK.lock());
                }
            });
            assert!(HELD_STEPS.load(Ordering::Relaxed) > 0);
            assert_eq!(UNTOLD_STEPS.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn a_waiter_sleeps_while_the_holder_is_away_and_is_woken() {
        let lock = Arc::new(Lock::new(()));
        let held = lock.lock();
        let waiter = {
            let lock = lock.clone();
            thread::spawn(move || {
                let before = crate::sys::thread_cpu_time();
                drop(lock.lock());
                crate::sys::thread_cpu_time() - before
            })
        };
        while lock.state.load(Ordering::Relaxed) != WAITED {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(200));
        drop(held);
        // A look at the word 100 times, not 200 ms of them.
        assert!(waiter.join().unwrap() < Duration::from_millis(100));
        assert_eq!(lock.state.load(Ordering::Relaxed), FREE);
    }
}
