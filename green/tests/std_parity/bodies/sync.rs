//! `sync`: locks, condition variables, barriers.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::lib::sync::atomic::{AtomicU32, Ordering};
use super::lib::sync::{
    Arc, Barrier, BarrierWaitResult, Condvar, LockResult, Mutex, MutexGuard, PoisonError, RwLock,
    RwLockReadGuard, RwLockWriteGuard, TryLockError, TryLockResult, WaitTimeoutResult, Weak,
};
use super::lib::thread;
use super::support::{LONG, SHORT, panics, wait_until};
use crate::harness::{PLANNED, Transcript};

parity! {
    topic: sync,
    items: [
        "Mutex::new", "Mutex::lock", "Mutex::try_lock", "Mutex::is_poisoned",
        "Mutex::clear_poison", "Mutex::into_inner", "Mutex::get_mut", "impl Debug for Mutex",
        "impl Default for Mutex", "impl From for Mutex", "impl Debug for MutexGuard",
        "impl Display for MutexGuard", "impl Deref for MutexGuard", "impl DerefMut for MutexGuard",
        "RwLock::new", "RwLock::read", "RwLock::try_read", "RwLock::write", "RwLock::try_write",
        "RwLock::is_poisoned", "RwLock::clear_poison", "RwLock::into_inner", "RwLock::get_mut",
        "RwLockWriteGuard::downgrade", "impl Debug for RwLock", "impl Default for RwLock",
        "impl From for RwLock", "impl Debug for RwLockReadGuard",
        "impl Display for RwLockReadGuard", "impl Debug for RwLockWriteGuard",
        "impl Display for RwLockWriteGuard",
        "Condvar::new", "Condvar::wait", "Condvar::wait_while", "Condvar::wait_timeout",
        "Condvar::wait_timeout_while", "Condvar::wait_timeout_ms", "Condvar::notify_one",
        "Condvar::notify_all", "impl Debug for Condvar", "impl Default for Condvar",
        "WaitTimeoutResult::timed_out", "impl Debug for WaitTimeoutResult",
        "impl PartialEq for WaitTimeoutResult", "impl Clone for WaitTimeoutResult",
        "Barrier::new", "Barrier::wait", "impl Debug for Barrier", "BarrierWaitResult::is_leader",
        "impl Debug for BarrierWaitResult",
        "PoisonError", "TryLockError", "LockResult", "TryLockResult", "Arc", "Weak", "atomic",
    ],
    differs: [],
    bodies: {
        traits: [],
        signatures: ["Mutex::new", "RwLock::new", "Condvar::new", "Barrier::new", "LockResult",
            "TryLockResult"],
        re_exports: ["PoisonError", "TryLockError", "Arc", "Weak", "atomic"],
        mutex_locks: ["Mutex::lock", "Mutex::try_lock", "Mutex::into_inner", "Mutex::get_mut",
            "impl Default for Mutex", "impl From for Mutex", "impl Deref for MutexGuard",
            "impl DerefMut for MutexGuard"],
        mutex_poison: ["Mutex::lock", "Mutex::try_lock", "Mutex::is_poisoned",
            "Mutex::clear_poison", "Mutex::into_inner", "Mutex::get_mut"],
        mutex_locked_while_panicking: ["Mutex::lock", "Mutex::is_poisoned"],
        mutex_shown: ["impl Debug for Mutex", "impl Debug for MutexGuard",
            "impl Display for MutexGuard"],
        mutex_counts: ["Mutex::lock"],
        rwlock_locks: ["RwLock::read", "RwLock::try_read", "RwLock::write", "RwLock::try_write",
            "RwLock::into_inner", "RwLock::get_mut", "impl Default for RwLock",
            "impl From for RwLock"],
        rwlock_downgrades: ["RwLockWriteGuard::downgrade"],
        rwlock_poison: ["RwLock::is_poisoned", "RwLock::clear_poison", "RwLock::try_read",
            "RwLock::try_write", "RwLock::get_mut", "RwLock::into_inner"],
        rwlock_downgraded_is_not_poisoned: ["RwLockWriteGuard::downgrade"],
        rwlock_shown: ["impl Debug for RwLock", "impl Debug for RwLockReadGuard",
            "impl Display for RwLockReadGuard", "impl Debug for RwLockWriteGuard",
            "impl Display for RwLockWriteGuard"],
        condvar_hands_turns_over: ["Condvar::wait", "Condvar::wait_while", "Condvar::notify_one"],
        condvar_notifies_all: ["Condvar::notify_all"],
        condvar_times_out: ["Condvar::wait_timeout", "Condvar::wait_timeout_while",
            "Condvar::wait_timeout_ms", "WaitTimeoutResult::timed_out",
            "impl Debug for WaitTimeoutResult", "impl PartialEq for WaitTimeoutResult",
            "impl Clone for WaitTimeoutResult"],
        condvar_with_a_poisoned_mutex: ["Condvar::wait", "Condvar::wait_timeout",
            "Condvar::wait_while", "Condvar::wait_timeout_while"],
        condvar_shown: ["impl Debug for Condvar", "impl Default for Condvar"],
        barrier_meets: ["Barrier::wait", "BarrierWaitResult::is_leader", "impl Debug for Barrier",
            "impl Debug for BarrierWaitResult"],
    },
}

pub fn traits(t: &mut Transcript) {
    trait_table!(t, [
        Mutex<u8>, Mutex<Cell<u8>>, Mutex<Rc<u8>>, &'static Mutex<Cell<u8>>,
        MutexGuard<'static, u8>, MutexGuard<'static, Cell<u8>>,
        RwLock<u8>, RwLock<Cell<u8>>, RwLock<Rc<u8>>,
        RwLockReadGuard<'static, u8>, RwLockReadGuard<'static, Cell<u8>>,
        RwLockWriteGuard<'static, u8>, RwLockWriteGuard<'static, Cell<u8>>,
        Condvar, WaitTimeoutResult, Barrier, BarrierWaitResult,
    ]);
}

/// Compiles only if the constructors are `const` and the functions have std's signatures.
pub fn signatures(t: &mut Transcript) {
    static _MUTEX: Mutex<u8> = Mutex::new(1);
    static _RWLOCK: RwLock<u8> = RwLock::new(1);
    static _CONDVAR: Condvar = Condvar::new();
    static _BARRIER: Barrier = Barrier::new(1);
    let _: for<'a> fn(&'a Mutex<u8>) -> LockResult<MutexGuard<'a, u8>> = Mutex::lock;
    let _: for<'a> fn(&'a Mutex<u8>) -> TryLockResult<MutexGuard<'a, u8>> = Mutex::try_lock;
    let _: fn(Mutex<u8>) -> LockResult<u8> = Mutex::into_inner;
    let _: for<'a> fn(&'a mut Mutex<u8>) -> LockResult<&'a mut u8> = Mutex::get_mut;
    let _: for<'a> fn(&'a RwLock<u8>) -> LockResult<RwLockReadGuard<'a, u8>> = RwLock::read;
    let _: for<'a> fn(&'a RwLock<u8>) -> TryLockResult<RwLockWriteGuard<'a, u8>> =
        RwLock::try_write;
    let _: fn(RwLockWriteGuard<'static, u8>) -> RwLockReadGuard<'static, u8> =
        RwLockWriteGuard::downgrade;
    let _: for<'a> fn(&Condvar, MutexGuard<'a, u8>) -> LockResult<MutexGuard<'a, u8>> =
        Condvar::wait;
    let _: fn(&WaitTimeoutResult) -> bool = WaitTimeoutResult::timed_out;
    let _: fn(&Barrier) -> BarrierWaitResult = Barrier::wait;
    t.see("compiles", true);
}

/// Compiles only if these are std's own types.
pub fn re_exports(t: &mut Transcript) {
    let _: std::sync::Arc<u8> = Arc::new(1);
    let _: std::sync::Weak<u8> = Weak::new();
    let _: std::sync::PoisonError<u8> = PoisonError::new(1);
    let _: std::sync::TryLockError<u8> = TryLockError::WouldBlock;
    let _: std::sync::atomic::AtomicU32 = AtomicU32::new(1);
    t.see("compiles", true);
}

pub fn mutex_locks(t: &mut Transcript) {
    let mut mutex = Mutex::from(vec![1]);
    let mut guard = mutex.lock().unwrap();
    guard.push(2);
    t.see("try while held", mutex.try_lock().err());
    drop(guard);
    t.see(
        "try when free",
        mutex.try_lock().map(|guard| guard.len()).ok(),
    );
    mutex.get_mut().unwrap().push(3);
    t.see("inner", mutex.into_inner());
    t.see("default", Mutex::<u8>::default().into_inner());
    let unsized_mutex: &Mutex<[u8]> = &Mutex::new([1, 2]);
    unsized_mutex.lock().unwrap()[1] = 5;
    t.see("unsized", &*unsized_mutex.lock().unwrap());
}

pub fn mutex_poison(t: &mut Transcript) {
    let mut mutex = Mutex::new(7);
    let ended = panics(|| {
        let _guard = mutex.lock().unwrap();
        panic!("{PLANNED}while holding");
    });
    t.panic("holder", ended);
    t.see("poisoned", mutex.is_poisoned());
    t.see(
        "lock",
        mutex
            .lock()
            .map(|guard| *guard)
            .map_err(|error| error.to_string()),
    );
    t.see(
        "try_lock",
        mutex
            .try_lock()
            .map(|guard| *guard)
            .map_err(|error| error.to_string()),
    );
    t.see(
        "get_mut",
        mutex.get_mut().map_err(|error| **error.get_ref()),
    );
    t.see("shown", format!("{mutex:?}"));
    mutex.clear_poison();
    t.see("cleared", (mutex.is_poisoned(), mutex.lock().is_ok()));
    let _ = panics(|| {
        let _guard = mutex.lock().unwrap();
        panic!("{PLANNED}again");
    });
    t.see("inner", mutex.into_inner().map_err(PoisonError::into_inner));
    let shared = Arc::new(Mutex::new(()));
    let other = Arc::clone(&shared);
    let joined = thread::spawn(move || {
        let _guard = other.lock().unwrap();
        panic!("{PLANNED}in a thread");
    });
    t.panic("thread", joined.join());
    t.see("by another thread", shared.is_poisoned());
}

pub fn mutex_locked_while_panicking(t: &mut Transcript) {
    struct Locks<'a>(&'a Mutex<u32>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let mutex = Mutex::new(0);
    let _ = panics(|| {
        let _locks = Locks(&mutex);
        panic!("{PLANNED}through the drop");
    });
    t.see("poisoned", mutex.is_poisoned());
    t.see("value", mutex.into_inner());
}

pub fn mutex_shown(t: &mut Transcript) {
    let mutex = Mutex::new("a");
    t.see("free", format!("{mutex:?} {mutex:#?}"));
    let guard = mutex.lock().unwrap();
    t.see("held", format!("{mutex:?} {guard:?} {guard}"));
}

pub fn mutex_counts(t: &mut Transcript) {
    let count = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let mut held = count.lock().unwrap();
                    let before = *held;
                    thread::yield_now();
                    *held = before + 1;
                }
            });
        }
    });
    t.see("count", count.into_inner());
}

pub fn rwlock_locks(t: &mut Transcript) {
    let mut lock = RwLock::from(1);
    {
        let one = lock.read().unwrap();
        let two = lock.try_read().unwrap();
        t.see("both", *one + *two);
        t.see("write while read", lock.try_write().map(|_| ()).err());
    }
    {
        let mut one = lock.write().unwrap();
        *one += 1;
        t.see("read while written", lock.try_read().map(|_| ()).err());
        t.see("write while written", lock.try_write().map(|_| ()).err());
    }
    *lock.get_mut().unwrap() += 1;
    t.see("inner", lock.into_inner());
    t.see("default", RwLock::<u8>::default().into_inner());
}

pub fn rwlock_downgrades(t: &mut Transcript) {
    let lock = Arc::new(RwLock::new(0));
    let mut writer = lock.write().unwrap();
    let reader = {
        let lock = Arc::clone(&lock);
        thread::spawn(move || *lock.read().unwrap())
    };
    *writer = 1;
    let mine = RwLockWriteGuard::downgrade(writer);
    t.see("other", reader.join().unwrap());
    t.see("mine", *mine);
    t.see("write", lock.try_write().map(|_| ()).err());
    drop(mine);
    t.see("write after", lock.try_write().map(|_| ()).is_ok());
}

pub fn rwlock_poison(t: &mut Transcript) {
    let mut lock = RwLock::new(7);
    let _ = panics(|| {
        let _guard = lock.read().unwrap();
        panic!("{PLANNED}while reading");
    });
    t.see("by a reader", lock.is_poisoned());
    let _ = panics(|| {
        let _guard = lock.write().unwrap();
        panic!("{PLANNED}while writing");
    });
    t.see("by a writer", lock.is_poisoned());
    t.see(
        "read",
        lock.read()
            .map(|guard| *guard)
            .map_err(|error| error.to_string()),
    );
    t.see(
        "write",
        lock.write()
            .map(|guard| *guard)
            .map_err(|error| error.to_string()),
    );
    t.see(
        "try_read",
        lock.try_read()
            .map(|guard| *guard)
            .map_err(|error| error.to_string()),
    );
    t.see(
        "try_write",
        lock.try_write()
            .map(|guard| *guard)
            .map_err(|error| error.to_string()),
    );
    t.see("get_mut", lock.get_mut().map_err(|error| **error.get_ref()));
    t.see("shown", format!("{lock:?}"));
    lock.clear_poison();
    t.see("cleared", (lock.is_poisoned(), lock.read().is_ok()));
    t.see("inner", lock.into_inner());
}

pub fn rwlock_downgraded_is_not_poisoned(t: &mut Transcript) {
    let lock = RwLock::new(7);
    let _ = panics(|| {
        let _guard = RwLockWriteGuard::downgrade(lock.write().unwrap());
        panic!("{PLANNED}while reading");
    });
    t.see("poisoned", lock.is_poisoned());
}

pub fn rwlock_shown(t: &mut Transcript) {
    let lock = RwLock::new(1);
    t.see("free", format!("{lock:?} {lock:#?}"));
    let guard = lock.read().unwrap();
    t.see("read", format!("{lock:?} {guard:?} {guard}"));
    drop(guard);
    let mut guard = lock.write().unwrap();
    *guard += 1;
    t.see("written", format!("{lock:?} {guard:?} {guard}"));
}

pub fn condvar_hands_turns_over(t: &mut Transcript) {
    let turn = Mutex::new(0);
    let changed = Condvar::new();
    let play = |mine: u32| {
        for _ in 0..100 {
            let held = turn.lock().unwrap();
            let mut held = changed.wait_while(held, |turn| *turn % 2 != mine).unwrap();
            *held += 1;
            changed.notify_one();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| play(0));
        scope.spawn(|| play(1));
    });
    t.see("turns", turn.into_inner());
}

pub fn condvar_notifies_all(t: &mut Transcript) {
    let state = Mutex::new((0, false));
    let changed = Condvar::new();
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                let mut held = state.lock().unwrap();
                held.0 += 1;
                while !held.1 {
                    held = changed.wait(held).unwrap();
                }
                held.0 -= 1;
            });
        }
        wait_until("all wait", || state.lock().unwrap().0 == 5);
        state.lock().unwrap().1 = true;
        changed.notify_all();
    });
    t.see("left", state.into_inner());
}

pub fn condvar_times_out(t: &mut Transcript) {
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    let start = Instant::now();
    let (guard, result) = condvar.wait_timeout(mutex.lock().unwrap(), SHORT).unwrap();
    t.see("timed out", (result.timed_out(), start.elapsed() >= SHORT));
    t.see("result", (result, Clone::clone(&result) == result));
    let (guard, result) = condvar
        .wait_timeout_while(guard, LONG, |value| *value != 1)
        .unwrap();
    t.see("not needed", result);
    let start = Instant::now();
    let (guard, result) = condvar
        .wait_timeout_while(guard, SHORT, |value| *value == 1)
        .unwrap();
    t.see("while true", (result, start.elapsed() >= SHORT));
    let (guard, result) = condvar.wait_timeout(guard, Duration::ZERO).unwrap();
    t.see("zero", result);
    #[expect(deprecated, reason = "std has it still")]
    let (guard, in_time) = condvar.wait_timeout_ms(guard, 5).unwrap();
    t.see("ms", in_time);
    drop(guard);
    thread::scope(|scope| {
        scope.spawn(|| {
            *mutex.lock().unwrap() = 2;
            condvar.notify_all();
        });
        let (guard, result) = condvar
            .wait_timeout_while(mutex.lock().unwrap(), Duration::MAX, |value| *value != 2)
            .unwrap();
        t.see("for ever", (*guard, result));
    });
}

pub fn condvar_with_a_poisoned_mutex(t: &mut Transcript) {
    let (mutex, condvar) = (Mutex::new(3), Condvar::new());
    let _ = panics(|| {
        let _guard = mutex.lock().unwrap();
        panic!("{PLANNED}while holding");
    });
    let held = || mutex.lock().unwrap_or_else(PoisonError::into_inner);
    let error = condvar.wait_timeout(held(), SHORT).unwrap_err();
    t.see("wait_timeout", (error.to_string(), error.into_inner().1));
    t.see(
        "wait_while",
        condvar
            .wait_while(held(), |_| false)
            .map(|guard| *guard)
            .is_ok(),
    );
    let result = condvar.wait_timeout_while(held(), SHORT, |_| false);
    t.see(
        "wait_timeout_while false",
        result.map(|(guard, result)| (*guard, result)).ok(),
    );
    let result = condvar.wait_timeout_while(held(), SHORT, |_| true);
    t.see(
        "wait_timeout_while true",
        result.map(|(guard, result)| (*guard, result)).ok(),
    );
    let stop = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let waited = condvar.wait(held());
            stop.store(1, Ordering::SeqCst);
            assert!(waited.is_err());
        });
        wait_until("it is woken", || {
            condvar.notify_one();
            stop.load(Ordering::SeqCst) == 1
        });
    });
}

pub fn condvar_shown(t: &mut Transcript) {
    t.see(
        "debug",
        format!("{:?} {:#?}", Condvar::new(), Condvar::default()),
    );
}

pub fn barrier_meets(t: &mut Transcript) {
    let (barrier, leaders) = (Barrier::new(3), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..20 {
                    leaders.fetch_add(barrier.wait().is_leader().into(), Ordering::SeqCst);
                }
            });
        }
    });
    t.see("leaders", leaders.into_inner());
    t.see("alone", format!("{:?} {barrier:?}", Barrier::new(1).wait()));
    t.see("of none", Barrier::new(0).wait().is_leader());
}
