//! Hands over to the program in Go, built from `go/`, which thereby has the core,
//! the priority and the limits that this process was given.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use program::Arguments;

/// Its file, beside this executable.
pub const FILE: &str = "go-program";

pub fn echo(_: &Arguments) -> io::Result<()> {
    become_go(&["echo"])
}

pub fn http(_: &Arguments) -> io::Result<()> {
    become_go(&["http"])
}

pub fn crowd(arguments: &Arguments) -> io::Result<()> {
    become_go(&["crowd", &arguments.count.to_string()])
}

/// Returns only if it fails.
fn become_go(arguments: &[&str]) -> io::Result<()> {
    let path = env::current_exe()?.with_file_name(FILE);
    Err(Command::new(path).args(arguments).exec())
}
