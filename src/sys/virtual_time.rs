//! The clocks and the entropy of an OS thread that runs a simulation.
//!
//! `std::time::Instant::now`, chrono and C code all ask libc, and none of them can be told otherwise. So the four functions
//! of libc that tell the time or give random bytes are defined here, and a program that is linked with this crate calls
//! these. On an OS thread that runs no simulation they hand over to libc's own.
#![expect(
    unsafe_code,
    reason = "stands in for functions of libc, with pointers of their callers"
)]

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Both clocks of a simulation, and its random bytes.
#[derive(Debug)]
pub(crate) struct Virtual {
    /// Nanoseconds of CLOCK_MONOTONIC.
    now: AtomicU64,
    entropy: AtomicU64,
}

/// CLOCK_MONOTONIC at the start of each simulation: 36 years, so that it is later than any moment of the real clock, and
/// any duration can be taken from it.
pub(crate) const BEGIN: u64 = 1 << 60;
/// CLOCK_REALTIME then: the first second of 2026.
const BEGIN_DATE: u64 = 1_767_225_600;

const SECOND: u64 = 1_000_000_000;

impl Virtual {
    pub(crate) const fn new() -> Virtual {
        Virtual {
            now: AtomicU64::new(BEGIN),
            entropy: AtomicU64::new(0),
        }
    }

    /// Back to the start, with other random bytes.
    pub(crate) fn restart(&self, entropy: u64) {
        self.now.store(BEGIN, Ordering::Relaxed);
        self.entropy.store(entropy, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn set_now(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// What a clock shows, if it is one that tells the time of day or the time passed.
    fn read(&self, clock: libc::clockid_t) -> Option<u64> {
        match clock {
            libc::CLOCK_MONOTONIC
            | libc::CLOCK_MONOTONIC_COARSE
            | libc::CLOCK_MONOTONIC_RAW
            | libc::CLOCK_BOOTTIME => Some(self.now()),
            libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => {
                Some(BEGIN_DATE * SECOND + (self.now() - BEGIN))
            }
            _ => None,
        }
    }

    /// The next eight bytes, by splitmix64.
    fn random(&self) -> [u8; 8] {
        let state = self
            .entropy
            .load(Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.entropy.store(state, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_ne_bytes()
    }
}

thread_local! {
    static HERE: Cell<Option<&'static Virtual>> = const { Cell::new(None) };
}

/// From now on this thread has these clocks.
pub(crate) fn enter(clocks: Option<&'static Virtual>) {
    HERE.set(clocks);
}

fn here() -> Option<&'static Virtual> {
    // While the thread ends there may be none any more.
    HERE.try_with(Cell::get).ok().flatten()
}

/// libc's own function of this name, found once; 0 if there is none to be found.
struct Next {
    name: &'static CStr,
    address: AtomicUsize,
}

impl Next {
    const UNKNOWN: usize = 1;

    const fn new(name: &'static CStr) -> Next {
        Next {
            name,
            address: AtomicUsize::new(Next::UNKNOWN),
        }
    }

    fn address(&self) -> usize {
        match self.address.load(Ordering::Relaxed) {
            Next::UNKNOWN => {
                // SAFETY: the name is a C string.
                let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) } as usize;
                self.address.store(found, Ordering::Relaxed);
                found
            }
            address => address,
        }
    }
}

/// `clock_gettime(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, spec: *mut libc::timespec) -> c_int {
    type Function = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;
    static NEXT: Next = Next::new(c"clock_gettime");
    if let Some(nanos) = here().and_then(|clocks| clocks.read(clock)) {
        let time = libc::timespec {
            tv_sec: (nanos / SECOND) as libc::time_t,
            tv_nsec: (nanos % SECOND) as libc::c_long,
        };
        // SAFETY: the caller gives room for one.
        unsafe { spec.write(time) };
        return 0;
    }
    match NEXT.address() {
        // SAFETY: the caller's pointer; the system call is what the function stands for.
        0 => unsafe { libc::syscall(libc::SYS_clock_gettime, clock, spec) as c_int },
        address => {
            // SAFETY: libc's function of this name has this type.
            let next = unsafe { mem::transmute::<usize, Function>(address) };
            // SAFETY: as the caller promises.
            unsafe { next(clock, spec) }
        }
    }
}

/// `gettimeofday(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn gettimeofday(time: *mut libc::timeval, zone: *mut c_void) -> c_int {
    let mut spec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `spec` lives across the call.
    let result = unsafe { clock_gettime(libc::CLOCK_REALTIME, &raw mut spec) };
    if result == 0 && !time.is_null() {
        let told = libc::timeval {
            tv_sec: spec.tv_sec,
            tv_usec: spec.tv_nsec / 1000,
        };
        // SAFETY: the caller gives room for one, or none.
        unsafe { time.write(told) };
    }
    if !zone.is_null() {
        // SAFETY: the caller gives room for the two ints of a time zone, which Linux does not have.
        unsafe { zone.cast::<[c_int; 2]>().write([0; 2]) };
    }
    result
}

/// `time(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn time(seconds: *mut libc::time_t) -> libc::time_t {
    let mut spec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `spec` lives across the call.
    unsafe { clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut spec) };
    if !seconds.is_null() {
        // SAFETY: the caller gives room for one, or none.
        unsafe { seconds.write(spec.tv_sec) };
    }
    spec.tv_sec
}

/// `getrandom(2)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    let Some(entropy) = here() else {
        // SAFETY: as the caller promises.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as isize };
    };
    let mut filled = 0;
    while filled < length {
        let bytes = entropy.random();
        let count = bytes.len().min(length - filled);
        // SAFETY: the caller gives room for `length` bytes.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast::<u8>().add(filled), count) };
        filled += count;
    }
    length as isize
}
