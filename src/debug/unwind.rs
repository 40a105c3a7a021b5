//! The calls on a copied stack, found by the same tables that an unwind goes by.
//!
//! # Safety
//!
//! The tables are read where the loader has mapped them, under its lock
//! (dl_iterate_phdr(3)), so that no library is unloaded meanwhile.
#![expect(unsafe_code, reason = "reads the tables that the loader has mapped")]

use std::ffi::CStr;
use std::slice;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, FrameDescriptionEntry, NativeEndian,
    Pointer, Register, RegisterRule, UnwindContext, UnwindSection,
};

use crate::sys::snapshot::{REGISTERS, Snapshot};

#[cfg(target_arch = "x86_64")]
const STACK_POINTER: u16 = 7;
#[cfg(target_arch = "aarch64")]
const STACK_POINTER: u16 = 31;

/// More calls than this are not followed.
const MOST: usize = 128;

type Section = EndianSlice<'static, NativeEndian>;

/// Addresses in the functions that were running, the innermost first: of the
/// instruction that ran there, and of those that the others will return to.
///
/// The list ends early at code without tables, such as some assembly.
pub(super) fn addresses(snapshot: &Snapshot) -> Vec<usize> {
    let mut frame = Frame {
        pc: snapshot.pc,
        registers: snapshot.registers,
    };
    let mut addresses = vec![frame.pc];
    let mut context = UnwindContext::new();
    while addresses.len() < MOST {
        // A return address may lie behind the last instruction of its function.
        let address = frame.pc - usize::from(addresses.len() > 1);
        let mut caller = None;
        with_module_of(address, |module| {
            caller = module.caller(&frame, address, snapshot, &mut context);
        });
        match caller {
            Some(caller) if caller.pc > 1 => frame = caller,
            _ => break,
        }
        addresses.push(frame.pc);
    }
    addresses
}

/// The registers in one call.
struct Frame {
    pc: usize,
    registers: [usize; REGISTERS],
}

impl Frame {
    fn get(&self, register: Register) -> Option<usize> {
        self.registers.get(usize::from(register.0)).copied()
    }
}

/// A program or library in memory: the tables that say how to unwind it.
struct Module {
    path: &'static CStr,
    /// Whether this crate is linked into it.
    is_ours: bool,
    index: Section,
    index_at: usize,
    /// End of the mapping that the tables lie in.
    tables_end: usize,
}

impl Module {
    fn caller(
        &self,
        frame: &Frame,
        address: usize,
        snapshot: &Snapshot,
        context: &mut UnwindContext<usize>,
    ) -> Option<Frame> {
        let (tables, bases, entry) = self.entry(address)?;
        let row = entry
            .unwind_info_for_address(&tables, &bases, context, address as u64)
            .ok()?;
        let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else {
            return None;
        };
        let cfa = frame.get(register)?.wrapping_add(offset as usize);
        let before = |register: Register, rule: Option<RegisterRule<usize>>| match rule {
            None | Some(RegisterRule::SameValue) => frame.get(register),
            Some(RegisterRule::Offset(offset)) => snapshot.word(cfa.wrapping_add(offset as usize)),
            Some(RegisterRule::ValOffset(offset)) => Some(cfa.wrapping_add(offset as usize)),
            Some(RegisterRule::Register(other)) => frame.get(other),
            _ => None,
        };
        let mut caller = Frame {
            pc: 0,
            registers: frame.registers,
        };
        for &(register, ref rule) in row.registers() {
            let place = caller.registers.get_mut(usize::from(register.0));
            if let (Some(place), Some(value)) = (place, before(register, Some(rule.clone()))) {
                *place = value;
            }
        }
        caller.registers[usize::from(STACK_POINTER)] = cfa;
        let back = entry.cie().return_address_register();
        caller.pc = before(back, row.register(back))?;
        Some(caller)
    }

    fn entry(
        &self,
        address: usize,
    ) -> Option<(
        EhFrame<Section>,
        BaseAddresses,
        FrameDescriptionEntry<Section>,
    )> {
        let bases = BaseAddresses::default().set_eh_frame_hdr(self.index_at as u64);
        let index = EhFrameHdr::from(self.index)
            .parse(&bases, size_of::<usize>() as u8)
            .ok()?;
        let Pointer::Direct(tables_at) = index.eh_frame_ptr() else {
            return None;
        };
        let tables_at = usize::try_from(tables_at).ok()?;
        // SAFETY: the loader has mapped the tables, up to the end of their
        // mapping at most, and its lock is held.
        let tables = unsafe { bytes(tables_at, self.tables_end.checked_sub(tables_at)?) };
        let tables = EhFrame::from(tables);
        let bases = bases.set_eh_frame(tables_at as u64);
        let entry = index
            .table()?
            .fde_for_address(&tables, &bases, address as u64, EhFrame::cie_from_offset)
            .ok()?;
        Some((tables, bases, entry))
    }
}

/// # Safety
///
/// The memory must stay mapped and unchanged while the result is used.
unsafe fn bytes(at: usize, len: usize) -> Section {
    // SAFETY: as the caller promises.
    EndianSlice::new(
        unsafe { slice::from_raw_parts(at as *const u8, len) },
        NativeEndian,
    )
}

/// The library whose code has this address, by its file's name; `None` for the program, as far as this crate is linked
/// into it.
pub(super) fn library_of(address: usize) -> Option<String> {
    let mut library = None;
    with_module_of(address, |module| {
        let path = module.path.to_string_lossy();
        let name = path.rsplit('/').next().unwrap_or(&path);
        library = (!module.is_ours).then(|| name.to_owned());
    });
    library
}

/// Calls `f` with the module whose code has this address, if there is one, while
/// nothing can be unloaded.
fn with_module_of(address: usize, mut f: impl FnMut(&Module)) {
    let mut look: (usize, &mut dyn FnMut(&Module)) = (address, &mut f);
    // SAFETY: `look` outlives the call, and `on_module` takes it for what it is.
    unsafe { libc::dl_iterate_phdr(Some(on_module), (&raw mut look).cast()) };
}

unsafe extern "C" fn on_module(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    look: *mut libc::c_void,
) -> i32 {
    // SAFETY: passed by `with_module_of`.
    let (address, f) = unsafe { &mut *look.cast::<(usize, &mut dyn FnMut(&Module))>() };
    // SAFETY: the loader passes a valid description, whose headers it has mapped.
    let (base, headers, path) = unsafe {
        let info = &*info;
        let count = usize::from(info.dlpi_phnum);
        if count == 0 {
            return 0;
        }
        (
            info.dlpi_addr as usize,
            slice::from_raw_parts(info.dlpi_phdr, count),
            match info.dlpi_name.is_null() {
                true => c"",
                false => CStr::from_ptr(info.dlpi_name),
            },
        )
    };
    let place = |header: &libc::Elf64_Phdr| {
        let from = base.wrapping_add(header.p_vaddr as usize);
        from..from.saturating_add(header.p_memsz as usize)
    };
    let loaded = |address| {
        headers
            .iter()
            .filter(|header| header.p_type == libc::PT_LOAD)
            .map(place)
            .find(|range| range.contains(address))
    };
    if loaded(address).is_none() {
        return 0;
    }
    let index = headers
        .iter()
        .find(|header| header.p_type == libc::PT_GNU_EH_FRAME)
        .map(place);
    if let Some(index) = index
        && let Some(mapping) = loaded(&index.start)
    {
        f(&Module {
            path,
            is_ours: loaded(&(on_module as *const () as usize)).is_some(),
            // SAFETY: mapped by the loader, whose lock is held for as long as
            // the module is used.
            index: unsafe { bytes(index.start, index.len()) },
            index_at: index.start,
            tables_end: mapping.end,
        });
    }
    1
}
