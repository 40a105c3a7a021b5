//! What hyper needs of a runtime: timers, and an executor for the streams of HTTP/2.

use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use greenhub::future::{self, spawn};
use greenhub::without_waiting;
use hyper::rt::{Executor, Sleep, Timer};
use parking_lot::Mutex;

use crate::thread::{Builder, JoinHandle};

/// Timers for hyper. For connections of hyper that you run yourself, over an [`Async`](crate::aio::Async).
///
/// ```
/// use std::convert::Infallible;
/// use std::io::{Read, Write};
/// use std::time::Duration;
///
/// use green::aio::Async;
/// use green::http::{GreenTimer, Request, Response};
/// use green::os::unix::net::UnixStream;
/// use hyper::{body::Incoming, server::conn::http1, service::service_fn};
///
/// let (near, mut far) = UnixStream::pair()?;
/// green::thread::spawn(move || {
///     let hello = service_fn(|_: Request<Incoming>| async {
///         Ok::<_, Infallible>(Response::new("hello".to_owned()))
///     });
///     let connection = http1::Builder::new()
///         .timer(GreenTimer)
///         .header_read_timeout(Duration::from_secs(5))
///         .serve_connection(Async::new(near), hello);
///     green::block_on(connection)
/// });
/// far.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// let mut answer = String::new();
/// far.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("hello"), "{answer}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GreenTimer;

/// hyper's executor: each future is [spawned](crate::future::spawn), so it may block, and costs no stack while it does
/// not.
///
/// # Panics
///
/// If the hubs cannot be started.
///
/// # Examples
///
/// ```
/// use green::channel::bounded;
/// use green::http::GreenExecutor;
/// use hyper::rt::Executor;
/// use hyper::server::conn::http2;
///
/// // What runs the streams of a connection that speaks HTTP/2:
/// let _builder = http2::Builder::new(GreenExecutor);
///
/// // A future may call what waits in blocking style.
/// let (sender, receiver) = bounded(0);
/// GreenExecutor.execute(async move { sender.send("done").unwrap() });
/// assert_eq!(receiver.recv(), Ok("done"));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GreenExecutor;

impl<F> Executor<F> for GreenExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(spawn(future));
    }
}

struct Nap(future::Sleep);

impl Sleep for Nap {}

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl Timer for GreenTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Nap(future::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Nap(future::sleep_until(deadline)))
    }
}

/// Timers for a connection of the server's own, which one task alone polls: it reads the clock once for each of its polls, and
/// looks at a timer only when that has run out.
#[derive(Clone, Debug)]
pub(super) struct PolledTimer {
    origin: Instant,
    /// Of the poll under way, in nanoseconds from there.
    now: Arc<AtomicU64>,
}

impl PolledTimer {
    pub(super) fn new() -> PolledTimer {
        PolledTimer {
            origin: Instant::now(),
            now: Arc::default(),
        }
    }

    /// A poll begins.
    pub(super) fn begin_poll(&self) {
        let now = self.origin.elapsed().as_nanos();
        self.now
            .store(u64::try_from(now).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Timer for PolledTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(PolledNap(future::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(PolledNap(future::sleep_until(deadline)))
    }

    fn now(&self) -> Instant {
        self.origin + Duration::from_nanos(self.now.load(Relaxed))
    }
}

/// A timer that the same task polls again and again.
#[derive(Debug)]
pub(super) struct PolledNap(pub(super) future::Sleep);

impl Sleep for PolledNap {}

impl Future for PolledNap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // It wakes this task.
        if self.0.is_under_way() {
            return Poll::Pending;
        }
        Pin::new(&mut self.0).poll(context)
    }
}

/// The green threads that work for one connection beside its own, which waits for them, and ends them when it is
/// killed.
#[derive(Clone, Debug, Default)]
pub(super) struct Crew(Arc<Running>);

#[derive(Debug, Default)]
struct Running {
    /// Whether a request ends with its client's connection or stream.
    ends_abandoned: bool,
    threads: Mutex<Threads>,
}

#[derive(Debug, Default)]
struct Threads {
    begun: u64,
    /// A thread may be done before its handle is here.
    running: HashMap<u64, Option<JoinHandle<()>>, BuildHasherDefault<Spread>>,
    /// Whoever waits for the last to end.
    waiting: Option<Waker>,
}

/// For keys that are numbers which nobody chooses.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, number: u64) {
        // Upper and lower bits of the result depend on all of the number's lower ones.
        let spread = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ spread >> 32;
    }
}

/// Whoever waits for a green thread of a crew. If the crew ends what is abandoned, dropping this ends that one.
#[derive(Debug)]
pub(super) struct Interest {
    crew: Crew,
    number: u64,
}

impl Drop for Interest {
    fn drop(&mut self) {
        if self.crew.ends_abandoned() {
            let mut threads = self.crew.0.threads.lock();
            let thread = threads.running.get_mut(&self.number);
            let thread = thread.and_then(Option::take);
            drop(threads);
            if let Some(thread) = thread {
                // This may be in a poll: the other one ends when this one waits.
                // It can fail under `panic = "abort"` alone, where nothing can be ended.
                let _ = without_waiting("a poll must not wait", || thread.kill());
            }
        }
    }
}

impl Crew {
    pub(super) fn new(ends_abandoned: bool) -> Crew {
        Crew(Arc::new(Running {
            ends_abandoned,
            ..Running::default()
        }))
    }

    /// Whether what nobody waits for any more is ended.
    pub(super) fn ends_abandoned(&self) -> bool {
        self.0.ends_abandoned
    }

    /// As [`start`](Crew::start), for something that somebody waits for.
    pub(super) fn start_for(&self, name: &str, work: impl FnOnce() + 'static) -> Interest {
        Interest {
            number: self.start(name, work),
            crew: self.clone(),
        }
    }

    /// Runs `work` on a green thread of this hub, and returns its number. If there is no stack for one, `work` is
    /// dropped, and whoever waits for its result notices.
    pub(super) fn start(&self, name: &str, work: impl FnOnce() + 'static) -> u64 {
        self.begin(|entry| {
            let thread = Builder::new().name(name.to_owned());
            thread.spawn_local(move || {
                let _entry = entry;
                work();
            })
        })
    }

    fn begin(&self, start: impl FnOnce(Entry) -> io::Result<JoinHandle<()>>) -> u64 {
        let number = {
            let mut threads = self.0.threads.lock();
            threads.begun += 1;
            let number = threads.begun;
            threads.running.insert(number, None);
            number
        };
        let entry = Entry {
            running: self.0.clone(),
            number,
        };
        match start(entry) {
            Ok(thread) => {
                if let Some(place) = self.0.threads.lock().running.get_mut(&number) {
                    *place = Some(thread);
                }
            }
            Err(error) => log::warn!("a request was dropped: {error}"),
        }
        number
    }

    /// How many have begun, if all of them have ended.
    pub(super) fn rests(&self) -> Option<u64> {
        let threads = self.0.threads.lock();
        threads.running.is_empty().then_some(threads.begun)
    }

    /// Waits for all to end.
    pub(super) async fn gone(&self) {
        poll_fn(|context| {
            // A waker's clone and drop are code of others: outside the lock.
            let waker = context.waker().clone();
            let mut threads = self.0.threads.lock();
            if threads.running.is_empty() {
                return Poll::Ready(());
            }
            let before = threads.waiting.replace(waker);
            drop(threads);
            drop(before);
            Poll::Pending
        })
        .await
    }

    /// Ends all that still work for the connection.
    pub(super) fn end(&self) {
        let threads: Vec<_> = {
            let mut threads = self.0.threads.lock();
            threads
                .running
                .values_mut()
                .filter_map(Option::take)
                .collect()
        };
        for thread in threads {
            // It can fail under `panic = "abort"` alone, where nothing can be ended.
            let _ = thread.kill();
        }
    }
}

struct Entry {
    running: Arc<Running>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let (ended, waiting) = {
            let mut threads = self.running.threads.lock();
            let ended = threads.running.remove(&self.number);
            let last = threads.running.is_empty();
            (ended, threads.waiting.take_if(|_| last))
        };
        drop(ended);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Crew {
    fn execute(&self, stream: F) {
        self.begin(|entry| {
            let future = future::Builder::new().name("http stream".to_owned());
            future.spawn_local(async move {
                let _entry = entry;
                stream.await;
            })
        });
    }
}
