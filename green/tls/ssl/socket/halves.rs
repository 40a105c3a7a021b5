//! A handle to read and one to write.

use std::io::{self, IoSlice, Read, Write};

use super::GreenSslSocket;

/// The reading half of [`GreenSslSocket::split`].
///
/// ```
/// use std::io::{Read, Write};
///
/// # use green::ssl::{Purpose, SslContext, VerifyLocation};
/// use green::net::TcpStream;
/// use green::ssl::ReadHalf;
/// use green::thread;
///
/// /// Prints what comes, until the peer has said that it is done.
/// fn listen(mut half: ReadHalf) -> std::io::Result<usize> {
///     let mut text = String::new();
///     half.read_to_string(&mut text)?;
///     assert!(half.get_ref().peer_closed_cleanly());
///     println!("{text}");
///     Ok(text.len())
/// }
///
/// # fn main() -> std::io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let server = SslContext::create_default_context(Purpose::ClientAuth)?;
/// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
/// # let listener = green::listen("127.0.0.1:0")?;
/// # let address = listener.local_addr()?;
/// # let listener = server.wrap_listener(listener);
/// # let client = SslContext::new(Purpose::ServerAuth)?;
/// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
/// # thread::spawn(move || {
/// #     let (mut tls, _) = listener.accept().unwrap();
/// #     tls.write_all(b"news").unwrap();
/// #     tls.shutdown_write().unwrap();
/// #     tls.read(&mut [0]).unwrap();
/// # });
/// let tls = client.connect(TcpStream::connect(address)?, "localhost")?;
/// let (half, _writer) = tls.split();
/// let listening = thread::spawn(|| listen(half));
/// assert_eq!(listening.join().unwrap()?, 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ReadHalf(GreenSslSocket);

/// The writing half of [`GreenSslSocket::split`].
///
/// ```
/// use std::io::{Read, Write};
///
/// # use green::ssl::{Purpose, SslContext, VerifyLocation};
/// use green::net::TcpStream;
/// use green::ssl::WriteHalf;
/// use green::thread;
///
/// /// Says what is handed to it, and that it is done.
/// fn say(mut half: WriteHalf, lines: green::channel::Receiver<&str>) -> std::io::Result<()> {
///     for line in lines {
///         half.write_all(line.as_bytes())?;
///     }
///     half.get_ref().shutdown_write()
/// }
///
/// # fn main() -> std::io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let server = SslContext::create_default_context(Purpose::ClientAuth)?;
/// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
/// # let listener = green::listen("127.0.0.1:0")?;
/// # let address = listener.local_addr()?;
/// # let listener = server.wrap_listener(listener);
/// # let client = SslContext::new(Purpose::ServerAuth)?;
/// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
/// # let serving = thread::spawn(move || {
/// #     let (mut tls, _) = listener.accept().unwrap();
/// #     let mut text = String::new();
/// #     tls.read_to_string(&mut text).unwrap();
/// #     text
/// # });
/// let tls = client.connect(TcpStream::connect(address)?, "localhost")?;
/// let (_reader, half) = tls.split();
/// let (sender, lines) = green::channel::unbounded();
/// let saying = thread::spawn(|| say(half, lines));
/// sender.send("one ").unwrap();
/// sender.send("two").unwrap();
/// drop(sender);
/// saying.join().unwrap()?;
/// # assert_eq!(serving.join().unwrap(), "one two");
/// # Ok(())
/// # }
/// ```
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
