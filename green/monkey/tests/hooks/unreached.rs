//! Programs that do not reach the patch are told so, by name: where the linker hides it from libraries, and where another
//! function stands before one of ours.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The library that this program is built with.
fn library(folder: &Path) -> PathBuf {
    let files = folder.read_dir().unwrap().map(|file| file.unwrap().path());
    let ours = files.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libgreen_monkey-") && name.ends_with(".rlib")
    });
    let made = |path: &PathBuf| path.metadata().and_then(|data| data.modified()).unwrap();
    ours.max_by_key(made).expect("the library that is tested")
}

/// What `monkey_patch` answers in a program with these lines and linker's options.
fn answer(lines: &str, options: &[&str]) -> String {
    let program = std::env::current_exe().unwrap();
    let folder = program.parent().unwrap();
    let work = tempfile::tempdir().unwrap();
    let (text, built) = (work.path().join("main.rs"), work.path().join("main"));
    let main = "fn main() {
        // SAFETY: this program does nothing else.
        let told = unsafe { green_monkey::monkey_patch(green_monkey::Patch::all()) };
        println!(\"{told:?}\");
    }";
    std::fs::write(&text, format!("{main}\n{lines}")).unwrap();
    let mut library_option = std::ffi::OsString::from("green_monkey=");
    library_option.push(library(folder));
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(compiler)
        .args(["--edition", "2024", "-L"])
        .arg(format!("dependency={}", folder.display()))
        .arg("--extern")
        .args([&library_option, text.as_os_str(), "-o".as_ref()])
        .arg(&built)
        .args(options.iter().map(|option| format!("-Clink-arg={option}")))
        .status();
    assert!(status.unwrap().success());
    let output = Command::new(built).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a program that is compiled here can be linked with what the test was built of.
fn can_compile() -> bool {
    let foreign = cfg!(not(target_arch = "x86_64"));
    if foreign {
        println!("skipped: the compiler at hand may be another architecture's");
    }
    !foreign
}

#[test]
fn a_program_without_tricks_is_patched() {
    if can_compile() {
        assert_eq!(answer("", &[]), "Ok(())\n");
    }
}

#[test]
fn what_the_linker_hides_from_libraries_is_named() {
    if can_compile() {
        let told = answer("", &["-Wl,--exclude-libs=ALL"]);
        assert!(told.starts_with("Err("), "{told}");
        for name in ["recv", "poll", "getaddrinfo", "pthread_mutex_lock"] {
            let part = format!("libraries do not reach {name}");
            assert!(told.contains(&part), "{part:?} in {told}");
        }
        // std is in the program itself.
        assert!(!told.contains("std does not reach"), "{told}");
    }
}

#[test]
fn what_stands_before_a_function_of_ours_is_named() {
    if can_compile() {
        let another = "
            use std::ffi::{c_int, c_void};
            unsafe extern \"C\" {
                fn sendto(fd: c_int, from: *const c_void, len: usize, flags: c_int, to: *const c_void, n: u32) -> isize;
            }
            #[unsafe(no_mangle)]
            pub unsafe extern \"C\" fn send(fd: c_int, from: *const c_void, len: usize, flags: c_int) -> isize {
                // SAFETY: as the caller promises.
                unsafe { sendto(fd, from, len, flags, std::ptr::null(), 0) }
            }";
        let told = answer(another, &["-Wl,--allow-multiple-definition"]);
        assert!(told.contains("std does not reach send"), "{told}");
        let whole = told.matches(" not reach ").count();
        assert_eq!(whole, 1, "{told}");
    }
}
