//! What a connection needs of its stream.

use std::io;
use std::io::{Read, Write};
use std::time::Duration;

use green::net::{Shutdown, TcpStream};
use green::ssl::GreenSslSocket;

/// A stream of bytes with time limits, whatever carries it.
pub trait Transport: Read + Write {
    /// The longest that one read may wait.
    fn set_read_limit(&mut self, limit: Duration) -> io::Result<()>;

    /// The longest that one write may wait.
    fn set_write_limit(&mut self, limit: Duration) -> io::Result<()>;

    /// Says that nothing more will be written; reading goes on.
    fn finish(&mut self) -> io::Result<()>;
}

impl Transport for &TcpStream {
    fn set_read_limit(&mut self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }

    fn set_write_limit(&mut self, limit: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(limit))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Transport for &GreenSslSocket {
    fn set_read_limit(&mut self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }

    fn set_write_limit(&mut self, limit: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(limit))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shutdown_write()?;
        self.get_ref().shutdown(Shutdown::Write)
    }
}
