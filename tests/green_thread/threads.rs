//! Green threads: starting, joining, killing, panicking, values of their own.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use green::sync::mpsc::{Sender, channel};
use greenhub::Deadline;
use greenhub::future::block_on;
use greenhub::green_thread::{
    self, Builder, Inherited, JoinHandle, panicking, park, park_timeout, sleep, spawn, spawn_local,
    yield_now,
};
use greenhub::wait_queue::WaitQueue;
use greenhub::{Site, report, run};

use test_support::child::alone;
use test_support::threads::{
    LIMIT, MILLISECOND, OnDrop, fail_quietly, green, is_killed, prepare, site, until,
};

#[test]
fn join_gives_the_value_or_the_panic() {
    green("join gives the value or", || {
        assert_eq!(spawn(|| 7).join().unwrap(), 7);
        let payload = spawn(|| fail_quietly(vec![1u8, 2])).join().unwrap_err();
        assert_eq!(*payload.downcast::<Vec<u8>>().unwrap(), [1, 2]);
    });
    // The same for an OS thread that joins.
    assert_eq!(spawn(|| 7).join().unwrap(), 7);
    assert!(spawn(|| fail_quietly(3i32)).join().unwrap_err().is::<i32>());
}

#[test]
fn killed_before_it_ran_a_body_never_runs() {
    green("killed before it ran a", || {
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
fn a_kill_of_a_thread_that_has_started_does_not_keep_its_body_from_running() {
    // A thread takes longest to begin when it is the first of its process.
    for _ in 0..100 {
        let name =
            "threads::a_kill_of_a_thread_that_has_started_does_not_keep_its_body_from_running";
        let first = || {
            let ran = Arc::new(AtomicBool::new(false));
            let victim = spawn({
                let ran = ran.clone();
                move || ran.store(true, SeqCst)
            });
            while !victim.is_started() {
                std::hint::spin_loop();
            }
            victim.kill().unwrap();
            victim.wait();
            assert!(ran.load(SeqCst));
        };
        alone(name, &[], || (0..10).for_each(|_| first())).well();
    }
}

#[test]
fn a_sleeper_sees_the_kill_before_the_killer_goes_on() {
    green("a sleeper sees the kill", || {
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
fn a_kill_that_was_caught_comes_again_at_the_next_wait() {
    green("a kill that was caught", || {
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
fn cancel_works_before_the_start_alone() {
    green("cancel works before the", || {
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
fn a_child_outlives_its_parent() {
    let child = green("a child outlives its", || {
        spawn_local(|| sleep(MILLISECOND)).thread().id()
    });
    until(|| report().threads.iter().all(|thread| thread.id != child));
}

greenhub::thread_local! {
    static OWN: RefCell<Option<Rc<Cell<u32>>>> = RefCell::new(None);
    static COUNTED: Cell<u32> = Cell::new(MADE.fetch_add(1, SeqCst));
}
static MADE: AtomicU32 = AtomicU32::new(0);

#[test]
fn each_green_thread_has_its_own_values_and_leaves_nothing() {
    green("each green thread has", || {
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
                    COUNTED.set(n + 1);
                    assert_eq!(COUNTED.get(), n + 1);
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
fn a_kill_never_hits_the_killer() {
    green("a kill never hits the", || {
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
    test_support::bounded("kinds of waits", LIMIT, || {
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
                    QUEUE.wait("test", Deadline::NEVER, || true);
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
                    greenhub::wait_readable(&fd, Deadline::NEVER).unwrap();
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

/// When dropped it waits, as a green thread may, and says so.
struct Tells(&'static str, Sender<&'static str>);

impl Drop for Tells {
    fn drop(&mut self) {
        sleep(MILLISECOND);
        self.1.send(self.0).unwrap();
    }
}

/// When dropped it makes a value of each kind.
struct Late(Sender<&'static str>);

impl Drop for Late {
    fn drop(&mut self) {
        let tells = |what| Tells(what, self.0.clone());
        VALUE.set(Some(tells("a value")));
        std::mem::forget(INHERITED.set(tells("an inherited value")));
    }
}

greenhub::thread_local! { static VALUE: RefCell<Option<Tells>> = RefCell::new(None); }
static INHERITED: Inherited<Tells> = Inherited::new();

impl Wake for Late {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn what_the_last_destructors_make_is_dropped_by_the_thread_itself() {
    green("what the last", || {
        let all_are_told = |begin: &dyn Fn(Late)| {
            let (tell, told) = channel();
            begin(Late(tell));
            let mut kinds: Vec<_> = told.iter().collect();
            kinds.sort_unstable();
            assert_eq!(kinds, ["a value", "an inherited value"]);
        };
        // The result that nobody wants any more when the thread ends.
        all_are_told(&|late| {
            let is_alone = Arc::new(AtomicBool::new(false));
            let seen = is_alone.clone();
            drop(spawn(move || {
                until(|| seen.load(SeqCst));
                late
            }));
            is_alone.store(true, SeqCst);
        });
        all_are_told(&|late| {
            let is_alone = Arc::new(AtomicBool::new(false));
            let seen = is_alone.clone();
            drop(greenhub::future::spawn(async move {
                until(|| seen.load(SeqCst));
                late
            }));
            is_alone.store(true, SeqCst);
        });
        // An executor's waker.
        all_are_told(&|late| {
            let mut handle = spawn(park);
            let waker = Waker::from(Arc::new(late));
            let mut context = Context::from_waker(&waker);
            assert!(Pin::new(&mut handle).poll(&mut context).is_pending());
            drop(waker);
            handle.thread().unpark();
            until(|| handle.is_finished());
        });
        // A kill does not cut them short.
        all_are_told(&|late| {
            let (give, given) = channel::<JoinHandle<Late>>();
            let killed = spawn(move || {
                given.recv().unwrap().kill().unwrap();
                late
            });
            give.send(killed).unwrap();
        });
    });
}

#[test]
fn own_values_of_a_killed_thread_are_dropped_in_full() {
    alone(
        "threads::own_values_of_a_killed_thread_are_dropped_in_full",
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
        "threads::a_panic_in_the_drop_of_an_own_value_aborts_as_in_std",
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
        let killed = Arc::new(AtomicBool::new(false));
        let was_killed = killed.clone();
        let parent = spawn_local(move || {
            let lent = AtomicBool::new(false);
            let _end = OnDrop(|| theirs.borrow_mut().push("parent"));
            green_thread::scope(|scope| {
                scope.spawn(|| {
                    until(|| was_killed.load(SeqCst));
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
        killed.store(true, SeqCst);
        assert!(is_killed(parent.join()));
        assert_eq!(*log.borrow(), ["scope", "parent"]);
    });
}

#[test]
fn a_scope_waits_for_results_that_nobody_takes_and_tells_of_panics() {
    struct Lent<'a>(&'a AtomicU32);
    impl Drop for Lent<'_> {
        fn drop(&mut self) {
            sleep(MILLISECOND);
            self.0.fetch_add(1, SeqCst);
        }
    }
    green("results that nobody takes", || {
        let dropped = AtomicU32::new(0);
        green_thread::scope(|scope| {
            let here = Builder::new().hub(green_thread::current().hub().unwrap());
            drop(here.spawn_scoped(scope, || Lent(&dropped)));
        });
        assert_eq!(dropped.load(SeqCst), 1);
        let scope = || green_thread::scope(|scope| drop(scope.spawn(|| fail_quietly("planned"))));
        assert!(catch_unwind(scope).is_err());
    });
}

#[test]
fn a_scoped_thread_is_killed_through_its_handle() {
    green("scoped kill", || {
        green_thread::scope(|scope| {
            let parked = scope.spawn(park);
            parked.kill().unwrap();
            assert!(is_killed(parked.join()));
        });
    });
}

#[test]
fn a_local_thread_may_name_its_own_hub_and_no_other() {
    let kind = |builder: Builder| builder.spawn_local(|| ()).map_err(|error| error.kind());
    assert_eq!(kind(Builder::new()).err(), Some(ErrorKind::Unsupported));
    green("spawn_local by hub", move || {
        let hubs = greenhub::hub_count().unwrap();
        let taken = (0..hubs).filter(|&hub| match kind(Builder::new().hub(hub)) {
            Ok(thread) => {
                thread.join().unwrap();
                true
            }
            Err(kind) => {
                assert_eq!(kind, ErrorKind::InvalidInput);
                false
            }
        });
        assert_eq!(taken.count(), 1);
    });
}

#[test]
fn what_a_killed_start_captured_is_dropped_as_in_an_unwind_and_links_run_after_it() {
    let unwinds = Arc::new(Mutex::new(Vec::new()));
    let note = |unwinds: &Arc<Mutex<Vec<bool>>>| {
        let unwinds = unwinds.clone();
        move || unwinds.lock().unwrap().push(panicking())
    };
    let (captured, linked) = (OnDrop(note(&unwinds)), note(&unwinds));
    green("a killed start", move || {
        let killed = spawn_local(move || drop(captured));
        killed.link(move |_| linked());
        killed.kill().unwrap();
        assert!(is_killed(killed.join()));
    });
    assert_eq!(*unwinds.lock().unwrap(), [true, false]);
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

#[test]
fn awaiting_itself_panics_too() {
    green("awaiting itself", || {
        let handle = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let own = handle.clone();
        let thread = spawn_local(move || {
            let myself = own.borrow_mut().take().unwrap();
            let _ = block_on(myself);
        });
        let id = thread.thread().id();
        *handle.borrow_mut() = Some(thread);
        until(|| report().threads.iter().all(|thread| thread.id != id));
        assert!(handle.borrow().is_none());
    });
}

/// The waker's drop is code of others: it may let the awaited thread end.
#[test]
fn a_waker_that_a_join_handle_gives_up_is_dropped_where_nobody_is_held_up() {
    struct Ends(green_thread::Thread);
    impl Wake for Ends {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.unpark();
            until(|| !is_listed(self.0.id()));
        }
    }
    fn is_listed(id: green_thread::ThreadId) -> bool {
        report().threads.iter().any(|thread| thread.id == id)
    }
    green("given up", || {
        let mut handle = spawn_local(park);
        yield_now();
        let ends = Waker::from(Arc::new(Ends(handle.thread().clone())));
        let mut poll = |waker: &Waker| Pin::new(&mut handle).poll(&mut Context::from_waker(waker));
        assert!(poll(&ends).is_pending());
        drop(ends);
        assert!(poll(Waker::noop()).is_pending());
        assert!(poll(Waker::noop()).is_ready());
    });
}

#[test]
fn a_token_ends_one_park() {
    green("a token", || {
        let thread = green_thread::current();
        let other = spawn_local(move || thread.unpark());
        park();
        other.join().unwrap();
        let begun = Instant::now();
        park_timeout(5 * MILLISECOND);
        assert!(begun.elapsed() >= 5 * MILLISECOND);
    });
}

#[test]
fn each_has_its_own_errno_and_its_own_panic() {
    green("each has its own errno", || {
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
fn an_error_on_any_resume_path_reaches_its_joiner_alone() {
    green("an error on any resume", || {
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
            theirs.wait(direction, Deadline::NEVER).unwrap();
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
            theirs.wait(direction, Deadline::NEVER).unwrap_err();
            fail_quietly("close");
        });
        until(|| site(&by_close).is_some());
        source.close();
        assert!(by_close.join().is_err());
        sleep(MILLISECOND);
    });
    assert_eq!(run(|| 1), 1, "the hubs live");
}
