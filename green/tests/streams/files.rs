//! Files, on OS threads and on green threads.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use green::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use green::os::unix::fs::{
    DirBuilderExt, DirEntryExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt,
};
use rustix::fs::Mode;
use tempfile::tempdir;
use test_support::both::on_both;
use test_support::bounded;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn line_reads_end_reads_and_unbuffered_reads() {
    on_both("line reads end reads and", || {
        let dir = tempdir().unwrap();
        let path = dir.path().join("lines");
        fs::write(&path, "one\ntwo\nthree").unwrap();
        let lines: Vec<_> = BufReader::new(File::open(&path).unwrap())
            .lines()
            .map(Result::unwrap)
            .collect();
        assert_eq!(lines, ["one", "two", "three"]);

        let mut file = File::open(&path).unwrap();
        let mut start = [0; 4];
        assert_eq!(file.read(&mut start).unwrap(), 4);
        let mut rest = String::from("kept ");
        assert_eq!(file.read_to_string(&mut rest).unwrap(), 9);
        assert_eq!((&start, rest.as_str()), (b"one\n", "kept two\nthree"));
        assert_eq!(file.read(&mut start).unwrap(), 0);
        let mut bytes = vec![b'>'];
        file.rewind().unwrap();
        assert_eq!(file.read_to_end(&mut bytes).unwrap(), 13);
        assert_eq!(bytes, b">one\ntwo\nthree");
        let mut byte = [0];
        file.seek(SeekFrom::End(-5)).unwrap();
        file.read_exact(&mut byte).unwrap();
        assert_eq!((byte, file.stream_position().unwrap()), ([b't'], 9));
    });
}

#[test]
fn seek_truncate_append_and_overwrite() {
    on_both("seek truncate append and", || {
        let dir = tempdir().unwrap();
        let path = dir.path().join("modes");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"0123456789").unwrap();
        assert_eq!(file.read(&mut [0]).unwrap_err().raw_os_error(), Some(9));
        file.seek(SeekFrom::Start(2)).unwrap();
        file.write_all(b"ab").unwrap();
        file.seek(SeekFrom::Current(1)).unwrap();
        file.write_all(b"c").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"01ab4c6789");
        file.set_len(4).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"01ab");
        assert_eq!(
            file.seek(SeekFrom::Current(-100)).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );

        let mut appending = OpenOptions::new()
            .append(true)
            .read(true)
            .open(&path)
            .unwrap();
        appending.write_all(b"X").unwrap();
        appending.rewind().unwrap();
        appending.write_all(b"Y").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "01abXY");

        let mut overwriting = OpenOptions::new().write(true).open(&path).unwrap();
        overwriting.write_all(b"__").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "__abXY");
        drop(
            OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(&path)
                .unwrap(),
        );
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(
            File::create_new(&path).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
    });
}

#[test]
fn whole_files_larger_than_any_buffer() {
    on_both("whole files larger than", || {
        let dir = tempdir().unwrap();
        let path = dir.path().join("large");
        let bytes: Vec<u8> = (0..3_000_000).map(|at| (at % 251) as u8).collect();
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        assert!(fs::read(&path).unwrap() == bytes);
        let mut whole = vec![0; bytes.len()];
        File::open(&path).unwrap().read_exact(&mut whole).unwrap();
        assert!(whole == bytes);
        let mut copied = Vec::new();
        assert_eq!(
            green::io::copy(&mut File::open(&path).unwrap(), &mut copied).unwrap(),
            3_000_000
        );
        assert!(copied == bytes);
    });
}

#[test]
fn one_write_enters_an_appended_file_in_one_piece() {
    on_both("append", || {
        let dir = tempdir().unwrap();
        let path = dir.path().join("log");
        let file = Arc::new(
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .unwrap(),
        );
        let writers: Vec<_> = (0..8)
            .map(|n| {
                let file = Arc::clone(&file);
                green::thread::spawn(move || {
                    let record = vec![b'a' + n; 100_000];
                    for _ in 0..5 {
                        assert_eq!((&*file).write(&record).unwrap(), record.len());
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        let log = fs::read(&path).unwrap();
        assert_eq!(log.len(), 8 * 5 * 100_000);
        assert!(
            log.chunks(100_000)
                .all(|record| record.iter().all(|byte| *byte == record[0]))
        );
    });
}

#[test]
fn readers_of_one_file_share_its_position_and_miss_nothing() {
    on_both("shared position", || {
        let dir = tempdir().unwrap();
        let path = dir.path().join("numbers");
        let numbers: Vec<u8> = (0..5000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(&path, &numbers).unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let file = Arc::clone(&file);
                green::thread::spawn(move || {
                    let mut seen = Vec::new();
                    let mut piece = [0; 40];
                    while (&*file).read(&mut piece).unwrap() == piece.len() {
                        seen.extend(
                            piece
                                .chunks(4)
                                .map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())),
                        );
                    }
                    seen
                })
            })
            .collect();
        let mut all: Vec<_> = readers
            .into_iter()
            .flat_map(|reader| reader.join().unwrap())
            .collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..5000));
    });
}

#[test]
fn vectored_and_positional_calls() {
    on_both("vectored", || {
        let dir = tempdir().unwrap();
        let path = dir.path().join("pieces");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .unwrap();
        assert_eq!(
            file.write_vectored(&[
                IoSlice::new(b"abc"),
                IoSlice::new(b""),
                IoSlice::new(b"defg")
            ])
            .unwrap(),
            7
        );
        file.rewind().unwrap();
        let (mut first, mut second) = ([0; 2], [0; 10]);
        let count = file
            .read_vectored(&mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)])
            .unwrap();
        assert_eq!((count, &first, &second[..5]), (7, b"ab", &b"cdefg"[..]));
        let position = file.stream_position().unwrap();
        assert_eq!(file.write_at(b"XY", 1).unwrap(), 2);
        let mut middle = [0; 4];
        file.read_exact_at(&mut middle, 1).unwrap();
        assert_eq!(&middle, b"XYde");
        assert_eq!(file.stream_position().unwrap(), position);
        assert_eq!(
            file.read_exact_at(&mut middle, 5).unwrap_err().kind(),
            ErrorKind::UnexpectedEof
        );
    });
}

#[test]
fn metadata_permissions_times_and_sync() {
    on_both("metadata", || {
        let dir = tempdir().unwrap();
        let path = dir.path().join("file");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .open(&path)
            .unwrap();
        file.write_all(b"12345").unwrap();
        file.flush().unwrap();
        file.sync_data().unwrap();
        file.sync_all().unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!(
            (metadata.len(), metadata.is_file(), metadata.mode() & 0o777),
            (5, true, 0o640)
        );
        file.set_permissions(fs::Permissions::from_mode(0o600))
            .unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        file.set_modified(time).unwrap();
        assert_eq!(file.metadata().unwrap().modified().unwrap(), time);
        file.set_times(fs::FileTimes::new().set_accessed(time))
            .unwrap();
        assert_eq!(file.metadata().unwrap().accessed().unwrap(), time);
        assert!(format!("{file:?}").contains("file"));
    });
}

#[test]
fn clones_and_descriptors_share_the_open_file() {
    on_both("clones", || {
        let dir = tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "abcdef").unwrap();
        let mut file = File::open(&path).unwrap();
        let mut clone = file.try_clone().unwrap();
        let (mut first, mut second) = ([0; 2], [0; 2]);
        file.read_exact(&mut first).unwrap();
        clone.read_exact(&mut second).unwrap();
        assert_eq!((&first, &second), (b"ab", b"cd"));
        let number = file.as_raw_fd();
        let mut std_file = std::fs::File::from(file);
        assert_eq!(std_file.as_raw_fd(), number);
        std_file.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"ef");
        let file = File::from(OwnedFd::from(std_file));
        let raw = file.into_raw_fd();
        #[expect(unsafe_code, reason = "raw descriptors are what is tested")]
        // SAFETY: `raw` was given away one line above.
        let file = unsafe { File::from_raw_fd(raw) };
        assert_eq!(file.metadata().unwrap().len(), 6);
    });
}

#[test]
fn locks_exclude_wait_and_come_back() {
    on_both("locks", || {
        let dir = tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = File::create(&path).unwrap();
        let second = File::open(&path).unwrap();
        first.lock().unwrap();
        assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
        assert!(matches!(
            second.try_lock_shared(),
            Err(TryLockError::WouldBlock)
        ));
        let waiting = green::thread::spawn(move || {
            second.lock().unwrap();
            second
        });
        green::thread::sleep(Duration::from_millis(5));
        assert!(!waiting.is_finished());
        first.unlock().unwrap();
        let second = waiting.join().unwrap();
        assert!(matches!(first.try_lock(), Err(TryLockError::WouldBlock)));
        second.unlock().unwrap();
        first.lock_shared().unwrap();
        second.try_lock_shared().unwrap();
    });
}

#[test]
fn directories_are_made_listed_and_removed() {
    on_both("directories", || {
        let dir = tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        assert_eq!(
            fs::create_dir(&root).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        fs::create_dir_all(root.join("deep/er")).unwrap();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root.join("deep/builder"))
            .unwrap();
        assert_eq!(
            fs::metadata(root.join("deep/builder")).unwrap().mode() & 0o777,
            0o700
        );
        // More than one trip to the pool brings.
        for n in 0..200 {
            fs::write(root.join(format!("file{n}")), "").unwrap();
        }
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&root).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.path(), root.join(entry.file_name()));
            assert_eq!(
                entry.file_type().unwrap().is_dir(),
                entry.file_name() == "deep"
            );
            assert_eq!(entry.metadata().unwrap().ino(), entry.ino());
            assert!(names.insert(entry.file_name()));
        }
        assert_eq!(names.len(), 201);
        assert_eq!(
            fs::remove_dir(&root).unwrap_err().kind(),
            ErrorKind::DirectoryNotEmpty
        );
        fs::remove_dir(root.join("deep/er")).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert!(!fs::exists(&root).unwrap());
        assert_eq!(fs::read_dir(&root).unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_listing_that_is_cut_short_loses_no_entry() {
    bounded("cut listing", LIMIT, || {
        green::run(|| {
            let dir = tempdir().unwrap();
            let names: BTreeSet<_> = (0..300).map(|n| format!("file {n}")).collect();
            for name in &names {
                fs::write(dir.path().join(name), "").unwrap();
            }
            let mut listing = fs::read_dir(dir.path()).unwrap();
            let (mut seen, mut cuts) = (BTreeSet::new(), 0);
            loop {
                // Shorter than the pool takes for an answer, and longer, in turn.
                let limit = Duration::from_micros(if cuts % 8 < 7 { 1 } else { 10_000 });
                match greenhub::timeout(limit, || listing.next()) {
                    Ok(None) => break,
                    Ok(Some(entry)) => {
                        let name = entry.unwrap().file_name().into_string().unwrap();
                        assert!(seen.insert(name));
                    }
                    Err(_) => {
                        cuts += 1;
                        // The pool goes on meanwhile.
                        greenhub::green_thread::sleep(Duration::from_millis(1));
                    }
                }
            }
            assert!(cuts > 0);
            assert_eq!(seen, names);
        });
    });
}

#[test]
fn links_copies_and_renames() {
    on_both("links", || {
        let dir = tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("a"), "text").unwrap();
        assert_eq!(fs::copy(at("a"), at("b")).unwrap(), 4);
        fs::hard_link(at("a"), at("hard")).unwrap();
        assert_eq!(fs::metadata(at("a")).unwrap().nlink(), 2);
        green::os::unix::fs::symlink("a", at("soft")).unwrap();
        assert_eq!(fs::read_link(at("soft")).unwrap().as_os_str(), "a");
        assert!(
            fs::symlink_metadata(at("soft"))
                .unwrap()
                .file_type()
                .is_symlink()
        );
        assert_eq!(
            fs::canonicalize(at("soft")).unwrap(),
            fs::canonicalize(at("a")).unwrap()
        );
        fs::rename(at("b"), at("c")).unwrap();
        assert_eq!(fs::read_to_string(at("c")).unwrap(), "text");
        fs::set_permissions(at("c"), fs::Permissions::from_mode(0o400)).unwrap();
        assert!(fs::metadata(at("c")).unwrap().permissions().readonly());
        fs::remove_file(at("c")).unwrap();
        assert!(!fs::exists(at("c")).unwrap());
        let own = fs::metadata(at("a")).unwrap();
        green::os::unix::fs::chown(at("a"), Some(own.uid()), None).unwrap();
        green::os::unix::fs::lchown(at("soft"), None, Some(own.gid())).unwrap();
        green::os::unix::fs::fchown(File::open(at("a")).unwrap(), None, None).unwrap();
    });
}

#[test]
fn not_utf8_is_invalid_data() {
    on_both("utf-8", || {
        let dir = tempdir().unwrap();
        let path = dir.path().join("bytes");
        fs::write(&path, [b'a', 0xff]).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap_err().kind(),
            ErrorKind::InvalidData
        );
        let mut text = String::from("kept");
        let error = File::open(&path)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap_err();
        assert_eq!(
            (error.kind(), text.as_str()),
            (ErrorKind::InvalidData, "kept")
        );
    });
}

#[test]
fn a_call_that_takes_long_parks_only_its_caller() {
    bounded("long call", LIMIT, || {
        green::run(|| {
            let dir = tempdir().unwrap();
            let path = dir.path().join("fifo");
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &path,
                rustix::fs::FileType::Fifo,
                Mode::from_raw_mode(0o600),
                0,
            )
            .unwrap();
            // Opening a FIFO waits for the other end: a call of any length that one likes.
            let reading = path.clone();
            let opening = green::thread::spawn(move || fs::read_to_string(reading).unwrap());
            let ticks = Arc::new(AtomicUsize::new(0));
            while ticks.fetch_add(1, Ordering::SeqCst) < 100 {
                green::thread::yield_now();
            }
            assert!(!opening.is_finished());
            fs::write(&path, "at last").unwrap();
            assert_eq!(opening.join().unwrap(), "at last");
        });
    });
}

#[test]
fn a_killed_reader_leaves_the_file_usable() {
    bounded("killed", LIMIT, || {
        green::run(|| {
            let dir = tempdir().unwrap();
            let path = dir.path().join("fifo");
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &path,
                rustix::fs::FileType::Fifo,
                Mode::from_raw_mode(0o600),
                0,
            )
            .unwrap();
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .unwrap();
            let mut buf = [7; 16];
            let result = greenhub::timeout(Duration::from_millis(50), || (&file).read(&mut buf));
            assert!(result.is_err());
            // The abandoned call gets these, into a buffer of its own.
            (&file).write_all(b"lost").unwrap();
            assert_eq!(buf, [7; 16]);
            drop(file);
        });
    });
}

#[test]
fn a_waiter_for_a_lock_that_gives_up_does_not_get_it_later() {
    bounded("lock given up", LIMIT, || {
        green::run(|| {
            let dir = tempdir().unwrap();
            let path = dir.path().join("lock");
            let first = File::create(&path).unwrap();
            let second = File::open(&path).unwrap();
            first.lock().unwrap();
            let waited = greenhub::timeout(Duration::from_millis(20), || second.lock());
            assert!(waited.is_err());
            first.unlock().unwrap();
            // Longer than the pause between two tries.
            green::thread::sleep(Duration::from_millis(60));
            first.try_lock().unwrap();
        });
    });
}
