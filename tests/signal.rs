//! Signals as calls and as iterators, on OS threads and on green threads.
//!
//! Each test has signals of its own, because the tests of one binary share a process.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green::signal::{self, Signals, consts::*};
use signal_hook::low_level::raise;
use test_support::both::on_both;

/// Sends a signal to this process; it has been caught when this returns. Not on a hub, which blocks signals: there it
/// would reach nobody.
fn send(signal: i32) {
    green::blocking(move || raise(signal)).unwrap();
}

#[test]
fn a_waiting_call_returns_the_signal() {
    on_both("wait", || {
        let signals = Arc::new(Signals::new([SIGUSR1]).unwrap());
        let waiting = Arc::clone(&signals);
        let waiter = green::thread::spawn(move || waiting.wait().unwrap());
        green::thread::yield_now();
        send(SIGUSR1);
        assert_eq!(waiter.join().unwrap(), SIGUSR1);
    });
}

#[test]
fn a_signal_before_the_wait_is_heard_and_several_count_as_one() {
    on_both("before", || {
        let signals = Signals::new([SIGUSR2]).unwrap();
        send(SIGUSR2);
        send(SIGUSR2);
        assert_eq!(signals.wait().unwrap(), SIGUSR2);
        assert_eq!(
            signals.wait_timeout(Duration::from_millis(5)).unwrap(),
            None
        );
    });
}

#[test]
fn a_wait_with_a_limit_ends_by_it() {
    on_both("limit", || {
        let limit = Duration::from_millis(50);
        let signals = Signals::new([SIGWINCH]).unwrap();
        let start = Instant::now();
        assert_eq!(signals.wait_timeout(limit).unwrap(), None);
        assert!(start.elapsed() >= limit);
        send(SIGWINCH);
        assert_eq!(signals.wait_timeout(limit).unwrap(), Some(SIGWINCH));
    });
}

#[test]
fn every_listener_hears_every_signal() {
    on_both("several", || {
        let listeners: Vec<_> = (0..3).map(|_| Signals::new([SIGHUP]).unwrap()).collect();
        let waiters: Vec<_> = listeners
            .into_iter()
            .map(|signals| green::thread::spawn(move || signals.forever().next().unwrap()))
            .collect();
        green::thread::yield_now();
        send(SIGHUP);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), SIGHUP);
        }
    });
}

#[test]
fn waiters_of_one_listener_share_its_signals() {
    on_both("shared", || {
        let both = [SIGALRM, SIGVTALRM];
        let signals = Arc::new(Signals::new(both).unwrap());
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let signals = Arc::clone(&signals);
                green::thread::spawn(move || signals.wait().unwrap())
            })
            .collect();
        green::thread::yield_now();
        for signal in both {
            send(signal);
        }
        let mut heard: Vec<_> = waiters
            .into_iter()
            .map(|waiter| waiter.join().unwrap())
            .collect();
        heard.sort_unstable();
        let mut expected = both;
        expected.sort_unstable();
        assert_eq!(heard, expected);
    });
}

#[test]
fn signals_are_added_and_removed() {
    on_both("add", || {
        let kept = Signals::new([SIGIO]).unwrap();
        let signals = Signals::new(None::<i32>).unwrap();
        signals.add(SIGIO).unwrap();
        signals.add(SIGIO).unwrap();
        signals.add(SIGURG).unwrap();
        send(SIGIO);
        assert_eq!(signals.pending().collect::<Vec<_>>(), [SIGIO]);
        assert!(signals.remove(SIGIO));
        assert!(!signals.remove(SIGIO));
        send(SIGIO);
        send(SIGURG);
        assert_eq!(signals.pending().collect::<Vec<_>>(), [SIGURG]);
        // Another listener's is its own.
        assert_eq!(kept.pending().collect::<Vec<_>>(), [SIGIO]);
    });
}

#[test]
fn close_ends_the_iterator() {
    on_both("close", || {
        let signals = Arc::new(Signals::new([SIGCHLD]).unwrap());
        let listening = Arc::clone(&signals);
        let listener = green::thread::spawn(move || (&*listening).into_iter().count());
        green::thread::yield_now();
        signals.close();
        assert_eq!(listener.join().unwrap(), 0);
        assert_eq!(signals.wait().unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(signals.pending().count(), 0);
    });
}

#[test]
fn what_cannot_be_caught_is_refused() {
    on_both("refused", || {
        for signal in [
            SIGKILL,
            SIGSTOP,
            SIGSEGV,
            SIGILL,
            SIGFPE,
            0,
            -1,
            65,
            i32::MAX,
        ] {
            let error = Signals::new([signal]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{signal}");
        }
        assert_eq!(
            Signals::new([SIGKILL]).unwrap_err().to_string(),
            "SIGKILL cannot be caught"
        );
    });
}

#[test]
fn ctrl_c_is_heard() {
    on_both("ctrl-c", || {
        // Without a listener the signal would end the test.
        let _guard = Signals::new([SIGINT]).unwrap();
        let waiter = green::thread::spawn(|| signal::ctrl_c().unwrap());
        while !waiter.is_finished() {
            send(SIGINT);
            green::thread::sleep(Duration::from_millis(1));
        }
        waiter.join().unwrap();
    });
}
