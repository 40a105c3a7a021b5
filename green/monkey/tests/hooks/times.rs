//! Sleeping.
#![expect(unsafe_code, reason = "C's functions")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use green::thread::{self, spawn_local};

use crate::{SOON, green};

#[test]
fn sleeps_park_and_last() {
    green("sleeps", || {
        let ticks = Rc::new(Cell::new(0));
        let neighbour = spawn_local({
            let ticks = ticks.clone();
            move || loop {
                ticks.set(ticks.get() + 1);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let time = |nanos: i64| libc::timespec {
            tv_sec: 0,
            tv_nsec: nanos,
        };
        // SAFETY: times that live across the calls.
        let sleeps: [&dyn Fn(); 6] = unsafe {
            [
                &|| std::thread::sleep(SOON),
                &|| assert_eq!(libc::usleep(10_000), 0),
                &|| assert_eq!(libc::nanosleep(&time(10_000_000), std::ptr::null_mut()), 0),
                &|| {
                    let wanted = time(10_000_000);
                    assert_eq!(
                        libc::clock_nanosleep(
                            libc::CLOCK_MONOTONIC,
                            0,
                            &wanted,
                            std::ptr::null_mut()
                        ),
                        0
                    );
                },
                &|| {
                    let mut at = time(0);
                    libc::clock_gettime(libc::CLOCK_REALTIME, &mut at);
                    at.tv_nsec += 10_000_000;
                    if at.tv_nsec >= 1_000_000_000 {
                        at.tv_nsec -= 1_000_000_000;
                        at.tv_sec += 1;
                    }
                    let flag = libc::TIMER_ABSTIME;
                    assert_eq!(
                        libc::clock_nanosleep(
                            libc::CLOCK_REALTIME,
                            flag,
                            &at,
                            std::ptr::null_mut()
                        ),
                        0
                    );
                },
                &|| assert_eq!(libc::sleep(1), 0),
            ]
        };
        for sleep in sleeps {
            let (before, begun) = (ticks.get(), Instant::now());
            sleep();
            assert!(begun.elapsed() >= SOON - Duration::from_millis(1));
            assert!(ticks.get() > before, "the neighbour ran");
        }
        let before = ticks.get();
        while ticks.get() == before {
            std::thread::yield_now();
        }
        // As the kernel has it.
        // SAFETY: as above.
        let refused = unsafe { libc::nanosleep(&time(-1), std::ptr::null_mut()) };
        assert_eq!(refused, -1);
        assert_eq!(
            std::io::Error::last_os_error().raw_os_error(),
            Some(libc::EINVAL)
        );
        neighbour.kill().unwrap();
    });
}
