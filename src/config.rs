//! Settings of the runtime, fixed at the first start of a hub.

use std::io;
use std::sync::OnceLock;

use crate::sys::lock::Lock;

mod environment;

/// Settings of the runtime: how many hubs, how large a stack.
///
/// Each is taken from here, otherwise from the environment (`GREEN_HUBS`, `GREEN_STACK_SIZE`,
/// `GREEN_BLOCKING_THREADS`, `GREEN_THREAD_LOCALS`), otherwise its default holds. They are fixed when
/// the first green thread is started.
///
/// In the environment a number is digits alone, without a unit. In place of a value that is none the default holds, in
/// place of too few the least there can be, and 1024 hubs are the most. Each is told to the crate `log` as a warning, and
/// by [`report`](crate::report()). Where a stack is larger than the system gives, the spawn fails.
///
/// ```
/// green::Config::new().hubs(1).stack_size(64 * 1024).apply().unwrap();
/// assert_eq!(green::run(|| 7), 7);
/// // From now on a setting would have no effect, so it is an error.
/// assert!(green::Config::new().hubs(2).apply().is_err());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Config {
    hubs: Option<usize>,
    stack_size: Option<usize>,
    blocking_threads: Option<usize>,
    thread_locals: Option<ThreadLocals>,
    switch_hook: Option<SwitchHook>,
}

/// Called in a green thread's place where it leaves for others, which its argument does.
pub(crate) type SwitchHook = fn(&mut dyn FnMut());

/// Whose thread-locals code on a green thread sees: std's, C's and C++'s, `errno`
/// and values by pthread key among them.
///
/// By the environment: `GREEN_THREAD_LOCALS` as `auto`, `own` or `shared`.
///
/// ```
/// use green::{Config, ThreadLocals};
///
/// Config::new().thread_locals(ThreadLocals::Auto).apply()?;
/// green::run(|| ());
/// println!("thread-locals are {}", green::report().thread_locals);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThreadLocals {
    /// As `Own` where that is proved to work at the first start (glibc from 2.34 on,
    /// on x86-64 with FSGSBASE, which Linux has from 5.9 on, or on aarch64), otherwise as `Shared`.
    /// [`report`](crate::report()) says which, and why.
    Auto,
    /// Each green thread has its own, as an OS thread does, with destructors that
    /// run at its end. An idle green thread takes 4.4 KB more, each switch takes some 10 ns more, and
    /// a program with many green threads some per cent more time. The thread-locals lie at the top of
    /// the stack, in addition to the bytes of [`Config::stack_size`]. Where this does not work, the
    /// first start fails.
    Own,
    /// The green threads of a hub share those of its OS thread.
    Shared,
}

/// The settings that hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) hubs: usize,
    /// In bytes, a multiple of the page size.
    pub(crate) stack_size: usize,
    pub(crate) blocking_threads: usize,
    pub(crate) thread_locals: ThreadLocals,
    pub(crate) switch_hook: Option<SwitchHook>,
}

const DEFAULT_STACK_SIZE: usize = 256 * 1024;
const MIN_STACK_SIZE: usize = 32 * 1024;
const DEFAULT_BLOCKING_THREADS: usize = 64;
const DEFAULT_THREAD_LOCALS: ThreadLocals = ThreadLocals::Auto;
const MAX_HUBS: usize = 1024;

static WANTED: Lock<Config> = Lock::new(Config {
    hubs: None,
    stack_size: None,
    blocking_threads: None,
    thread_locals: None,
    switch_hook: None,
});
/// With remarks on the environment.
static CHOSEN: OnceLock<(Settings, Vec<String>)> = OnceLock::new();

impl Config {
    /// No setting changed.
    pub fn new() -> Config {
        Config::default()
    }

    /// Number of hubs, each an OS thread; by default one per core
    /// ([`std::thread::available_parallelism`]).
    pub fn hubs(mut self, hubs: usize) -> Config {
        self.hubs = Some(hubs);
        self
    }

    /// Stack of a green thread in bytes, rounded up to pages and to at least
    /// 32 KiB; by default 256 KiB. Only pages that are touched take memory.
    pub fn stack_size(mut self, bytes: usize) -> Config {
        self.stack_size = Some(bytes);
        self
    }

    /// The most OS threads that [`blocking`](crate::blocking()) uses; by
    /// default 64.
    pub fn blocking_threads(mut self, threads: usize) -> Config {
        self.blocking_threads = Some(threads);
        self
    }

    /// Whose thread-locals code on a green thread sees; by default
    /// [`ThreadLocals::Auto`].
    pub fn thread_locals(mut self, whose: ThreadLocals) -> Config {
        self.thread_locals = Some(whose);
        self
    }

    /// Where green threads share thread-locals, has `hook` called at each wait of a green thread, in its place: it takes out
    /// of the thread-locals what is this green thread's own, calls its argument, which lets the others run until this
    /// green thread goes on, and puts everything back. Where thread-locals are a green thread's own it is never called.
    ///
    /// A green thread that begins finds what the one that ended before it has left behind.
    ///
    /// A hook cannot wait itself: that panics, and a panic of a hook ends the process. A second call of its argument does
    /// nothing; if there is none, the others run once the hook has returned. The guide's page *Debugging* has the hook
    /// for spans of tracing.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use std::time::Duration;
    ///
    /// use green::{Config, ThreadLocals, thread};
    ///
    /// std::thread_local! {
    ///     /// Whose request this thread answers.
    ///     static USER: Cell<u32> = const { Cell::new(0) };
    /// }
    ///
    /// fn keep_user(switch: &mut dyn FnMut()) {
    ///     let user = USER.take();
    ///     switch();
    ///     USER.set(user);
    /// }
    ///
    /// Config::new().thread_locals(ThreadLocals::Shared).switch_hook(keep_user).apply()?;
    /// let answers: Vec<_> = (1..=10)
    ///     .map(|user| {
    ///         thread::spawn(move || {
    ///             USER.set(user);
    ///             thread::sleep(Duration::from_millis(1));
    ///             USER.take()
    ///         })
    ///     })
    ///     .collect();
    /// for (user, answer) in (1..).zip(answers) {
    ///     assert_eq!(answer.join().unwrap(), user);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn switch_hook(mut self, hook: fn(switch: &mut dyn FnMut())) -> Config {
        self.switch_hook = Some(hook);
        self
    }

    /// Makes these settings hold for the whole process.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for zero hubs, more than 1024, or zero blocking threads;
    /// `AlreadyExists` once a green thread has been started or a blocking call
    /// made, since the settings are fixed by then.
    pub fn apply(self) -> io::Result<()> {
        let invalid = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if self.hubs.is_some_and(|n| n == 0 || n > MAX_HUBS) {
            return invalid("the number of hubs must be from 1 to 1024");
        }
        if self.blocking_threads == Some(0) {
            return invalid("the blocking pool needs at least one thread");
        }
        let mut wanted = WANTED.lock();
        if CHOSEN.get().is_some() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "the runtime has started: its settings cannot change any more",
            ));
        }
        wanted.hubs = self.hubs.or(wanted.hubs);
        wanted.stack_size = self.stack_size.or(wanted.stack_size);
        wanted.blocking_threads = self.blocking_threads.or(wanted.blocking_threads);
        wanted.thread_locals = self.thread_locals.or(wanted.thread_locals);
        wanted.switch_hook = self.switch_hook.or(wanted.switch_hook);
        Ok(())
    }
}

/// The settings, fixed by the first call.
///
/// The first call may log, and a logger may use green threads: not to be called
/// under a lock, unless it has been called before.
pub(crate) fn settings() -> &'static Settings {
    if let Some((settings, _)) = CHOSEN.get() {
        return settings;
    }
    let mut is_first = false;
    let (settings, remarks) = CHOSEN.get_or_init(|| {
        is_first = true;
        chosen()
    });
    if is_first {
        remarks.iter().for_each(|remark| log::warn!("{remark}"));
    }
    settings
}

/// What is wrong with the environment's settings, and what holds in their place; empty until the settings are fixed.
pub(crate) fn remarks() -> &'static [String] {
    CHOSEN.get().map_or(&[], |(_, remarks)| remarks)
}

fn chosen() -> (Settings, Vec<String>) {
    let wanted = WANTED.lock();
    let mut remarks = Vec::new();
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let thread_locals = wanted.thread_locals.unwrap_or_else(|| {
        let words = [
            ("auto", ThreadLocals::Auto),
            ("own", ThreadLocals::Own),
            ("shared", ThreadLocals::Shared),
        ];
        environment::word(
            "GREEN_THREAD_LOCALS",
            &words,
            DEFAULT_THREAD_LOCALS,
            &mut remarks,
        )
    });
    let hubs = wanted
        .hubs
        .unwrap_or_else(|| environment::number("GREEN_HUBS", 1..=MAX_HUBS, cores, &mut remarks));
    let stack_size = wanted.stack_size.unwrap_or_else(|| {
        let range = MIN_STACK_SIZE..=usize::MAX;
        environment::number(
            "GREEN_STACK_SIZE",
            range,
            || DEFAULT_STACK_SIZE,
            &mut remarks,
        )
    });
    let blocking_threads = wanted.blocking_threads.unwrap_or_else(|| {
        let default = || DEFAULT_BLOCKING_THREADS;
        environment::number(
            "GREEN_BLOCKING_THREADS",
            1..=usize::MAX,
            default,
            &mut remarks,
        )
    });
    let settings = Settings {
        // A machine may have more cores than hubs are of use.
        hubs: hubs.min(MAX_HUBS),
        stack_size: round_stack(stack_size),
        blocking_threads,
        thread_locals,
        switch_hook: wanted.switch_hook,
    };
    (settings, remarks)
}

/// A stack size as the engine needs it: whole pages, and room for a panic.
pub(crate) fn round_stack(bytes: usize) -> usize {
    let page = crate::sys::memory::page_size();
    bytes
        .max(MIN_STACK_SIZE)
        .checked_next_multiple_of(page)
        .unwrap_or(usize::MAX & !(page - 1))
}
