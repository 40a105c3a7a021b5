//! Thread-locals of std and of pthread keys, with initialisers and destructors that wait, beside forks and changes of
//! the user. Of use only where green threads have their own.
#![expect(unsafe_code, reason = "calls what C programs call")]

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::sync::OnceLock;

use super::*;

const THREADS: u64 = 24;
const STEPS: u64 = 30;

static MADE: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Waits while it is made and while it is dropped.
struct Slow {
    of: u64,
    random: Cell<Random>,
}

impl Slow {
    fn make() -> Slow {
        let mut random = Random::new(VALUE.get());
        pause(&mut random);
        MADE.fetch_add(1, SeqCst);
        Slow {
            of: VALUE.get(),
            random: Cell::new(random),
        }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        let mut random = self.random.replace(Random::new(1));
        (0..3).for_each(|_| pause(&mut random));
        DROPPED.fetch_add(1, SeqCst);
    }
}

thread_local! {
    static VALUE: Cell<u64> = const { Cell::new(0) };
    static LIST: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    static SLOW: Slow = Slow::make();
}

fn key() -> libc::pthread_key_t {
    static KEY: OnceLock<libc::pthread_key_t> = OnceLock::new();
    unsafe extern "C" fn free(value: *mut c_void) {
        DROPPED.fetch_add(1, SeqCst);
        yield_now();
        // SAFETY: made by malloc below.
        unsafe { libc::free(value) };
    }
    *KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: `key` lives across the call.
        assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(free)) }, 0);
        key
    })
}

fn use_key(id: u64, random: &mut Random) {
    // SAFETY: memory of this thread's own, which the key's destructor frees.
    unsafe {
        let mut at = libc::pthread_getspecific(key()).cast::<u64>();
        if at.is_null() {
            at = libc::malloc(8).cast();
            at.write(id);
            MADE.fetch_add(1, SeqCst);
            assert_eq!(libc::pthread_setspecific(key(), at.cast()), 0);
        }
        pause(random);
        assert_eq!(at.read(), id);
    }
}

fn fork(id: u64) {
    // SAFETY: the child does no more than look at a value of its own and end.
    unsafe {
        match libc::fork() {
            -1 => {}
            0 => libc::_exit(i32::from(VALUE.get() != id)),
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                assert_eq!(status, 0);
            }
        }
    }
}

fn step(id: u64, random: &mut Random) {
    count(&OPERATIONS);
    match random.below(40) {
        0 => fork(id),
        1 => {
            // SAFETY: no pointers; the ids stay what they are.
            let changed =
                unsafe { libc::setresuid(libc::getuid(), libc::geteuid(), libc::geteuid()) };
            assert_eq!(changed, 0);
        }
        2..8 => SLOW.with(|slow| {
            pause(random);
            assert_eq!(slow.of, id);
        }),
        8..14 => use_key(id, random),
        14..20 => LIST.with_borrow_mut(|list| {
            list.push(id);
            pause(random);
            assert!(list.iter().all(|&one| one == id));
        }),
        20..24 => {
            // SAFETY: the running thread's.
            unsafe { *libc::__errno_location() = id as i32 };
            pause(random);
            // An OS thread's own waits set it.
            let now = io::Error::last_os_error().raw_os_error();
            assert!(now == Some(id as i32) || !green::is_green());
        }
        24..28 => {
            let caught = std::panic::catch_unwind(|| {
                let _waits = finally(|| pause(&mut Random::new(id)));
                std::panic::resume_unwind(Box::new(id));
            });
            match caught.unwrap_err().downcast::<u64>() {
                Ok(payload) => assert_eq!(*payload, id),
                Err(other) => std::panic::resume_unwind(other),
            }
            assert!(!std::thread::panicking());
        }
        28..32 => drop(std::hint::black_box(vec![
            1u8;
            random.below(20_000) as usize
        ])),
        _ => pause(random),
    }
    assert_eq!(VALUE.get(), id);
}

pub fn round(mut random: Random) {
    if green::report().thread_locals.starts_with("shared") {
        return count(&OPERATIONS);
    }
    key();
    let mut crew = Crew::new(&mut random);
    for id in 1..=THREADS {
        crew.any(move |mut random| {
            assert_eq!(VALUE.replace(id), 0);
            for _ in 0..STEPS {
                // A limit that passes cuts a step short, and nothing else.
                limited(&mut random.clone(), || step(id, &mut random));
                assert_eq!(VALUE.get(), id);
            }
        });
    }
    crew.storm();
    let began = Instant::now();
    while MADE.load(SeqCst) != DROPPED.load(SeqCst) {
        assert!(
            began.elapsed() < SETTLES,
            "{MADE:?} made, {DROPPED:?} dropped"
        );
        sleep(MILLISECOND);
    }
}
