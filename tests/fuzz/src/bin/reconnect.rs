//! `Reconnect` by any settings, against a peer that does whatever a script says, in simulated time.
//!
//! Held against its documentation: when it goes on and when it gives up, how attempts count, and how long each pause is.
#![no_main]

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use green::reconnect::{Reconnect, is_worth_retrying};
use green::{sim, thread};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    seed: u64,
    settings: Settings,
    script: Vec<Act>,
}

#[derive(Arbitrary, Debug)]
struct Settings {
    open_limit: Time,
    use_limit: Option<Time>,
    pauses: (Time, Time),
    attempts: Option<u32>,
    total_limit: Option<Time>,
    steady_after: Time,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Time {
    Zero,
    Nanos(u16),
    Millis(u16),
    Seconds(u16),
    Days(u16),
    Any(u64, u32),
    Max,
}

impl From<Time> for Duration {
    fn from(time: Time) -> Duration {
        match time {
            Time::Zero => Duration::ZERO,
            Time::Nanos(n) => Duration::from_nanos(n.into()),
            Time::Millis(n) => Duration::from_millis(n.into()),
            Time::Seconds(n) => Duration::from_secs(n.into()),
            Time::Days(n) => Duration::from_secs(86_400 * u64::from(n)),
            Time::Any(seconds, nanos) => Duration::new(seconds, nanos % 1_000_000_000),
            Time::Max => Duration::MAX,
        }
    }
}

/// What opening or using does next. Behind the last one all is well.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Act {
    takes: Took,
    ends: End,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Took {
    Nothing,
    Millis(u16),
    Minutes(u16),
}

impl From<Took> for Duration {
    fn from(took: Took) -> Duration {
        match took {
            Took::Nothing => Duration::ZERO,
            Took::Millis(n) => Duration::from_millis(n.into()),
            Took::Minutes(n) => Duration::from_secs(60 * u64::from(n)),
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum End {
    Well,
    Passing(Passing),
    Lasting(Lasting),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Passing {
    Refused,
    Reset,
    Eof,
    TimedOut,
    Unreachable,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Lasting {
    Permission,
    Data,
    NotFound,
}

impl End {
    fn result(self) -> io::Result<()> {
        let kind = match self {
            End::Well => return Ok(()),
            End::Passing(Passing::Refused) => ErrorKind::ConnectionRefused,
            End::Passing(Passing::Reset) => ErrorKind::ConnectionReset,
            End::Passing(Passing::Eof) => ErrorKind::UnexpectedEof,
            End::Passing(Passing::TimedOut) => ErrorKind::TimedOut,
            End::Passing(Passing::Unreachable) => ErrorKind::HostUnreachable,
            End::Lasting(Lasting::Permission) => ErrorKind::PermissionDenied,
            End::Lasting(Lasting::Data) => ErrorKind::InvalidData,
            End::Lasting(Lasting::NotFound) => ErrorKind::NotFound,
        };
        Err(kind.into())
    }
}

/// A simulated moment here and there.
const SLACK: Duration = Duration::from_millis(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[derive(Default)]
struct Seen {
    /// The failures since things were last well, this one included.
    failures: u32,
    /// Since when they are counted.
    since: Option<Instant>,
    /// The last error; while something is under way, the one that its limit will be.
    kind: Option<ErrorKind>,
    /// When the next attempt is due.
    due: Option<Instant>,
}

struct Trial {
    settings: Settings,
    script: Vec<Act>,
    next: AtomicUsize,
    seen: Mutex<Seen>,
}

impl Trial {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Does what is next in the script, or all of it that `limit` lets it.
    fn act(&self, limit: Option<Duration>, is_use: bool) -> io::Result<()> {
        let began = Instant::now();
        let next = self.next.fetch_add(1, Relaxed);
        let Act { takes, ends } = self.script.get(next).copied().unwrap_or(Act {
            takes: Took::Nothing,
            ends: End::Well,
        });
        {
            let mut seen = self.seen();
            if let Some(due) = seen.due.take() {
                assert!(began >= due, "too early");
                assert!(began <= due + SLACK, "too late");
            }
            seen.kind = Some(ErrorKind::TimedOut);
            seen.failures += 1;
        }
        let takes = Duration::from(takes);
        // A limit that has passed ends what waits, and nothing else.
        if !takes.is_zero() {
            thread::sleep(takes);
        }
        assert!(limit.is_none_or(|limit| takes <= limit.saturating_add(SLACK)));
        let result = ends.result();
        let mut seen = self.seen();
        match &result {
            Ok(()) => seen.failures -= 1,
            Err(error) => {
                seen.kind = Some(error.kind());
                if is_use && began.elapsed() >= self.settings.steady_after.into() {
                    seen.failures = 1;
                    seen.since = Some(Instant::now());
                }
            }
        }
        result
    }

    /// The shortest pause behind so many failures; chance makes it up to twice as long.
    fn shortest_pause(&self, failures: u32) -> Duration {
        let (first, longest) = self.settings.pauses;
        let longest = Duration::from(longest).min(YEAR);
        let mut pause = Duration::from(first).min(longest) / 2;
        for _ in 1..failures {
            pause = (pause * 2).min(longest / 2);
        }
        pause
    }

    /// How long ago the failures began.
    fn spent(&self) -> Duration {
        self.seen().since.unwrap().elapsed()
    }

    fn on_retry(&self, attempt: u32, error: &io::Error, pause: Duration) {
        let spent = self.spent();
        let mut seen = self.seen();
        assert_eq!(attempt, seen.failures);
        assert_eq!(Some(error.kind()), seen.kind);
        assert!(is_worth_retrying(error));
        assert!(self.settings.attempts.is_none_or(|most| attempt < most));
        let shortest = self.shortest_pause(attempt);
        // It is a factor of 24 bits that chance makes.
        let longest = (2 * shortest).mul_f64(1.000_001);
        assert!(
            (shortest..=longest).contains(&pause),
            "{pause:?}, not {shortest:?} and more"
        );
        if let Some(total) = self.settings.total_limit.map(Duration::from) {
            assert!(spent + pause <= total.saturating_add(SLACK));
        }
        seen.due = Some(Instant::now() + pause);
    }

    fn run(&self) {
        let Settings {
            attempts,
            pauses: (first, longest),
            ..
        } = self.settings;
        let open_limit = self.settings.open_limit.into();
        let use_limit = self.settings.use_limit.map(Duration::from);
        let total_limit = self.settings.total_limit.map(Duration::from);
        let mut connection = Reconnect::new(|| self.act(Some(open_limit), false))
            .open_limit(open_limit)
            .use_limit(use_limit)
            .pauses(first.into()..=longest.into())
            .attempts(attempts)
            .total_limit(total_limit)
            .steady_after(self.settings.steady_after.into())
            .on_retry(|attempt, error, pause| self.on_retry(attempt, error, pause));
        // Each takes from the script.
        for _ in 0..4 {
            *self.seen() = Seen {
                since: Some(Instant::now()),
                ..Seen::default()
            };
            let result = connection.run(|()| self.act(use_limit, true));
            let spent = self.spent();
            let Err(gave_up) = result else {
                assert_eq!(self.seen().due, None);
                continue;
            };
            let tried = gave_up.attempts();
            assert_eq!(tried, self.seen().failures);
            assert_eq!(Some(gave_up.error().kind()), self.seen().kind);
            assert_eq!(gave_up.is_permanent(), !is_worth_retrying(gave_up.error()));
            let all = attempts.is_some_and(|most| tried >= most);
            let late = total_limit
                .is_some_and(|total| spent + 2 * self.shortest_pause(tried) + SLACK >= total);
            assert!(gave_up.is_permanent() || all || late, "it gave up early");
        }
    }
}

fuzz_target!(|input: Input| {
    let Input {
        seed,
        settings,
        mut script,
    } = input;
    script.truncate(40);
    let trial = Trial {
        settings,
        script,
        next: AtomicUsize::new(0),
        seen: Mutex::default(),
    };
    sim::run(seed, move || trial.run());
});
