//! `File`, `OpenOptions`, directories and the free functions.

use std::io::{IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::lib::fs::{
    self, DirBuilder, DirEntry, File, FileTimes, OpenOptions, Permissions, TryLockError,
};
use super::lib::io;
use super::lib::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use super::lib::os::unix::fs::{
    self as unix, DirBuilderExt, DirEntryExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt,
    PermissionsExt,
};
use super::support::{closes_on_exec, directory};
use crate::harness::Transcript;

parity! {
    topic: fs,
    items: [
        "File::open", "File::create", "File::create_new", "File::options", "File::sync_all",
        "File::sync_data", "File::lock", "File::lock_shared", "File::try_lock",
        "File::try_lock_shared", "File::unlock", "File::set_len", "File::metadata",
        "File::try_clone", "File::set_permissions", "File::set_times", "File::set_modified",
        "Debug for File", "FileExt::read_at", "FileExt::read_exact_at", "FileExt::write_at",
        "FileExt::write_all_at", "From<File> for OwnedFd", "From<OwnedFd> for File",
        "FromRawFd for File", "IntoRawFd for File", "Read for &File", "Seek for &File",
        "Write for &File", "Read for Arc<File>", "Write for Arc<File>", "Seek for Arc<File>",
        "OpenOptions::new", "OpenOptions::read", "OpenOptions::write", "OpenOptions::append",
        "OpenOptions::truncate", "OpenOptions::create", "OpenOptions::create_new",
        "OpenOptions::open", "OpenOptionsExt::mode", "OpenOptionsExt::custom_flags",
        "DirBuilder::new", "DirBuilder::recursive", "DirBuilder::create", "DirBuilderExt::mode",
        "DirEntry::path", "DirEntry::metadata", "DirEntry::file_type", "DirEntry::file_name",
        "Debug for DirEntry", "DirEntryExt::ino", "Iterator for ReadDir",
        "FileTimes", "FileType", "Metadata", "Permissions", "TryLockError",
        "canonicalize", "copy", "create_dir", "create_dir_all", "exists", "hard_link", "metadata",
        "read", "read_dir", "read_link", "read_to_string", "remove_dir", "remove_dir_all",
        "remove_file", "rename", "set_permissions", "symlink_metadata", "write",
        "unix::symlink", "unix::chown", "unix::lchown", "unix::fchown", "unix::chroot",
        "FileTypeExt", "MetadataExt", "PermissionsExt",
    ],
    differs: [
        "Read for Arc<File>" => "only std may implement its traits for Arc: read from &*file",
        "Write for Arc<File>" => "only std may implement its traits for Arc: write to &*file",
        "Seek for Arc<File>" => "only std may implement its traits for Arc: seek in &*file",
        "unix::chroot" => "needs privileges and would change the test's process",
    ],
    bodies: {
        signatures: ["File::sync_all", "File::sync_data"],
        re_exports_are_std: [
            "FileTimes", "FileType", "Metadata", "Permissions", "TryLockError", "FileTypeExt",
            "MetadataExt", "PermissionsExt",
        ],
        opened: ["File::open", "File::create", "File::create_new"],
        options: [
            "File::options", "OpenOptions::new", "OpenOptions::read", "OpenOptions::write",
            "OpenOptions::append", "OpenOptions::truncate", "OpenOptions::create",
            "OpenOptions::create_new", "OpenOptions::open", "OpenOptionsExt::mode",
            "OpenOptionsExt::custom_flags",
        ],
        reads_and_writes: ["Read for &File", "Write for &File", "Seek for &File"],
        whole_reads: ["Read for &File"],
        vectored: ["Read for &File", "Write for &File"],
        at_offsets: [
            "FileExt::read_at", "FileExt::read_exact_at", "FileExt::write_at",
            "FileExt::write_all_at",
        ],
        seeks: ["Seek for &File"],
        lengths_and_metadata: ["File::set_len", "File::metadata", "Debug for File"],
        permissions_and_times: [
            "File::set_permissions", "File::set_times", "File::set_modified", "set_permissions",
        ],
        syncs: ["File::sync_all", "File::sync_data"],
        clones: ["File::try_clone"],
        as_descriptors: [
            "From<File> for OwnedFd", "From<OwnedFd> for File", "FromRawFd for File",
            "IntoRawFd for File",
        ],
        locks: [
            "File::lock", "File::lock_shared", "File::try_lock", "File::try_lock_shared",
            "File::unlock",
        ],
        whole_files: ["read", "read_to_string", "write", "copy"],
        names: [
            "canonicalize", "exists", "hard_link", "read_link", "rename", "remove_file",
            "metadata", "symlink_metadata", "unix::symlink",
        ],
        directories: [
            "create_dir", "create_dir_all", "remove_dir", "remove_dir_all",
            "DirBuilder::new", "DirBuilder::recursive", "DirBuilder::create",
            "DirBuilderExt::mode",
        ],
        listings: [
            "read_dir", "Iterator for ReadDir", "DirEntry::path", "DirEntry::metadata",
            "DirEntry::file_type", "DirEntry::file_name", "Debug for DirEntry", "DirEntryExt::ino",
        ],
        owners: ["unix::chown", "unix::lchown", "unix::fchown"],
    },
}

/// Compiles only if every function has std's signature.
pub fn signatures(t: &mut Transcript) {
    let _: [fn(&File) -> io::Result<()>; 2] = [File::sync_all, File::sync_data];
    let _: fn(&File) -> Result<(), TryLockError> = File::try_lock;
    let _: fn(&File) -> io::Result<fs::Metadata> = File::metadata;
    let _: fn(&File) -> io::Result<File> = File::try_clone;
    let _: fn() -> OpenOptions = File::options;
    let _: fn(&'static str) -> io::Result<File> = File::open;
    let _: fn(&mut OpenOptions, bool) -> &mut OpenOptions = OpenOptions::append;
    let _: fn(&OpenOptions, &'static Path) -> io::Result<File> = OpenOptions::open;
    let _: fn(&'static Path) -> io::Result<Vec<u8>> = fs::read;
    let _: fn(&'static Path, Vec<u8>) -> io::Result<()> = fs::write;
    let _: fn(&'static Path) -> io::Result<fs::ReadDir> = fs::read_dir;
    let _: fn(&DirEntry) -> std::ffi::OsString = DirEntry::file_name;
    let _: fn(&DirEntry) -> io::Result<fs::FileType> = DirEntry::file_type;
    let _: fn(&'static Path) -> io::Result<()> = unix::chroot;
    t.see("compiles", true);
}

/// Compiles only if these names stand for std's own types and traits.
pub fn re_exports_are_std(t: &mut Transcript) {
    let _: fn(fs::Metadata) -> std::fs::Metadata = |same| same;
    let _: fn(fs::FileType) -> std::fs::FileType = |same| same;
    let _: fn(Permissions) -> std::fs::Permissions = |same| same;
    let _: fn(FileTimes) -> std::fs::FileTimes = |same| same;
    let _: fn(TryLockError) -> std::fs::TryLockError = |same| same;
    let root = fs::metadata("/").unwrap();
    t.see(
        "directory",
        (
            root.is_dir(),
            root.file_type().is_fifo(),
            root.mode() & libc::S_IFMT,
        ),
    );
}

pub fn opened(t: &mut Transcript) {
    let (_kept, path) = directory();
    t.outcome("missing", &File::open(path("a")));
    t.outcome("made", &File::create(path("a")));
    t.outcome("made again", &File::create(path("a")));
    t.outcome("not new", &File::create_new(path("a")));
    t.outcome("new", &File::create_new(path("b")));
    t.outcome("there", &File::open(path("a")));
    t.outcome("no directory", &File::create(path("no/such")));
    t.outcome("a directory", &File::create(path("")));
    t.outcome("zero byte", &File::open("a\0b"));
    t.see(
        "close on exec",
        closes_on_exec(&File::open(path("a")).unwrap()),
    );
}

#[allow(
    clippy::suspicious_open_options,
    clippy::nonsensical_open_options,
    reason = "what becomes of senseless options is what is compared"
)]
pub fn options(t: &mut Transcript) {
    let (_kept, path) = directory();
    fs::write(path("f"), "text").unwrap();
    t.outcome("nothing set", &OpenOptions::new().open(path("f")));
    t.outcome(
        "create alone",
        &OpenOptions::new().create(true).open(path("f")),
    );
    t.outcome(
        "truncate and append",
        &OpenOptions::new()
            .append(true)
            .truncate(true)
            .open(path("f")),
    );
    let mut appends = File::options().append(true).open(path("f")).unwrap();
    t.result("append", &appends.write(b"+"));
    t.result("read", &appends.read(&mut [0]));
    let mut reads = OpenOptions::new().read(true).open(path("f")).unwrap();
    t.result("write", &reads.write(b"x"));
    let mut text = String::new();
    t.result("read", &reads.read_to_string(&mut text));
    t.see("text", text);
    t.outcome(
        "create_new",
        &OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path("f")),
    );
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o604);
    t.outcome("with a mode", &options.clone().open(path("g")));
    t.see("mode", fs::metadata(path("g")).unwrap().mode() & 0o777);
    t.outcome(
        "with a flag",
        &OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(path("f")),
    );
    t.see(
        "truncated",
        options.open(path("f")).unwrap().metadata().unwrap().len(),
    );
}

pub fn reads_and_writes(t: &mut Transcript) {
    let (_kept, path) = directory();
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path("f"))
        .unwrap();
    t.result("write", &(&file).write(b"0123456789"));
    t.result("at the end", &(&file).read(&mut [0]));
    t.result("rewind", &(&file).rewind());
    let mut four = [0; 4];
    t.result("read", &(&file).read(&mut four));
    t.see("bytes", four);
    t.result("overwrite", &(&file).write(b"ab"));
    t.result("flush", &(&file).flush());
    t.result("nothing", &(&file).write(b""));
    t.result("nothing", &(&file).read(&mut []));
    t.see("all", fs::read_to_string(path("f")).unwrap());
    let large = vec![b'x'; 300_000];
    t.result("large", &(&file).write(&large));
    t.result("rewind", &(&file).rewind());
    t.result("large", &(&file).read(&mut vec![0; 400_000]));
    let mut closed = File::open(path("f")).unwrap();
    t.result("read only", &closed.write(b"x"));
}

pub fn whole_reads(t: &mut Transcript) {
    let (_kept, path) = directory();
    fs::write(path("f"), "some text").unwrap();
    let mut file = File::open(path("f")).unwrap();
    let mut bytes = b">".to_vec();
    t.result("read_to_end", &file.read_to_end(&mut bytes));
    t.see("bytes", bytes);
    file.rewind().unwrap();
    let mut text = String::from(">");
    t.result("read_to_string", &file.read_to_string(&mut text));
    t.see("text", text);
    file.rewind().unwrap();
    let mut exact = [0; 4];
    t.result("read_exact", &file.read_exact(&mut exact));
    t.result("too much", &file.read_exact(&mut [0; 100]));
    fs::write(path("b"), [b'a', 0xff, b'b']).unwrap();
    let mut text = String::from("kept");
    t.result(
        "not UTF-8",
        &File::open(path("b")).unwrap().read_to_string(&mut text),
    );
    t.see("text", text);
    t.result(
        "a directory",
        &File::open(path("")).unwrap().read_to_end(&mut Vec::new()),
    );
}

pub fn vectored(t: &mut Transcript) {
    let (_kept, path) = directory();
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path("f"))
        .unwrap();
    let pieces = [
        IoSlice::new(b"one"),
        IoSlice::new(b""),
        IoSlice::new(b"two"),
    ];
    t.result("write", &file.write_vectored(&pieces));
    file.rewind().unwrap();
    let (mut first, mut second) = ([0; 2], [0; 8]);
    let mut into = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    t.result("read", &file.read_vectored(&mut into));
    t.see("bytes", (first, second));
}

pub fn at_offsets(t: &mut Transcript) {
    let (_kept, path) = directory();
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path("f"))
        .unwrap();
    t.result("write_at", &file.write_at(b"xyz", 3));
    t.result("write_all_at", &file.write_all_at(b"abc", 0));
    t.result("position", &file.stream_position());
    let mut bytes = [0; 4];
    t.result("read_at", &file.read_at(&mut bytes, 2));
    t.see("bytes", bytes);
    t.result("read_exact_at", &file.read_exact_at(&mut bytes, 4));
    t.result("beyond", &file.read_at(&mut bytes, 100));
}

pub fn seeks(t: &mut Transcript) {
    let (_kept, path) = directory();
    fs::write(path("f"), "0123456789").unwrap();
    let mut file = File::open(path("f")).unwrap();
    for target in [
        SeekFrom::Start(3),
        SeekFrom::Current(2),
        SeekFrom::End(-1),
        SeekFrom::End(5),
    ] {
        t.result("seek", &file.seek(target));
    }
    t.result("before the start", &file.seek(SeekFrom::Current(-100)));
    t.result("position", &file.stream_position());
    t.result("relative", &file.seek_relative(-10));
    t.result("position", &file.stream_position());
}

pub fn lengths_and_metadata(t: &mut Transcript) {
    let (_kept, path) = directory();
    let mut file = File::create(path("f")).unwrap();
    file.write_all(b"0123456789").unwrap();
    t.result("cut", &file.set_len(4));
    t.result("extended", &file.set_len(6));
    t.see("bytes", fs::read(path("f")).unwrap());
    t.result("too long", &file.set_len(u64::MAX));
    t.result("read only", &File::open(path("f")).unwrap().set_len(1));
    let metadata = file.metadata().unwrap();
    t.see(
        "metadata",
        (
            metadata.len(),
            metadata.is_file(),
            metadata.is_dir(),
            metadata.mode() & 0o777,
        ),
    );
    t.see("shown", format!("{file:?}").starts_with("File { fd: "));
}

pub fn permissions_and_times(t: &mut Transcript) {
    let (_kept, path) = directory();
    let file = File::create(path("f")).unwrap();
    t.result(
        "of the file",
        &file.set_permissions(Permissions::from_mode(0o640)),
    );
    t.see(
        "mode",
        fs::metadata(path("f")).unwrap().permissions().mode() & 0o777,
    );
    t.result(
        "of the path",
        &fs::set_permissions(path("f"), Permissions::from_mode(0o400)),
    );
    t.see(
        "read only",
        fs::metadata(path("f")).unwrap().permissions().readonly(),
    );
    t.result(
        "missing",
        &fs::set_permissions(path("g"), Permissions::from_mode(0o400)),
    );
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    t.result("modified", &file.set_modified(time));
    t.see(
        "modified",
        file.metadata().unwrap().modified().unwrap() == time,
    );
    let earlier = time - Duration::from_secs(5);
    t.result(
        "times",
        &file.set_times(FileTimes::new().set_accessed(earlier).set_modified(earlier)),
    );
    t.see(
        "accessed",
        file.metadata().unwrap().accessed().unwrap() == earlier,
    );
}

pub fn syncs(t: &mut Transcript) {
    let (_kept, path) = directory();
    let file = File::create(path("f")).unwrap();
    t.result("all", &file.sync_all());
    t.result("data", &file.sync_data());
}

pub fn clones(t: &mut Transcript) {
    let (_kept, path) = directory();
    fs::write(path("f"), "abcd").unwrap();
    let mut file = File::open(path("f")).unwrap();
    let mut clone = file.try_clone().unwrap();
    let mut two = [0; 2];
    t.result("read", &file.read(&mut two));
    t.result("clone goes on", &clone.read(&mut two));
    t.see("bytes", two);
    drop(file);
    t.result("clone stays open", &clone.rewind());
}

#[expect(unsafe_code, reason = "raw descriptors are what is tested")]
pub fn as_descriptors(t: &mut Transcript) {
    let (_kept, path) = directory();
    fs::write(path("f"), "abcd").unwrap();
    let file = File::open(path("f")).unwrap();
    let number = file.as_raw_fd();
    let owned = OwnedFd::from(file);
    t.see("same number", owned.as_raw_fd() == number);
    let raw = File::from(owned).into_raw_fd();
    t.see("same number", raw == number);
    // SAFETY: `raw` was given away two lines before.
    let mut file = unsafe { File::from_raw_fd(raw) };
    let mut text = String::new();
    t.result("read", &file.read_to_string(&mut text));
}

pub fn locks(t: &mut Transcript) {
    fn shown(result: Result<(), TryLockError>) -> String {
        format!("{result:?}")
    }
    let (_kept, path) = directory();
    let first = File::create(path("f")).unwrap();
    let second = File::open(path("f")).unwrap();
    t.result("lock", &first.lock());
    t.see("try_lock", shown(second.try_lock()));
    t.see("try_lock_shared", shown(second.try_lock_shared()));
    t.result("unlock", &first.unlock());
    t.result("lock_shared", &first.lock_shared());
    t.see("try_lock_shared", shown(second.try_lock_shared()));
    t.see("try_lock", shown(second.try_lock()));
    drop(first);
    t.see("try_lock", shown(second.try_lock()));
}

pub fn whole_files(t: &mut Transcript) {
    let (_kept, path) = directory();
    t.result("write", &fs::write(path("a"), "text"));
    t.result("read", &fs::read(path("a")));
    t.result("read_to_string", &fs::read_to_string(path("a")));
    t.result("copy", &fs::copy(path("a"), path("b")));
    t.result("copied", &fs::read_to_string(path("b")));
    t.result("missing", &fs::read(path("c")));
    t.result("missing", &fs::copy(path("c"), path("d")));
    t.result("a directory", &fs::read(path("")));
    t.result("a directory", &fs::write(path(""), "x"));
    fs::write(path("c"), [0xff]).unwrap();
    t.result("not UTF-8", &fs::read_to_string(path("c")));
}

pub fn names(t: &mut Transcript) {
    let (_kept, path) = directory();
    fs::write(path("a"), "text").unwrap();
    t.result("hard_link", &fs::hard_link(path("a"), path("hard")));
    t.result("there already", &fs::hard_link(path("a"), path("hard")));
    t.see("links", fs::metadata(path("a")).unwrap().nlink());
    t.result("symlink", &unix::symlink("a", path("soft")));
    t.result("read_link", &fs::read_link(path("soft")));
    t.result("not a link", &fs::read_link(path("a")));
    t.see("through", fs::metadata(path("soft")).unwrap().is_file());
    t.see(
        "itself",
        fs::symlink_metadata(path("soft")).unwrap().is_symlink(),
    );
    t.see(
        "canonical",
        fs::canonicalize(path("soft")).unwrap() == fs::canonicalize(path("a")).unwrap(),
    );
    t.result("rename", &fs::rename(path("a"), path("b")));
    t.result("missing", &fs::rename(path("a"), path("b")));
    t.result("dangling", &fs::exists(path("soft")));
    t.result("exists", &fs::exists(path("b")));
    t.result("remove", &fs::remove_file(path("b")));
    t.result("missing", &fs::remove_file(path("b")));
    t.outcome("missing", &fs::metadata(path("b")));
    t.outcome("missing", &fs::canonicalize(path("b")));
}

pub fn directories(t: &mut Transcript) {
    let (_kept, path) = directory();
    t.result("create", &fs::create_dir(path("d")));
    t.result("again", &fs::create_dir(path("d")));
    t.result("deep", &fs::create_dir(path("x/y/z")));
    t.result("all", &fs::create_dir_all(path("x/y/z")));
    t.result("all again", &fs::create_dir_all(path("x/y/z")));
    t.result("not empty", &fs::remove_dir(path("x")));
    t.result("remove", &fs::remove_dir(path("d")));
    t.result("remove all", &fs::remove_dir_all(path("x")));
    t.result("missing", &fs::remove_dir_all(path("x")));
    t.result("builder", &DirBuilder::new().mode(0o711).create(path("b")));
    t.see("mode", fs::metadata(path("b")).unwrap().mode() & 0o777);
    t.result("again", &DirBuilder::new().create(path("b")));
    t.result(
        "recursive",
        &DirBuilder::new().recursive(true).create(path("b/c/d")),
    );
}

pub fn listings(t: &mut Transcript) {
    let (_kept, path) = directory();
    for n in 0..150 {
        fs::write(path(&format!("f{n:03}")), "x").unwrap();
    }
    fs::create_dir(path("sub")).unwrap();
    unix::symlink("f000", path("soft")).unwrap();
    let mut entries: Vec<_> = fs::read_dir(path(""))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    entries.sort_by_key(DirEntry::file_name);
    for entry in &entries {
        let file_type = entry.file_type().unwrap();
        t.see(
            "entry",
            (
                entry.file_name(),
                file_type.is_file(),
                file_type.is_dir(),
                file_type.is_symlink(),
            ),
        );
        t.see("metadata", entry.metadata().unwrap().ino() == entry.ino());
        t.see("path", entry.path() == path("").join(entry.file_name()));
        t.see(
            "shown",
            format!("{entry:?}") == format!("DirEntry({:?})", entry.path()),
        );
    }
    t.outcome("missing", &fs::read_dir(path("none")));
    t.outcome("a file", &fs::read_dir(path("f000")));
    fs::remove_file(path("f000")).unwrap();
    t.see(
        "gone",
        entries[0].metadata().err().map(|error| error.kind()),
    );
}

pub fn owners(t: &mut Transcript) {
    let (_kept, path) = directory();
    let file = File::create(path("f")).unwrap();
    unix::symlink("f", path("soft")).unwrap();
    let own = file.metadata().unwrap();
    t.result(
        "chown",
        &unix::chown(path("f"), Some(own.uid()), Some(own.gid())),
    );
    t.result("lchown", &unix::lchown(path("soft"), Some(own.uid()), None));
    t.result("fchown", &unix::fchown(&file, None, Some(own.gid())));
    t.result("missing", &unix::chown(path("none"), None, None));
}
