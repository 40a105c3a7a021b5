//! Names of hosts: looked up on the pool of blocking threads.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::net::IpAddr;

use greenhub::foreign;
use libc::{addrinfo, sockaddr, socklen_t};

use crate::Patch;
use crate::answer::{Plain, code};
use crate::errno::{errno, set_errno};

hooks! {
    is_on(Patch::DNS) fn getaddrinfo(
        host: *const c_char, service: *const c_char, hints: *const addrinfo, found: *mut *mut addrinfo
    ) -> c_int = own_getaddrinfo;
    is_on(Patch::DNS) fn getnameinfo(
        address: *const sockaddr, len: socklen_t, host: *mut c_char, host_len: socklen_t, service: *mut c_char,
        service_len: socklen_t, flags: c_int
    ) -> c_int = own_getnameinfo;
    is_on(Patch::DNS) fn gethostbyname_r(
        name: *const c_char, entry: *mut HostEntry, room: *mut c_char, len: usize, found: *mut *mut HostEntry,
        error: *mut c_int
    ) -> c_int = own_gethostbyname_r;
    is_on(Patch::DNS) fn gethostbyname(name: *const c_char) -> *mut HostEntry = own_gethostbyname;
}

/// What gethostbyname(3) finds.
pub(crate) enum HostEntry {}

unsafe extern "C" {
    fn __h_errno_location() -> *mut c_int;
}

/// What a lookup has found, until somebody takes it.
struct Found(*mut addrinfo);

// SAFETY: a list on the heap, that nobody else knows of.
unsafe impl Send for Found {}

impl Drop for Found {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: getaddrinfo has made it, and nobody took it.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}

/// # Safety
///
/// Null or a string.
unsafe fn copy(text: *const c_char) -> Option<CString> {
    // SAFETY: as the caller promises.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_owned())
}

fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr())
}

unsafe fn own_getaddrinfo(
    host: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    found: *mut *mut addrinfo,
) -> CodeWithErrno {
    // SAFETY: the caller's strings and hints, or null.
    let (host_copy, service_copy, hints_copy) =
        unsafe { (copy(host), copy(service), hints.as_ref().copied()) };
    let is_numeric = || {
        let text = host_copy.as_ref().map(|host| host.to_string_lossy());
        text.is_none_or(|text| text.parse::<IpAddr>().is_ok())
            || hints_copy.is_some_and(|hints| hints.ai_flags & libc::AI_NUMERICHOST != 0)
    };
    if is_numeric() || !foreign::may_park() {
        // SAFETY: the caller's.
        return CodeWithErrno::of(unsafe { real::getaddrinfo(host, service, hints, found) });
    }
    // Of the hints only these count; the rest is null.
    let hints = hints_copy.map(|hints| {
        (
            hints.ai_flags,
            hints.ai_family,
            hints.ai_socktype,
            hints.ai_protocol,
        )
    });
    let looked_up = foreign::blocking(move || {
        let hints = hints.map(|(flags, family, kind, protocol)| {
            // SAFETY: numbers and null pointers.
            let mut hints: addrinfo = unsafe { std::mem::zeroed() };
            hints.ai_flags = flags;
            hints.ai_family = family;
            hints.ai_socktype = kind;
            hints.ai_protocol = protocol;
            hints
        });
        let hints = hints
            .as_ref()
            .map_or(std::ptr::null(), |hints| &raw const *hints);
        let mut found = Found(std::ptr::null_mut());
        // SAFETY: copies that live across the call.
        let given = unsafe {
            real::getaddrinfo(
                pointer(&host_copy),
                pointer(&service_copy),
                hints,
                &mut found.0,
            )
        };
        (given, errno(), found)
    });
    match looked_up {
        Ok((0, _, mut list)) => {
            // SAFETY: the caller's place.
            unsafe { *found = std::mem::replace(&mut list.0, std::ptr::null_mut()) };
            CodeWithErrno { given: 0, errno: 0 }
        }
        Ok((given, errno, _)) => CodeWithErrno { given, errno },
        Err(error) => CodeWithErrno {
            given: libc::EAI_SYSTEM,
            errno: code(error),
        },
    }
}

/// An error of its own kind, one of which says that errno has the reason.
struct CodeWithErrno {
    given: c_int,
    errno: c_int,
}

impl CodeWithErrno {
    fn of(given: c_int) -> CodeWithErrno {
        CodeWithErrno {
            given,
            errno: errno(),
        }
    }
}

impl crate::answer::Give<c_int> for CodeWithErrno {
    fn give(self, errno_before: c_int) -> c_int {
        set_errno(match self.given {
            libc::EAI_SYSTEM => self.errno,
            _ => errno_before,
        });
        self.given
    }
}

/// Runs a lookup on the pool that writes into the caller's memory, which waits for it whatever
/// else happens. Gives errno and h_errno too.
fn in_the_callers_memory(lookup: impl FnOnce() -> usize + Send + 'static) -> Option<usize> {
    let done = foreign::blocking_uncut(move || {
        let given = lookup();
        // SAFETY: the running thread's own.
        (given, errno(), unsafe { *__h_errno_location() })
    });
    let (given, errno, h_errno) = done.ok()?;
    set_errno(errno);
    // SAFETY: as above.
    unsafe { *__h_errno_location() = h_errno };
    Some(given)
}

unsafe fn own_getnameinfo(
    address: *const sockaddr,
    len: socklen_t,
    host: *mut c_char,
    host_len: socklen_t,
    service: *mut c_char,
    service_len: socklen_t,
    flags: c_int,
) -> CodeWithErrno {
    if flags & libc::NI_NUMERICHOST != 0 || !foreign::may_park() {
        // SAFETY: the caller's.
        return CodeWithErrno::of(unsafe {
            real::getnameinfo(address, len, host, host_len, service, service_len, flags)
        });
    }
    let (address, host, service) = (address as usize, host as usize, service as usize);
    let looked_up = in_the_callers_memory(move || {
        // SAFETY: the caller's, who waits.
        unsafe {
            real::getnameinfo(
                address as *const sockaddr,
                len,
                host as *mut c_char,
                host_len,
                service as *mut c_char,
                service_len,
                flags,
            ) as usize
        }
    });
    CodeWithErrno::of(looked_up.map_or(libc::EAI_AGAIN, |given| given as c_int))
}

unsafe fn own_gethostbyname_r(
    name: *const c_char,
    entry: *mut HostEntry,
    room: *mut c_char,
    len: usize,
    found: *mut *mut HostEntry,
    error: *mut c_int,
) -> Plain<c_int> {
    if !foreign::may_park() {
        // SAFETY: the caller's.
        return Plain(unsafe { real::gethostbyname_r(name, entry, room, len, found, error) });
    }
    let pointers = [
        name as usize,
        entry as usize,
        room as usize,
        found as usize,
        error as usize,
    ];
    let looked_up = in_the_callers_memory(move || {
        let [name, entry, room, found, error] = pointers;
        // SAFETY: the caller's, who waits.
        unsafe {
            real::gethostbyname_r(
                name as *const c_char,
                entry as *mut HostEntry,
                room as *mut c_char,
                len,
                found as *mut *mut HostEntry,
                error as *mut c_int,
            ) as usize
        }
    });
    Plain(looked_up.map_or(libc::EAGAIN, |given| given as c_int))
}

unsafe fn own_gethostbyname(name: *const c_char) -> Plain<*mut HostEntry> {
    if !foreign::may_park() {
        // SAFETY: the caller's.
        return Plain(unsafe { real::gethostbyname(name) });
    }
    let name = name as usize;
    // SAFETY: the caller's, who waits. The entry is the C library's own, one for the process.
    let looked_up = in_the_callers_memory(move || unsafe {
        real::gethostbyname(name as *const c_char) as usize
    });
    Plain(looked_up.unwrap_or(0) as *mut HostEntry)
}
