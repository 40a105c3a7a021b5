//! `print!`, `println!`, `eprint!` and `eprintln!` for which only the green thread waits.

use std::fmt;
use std::io::Write;

/// Prints to [`green::io::stdout`](crate::io::stdout), as std's macro of this name does to std's.
///
/// # Panics
///
/// When writing to standard output fails.
///
/// # Examples
///
/// ```
/// green::print!("{} of {}", 1, 2);
/// green::println!();
/// ```
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::io::_print(::std::format_args!($($argument)*)) };
}

/// Prints a line to [`green::io::stdout`](crate::io::stdout), as std's macro of this name does to std's.
///
/// # Panics
///
/// When writing to standard output fails.
///
/// # Examples
///
/// ```
/// green::println!("{} served", 10_000);
/// ```
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($argument:tt)*) => { $crate::io::_print(::std::format_args!("{}\n", ::std::format_args!($($argument)*))) };
}

/// Prints to [`green::io::stderr`](crate::io::stderr), as std's macro of this name does to std's.
///
/// # Panics
///
/// When writing to standard error fails.
///
/// # Examples
///
/// ```
/// green::eprint!("retrying…");
/// green::eprintln!();
/// ```
#[macro_export]
macro_rules! eprint {
    ($($argument:tt)*) => { $crate::io::_eprint(::std::format_args!($($argument)*)) };
}

/// Prints a line to [`green::io::stderr`](crate::io::stderr), as std's macro of this name does to std's.
///
/// # Panics
///
/// When writing to standard error fails.
///
/// # Examples
///
/// ```
/// green::eprintln!("peer {} went away", "127.0.0.1:9");
/// ```
#[macro_export]
macro_rules! eprintln {
    () => { $crate::eprint!("\n") };
    ($($argument:tt)*) => { $crate::io::_eprint(::std::format_args!("{}\n", ::std::format_args!($($argument)*))) };
}

#[doc(hidden)]
pub fn _print(arguments: fmt::Arguments<'_>) {
    if let Err(error) = super::stdout().write_fmt(arguments) {
        panic!("failed printing to stdout: {error}");
    }
}

#[doc(hidden)]
pub fn _eprint(arguments: fmt::Arguments<'_>) {
    if let Err(error) = super::stderr().write_fmt(arguments) {
        panic!("failed printing to stderr: {error}");
    }
}
