//! What the program and its libraries export, looked up by name.
#![expect(unsafe_code, reason = "calls dlsym")]

use std::ffi::{CStr, c_char, c_void};

pub(crate) fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: a name that ends in a NUL byte.
    let at = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr().cast::<c_char>()) };
    (!at.is_null()).then_some(at)
}
