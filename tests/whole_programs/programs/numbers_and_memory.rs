//! What never waits: numbers, characters, memory, and the macros that only say something of the source.

use std::alloc::Layout;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::clone::Clone;
use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};
use std::option::Option as Perhaps;
use std::prelude::rust_2024::*;
use std::primitive::u64 as Word;
use std::ptr::NonNull;

#[derive(Clone, Debug, Default)]
struct Tagged<T> {
    word: Word,
    of: PhantomData<T>,
}

struct Guarded<'a>(&'a std::cell::Cell<u32>);

impl std::ops::Drop for Guarded<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn numbers() {
    std::println!("{} {} {}", std::u8::MAX, std::i64::MIN, std::usize::MAX);
    std::println!("{:.3} {}", std::f64::consts::PI, std::f32::EPSILON < 1e-6);
    std::println!("{:?} {}", std::char::from_digit(7, 10), std::ascii::escape_default(b'\n'));
    std::println!("{}", std::cmp::max(std::hint::black_box(3), u32::from_str_radix("11", 2).unwrap() + 1));
    std::assert_ne!(u16::MAX, 0);
    std::debug_assert!(std::env::args().count() < 1000);
    std::debug_assert_eq!(u8::from(true), 1);
    std::debug_assert_ne!(u8::from(true), 3);
    #[cfg(target_arch = "x86_64")]
    std::println!("{} {}", std::is_x86_feature_detected!("sse2"), std::arch::is_x86_feature_detected!("sse"));
}

fn memory() {
    let drops = std::cell::Cell::new(0);
    let mut kept = Some(Guarded(&drops));
    mem::drop(mem::take(&mut kept));
    mem::forget(Guarded(&drops));
    std::println!("{} {}", drops.get(), Layout::new::<[Word; 3]>().size());
    let mut slot = MaybeUninit::<Word>::uninit();
    slot.write(5);
    // SAFETY: it was just written.
    let mut word = unsafe { slot.assume_init() };
    // SAFETY: it points to a value that lives here.
    unsafe { *NonNull::from(&mut word).as_ptr() += 1 };
    std::println!("{word} {:?} {:?}", std::slice::from_ref(&word), Tagged::<Word> { word, ..Tagged::default() }.clone());
    let text: Perhaps<CString> = CString::new("bytes").ok();
    std::println!("{:?} {:?}", text.as_deref().map(CStr::to_bytes), std::array::from_fn::<u8, 3, _>(|n| n as u8));
}

fn source() {
    std::println!("{} {}", std::concat!("a", 1, true), std::stringify!(x + y));
    std::println!("{} {}", std::line!() > std::column!(), std::file!().is_empty());
    std::println!("{} {}", std::module_path!().is_empty(), std::cfg!(target_os = "linux"));
    std::println!("{} {:?}", std::env!("CARGO_PKG_NAME"), std::option_env!("NOBODY_SETS_THIS"));
    std::println!("{}", std::format_args!("{}", std::matches!(Some(3), Some(2..4))));
    std::eprintln!("{}", std::vec![1, 2].len());
    std::eprint!("to standard error");
    let never: [fn(); 3] = [|| std::todo!(), || std::unimplemented!(), || std::unreachable!()];
    std::println!("{}", never.len());
    let traced = Backtrace::disabled();
    std::println!("{}", std::matches!(traced.status(), BacktraceStatus::Disabled));
}

fn main() {
    numbers();
    memory();
    source();
}
