//! The trait impls that every typed face of a [`GreenPipe`](crate::greenio::GreenPipe) has, from its field `pipe`.

/// `Read` for faces and for references to them.
macro_rules! impl_read {
    ($($face:ty),+) => {$(
        impl std::io::Read for $face {
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.pipe.read(buf)
            }

            fn read_vectored(&mut self, bufs: &mut [std::io::IoSliceMut<'_>]) -> std::io::Result<usize> {
                self.pipe.read_vectored(bufs)
            }
        }
    )+};
}

/// `Write` for faces and for references to them.
macro_rules! impl_write {
    ($($face:ty),+) => {$(
        impl std::io::Write for $face {
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                self.pipe.write(buf)
            }

            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                self.pipe.write_vectored(bufs)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    )+};
}

/// The descriptor, lent and given away (`From<face> for OwnedFd` is the face's own).
macro_rules! impl_descriptor {
    ($($face:ty),+) => {$(
        impl AsRef<greenhub::greenio::GreenPipe> for $face {
            fn as_ref(&self) -> &greenhub::greenio::GreenPipe {
                &self.pipe
            }
        }

        impl std::os::fd::AsFd for $face {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.pipe.as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $face {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.pipe.as_raw_fd()
            }
        }

        impl std::os::fd::IntoRawFd for $face {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                std::os::fd::OwnedFd::from(self).into_raw_fd()
            }
        }

        impl From<$face> for std::process::Stdio {
            /// Hands the end to a child process, as a blocking descriptor.
            fn from(end: $face) -> std::process::Stdio {
                std::process::Stdio::from(std::os::fd::OwnedFd::from(end))
            }
        }
    )+};
}

pub(crate) use {impl_descriptor, impl_read, impl_write};
