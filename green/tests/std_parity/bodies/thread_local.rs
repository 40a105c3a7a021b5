//! `thread_local!`, `LocalKey`, `AccessError`.

#![allow(
    clippy::missing_const_for_thread_local,
    clippy::let_and_return,
    clippy::type_complexity,
    reason = "every form of the macro is tried, and signatures are written out"
)]

use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::lib::thread::{self, AccessError, LocalKey};
use super::lib::thread_local;
use crate::harness::Transcript;

parity! {
    topic: thread_local,
    items: [
        "thread_local!",
        "LocalKey::with",
        "LocalKey::try_with",
        "LocalKey<Cell>::set",
        "LocalKey<Cell>::get",
        "LocalKey<Cell>::take",
        "LocalKey<Cell>::replace",
        "LocalKey<RefCell>::with_borrow",
        "LocalKey<RefCell>::with_borrow_mut",
        "LocalKey<RefCell>::set",
        "LocalKey<RefCell>::take",
        "LocalKey<RefCell>::replace",
        "impl Debug for LocalKey",
        "impl Clone for AccessError",
        "impl Debug for AccessError",
        "impl Display for AccessError",
        "impl Error for AccessError",
        "impl PartialEq for AccessError",
        "impl Copy for AccessError",
        "impl Eq for AccessError",
    ],
    differs: [],
    bodies: {
        signatures: [],
        every_form_of_the_macro: ["thread_local!", "LocalKey::with"],
        lazily_once_a_thread: ["LocalKey::with"],
        a_value_for_each_thread: ["LocalKey::with"],
        values_outlast_waits: ["LocalKey::with"],
        cells: [
            "LocalKey<Cell>::set", "LocalKey<Cell>::get", "LocalKey<Cell>::take",
            "LocalKey<Cell>::replace",
        ],
        ref_cells: [
            "LocalKey<RefCell>::with_borrow", "LocalKey<RefCell>::with_borrow_mut",
            "LocalKey<RefCell>::set", "LocalKey<RefCell>::take", "LocalKey<RefCell>::replace",
        ],
        borrowed_twice: [
            "LocalKey<RefCell>::with_borrow_mut", "LocalKey<RefCell>::with_borrow",
            "LocalKey<RefCell>::set",
        ],
        set_skips_the_initialiser: ["LocalKey<Cell>::set", "LocalKey<RefCell>::set"],
        initialiser_uses_another: ["LocalKey::with"],
        initialiser_panics: ["LocalKey::with"],
        destructors_run_before_join: ["LocalKey::with"],
        destructors_run_after_a_panic: ["LocalKey::with"],
        destructors_in_order: ["LocalKey::with"],
        destructors_of_const_values: ["thread_local!"],
        in_its_own_destructor: [
            "LocalKey::try_with", "impl Debug for AccessError", "impl Display for AccessError",
            "impl Error for AccessError", "impl PartialEq for AccessError",
            "impl Eq for AccessError", "impl Clone for AccessError", "impl Copy for AccessError",
        ],
        another_in_a_destructor: ["LocalKey::try_with"],
        destructor_makes_a_new_value: ["LocalKey::with"],
        without_destructors: ["LocalKey::try_with"],
        current_in_a_destructor: ["LocalKey::with"],
        waits_in_a_destructor: ["LocalKey::with"],
        of_a_thread_that_never_touched_it: ["LocalKey::with"],
        values_moved_out: ["LocalKey<RefCell>::take"],
        many_keys: ["thread_local!"],
        debug: ["impl Debug for LocalKey"],
    },
}

/// What the destructors of one thread have said, in order.
type Log = Arc<Mutex<Vec<String>>>;

fn log() -> Log {
    Arc::default()
}

fn say(log: &Log, what: impl Into<String>) {
    log.lock()
        .expect("no panic while it was held")
        .push(what.into());
}

fn said(log: &Log) -> Vec<String> {
    log.lock().expect("no panic while it was held").clone()
}

/// Runs `last` with its log when dropped.
struct OnDrop {
    log: Log,
    last: fn(&Log),
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        (self.last)(&self.log);
    }
}

/// Runs the body on a thread of its own and returns what was logged by its end.
fn logged(body: impl FnOnce(&Log) + Send + 'static) -> Vec<String> {
    let log = log();
    let inside = Arc::clone(&log);
    let ended = thread::spawn(move || body(&inside)).join();
    if ended.is_err() {
        say(&log, "the thread panicked");
    }
    said(&log)
}

/// Compiles only if every method has std's signature.
pub fn signatures(t: &mut Transcript) {
    type Shared = LocalKey<RefCell<u8>>;
    let _: fn(&'static LocalKey<u8>, fn(&u8) -> u8) -> u8 = LocalKey::with::<fn(&u8) -> u8, u8>;
    let _: fn(&'static LocalKey<u8>, fn(&u8) -> u8) -> Result<u8, AccessError> =
        LocalKey::try_with::<fn(&u8) -> u8, u8>;
    let _: fn(&'static LocalKey<Cell<u8>>, u8) = LocalKey::<Cell<u8>>::set;
    let _: fn(&'static LocalKey<Cell<u8>>) -> u8 = LocalKey::<Cell<u8>>::get;
    let _: fn(&'static LocalKey<Cell<u8>>) -> u8 = LocalKey::<Cell<u8>>::take;
    let _: fn(&'static LocalKey<Cell<u8>>, u8) -> u8 = LocalKey::<Cell<u8>>::replace;
    let _: fn(&'static Shared, fn(&u8)) = Shared::with_borrow::<fn(&u8), ()>;
    let _: fn(&'static Shared, fn(&mut u8)) = Shared::with_borrow_mut::<fn(&mut u8), ()>;
    let _: fn(&'static Shared, u8) = Shared::set;
    let _: fn(&'static Shared) -> u8 = Shared::take;
    let _: fn(&'static Shared, u8) -> u8 = Shared::replace;
    t.see("compiles", true);
}

mod forms {
    //! Keys declared in every way the macro takes.
    use super::{Cell, RefCell, thread_local};

    thread_local! {
        pub static LAZY: Cell<u32> = Cell::new(1);
        /// With a doc comment.
        pub(crate) static CRATE: RefCell<Vec<u8>> = RefCell::new(vec![2]);
        pub(super) static CONSTANT: Cell<u32> = const { Cell::new(3) };
        pub(in super::super) static BLOCK: u32 = {
            let four = 2 + 2;
            four
        };
        #[allow(dead_code, reason = "shows that an attribute is taken")]
        static PRIVATE: u8 = 5;
    }
    thread_local!(pub static NO_SEMICOLON: u32 = 6);
    thread_local!(pub static CONSTANT_ALONE: u32 = const { 7 });
    thread_local! {}
    thread_local! {
        pub static CONSTANT_BLOCK: [u8; 3] = const {
            let mut bytes = [0; 3];
            bytes[1] = 8;
            bytes
        };
        pub static CONSTANT_WITH_DROP: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        pub static CLOSURE: fn(u8) -> u8 = |byte| byte + 9;
    }
}

pub fn every_form_of_the_macro(t: &mut Transcript) {
    t.see("lazy", forms::LAZY.get());
    t.see("pub(crate)", forms::CRATE.with_borrow(Clone::clone));
    t.see("const", forms::CONSTANT.get());
    t.see("block", forms::BLOCK.with(|value| *value));
    t.see("no semicolon", forms::NO_SEMICOLON.with(|value| *value));
    t.see("const alone", forms::CONSTANT_ALONE.with(|value| *value));
    t.see("const block", forms::CONSTANT_BLOCK.with(|value| *value));
    forms::CONSTANT_WITH_DROP.with_borrow_mut(|bytes| bytes.push(1));
    t.see("const with drop", forms::CONSTANT_WITH_DROP.take());
    t.see("closure", forms::CLOSURE.with(|add| add(1)));
    thread_local!(static IN_A_FUNCTION: Cell<u8> = const { Cell::new(10) });
    t.see("in a function", IN_A_FUNCTION.replace(11));
    t.see("replaced", IN_A_FUNCTION.get());
    let key: &'static LocalKey<Cell<u8>> = &IN_A_FUNCTION;
    t.see("by reference", key.get());
}

pub fn lazily_once_a_thread(t: &mut Transcript) {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static KEY: usize = MADE.fetch_add(1, Ordering::AcqRel));
    let before = MADE.load(Ordering::Acquire);
    let threads: Vec<_> = (0..4)
        .map(|_| thread::spawn(|| KEY.with(|value| *value) == KEY.with(|value| *value)))
        .collect();
    for thread in threads {
        t.see("the same twice", thread.join().ok());
    }
    t.see("made", MADE.load(Ordering::Acquire) - before);
}

pub fn a_value_for_each_thread(t: &mut Transcript) {
    thread_local!(static KEY: Cell<usize> = const { Cell::new(0) });
    KEY.set(100);
    let threads: Vec<_> = (1..=5)
        .map(|number| {
            thread::spawn(move || {
                let before = KEY.replace(number);
                thread::yield_now();
                (before, KEY.get())
            })
        })
        .collect();
    for thread in threads {
        t.see("of its own", thread.join().ok());
    }
    t.see("of this one", KEY.get());
}

pub fn values_outlast_waits(t: &mut Transcript) {
    thread_local!(static KEY: RefCell<Vec<usize>> = RefCell::default());
    let threads: Vec<_> = (0..5)
        .map(|number| {
            thread::spawn(move || {
                for round in 0..5 {
                    KEY.with_borrow_mut(|values| {
                        values.push(number * 10 + round);
                        // Waiting with the value borrowed is no one else's business.
                        thread::sleep(std::time::Duration::from_millis(1));
                    });
                }
                KEY.take()
            })
        })
        .collect();
    for thread in threads {
        t.see("values", thread.join().ok());
    }
}

pub fn cells(t: &mut Transcript) {
    thread_local!(static KEY: Cell<u32> = const { Cell::new(5) });
    t.see("get", KEY.get());
    KEY.set(6);
    t.see("set", KEY.get());
    t.see("replace", KEY.replace(7));
    t.see("take", KEY.take());
    t.see("taken", KEY.get());
    thread_local!(static TEXT: Cell<Option<String>> = const { Cell::new(None) });
    TEXT.set(Some("text".into()));
    t.see("not Copy", TEXT.take());
    t.see("taken", TEXT.take());
}

pub fn ref_cells(t: &mut Transcript) {
    thread_local!(static KEY: RefCell<Vec<u32>> = RefCell::new(vec![1]));
    t.see("borrow", KEY.with_borrow(Vec::len));
    KEY.with_borrow_mut(|values| values.push(2));
    t.see("borrow_mut", KEY.with_borrow(Clone::clone));
    t.see("replace", KEY.replace(vec![3]));
    KEY.set(vec![4, 5]);
    t.see("take", KEY.take());
    t.see("taken", KEY.with_borrow(Vec::is_empty));
    t.see(
        "nested",
        KEY.with_borrow(|one| KEY.with_borrow(|two| one == two)),
    );
}

pub fn borrowed_twice(t: &mut Transcript) {
    thread_local!(static KEY: RefCell<u8> = const { RefCell::new(0) });
    let panics = |clash: fn()| panic::catch_unwind(clash).is_err();
    // Without this the hook would print what is planned here.
    let clashes: [fn(); 4] = [
        || KEY.with_borrow(|_| KEY.with_borrow_mut(|_| ())),
        || KEY.with_borrow_mut(|_| KEY.with_borrow(|_| ())),
        || KEY.with_borrow(|_| KEY.set(1)),
        || KEY.with_borrow(|_| assert_eq!(KEY.take(), 0)),
    ];
    for clash in clashes {
        t.see("panics", panics(clash));
    }
    KEY.set(9);
    t.see("usable afterwards", KEY.take());
}

pub fn set_skips_the_initialiser(t: &mut Transcript) {
    fn forbidden<T>() -> T {
        panic!("the initialiser ran")
    }
    thread_local!(static CELL: Cell<u8> = forbidden());
    thread_local!(static SHARED: RefCell<u8> = forbidden());
    CELL.set(1);
    t.see("Cell", CELL.get());
    SHARED.set(2);
    t.see("RefCell", SHARED.with_borrow(|value| *value));
}

pub fn initialiser_uses_another(t: &mut Transcript) {
    thread_local!(static FIRST: u32 = SECOND.with(|value| value + 1));
    thread_local!(static SECOND: u32 = THIRD.with(|value| value + 1));
    thread_local!(static THIRD: u32 = 1);
    t.see("first", FIRST.with(|value| *value));
    t.see(
        "in a thread",
        thread::spawn(|| FIRST.with(|value| *value)).join().ok(),
    );
}

pub fn initialiser_panics(t: &mut Transcript) {
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static KEY: usize = {
            let tries = TRIES.fetch_add(1, Ordering::AcqRel);
            assert!(tries % 2 == 1, "planned: the initialiser panics");
            tries % 2
        };
    }
    let first = panic::catch_unwind(|| KEY.with(|value| *value));
    t.panic("first", first);
    t.see("tried again", KEY.with(|value| *value));
    t.see("kept", KEY.with(|value| *value));
}

pub fn destructors_run_before_join(t: &mut Transcript) {
    thread_local!(static KEY: RefCell<Option<OnDrop>> = const { RefCell::new(None) });
    for _ in 0..20 {
        let seen = logged(|log| {
            let log = Arc::clone(log);
            KEY.set(Some(OnDrop {
                log,
                last: |log| say(log, "dropped"),
            }));
        });
        t.see("said", seen);
    }
}

pub fn destructors_run_after_a_panic(t: &mut Transcript) {
    thread_local!(static KEY: RefCell<Option<OnDrop>> = const { RefCell::new(None) });
    let seen = logged(|log| {
        let log = Arc::clone(log);
        KEY.set(Some(OnDrop {
            log,
            last: |log| say(log, format!("dropped, panicking: {}", thread::panicking())),
        }));
        panic!("planned: with a value in a key");
    });
    t.see("said", seen);
}

pub fn destructors_in_order(t: &mut Transcript) {
    thread_local! {
        static FIRST: RefCell<Option<OnDrop>> = RefCell::default();
        static SECOND: RefCell<Option<OnDrop>> = RefCell::default();
        static THIRD: RefCell<Option<OnDrop>> = RefCell::default();
    }
    let seen = logged(|log| {
        let on_drop = |last| {
            Some(OnDrop {
                log: Arc::clone(log),
                last,
            })
        };
        // The order of the first use counts, not that of the declaration.
        SECOND.set(on_drop(|log| say(log, "second")));
        THIRD.set(on_drop(|log| say(log, "third")));
        FIRST.set(on_drop(|log| say(log, "first")));
        THIRD.with_borrow_mut(|value| drop(value.take()));
        THIRD.set(on_drop(|log| say(log, "third again")));
        say(log, "end of the body");
    });
    t.see("said", seen);
}

pub fn destructors_of_const_values(t: &mut Transcript) {
    thread_local! {
        static CONSTANT: Cell<Option<OnDrop>> = const { Cell::new(None) };
        static LAZY: Cell<Option<OnDrop>> = Cell::new(None);
    }
    for constant_first in [false, true] {
        let seen = logged(move |log| {
            let on_drop = |last| {
                Some(OnDrop {
                    log: Arc::clone(log),
                    last,
                })
            };
            if constant_first {
                CONSTANT.set(on_drop(|log| say(log, "constant")));
            }
            LAZY.set(on_drop(|log| say(log, "lazy")));
            if !constant_first {
                CONSTANT.set(on_drop(|log| say(log, "constant")));
            }
        });
        t.see("said", seen);
    }
}

thread_local! {
    static OWN: RefCell<Option<OnDrop>> = RefCell::default();
    static OWN_CONSTANT: RefCell<Option<OnDrop>> = const { RefCell::new(None) };
}

pub fn in_its_own_destructor(t: &mut Transcript) {
    fn ask(log: &Log, key: &'static LocalKey<RefCell<Option<OnDrop>>>) {
        match key.try_with(|_| ()) {
            Ok(()) => say(log, "there"),
            Err(error) => {
                let copy = error;
                let as_error: &dyn std::error::Error = &error;
                say(log, format!("{error:?}, {}", copy == error));
                say(log, format!("shown: {}", !as_error.to_string().is_empty()));
                say(log, format!("source: {}", as_error.source().is_some()));
            }
        }
    }
    let seen = logged(|log| {
        let log = Arc::clone(log);
        OWN.set(Some(OnDrop {
            log,
            last: |log| ask(log, &OWN),
        }));
    });
    t.see("lazy", seen);
    let seen = logged(|log| {
        let log = Arc::clone(log);
        OWN_CONSTANT.set(Some(OnDrop {
            log,
            last: |log| ask(log, &OWN_CONSTANT),
        }));
    });
    t.see("const", seen);
}

thread_local! {
    static EARLY: RefCell<Option<OnDrop>> = RefCell::default();
    static LATE: RefCell<Option<OnDrop>> = RefCell::default();
    static UNTOUCHED: Cell<u8> = Cell::new(3);
}

pub fn another_in_a_destructor(t: &mut Transcript) {
    fn ask(log: &Log) {
        say(
            log,
            format!("early is there: {}", EARLY.try_with(|_| ()).is_ok()),
        );
        say(
            log,
            format!("late is there: {}", LATE.try_with(|_| ()).is_ok()),
        );
        say(
            log,
            format!("untouched: {:?}", UNTOUCHED.try_with(Cell::get)),
        );
    }
    let seen = logged(|log| {
        EARLY.set(Some(OnDrop {
            log: Arc::clone(log),
            last: ask,
        }));
        LATE.set(Some(OnDrop {
            log: Arc::clone(log),
            last: ask,
        }));
    });
    t.see("said", seen);
}

thread_local! {
    static FIRST_LIFE: RefCell<Option<OnDrop>> = RefCell::default();
    static BORN_IN_DESTRUCTOR: RefCell<Option<OnDrop>> = RefCell::default();
}

pub fn destructor_makes_a_new_value(t: &mut Transcript) {
    let seen = logged(|log| {
        FIRST_LIFE.set(Some(OnDrop {
            log: Arc::clone(log),
            last: |log| {
                say(log, "first");
                BORN_IN_DESTRUCTOR.set(Some(OnDrop {
                    log: Arc::clone(log),
                    last: |log| say(log, "born in a destructor"),
                }));
                say(log, "first ends");
            },
        }));
    });
    t.see("said", seen);
}

thread_local! {
    static PLAIN: Cell<u8> = const { Cell::new(1) };
    static PLAIN_LAZY: Cell<u8> = Cell::new(2);
    static ASKS_PLAIN: RefCell<Option<OnDrop>> = RefCell::default();
}

pub fn without_destructors(t: &mut Transcript) {
    fn ask(log: &Log) {
        let values = (PLAIN.try_with(Cell::get), PLAIN_LAZY.try_with(Cell::get));
        say(log, format!("{values:?}"));
    }
    let seen = logged(|log| {
        PLAIN.set(10);
        ASKS_PLAIN.set(Some(OnDrop {
            log: Arc::clone(log),
            last: ask,
        }));
        PLAIN_LAZY.set(20);
    });
    t.see("said", seen);
}

pub fn current_in_a_destructor(t: &mut Transcript) {
    thread_local!(static KEY: RefCell<Option<OnDrop>> = RefCell::default());
    let log = log();
    let inside = Arc::clone(&log);
    let handle = thread::Builder::new().name("named".into()).spawn(move || {
        let log = Arc::clone(&inside);
        KEY.set(Some(OnDrop {
            log,
            last: |log| {
                let current = thread::current();
                say(log, format!("{:?}", current.name()));
                say(log, format!("{}", current.id() == thread::current().id()));
            },
        }));
    });
    t.see("ended well", handle.expect("spawn").join().is_ok());
    t.see("said", said(&log));
}

pub fn waits_in_a_destructor(t: &mut Transcript) {
    thread_local!(static KEY: RefCell<Option<OnDrop>> = RefCell::default());
    let seen = logged(|log| {
        let log = Arc::clone(log);
        KEY.set(Some(OnDrop {
            log,
            last: |log| {
                thread::sleep(std::time::Duration::from_millis(5));
                thread::yield_now();
                let child = thread::spawn(|| 5).join();
                say(log, format!("joined {:?}", child.ok()));
                thread::current().unpark();
                thread::park();
                say(log, "parked");
            },
        }));
    });
    t.see("said", seen);
}

pub fn of_a_thread_that_never_touched_it(t: &mut Transcript) {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static KEY: usize = MADE.fetch_add(1, Ordering::AcqRel));
    let before = MADE.load(Ordering::Acquire);
    t.see("ended well", thread::spawn(|| ()).join().is_ok());
    t.see("made", MADE.load(Ordering::Acquire) - before);
    t.see("touched", KEY.with(|value| *value) - before);
}

pub fn values_moved_out(t: &mut Transcript) {
    thread_local!(static KEY: RefCell<Option<OnDrop>> = RefCell::default());
    let log = log();
    let inside = Arc::clone(&log);
    let handle = thread::spawn(move || {
        KEY.set(Some(OnDrop {
            log: inside,
            last: |log| say(log, "dropped"),
        }));
        KEY.take()
    });
    let value = handle.join().expect("join");
    t.see("not with the thread", said(&log));
    drop(value);
    t.see("with its owner", said(&log));
}

pub fn many_keys(t: &mut Transcript) {
    macro_rules! keys {
        ($($key:ident)*) => {
            thread_local! { $(static $key: Cell<usize> = Cell::new(stringify!($key).len());)* }
            fn sum() -> usize {
                0 $(+ $key.replace($key.get() + 1))*
            }
        };
    }
    keys!(A BB CCC DDDD EEEEE FFFFFF GGGGGGG HHHHHHHH I JJ KKK LLLL MMMMM NNNNNN OOOOOOO PPPPPPPP);
    for _ in 0..2 {
        let seen = thread::spawn(|| (sum(), sum())).join();
        t.see("sums", seen.ok());
    }
}

pub fn debug(t: &mut Transcript) {
    thread_local!(static KEY: Cell<u8> = const { Cell::new(0) });
    t.see("key", &KEY);
}
