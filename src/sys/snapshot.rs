//! A copy of what another OS thread is doing: its registers and the green stack that it runs on.
//!
//! The thread is interrupted by a signal, and the handler makes the copy. It
//! does nothing else: no lock, no allocation, no unwinding, none of which may
//! be done at a moment that nobody chose. What the copy means is worked out
//! afterwards, on the thread that asked for it.
//!
//! # Safety
//!
//! A [`Snapshot`] that is to be filled belongs to whoever took its address out
//! of [`WANTED`]: the handler, or the asker who withdraws it.
#![expect(unsafe_code, reason = "signal handlers are raw system interface")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::cvt;
use super::signal::{WhoRuns, stack_signal};

/// Bytes of a stack that are copied, from its end in use.
const STACK: usize = 256 * 1024;
/// Bytes of a name that are copied.
const NAME: usize = 256;

/// General registers, by their DWARF numbers, as far as they matter to unwinding.
pub(crate) const REGISTERS: usize = 32;

/// Who ran on an OS thread at one moment, and where.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The green thread's.
    pub(crate) id: u64,
    pub(crate) pc: usize,
    pub(crate) registers: [usize; REGISTERS],
    has_name: bool,
    name: [u8; NAME],
    name_len: usize,
    /// Address of the first byte copied.
    stack_at: usize,
    stack: Box<[u8; STACK]>,
    stack_len: usize,
}

impl Snapshot {
    fn new() -> Box<Snapshot> {
        Box::new(Snapshot {
            id: 0,
            pc: 0,
            registers: [0; REGISTERS],
            has_name: false,
            name: [0; NAME],
            name_len: 0,
            stack_at: 0,
            stack: Box::new([0; STACK]),
            stack_len: 0,
        })
    }

    /// The green thread's name.
    pub(crate) fn name(&self) -> Option<String> {
        let name = String::from_utf8_lossy(&self.name[..self.name_len]);
        self.has_name.then(|| name.into_owned())
    }

    /// The word that lay on the stack at this address.
    pub(crate) fn word(&self, address: usize) -> Option<usize> {
        let from = address.checked_sub(self.stack_at)?;
        let bytes = self.stack[..self.stack_len].get(from..)?.first_chunk()?;
        Some(usize::from_ne_bytes(*bytes))
    }
}

static WHO_RUNS: OnceLock<WhoRuns> = OnceLock::new();
/// What the handler is to fill, and the OS thread that is to be copied.
static WANTED: AtomicPtr<Snapshot> = AtomicPtr::new(ptr::null_mut());
static WANTED_OF: AtomicUsize = AtomicUsize::new(0);
/// Set by the handler when it is done, and whether a green thread ran.
static DONE: AtomicBool = AtomicBool::new(false);
static RAN: AtomicBool = AtomicBool::new(false);

/// The calling OS thread, for [`take`]: as the kernel knows it, which green threads
/// are no part of.
pub(crate) fn this_thread() -> usize {
    // SAFETY: always succeeds.
    unsafe { libc::syscall(libc::SYS_gettid) as usize }
}

/// Installs the handler, for as long as the process lives.
///
/// # Errors
///
/// `AlreadyExists` if the signal has another handler.
pub(crate) fn install(who_runs: WhoRuns) -> io::Result<()> {
    if WHO_RUNS.get().is_some() {
        return Ok(());
    }
    // SAFETY: a null new action only reads, zeroed is a valid `sigaction`, and
    // the handler has the signature that SA_SIGINFO asks for.
    unsafe {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        cvt(libc::sigaction(stack_signal(), ptr::null(), &mut action))?;
        if action.sa_sigaction != libc::SIG_DFL {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("signal {} has a handler already", stack_signal()),
            ));
        }
        let _ = WHO_RUNS.set(who_runs);
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigfillset(&mut action.sa_mask);
        cvt(libc::sigaction(stack_signal(), &action, ptr::null_mut())).map(drop)
    }
}

/// Copies what a hub's OS thread is doing; `None` if no green thread runs there,
/// or it takes no signal within `patience`.
///
/// One caller at a time; [`install`] must have succeeded, and `thread` must live.
pub(crate) fn take(thread: usize, patience: Duration) -> Option<Box<Snapshot>> {
    let wanted = Box::into_raw(Snapshot::new());
    DONE.store(false, Ordering::Relaxed);
    RAN.store(false, Ordering::Relaxed);
    WANTED_OF.store(thread, Ordering::Relaxed);
    WANTED.store(wanted, Ordering::Release);
    // SAFETY: a hub's OS thread lives as long as the process.
    let sent =
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, stack_signal()) == 0 };
    let until = Instant::now() + patience;
    let mut withdrawn = false;
    while !DONE.load(Ordering::Acquire) && !withdrawn {
        std::thread::sleep(Duration::from_micros(100));
        if !sent || Instant::now() >= until {
            // If the handler has it already, it will be done in a moment.
            withdrawn = !WANTED.swap(ptr::null_mut(), Ordering::Acquire).is_null();
        }
    }
    // SAFETY: made by `into_raw` above; the handler is done with it, or never
    // had it.
    let snapshot = unsafe { Box::from_raw(wanted) };
    (!withdrawn && RAN.load(Ordering::Relaxed)).then_some(snapshot)
}

unsafe extern "C" fn on_signal(
    _signal: i32,
    _info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    if WANTED_OF.load(Ordering::Relaxed) != this_thread() {
        return;
    }
    let wanted = WANTED.swap(ptr::null_mut(), Ordering::Acquire);
    if wanted.is_null() {
        return;
    }
    // SAFETY: whoever takes the address out of `WANTED` owns what it names, and
    // the kernel passes a valid ucontext to an SA_SIGINFO handler.
    let ran = unsafe { fill(&mut *wanted, &*context.cast()) };
    RAN.store(ran, Ordering::Relaxed);
    DONE.store(true, Ordering::Release);
}

/// Says whether a green thread ran, on its own stack.
///
/// # Safety
///
/// To be called in the handler, with what the kernel gave it.
unsafe fn fill(snapshot: &mut Snapshot, context: &libc::ucontext_t) -> bool {
    let Some(occupant) = WHO_RUNS.get().and_then(|who_runs| who_runs()) else {
        return false;
    };
    let stack_pointer = read_registers(snapshot, context);
    let top = occupant.bottom + occupant.size;
    if !(occupant.bottom..top).contains(&stack_pointer) {
        return false;
    }
    snapshot.id = occupant.id;
    snapshot.has_name = occupant.name.is_some();
    if let Some(name) = occupant.name {
        // SAFETY: the name lives as long as the green thread, which runs.
        let name = unsafe { &*name }.as_bytes();
        snapshot.name_len = name.len().min(NAME);
        snapshot.name[..snapshot.name_len].copy_from_slice(&name[..snapshot.name_len]);
    }
    snapshot.stack_at = stack_pointer;
    snapshot.stack_len = (top - stack_pointer).min(STACK);
    // SAFETY: from the stack pointer to its top a running stack is mapped and
    // does not change, since its thread is here. The bytes are not interpreted.
    unsafe {
        ptr::copy_nonoverlapping(
            stack_pointer as *const u8,
            snapshot.stack.as_mut_ptr(),
            snapshot.stack_len,
        );
    }
    true
}

/// Gives the stack pointer.
#[cfg(target_arch = "x86_64")]
fn read_registers(snapshot: &mut Snapshot, context: &libc::ucontext_t) -> usize {
    use libc::{
        REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RBP,
        REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RIP, REG_RSI, REG_RSP,
    };
    let by_number = [
        REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9,
        REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    ];
    let value = |register: i32| context.uc_mcontext.gregs[register as usize] as usize;
    for (register, place) in by_number.into_iter().zip(&mut snapshot.registers) {
        *place = value(register);
    }
    snapshot.pc = value(REG_RIP);
    value(REG_RSP)
}

/// Gives the stack pointer.
#[cfg(target_arch = "aarch64")]
fn read_registers(snapshot: &mut Snapshot, context: &libc::ucontext_t) -> usize {
    let machine = &context.uc_mcontext;
    for (register, place) in machine.regs.iter().zip(&mut snapshot.registers) {
        *place = *register as usize;
    }
    snapshot.registers[31] = machine.sp as usize;
    snapshot.pc = machine.pc as usize;
    machine.sp as usize
}
