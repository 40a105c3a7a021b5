//! What the integration tests share, compiled once: bounds in time, threads of both kinds, processes of a test's own, peers.

pub mod address_space;
pub mod both;
#[cfg(feature = "tls")]
pub mod certs;
pub mod child;
#[cfg(feature = "tls")]
pub mod ends;
pub mod example_program;
pub mod heap;
pub mod late_error;
pub mod net;
pub mod prometheus_text;
pub mod random;
pub mod repeat;
pub mod running;
#[cfg(feature = "servers")]
pub mod servers;
#[cfg(target_arch = "x86_64")]
pub mod steps;
pub mod sync;
pub mod threads;

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// Runs `body` and returns what it returns; if it takes longer than `limit`,
/// names the test and every green thread on standard error and ends the process.
///
/// A test that waits for something that never comes would otherwise hang the
/// whole suite without telling which one it was. A hung thread cannot be ended
/// from outside, so the process ends. A panic in `body` passes through.
pub fn bounded<T>(name: &str, limit: Duration, body: impl FnOnce() -> T) -> T {
    let watch = Arc::new(Watch::default());
    let (watchdogs, shown) = (watch.clone(), name.to_owned());
    thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(move || {
            if watchdogs.begin_and_outlast(limit) {
                end_the_run(&shown, limit);
            }
        })
        .expect("a thread for the watchdog");
    // A thread that starts allocates, and the process aborts if it cannot; `body` may set limits to that.
    watch.wait_for(Stage::Begun);
    let _ends = watch.ends();
    body()
}

/// How far a watched body has come. To wait for it allocates nothing.
#[derive(Default)]
struct Watch {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Starting,
    Begun,
    Ended,
}

impl Watch {
    fn set(&self, stage: Stage) {
        *self.stage.lock().unwrap() = stage;
        self.changed.notify_all();
    }

    fn wait_for(&self, stage: Stage) {
        let now = self.stage.lock().unwrap();
        drop(self.changed.wait_while(now, |now| *now < stage).unwrap());
    }

    /// Whether the body has not ended within `limit` from now.
    fn begin_and_outlast(&self, limit: Duration) -> bool {
        self.set(Stage::Begun);
        let now = self.stage.lock().unwrap();
        let going = |now: &mut Stage| *now < Stage::Ended;
        let (_now, waited) = self.changed.wait_timeout_while(now, limit, going).unwrap();
        waited.timed_out()
    }

    /// Ends the watch when it goes, by a panic too.
    fn ends(&self) -> impl Drop {
        struct Ends<'a>(&'a Watch);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                self.0.set(Stage::Ended);
            }
        }
        Ends(self)
    }
}

fn end_the_run(name: &str, limit: Duration) -> ! {
    // Written straight to the descriptor: the test harness keeps what `eprintln!`
    // prints and would lose it with the process.
    let _ = writeln!(
        io::stderr(),
        "\ntest {name} did not end within {limit:?}; the run ends here"
    );
    // On a thread of its own: should the runtime be what is stuck, so may be
    // its report.
    let (done, waits) = mpsc::channel::<()>();
    thread::spawn(move || {
        let _ = writeln!(io::stderr(), "{}", greenhub::report());
        drop(done);
    });
    let _ = waits.recv_timeout(Duration::from_secs(2));
    std::process::abort();
}
