//! Every stable name of the mirrored parts of std is in green or has its reason in the guide.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const GUIDE: &str = include_str!("../../guide/std_table.md");

/// Imports each name from std and from green, so that one which either lacks does not compile, and
/// lists them.
macro_rules! names {
    ($($($part:ident)::+: $($name:ident)+;)+) => {
        $(const _: () = {
            mod of_std {
                #[allow(unused_imports, deprecated, reason = "it is enough that they are there")]
                use std::$($part)::+::{$($name),+};
            }
            mod of_green {
                #[allow(unused_imports, deprecated, reason = "it is enough that they are there")]
                use green::$($part)::+::{$($name),+};
            }
        };)+

        const PRESENT: &[(&str, &[&str])] = &[$((stringify!($($part)::+), &[$(stringify!($name)),+])),+];
    };
}

names! {
    net: AddrParseError Incoming IpAddr Ipv4Addr Ipv6Addr Shutdown SocketAddr SocketAddrV4
        SocketAddrV6 TcpListener TcpStream ToSocketAddrs UdpSocket;
    thread: AccessError Builder JoinHandle LocalKey Result Scope ScopedJoinHandle Thread ThreadId
        available_parallelism current panicking park park_timeout scope sleep spawn yield_now;
    sync: Arc Barrier BarrierWaitResult Condvar LazyLock LockResult Mutex MutexGuard ONCE_INIT Once
        OnceLock OnceState PoisonError RwLock RwLockReadGuard RwLockWriteGuard TryLockError
        TryLockResult WaitTimeoutResult Weak atomic mpsc;
    sync::mpsc: IntoIter Iter Receiver RecvError RecvTimeoutError SendError Sender SyncSender
        TryIter TryRecvError TrySendError channel sync_channel;
    time: Duration Instant SystemTime SystemTimeError TryFromFloatSecsError UNIX_EPOCH;
    io: BufRead BufReader BufWriter Bytes Chain Cursor Empty Error ErrorKind IntoInnerError IoSlice
        IoSliceMut IsTerminal LineWriter Lines PipeReader PipeWriter Read Repeat Result Seek
        SeekFrom Sink Split Stderr StderrLock Stdin StdinLock Stdout StdoutLock Take Write
        WriterPanicked copy empty pipe prelude read_to_string repeat sink stderr stdin stdout;
    process: Child ChildStderr ChildStdin ChildStdout Command CommandArgs CommandEnvs ExitCode
        ExitStatus Output Stdio Termination abort exit id;
    fs: DirBuilder DirEntry File FileTimes FileType Metadata OpenOptions Permissions ReadDir
        TryLockError canonicalize copy create_dir create_dir_all exists hard_link metadata read
        read_dir read_link read_to_string remove_dir remove_dir_all remove_file rename
        set_permissions soft_link symlink_metadata write;
    os::raw: c_char c_double c_float c_int c_long c_longlong c_schar c_short c_uchar c_uint c_ulong
        c_ulonglong c_ushort c_void;
    os::fd: AsFd AsRawFd BorrowedFd FromRawFd IntoRawFd OwnedFd RawFd;
    os::unix: ffi fs io net prelude process thread;
    os::unix::ffi: OsStrExt OsStringExt;
    os::unix::fs: DirBuilderExt DirEntryExt FileExt FileTypeExt MetadataExt OpenOptionsExt
        PermissionsExt chown chroot fchown lchown symlink;
    os::unix::net: Incoming SocketAddr UnixDatagram UnixListener UnixStream;
    os::unix::process: CommandExt ExitStatusExt parent_id;
    os::unix::thread: RawPthread;
    os::linux: fs net;
    os::linux::fs: MetadataExt;
    os::linux::net: SocketAddrExt TcpStreamExt;
}

/// What is at std's root: imported from green, and listed.
macro_rules! root {
    ($($name:ident)+) => {
        #[allow(unused_imports, clippy::legacy_numeric_constants, reason = "it is enough that they are there")]
        mod root_of_green {
            use green::{$($name),+};
        }

        const ROOT: &[&str] = &[$(stringify!($name)),+];
    };
}

root! {
    alloc any arch array ascii assert assert_eq assert_ne backtrace borrow boxed cell cfg cfg_select char clone cmp
    collections column compile_error concat convert dbg debug_assert debug_assert_eq debug_assert_ne default env eprint
    eprintln error f32 f64 ffi file fmt format format_args fs future hash hint i8 i16 i32 i64 i128 include include_bytes
    include_str io is_x86_feature_detected isize iter line marker matches mem module_path net num ops option option_env os
    panic path pin prelude primitive print println process ptr range rc result slice str string stringify sync task thread
    thread_local time todo u8 u16 u32 u64 u128 unimplemented unreachable usize vec write writeln
}

/// What the glob of `std::os::unix::prelude` brings, from green's.
#[allow(unused_imports, reason = "it is enough that they are there")]
use green::os::unix::prelude::{
    AsFd, AsRawFd, BorrowedFd, CommandExt, DirEntryExt, ExitStatusExt, FileExt, FileTypeExt,
    FromRawFd, IntoRawFd, MetadataExt, OpenOptionsExt, OsStrExt, OsStringExt, OwnedFd,
    PermissionsExt, RawFd,
};
/// The names in the guide's section on what is absent, without `std::`.
fn absent() -> BTreeSet<String> {
    let (_, section) = GUIDE.split_once("# Names that are absent").unwrap();
    let (section, _) = section.split_once("\n# ").unwrap();
    let rows = section
        .lines()
        .filter_map(|row| row.strip_prefix("| `std::"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

fn present() -> BTreeSet<String> {
    let names = PRESENT
        .iter()
        .flat_map(|(part, names)| names.iter().map(move |name| path(part, name)));
    names.collect()
}

fn path(part: &str, name: &str) -> String {
    format!("{}::{name}", part.replace(' ', ""))
}

#[test]
fn a_name_is_either_present_or_absent() {
    let both: Vec<_> = present().intersection(&absent()).cloned().collect();
    assert!(both.is_empty(), "{both:?}");
    assert!(!absent().is_empty());
}

/// The list above is as long as std's own: a release of Rust that brings a name fails here until
/// green has it or the guide says why not.
#[test]
fn no_stable_name_of_std_is_forgotten() {
    let pages = tempfile::tempdir().unwrap();
    let docs = pages_of_std(pages.path());
    let (present, absent) = (present(), absent());
    let mut forgotten = Vec::new();
    let mut seen = 0;
    for (part, _) in PRESENT {
        let page = docs.join(part.replace(' ', "").replace("::", "/"));
        let page = fs::read_to_string(page.join("index.html")).unwrap();
        for name in stable_names(&page) {
            seen += 1;
            let name = path(part, &name);
            if !present.contains(&name) && !absent.contains(&name) {
                forgotten.push(name);
            }
        }
    }
    let page = fs::read_to_string(docs.join("index.html")).unwrap();
    for name in stable_names(&page) {
        seen += 1;
        if !ROOT.contains(&name.as_str()) {
            forgotten.push(name);
        }
    }
    assert!(forgotten.is_empty(), "{forgotten:?}");
    assert!(seen > 300, "the pages were not understood: {seen} names");
}

/// Has rustdoc write std's pages, as those of a crate that gives out all of std; where its root is.
fn pages_of_std(folder: &Path) -> PathBuf {
    let all = folder.join("all.rs");
    fs::write(&all, "#[doc(inline)]\npub use std::*;\n").unwrap();
    let rustdoc = std::env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into());
    let made = Command::new(rustdoc)
        .args(["--edition=2024", "--crate-name=all", "--out-dir"])
        .arg(folder)
        .arg(&all)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    folder.join("all")
}

/// The names that a module's page lists, without those marked experimental. Each is a `<dt>` whose
/// first link goes to `struct.Name.html`, or to `name/index.html` for a module.
fn stable_names(page: &str) -> Vec<String> {
    let entries = page.split("<dt>").skip(1);
    entries
        .filter_map(|entry| {
            let entry = entry.split("</dt>").next()?;
            if entry.contains("Experimental") {
                return None;
            }
            let link = entry.split("href=\"").nth(1)?.split('"').next()?;
            match link.strip_suffix("/index.html") {
                Some(module) => Some(module.to_owned()),
                None => link
                    .strip_suffix(".html")?
                    .split('.')
                    .nth(1)
                    .map(str::to_owned),
            }
        })
        .collect()
}
