//! futex(2) between the threads of this process. Not by libc: see [`raw`].
#![expect(unsafe_code, reason = "system calls")]

use std::ptr;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::raw;

/// Blocks the OS thread while `word` is `expected`, until a [`wake`] or for so long at most; may return sooner. Nothing is
/// answered, since the caller looks at the word again.
pub(crate) fn wait(word: &AtomicU32, expected: u32, limit: Option<Duration>) {
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    let operation = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as usize;
    let arguments = [
        word.as_ptr() as usize,
        operation,
        expected as usize,
        limit as usize,
        0,
        0,
    ];
    // SAFETY: the kernel reads the word and the limit, which live across the call.
    let _ = unsafe { raw::call(libc::SYS_futex, arguments) };
}

/// Wakes so many of those who wait for `word`.
pub(crate) fn wake(word: &AtomicU32, count: u32) {
    let operation = (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG) as usize;
    let arguments = [word.as_ptr() as usize, operation, count as usize, 0, 0, 0];
    // SAFETY: the kernel takes the address as a name.
    let _ = unsafe { raw::call(libc::SYS_futex, arguments) };
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::thread;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_wait_ends_by_a_wake_by_its_limit_or_at_once_if_the_word_is_another() {
        let word = AtomicU32::new(0);
        wait(&word, 1, None);

        let limit = Duration::from_millis(30);
        let begin = Instant::now();
        while begin.elapsed() < limit {
            wait(&word, 0, Some(limit));
        }

        thread::scope(|scope| {
            scope.spawn(|| {
                while word.load(Ordering::SeqCst) == 0 {
                    wait(&word, 0, None);
                }
            });
            word.store(1, Ordering::SeqCst);
            wake(&word, 1);
        });
    }
}
