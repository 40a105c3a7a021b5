//! Signals: each listener hears of each, also where another waiter was killed as it came.

use std::sync::Arc;

use green::signal::Signals;
use green::signal::consts::{SIGUSR1, SIGUSR2};
use test_support::random::Random;
use test_support::running::{Signal, signal};

use crate::storms::{
    CLOSES, Crew, MICROSECOND, OPERATIONS, SETTLES, count, finally, limited, pause,
};

fn send(which: Signal) {
    signal(std::process::id(), which).unwrap();
}

pub fn round(mut random: Random) {
    let both = || Arc::new(Signals::new([SIGUSR1, SIGUSR2]).unwrap());
    // One that nobody kills, and one that many wait for.
    let (own, shared) = (both(), both());
    let mut crew = Crew::new(&mut random);
    for _ in 0..1 + random.below(6) {
        let shared = shared.clone();
        crew.any(move |mut random| {
            loop {
                let limit = MICROSECOND * random.below(2_000) as u32;
                match limited(&mut random, || shared.wait_timeout(limit)) {
                    Some(Ok(Some(signal))) => assert!([SIGUSR1, SIGUSR2].contains(&signal)),
                    Some(Ok(None)) | None => {}
                    Some(Err(error)) => {
                        assert!(green::ClosedLocally::caused(&error), "{error:?}");
                        break;
                    }
                }
                count(&OPERATIONS);
                pause(&mut random);
            }
        });
    }
    let closing = shared.clone();
    // Also if this panics.
    let close = finally(move || closing.close());
    let strikes = crew.strikes();
    for _ in 0..random.below(30) {
        send(Signal::USR1);
        let heard = own.wait_timeout(SETTLES).unwrap();
        assert_eq!(heard, Some(SIGUSR1), "it was sent, and nobody else listens");
        count(&OPERATIONS);
        pause(&mut random);
    }
    // Whoever was killed has taken none with it.
    if random.below(2) == 0 {
        send(Signal::USR2);
        assert_eq!(own.wait_timeout(SETTLES).unwrap(), Some(SIGUSR2));
    }
    count(&CLOSES);
    drop(close);
    strikes.join();
    assert!(own.pending().next().is_none(), "one too many");
}
