//! What glibc exports for its own parts and for debuggers, looked up by name.
//!
//! If a library lacks any of it (glibc before 2.34, musl, a static program), this does not work.
#![expect(unsafe_code, reason = "reads what symbols stand for")]

use std::ffi::{CStr, c_char, c_int, c_long, c_void};

use crate::sys::symbols::symbol;

/// Functions of the dynamic linker and of glibc that threads begin and end with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Functions {
    /// Fills the block around a base anew, with a fresh vector of modules, which has room for fourteen more.
    pub(super) allocate: unsafe extern "C" fn(usize) -> usize,
    /// Fills the block anew and keeps the vector. One that is too short by now is replaced, by realloc(3).
    pub(super) fill: unsafe extern "C" fn(usize, bool) -> usize,
    /// What `fill` is told: that this is not the start of the process.
    pub(super) fill_argument: bool,
    /// Frees the vector and what modules were given apart from the block; with
    /// true the block as well.
    pub(super) deallocate: unsafe extern "C" fn(usize, bool),
    /// calloc(3), the one that the dynamic linker calls: what this gives, it may make longer and free.
    pub(super) memory: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    /// Runs destructors of thread-locals of C++ and Rust.
    pub(super) call_destructors: unsafe extern "C" fn(),
    /// Sets the running thread's tables of characters.
    pub(super) init_characters: unsafe extern "C" fn(),
    /// Gives the size and the alignment of a block.
    pub(super) static_info: unsafe extern "C" fn(*mut usize, *mut usize),
    /// Registers a destructor of the running thread, of the library that an
    /// address lies in.
    pub(super) at_exit: unsafe extern "C" fn(Destructor, *mut c_void, *const u8) -> c_int,
}

pub(super) type Destructor = unsafe extern "C" fn(*mut c_void);

/// A field as libthread_db is told of it: how many elements of what size, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) bytes: usize,
    pub(super) count: usize,
    pub(super) offset: usize,
}

pub(super) fn needed(name: &CStr) -> Result<*mut c_void, String> {
    symbol(name).ok_or_else(|| format!("the C library has no {}", name.to_string_lossy()))
}

/// The one that the dynamic linker calls, which takes the first that the program itself finds. A library that was loaded
/// with RTLD_DEEPBIND or by dlmopen(3) may find another.
fn linkers_calloc() -> Result<*mut c_void, String> {
    /// LM_ID_BASE (dlfcn.h).
    const BASE: c_long = 0;
    type Open = unsafe extern "C" fn(c_long, *const c_char, c_int) -> *mut c_void;
    let open = needed(c"dlmopen")?;
    // SAFETY: a function of this signature (dlfcn.h), which opens what is there already: the program.
    let found = unsafe {
        let open = std::mem::transmute::<*mut c_void, Open>(open);
        let program = open(BASE, std::ptr::null(), libc::RTLD_LAZY);
        match program.is_null() {
            true => program,
            false => libc::dlsym(program, c"calloc".as_ptr()),
        }
    };
    match found.is_null() {
        true => Err("the program has no calloc".to_owned()),
        false => Ok(found),
    }
}

/// The field of a structure that `_thread_db_NAME` describes.
pub(super) fn field(name: &CStr) -> Result<Field, String> {
    let at = needed(name)?.cast::<[u32; 3]>();
    // SAFETY: three words in every version that has the symbol (nptl_db).
    let [bits, count, offset] = unsafe { at.read() };
    Ok(Field {
        bytes: bits as usize / 8,
        count: count as usize,
        offset: offset as usize,
    })
}

/// A size that `_thread_db_sizeof_NAME` tells.
pub(super) fn size(name: &CStr) -> Result<usize, String> {
    // SAFETY: one word in every version that has the symbol (nptl_db).
    Ok(unsafe { needed(name)?.cast::<u32>().read() } as usize)
}

impl Functions {
    pub(super) fn find() -> Result<Functions, String> {
        let version = needed(c"gnu_get_libc_version")?;
        // SAFETY: each symbol is a function of this signature wherever glibc has
        // it (elf/dl-tls.c, stdlib/cxa_thread_atexit_impl.c, ctype/ctype-info.c);
        // glibc's version is a string that lives for ever.
        unsafe {
            let version: unsafe extern "C" fn() -> *const c_char = std::mem::transmute(version);
            let version = CStr::from_ptr(version()).to_string_lossy();
            Ok(Functions {
                allocate: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(usize) -> usize>(
                    needed(c"_dl_allocate_tls")?,
                ),
                fill: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(usize, bool) -> usize>(
                    needed(c"_dl_allocate_tls_init")?,
                ),
                fill_argument: older_than_2_41(&version)
                    .ok_or_else(|| format!("glibc's version is \"{version}\""))?,
                deallocate: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(usize, bool)>(
                    needed(c"_dl_deallocate_tls")?,
                ),
                memory: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(usize, usize) -> *mut c_void,
                >(linkers_calloc()?),
                call_destructors: std::mem::transmute::<*mut c_void, unsafe extern "C" fn()>(
                    needed(c"__call_tls_dtors")?,
                ),
                init_characters: std::mem::transmute::<*mut c_void, unsafe extern "C" fn()>(
                    needed(c"__ctype_init")?,
                ),
                static_info: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut usize, *mut usize),
                >(needed(c"_dl_get_tls_static_info")?),
                at_exit: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(Destructor, *mut c_void, *const u8) -> c_int,
                >(needed(c"__cxa_thread_atexit_impl")?),
            })
        }
    }
}

/// A library, or the program, that has thread-locals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Module {
    /// Its entry in a vector of modules; the first one has 1.
    pub(super) number: usize,
    /// Where the calling thread's lie, null if it has none yet.
    pub(super) values: *mut c_void,
}

/// All there are.
pub(super) fn modules() -> Vec<Module> {
    unsafe extern "C" fn note(
        info: *mut libc::dl_phdr_info,
        size: usize,
        modules: *mut c_void,
    ) -> c_int {
        // SAFETY: a valid description, and what was handed over below.
        let (info, modules) = unsafe { (&*info, &mut *modules.cast::<Vec<Module>>()) };
        if size >= size_of::<libc::dl_phdr_info>() && info.dlpi_tls_modid > 0 {
            modules.push(Module {
                number: info.dlpi_tls_modid,
                values: info.dlpi_tls_data,
            });
        }
        0
    }
    let mut modules = Vec::new();
    // SAFETY: `note` is called with this argument, during the call alone.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut modules).cast()) };
    modules
}

/// `_dl_allocate_tls_init` was told whether to fill everything in, and is told from
/// 2.41 on whether the thread is the main one. It matters to dlmopen's namespaces.
fn older_than_2_41(version: &str) -> Option<bool> {
    let (major, minor) = version.split_once('.')?;
    let minor = minor.split(|c: char| !c.is_ascii_digit()).next()?;
    let version: (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    Some(version < (2, 41))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(older_than_2_41("2.36"), Some(true));
        assert_eq!(older_than_2_41("2.41"), Some(false));
        assert_eq!(older_than_2_41("2.42.9000"), Some(false));
        assert_eq!(older_than_2_41("3.1"), Some(false));
        assert_eq!(older_than_2_41("musl"), None);
    }
}
