//! Signals of a hub's OS thread: which ones it takes, and the handler that
//! names a green thread whose stack has overflowed.
//!
//! # Safety
//!
//! The handler runs on a stack of its own (sigaltstack(2)), uses nothing but
//! async-signal-safe calls, asks [`WHO_RUNS`], and then
//! aborts or hands the signal on to whoever was installed before.
#![expect(unsafe_code, reason = "signal handlers are raw system interface")]

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;

use super::cvt;

/// Size of the stack that a hub handles signals on.
const SIGNAL_STACK: usize = 64 * 1024;
/// Faults this far below a stack still count as its overflow: a C function
/// compiled without stack probes can step over the guard page.
const REACH: usize = 8 << 20;

/// The green thread that runs on an OS thread, in the form that a signal handler can read.
#[derive(Clone, Copy)]
pub(crate) struct Occupant {
    /// Lowest address of the stack (its guard page).
    pub(crate) bottom: usize,
    /// Size in bytes.
    pub(crate) size: usize,
    /// Of these, what was asked for.
    pub(crate) asked: usize,
    pub(crate) id: u64,
    /// Lives as long as the green thread.
    pub(crate) name: Option<*const str>,
}

/// Tells who runs on the calling OS thread, by async-signal-safe means alone.
pub(crate) type WhoRuns = fn() -> Option<Occupant>;

static WHO_RUNS: OnceLock<WhoRuns> = OnceLock::new();

struct Previous {
    segv: libc::sigaction,
    bus: libc::sigaction,
}
static PREVIOUS: OnceLock<Previous> = OnceLock::new();

/// Remembers the handlers of SIGSEGV and SIGBUS, those of the first call. An engine
/// that installs handlers of its own has it done before.
pub(crate) fn remember_handlers() {
    PREVIOUS.get_or_init(|| Previous {
        segv: current_action(libc::SIGSEGV),
        bus: current_action(libc::SIGBUS),
    });
}

fn current_action(signal: i32) -> libc::sigaction {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only reads; zeroed is a valid `sigaction`.
    unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    }
}

/// Installs the overflow handler in front of the one that was there.
pub(crate) fn install_overflow_handler(who_runs: WhoRuns) -> io::Result<()> {
    remember_handlers();
    let _ = WHO_RUNS.set(who_runs);
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: zeroed is a valid `sigaction`; the handler has the signature
        // that SA_SIGINFO asks for.
        unsafe {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            cvt(libc::sigaction(signal, &action, ptr::null_mut()))?;
        }
    }
    Ok(())
}

/// A signal stack with a guard page that the calling OS thread handles signals on,
/// until this is dropped there.
pub(crate) struct SignalStack {
    at: *mut libc::c_void,
    before: libc::stack_t,
}

impl SignalStack {
    fn size() -> usize {
        SIGNAL_STACK + super::memory::page_size()
    }

    pub(crate) fn install() -> io::Result<SignalStack> {
        let page = super::memory::page_size();
        // SAFETY: a fresh mapping, whose lowest page is made the guard. It stays
        // until `drop` has taken it out of use.
        unsafe {
            let at = libc::mmap(
                ptr::null_mut(),
                SignalStack::size(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            if at == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let stack = libc::stack_t {
                ss_sp: at.byte_add(page),
                ss_flags: 0,
                ss_size: SIGNAL_STACK,
            };
            let mut before = MaybeUninit::zeroed();
            let installed = cvt(libc::mprotect(at, page, libc::PROT_NONE))
                .and_then(|_| cvt(libc::sigaltstack(&stack, before.as_mut_ptr())));
            match installed {
                Ok(_) => Ok(SignalStack {
                    at,
                    before: before.assume_init(),
                }),
                Err(error) => {
                    libc::munmap(at, SignalStack::size());
                    Err(error)
                }
            }
        }
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        // SAFETY: what was there before is put back, so nobody uses ours any
        // more when it is unmapped.
        unsafe {
            if libc::sigaltstack(&self.before, ptr::null_mut()) == 0 {
                libc::munmap(self.at, SignalStack::size());
            }
        }
    }
}

/// What the thread blocked that started the hubs, for threads that hubs start.
static ORDINARY_MASK: OnceLock<libc::sigset_t> = OnceLock::new();

/// Notes which signals the calling thread blocks, unless it has been noted.
pub(crate) fn remember_mask() {
    ORDINARY_MASK.get_or_init(|| {
        let mut mask = MaybeUninit::uninit();
        // SAFETY: with no new mask the call only stores the present one, and it
        // cannot fail.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), mask.as_mut_ptr());
            mask.assume_init()
        }
    });
}

/// Makes the calling thread block what was noted, if anything was: a thread
/// starts with the mask of the one that starts it, and hands it on to the
/// programs it executes.
pub(crate) fn restore_mask() {
    if let Some(mask) = ORDINARY_MASK.get() {
        // SAFETY: `mask` is a signal mask that the kernel has stored.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, ptr::null_mut()) };
    }
}

/// The signal on which a hub's OS thread copies its stack: module
/// [`snapshot`](super::snapshot).
pub(super) fn stack_signal() -> libc::c_int {
    libc::SIGRTMAX() - 3
}

/// Blocks the process's signals, so that they are handled on other threads and
/// not on a green thread's small stack. Those that the running code raises
/// itself, or that are meant for its OS thread alone, are left.
pub(crate) fn block_process_signals() {
    // SAFETY: `set` is initialised by sigfillset before use.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(set.as_mut_ptr());
        for own in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGABRT,
            libc::SIGTRAP,
            libc::SIGSYS,
            libc::SIGPROF,
            stack_signal(),
        ] {
            libc::sigdelset(set.as_mut_ptr(), own);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), ptr::null_mut());
    }
}

unsafe extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if let Some(occupant) = WHO_RUNS.get().and_then(|who_runs| who_runs()) {
        // SAFETY: the kernel passes a valid siginfo for SIGSEGV and SIGBUS.
        let address = unsafe { (*info).si_addr() } as usize;
        if NO_END.get().is_some_and(|page| page.contains(&address)) {
            ended_by_force(&occupant);
        }
        let guard = occupant.bottom.saturating_sub(4096)..occupant.bottom + 4096;
        let below = occupant.bottom.saturating_sub(REACH)..occupant.bottom + 4096;
        if guard.contains(&address) || below.contains(&stack_pointer(context)) {
            overflowed(&occupant);
        }
    }
    hand_on(signal, info, context);
}

#[cfg(target_arch = "x86_64")]
fn stack_pointer(context: *mut libc::c_void) -> usize {
    // SAFETY: the kernel passes a valid ucontext to an SA_SIGINFO handler.
    unsafe {
        (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RSP as usize] as usize
    }
}

#[cfg(target_arch = "aarch64")]
fn stack_pointer(context: *mut libc::c_void) -> usize {
    // SAFETY: the kernel passes a valid ucontext to an SA_SIGINFO handler.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.sp as usize }
}

/// Where the C library looks for the end of a thread's stack when it is to unwind all of it: on a green thread it finds this
/// page, on which any access faults.
static NO_END: OnceLock<Range<usize>> = OnceLock::new();

/// The address of that page.
///
/// # Errors
///
/// There is no address space for it: it may be tried again.
pub(crate) fn no_end() -> io::Result<usize> {
    if let Some(page) = NO_END.get() {
        return Ok(page.start);
    }
    let bytes = super::memory::page_size();
    let at = super::memory::reserve(bytes)?;
    Ok(NO_END.get_or_init(|| at..at + bytes).start)
}

/// pthread_exit(3), or what pthread_cancel(3) has asked for.
fn ended_by_force(occupant: &Occupant) -> ! {
    let mut message = Message::about(occupant);
    message.text(
        b" called pthread_exit or was cancelled, which green threads cannot be\nhave its closure return, or \
          use green::thread::JoinHandle::kill\n",
    );
    message.write();
    // SAFETY: abort is async-signal-safe.
    unsafe { libc::abort() }
}

/// Writes the message with nothing but write(2), then aborts, as std does.
fn overflowed(occupant: &Occupant) -> ! {
    let mut message = Message::about(occupant);
    message.text(b" has overflowed its stack of ");
    message.number(occupant.asked as u64);
    message.text(
        b" bytes\nraise it with green::thread::Builder::stack_size(bytes), or for all with \
          green::Config::stack_size(bytes) or GREEN_STACK_SIZE=bytes\n",
    );
    message.write();
    // SAFETY: abort is async-signal-safe.
    unsafe { libc::abort() }
}

/// A message in a fixed buffer.
struct Message {
    buffer: [u8; 512],
    len: usize,
}

impl Message {
    fn new() -> Message {
        Message {
            buffer: [0; 512],
            len: 0,
        }
    }

    /// One that begins with who it is about. Of a long name there is a part, so that the rest has room.
    fn about(occupant: &Occupant) -> Message {
        const NAME: usize = 160;
        let mut message = Message::new();
        message.text(b"\ngreen thread '");
        // SAFETY: the name lives as long as the green thread, which runs.
        match occupant.name.map(|name| unsafe { &*name }) {
            None => message.text(b"<unnamed>"),
            Some(name) if name.len() <= NAME => message.text(name.as_bytes()),
            Some(name) => {
                message.text(&name.as_bytes()[..name.floor_char_boundary(NAME)]);
                message.text("…".as_bytes());
            }
        }
        message.text(b"' (id ");
        message.number(occupant.id);
        message.text(b")");
        message
    }

    fn text(&mut self, bytes: &[u8]) {
        let n = bytes.len().min(self.buffer.len() - self.len);
        self.buffer[self.len..self.len + n].copy_from_slice(&bytes[..n]);
        self.len += n;
    }

    fn number(&mut self, mut n: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                break;
            }
        }
        self.text(&digits[at..]);
    }

    fn write(&self) {
        // SAFETY: `len` bytes of the buffer are initialised.
        unsafe { libc::write(2, self.buffer.as_ptr().cast(), self.len) };
    }
}

/// Calls the handler that was there before, as if it had been
/// called by the kernel; a default action is restored and met again on return.
fn hand_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let previous = PREVIOUS.get().map(|previous| {
        if signal == libc::SIGBUS {
            &previous.bus
        } else {
            &previous.segv
        }
    });
    match previous {
        Some(action) if ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction) => {
            if action.sa_flags & libc::SA_SIGINFO != 0 {
                // SAFETY: installed with SA_SIGINFO, hence of this signature.
                let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
                    unsafe { std::mem::transmute(action.sa_sigaction) };
                handler(signal, info, context);
            } else {
                // SAFETY: installed without SA_SIGINFO, hence of this signature.
                let handler: extern "C" fn(i32) =
                    unsafe { std::mem::transmute(action.sa_sigaction) };
                handler(signal);
            }
        }
        _ => {
            // SAFETY: restoring the default action is async-signal-safe; the
            // faulting instruction runs again and meets it.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}
