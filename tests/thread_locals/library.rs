//! Libraries written in C and C++, built here and loaded while green threads live.

use std::ffi::{CString, c_int, c_void};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use green::thread;

use test_support::child::alone;

use crate::{SETTING, can_be_own, in_both};

/// Builds a library from C; nothing, with a word about it, where there is no compiler.
pub fn c_library(name: &str, source: &str) -> Option<PathBuf> {
    build("cc", "c", name, source, &[])
}

fn build(
    compiler: &str,
    ending: &str,
    name: &str,
    source: &str,
    options: &[&str],
) -> Option<PathBuf> {
    let folder = std::env::temp_dir().join(format!("green-thread-locals-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let text = folder.join(format!("{name}.{ending}"));
    let library = folder.join(format!("lib{name}.so"));
    std::fs::write(&text, source).unwrap();
    let built = Command::new(compiler)
        .args(options)
        .args(["-O2", "-g", "-shared", "-fPIC", "-o"])
        .args([&library, &text])
        .status();
    match built {
        Ok(status) if status.success() => Some(library),
        Ok(status) => panic!("{compiler}: {status}"),
        Err(error) => {
            eprintln!("skipped: {compiler}: {error}");
            None
        }
    }
}

/// A library that is loaded, and stays.
#[derive(Clone, Copy)]
struct Loaded(usize);

impl Loaded {
    fn open(path: &std::path::Path) -> Loaded {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the library was built above; it has no constructors.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!handle.is_null(), "{path:?}");
        Loaded(handle as usize)
    }

    fn function(self, name: &str) -> extern "C" fn(c_int) -> c_int {
        let name = CString::new(name).unwrap();
        // SAFETY: all functions of the libraries here have this signature.
        unsafe {
            let at = libc::dlsym(self.0 as *mut c_void, name.as_ptr());
            assert!(!at.is_null(), "{name:?}");
            std::mem::transmute::<*mut c_void, extern "C" fn(c_int) -> c_int>(at)
        }
    }
}

/// Green threads that wait, and then look.
fn before_and_after(load: impl Fn() -> Loaded, look: fn(Loaded, i32) -> bool) -> (usize, usize) {
    use std::sync::OnceLock;
    static LOADED: OnceLock<Loaded> = OnceLock::new();
    let early: Vec<_> = (0..10)
        .map(|n| {
            thread::spawn(move || {
                while LOADED.get().is_none() {
                    thread::sleep(Duration::from_millis(1));
                }
                look(*LOADED.get().unwrap(), n)
            })
        })
        .collect();
    while !early.iter().all(thread::JoinHandle::is_started) {
        thread::sleep(Duration::from_millis(1));
    }
    let loaded = load();
    let _ = LOADED.set(loaded);
    let late: Vec<_> = (0..10)
        .map(|n| thread::spawn(move || look(loaded, n)))
        .collect();
    let count = |all: Vec<thread::JoinHandle<bool>>| {
        let right = all.into_iter().map(|one| one.join().unwrap());
        right.filter(|&right| right).count()
    };
    (count(early), count(late))
}

/// A value of the library's own for each thread, which stays over a wait.
fn keeps_its_value(library: Loaded, n: i32) -> bool {
    let exchange = library.function("exchange");
    let fresh = exchange(n) == 41;
    thread::sleep(Duration::from_millis(5));
    fresh && exchange(41) == n
}

#[test]
fn a_library_loaded_later_has_values_in_threads_before_and_after() {
    let name = "library::a_library_loaded_later_has_values_in_threads_before_and_after";
    in_both(name, |own| {
        let source = "
            static __thread int value = 41;
            int exchange(int other) { int old = value; value = other; return old; }";
        let Some(path) = c_library("dynamic", source) else {
            return;
        };
        let counted = before_and_after(|| Loaded::open(&path), keeps_its_value);
        if own {
            assert_eq!(counted, (10, 10));
        } else {
            assert_ne!(counted, (10, 10));
        }
    });
}

/// What cannot be had: the guide tells of it.
#[test]
fn a_library_of_the_initial_exec_model_loaded_later_is_right_in_later_threads() {
    let name =
        "library::a_library_of_the_initial_exec_model_loaded_later_is_right_in_later_threads";
    in_both(name, |own| {
        let source = "
            static __thread int value __attribute__((tls_model(\"initial-exec\"))) = 41;
            int exchange(int other) { int old = value; value = other; return old; }";
        let Some(path) = c_library("initial_exec", source) else {
            return;
        };
        let (early, late) = before_and_after(|| Loaded::open(&path), keeps_its_value);
        if own {
            // glibc fills it in for the threads that it knows.
            assert_eq!((early, late), (0, 10));
        }
    });
}

/// What cannot be had: the room of a library that was unloaded is given to the next one, as it was left.
#[test]
fn a_library_of_the_initial_exec_model_loaded_later_finds_what_an_unloaded_one_left() {
    let name =
        "library::a_library_of_the_initial_exec_model_loaded_later_finds_what_an_unloaded_one_left";
    in_both(name, |own| {
        let source = "
            static __thread int value __attribute__((tls_model(\"initial-exec\")));
            int exchange(int other) { int old = value; value = other; return old; }";
        let [Some(first), Some(second)] = ["left", "found"].map(|name| c_library(name, source))
        else {
            return;
        };
        if !own {
            return;
        }
        let loaded = Loaded::open(&first);
        let leave = move || loaded.function("exchange")(7);
        assert_eq!(thread::spawn(leave).join().unwrap(), 0);
        // SAFETY: nobody calls it any more.
        assert_eq!(unsafe { libc::dlclose(loaded.0 as *mut c_void) }, 0);
        // On the stack of the one above.
        let find = move || {
            let before = Loaded::open(&second).function("exchange")(0);
            let later = thread::spawn(move || Loaded::open(&second).function("exchange")(0));
            (before, later.join().unwrap())
        };
        assert_eq!(thread::spawn(find).join().unwrap(), (7, 0));
    });
}

/// TLS descriptors, which compilers for aarch64 use: glibc treats a library with small values as one of that model, unless
/// a setting leaves it no room for that.
#[test]
fn a_library_with_descriptors_loaded_later_is_right_in_later_threads_or_by_a_setting_in_all() {
    let name = "library::a_library_with_descriptors_loaded_later_is_right_in_later_threads_or_by_a_setting_in_all";
    for tunables in ["", "glibc.rtld.optional_static_tls=0"] {
        let environment = [
            (SETTING, "own"),
            ("GREEN_HUBS", "1"),
            ("GLIBC_TUNABLES", tunables),
        ];
        alone(name, &environment, || {
            let source = "
                static __thread int value = 41;
                int exchange(int other) { int old = value; value = other; return old; }";
            let dialect = match cfg!(target_arch = "x86_64") {
                true => "-mtls-dialect=gnu2",
                false => "-mtls-dialect=desc",
            };
            let library = || build("cc", "c", "descriptors", source, &[dialect]);
            let Some(path) = can_be_own().then(library).flatten() else {
                return;
            };
            let has_no_room = std::env::var("GLIBC_TUNABLES").is_ok_and(|set| !set.is_empty());
            let right = before_and_after(|| Loaded::open(&path), keeps_its_value);
            assert_eq!(right, (if has_no_room { 10 } else { 0 }, 10));
        })
        .well();
    }
}

#[test]
fn many_loads_and_unloads_beside_green_threads_leave_each_its_values() {
    let name = "library::many_loads_and_unloads_beside_green_threads_leave_each_its_values";
    in_both(name, |own| {
        let source = "
            static __thread char large[5000];
            static __thread int value = 41;
            int exchange(int other) { int old = value; value = other; large[other] = 1; return old; }";
        let Some(path) = c_library("unloaded", source) else {
            return;
        };
        if !own {
            return;
        }
        for _ in 0..50 {
            let loaded = Loaded::open(&path);
            let all: Vec<_> = (0..10)
                .map(|n| thread::spawn(move || keeps_its_value(loaded, n)))
                .collect();
            assert!(all.into_iter().all(|one| one.join().unwrap()));
            // SAFETY: nobody calls it any more.
            assert_eq!(unsafe { libc::dlclose(loaded.0 as *mut c_void) }, 0);
        }
    });
}

/// A green thread's vector of modules has no room beside those that there were at the first start.
#[test]
fn more_libraries_than_a_vector_has_room_for_have_values_in_threads_before_and_after() {
    const LIBRARIES: c_int = 40;
    let name = "library::more_libraries_than_a_vector_has_room_for_have_values_in_threads_before_and_after";
    in_both(name, |own| {
        let source = "
            static __thread int value = 41;
            int exchange(int other) { int old = value; value = other; return old; }";
        let Some(path) = c_library("one_of_many", source) else {
            return;
        };
        if !own {
            return;
        }
        let copies: Vec<_> = (0..LIBRARIES)
            .map(|n| {
                let copy = path.with_file_name(format!("libone_of_many{n}.so"));
                std::fs::copy(&path, &copy).unwrap();
                copy
            })
            .collect();
        let round = |copies: Vec<PathBuf>| {
            let before: Vec<_> = (0..10).map(|_| uses_all_when_unparked()).collect();
            let all: Vec<_> = copies.iter().map(|copy| Loaded::open(copy)).collect();
            let after: Vec<_> = (0..10).map(|_| uses_all_when_unparked()).collect();
            let (threads, libraries): (Vec<_>, Vec<_>) = before.into_iter().chain(after).unzip();
            for libraries in libraries {
                libraries.send(all.clone()).unwrap();
            }
            threads.into_iter().for_each(|one| one.join().unwrap());
            for library in all {
                // SAFETY: nobody calls it any more.
                assert_eq!(unsafe { libc::dlclose(library.0 as *mut c_void) }, 0);
            }
        };
        // Also those who come later, on stacks and vectors that were used before.
        let (first, second) = copies.split_at(LIBRARIES as usize / 2);
        round(first.to_vec());
        round(copies.clone());
        round(second.to_vec());
        // All of them were longer, and given back.
        let before = test_support::heap::in_use();
        for _ in 0..5 {
            round(copies.clone());
        }
        let kept = test_support::heap::in_use().saturating_sub(before);
        assert!(kept < 16 << 10, "{kept} bytes");
    });
}

/// A green thread that has begun, and gets libraries in whose thread-locals it finds and leaves values.
fn uses_all_when_unparked() -> (
    thread::JoinHandle<()>,
    green::sync::mpsc::Sender<Vec<Loaded>>,
) {
    let (send, receive) = green::sync::mpsc::channel::<Vec<Loaded>>();
    let (begun, begins) = green::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        begun.send(()).unwrap();
        for (n, library) in (0..).zip(receive.recv().unwrap()) {
            assert!(keeps_its_value(library, n));
        }
    });
    begins.recv().unwrap();
    (thread, send)
}

#[test]
fn thread_locals_of_cpp_are_made_and_destroyed_and_exceptions_pass() {
    let name = "library::thread_locals_of_cpp_are_made_and_destroyed_and_exceptions_pass";
    in_both(name, |own| {
        let source = "
            #include <atomic>
            #include <string>
            #include <stdexcept>
            static std::atomic<int> made, destroyed;
            struct Text {
                std::string text = \"a text that is longer than fits in place\";
                Text() { ++made; }
                ~Text() { if (text.size() > 10) ++destroyed; }
            };
            static thread_local Text text;
            extern \"C\" int length(int) { return text.text.size(); }
            extern \"C\" int made_so_far(int) { return made; }
            extern \"C\" int destroyed_so_far(int) { return destroyed; }
            extern \"C\" int thrown(int what) {
                try { throw std::runtime_error(std::string(what, 'x')); }
                catch (const std::exception &error) { return std::string(error.what()).size(); }
            }";
        let Some(path) = build("c++", "cc", "cpp", source, &[]) else {
            return;
        };
        let library = Loaded::open(&path);
        for n in 1..=50 {
            let look = move || {
                let length = library.function("length")(0);
                thread::yield_now();
                (length, library.function("thrown")(n))
            };
            assert_eq!(thread::spawn(look).join().unwrap(), (40, n));
            let counted = ["made_so_far", "destroyed_so_far"].map(|f| library.function(f)(0));
            assert_eq!(counted, if own { [n, n] } else { [1, 0] });
        }
    });
}

/// C++ keeps what is caught and what is under way by thread.
#[test]
fn exceptions_of_cpp_are_caught_over_waits_of_their_own_thread() {
    let name = "library::exceptions_of_cpp_are_caught_over_waits_of_their_own_thread";
    in_both(name, |own| {
        type Wait = extern "C" fn();
        extern "C" fn wait() {
            thread::yield_now();
        }
        let source = "
            #include <exception>
            #include <stdexcept>
            struct Waits { void (*wait)(); int *seen; ~Waits() { wait(); *seen = std::uncaught_exceptions(); } };
            extern \"C\" int caught(int n, void (*wait)()) {
                int seen = 0;
                try { Waits waits{wait, &seen}; throw n; }
                catch (int first) {
                    wait();
                    try { try { throw std::runtime_error(\"\"); } catch (...) { wait(); throw; } }
                    catch (const std::exception &) { wait(); }
                    return first == n && seen == 1 && std::uncaught_exceptions() == 0;
                }
                return 0;
            }";
        let Some(path) = build("c++", "cc", "caught", source, &[]) else {
            return;
        };
        if !own {
            return;
        }
        // SAFETY: of this signature, as above.
        let caught = unsafe {
            std::mem::transmute::<extern "C" fn(c_int) -> c_int, extern "C" fn(c_int, Wait) -> c_int>(
                Loaded::open(&path).function("caught"),
            )
        };
        let all: Vec<_> = (0..100)
            .map(|n| thread::spawn(move || caught(n, wait)))
            .collect();
        assert!(all.into_iter().all(|one| one.join().unwrap() == 1));
    });
}
