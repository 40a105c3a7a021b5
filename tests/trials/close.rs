//! Close or shutdown under a waiter, from a sibling, another hub, an OS thread: an error at once.

use super::*;
use green::Deadline;

#[derive(Clone, Copy, Debug)]
enum Waits {
    Recv,
    Send,
    Accept,
}

/// A source on which `waits` does not end by itself, and what keeps it so.
fn blocked(waits: Waits) -> (Source, Option<UnixStream>) {
    match waits {
        Waits::Recv => {
            let (source, peer) = pair();
            (source, Some(peer))
        }
        Waits::Send => {
            let (source, peer) = pair();
            while socket2::SockRef::from(&source).send(&[7; 65536]).is_ok() {}
            (source, Some(peer))
        }
        Waits::Accept => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            (Source::new(listener.into()), None)
        }
    }
}

fn wait(source: &Source, waits: Waits) -> io::Result<()> {
    match waits {
        Waits::Recv => receive(source, None).map(drop),
        Waits::Send => source
            .retry(Direction::Write, Deadline::NEVER, |fd| {
                socket2::SockRef::from(&fd).send(&[7; 65536])
            })
            .map(drop),
        Waits::Accept => source
            .retry(Direction::Read, Deadline::NEVER, |fd| {
                socket2::SockRef::from(&fd).accept()
            })
            .map(drop),
    }
}

/// Runs `body` where `place` says: on hub 0, on the last hub, on an OS thread.
fn run_on<T: Send + 'static>(
    place: u64,
    body: impl FnOnce() -> T + Send + 'static,
) -> Box<dyn FnOnce() -> T> {
    if place == 2 {
        let thread = std::thread::spawn(body);
        return Box::new(move || thread.join().unwrap());
    }
    let hub = if place == 0 {
        0
    } else {
        greenhub::hub_count().unwrap() - 1
    };
    let thread = Builder::new().hub(hub).spawn(body).unwrap();
    Box::new(move || thread.join().unwrap())
}

#[test]
fn close_ends_a_wait_from_wherever_it_comes() {
    Trial::new("close ends a wait from", 600, 100_000).run(|rounds, mut random| {
        let mut late = [0u64; 3];
        let mut longest = Duration::ZERO;
        for round in 0..rounds {
            let waits = [Waits::Recv, Waits::Send, Waits::Accept][random.below(3) as usize];
            let (source, _peer) = blocked(waits);
            let source = Arc::new(source);
            let theirs = source.clone();
            let waiter = run_on(random.below(3), move || {
                let ended = wait(&theirs, waits);
                (ended, Instant::now())
            });
            // Before, while, and after it begins to wait.
            let pause = random.below(4);
            let closer = run_on(random.below(3), move || {
                match pause {
                    0 => {}
                    1 => yield_now(),
                    _ => sleep(50 * MICROSECOND * pause as u32),
                }
                let began = Instant::now();
                source.close();
                began
            });
            let began = closer();
            let (ended, at) = waiter();
            let error = ended.expect_err("nothing came");
            assert!(
                ClosedLocally::caused(&error),
                "round {round}, {waits:?}: {error:?}"
            );
            let took = at.saturating_duration_since(began);
            longest = longest.max(took);
            for (count, limit) in late.iter_mut().zip([1, 10, 100]) {
                *count += u64::from(took > limit * MILLISECOND);
            }
        }
        // The full count runs on a quiet machine. A busy one delays an OS thread as it likes, but what hangs, hangs
        // for ever.
        assert!(
            !is_full() || late[2] * 50 <= rounds,
            "{late:?} later than 1, 10, 100 ms"
        );
        format!("{late:?} later than 1, 10, 100 ms, the longest {longest:.1?}")
    });
}

#[test]
fn a_shutdown_ends_a_read_as_the_end_of_the_stream() {
    Trial::new("a shutdown ends a read", 300, 50_000).run(|rounds, mut random| {
        for round in 0..rounds {
            let (source, _peer) = pair();
            let source = Arc::new(source);
            let theirs = source.clone();
            let reader = run_on(random.below(3), move || receive(&theirs, None));
            let pause = random.below(3);
            let stopper = run_on(random.below(3), move || {
                if pause > 0 {
                    sleep(50 * MICROSECOND * pause as u32);
                }
                let both = std::net::Shutdown::Both;
                socket2::SockRef::from(&*source).shutdown(both).unwrap();
            });
            stopper();
            assert_eq!(reader().unwrap(), b"", "round {round}");
        }
        "each read ended".to_owned()
    });
}
