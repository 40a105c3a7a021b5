//! What malloc has given out.
#![expect(unsafe_code, reason = "a function of the C library")]

/// The bytes that this process has from malloc and has not given back.
pub fn in_use() -> usize {
    // SAFETY: it only reads.
    let malloc = unsafe { libc::mallinfo2() };
    malloc.uordblks + malloc.hblkhd
}
