//! An `SslPipe` that is compared with what its documentation promises, at every call.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use green::ssl::{EngineKind, Progress, SslContext, SslPipe, TlsVersion};
use test_support::certs::{client_context, server_context};

/// The most that a pipe takes before its engine has looked at it, and the most that a write leaves to be sent.
const INCOMING: usize = 4 * RECORD;
const OUTGOING: usize = 3 * RECORD;
const RECORD: usize = 16 * 1024 + 5 + 256;

/// Who plays which part, over which version.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Setup {
    Tls13,
    Tls12,
    NativeClientTls13,
    NativeClientTls12,
    NativeServerTls12,
    NativeTls12,
}

impl Setup {
    /// A client's end and a server's.
    pub fn pipes(self) -> (CheckedPipe, CheckedPipe) {
        use EngineKind::{NativeTls, OpenSsl};
        use TlsVersion::{Tls12, Tls13};
        type Contexts = [(SslContext, SslContext); 6];
        // Each names its contexts by its place.
        static CONTEXTS: LazyLock<Contexts> = LazyLock::new(|| {
            [
                (OpenSsl, OpenSsl, Tls13),
                (OpenSsl, OpenSsl, Tls12),
                (NativeTls, OpenSsl, Tls13),
                (NativeTls, OpenSsl, Tls12),
                (OpenSsl, NativeTls, Tls12),
                (NativeTls, NativeTls, Tls12),
            ]
            .map(|(client, server, version)| {
                let contexts = client_context(client, version);
                (contexts, server_context(server, version))
            })
        });
        let (client, server) = &CONTEXTS[self as usize];
        let client = client.pipe(Some("localhost")).unwrap();
        (
            CheckedPipe::new(client),
            CheckedPipe::new(server.pipe(None).unwrap()),
        )
    }
}

/// How a transport fails, or says "not now".
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Failure {
    Reset,
    Broken,
    TimedOut,
    WouldBlock,
    Interrupted,
    Other,
}

impl Failure {
    fn kind(self) -> ErrorKind {
        match self {
            Failure::Reset => ErrorKind::ConnectionReset,
            Failure::Broken => ErrorKind::BrokenPipe,
            Failure::TimedOut => ErrorKind::TimedOut,
            Failure::WouldBlock => ErrorKind::WouldBlock,
            Failure::Interrupted => ErrorKind::Interrupted,
            Failure::Other => ErrorKind::Other,
        }
    }

    pub fn lasts(self) -> bool {
        !matches!(self, Failure::WouldBlock | Failure::Interrupted)
    }
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Cleanly,
    With(ErrorKind),
}

pub struct CheckedPipe {
    pipe: SslPipe,
    fed: u64,
    drained: u64,
    produced: u64,
    /// The transport has ended, or failed.
    pub transport_is_over: bool,
    pub reading: Option<Ended>,
    pub writing: Option<ErrorKind>,
    pub is_shut: bool,
    is_handshaken: bool,
}

impl CheckedPipe {
    fn new(pipe: SslPipe) -> CheckedPipe {
        CheckedPipe {
            pipe,
            fed: 0,
            drained: 0,
            produced: 0,
            transport_is_over: false,
            reading: None,
            writing: None,
            is_shut: false,
            is_handshaken: false,
        }
    }

    /// What holds after each call.
    fn check(&mut self) {
        let pipe = &self.pipe;
        assert_eq!(pipe.fed(), self.fed);
        assert!(pipe.produced() >= self.produced, "it has unmade bytes");
        self.produced = pipe.produced();
        assert!(pipe.drained() >= self.drained);
        assert_eq!(pipe.produced() - pipe.drained(), pipe.outgoing() as u64);
        assert!(pipe.outgoing() <= 3 * OUTGOING, "{pipe:?}");
        assert!(pipe.room() <= INCOMING);
        if self.transport_is_over {
            assert_eq!(pipe.room(), 0);
        }
        if self.is_handshaken {
            assert!(pipe.is_handshaken(), "a handshake is done once");
        }
        self.is_handshaken = pipe.is_handshaken();
        if !self.is_handshaken {
            assert_eq!(pipe.pending(), 0);
        }
        if pipe.peer_closed_cleanly() {
            assert!(self.is_handshaken);
        }
    }

    pub fn is_handshaken(&self) -> bool {
        self.is_handshaken
    }

    pub fn outgoing(&self) -> usize {
        self.pipe.outgoing()
    }

    /// What a wait for the peer means: that something may still come.
    fn may_wait(&self) {
        assert!(
            !self.transport_is_over,
            "it waits for ever: {:?}",
            self.pipe
        );
    }

    fn reading_ended(&mut self, how: Ended) {
        if let Ended::With(kind) = how {
            assert!(!matches!(
                kind,
                ErrorKind::WouldBlock | ErrorKind::Interrupted
            ));
        }
        assert_eq!(*self.reading.get_or_insert(how), how, "the first end stays");
    }

    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let room = self.pipe.room();
        let taken = self.pipe.feed(bytes);
        assert_eq!(taken, bytes.len().min(room));
        self.fed += taken as u64;
        assert_eq!(self.pipe.room(), room - taken);
        self.check();
        taken
    }

    /// Feeds from a source that gives so many bytes at most, or fails.
    pub fn feed_from(&mut self, bytes: &[u8], failure: Option<Failure>) -> usize {
        struct Source<'a>(&'a [u8], Option<Failure>);
        impl Read for Source<'_> {
            fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
                match self.1 {
                    Some(failure) => Err(failure.kind().into()),
                    None => self.0.read(room),
                }
            }
        }
        let room = self.pipe.room();
        let fed = self.pipe.feed_from(&mut Source(bytes, failure));
        let taken = match failure.filter(|_| room > 0) {
            Some(failure) => {
                assert_eq!(fed.unwrap_err().kind(), failure.kind());
                self.failed(failure);
                0
            }
            None => fed.unwrap(),
        };
        if failure.is_none() {
            assert_eq!(taken, bytes.len().min(room));
            self.transport_is_over |= room > 0 && bytes.is_empty();
        }
        self.fed += taken as u64;
        self.check();
        taken
    }

    pub fn feed_eof(&mut self) {
        self.pipe.feed_eof();
        self.transport_is_over = true;
        self.check();
    }

    pub fn feed_error(&mut self, failure: Failure) {
        self.pipe.feed_error(failure.kind().into());
        self.failed(failure);
        self.check();
    }

    /// After a failure nothing is sent.
    fn failed(&mut self, failure: Failure) {
        if failure.lasts() {
            self.transport_is_over = true;
            assert_eq!(self.pipe.outgoing(), 0);
        }
    }

    /// Takes so many bytes at most.
    pub fn drain(&mut self, most: usize) -> Vec<u8> {
        struct Sink(Vec<u8>, usize);
        impl Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let count = bytes.len().min(self.1);
                self.0.extend_from_slice(&bytes[..count]);
                Ok(count)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let waiting = self.pipe.outgoing();
        let mut sink = Sink(Vec::new(), most);
        let taken = self.pipe.drain_to(&mut sink).unwrap();
        assert_eq!(taken, waiting.min(most));
        assert_eq!(sink.0.len(), taken);
        self.drained += taken as u64;
        self.check();
        sink.0
    }

    /// Drains to a transport that fails.
    pub fn drain_failing(&mut self, failure: Failure) {
        struct Sink(Failure);
        impl Write for Sink {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.kind().into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let waiting = self.pipe.outgoing();
        let drained = self.pipe.drain_to(&mut Sink(failure));
        if waiting == 0 {
            assert_eq!(drained.unwrap(), 0);
        } else {
            assert_eq!(drained.unwrap_err().kind(), failure.kind());
            let left = if failure.lasts() { 0 } else { waiting };
            assert_eq!(self.pipe.outgoing(), left);
        }
        self.check();
    }

    pub fn handshake(&mut self) {
        match self.pipe.handshake() {
            Ok(Progress::Done(())) => assert!(self.pipe.is_handshaken()),
            Ok(Progress::WantRead) => self.may_wait(),
            Ok(Progress::WantWrite) => assert!(self.pipe.outgoing() > 0),
            Err(error) => {
                assert!(!self.is_handshaken);
                self.reading_ended(Ended::With(error.kind()));
            }
        }
        self.check();
    }

    /// Reads into so much room, and returns what came.
    pub fn read(&mut self, room: usize) -> Vec<u8> {
        let mut plaintext = vec![0; room];
        let pending = self.pipe.pending();
        let was_open = self.reading.is_none();
        let mut count = 0;
        match self.pipe.read(&mut plaintext) {
            Ok(Progress::Done(0)) => {
                assert!(self.is_handshaken && pending.min(room) == 0);
                if room > 0 {
                    self.reading_ended(Ended::Cleanly);
                }
            }
            Ok(Progress::Done(n)) => {
                assert!(self.is_handshaken && was_open, "data behind the end");
                assert!(n <= room);
                count = n;
            }
            Ok(Progress::WantRead) => {
                assert!(self.is_handshaken && was_open && pending == 0);
                self.may_wait();
            }
            Ok(Progress::WantWrite) => assert!(self.pipe.outgoing() > 0),
            Err(error) if !self.is_handshaken && error.kind() == ErrorKind::NotConnected => {
                assert!(was_open);
            }
            Err(error) => self.reading_ended(Ended::With(error.kind())),
        }
        self.check();
        plaintext.truncate(count);
        plaintext
    }

    /// Writes, and returns how many bytes were taken.
    pub fn write(&mut self, plaintext: &[u8]) -> usize {
        let mut count = 0;
        match self.pipe.write(plaintext) {
            Ok(Progress::Done(taken)) => {
                assert!(self.is_handshaken && !self.is_shut && self.writing.is_none());
                assert!(taken <= plaintext.len());
                assert_eq!(taken == 0, plaintext.is_empty());
                assert!(taken == 0 || self.pipe.outgoing() <= OUTGOING);
                count = taken;
            }
            Ok(Progress::WantRead) => self.may_wait(),
            Ok(Progress::WantWrite) => assert!(self.pipe.outgoing() > 0),
            Err(error) if !self.is_handshaken => match self.reading {
                Some(first) => assert_eq!(Ended::With(error.kind()), first),
                None if error.kind() == ErrorKind::NotConnected => {}
                None => self.reading_ended(Ended::With(error.kind())),
            },
            Err(error) => {
                let kind = error.kind();
                match self.writing {
                    // The peer's alert tells more than the broken transport that it left behind.
                    Some(first) => assert!(kind == first || kind == ErrorKind::InvalidData),
                    None if self.is_shut => {}
                    None => assert_ne!(kind, ErrorKind::NotConnected),
                }
                self.writing = Some(kind);
            }
        }
        self.check();
        count
    }

    pub fn shutdown(&mut self) {
        let before = self.pipe.produced();
        let result = self.pipe.shutdown();
        if self.is_handshaken {
            if self.is_shut {
                result.unwrap();
                assert_eq!(self.pipe.produced(), before, "a second close_notify");
            } else if let Err(error) = result {
                assert_eq!(error.kind(), ErrorKind::InvalidData);
            }
            self.is_shut = true;
        } else {
            let kind = result.unwrap_err().kind();
            if kind != ErrorKind::NotConnected {
                self.reading_ended(Ended::With(kind));
            }
        }
        self.check();
    }

    /// What else can be asked; none of it changes anything.
    pub fn ask(&mut self) {
        let pipe = &self.pipe;
        let before = (pipe.outgoing(), pipe.room(), pipe.pending());
        let _ = (pipe.version(), pipe.cipher(), pipe.peer_certificate());
        let _ = (pipe.negotiated_alpn(), pipe.tls_server_end_point());
        let _ = (pipe.server_name(), pipe.session_reused(), pipe.session());
        let _ = format!("{pipe:?}");
        assert_eq!((pipe.outgoing(), pipe.room(), pipe.pending()), before);
        self.check();
    }

    pub fn take_unread(&mut self) -> Vec<u8> {
        let clean = self.pipe.peer_closed_cleanly();
        let taken = self.pipe.take_unread();
        assert_eq!(taken.is_ok(), clean);
        self.check();
        taken.unwrap_or_default()
    }
}
