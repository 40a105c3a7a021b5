//! Our end: a green stream whose every call is logged, with what it answered and how long it took.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use green::ssl::{GreenSslSocket, SslError};
use greenhub::ClosedLocally;
use greenhub::Deadline;
use greenhub::greenio::GreenSocket;
use greenhub::semaphore::Semaphore;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A stream of either kind.
pub enum Stream {
    Tls(GreenSslSocket),
    Tcp(GreenSocket),
}

impl Stream {
    pub fn socket(&self) -> &GreenSocket {
        match self {
            Stream::Tls(tls) => tls.get_ref(),
            Stream::Tcp(tcp) => tcp,
        }
    }

    pub fn another(&self) -> Stream {
        match self {
            Stream::Tls(tls) => Stream::Tls(tls.try_clone().unwrap()),
            Stream::Tcp(tcp) => Stream::Tcp(tcp.try_clone().unwrap()),
        }
    }

    pub fn close(&self) {
        match self {
            Stream::Tls(tls) => tls.close(),
            Stream::Tcp(tcp) => tcp.close(),
        }
    }

    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tls(tls) => { tls }.read(buf),
            Stream::Tcp(tcp) => { tcp }.read(buf),
        }
    }

    pub fn write(&self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tls(tls) => { tls }.write(buf),
            Stream::Tcp(tcp) => { tcp }.write(buf),
        }
    }

    pub fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        match self {
            Stream::Tls(tls) => { tls }.write_all(buf),
            Stream::Tcp(tcp) => { tcp }.write_all(buf),
        }
    }
}

/// What takes less has not waited for anybody; on a busy machine it may take its time all the same.
const AT_ONCE: Duration = Duration::from_secs(8);

/// Our end of a row.
pub struct Ours {
    pub stream: Option<Stream>,
    pub log: Vec<String>,
    pub slowest: Duration,
    pub ready: Arc<Semaphore>,
    pub go: Arc<Semaphore>,
}

impl Ours {
    pub fn tls(&self) -> &GreenSslSocket {
        match self.stream() {
            Stream::Tls(tls) => tls,
            Stream::Tcp(_) => panic!("not TLS"),
        }
    }

    pub fn stream(&self) -> &Stream {
        self.stream.as_ref().expect("the stream is there")
    }

    fn log<T>(
        &mut self,
        call: &str,
        shown: impl Fn(&T) -> String,
        outcome: io::Result<T>,
        began: Instant,
    ) {
        self.slowest = self.slowest.max(began.elapsed());
        let outcome = match &outcome {
            Ok(value) => shown(value),
            Err(error) => named(error),
        };
        self.log.push(format!("{call} {outcome}"));
    }

    pub fn note(&mut self, what: impl Into<String>) {
        self.log.push(what.into());
    }

    pub fn handshake(&mut self) {
        let began = Instant::now();
        let outcome = self.tls().do_handshake();
        self.log("handshake", |()| "ok".to_owned(), outcome, began);
    }

    /// One read.
    pub fn read(&mut self) {
        let began = Instant::now();
        let outcome = self.stream().read(&mut [0; 1024]);
        let shown = |count: &usize| match count {
            0 => "end".to_owned(),
            count => count.to_string(),
        };
        self.log("read", shown, outcome, began);
    }

    /// Reads in pieces until `count` bytes have come; logs the sum.
    pub fn read_pieces(&mut self, piece: usize, count: usize) {
        let began = Instant::now();
        let mut sum = 0;
        let mut buf = vec![0; piece];
        let outcome = loop {
            match self.stream().read(&mut buf) {
                Ok(0) => break Ok(sum),
                Ok(read) => sum += read,
                Err(error) => break Err(error),
            }
            if sum >= count {
                break Ok(sum);
            }
        };
        self.log("pieces", usize::to_string, outcome, began);
    }

    /// One write of four bytes.
    pub fn write(&mut self) {
        let began = Instant::now();
        let outcome = self.stream().write(b"four");
        self.log("write", usize::to_string, outcome, began);
    }

    /// Waits, twenty seconds at most, until the peer's reset has come. Nothing is read, so nobody is told of it.
    pub fn await_reset(&mut self) {
        let fd = match self.stream() {
            Stream::Tls(tls) => tls.as_fd(),
            Stream::Tcp(tcp) => tcp.as_fd(),
        };
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            // Errors and hang-ups are reported unasked.
            let mut entry = [PollFd::new(&fd, PollFlags::empty())];
            let now = Timespec::default();
            if poll(&mut entry, Some(&now)).is_ok_and(|n| n > 0) {
                return;
            }
            green::thread::sleep(Duration::from_millis(1));
        }
    }

    /// One write of this much, as a whole.
    pub fn write_all(&mut self, count: usize) {
        let data = vec![7; count];
        let began = Instant::now();
        let outcome = self.stream().write_all(&data);
        self.log("write_all", |()| "ok".to_owned(), outcome, began);
    }

    /// Writes this much, again and again until the peer says that it has seen us wait; logs the last one.
    pub fn write_all_until_ready(&mut self, count: usize) {
        loop {
            self.write_all(count);
            if self.ready.try_acquire() {
                break;
            }
            self.log.pop();
        }
    }

    /// Writes until it fails.
    pub fn write_until_error(&mut self) {
        let began = Instant::now();
        let outcome = loop {
            match self.stream().write(b"four") {
                Ok(_) => greenhub::green_thread::sleep(Duration::from_millis(1)),
                Err(error) => break Err::<(), _>(error),
            }
        };
        self.log("write", |()| String::new(), outcome, began);
    }

    /// Ends our direction; that may wait.
    pub fn shutdown_write(&mut self) {
        let began = Instant::now();
        let outcome = self.tls().shutdown_write();
        self.log("shutdown_write", |()| "ok".to_owned(), outcome, began);
    }

    pub fn unwrap(&mut self, limit: Duration) {
        let Some(Stream::Tls(tls)) = self.stream.take() else {
            panic!("not TLS");
        };
        let began = Instant::now();
        let outcome = tls.unwrap(Some(limit));
        let shown = |cleanly: &bool| match cleanly {
            true => "clean".to_owned(),
            false => "left".to_owned(),
        };
        let outcome = outcome.map(|unwrapped| unwrapped.peer_closed_cleanly);
        self.log("unwrap", shown, outcome, began);
    }

    /// Closes; that must not wait.
    pub fn close(&mut self) {
        let began = Instant::now();
        self.stream().close();
        let took = began.elapsed();
        self.slowest = self.slowest.max(took);
        self.note(if took < AT_ONCE {
            "close at once".to_owned()
        } else {
            format!("close {took:?}")
        });
    }

    /// Drops the stream, if it is the last handle; that must not wait.
    pub fn drop_stream(&mut self) {
        let began = Instant::now();
        self.stream = None;
        let took = began.elapsed();
        self.note(if took < AT_ONCE {
            "drop at once".to_owned()
        } else {
            format!("drop {took:?}")
        });
    }

    /// Waits until the peer has done its part.
    pub fn await_ready(&self) {
        assert!(
            self.ready.acquire(Deadline::after(Duration::from_secs(20))),
            "the peer was never ready"
        );
    }

    pub fn go(&self) {
        self.go.release();
    }

    pub fn read_limit(&self, millis: u64) {
        let limit = Some(Duration::from_millis(millis));
        self.stream().socket().set_read_timeout(limit).unwrap();
    }

    pub fn write_limit(&self, millis: u64) {
        let limit = Some(Duration::from_millis(millis));
        self.stream().socket().set_write_timeout(limit).unwrap();
    }
}

/// An error as the table shows it.
pub fn named(error: &io::Error) -> String {
    match (SslError::of(error), ClosedLocally::caused(error)) {
        (Some(inner), _) => format!("{:?}({:?})", error.kind(), inner.reason()),
        (None, true) => "closed locally".to_owned(),
        (None, false) => format!("{:?}", error.kind()),
    }
}
