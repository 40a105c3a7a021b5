//! Libraries in C, loaded when the program runs already.
#![expect(unsafe_code, reason = "C libraries are loaded and called")]

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};

use test_support::servers::Postgres;

use super::Case;
use crate::late::{LATE, Late};

fn library(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name ends with a null byte; the library's own initialisation runs.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if library.is_null() {
        println!("skipped: no {}", name.to_string_lossy());
    }
    (!library.is_null()).then_some(library)
}

/// # Safety
///
/// `F` is a function pointer of the symbol's type.
unsafe fn symbol<F: Copy>(library: *mut c_void, name: &CStr) -> F {
    // SAFETY: as the caller promises.
    unsafe {
        let at = libc::dlsym(library, name.as_ptr());
        assert!(!at.is_null(), "{name:?}");
        assert_eq!(size_of::<F>(), size_of_val(&at));
        std::mem::transmute_copy(&at)
    }
}

pub fn libcurl(late: &Late) -> Option<Case> {
    #[derive(Clone, Copy)]
    struct Curl {
        init: unsafe extern "C" fn() -> *mut c_void,
        set: unsafe extern "C" fn(*mut c_void, c_int, ...) -> c_int,
        perform: unsafe extern "C" fn(*mut c_void) -> c_int,
        cleanup: unsafe extern "C" fn(*mut c_void),
    }
    const URL: c_int = 10_002;
    const WRITE_FUNCTION: c_int = 20_011;
    const WRITE_DATA: c_int = 10_001;
    const NO_SIGNAL: c_int = 99;
    extern "C" fn write(data: *const u8, size: usize, count: usize, to: *mut c_void) -> usize {
        // SAFETY: libcurl gives what it has received, and what WRITE_DATA was set to.
        unsafe { (*to.cast::<Vec<u8>>()).extend(std::slice::from_raw_parts(data, size * count)) };
        size * count
    }
    let library = library(c"libcurl.so.4").or_else(|| library(c"libcurl-gnutls.so.4"))?;
    // SAFETY: the types of curl.h.
    let curl = unsafe {
        Curl {
            init: symbol(library, c"curl_easy_init"),
            set: symbol(library, c"curl_easy_setopt"),
            perform: symbol(library, c"curl_easy_perform"),
            cleanup: symbol(library, c"curl_easy_cleanup"),
        }
    };
    let server = late.http.clone();
    Some(Case::new("libcurl", (), move |n| {
        let url = CString::new(format!("{server}/{n}")).unwrap();
        move || {
            let mut got = Vec::<u8>::new();
            // SAFETY: a handle of its own; what it is given lives across the calls.
            unsafe {
                let handle = (curl.init)();
                (curl.set)(handle, URL, url.as_ptr());
                (curl.set)(handle, NO_SIGNAL, 1 as c_long);
                (curl.set)(handle, WRITE_FUNCTION, write as *const c_void);
                (curl.set)(handle, WRITE_DATA, (&raw mut got).cast::<c_void>());
                assert_eq!((curl.perform)(handle), 0);
                (curl.cleanup)(handle);
            }
            String::from_utf8(got).unwrap()
        }
    }))
}

pub fn libpq() -> Option<Case> {
    #[derive(Clone, Copy)]
    struct Pq {
        connect: unsafe extern "C" fn(*const c_char) -> *mut c_void,
        error: unsafe extern "C" fn(*mut c_void) -> *const c_char,
        exec: unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void,
        value: unsafe extern "C" fn(*mut c_void, c_int, c_int) -> *const c_char,
        clear: unsafe extern "C" fn(*mut c_void),
        finish: unsafe extern "C" fn(*mut c_void),
    }
    let library = library(c"libpq.so.5")?;
    let database = Postgres::start()?;
    // SAFETY: the types of libpq-fe.h.
    let pq = unsafe {
        Pq {
            connect: symbol(library, c"PQconnectdb"),
            error: symbol(library, c"PQerrorMessage"),
            exec: symbol(library, c"PQexec"),
            value: symbol(library, c"PQgetvalue"),
            clear: symbol(library, c"PQclear"),
            finish: symbol(library, c"PQfinish"),
        }
    };
    let address = CString::new(database.address()).unwrap();
    Some(Case::new("libpq", database, move |n| {
        // SAFETY: the text ends with a null byte.
        let connection = unsafe { (pq.connect)(address.as_ptr()) };
        move || {
            let late = LATE.as_secs_f64();
            let query = CString::new(format!("SELECT {n} FROM pg_sleep({late})")).unwrap();
            // SAFETY: a connection of its own; what it is given lives across the calls.
            unsafe {
                let answer = (pq.exec)(connection, query.as_ptr());
                let value = (pq.value)(answer, 0, 0);
                assert!(
                    !value.is_null(),
                    "{:?}",
                    CStr::from_ptr((pq.error)(connection))
                );
                let value = CStr::from_ptr(value).to_str().unwrap().to_owned();
                (pq.clear)(answer);
                (pq.finish)(connection);
                value
            }
        }
    }))
}
