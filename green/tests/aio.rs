//! Futures over green streams: nothing is lost between tasks, threads and executors.

use std::future::{pending, poll_fn};
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::future::{Either, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{AsyncReadExt, AsyncWriteExt};
use green::aio::Async;
use green::block_on;
use green::future::{sleep, timeout};
use green::os::unix::net::UnixStream;
use green::thread;
use test_support::both::on_both;
use test_support::bounded;
use test_support::child::alone;

const LIMIT: Duration = Duration::from_secs(60);

fn pair() -> (Async<UnixStream>, Async<UnixStream>) {
    let (one, other) = UnixStream::pair().unwrap();
    (Async::new(one), Async::new(other))
}

/// A green thread that writes one byte after a moment.
fn writes_soon(stream: &Async<UnixStream>, byte: u8) -> thread::JoinHandle<()> {
    let stream = stream.get_ref().try_clone().unwrap();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(2));
        (&stream).write_all(&[byte]).unwrap();
    })
}

async fn byte(stream: &mut Async<UnixStream>) -> io::Result<u8> {
    let mut buffer = [0];
    stream.read_exact(&mut buffer).await?;
    Ok(buffer[0])
}

#[test]
fn of_two_reads_the_one_whose_data_comes_is_ready() {
    on_both("select of two reads", || {
        let ((mut silent, _peer), (mut said, peer)) = (pair(), pair());
        let writing = writes_soon(&peer, 7);
        let (silence, read) = (pin!(byte(&mut silent)), pin!(byte(&mut said)));
        match block_on(select(silence, read)) {
            Either::Right((read, _)) => assert_eq!(read.unwrap(), 7),
            Either::Left(_) => panic!("nobody wrote there"),
        }
        writing.join().unwrap();
    });
}

#[test]
fn hundreds_of_reads_joined_in_one_thread_all_end() {
    on_both("a join of hundreds", || {
        let (mut readers, writers): (Vec<_>, Vec<_>) = (0..300).map(|_| pair()).unzip();
        let writing = thread::spawn(move || {
            for (n, writer) in writers.iter().enumerate() {
                writer.get_ref().write_all(&[n as u8]).unwrap();
                if n % 7 == 0 {
                    thread::yield_now();
                }
            }
            writers
        });
        let reads = block_on(join_all(readers.iter_mut().map(byte)));
        for (n, read) in reads.into_iter().enumerate() {
            assert_eq!(read.unwrap(), n as u8);
        }
        drop(writing.join().unwrap());
    });
}

/// Polls it once.
fn begin<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_read_that_is_dropped_leaves_the_data_to_a_blocking_one() {
    on_both("a dropped read", || {
        for n in 0..200u8 {
            let (mut reader, writer) = pair();
            assert!(begin(pin!(byte(&mut reader))).is_pending());
            let writing = writes_soon(&writer, n);
            let mut buffer = [0];
            reader.get_ref().read_exact(&mut buffer).unwrap();
            assert_eq!(buffer[0], n);
            writing.join().unwrap();
        }
    });
}

/// The edge wakes the future, which never reads.
#[test]
fn a_thread_behind_a_future_that_is_dropped_gets_the_data() {
    bounded("a thread behind a dropped future", LIMIT, || {
        for n in 0..200u8 {
            let (mut polled, writer) = pair();
            let blocking = polled.get_ref().try_clone().unwrap();
            let reading = thread::spawn(move || {
                let mut buffer = [0];
                (&blocking).read_exact(&mut buffer).unwrap();
                buffer[0]
            });
            thread::yield_now();
            let writing = writes_soon(&writer, n);
            let given_up = green::run(move || {
                block_on(timeout(Duration::from_millis(1), byte(&mut polled))).is_err()
            });
            writing.join().unwrap();
            match given_up {
                true => assert_eq!(reading.join().unwrap(), n),
                // The future was first; the thread waits for the next byte.
                false => {
                    writes_soon(&writer, n).join().unwrap();
                    assert_eq!(reading.join().unwrap(), n);
                }
            }
        }
    });
}

/// Threads and tasks read one stream at once; each byte reaches one of them.
#[test]
fn threads_and_tasks_share_a_stream() {
    bounded("both kinds on one stream", LIMIT, || {
        const BYTES: usize = 4000;
        let (stream, writer) = pair();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let ended = |read: io::Result<usize>| read.unwrap() == 0;
        let readers: Vec<_> = (0..4)
            .map(|n| {
                let stream = stream.get_ref().try_clone().unwrap();
                let seen = seen.clone();
                let note = move |buffer: &[u8]| seen.lock().unwrap().extend_from_slice(buffer);
                thread::spawn(move || {
                    let mut buffer = [0; 1];
                    if n % 2 == 0 {
                        while !ended((&stream).read(&mut buffer)) {
                            note(&buffer);
                        }
                    } else {
                        let mut stream = Async::new(stream);
                        while !ended(block_on(stream.read(&mut buffer))) {
                            note(&buffer);
                        }
                    }
                })
            })
            .collect();
        for n in 0..BYTES {
            writer.get_ref().write_all(&[n as u8]).unwrap();
            if n % 16 == 0 {
                thread::yield_now();
            }
        }
        drop(writer);
        readers.into_iter().for_each(|r| r.join().unwrap());
        let mut seen = std::mem::take(&mut *seen.lock().unwrap());
        let mut sent: Vec<_> = (0..BYTES).map(|n| n as u8).collect();
        seen.sort_unstable();
        sent.sort_unstable();
        assert_eq!(seen, sent);
    });
}

/// A waker that does what a waker should not, and then passes the wake on.
struct Wild {
    inner: Waker,
    kind: usize,
    lock: Arc<green::sync::Mutex<u64>>,
    closes: Mutex<Option<UnixStream>>,
}

impl Wake for Wild {
    fn wake(self: Arc<Self>) {
        self.inner.wake_by_ref();
        match self.kind % 4 {
            0 => thread::sleep(Duration::from_millis(5)),
            1 => *self.lock.lock().unwrap() += 1,
            2 => drop(self.closes.lock().unwrap().take()),
            _ => panic!("a waker that panics"),
        }
    }
}

#[test]
fn wild_wakers_hold_up_no_hub_and_lose_no_wake() {
    bounded("wild wakers", LIMIT, || {
        let lock = Arc::new(green::sync::Mutex::new(0));
        let wild = |kind: usize| {
            let lock = lock.clone();
            move || {
                let (mut reader, writer) = pair();
                let (registered, silent) = UnixStream::pair().unwrap();
                let mut other = Async::new(silent);
                assert!(begin(pin!(byte(&mut other))).is_pending());
                let writing = writes_soon(&writer, 1);
                let mut read = pin!(byte(&mut reader));
                let mut waker = None;
                let read = block_on(poll_fn(|context| {
                    let waker = waker.get_or_insert_with(|| {
                        Waker::from(Arc::new(Wild {
                            inner: context.waker().clone(),
                            kind,
                            lock: lock.clone(),
                            closes: Mutex::new(Some(registered.try_clone().unwrap())),
                        }))
                    });
                    read.as_mut().poll(&mut Context::from_waker(waker))
                }));
                assert_eq!(read.unwrap(), 1);
                writing.join().unwrap();
            }
        };
        let on_one_hub = |kind| thread::Builder::new().hub(0).spawn(wild(kind)).unwrap();
        let held = lock.lock().unwrap();
        let threads: Vec<_> = (0..20).map(on_one_hub).collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        drop(held);
        (0..4).for_each(|kind| wild(kind)());
    });
}

#[test]
fn a_future_that_never_waits_lets_others_run() {
    bounded("a future that never waits", LIMIT, || {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let on_hub = || thread::Builder::new().hub(0);
        let busy = on_hub().spawn(move || {
            let (mut reader, mut writer) = pair();
            block_on(async {
                while !stopped.load(Ordering::Relaxed) {
                    writer.write_all(&[1]).await.unwrap();
                    byte(&mut reader).await.unwrap();
                }
            });
        });
        let other = on_hub().spawn(move || stop.store(true, Ordering::Relaxed));
        other.unwrap().join().unwrap();
        busy.unwrap().join().unwrap();
    });
}

/// An executor that polls what is woken until nothing is, and never lets its thread wait.
#[test]
fn an_executor_that_never_gives_way_gets_on() {
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    bounded("an executor that never gives way", LIMIT, || {
        green::run(|| {
            let (mut reader, mut writer) = pair();
            let mut sent = pin!(async {
                for n in 0..1000u32 {
                    writer.write_all(&[n as u8]).await.unwrap();
                    assert_eq!(byte(&mut reader).await.unwrap(), n as u8);
                }
            });
            let flag = Arc::new(Flag(AtomicBool::new(true)));
            let waker = Waker::from(flag.clone());
            while flag.0.swap(false, Ordering::SeqCst) {
                if sent
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_ready()
                {
                    return;
                }
            }
            panic!("pending, and not woken");
        });
    });
}

#[test]
fn one_block_on_within_another_takes_no_wake_from_it() {
    on_both("nested block_on", || {
        let (mut outer, outer_peer) = pair();
        let (mut inner, inner_peer) = pair();
        let mut writes = None;
        let mut read = pin!(byte(&mut outer));
        let read = block_on(poll_fn(|context| {
            let polled = read.as_mut().poll(context);
            if writes.is_none() {
                assert!(polled.is_pending());
                // The outer one is woken while the inner one waits.
                let outer_writes = writes_soon(&outer_peer, 1);
                let inner_peer = inner_peer.get_ref().try_clone().unwrap();
                writes = Some(thread::spawn(move || {
                    outer_writes.join().unwrap();
                    thread::sleep(Duration::from_millis(4));
                    (&inner_peer).write_all(&[2]).unwrap();
                }));
                assert_eq!(block_on(byte(&mut inner)).unwrap(), 2);
            }
            polled
        }));
        assert_eq!(read.unwrap(), 1);
        writes.unwrap().join().unwrap();
    });
}

#[test]
fn thousands_of_sleeps_end_in_their_time() {
    on_both("thousands of sleeps", || {
        let begun = Instant::now();
        let ended = AtomicUsize::new(0);
        let mut sleeps: FuturesUnordered<_> = (0..2000u64)
            .map(|n| {
                let ended = &ended;
                async move {
                    let limit = Duration::from_millis(n * 7 % 50);
                    let (made, mut sleep) = (Instant::now(), sleep(limit));
                    if n % 3 == 0 {
                        // A busy machine may let it pass before.
                        let is_pending = begin(Pin::new(&mut sleep)).is_pending();
                        assert!(is_pending || made.elapsed() >= limit);
                        sleep.reset(Instant::now() + limit);
                    }
                    if n % 5 == 0 {
                        drop(sleep);
                    } else {
                        sleep.await;
                        assert!(begun.elapsed() >= limit);
                    }
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            })
            .collect();
        block_on(async { while sleeps.next().await.is_some() {} });
        assert_eq!(ended.load(Ordering::Relaxed), 2000);
        assert!(begun.elapsed() < Duration::from_secs(20));
        drop(sleeps);
        // One that waits already is passed by a sooner one.
        let late = sleep(Duration::from_secs(3600));
        let soon = sleep(Duration::from_millis(1));
        assert!(matches!(
            block_on(select(late, soon)),
            Either::Right(((), _))
        ));
    });
}

#[test]
fn a_close_ends_a_pending_read() {
    on_both("a close under a pending read", || {
        let (mut reader, _peer) = pair();
        let handle = reader.get_ref().try_clone().unwrap();
        let closing = thread::spawn(move || {
            thread::sleep(Duration::from_millis(2));
            handle.as_green_socket().close();
        });
        let error = block_on(byte(&mut reader)).unwrap_err();
        assert!(green::ClosedLocally::caused(&error), "{error:?}");
        closing.join().unwrap();
    });
}

#[test]
fn a_dropped_handle_leaves_no_waker_behind() {
    bounded("no waker left", LIMIT, || {
        struct Counted;
        impl Wake for Counted {
            fn wake(self: Arc<Self>) {}
        }
        let counted = Arc::new(Counted);
        let waker = Waker::from(counted.clone());
        let (mut reader, _peer) = pair();
        let again = reader.get_ref().try_clone().unwrap();
        let mut context = Context::from_waker(&waker);
        assert!(pin!(byte(&mut reader)).poll(&mut context).is_pending());
        let mut nap = sleep(Duration::from_secs(3600));
        assert!(Pin::new(&mut nap).poll(&mut context).is_pending());
        assert_eq!(Arc::strong_count(&counted), 4);
        drop((reader, nap, waker));
        assert_eq!(Arc::strong_count(&counted), 1);
        drop(again);
    });
}

/// Kills the green thread of this name, which has just been spawned on this hub, and so has not begun.
fn kill_before_it_begins(name: &str) {
    let threads = green::report().threads;
    let mut of_name = threads
        .iter()
        .filter(|thread| thread.name.as_deref() == Some(name));
    assert!(green::debug::kill(of_name.next().expect(name).id.as_u64().get()).unwrap());
}

#[test]
fn sleeps_end_although_the_thread_that_serves_them_is_killed() {
    let name = "sleeps_end_although_the_thread_that_serves_them_is_killed";
    alone(name, &[("GREEN_HUBS", "1")], || {
        green::run(|| {
            let mut asleep = pin!(sleep(Duration::from_millis(2)));
            assert!(begin(asleep.as_mut()).is_pending());
            kill_before_it_begins("sleeps");
            block_on(asleep);
            let limited = timeout(Duration::from_millis(2), pending::<()>());
            assert!(block_on(limited).is_err());
        });
    })
    .well();
}

#[test]
fn foreign_wakers_are_called_although_the_thread_that_calls_them_is_killed() {
    struct Called(AtomicBool);
    impl Wake for Called {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let name = "foreign_wakers_are_called_although_the_thread_that_calls_them_is_killed";
    alone(name, &[("GREEN_HUBS", "1")], || {
        green::run(|| {
            let (mut reader, writer) = pair();
            let called = Arc::new(Called(AtomicBool::new(false)));
            let waker = Waker::from(called.clone());
            let mut reads = pin!(byte(&mut reader));
            let polled = reads.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            kill_before_it_begins("wakers");
            writer.get_ref().write_all(&[7]).unwrap();
            while !called.0.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(block_on(reads).unwrap(), 7);
        });
    })
    .well();
}

#[test]
fn a_pipe_and_a_child_are_read_and_written() {
    on_both("pipes", || {
        let mut child = green::process::Command::new("cat")
            .stdin(green::process::Stdio::piped())
            .stdout(green::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = Async::new(child.stdin.take().unwrap());
        let mut output = Async::new(child.stdout.take().unwrap());
        let sent: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        let heard = block_on(async {
            let mut heard = Vec::new();
            let writing = async {
                input.write_all(&sent).await.unwrap();
                drop(input);
            };
            let ((), read) = futures_util::join!(writing, output.read_to_end(&mut heard));
            read.unwrap();
            heard
        });
        assert!(heard == sent);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn tokio_s_traits_move_the_same_bytes() {
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    on_both("tokio's traits", || {
        let (mut one, mut other) = pair();
        let wrote = block_on(poll_fn(|context| {
            AsyncWrite::poll_write(Pin::new(&mut one), context, b"bytes")
        }));
        assert_eq!(wrote.unwrap(), 5);
        block_on(poll_fn(|context| {
            AsyncWrite::poll_shutdown(Pin::new(&mut one), context)
        }))
        .unwrap();
        let mut room = [0; 16];
        let mut filled = ReadBuf::new(&mut room);
        block_on(poll_fn(|context| {
            AsyncRead::poll_read(Pin::new(&mut other), context, &mut filled)
        }))
        .unwrap();
        assert_eq!(filled.filled(), b"bytes");
        let ended = block_on(other.read(&mut [0; 4]));
        assert_eq!(ended.unwrap(), 0);
    });
}

#[test]
fn a_kill_and_a_limit_end_a_thread_that_waits_for_a_future() {
    bounded("kills and limits", LIMIT, || {
        let (mut reader, _peer) = pair();
        let killed = thread::spawn(move || block_on(byte(&mut reader)));
        thread::sleep(Duration::from_millis(2));
        killed.kill().unwrap();
        assert!(killed.join().unwrap_err().is::<green::Killed>());
        let limit = Duration::from_millis(2);
        let ended =
            green::run(move || green::timeout(limit, || block_on(pending::<()>())).is_err());
        assert!(ended);
    });
}
