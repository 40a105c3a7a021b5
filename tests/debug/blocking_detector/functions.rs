//! The function in which an offender stands is named: of the system and of libraries.
#![expect(unsafe_code, reason = "C's functions")]

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Mutex;

use super::*;

/// Has a green thread call `blocks`, until it is reported, and ends that by `ends`, which an OS thread
/// calls. Anew, until a report has `expected`: a busy machine may catch it on its way there.
#[track_caller]
fn names<T: Send + 'static>(
    expected: &str,
    setting: impl Fn() -> (T, Box<dyn FnOnce() + Send>),
    blocks: impl Fn(T) + Copy + Send + 'static,
) {
    let before = logged().len();
    for _ in 0..10 {
        let (given, ends) = setting();
        let count = COUNT.load(SeqCst);
        let ender = std::thread::spawn(move || {
            while COUNT.load(SeqCst) == count {
                std::thread::sleep(Duration::from_millis(5));
            }
            ends();
        });
        let offender = spawn(move || {
            yield_now();
            blocks(given);
        });
        offender.join().unwrap();
        ender.join().unwrap();
        if logged().last().unwrap().contains(expected) {
            return;
        }
    }
    panic!("no {expected:?} in {:#?}", &logged()[before..]);
}

/// A pipe, and what fills it.
fn pipe() -> (PipeReader, Box<dyn FnOnce() + Send>) {
    let (reader, mut writer) = io::pipe().unwrap();
    (
        reader,
        Box::new(move || writer.write_all(b"green").unwrap()),
    )
}

const NAME: &str = "blocking_detector::functions::the_function_that_blocks_is_named";

#[test]
fn the_function_that_blocks_is_named() {
    alone(NAME, &[], || {
        detect(LIMIT);
        let whole = cfg!(feature = "backtrace");
        let one_of = |by_library, alone| if whole { by_library } else { alone };
        names(
            one_of(
                "without waiting, in clock_nanosleep of libc.so.6, at:\n",
                "without waiting, in the system call clock_nanosleep, at:\n",
            ),
            || ((), Box::new(|| ())),
            |()| assert!(until_reported(block_the_os_thread) < 2),
        );
        names(
            one_of("in read of libc.so.6, at:", "the system call read"),
            pipe,
            |mut pipe| pipe.read_exact(&mut [0; 5]).unwrap(),
        );
        static HELD: Mutex<()> = Mutex::new(());
        names(
            one_of(
                "in the system call futex, called by syscall of libc.so.6, at:",
                "the system call futex",
            ),
            || {
                let (held, holds) = std::sync::mpsc::channel();
                let (end, ends) = std::sync::mpsc::channel();
                std::thread::spawn(move || {
                    let _guard = HELD.lock().unwrap();
                    held.send(()).unwrap();
                    ends.recv().unwrap();
                });
                holds.recv().unwrap();
                ((), Box::new(move || end.send(()).unwrap()))
            },
            |()| drop(HELD.lock().unwrap()),
        );
        // It is usleep that the program called; that called others.
        names(
            one_of(
                "in the system call clock_nanosleep, called by usleep of libc.so.6, at:",
                "the system call clock_nanosleep",
            ),
            || ((), Box::new(|| ())),
            |()| {
                let sleeps = |time: Duration| {
                    // SAFETY: no pointer is passed.
                    unsafe { libc::usleep(time.as_micros() as c_uint) };
                    0
                };
                assert_eq!(until_reported(sleeps), 0);
            },
        );
        // A computation stands in none.
        names(
            "without waiting, at:\n",
            || ((), Box::new(|| ())),
            |()| {
                std::hint::black_box(until_reported(compute_for));
            },
        );
    })
    .well();
}

#[test]
#[cfg(feature = "backtrace")]
fn the_function_of_another_library_is_named_with_its_own() {
    let name =
        "blocking_detector::functions::the_function_of_another_library_is_named_with_its_own";
    alone(name, &[], || {
        type Open = unsafe extern "C" fn(c_int, *const c_char) -> *mut c_void;
        type Read = unsafe extern "C" fn(*mut c_void, *mut c_void, c_uint) -> c_int;
        // SAFETY: zlib has functions of these types under these names.
        let functions = unsafe {
            let library = libc::dlopen(c"libz.so.1".as_ptr(), libc::RTLD_NOW);
            (!library.is_null()).then(|| {
                let open: Open = std::mem::transmute(libc::dlsym(library, c"gzdopen".as_ptr()));
                let read: Read = std::mem::transmute(libc::dlsym(library, c"gzread".as_ptr()));
                (open, read)
            })
        };
        let Some((open, read)) = functions else {
            println!("skipped: there is no zlib");
            return;
        };
        detect(LIMIT);
        names(
            "in read of libc.so.6, called by gzread of libz.so.1, at:",
            pipe,
            move |pipe| {
                let mut text = [0u8; 5];
                // SAFETY: a descriptor, which zlib closes never; a buffer that lives across the call.
                let n = unsafe {
                    let file = open(pipe.as_raw_fd(), c"r".as_ptr());
                    read(file, text.as_mut_ptr().cast(), 5)
                };
                assert!(n > 0);
            },
        );
    })
    .well();
}
