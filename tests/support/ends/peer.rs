//! The other end, under full control: an OpenSSL engine over memory and a raw socket on an OS thread, so that every
//! byte, FIN and RST is deliberate.
#![expect(
    unsafe_code,
    reason = "SSL_key_update, SSL_new_session_ticket and SSL_renegotiate have no binding"
)]

use std::ffi::c_int;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foreign_types::ForeignTypeRef;
use greenhub::Deadline;
use greenhub::semaphore::Semaphore;
use greenhub::{Site, State};
use openssl::ssl::{ErrorCode, Ssl, SslContextRef, SslStream};

unsafe extern "C" {
    fn SSL_key_update(ssl: *mut openssl_sys::SSL, kind: c_int) -> c_int;
    fn SSL_new_session_ticket(ssl: *mut openssl_sys::SSL) -> c_int;
    fn SSL_renegotiate(ssl: *mut openssl_sys::SSL) -> c_int;
}
const SSL_KEY_UPDATE_NOT_REQUESTED: c_int = 0;
const SSL_KEY_UPDATE_REQUESTED: c_int = 1;

/// Ciphertext on its way in and out of the engine.
#[derive(Default)]
struct Wire {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = buf.len().min(self.incoming.len());
        buf[..count].copy_from_slice(&self.incoming[..count]);
        self.incoming.drain(..count);
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The peer. What it saw is in `log`.
pub struct Peer {
    ssl: Option<SslStream<Wire>>,
    tcp: Option<TcpStream>,
    pub log: Vec<String>,
    /// After how many more bytes it ends, and whether by a reset.
    pub cut: Option<(usize, bool)>,
    /// The name of the green thread that faces it.
    facing: String,
    /// Opened by the peer for our side, and the other way round.
    pub ready: Arc<Semaphore>,
    pub go: Arc<Semaphore>,
}

impl Peer {
    pub fn new(
        tcp: TcpStream,
        context: Option<&SslContextRef>,
        server: bool,
        facing: &str,
    ) -> Peer {
        tcp.set_nodelay(true).unwrap();
        // No row lasts as long; a peer that hangs is a failure of the test.
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let ssl = context.map(|context| {
            let mut ssl = Ssl::new(context).unwrap();
            if server {
                ssl.set_accept_state();
            } else {
                ssl.set_connect_state();
                ssl.set_hostname("localhost").unwrap();
            }
            SslStream::new(ssl, Wire::default()).unwrap()
        });
        Peer {
            ssl,
            tcp: Some(tcp),
            log: Vec::new(),
            cut: None,
            facing: facing.to_owned(),
            ready: Arc::new(Semaphore::new(0)),
            go: Arc::new(Semaphore::new(0)),
        }
    }

    pub fn tcp(&mut self) -> &mut TcpStream {
        self.tcp.as_mut().expect("the peer is gone")
    }

    fn ssl(&mut self) -> &mut SslStream<Wire> {
        self.ssl.as_mut().expect("the peer speaks TLS")
    }

    /// Sends these bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.tcp().write_all(bytes).unwrap();
    }

    pub fn flush(&mut self) {
        let bytes = std::mem::take(&mut self.ssl().get_mut().outgoing);
        // Whether anybody takes it is not our business.
        let Some((left, reset)) = self.cut else {
            let _ = self.tcp().write_all(&bytes);
            return;
        };
        let count = left.min(bytes.len());
        if self.tcp.is_none() || left == 0 {
            return;
        }
        let _ = self.tcp().write_all(&bytes[..count]);
        self.cut = Some((left - count, reset));
        if left == count {
            match reset {
                true => self.reset(),
                false => self.fin(),
            }
        }
    }

    /// Receives once; `Ok(0)` is the end.
    fn receive(&mut self) -> io::Result<usize> {
        let mut buf = [0; 65536];
        let Some(tcp) = &mut self.tcp else {
            return Ok(0);
        };
        let count = tcp.read(&mut buf)?;
        self.ssl()
            .get_mut()
            .incoming
            .extend_from_slice(&buf[..count]);
        Ok(count)
    }

    /// Shakes hands, to its end or failure.
    pub fn handshake(&mut self) -> bool {
        loop {
            let progress = self.ssl().do_handshake();
            self.flush();
            match progress {
                Ok(()) => return true,
                Err(error) if error.code() == ErrorCode::WANT_READ => match self.receive() {
                    Ok(1..) => {}
                    _ => return false,
                },
                Err(_) => return false,
            }
        }
    }

    /// Its first flight; a server's answers what the client sent.
    pub fn first_flight(&mut self) -> Vec<u8> {
        loop {
            let _ = self.ssl().do_handshake();
            let made = std::mem::take(&mut self.ssl().get_mut().outgoing);
            if !made.is_empty() {
                return made;
            }
            assert!(self.receive().unwrap() > 0, "no ClientHello came");
        }
    }

    /// The ciphertext of `plaintext`, kept back.
    pub fn encrypted(&mut self, plaintext: &[u8]) -> Vec<u8> {
        self.ssl().write_all(plaintext).unwrap();
        std::mem::take(&mut self.ssl().get_mut().outgoing)
    }

    /// Sends data: encrypted where it speaks TLS.
    pub fn send(&mut self, data: &[u8]) {
        let bytes = match self.ssl {
            Some(_) => self.encrypted(data),
            None => data.to_vec(),
        };
        self.raw(&bytes);
    }

    /// Sends close_notify.
    pub fn notify(&mut self) {
        let _ = self.ssl().shutdown();
        self.flush();
    }

    /// Sends a key update that asks for ours.
    pub fn key_update(&mut self) {
        self.update_key(SSL_KEY_UPDATE_REQUESTED);
        self.flush();
    }

    /// Sends a session ticket, as a server of TLS 1.3.
    pub fn ticket(&mut self) {
        let ssl = self.ssl().ssl().as_ptr();
        // SAFETY: the pointer is that of a live SSL, which nobody else uses.
        assert_eq!(unsafe { SSL_new_session_ticket(ssl) }, 1);
        let _ = self.ssl().do_handshake();
        self.flush();
    }

    /// So many key updates that ask for nothing, kept back.
    pub fn key_updates(&mut self, count: usize) -> Vec<u8> {
        (0..count).for_each(|_| self.update_key(SSL_KEY_UPDATE_NOT_REQUESTED));
        std::mem::take(&mut self.ssl().get_mut().outgoing)
    }

    fn update_key(&mut self, kind: c_int) {
        let ssl = self.ssl().ssl().as_ptr();
        // SAFETY: the pointer is that of a live SSL, which nobody else uses.
        assert_eq!(unsafe { SSL_key_update(ssl, kind) }, 1);
        let _ = self.ssl().do_handshake();
    }

    /// Asks for a new handshake (TLS 1.2).
    pub fn renegotiate(&mut self) {
        let ssl = self.ssl().ssl().as_ptr();
        // SAFETY: as above.
        assert_eq!(unsafe { SSL_renegotiate(ssl) }, 1);
        let _ = self.ssl().do_handshake();
        self.flush();
    }

    /// Sends FIN.
    pub fn fin(&mut self) {
        self.tcp().shutdown(Shutdown::Write).unwrap();
    }

    /// Sends RST.
    pub fn reset(&mut self) {
        let tcp = self.tcp.take().expect("the peer is gone");
        socket2::SockRef::from(&tcp)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// Closes its socket, with nothing left unread: a FIN, and RST for what we send then.
    pub fn close(&mut self) {
        self.tcp().set_nonblocking(true).unwrap();
        while let Ok(1..) = self.tcp().read(&mut [0; 65536]) {}
        self.tcp = None;
    }

    /// Closes its socket with data unread: RST.
    pub fn close_unread(&mut self) {
        self.tcp = None;
    }

    /// Another descriptor for its socket.
    pub fn duplicate(&mut self) -> TcpStream {
        self.tcp().try_clone().unwrap()
    }

    /// Reads to the end and logs how much there was and how it ended.
    pub fn read_to_end(&mut self) {
        let mut total = 0;
        let mut buf = vec![0; 65536];
        let end = loop {
            let Some(ssl) = &mut self.ssl else {
                match self.tcp().read(&mut buf) {
                    Ok(0) => break "fin".to_owned(),
                    Ok(count) => total += count,
                    Err(error) => break format!("{:?}", error.kind()),
                }
                continue;
            };
            match ssl.ssl_read(&mut buf) {
                Ok(count) => total += count,
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    break "close_notify".to_owned();
                }
                Err(error) if error.code() == ErrorCode::WANT_READ => {
                    self.flush();
                    match self.receive() {
                        Ok(0) => break "fin".to_owned(),
                        Ok(_) => {}
                        Err(error) => break format!("{:?}", error.kind()),
                    }
                }
                Err(error) => break format!("{error}"),
            }
        };
        self.log.push(format!("peer got {total} {end}"));
    }

    /// Reads this many bytes.
    pub fn read_exact(&mut self, count: usize) {
        let mut buf = vec![0; count];
        if self.ssl.is_none() {
            self.tcp().read_exact(&mut buf).unwrap();
            return;
        }
        let mut done = 0;
        while done < count {
            match self.ssl().ssl_read(&mut buf[done..]) {
                Ok(read) => done += read,
                Err(error) if error.code() == ErrorCode::WANT_READ => {
                    self.flush();
                    assert!(self.receive().unwrap() > 0, "ended after {done} of {count}");
                }
                Err(error) => panic!("{error} after {done} of {count}"),
            }
        }
    }

    /// A server's or client's part in a request and its answer, as far as it gets. Says how much it sent.
    pub fn exchange(&mut self) {
        let mut request = [0; 4];
        let mut done = 0;
        let mut shaken = self.handshake();
        while shaken && done < request.len() {
            match self.ssl().ssl_read(&mut request[done..]) {
                Ok(count) => done += count,
                Err(_) => shaken = matches!(self.receive(), Ok(1..)),
            }
        }
        if shaken {
            let _ = self.ssl().write_all(b"hello");
            self.notify();
        }
        while matches!(self.receive(), Ok(1..)) {}
    }

    /// Lets our side go on.
    pub fn ready(&self) {
        self.ready.release();
    }

    /// Waits for our side's word.
    pub fn await_go(&self) {
        assert!(
            self.go.acquire(Deadline::after(Duration::from_secs(20))),
            "no word to go"
        );
    }

    /// Waits until our side waits for its descriptor.
    pub fn until_reading(&self) {
        self.until("readable", |site| matches!(site, Site::Readable(_)));
    }

    /// Waits until our side waits to send: the buffers between us are full.
    pub fn until_writing(&self) {
        self.until("writable", |site| matches!(site, Site::Writable(_)));
    }

    fn until(&self, what: &str, waits: impl Fn(Site) -> bool) {
        let began = Instant::now();
        loop {
            let report = greenhub::report();
            let facing =
                (report.threads.iter()).find(|thread| thread.name.as_deref() == Some(&self.facing));
            if let Some(thread) = facing
                && let State::Waiting(site) = thread.state
                && waits(site)
            {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{} never waited to be {what}",
                self.facing
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
