//! Whether an unwind that began here would end the process: the tables that the unwinder goes by, read beforehand. And
//! whose frames are on the stack.
//!
//! A destructor that an unwind runs is called from a *landing pad*, and a panic
//! that left it would be the second at once. So the compiler gives each such
//! call an entry in its function's table (the language-specific data area, LSDA)
//! that says *filter*: no exception may pass. `extern "C"` functions have the
//! same entry around all they call. A stack without one can be unwound.
//!
//! The format is that of GCC's exception tables, as the personality function of
//! Rust's standard library reads them.
//!
//! # Safety
//!
//! A table is read where the loader has mapped it, from the address that the
//! unwinder gives, within the function's own entry list; the function is on our
//! stack, so that its library stays loaded.

use std::ffi::{c_int, c_void};

/// The unwinder's view of one frame; valid within the callback.
#[repr(C)]
struct Frame {
    _private: [u8; 0],
}

type Visit = extern "C" fn(*mut Frame, *mut c_void) -> c_int;

unsafe extern "C-unwind" {
    // Declared as what may unwind, which it does not: else the frame that calls
    // it would be one that no exception may pass.
    fn _Unwind_Backtrace(visit: Visit, argument: *mut c_void) -> c_int;
}

unsafe extern "C" {
    fn _Unwind_GetIPInfo(frame: *mut Frame, before_instruction: *mut c_int) -> usize;
    fn _Unwind_GetCFA(frame: *mut Frame) -> usize;
    fn _Unwind_GetRegionStart(frame: *mut Frame) -> usize;
    fn _Unwind_GetLanguageSpecificData(frame: *mut Frame) -> *const u8;
}

/// Go on to the next frame (`_URC_NO_REASON`); any other value ends the walk.
const GO_ON: c_int = 0;
const STOP: c_int = 4;

/// Whether an unwind that began here would end the process before it left the
/// frame that contains the address `base`; true also if the tables do not tell.
///
/// The function of that frame must never be inlined.
#[inline(never)]
pub(crate) fn is_barred(base: usize) -> bool {
    walk(base, true)
}

/// As [`is_barred`], but true also if there is a call that never unwinds, because whatever it
/// raises is caught within: it may be that of a destructor which an unwind runs.
#[inline(never)]
pub(crate) fn may_be_in_destructor(base: usize) -> bool {
    walk(base, false)
}

fn walk(base: usize, trusts_catches: bool) -> bool {
    let mut walk = Walk::new(base, trusts_catches);
    // SAFETY: `visit` is called with this argument, and only during the call.
    unsafe { _Unwind_Backtrace(visit, (&raw mut walk).cast()) };
    walk.barred || !walk.arrived
}

/// Whether one of `functions`, by their addresses, is among the callers. A function that was inlined is not found.
pub(crate) fn is_called_by(functions: &[*const ()]) -> bool {
    let mut search = Search {
        functions,
        found: false,
    };
    // SAFETY: `compare` is called with this argument, and only during the call.
    unsafe { _Unwind_Backtrace(compare, (&raw mut search).cast()) };
    search.found
}

struct Search<'a> {
    functions: &'a [*const ()],
    found: bool,
}

extern "C" fn compare(frame: *mut Frame, search: *mut c_void) -> c_int {
    // SAFETY: the argument given above, which nobody else uses meanwhile.
    let search = unsafe { &mut *search.cast::<Search<'_>>() };
    // SAFETY: a frame is valid within the callback.
    let function = unsafe { _Unwind_GetRegionStart(frame) };
    search.found = search
        .functions
        .iter()
        .any(|&wanted| wanted as usize == function);
    if search.found { STOP } else { GO_ON }
}

struct Walk {
    base: usize,
    trusts_catches: bool,
    /// Whether the call that is under way in the next frame is known to end without an unwind,
    /// since a catch nearer to us takes whatever is raised here.
    ///
    /// A compiler that knows it too gives that call no entry, as it does where a function must not
    /// unwind. Such a call bars nothing: no unwind arrives there. Nor does it where it is the
    /// only one, and so the function around it never unwinds, either. A function that passes on
    /// what it caught, as `timeout` does with a kill, may unwind: its caller has an entry for
    /// it. From there on we know nothing, and a call without an entry bars again. Filters bar
    /// everywhere, since they may be met by what is passed on.
    caught: bool,
    barred: bool,
    /// Whether the frame of `base` has been passed.
    arrived: bool,
}

extern "C" fn visit(frame: *mut Frame, walk: *mut c_void) -> c_int {
    // SAFETY: the argument given above, which nobody else uses meanwhile.
    let walk = unsafe { &mut *walk.cast::<Walk>() };
    // SAFETY: a frame is valid within the callback.
    let (stack_pointer, frame) = unsafe { (_Unwind_GetCFA(frame), CallSite::of(frame)) };
    // Frames of callers lie higher.
    if stack_pointer > walk.base {
        walk.arrived = true;
        return STOP;
    }
    // A function without a table hands on what it calls.
    if let Some(site) = frame {
        walk.pass(site.passage());
    }
    if walk.barred { STOP } else { GO_ON }
}

impl Walk {
    fn new(base: usize, trusts_catches: bool) -> Walk {
        Walk {
            base,
            trusts_catches,
            caught: false,
            barred: false,
            arrived: false,
        }
    }

    fn pass(&mut self, passage: Option<Passage>) {
        match passage {
            Some(Passage::Open) => self.caught = false,
            Some(Passage::Catch) => self.caught = self.trusts_catches,
            Some(Passage::Unlisted) if self.caught => (),
            _ => self.barred = true,
        }
    }
}

/// What becomes of an unwind out of a call.
#[derive(Clone, Copy)]
enum Passage {
    /// It goes on to the caller, after what is to be dropped.
    Open,
    /// It ends here, whatever was raised.
    Catch,
    /// No exception may pass.
    Filter,
    /// The call has no entry.
    Unlisted,
}

/// A call that is under way in a function that has a table.
struct CallSite {
    table: *const u8,
    function: usize,
    /// An address within the call.
    address: usize,
}

impl CallSite {
    /// # Safety
    ///
    /// Within the callback alone.
    unsafe fn of(frame: *mut Frame) -> Option<CallSite> {
        let mut before_instruction = 0;
        // SAFETY: the caller's promise.
        let (table, function, address) = unsafe {
            (
                _Unwind_GetLanguageSpecificData(frame),
                _Unwind_GetRegionStart(frame),
                _Unwind_GetIPInfo(frame, &raw mut before_instruction),
            )
        };
        // A return address may lie behind the last instruction of the call.
        let address = address - usize::from(before_instruction == 0);
        (!table.is_null()).then_some(CallSite {
            table,
            function,
            address,
        })
    }

    /// `None` if the table has a form that is not known here.
    fn passage(&self) -> Option<Passage> {
        let mut table = Reader(self.table);
        if table.byte() != OMITTED {
            // Where landing pads lie: Rust's compiler leaves it out.
            return None;
        }
        let type_encoding = table.byte();
        let types = (type_encoding != OMITTED).then(|| {
            let offset = table.unsigned();
            table.0.wrapping_add(offset)
        });
        let encoding = table.byte();
        let length = table.unsigned();
        let actions = table.0.wrapping_add(length);
        while table.0 < actions {
            let start = self.function.wrapping_add(table.encoded(encoding)?);
            let length = table.encoded(encoding)?;
            let landing_pad = table.encoded(encoding)?;
            let action = table.unsigned();
            // Sorted by where they begin.
            if self.address < start {
                break;
            }
            if self.address < start.wrapping_add(length) {
                if landing_pad == 0 || action == 0 {
                    return Some(Passage::Open);
                }
                let is_any = |number| is_any_type(types, type_encoding, number);
                return Some(passage_by(actions, action, is_any));
            }
        }
        Some(Passage::Unlisted)
    }
}

/// What the list of actions that begins at `action`, counted from one, does. A catch before a filter
/// may pass the exception on.
fn passage_by(actions: *const u8, action: usize, is_any: impl Fn(usize) -> bool) -> Passage {
    let mut passage = Passage::Open;
    let mut record = Reader(actions.wrapping_add(action - 1));
    loop {
        match record.signed() {
            ..0 => return Passage::Filter,
            // Of a cleanup.
            0 => (),
            number if is_any(number as usize) => passage = Passage::Catch,
            // C++ catches some types and lets ours pass.
            _ => (),
        }
        let here = record.0;
        match record.signed() {
            0 => return passage,
            next => record = Reader(here.wrapping_offset(next)),
        }
    }
}

/// Whether a catch of the type of this number catches everything, as every one of Rust's does: the
/// table of types, which grows downwards, has zero there.
fn is_any_type(types: Option<*const u8>, encoding: u8, number: usize) -> bool {
    let size = match encoding & 0x0f {
        0x00 => size_of::<usize>(),
        0x02 | 0x0a => 2,
        0x03 | 0x0b => 4,
        0x04 | 0x0c => 8,
        _ => return false,
    };
    let Some(types) = types else {
        return false;
    };
    let mut entry = Reader(types.wrapping_sub(number * size));
    (0..size).all(|_| entry.byte() == 0)
}

/// The encoding of what is not there.
const OMITTED: u8 = 0xff;

/// Reads a table from front to back.
struct Reader(*const u8);

impl Reader {
    fn byte(&mut self) -> u8 {
        // SAFETY: within the table (module, # Safety).
        let byte = unsafe { self.0.read() };
        self.0 = self.0.wrapping_add(1);
        byte
    }

    fn fixed<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// The bits of a LEB128 number, how many they are, and its last byte.
    fn leb128(&mut self) -> (usize, u32, u8) {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            value |= usize::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                return (value, shift, byte);
            }
        }
    }

    fn unsigned(&mut self) -> usize {
        self.leb128().0
    }

    fn signed(&mut self) -> isize {
        let (value, bits, last) = self.leb128();
        let negative = last & 0x40 != 0 && bits < usize::BITS;
        (value | if negative { usize::MAX << bits } else { 0 }) as isize
    }

    /// An offset in one of the forms that compilers write (DW_EH_PE).
    fn encoded(&mut self, encoding: u8) -> Option<usize> {
        Some(match encoding {
            0x00 => usize::from_ne_bytes(self.fixed()),
            0x01 => self.unsigned(),
            0x02 => u16::from_ne_bytes(self.fixed()).into(),
            0x03 => u32::from_ne_bytes(self.fixed()) as usize,
            0x04 => u64::from_ne_bytes(self.fixed()) as usize,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn barred_above(base: &u8) -> bool {
        is_barred(&raw const *base as usize)
    }

    struct Looks<'a>(&'a u8, &'a std::cell::Cell<Option<bool>>);

    impl Drop for Looks<'_> {
        fn drop(&mut self) {
            self.1.set(Some(barred_above(self.0)));
        }
    }

    #[inline(never)]
    fn look_while(how: fn()) -> Option<bool> {
        let (base, seen) = (0, std::cell::Cell::new(None));
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _looks = Looks(&base, &seen);
            how();
        }));
        seen.get()
    }

    #[test]
    fn a_destructor_is_barred_if_an_unwind_runs_it_and_not_otherwise() {
        assert_eq!(look_while(|| ()), Some(false));
        let raised = || std::panic::resume_unwind(Box::new(()));
        assert_eq!(look_while(raised), Some(true));
    }

    #[test]
    fn what_was_caught_bars_nothing() {
        let base = 0;
        let _ = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(())));
        assert!(!barred_above(&base));
    }

    #[test]
    fn a_catch_inside_a_destructor_does_not_hide_the_unwind_around_it() {
        struct Catches<'a>(&'a u8, &'a std::cell::Cell<bool>);
        impl Drop for Catches<'_> {
            fn drop(&mut self) {
                let look = std::panic::AssertUnwindSafe(|| self.1.set(barred_above(self.0)));
                let _ = std::panic::catch_unwind(look);
            }
        }
        let (base, barred) = (0, std::cell::Cell::new(false));
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _catches = Catches(&base, &barred);
            std::panic::resume_unwind(Box::new(()))
        }));
        assert!(barred.get());
    }

    #[test]
    fn a_function_of_c_is_barred() {
        extern "C" fn called_by_c(base: &u8) -> bool {
            barred_above(base)
        }
        // Not a constant, which would not lie on the stack.
        let base = std::hint::black_box(0);
        assert!(called_by_c(&base));
    }

    /// What stands between us and the base, the nearest first: whether it bars an unwind, and
    /// whether it may be a destructor's.
    fn seen_in(passages: &[Option<Passage>]) -> [bool; 2] {
        [true, false].map(|trusts_catches| {
            let mut walk = Walk::new(0, trusts_catches);
            passages.iter().for_each(|passage| walk.pass(*passage));
            walk.barred
        })
    }

    #[test]
    fn a_call_without_an_entry_bars_unless_a_catch_within_it_takes_all() {
        let [open, catch, filter, unlisted] = [
            Passage::Open,
            Passage::Catch,
            Passage::Filter,
            Passage::Unlisted,
        ]
        .map(Some);
        assert_eq!(seen_in(&[open, catch, open]), [false; 2]);
        assert_eq!(seen_in(&[open, catch, unlisted, open]), [false, true]);
        assert_eq!(seen_in(&[catch, unlisted, unlisted]), [false, true]);
        assert_eq!(seen_in(&[unlisted, catch]), [true; 2]);
        // What was caught may be passed on.
        assert_eq!(seen_in(&[catch, unlisted, open, unlisted]), [true; 2]);
        assert_eq!(seen_in(&[catch, filter]), [true; 2]);
        assert_eq!(seen_in(&[catch, None]), [true; 2]);
    }

    #[test]
    fn a_list_of_actions_is_what_it_catches() {
        let by =
            |actions: &[u8], any: usize| passage_by(actions.as_ptr(), 1, |number| number == any);
        // Each a number of a type and how far it is to the next action.
        assert!(matches!(by(&[1, 0], 1), Passage::Catch));
        assert!(matches!(by(&[2, 0], 1), Passage::Open));
        assert!(matches!(by(&[0, 0], 1), Passage::Open));
        assert!(matches!(by(&[0, 1, 1, 0], 1), Passage::Catch));
        assert!(matches!(by(&[1, 1, 0x7f, 0], 1), Passage::Filter));
        let types = [7, 0, 0, 0, 0, 0, 0, 0];
        let is_any = |number| is_any_type(Some(types.as_ptr_range().end), 0x9b, number);
        assert!(is_any(1) && !is_any(2));
    }
}
