//! Checks that the hooks are reached: by std, and by libraries that are loaded.
//!
//! A linker may leave a symbol out of the table that libraries are bound by, or another library's
//! function may come before ours. A hook that is not reached would silently block its hub.
#![expect(unsafe_code, reason = "symbols are looked up by name")]

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::hook::Hook;
use crate::hooks::all;
use crate::{Patch, gate};

/// What std calls, and we look at.
const BY_STD: &[&str] = &[
    "accept4",
    "clock_nanosleep",
    "close",
    "connect",
    "poll",
    "pthread_join",
    "read",
    "readv",
    "recv",
    "recvfrom",
    "sched_yield",
    "send",
    "sendto",
    "syscall",
    "write",
    "writev",
];

/// Names the hooks of `patch` that are not reached.
pub(crate) fn run(patch: Patch) -> io::Result<()> {
    let mut wrong = Vec::new();
    for hook in all().filter(|hook| hook.switches.intersects(patch)) {
        if !is_exported(hook) {
            wrong.push(format!("libraries do not reach {}", name(hook)));
        }
    }
    for hook in all() {
        hook.real.seen.store(false, Ordering::Relaxed);
    }
    // On an OS thread, whoever calls.
    let tried = thread::scope(|scope| {
        let tried = scope.spawn(|| {
            let mut outcome = Ok(());
            gate::probe(|| outcome = call_std());
            outcome
        });
        tried.join()
    });
    tried.unwrap_or_else(|_| Err(io::Error::other("the self-test panicked")))?;
    for hook in all().filter(|hook| hook.switches.intersects(patch)) {
        if BY_STD.contains(&name(hook)) && !hook.real.seen.load(Ordering::Relaxed) {
            wrong.push(format!("std does not reach {}", name(hook)));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "the monkey patch would not hold: {}. The program's linker may hide symbols \
                 (--exclude-libs, a version script), or another library stands before it",
                wrong.join(", ")
            ),
        )),
    }
}

fn name(hook: &Hook) -> &str {
    hook.name.to_str().unwrap_or_default()
}

fn is_exported(hook: &Hook) -> bool {
    // SAFETY: the name ends with a null byte.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, hook.name.as_ptr()) };
    found.cast_const().cast() == (hook.ours)()
}

/// Calls of std that end in each of [`BY_STD`].
fn call_std() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(b"probe")?;
    server.read_exact(&mut [0; 5])?;
    drop(TcpStream::connect_timeout(
        &listener.local_addr()?,
        Duration::from_secs(1),
    )?);
    let datagrams = UdpSocket::bind(("127.0.0.1", 0))?;
    datagrams.send_to(b"probe", datagrams.local_addr()?)?;
    datagrams.recv_from(&mut [0; 5])?;
    let (mut reader, mut writer) = io::pipe()?;
    writer.write_all(b"probe")?;
    reader.read_exact(&mut [0; 5])?;
    let _ = writer.write_vectored(&[IoSlice::new(b"pro"), IoSlice::new(b"be")])?;
    let _ =
        reader.read_vectored(&mut [IoSliceMut::new(&mut [0; 3]), IoSliceMut::new(&mut [0; 2])])?;
    thread::sleep(Duration::from_nanos(1));
    thread::yield_now();
    thread::park_timeout(Duration::from_micros(1));
    let _ = thread::Builder::new().spawn(|| ())?.join();
    Ok(())
}
