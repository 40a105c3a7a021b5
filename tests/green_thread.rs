//! Green threads: starting, joining, killing, panicking, values of their own.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use greenhub::green_thread::{
    self, Builder, JoinHandle, panicking, park, sleep, spawn, spawn_local, yield_now,
};
use greenhub::wait_queue::WaitQueue;
use greenhub::{Config, Killed, Site, State, report, run};

#[path = "util/child.rs"]
mod child;
mod util;

use child::alone;

const LIMIT: Duration = Duration::from_secs(30);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Runs `body` as a green thread on a hub of its own, bounded in time.
fn green<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> T {
    static NEXT_HUB: AtomicUsize = AtomicUsize::new(1);
    prepare();
    util::bounded(name, LIMIT, || {
        Builder::new()
            .hub(NEXT_HUB.fetch_add(1, SeqCst))
            .spawn(body)
            .unwrap()
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// What the green thread waits for now, if it waits.
fn site<T>(handle: &JoinHandle<T>) -> Option<Site> {
    let id = handle.thread().id();
    let report = report();
    match report.threads.iter().find(|thread| thread.id == id)?.state {
        State::Waiting(site) => Some(site),
        _ => None,
    }
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(MILLISECOND / 4);
    }
}

fn is_killed<T>(ended: green_thread::Result<T>) -> bool {
    ended.is_err_and(|payload| payload.is::<Killed>())
}

/// Calls a function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Panics as users do, but prints nothing.
fn planned_panic() -> ! {
    panic!("planned")
}

/// Asks for a hub a test, and keeps planned panics quiet. Before the first green
/// thread: the runtime puts its own hook in front, which must hear of every
/// panic.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        Config::new().hubs(32).apply().unwrap();
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some("planned") {
                previous(info);
            }
        }));
    });
}

/// Panics with a payload that no hook hears of.
fn fail_quietly<T>(payload: T) -> !
where
    T: Send + 'static,
{
    resume_unwind(Box::new(payload))
}

#[test]
fn b1_join_gives_the_value_or_the_panic() {
    green("b1", || {
        assert_eq!(spawn(|| 7).join().unwrap(), 7);
        let payload = spawn(|| fail_quietly(vec![1u8, 2])).join().unwrap_err();
        assert_eq!(*payload.downcast::<Vec<u8>>().unwrap(), [1, 2]);
    });
    // The same for an OS thread that joins.
    assert_eq!(spawn(|| 7).join().unwrap(), 7);
    assert!(spawn(|| fail_quietly(3i32)).join().unwrap_err().is::<i32>());
}

#[test]
fn b2_killed_before_it_ran_a_body_never_runs() {
    green("b2", || {
        let ran = Rc::new(Cell::new(false));
        let theirs = ran.clone();
        let victim = spawn_local(move || theirs.set(true));
        victim.kill().unwrap();
        victim.kill().unwrap();
        assert!(is_killed(victim.join()));
        assert!(!ran.get());
        assert_eq!(Rc::strong_count(&ran), 1, "what it captured is dropped");
    });
}

#[test]
fn b3_a_sleeper_sees_the_kill_before_the_killer_goes_on() {
    green("b3", || {
        let seen = Rc::new(Cell::new(false));
        let theirs = seen.clone();
        let victim = spawn_local(move || {
            let _seen = OnDrop(|| theirs.set(true));
            sleep(Duration::MAX);
        });
        until(|| site(&victim) == Some(Site::Sleep));
        victim.kill().unwrap();
        assert!(seen.get());
        assert!(is_killed(victim.join()));
    });
}

#[test]
fn b3_a_kill_that_was_caught_comes_again_at_the_next_wait() {
    green("b3_caught", || {
        let victim = spawn_local(|| {
            let mut caught = 0;
            for _ in 0..3 {
                if catch_unwind(|| sleep(Duration::MAX)).is_err() {
                    caught += 1;
                }
            }
            caught
        });
        until(|| site(&victim).is_some());
        victim.kill().unwrap();
        assert_eq!(victim.join().unwrap(), 3, "it may still end with a value");
    });
}

#[test]
fn a_kill_swallowed_for_ever_lets_the_neighbours_run() {
    green("swallowed", || {
        let enough = Rc::new(Cell::new(false));
        let theirs = enough.clone();
        let victim = spawn_local(move || {
            while !theirs.get() {
                let _ = catch_unwind(|| sleep(Duration::MAX));
            }
        });
        until(|| site(&victim).is_some());
        victim.kill().unwrap();
        for _ in 0..10 {
            sleep(MILLISECOND);
        }
        enough.set(true);
        victim.join().unwrap();
    });
}

#[test]
fn b4_cancel_works_before_the_start_alone() {
    green("b4", || {
        let early = spawn_local(|| unreachable!("cancelled"));
        assert!(early.cancel());
        assert!(is_killed::<()>(early.join()));

        let late = spawn_local(|| {
            park();
            5
        });
        until(|| site(&late).is_some());
        assert!(!late.cancel());
        late.thread().unpark();
        assert_eq!(late.join().unwrap(), 5);
    });
}

#[test]
fn b6_a_child_outlives_its_parent() {
    let child = green("b6", || spawn_local(|| sleep(MILLISECOND)).thread().id());
    until(|| report().threads.iter().all(|thread| thread.id != child));
}

greenhub::thread_local! {
    static OWN: RefCell<Option<Rc<Cell<u32>>>> = RefCell::new(None);
    static COUNTED: Cell<u32> = Cell::new(MADE.fetch_add(1, SeqCst));
}
static MADE: AtomicU32 = AtomicU32::new(0);

#[test]
fn b7_each_green_thread_has_its_own_values_and_leaves_nothing() {
    green("b7", || {
        let before = MADE.load(SeqCst);
        let shared = Rc::new(Cell::new(0));
        let threads: Vec<_> = (0..100)
            .map(|n| {
                let shared = shared.clone();
                spawn_local(move || {
                    COUNTED.set(n);
                    OWN.set(Some(shared));
                    sleep(MILLISECOND);
                    OWN.with_borrow(|own| own.as_ref().unwrap().set(n));
                    assert_eq!(COUNTED.get(), n, "the neighbours' are others");
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(Rc::strong_count(&shared), 1);
        assert!(MADE.load(SeqCst) >= before);
        spawn_local(|| COUNTED.get()).join().unwrap();
        assert_eq!(MADE.load(SeqCst), before + 1, "made at its first use");
    });
}

#[test]
fn b8_a_kill_never_hits_the_killer() {
    green("b8", || {
        let victims: Vec<_> = (0..50)
            .map(|_| spawn_local(|| sleep(Duration::MAX)))
            .collect();
        for victim in &victims {
            victim.kill().unwrap();
        }
        // No spare wake-up is left behind either.
        let began = Instant::now();
        sleep(20 * MILLISECOND);
        assert!(began.elapsed() >= 20 * MILLISECOND);
        assert!(victims.into_iter().all(|victim| is_killed(victim.join())));
    });
}

#[test]
fn a_kill_ends_every_kind_of_wait() {
    static QUEUE: WaitQueue = WaitQueue::new();
    prepare();
    util::bounded("kinds of waits", LIMIT, || {
        let (end, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let target = spawn(|| sleep(Duration::MAX));
        let id = target.thread().id().as_u64().get();
        let release = Arc::new(Mutex::new(()));
        let held = release.lock().unwrap();
        let theirs = release.clone();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&end);
        let waits: Vec<(Site, JoinHandle<()>)> = vec![
            (Site::Sleep, spawn(|| sleep(Duration::MAX))),
            (Site::Park, spawn(park)),
            (
                Site::Queue("test"),
                spawn(|| {
                    QUEUE.wait("test", None, || true);
                }),
            ),
            (
                Site::Join(id),
                spawn(move || {
                    let _ = target.join();
                }),
            ),
            (
                Site::Readable(fd),
                spawn(move || {
                    greenhub::wait_readable(&fd, None).unwrap();
                }),
            ),
            (
                Site::Queue("blocking call"),
                spawn(move || {
                    greenhub::blocking(move || drop(theirs.lock()));
                }),
            ),
        ];
        for (expected, victim) in waits {
            until(|| site(&victim) == Some(expected));
            victim.kill().unwrap();
            assert!(is_killed(victim.join()), "{expected}");
        }
        assert!(QUEUE.is_empty());
        drop(held);
    });
}

#[test]
fn a_kill_ends_a_yield_loop() {
    green("yield loop", || {
        let victim = spawn_local(|| {
            loop {
                yield_now();
            }
        });
        yield_now();
        victim.kill().unwrap();
        assert!(is_killed::<()>(victim.join()));
    });
}

#[test]
fn a_kill_of_itself_is_raised_at_the_next_wait() {
    green("itself", || {
        let handle = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let reached = Rc::new(Cell::new(0));
        let (own, theirs) = (handle.clone(), reached.clone());
        *handle.borrow_mut() = Some(spawn_local(move || {
            own.borrow().as_ref().unwrap().kill().unwrap();
            theirs.set(1);
            yield_now();
            theirs.set(2);
        }));
        sleep(MILLISECOND);
        let handle = handle.take().unwrap();
        assert!(is_killed(handle.join()));
        assert_eq!(reached.get(), 1);
    });
}

#[test]
fn a_drop_that_waits_while_a_kill_unwinds_is_not_interrupted() {
    green("drop", || {
        let flushed = Rc::new(Cell::new(0));
        let theirs = flushed.clone();
        let victim = spawn_local(move || {
            let _flush = OnDrop(|| {
                for _ in 0..3 {
                    sleep(MILLISECOND);
                    yield_now();
                    theirs.set(theirs.get() + 1);
                }
            });
            sleep(Duration::MAX);
        });
        until(|| site(&victim) == Some(Site::Sleep));
        victim.kill().unwrap();
        victim.kill().unwrap();
        assert!(is_killed(victim.join()));
        assert_eq!(flushed.get(), 3);
    });
}

#[test]
fn captures_of_a_body_killed_before_it_ran_are_dropped_in_full() {
    green("captures", || {
        let flushed = Rc::new(Cell::new(false));
        let theirs = flushed.clone();
        let flush = OnDrop(move || {
            sleep(MILLISECOND);
            theirs.set(true);
        });
        let victim = spawn_local(move || drop(flush));
        victim.kill().unwrap();
        assert!(is_killed(victim.join()));
        assert!(flushed.get(), "its wait was not interrupted");
    });
}

greenhub::thread_local! {
    static FLUSHED: RefCell<Option<OnDrop<Box<dyn FnMut()>>>> = RefCell::new(None);
}

#[test]
fn own_values_of_a_killed_thread_are_dropped_in_full() {
    alone(
        "own_values_of_a_killed_thread_are_dropped_in_full",
        &[],
        || {
            green("own values", || {
                let flushed = Rc::new(Cell::new(false));
                let theirs = flushed.clone();
                let victim = spawn_local(move || {
                    FLUSHED.set(Some(OnDrop(Box::new(move || {
                        sleep(MILLISECOND);
                        theirs.set(true);
                    }))));
                    sleep(Duration::MAX);
                });
                until(|| site(&victim) == Some(Site::Sleep));
                victim.kill().unwrap();
                assert!(is_killed(victim.join()));
                assert!(flushed.get(), "its wait was not interrupted");
            });
        },
    )
    .well();
}

#[test]
fn a_panic_in_the_drop_of_an_own_value_aborts_as_in_std() {
    let ended = alone(
        "a_panic_in_the_drop_of_an_own_value_aborts_as_in_std",
        &[],
        || {
            let thread = spawn(|| {
                FLUSHED.set(Some(OnDrop(Box::new(|| panic!("planned")))));
            });
            let _ = thread.join();
        },
    );
    let ended = ended.by(libc::SIGABRT);
    assert!(
        ended.errors.contains("thread local panicked on drop"),
        "{}",
        ended.errors
    );
}

#[test]
fn a_scope_joins_all_before_a_kill_goes_through() {
    green("scope", || {
        let log = Rc::new(RefCell::new(Vec::new()));
        let theirs = log.clone();
        let parent = spawn_local(move || {
            let lent = AtomicBool::new(false);
            let _end = OnDrop(|| theirs.borrow_mut().push("parent"));
            green_thread::scope(|scope| {
                scope.spawn(|| {
                    sleep(20 * MILLISECOND);
                    lent.store(true, SeqCst);
                });
            });
            theirs.borrow_mut().push("scope");
            assert!(lent.load(SeqCst));
            yield_now();
            theirs.borrow_mut().push("too far");
        });
        until(|| site(&parent) == Some(Site::Queue("end of a scope")));
        parent.kill().unwrap();
        assert!(is_killed(parent.join()));
        assert_eq!(*log.borrow(), ["scope", "parent"]);
    });
}

#[test]
fn joining_itself_panics_as_in_std() {
    green("joining itself", || {
        let handle = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let own = handle.clone();
        let thread = spawn_local(move || {
            let myself = own.borrow_mut().take().unwrap();
            let _ = myself.join();
        });
        let id = thread.thread().id();
        *handle.borrow_mut() = Some(thread);
        until(|| report().threads.iter().all(|thread| thread.id != id));
        assert!(handle.borrow().is_none());
    });
}

/// Starts a green thread that is parked inside a destructor which an unwind
/// runs, until `go` is set.
fn parked_in_drop(go: &Rc<Cell<bool>>) -> JoinHandle<()> {
    let go = go.clone();
    // A flag and not the report: two sleepers in step would show each other
    // ready for ever.
    let unwinds = Rc::new(Cell::new(false));
    let thread = spawn_local({
        let unwinds = unwinds.clone();
        move || {
            let _parked = OnDrop(|| {
                unwinds.set(true);
                while !go.get() {
                    sleep(MILLISECOND / 4);
                }
                assert!(panicking());
            });
            planned_panic();
        }
    });
    until(|| unwinds.get());
    thread
}

#[test]
fn t10_panicking_does_not_leak_to_a_neighbour() {
    green("t10", || {
        let go = Rc::new(Cell::new(false));
        let parked = parked_in_drop(&go);
        assert!(std::thread::panicking(), "the OS thread's count is shared");
        assert!(!panicking());
        let neighbour = spawn_local(|| {
            assert!(!panicking());
            yield_now();
            assert!(!panicking());
        });
        neighbour.join().unwrap();
        assert!(!std::thread::spawn(panicking).join().unwrap());
        go.set(true);
        assert!(parked.join().unwrap_err().is::<&str>());
        assert!(!std::thread::panicking());
    });
}

#[test]
fn t10_a_neighbour_of_one_parked_in_a_drop_panics_and_is_killed_as_ever() {
    green("t10_neighbours", || {
        let go = Rc::new(Cell::new(false));
        let parked = [parked_in_drop(&go), parked_in_drop(&go)];
        let panics = spawn_local(|| {
            let _waits = OnDrop(|| sleep(MILLISECOND));
            planned_panic();
        });
        assert!(panics.join().unwrap_err().is::<&str>());
        let waits = Rc::new(Cell::new(0));
        let theirs = waits.clone();
        let victim = spawn_local(move || {
            let _waits = OnDrop(|| {
                sleep(MILLISECOND);
                theirs.set(1);
            });
            sleep(Duration::MAX);
        });
        until(|| site(&victim) == Some(Site::Sleep));
        victim.kill().unwrap();
        assert!(is_killed(victim.join()));
        assert_eq!(waits.get(), 1);
        assert!(greenhub::timeout(MILLISECOND, || sleep(Duration::MAX)).is_err());
        go.set(true);
        for parked in parked {
            assert!(parked.join().is_err());
        }
        assert!(!std::thread::panicking());
    });
}

#[test]
fn t10_a_kill_that_was_caught_beside_one_parked_in_a_drop_comes_again() {
    green("t10_caught", || {
        let go = Rc::new(Cell::new(false));
        let parked = parked_in_drop(&go);
        let victim = spawn_local(|| {
            let caught = catch_unwind(|| sleep(Duration::MAX));
            drop(caught);
            assert!(!panicking());
            catch_unwind(|| sleep(10 * MILLISECOND)).is_err()
        });
        until(|| site(&victim) == Some(Site::Sleep));
        victim.kill().unwrap();
        assert!(victim.join().unwrap(), "the second wait ends too");
        go.set(true);
        let _ = parked.join();
    });
}

#[test]
fn t10_a_panic_that_goes_through_a_scope_beside_one_parked_in_a_drop() {
    alone(
        "t10_a_panic_that_goes_through_a_scope_beside_one_parked_in_a_drop",
        &[],
        || {
            green("t10_scope", || {
                let go = Rc::new(Cell::new(false));
                let parked = parked_in_drop(&go);
                let flushed = Rc::new(Cell::new(false));
                let theirs = flushed.clone();
                let victim = spawn_local(move || {
                    // It waits, killed, while the scope's panic unwinds.
                    let _flush = OnDrop(|| {
                        sleep(MILLISECOND);
                        theirs.set(true);
                    });
                    green_thread::scope(|scope| {
                        scope.spawn(|| sleep(20 * MILLISECOND));
                        fail_quietly("through a scope");
                    });
                });
                until(|| site(&victim) == Some(Site::Queue("end of a scope")));
                // So that nobody was parked in a drop when the panic was caught.
                victim.kill().unwrap();
                assert!(victim.join().is_err());
                assert!(flushed.get());
                go.set(true);
                let _ = parked.join();
            });
        },
    )
    .well();
}

#[test]
fn a15_each_has_its_own_errno_and_its_own_panic() {
    green("a15", || {
        let errno = |code: i32| {
            move || {
                for _ in 0..50 {
                    set_errno(code);
                    yield_now();
                    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(code));
                    let caught =
                        catch_unwind(AssertUnwindSafe(|| panic_quietly(code))).unwrap_err();
                    yield_now();
                    assert_eq!(caught.downcast_ref(), Some(&code));
                    assert!(!panicking());
                }
            }
        };
        let both = [
            spawn_local(errno(libc::EPERM)),
            spawn_local(errno(libc::ENOENT)),
        ];
        for thread in both {
            thread.join().unwrap();
        }
    });
}

fn panic_quietly(code: i32) {
    fail_quietly(code)
}

#[expect(unsafe_code, reason = "errno is a C variable")]
fn set_errno(code: i32) {
    // SAFETY: the address is the calling OS thread's own.
    unsafe { *libc::__errno_location() = code };
}

#[test]
fn a_std_mutex_may_be_poisoned_by_a_neighbour_parked_in_a_drop() {
    // Documented: std's locks tell a panic by the OS thread. Should this ever
    // fail, the documentation can drop its warning.
    green("poison", || {
        let go = Rc::new(Cell::new(false));
        let parked = Rc::new(RefCell::new(None));
        let mutex = Mutex::new(());
        let guard = mutex.lock().unwrap();
        *parked.borrow_mut() = Some(parked_in_drop(&go));
        drop(guard);
        assert!(mutex.is_poisoned());
        go.set(true);
        let parked = parked.take().unwrap();
        let _ = parked.join();
    });
}

#[test]
fn a_panic_hook_that_waits_does_not_suspend_the_green_thread() {
    alone(
        "a_panic_hook_that_waits_does_not_suspend_the_green_thread",
        &[("GREEN_HUBS", "1")],
        || {
            let own = std::panic::take_hook();
            drop(own);
            std::panic::set_hook(Box::new(|_| {
                sleep(5 * MILLISECOND);
                yield_now();
                let (source, mut peer) = std::os::unix::net::UnixStream::pair().unwrap();
                source.set_nonblocking(true).unwrap();
                let source = greenhub::source::Source::new(source.into());
                // More calls than a green thread may make without giving way.
                for _ in 0..200 {
                    std::io::Write::write_all(&mut peer, b"x").unwrap();
                    source
                        .retry(
                            greenhub::source::Direction::Read,
                            greenhub::source::Patience::FOREVER,
                            |fd| {
                                socket2::SockRef::from(&fd)
                                    .recv(&mut [std::mem::MaybeUninit::uninit()])
                            },
                        )
                        .unwrap();
                }
                let other = spawn(|| ());
                other.kill().unwrap();
            }));
            let panics: Vec<_> = (0..8).map(|n| spawn(move || panic_any(n))).collect();
            for (n, panics) in panics.into_iter().enumerate() {
                let payload: Box<i32> = panics.join().unwrap_err().downcast().unwrap();
                assert_eq!(*payload, n as i32);
            }
        },
    )
    .well();
}

#[test]
fn a_panic_with_a_back_trace_fits_the_smallest_stack() {
    let ended = alone(
        "a_panic_with_a_back_trace_fits_the_smallest_stack",
        &[("RUST_BACKTRACE", "1")],
        || {
            let panics = Builder::new()
                .stack_size(1)
                .spawn(|| panic!("planned"))
                .unwrap();
            assert!(panics.join().unwrap_err().is::<&str>());
        },
    )
    .well();
    assert!(ended.errors.contains("stack backtrace"), "{}", ended.errors);
    assert!(
        !ended.errors.contains("generator::"),
        "the engine's frames are cut off"
    );
}

#[test]
fn a22_an_error_on_any_resume_path_reaches_its_joiner_alone() {
    green("a22", || {
        let (end, mut peer) = std::os::unix::net::UnixStream::pair().unwrap();
        end.set_nonblocking(true).unwrap();
        let source = Rc::new(greenhub::source::Source::new(end.into()));
        let direction = greenhub::source::Direction::Read;
        let by_timer = spawn_local(|| {
            sleep(MILLISECOND);
            fail_quietly("timer");
        });
        let theirs = source.clone();
        let by_readiness = spawn_local(move || {
            theirs.wait(direction, None).unwrap();
            fail_quietly("readiness");
        });
        until(|| site(&by_readiness).is_some());
        std::io::Write::write_all(&mut peer, b"x").unwrap();
        let by_kill = spawn_local(|| {
            if catch_unwind(|| sleep(Duration::MAX)).is_err() {
                fail_quietly("kill");
            }
        });
        until(|| site(&by_kill).is_some());
        by_kill.kill().unwrap();
        for (thread, expected) in [
            (by_timer, "timer"),
            (by_readiness, "readiness"),
            (by_kill, "kill"),
        ] {
            let payload = thread.join().unwrap_err();
            assert_eq!(*payload.downcast::<&str>().unwrap(), expected);
        }
        let (end, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        end.set_nonblocking(true).unwrap();
        let source = Rc::new(greenhub::source::Source::new(end.into()));
        let theirs = source.clone();
        let by_close = spawn_local(move || {
            theirs.wait(direction, None).unwrap_err();
            fail_quietly("close");
        });
        until(|| site(&by_close).is_some());
        source.close();
        assert!(by_close.join().is_err());
        sleep(MILLISECOND);
    });
    assert_eq!(run(|| 1), 1, "the hubs live");
}
