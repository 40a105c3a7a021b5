//! Turning the patch on.
#![expect(
    unsafe_code,
    reason = "whoever patches answers for all code of the program"
)]

use std::io;

use crate::Patch;

/// Makes blocking calls of unmodified code park the green thread that makes them.
///
/// Call it at the start of `main`, after `green::Config` and before any green thread waits. It
/// starts the hubs. For OS threads nothing changes. A second call adds what it names; a patch
/// cannot be undone.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use green_monkey::{Patch, monkey_patch};
///
/// // SAFETY: nothing in this program keeps an OS thread to itself over a blocking call.
/// unsafe { monkey_patch(Patch::all()) }?;
/// let before = Instant::now();
/// let naps: Vec<_> = (0..100)
///     .map(|_| green::thread::spawn(|| std::thread::sleep(Duration::from_millis(20))))
///     .collect();
/// naps.into_iter().for_each(|nap| nap.join().unwrap());
/// assert!(before.elapsed() < Duration::from_secs(1));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// `Unsupported` if green threads have no thread-locals of their own here
/// (`green::ThreadLocals`), if the C library is not a shared glibc, or if the
/// self-test finds that std or libraries do not reach the patch: it names the functions. Nothing
/// is patched then. What keeps the hubs from starting.
///
/// # Safety
///
/// From then on, while code waits that knows nothing of green threads, others run on the same OS
/// thread. That code must not rely on being alone there: what it keeps by OS thread id (a neighbour
/// can take a recursive mutex of C that is held) or in the OS thread's kernel state (its signal
/// mask, its credentials) it shares with its neighbours. A signal handler that runs on a green
/// thread's stack must not wait.
pub unsafe fn monkey_patch(patch: Patch) -> io::Result<()> {
    #[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
    return on::turn_on(patch);
    #[cfg(not(all(target_env = "gnu", not(target_feature = "crt-static"))))]
    {
        let _ = patch;
        let text = "the monkey patch needs glibc as a shared library";
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }
}

/// Whether all of `patch` is patched.
///
/// ```
/// use green_monkey::{Patch, is_monkey_patched};
///
/// assert!(!is_monkey_patched(Patch::SOCKET));
/// ```
pub fn is_monkey_patched(patch: Patch) -> bool {
    #[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
    return crate::gate::switched_on().contains(patch);
    #[cfg(not(all(target_env = "gnu", not(target_feature = "crt-static"))))]
    patch.is_empty()
}

/// Calls `f`, inside which the running thread's calls do what they did before the patch: they block
/// its hub.
///
/// ```
/// use std::time::Duration;
///
/// use green_monkey::original;
///
/// green::run(|| original(|| std::thread::sleep(Duration::from_millis(1))));
/// ```
///
/// # Panics
///
/// As `f` does.
pub fn original<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
    return crate::gate::without(f);
    #[cfg(not(all(target_env = "gnu", not(target_feature = "crt-static"))))]
    f()
}

#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
mod on {
    use std::io;
    use std::sync::Mutex;

    use crate::{Patch, gate, hooks, self_test};

    pub(super) fn turn_on(patch: Patch) -> io::Result<()> {
        static PREPARED: Mutex<bool> = Mutex::new(false);
        greenhub::foreign::prepare()?;
        self_test::run(patch)?;
        let mut prepared = PREPARED
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if !*prepared {
            hooks::find_clock();
            hooks::start_late_wakes()?;
            // SAFETY: a function that lives for ever, and only stores a number.
            match unsafe { libc::pthread_atfork(None, None, Some(in_a_child)) } {
                0 => *prepared = true,
                code => return Err(io::Error::from_raw_os_error(code)),
            }
        }
        gate::switch_on(patch);
        Ok(())
    }

    /// The hubs are not there.
    unsafe extern "C" fn in_a_child() {
        gate::switch_off();
    }
}
