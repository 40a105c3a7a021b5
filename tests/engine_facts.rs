//! What the engine rests on and the documentation of `may` and `generator` does not promise.
//!
//! Run it before moving either pin. It talks to `may` as `src/engine.rs` does,
//! and to nothing of ours.
#![expect(unsafe_code, reason = "may's spawn_local is an unsafe function")]

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use may::coroutine;
use may::sync::FastBlocker;

use test_support::child::alone;

const LIMIT: Duration = Duration::from_secs(40);
/// Bytes of a stack here.
const STACK: usize = 64 * 1024;

/// Sets `may` up as the engine does.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        may::config()
            .set_workers(1)
            .set_stack_size(STACK / 8)
            .set_pool_capacity(1)
            .set_worker_pin(false);
        start(|| ());
        may::config().set_pool_capacity(1000);
    });
}

fn start(body: impl FnOnce() + 'static) {
    start_sized(STACK, body);
}

fn start_sized(bytes: usize, body: impl FnOnce() + 'static) {
    struct Pinned(Box<dyn FnOnce()>);
    // SAFETY: what is started here is resumed on this OS thread alone.
    unsafe impl Send for Pinned {}
    impl Pinned {
        fn call(self) {
            (self.0)();
        }
    }
    let body = Pinned(Box::new(body));
    // SAFETY: nobody cancels: the handle is dropped.
    let handle = unsafe {
        coroutine::Builder::new()
            .stack_size(bytes / 8)
            .spawn_local(move || body.call())
    };
    drop(handle.unwrap());
}

fn blocker() -> Rc<FastBlocker> {
    Rc::new(FastBlocker::default())
}

fn park(blocker: &FastBlocker) {
    let _ = blocker.park(None);
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Address of the running function's frame, about.
#[inline(never)]
fn here() -> usize {
    let local = 0u8;
    &raw const local as usize
}

#[test]
fn starting_and_resuming_run_the_coroutine_at_once_on_the_caller() {
    prepare();
    test_support::bounded("at once", LIMIT, || {
        let steps = Rc::new(RefCell::new(Vec::new()));
        let (log, blocker) = (steps.clone(), blocker());
        let own = blocker.clone();
        let caller = thread::current().id();
        steps.borrow_mut().push("before");
        start(move || {
            assert_eq!(thread::current().id(), caller);
            log.borrow_mut().push("first leg");
            park(&own);
            assert_eq!(thread::current().id(), caller);
            log.borrow_mut().push("second leg");
        });
        steps.borrow_mut().push("between");
        blocker.unpark();
        steps.borrow_mut().push("after");
        assert_eq!(
            *steps.borrow(),
            ["before", "first leg", "between", "second leg", "after"]
        );
    });
}

#[test]
fn a_coroutine_may_suspend_on_one_blocker_after_another() {
    prepare();
    test_support::bounded("blockers", LIMIT, || {
        let blockers: Rc<Vec<_>> = Rc::new((0..100).map(|_| blocker()).collect());
        let (theirs, at) = (blockers.clone(), Rc::new(Cell::new(0)));
        let progress = at.clone();
        start(move || {
            for own in theirs.iter() {
                park(own);
                progress.set(progress.get() + 1);
            }
        });
        for (n, blocker) in blockers.iter().enumerate() {
            assert_eq!(at.get(), n);
            blocker.unpark();
        }
        assert_eq!(at.get(), 100);
    });
}

#[test]
fn over_100_000_resumes_a_coroutine_never_changes_its_os_thread() {
    prepare();
    test_support::bounded("pinned", LIMIT, || {
        // Two OS threads at once, so that there is somewhere to go.
        let pinned = || {
            let resumes = Rc::new(Cell::new(0u32));
            let blockers: Vec<_> = (0..50).map(|_| blocker()).collect();
            for own in &blockers {
                let (own, resumes) = (own.clone(), resumes.clone());
                let home = thread::current().id();
                start(move || {
                    for _ in 0..1000 {
                        park(&own);
                        assert!(thread::current().id() == home);
                        resumes.set(resumes.get() + 1);
                    }
                });
            }
            for _ in 0..1000 {
                blockers.iter().for_each(|blocker| blocker.unpark());
            }
            assert_eq!(resumes.get(), 50_000);
        };
        let other = thread::spawn(pinned);
        pinned();
        other.join().unwrap();
    });
}

#[test]
fn a_payload_caught_at_the_root_comes_out_unchanged_and_one_that_is_not_ends_nothing() {
    prepare();
    let address = Rc::new(Cell::new(0));
    let theirs = address.clone();
    let caught = Rc::new(RefCell::new(None));
    let out = caught.clone();
    start(move || {
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let payload = Box::new(String::from("payload"));
            theirs.set(&raw const *payload as usize);
            resume_unwind(payload)
        }));
        *out.borrow_mut() = ended.err();
    });
    let payload = caught.take().unwrap().downcast::<String>().unwrap();
    assert_eq!(
        (&raw const *payload as usize, payload.as_str()),
        (address.get(), "payload")
    );
    for _ in 0..100 {
        start(|| resume_unwind(Box::new("nobody catches it")));
    }
    let ran = Rc::new(Cell::new(false));
    let theirs = ran.clone();
    start(move || theirs.set(true));
    assert!(ran.get());
}

/// A coroutine that parks in a destructor which an unwind runs, and goes on
/// when the blocker is unparked.
fn parked_in_drop() -> (Rc<FastBlocker>, Rc<Cell<bool>>) {
    let (blocker, ended) = (blocker(), Rc::new(Cell::new(false)));
    let (own, theirs) = (blocker.clone(), ended.clone());
    start(move || {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _parks = OnDrop(|| {
                park(&own);
                assert!(thread::panicking());
            });
            resume_unwind(Box::new(1));
        }));
        assert!(unwound.is_err());
        theirs.set(true);
    });
    (blocker, ended)
}

#[test]
fn one_parked_in_a_drop_makes_panicking_true_for_its_os_thread_alone() {
    prepare();
    let (first, first_ended) = parked_in_drop();
    let (second, second_ended) = parked_in_drop();
    assert!(thread::panicking());
    assert!(!thread::spawn(thread::panicking).join().unwrap());
    let neighbour = Rc::new(Cell::new(0));
    let theirs = neighbour.clone();
    start(move || {
        assert!(thread::panicking());
        // Its own panics are caught as ever.
        for _ in 0..2 {
            let unwound = catch_unwind(|| {
                let _nested = OnDrop(|| ());
                resume_unwind(Box::new(2))
            });
            theirs.set(theirs.get() + u32::from(unwound.is_err()));
        }
    });
    assert_eq!(neighbour.get(), 2);
    // They may end in any order.
    first.unpark();
    assert!(first_ended.get() && !second_ended.get());
    assert!(thread::panicking());
    second.unpark();
    assert!(second_ended.get());
    assert!(!thread::panicking(), "the count is back at zero");
}

#[test]
fn a_second_unwind_out_of_a_drop_aborts() {
    let ended = alone("a_second_unwind_out_of_a_drop_aborts", &[], || {
        prepare();
        start(|| {
            let _raises = OnDrop(|| resume_unwind(Box::new(2)));
            resume_unwind(Box::new(1));
        });
    });
    ended.by(libc::SIGABRT);
}

#[test]
fn a_panic_beside_one_parked_in_the_panic_hook_aborts() {
    let ended = alone(
        "a_panic_beside_one_parked_in_the_panic_hook_aborts",
        &[],
        || {
            prepare();
            thread_local! {
                static BLOCKER: RefCell<Option<Rc<FastBlocker>>> = const { RefCell::new(None) };
            }
            std::panic::set_hook(Box::new(|_| {
                let own = BLOCKER.take();
                if let Some(own) = own {
                    park(&own);
                }
            }));
            BLOCKER.set(Some(blocker()));
            start(|| panic!("parks in the hook"));
            start(|| panic!("beside it"));
        },
    );
    let ended = ended.by(libc::SIGABRT);
    assert!(
        ended.errors.contains("while processing panic"),
        "{}",
        ended.errors
    );
}

#[test]
fn a_first_coroutine_on_a_panicking_os_thread_aborts() {
    let ended = alone(
        "a_first_coroutine_on_a_panicking_os_thread_aborts",
        &[],
        || {
            let _ = thread::spawn(|| {
                let _starts = OnDrop(prepare);
                panic!("planned");
            })
            .join();
        },
    );
    ended.by(libc::SIGABRT);
}

/// Mappings of this process.
fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count()
}

#[test]
fn a_stack_takes_two_mappings_and_only_one_is_made_beforehand() {
    alone(
        "a_stack_takes_two_mappings_and_only_one_is_made_beforehand",
        &[],
        || {
            prepare();
            let mut blockers: Vec<_> = (0..1100).map(|_| blocker()).collect();
            blockers.iter().for_each(|blocker| blocker.unpark());
            let before = mappings();
            blockers = (0..1000)
                .map(|_| {
                    let blocker = blocker();
                    let own = blocker.clone();
                    start(move || park(&own));
                    blocker
                })
                .collect();
            let made = mappings() - before;
            assert!(
                (1980..=2020).contains(&made),
                "{made} mappings for 1000 stacks"
            );
            blockers.iter().for_each(|blocker| blocker.unpark());
            assert!(mappings() >= before + made - 20, "finished stacks are kept");
        },
    )
    .well();
}

#[test]
fn stacks_of_the_configured_size_are_used_again_by_any_os_thread_and_others_are_not_kept() {
    let name =
        "stacks_of_the_configured_size_are_used_again_by_any_os_thread_and_others_are_not_kept";
    alone(name, &[], || {
        prepare();
        static AT: AtomicUsize = AtomicUsize::new(0);
        let place = || {
            start(|| AT.store(here(), SeqCst));
            AT.load(SeqCst).next_multiple_of(4096)
        };
        let mine: HashSet<_> = (0..100).map(|_| place()).collect();
        assert!(mine.len() <= 2, "one after the other on the same stack");
        assert!(mine.contains(&thread::spawn(place).join().unwrap()));
        for odd in [STACK * 2, STACK + 4096] {
            let before = mappings();
            for _ in 0..50 {
                start_sized(odd, || ());
            }
            // Kept, they would be a hundred; other threads of the process map a few meanwhile.
            assert!(mappings() < before + 50, "{odd} bytes: unmapped at the end");
        }
    })
    .well();
}

#[test]
fn a_first_frame_lies_in_the_top_page_and_the_guard_below_the_bottom() {
    alone(
        "a_first_frame_lies_in_the_top_page_and_the_guard_below_the_bottom",
        &[],
        || {
            prepare();
            for size in [STACK, STACK * 4] {
                let at = Rc::new(Cell::new(0));
                let theirs = at.clone();
                let (blocker, maps) = (blocker(), Rc::new(RefCell::new(String::new())));
                let (own, out) = (blocker.clone(), maps.clone());
                start_sized(size, move || {
                    theirs.set(here());
                    park(&own);
                    *out.borrow_mut() = std::fs::read_to_string("/proc/self/maps").unwrap();
                });
                let top = at.get().next_multiple_of(4096);
                blocker.unpark();
                let bottom = top - size;
                let stack = format!("\n{bottom:x}-");
                assert!(maps.borrow().contains(&stack), "no {stack}");
                let below = maps.borrow().lines().any(|line| {
                    let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
                    let address = |hex| usize::from_str_radix(hex, 16).unwrap();
                    address(from) < bottom && address(to) == bottom && line.contains(" ---p ")
                });
                assert!(below, "a guard page below it");
            }
        },
    )
    .well();
}

#[test]
fn eight_words_of_ee_lie_at_the_bottom_of_a_stack() {
    prepare();
    test_support::bounded("mark", LIMIT, || {
        for size in [STACK, STACK * 4] {
            let found = Rc::new(Cell::new([0u8; 64]));
            let mark = found.clone();
            start_sized(size, move || {
                let bottom = here().next_multiple_of(4096) - size;
                // SAFETY: the lowest words of our own stack.
                mark.set(unsafe { (bottom as *const [u8; 64]).read() });
            });
            assert_eq!(found.get(), [0xEE; 64]);
        }
    });
}

#[test]
fn a_stack_that_cannot_be_mapped_is_a_panic_of_the_caller_that_can_be_caught() {
    alone(
        "a_stack_that_cannot_be_mapped_is_a_panic_of_the_caller_that_can_be_caught",
        &[],
        || {
            prepare();
            let refused = catch_unwind(|| start_sized(1 << 46, || unreachable!("it has no stack")));
            assert!(refused.is_err());
            let before = mappings();
            for _ in 0..20 {
                let refused =
                    catch_unwind(|| start_sized(1 << 46, || unreachable!("it has no stack")));
                assert!(refused.is_err());
            }
            // Fewer than one for each: other threads of the process map a few meanwhile.
            assert!(mappings() < before + 20);
            let ran = Rc::new(Cell::new(false));
            let theirs = ran.clone();
            start(move || theirs.set(true));
            assert!(ran.get());
        },
    )
    .well();
}

#[test]
fn the_threads_of_may_are_two_and_sleep() {
    alone("the_threads_of_may_are_two_and_sleep", &[], || {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        prepare();
        for _ in 0..100 {
            start(|| ());
        }
        assert_eq!(threads() - before, 2, "a timer and a worker");
        let switches = || -> u64 {
            let own = std::fs::read_link("/proc/thread-self").unwrap();
            let own = own.file_name().unwrap().to_owned();
            std::fs::read_dir("/proc/self/task")
                .unwrap()
                .map(Result::unwrap)
                .filter(|task| task.file_name() != own)
                .map(|task| std::fs::read_to_string(task.path().join("status")).unwrap())
                .map(|status| {
                    let line = status
                        .lines()
                        .find(|line| line.starts_with("voluntary_ctxt"));
                    line.unwrap()
                        .split('\t')
                        .nth(1)
                        .unwrap()
                        .parse::<u64>()
                        .unwrap()
                })
                .sum()
        };
        // On a busy machine they may be late to their sleep; who wakes up does so in each window.
        let they_sleep = (0..4).any(|_| {
            thread::sleep(Duration::from_millis(50));
            let before = switches();
            thread::sleep(Duration::from_millis(300));
            switches() == before
        });
        assert!(they_sleep, "wake-ups in each of four windows");
    })
    .well();
}
