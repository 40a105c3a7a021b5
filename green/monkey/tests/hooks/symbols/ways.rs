//! How each kind of symbol is tried: what it waits for, and what ends that.
#![expect(unsafe_code, reason = "C's functions")]

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_void};
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::zeroed;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::ptr::{null, null_mut};
use std::sync::Arc;

use green::thread::spawn_local;

use super::{Outcome, Wakes};
use crate::parks;

pub(super) fn text(error: io::Error) -> String {
    error.to_string()
}

pub(super) fn is<T: PartialEq + Debug>(given: T, wanted: T) -> Outcome {
    match given == wanted {
        true => Ok(()),
        false => Err(format!(
            "{given:?}, not {wanted:?}; {}",
            io::Error::last_os_error()
        )),
    }
}

pub(super) fn reads(call: impl FnOnce(c_int, *mut c_void) -> isize) -> Outcome {
    let (ours, theirs) = UnixStream::pair().map_err(text)?;
    let (fd, mut room) = (ours.as_raw_fd(), [0u8; 8]);
    let n = parks(
        || call(fd, room.as_mut_ptr().cast()),
        move || drop((&theirs).write(b"abc")),
    );
    is((n, &room[..3]), (3, &b"abc"[..]))
}

pub(super) fn writes(call: impl FnOnce(c_int, *const c_void, usize) -> isize) -> Outcome {
    const LEN: usize = 1 << 20;
    let (ours, mut theirs) = UnixStream::pair().map_err(text)?;
    let sent = vec![5u8; LEN];
    let n = parks(
        || call(ours.as_raw_fd(), sent.as_ptr().cast(), LEN),
        move || drop(theirs.read_exact(&mut vec![0; LEN])),
    );
    is(n, LEN as isize)
}

/// After a wait that has found how a socket is, it changes; the next call must know.
pub(super) fn holds_at_once(change: impl FnOnce(c_int) -> c_int) -> Outcome {
    let (mut ours, theirs) = UnixStream::pair().map_err(text)?;
    let mut writer = theirs.try_clone().map_err(text)?;
    let mut room = [0u8; 8];
    let n = parks(
        || ours.read(&mut room).map_err(text),
        move || drop(writer.write(b"abc")),
    )?;
    is(n, 3)?;
    is(change(ours.as_raw_fd()), 0)?;
    let given = ours.read(&mut room).map_err(|error| error.raw_os_error());
    is(given, Err(Some(libc::EAGAIN)))
}

pub(super) fn in_a_message(
    at: *mut c_void,
    len: usize,
    call: impl FnOnce(*mut libc::msghdr) -> isize,
) -> isize {
    let mut part = libc::iovec {
        iov_base: at,
        iov_len: len,
    };
    // SAFETY: zeros are an empty message.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    call(&mut message)
}

/// Gives the length of the one message.
pub(super) fn in_messages(
    at: *mut c_void,
    len: usize,
    call: impl FnOnce(*mut libc::mmsghdr) -> c_int,
) -> isize {
    let mut length = 0;
    let given = in_a_message(at, len, |message| {
        // SAFETY: one message, filled above; zeros are an empty one.
        let mut messages: libc::mmsghdr = unsafe { zeroed() };
        // SAFETY: as above.
        messages.msg_hdr = unsafe { *message };
        let given = call(&mut messages);
        length = messages.msg_len as isize;
        given as isize
    });
    if given == 1 { length } else { given }
}

/// To a peer who is full.
pub(super) fn several_datagrams() -> Outcome {
    let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().map_err(text)?;
    let _stays_open = theirs.try_clone().map_err(text)?;
    ours.set_nonblocking(true).map_err(text)?;
    while ours.send(b"abc").is_ok() {}
    ours.set_nonblocking(false).map_err(text)?;
    let mut sent = *b"abc";
    let n = parks(
        || {
            in_messages(sent.as_mut_ptr().cast(), 3, |message| {
                // SAFETY: one message, which lives across the call.
                unsafe { libc::sendmmsg(ours.as_raw_fd(), message, 1, 0) }
            })
        },
        move || {
            let _ = theirs.set_nonblocking(true);
            while theirs.recv(&mut [0; 3]).is_ok() {}
        },
    );
    is(n, 3)
}

pub(super) fn accepts(call: impl FnOnce(c_int) -> c_int) -> Outcome {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(text)?;
    let address = listener.local_addr().map_err(text)?;
    let fd = parks(
        || call(listener.as_raw_fd()),
        move || drop(TcpStream::connect(address)),
    );
    is(fd >= 0, true)?;
    // SAFETY: it is new, and ours.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// To a listener whose queue is full.
pub(super) fn connects() -> Outcome {
    let folder = tempfile::tempdir().map_err(text)?;
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).map_err(text)?;
    // SAFETY: numbers.
    is(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0)?;
    let _stays_open = listener.try_clone().map_err(text)?;
    let _first = UnixStream::connect(&path).map_err(text)?;
    // SAFETY: numbers; the address lives across the call.
    let given = unsafe {
        let socket = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        is(socket >= 0, true)?;
        let socket = OwnedFd::from_raw_fd(socket);
        let mut address: libc::sockaddr_un = zeroed();
        address.sun_family = libc::AF_UNIX as u16;
        let bytes = path.as_os_str().as_encoded_bytes();
        for (place, byte) in address.sun_path.iter_mut().zip(bytes) {
            *place = *byte as c_char;
        }
        let len = size_of_val(&address) as u32;
        let address = (&raw const address).cast();
        parks(
            || libc::connect(socket.as_raw_fd(), address, len),
            move || drop(listener.accept()),
        )
    };
    is(given, 0)
}

/// To a peer who is full.
pub(super) fn sends_a_file(call: impl FnOnce(c_int, c_int) -> isize) -> Outcome {
    let (mut ours, mut theirs) = UnixStream::pair().map_err(text)?;
    let _stays_open = theirs.try_clone().map_err(text)?;
    ours.set_nonblocking(true).map_err(text)?;
    let mut filled = 0;
    while let Ok(n) = ours.write(&[0; 10_000]) {
        filled += n;
    }
    ours.set_nonblocking(false).map_err(text)?;
    let file = File::open(std::env::current_exe().map_err(text)?).map_err(text)?;
    let n = parks(
        || call(ours.as_raw_fd(), file.as_raw_fd()),
        move || drop(theirs.read_exact(&mut vec![0; filled])),
    );
    is(n, 1_000)
}

/// A child that ends when its input does, and is always reaped.
struct Cat(Child);

impl Drop for Cat {
    fn drop(&mut self) {
        let _ = self.0.wait();
    }
}

pub(super) fn waits_for_a_child(call: impl FnOnce(c_int, &mut c_int) -> c_int) -> Outcome {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = Cat(command.spawn().map_err(text)?);
    let (id, input, mut status) = (child.0.id() as c_int, child.0.stdin.take(), -1);
    let given = parks(|| call(id, &mut status), move || drop(input));
    is((given, status), (id, 0))
}

/// Of the whole file, or none.
pub(super) fn lock_of_a_file(locks: bool) -> libc::flock {
    // SAFETY: zeros are a lock from the file's beginning to its end.
    let mut lock: libc::flock = unsafe { zeroed() };
    lock.l_type = (if locks { libc::F_WRLCK } else { libc::F_UNLCK }) as _;
    lock
}

/// `call` locks or unlocks by a descriptor.
pub(super) fn locks_a_file(call: fn(c_int, bool) -> c_int) -> Outcome {
    let first = tempfile::NamedTempFile::new().map_err(text)?;
    let second = first.reopen().map_err(text)?;
    is(call(first.as_raw_fd(), true), 0)?;
    let given = parks(
        || call(second.as_raw_fd(), true),
        move || call(first.as_raw_fd(), false),
    );
    is(given, 0)
}

/// Something to read comes.
pub(super) fn readable(call: impl FnOnce(c_int) -> c_int) -> Outcome {
    let (ours, theirs) = UnixStream::pair().map_err(text)?;
    let given = parks(
        || call(ours.as_raw_fd()),
        move || drop((&theirs).write(b"abc")),
    );
    is(given, 1)
}

pub(super) fn polls(call: impl FnOnce(&mut libc::pollfd) -> c_int) -> Outcome {
    readable(|fd| {
        call(&mut libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        })
    })
}

pub(super) fn selects(call: impl FnOnce(c_int, &mut libc::fd_set) -> c_int) -> Outcome {
    readable(|fd| {
        if fd as usize >= libc::FD_SETSIZE {
            return 1;
        }
        // SAFETY: zeros are an empty set; the number has a place in it.
        unsafe {
            let mut set = zeroed();
            libc::FD_SET(fd, &mut set);
            call(fd + 1, &mut set)
        }
    })
}

pub(super) fn polls_by_another(
    call: impl FnOnce(c_int, &mut libc::epoll_event) -> c_int,
) -> Outcome {
    readable(|fd| {
        // SAFETY: an event that lives across the calls; the poller is ours.
        unsafe {
            let poller = OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC));
            let mut event = libc::epoll_event {
                events: libc::EPOLLIN as u32,
                u64: 0,
            };
            libc::epoll_ctl(poller.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event);
            call(poller.as_raw_fd(), &mut event)
        }
    })
}

/// What takes a while by itself; it may be over before a neighbour has run, but not each time.
pub(super) fn lets_others_run(call: impl Fn() -> c_int) -> Outcome {
    let neighbour = spawn_local(|| ());
    while !neighbour.is_finished() {
        is(call(), 0)?;
    }
    Ok(())
}

/// What C code shares.
pub(crate) struct Shared<T>(UnsafeCell<T>);

// SAFETY: reached by C's functions, and under its locks.
unsafe impl<T> Sync for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Send for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn new() -> Arc<Shared<T>> {
        // SAFETY: only used for C's types, for which zeros are the initial value.
        Arc::new(Shared(UnsafeCell::new(unsafe { zeroed() })))
    }

    pub(crate) fn get(&self) -> *mut T {
        self.0.get()
    }
}

pub(super) fn locks_a_mutex(call: impl FnOnce(*mut libc::pthread_mutex_t) -> c_int) -> Outcome {
    let lock = Shared::new();
    let other = lock.clone();
    // SAFETY: as the table says.
    unsafe {
        is(libc::pthread_mutex_lock(lock.get()), 0)?;
        let given = parks(
            || call(lock.get()),
            move || libc::pthread_mutex_unlock(other.get()),
        );
        is((given, libc::pthread_mutex_unlock(lock.get())), (0, 0))
    }
}

pub(super) fn locks_a_rwlock(call: impl FnOnce(*mut libc::pthread_rwlock_t) -> c_int) -> Outcome {
    let lock = Shared::new();
    let other = lock.clone();
    // SAFETY: as the table says.
    unsafe {
        is(libc::pthread_rwlock_wrlock(lock.get()), 0)?;
        let given = parks(
            || call(lock.get()),
            move || libc::pthread_rwlock_unlock(other.get()),
        );
        is((given, libc::pthread_rwlock_unlock(lock.get())), (0, 0))
    }
}

pub(super) fn takes_a_semaphore(call: impl FnOnce(*mut libc::sem_t) -> c_int) -> Outcome {
    let semaphore = Shared::new();
    let other = semaphore.clone();
    // SAFETY: as the table says.
    unsafe {
        is(libc::sem_init(semaphore.get(), 0, 0), 0)?;
        let given = parks(
            || call(semaphore.get()),
            move || libc::sem_post(other.get()),
        );
        is(given, 0)
    }
}

pub(super) fn waits_for_a_condition(
    wakes: Wakes,
    call: impl Fn(*mut libc::pthread_cond_t, *mut libc::pthread_mutex_t) -> c_int,
) -> Outcome {
    type State = (libc::pthread_mutex_t, libc::pthread_cond_t, bool);
    let state = Shared::<State>::new();
    let other = state.clone();
    // SAFETY: as the table says; the mark is looked at under the lock.
    unsafe {
        let (lock, condition, is_set) = parts(&state);
        parks(
            || {
                is(libc::pthread_mutex_lock(lock), 0)?;
                while !is_set.read() {
                    is(call(condition, lock), 0)?;
                }
                is(libc::pthread_mutex_unlock(lock), 0)
            },
            move || {
                let (lock, condition, is_set) = parts(&other);
                libc::pthread_mutex_lock(lock);
                *is_set = true;
                wakes(condition);
                libc::pthread_mutex_unlock(lock);
            },
        )
    }
}

pub(super) fn parts<A, B, C>(shared: &Shared<(A, B, C)>) -> (*mut A, *mut B, *mut C) {
    let all = shared.get();
    // SAFETY: only places are named.
    unsafe { (&raw mut (*all).0, &raw mut (*all).1, &raw mut (*all).2) }
}

/// An OS thread that ends when it is told to.
pub(super) fn joins_a_thread() -> Outcome {
    extern "C" fn reads(fd: *mut c_void) -> *mut c_void {
        // SAFETY: a buffer that lives across the call; the descriptor is this thread's.
        unsafe {
            let pipe = OwnedFd::from_raw_fd(fd as usize as c_int);
            libc::read(pipe.as_raw_fd(), [0u8; 1].as_mut_ptr().cast(), 1);
        }
        null_mut()
    }
    let (reader, writer) = io::pipe().map_err(text)?;
    // SAFETY: the thread is joined once, and owns its descriptor.
    unsafe {
        let mut thread = 0;
        let argument = reader.into_raw_fd() as usize as *mut c_void;
        is(
            libc::pthread_create(&mut thread, null(), reads, argument),
            0,
        )?;
        let given = parks(
            || libc::pthread_join(thread, null_mut()),
            move || drop(writer),
        );
        is(given, 0)
    }
}

/// `ends` ends the wait for its first number, and with it the number; another file is the second's.
pub(super) fn ends_the_waits(ends: fn(c_int, c_int)) -> Outcome {
    let (ours, theirs) = UnixStream::pair().map_err(text)?;
    let fd = ours.into_raw_fd();
    let (given, code) = parks(
        || {
            // SAFETY: a buffer that lives across the call.
            let given = unsafe { libc::recv(fd, [0u8; 8].as_mut_ptr().cast(), 8, 0) };
            (given, io::Error::last_os_error().raw_os_error())
        },
        move || ends(fd, theirs.as_raw_fd()),
    );
    is((given, code), (-1, Some(libc::EBADF)))
}
