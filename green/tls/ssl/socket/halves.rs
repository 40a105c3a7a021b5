//! A handle to read and one to write.

use std::io::{self, IoSlice, Read, Write};

use super::GreenSslSocket;

/// The reading half of [`GreenSslSocket::split`].
#[derive(Debug)]
pub struct ReadHalf(GreenSslSocket);

/// The writing half of [`GreenSslSocket::split`].
#[derive(Debug)]
pub struct WriteHalf(GreenSslSocket);

impl GreenSslSocket {
    /// One handle to read and one to write.
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        let shared = self.shared.clone();
        (ReadHalf(self), WriteHalf(GreenSslSocket { shared }))
    }
}

impl ReadHalf {
    /// The connection.
    pub fn get_ref(&self) -> &GreenSslSocket {
        &self.0
    }
}

impl WriteHalf {
    /// The connection.
    pub fn get_ref(&self) -> &GreenSslSocket {
        &self.0
    }
}

impl Read for ReadHalf {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buf)
    }
}

impl Write for WriteHalf {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&self.0).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.0).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&self.0).flush()
    }
}
