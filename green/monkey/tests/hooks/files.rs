//! Pipes, files, and their locks.
#![expect(unsafe_code, reason = "C's functions")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use green::thread::{self, spawn_local};

use crate::{SOON, code, cvt, green, parks};

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("green-monkey-{name}-{}", std::process::id()))
}

#[test]
fn pipes_park_both_ways() {
    green("pipes", || {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let other = writer.try_clone().unwrap();
        let n = parks(
            || reader.read(&mut [0; 8]).unwrap(),
            move || (&other).write_all(b"abc").unwrap(),
        );
        assert_eq!(n, 3);
        let other = writer.try_clone().unwrap();
        let n = parks(
            || {
                let (mut a, mut b) = ([0; 2], [0; 2]);
                reader
                    .read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)])
                    .unwrap()
            },
            move || (&other).write_all(b"abc").unwrap(),
        );
        assert_eq!(n, 3);
        for vectored in [false, true] {
            let reading = reader.try_clone().unwrap();
            let taken = spawn_local(move || {
                thread::sleep(SOON);
                let mut got = vec![0; 1 << 20];
                (&reading).read_exact(&mut got).unwrap();
                got.iter().all(|&byte| byte == 3)
            });
            let sent = vec![3; 1 << 20];
            let n = match vectored {
                false => writer.write(&sent).unwrap(),
                true => {
                    let (one, rest) = sent.split_at(100_001);
                    let (two, three) = rest.split_at(1);
                    writer
                        .write_vectored(&[one, two, &[], three].map(IoSlice::new))
                        .unwrap()
                }
            };
            assert_eq!(n, sent.len(), "a blocking write takes all");
            assert!(taken.join().unwrap());
        }
        drop(writer);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn fifos_terminals_and_events_park() {
    green("fifos", || {
        let path = path("fifo");
        // SAFETY: strings and numbers.
        unsafe {
            let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
            assert_eq!(libc::mkfifo(name.as_ptr(), 0o600), 0);
            let both = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .unwrap();
            fs::remove_file(&path).unwrap();
            let writer = both.try_clone().unwrap();
            let n = parks(
                || (&both).read(&mut [0; 8]).unwrap(),
                move || (&writer).write_all(b"abc").unwrap(),
            );
            assert_eq!(n, 3);
            let reader = both.try_clone().unwrap();
            let taken = spawn_local(move || {
                thread::sleep(SOON);
                (&reader).read_exact(&mut vec![0; 300_000]).unwrap();
            });
            assert_eq!((&both).write(&vec![1; 300_000]).unwrap(), 300_000);
            taken.join().unwrap();

            let event = libc::eventfd(0, 0);
            let mut count = 0u64;
            let got = parks(
                || libc::read(event, (&raw mut count).cast(), 8),
                move || assert_eq!(libc::write(event, 5u64.to_ne_bytes().as_ptr().cast(), 8), 8),
            );
            assert_eq!((got, count), (8, 5));
            libc::close(event);
        }
    });
}

#[test]
fn files_are_read_and_written() {
    green("files", || {
        let path = path("file");
        let mut file = File::create_new(&path).unwrap();
        let text = vec![7; 200_000];
        file.write_all(&text).unwrap();
        file.sync_all().unwrap();
        // SAFETY: no pointer is passed. What is not in memory is read by the pool.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        assert!(fs::read(&path).unwrap() == text);
        assert_eq!(code(fs::read(std::env::temp_dir())), libc::EISDIR);
        file.rewind().unwrap();
        fs::remove_file(path).unwrap();
    });
}

#[test]
fn locks_of_files_park() {
    green("locks of files", || {
        let path = path("locks");
        let file = File::create(&path).unwrap();
        let other = File::open(&path).unwrap();
        file.lock().unwrap();
        parks(|| other.lock().unwrap(), move || file.unlock().unwrap());
        other.unlock().unwrap();

        let [first, second] = [(); 2].map(|()| OpenOptions::new().write(true).open(&path).unwrap());
        let lock = |file: &File, command: i32, kind: i32| {
            // SAFETY: zeros, and a lock that lives across the call.
            let mut lock: libc::flock = unsafe { std::mem::zeroed() };
            lock.l_type = kind as _;
            // SAFETY: as above.
            cvt(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) } as isize)
        };
        lock(&first, libc::F_OFD_SETLK, libc::F_WRLCK).unwrap();
        assert_eq!(
            code(lock(&second, libc::F_OFD_SETLK, libc::F_WRLCK)),
            libc::EAGAIN
        );
        let waited = parks(
            || lock(&second, libc::F_OFD_SETLKW, libc::F_WRLCK),
            move || drop(first),
        );
        waited.unwrap();
        fs::remove_file(path).unwrap();
    });
}

#[test]
fn files_and_sockets_are_copied_to_one_another() {
    green("copies", || {
        let path = path("copies");
        let text: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        fs::write(&path, &text).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        // Both on one hub: sendfile(2) here, splice(2) there.
        let copy = path.with_extension("copy");
        let target = copy.clone();
        let receiver = spawn_local(move || {
            thread::sleep(SOON);
            let mut file = File::create(target).unwrap();
            io::copy(&mut server, &mut file).unwrap()
        });
        let mut file = File::open(&path).unwrap();
        assert_eq!(io::copy(&mut file, &mut client).unwrap(), 3_000_000);
        drop(client);
        assert_eq!(receiver.join().unwrap(), 3_000_000);
        assert!(fs::read(&copy).unwrap() == text);
        fs::remove_file(path).unwrap();
        fs::remove_file(copy).unwrap();
    });
}
