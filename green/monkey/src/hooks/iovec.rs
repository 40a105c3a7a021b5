//! The rest of a vector of buffers.
#![expect(unsafe_code, reason = "buffers of a caller's")]

use std::ffi::c_int;

use libc::iovec;

/// What is left of a caller's vector; the vector itself stays as it is.
pub(super) struct Rest {
    vector: *const iovec,
    len: usize,
    /// The vector without what is done, once something is.
    copy: Vec<iovec>,
    begun: usize,
}

impl Rest {
    /// # Safety
    ///
    /// `vector` has `len` entries, and outlives this.
    pub(super) unsafe fn new(vector: *const iovec, len: usize) -> Rest {
        Rest {
            vector,
            len,
            copy: Vec::new(),
            begun: 0,
        }
    }

    fn of_caller(&self) -> &[iovec] {
        match self.len {
            0 => &[],
            // SAFETY: as `new` says.
            len => unsafe { std::slice::from_raw_parts(self.vector, len) },
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let all = self.of_caller().iter().map(|part| part.iov_len);
        all.fold(0, usize::saturating_add)
    }

    pub(super) fn vector(&self) -> *const iovec {
        match self.copy.is_empty() {
            true => self.vector,
            false => self.copy[self.begun..].as_ptr(),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self.copy.is_empty() {
            true => self.len,
            false => self.copy.len() - self.begun,
        }
    }

    pub(super) fn len_as_int(&self) -> c_int {
        c_int::try_from(self.len()).unwrap_or(c_int::MAX)
    }

    /// `done` bytes more are over.
    pub(super) fn advance(&mut self, mut done: usize) {
        if self.copy.is_empty() {
            self.copy = self.of_caller().to_vec();
        }
        while let Some(part) = self.copy.get_mut(self.begun) {
            let step = done.min(part.iov_len);
            part.iov_base = part.iov_base.wrapping_byte_add(step);
            part.iov_len -= step;
            done -= step;
            if part.iov_len > 0 {
                break;
            }
            self.begun += 1;
        }
    }
}
