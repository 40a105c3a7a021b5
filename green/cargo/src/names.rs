//! The one table: for which names of std and of other crates green has its own, and what the originals do to a hub.

/// What a name does to a hub when std's, and not green's, is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing: it only has to come from the same crate as those that wait.
    Plain,
    /// Waits for the disk, a terminal or a resolver of names: it ends by itself, and nobody else has to run for it.
    Disk,
    /// A lock or a first initialisation: whoever holds it over a green wait stops its neighbours for ever.
    Lock,
    /// Waits for a peer, another thread or the clock.
    Wait,
}

/// A module whose names green has too, and those of them that are green's own.
///
/// What a module re-exports from std (`Arc`, `io::Read`, `SocketAddr`) is missing here on purpose: it stays std's.
struct Module {
    /// Its path, below `std`.
    path: &'static [&'static str],
    names: &'static [(Kind, &'static [&'static str])],
}

macro_rules! table {
    (@shielded [] $($rest:tt)+) => {};
    (@shielded [$shielded:ident] [$($part:ident)::+] [$($name:ident)+]) => {
        const _: () = {
            #[allow(unused_imports, deprecated, reason = "it is enough that they are there")]
            use green::$shielded::$($part)::+::{$($name),+};
        };
    };
    (@imports $($($part:ident)::+ $([$shielded:ident])?: $($name:ident)+;)+) => {
        $(const _: () = {
            #[allow(unused_imports, deprecated, reason = "it is enough that they are there")]
            use green::$($part)::+::{$($name),+};
        };)+
        $(table!(@shielded [$($shielded)?] [$($part)::+] [$($name)+]);)+
    };
    ($($($part:ident)::+ $([$shielded:ident])?: $($kind:ident($($name:ident)+))+;)+) => {
        const STD: &[Module] = &[$(Module {
            path: &[$(stringify!($part)),+],
            names: &[$((Kind::$kind, &[$(stringify!($name)),+])),+],
        }),+];

        /// Every name of the table is in green; this does not compile otherwise.
        #[cfg(test)]
        mod in_green {
            table!(@imports $($($part)::+ $([$shielded])?: $($($name)+)+;)+);
        }
    };
}

table! {
    net: Wait(Incoming TcpListener TcpStream UdpSocket) Disk(ToSocketAddrs);
    thread [shielded]: Wait(Builder JoinHandle Scope ScopedJoinHandle park park_timeout scope sleep spawn)
        Plain(AccessError LocalKey Thread ThreadId available_parallelism current panicking yield_now);
    sync [shielded]: Wait(Barrier BarrierWaitResult Condvar WaitTimeoutResult)
        Lock(ONCE_INIT LazyLock Mutex MutexGuard Once OnceLock OnceState RwLock RwLockReadGuard RwLockWriteGuard);
    sync::mpsc [shielded]: Wait(IntoIter Iter Receiver Sender SyncSender TryIter channel sync_channel);
    io: Wait(PipeReader PipeWriter pipe)
        Disk(Stderr StderrLock Stdin StdinLock Stdout StdoutLock stderr stdin stdout)
        Plain(IsTerminal copy);
    process: Wait(Child ChildStderr ChildStdin ChildStdout Command)
        Plain(exit);
    fs: Disk(DirBuilder DirEntry File OpenOptions ReadDir canonicalize copy create_dir create_dir_all exists
        hard_link metadata read read_dir read_link read_to_string remove_dir remove_dir_all remove_file
        rename set_permissions soft_link symlink_metadata write);
    os::unix::net: Wait(Incoming UnixDatagram UnixListener UnixStream);
    os::unix::fs: Disk(chown chroot fchown lchown symlink);
    os::unix::process: Plain(CommandExt);
    os::linux::net: Plain(TcpStreamExt);
}

/// Modules of std with names that `STD` does not list; a glob, or an import of such a module as a whole, becomes
/// green's too.
const WHOLE: &[&[&str]] = &[
    &["os", "unix"],
    &["os", "linux"],
    &["os", "unix", "prelude"],
];

/// What green exports at its root under std's name: macros that are in the prelude.
pub const MACROS: &[&str] = &["eprint", "eprintln", "print", "println", "thread_local"];

/// A crate other than std whose names green has.
struct Facade {
    path: &'static [&'static str],
    green: &'static str,
    names: &'static [(Kind, &'static [&'static str])],
}

macro_rules! facade {
    ($list:ident, $module:ident: $($kind:ident($($name:ident)+))+) => {
        const $list: &[(Kind, &[&str])] = &[$((Kind::$kind, &[$(stringify!($name)),+])),+];

        #[cfg(test)]
        const _: () = {
            #[allow(unused_imports, reason = "it is enough that they are there")]
            use green::$module::{$($($name),+),+};
        };
    };
}

facade! { CHANNEL, channel:
    Wait(IntoIter Iter Receiver Select SelectedOperation Sender TryIter after at bounded never select select_biased tick
        unbounded)
}

facade! { PARKING_LOT, parking_lot:
    Wait(Condvar WaitTimeoutResult)
    Lock(FairMutex FairMutexGuard MappedFairMutexGuard MappedMutexGuard MappedReentrantMutexGuard MappedRwLockReadGuard
        MappedRwLockWriteGuard Mutex MutexGuard Once OnceState RawFairMutex RawMutex RawRwLock RawThreadId ReentrantMutex
        ReentrantMutexGuard RwLock RwLockReadGuard RwLockUpgradableReadGuard RwLockWriteGuard const_fair_mutex const_mutex
        const_reentrant_mutex const_rwlock)
    Plain(lock_api)
}

/// Names of crossbeam-channel that have no shielded twin.
const SELECTING: &[&str] = &["Select", "SelectedOperation", "select", "select_biased"];

const FACADES: &[Facade] = &[
    Facade {
        path: &["crossbeam_channel"],
        green: "channel",
        names: CHANNEL,
    },
    Facade {
        path: &["crossbeam", "channel"],
        green: "channel",
        names: CHANNEL,
    },
    Facade {
        path: &["parking_lot"],
        green: "parking_lot",
        names: PARKING_LOT,
    },
];

/// Modules of green that are there with a feature of that name.
const FEATURES: &[&str] = &["parking_lot"];

/// The feature that a path below `green` needs.
pub fn feature(path: &str) -> Option<&'static str> {
    let first = path.trim_start_matches("::").split("::").next();
    FEATURES.iter().find(|name| Some(**name) == first).copied()
}

/// Modules of which green has a second copy, with shielded waits.
const SHIELDED: &[&str] = &["sync", "thread"];

/// Calls of the kernel by way of C, which hold the hub.
const RAW_CALLS: &[&str] = &[
    "accept",
    "accept4",
    "connect",
    "epoll_wait",
    "flock",
    "nanosleep",
    "poll",
    "ppoll",
    "pselect",
    "recv",
    "recvfrom",
    "recvmsg",
    "select",
    "sleep",
    "usleep",
    "wait",
    "waitpid",
];

/// Crates whose values are initialised at first use, under a lock of their own.
pub const FIRST_USE: &[&str] = &["lazy_static", "once_cell"];

/// Crates with locks that hold the OS thread.
const LOCKS: &[&str] = &["spin"];

/// What a path means to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Green has it: the first `replaced` segments become `green::` and this path, without a last `::`.
    Green {
        replaced: usize,
        green: String,
        kind: Kind,
        /// The whole module is meant, not a name in it.
        whole: bool,
    },
    /// It waits, and green has nothing to replace it.
    Raw,
    /// A lock of another crate's.
    Foreign,
    /// `once_cell`, `lazy_static`.
    FirstUse,
    /// `socket2::Socket`, whose `connect` and `connect_timeout` hold the hub.
    Socket2,
    /// Nothing that matters here.
    Other,
}

/// What follows the last segment of a path that is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Name,
    Glob,
}

/// Which names are replaced by shielded ones, whose waits kills and limits do not end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shield {
    pub locks: bool,
    pub channels: bool,
}

/// Whether `path` is one of a channel that cannot be shielded.
pub fn selects(path: &[&str]) -> bool {
    let rest = FACADES
        .iter()
        .find_map(|facade| path.strip_prefix(facade.path));
    rest.and_then(<[_]>::first)
        .is_some_and(|name| SELECTING.contains(name))
}

/// What `path` means, whose first segment is `std` or the name of a crate.
pub fn meaning(path: &[&str], end: End, shield: Shield) -> Meaning {
    match path {
        ["std", rest @ ..] => of_std(rest, end, shield.locks),
        ["libc", name, ..] if RAW_CALLS.contains(name) => Meaning::Raw,
        [name, ..] if FIRST_USE.contains(name) => Meaning::FirstUse,
        [name, ..] if LOCKS.contains(name) => Meaning::Foreign,
        ["socket2", ..] => Meaning::Socket2,
        _ => of_a_facade(path, end, shield.channels),
    }
}

fn of_std(path: &[&str], end: End, shielded: bool) -> Meaning {
    let green = |kind, whole| Meaning::Green {
        replaced: 1,
        green: match path[0] {
            module if shielded && SHIELDED.contains(&module) => "::shielded".to_owned(),
            _ => String::new(),
        },
        kind,
        whole,
    };
    if let [name] = path
        && MACROS.contains(name)
        && end == End::Name
    {
        return green(Kind::Plain, false);
    }
    if STD.iter().any(|module| module.path == path) || WHOLE.contains(&path) {
        // A glob may bring any of the names.
        return green(
            if end == End::Glob {
                Kind::Wait
            } else {
                Kind::Plain
            },
            true,
        );
    }
    let names = STD.iter().filter(|module| path.starts_with(module.path));
    match names
        .into_iter()
        .find_map(|module| kind_in(module.names, path.get(module.path.len())?))
    {
        Some(kind) => green(kind, false),
        None => Meaning::Other,
    }
}

fn of_a_facade(path: &[&str], end: End, shielded: bool) -> Meaning {
    let Some(facade) = FACADES.iter().find(|facade| path.starts_with(facade.path)) else {
        return Meaning::Other;
    };
    // Those of parking_lot are shielded as they are.
    let shield = if shielded && facade.green == "channel" {
        "shielded::"
    } else {
        ""
    };
    let green = |kind, whole| Meaning::Green {
        replaced: facade.path.len(),
        green: format!("::{shield}{}", facade.green),
        kind,
        whole,
    };
    match path.get(facade.path.len()) {
        Some(name) => kind_in(facade.names, name).map_or(Meaning::Other, |kind| green(kind, false)),
        None => green(
            if end == End::Glob {
                Kind::Wait
            } else {
                Kind::Plain
            },
            true,
        ),
    }
}

fn kind_in(names: &[(Kind, &[&str])], name: &str) -> Option<Kind> {
    let (kind, _) = names.iter().find(|(_, names)| names.contains(&name))?;
    Some(*kind)
}
