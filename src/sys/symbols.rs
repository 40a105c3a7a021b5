//! What the program and its libraries export, looked up by name, and how long a library stays.
#![expect(unsafe_code, reason = "calls the dynamic linker")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;

pub(crate) fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: a name that ends in a NUL byte.
    let at = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr().cast::<c_char>()) };
    (!at.is_null()).then_some(at)
}

/// Has the library that `inside` lies in stay for the rest of the process, also if whoever loaded it closes it: OS
/// threads and handlers that it starts have no end. The program itself stays anyway.
pub(crate) fn keep_loaded(inside: *const c_void) {
    /// The program's table of segments.
    fn of_the_program() -> *const c_void {
        // SAFETY: any number may be asked for.
        unsafe { libc::getauxval(libc::AT_PHDR) as *const c_void }
    }
    // By name, since a program that is linked statically is warned of it otherwise.
    let Some(open) = symbol(c"dlopen") else {
        return;
    };
    let (Some(here), program) = (image(inside), image(of_the_program())) else {
        return;
    };
    if program.is_some_and(|program| program.dli_fbase == here.dli_fbase) {
        return;
    }
    // SAFETY: a function of this signature, and the name by which the linker knows the library.
    unsafe {
        let open = std::mem::transmute::<
            *mut c_void,
            unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void,
        >(open);
        open(
            here.dli_fname,
            libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE,
        );
    }
}

/// The program or library that an address lies in.
fn image(inside: *const c_void) -> Option<libc::Dl_info> {
    let mut info = MaybeUninit::uninit();
    // SAFETY: any address may be asked for; it is filled if the answer is not 0.
    unsafe { (libc::dladdr(inside, info.as_mut_ptr()) != 0).then(|| info.assume_init()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_to_stay_stays_when_it_is_closed() {
        let load = |how| {
            // SAFETY: a name that ends in a NUL byte, of a library of the C library's.
            unsafe { libc::dlopen(c"libresolv.so.2".as_ptr(), libc::RTLD_NOW | how) }
        };
        if !load(libc::RTLD_NOLOAD).is_null() {
            return eprintln!("skipped: the library is there already");
        }
        for stays in [false, true] {
            let library = load(0);
            if library.is_null() {
                return eprintln!("skipped: there is no such library");
            }
            // SAFETY: opened once, closed once.
            unsafe {
                if stays {
                    keep_loaded(libc::dlsym(library, c"ns_sprintrr".as_ptr()));
                }
                libc::dlclose(library);
            }
            assert_eq!(!load(libc::RTLD_NOLOAD).is_null(), stays);
        }
    }
}
