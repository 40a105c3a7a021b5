//! Where a side that does not run will go on.

/// What a fiber's first frame calls.
pub(super) trait First {
    /// Runs the fiber's body. `argument` is what [`Context::new`] was given.
    ///
    /// # Safety
    ///
    /// Called by the first frame alone.
    unsafe extern "C" fn first(argument: usize) -> !;
}

/// A switch keeps the registers here that the compiler does not let us name as lost.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Context {
    sp: usize,
    pc: usize,
    /// The frame pointer: `rbp`, `x29`.
    frame: usize,
    /// `rbx`, `x19`.
    kept: usize,
}

impl Context {
    /// A side that will go to `begin` with `argument` in the register that is kept, on
    /// the empty stack that ends at `top`, a multiple of 16.
    pub(super) fn new(begin: unsafe extern "C" fn() -> !, top: usize, argument: usize) -> Context {
        Context {
            sp: top,
            pc: begin as *const () as usize,
            frame: 0,
            kept: argument,
        }
    }

    /// Where the stack of a side that does not run ends.
    pub(super) fn sp(&self) -> usize {
        self.sp
    }

    /// Of a side that has not run, or does not.
    pub(super) const EMPTY: Context = Context {
        sp: 0,
        pc: 0,
        frame: 0,
        kept: 0,
    };
}
