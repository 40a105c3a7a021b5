//! The trait impls that every socket type shares: descriptors in and out, and the
//! exchange with the std type of the same name.

/// Implements the descriptor traits of `std::os::fd`, `From` both ways for the
/// std twin and for [`GreenSocket`](crate::greenio::GreenSocket), and the way
/// to the `GreenSocket` inside, for a type with one field `socket`.
macro_rules! socket_face {
    ($face:ident, $twin:ty) => {
        impl $face {
            /// The socket inside, with the whole socket interface: every option,
            /// `close`, ancillary data.
            pub fn as_green_socket(&self) -> &::greenhub::greenio::GreenSocket {
                &self.socket
            }
        }

        impl AsRef<::greenhub::greenio::GreenSocket> for $face {
            fn as_ref(&self) -> &::greenhub::greenio::GreenSocket {
                &self.socket
            }
        }

        impl From<::greenhub::greenio::GreenSocket> for $face {
            /// Whether the socket is of the right kind shows with its first use.
            fn from(socket: ::greenhub::greenio::GreenSocket) -> $face {
                $face { socket }
            }
        }

        impl From<$face> for ::greenhub::greenio::GreenSocket {
            fn from(face: $face) -> ::greenhub::greenio::GreenSocket {
                face.socket
            }
        }

        impl From<$twin> for $face {
            /// Takes the socket over with its timeouts and its non-blocking mode.
            fn from(twin: $twin) -> $face {
                ::greenhub::greenio::GreenSocket::from(twin).into()
            }
        }

        impl From<$face> for $twin {
            /// Gives the socket back as std knows it: blocking unless set
            /// otherwise, with its timeouts.
            ///
            /// # Panics
            ///
            /// If clones live and there is no descriptor free for a duplicate.
            fn from(face: $face) -> $twin {
                face.socket.into()
            }
        }

        $crate::net::exchanged_with!($face, ::socket2::Socket);
        #[cfg(feature = "socket2-0-5")]
        $crate::net::exchanged_with!($face, ::socket2_0_5::Socket);

        impl ::std::os::fd::AsFd for $face {
            /// # Differences from std
            ///
            /// The descriptor is non-blocking: C code that uses it sees `EAGAIN`.
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> {
                self.socket.as_fd()
            }
        }

        impl ::std::os::fd::AsRawFd for $face {
            /// # Differences from std
            ///
            /// The descriptor is non-blocking: C code that uses it sees `EAGAIN`.
            /// Clones share one number.
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd {
                self.socket.as_raw_fd()
            }
        }

        impl From<::std::os::fd::OwnedFd> for $face {
            /// Takes the socket over with its timeouts and its non-blocking mode.
            fn from(descriptor: ::std::os::fd::OwnedFd) -> $face {
                ::greenhub::greenio::GreenSocket::from(descriptor).into()
            }
        }

        impl From<$face> for ::std::os::fd::OwnedFd {
            /// Gives the descriptor back as std would use it: blocking unless set
            /// otherwise, with its timeouts.
            ///
            /// # Panics
            ///
            /// If clones live and there is no descriptor free for a duplicate.
            fn from(face: $face) -> ::std::os::fd::OwnedFd {
                face.socket.into()
            }
        }

        #[expect(unsafe_code, reason = "the trait's method is unsafe")]
        impl ::std::os::fd::FromRawFd for $face {
            unsafe fn from_raw_fd(descriptor: ::std::os::fd::RawFd) -> $face {
                // SAFETY: the caller's promise is the one asked for.
                let owned = unsafe { ::std::os::fd::OwnedFd::from_raw_fd(descriptor) };
                $face::from(owned)
            }
        }

        impl ::std::os::fd::IntoRawFd for $face {
            /// As the conversion to `OwnedFd`.
            fn into_raw_fd(self) -> ::std::os::fd::RawFd {
                self.socket.into_raw_fd()
            }
        }
    };
}

/// Implements `From` both ways for a type of another crate that owns a descriptor.
macro_rules! exchanged_with {
    ($face:ident, $other:ty) => {
        impl From<$other> for $face {
            /// Takes the socket over with its timeouts and its non-blocking mode.
            fn from(other: $other) -> $face {
                ::std::os::fd::OwnedFd::from(other).into()
            }
        }

        impl From<$face> for $other {
            /// Gives the socket back as std knows it: blocking unless set
            /// otherwise, with its timeouts.
            ///
            /// # Panics
            ///
            /// If clones live and there is no descriptor free for a duplicate.
            fn from(face: $face) -> $other {
                ::std::os::fd::OwnedFd::from(face).into()
            }
        }
    };
}

/// Implements `Read` and `Write` for a stream and for a reference to it.
macro_rules! stream_face {
    ($($face:ty),+) => {$(
        impl ::std::io::Read for $face {
            fn read(&mut self, buf: &mut [u8]) -> ::std::io::Result<usize> {
                self.socket.recv(buf)
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::io::Result<usize> {
                self.socket.recv_vectored(bufs)
            }
        }

        impl ::std::io::Write for $face {
            fn write(&mut self, buf: &[u8]) -> ::std::io::Result<usize> {
                self.socket.send_whole(buf)
            }

            fn write_vectored(
                &mut self,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::io::Result<usize> {
                self.socket.send_whole_vectored(bufs)
            }

            fn flush(&mut self) -> ::std::io::Result<()> {
                Ok(())
            }
        }
    )+};
}

pub(crate) use {exchanged_with, socket_face, stream_face};
