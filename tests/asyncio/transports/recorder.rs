//! A protocol that writes down what it is told, and checks the order of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use green::asyncio::{Future, Protocol, Transport};
use green::channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// One call of a protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    Made,
    Data(Vec<u8>),
    Eof,
    /// With the error's kind and text.
    Lost(Option<(io::ErrorKind, String)>),
    Paused,
    Resumed,
}

/// What the protocol is to do about a call.
pub type Act = Box<dyn FnMut(&Call, &Transport) -> io::Result<bool> + Send>;

/// Writes every call down.
pub struct Recorder {
    pub transport: Option<Transport>,
    told: Future<Transport>,
    calls: Sender<Call>,
    log: Arc<Mutex<Vec<Call>>>,
    lost: Future<()>,
    act: Act,
}

/// The other end of a recorder.
#[derive(Clone)]
pub struct Record {
    /// The transport, once there is one.
    pub transport: Future<Transport>,
    calls: Receiver<Call>,
    log: Arc<Mutex<Vec<Call>>>,
    lost: Future<()>,
}

/// A recorder that does nothing by itself.
pub fn recorder() -> (Recorder, Record) {
    recorder_that(|_, _| Ok(false))
}

pub fn recorder_that(
    act: impl FnMut(&Call, &Transport) -> io::Result<bool> + Send + 'static,
) -> (Recorder, Record) {
    let (sender, receiver) = unbounded();
    let (log, lost) = (Arc::<Mutex<Vec<Call>>>::default(), Future::new());
    let told = Future::new();
    let record = Record {
        transport: told.clone(),
        calls: receiver,
        log: log.clone(),
        lost: lost.clone(),
    };
    let recorder = Recorder {
        transport: None,
        told,
        calls: sender,
        log,
        lost,
        act: Box::new(act),
    };
    (recorder, record)
}

impl Recorder {
    fn note(&mut self, call: Call) -> io::Result<bool> {
        self.log.lock().push(call.clone());
        let _ = self.calls.send(call.clone());
        let transport = self.transport.as_ref().expect("connection_made came first");
        (self.act)(&call, transport)
    }
}

impl Protocol for Recorder {
    fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
        assert!(self.transport.is_none(), "connection_made came twice");
        self.transport = Some(transport.clone());
        let _ = self.told.set_result(transport);
        self.note(Call::Made).map(drop)
    }

    fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
        self.note(Call::Data(data.to_vec())).map(drop)
    }

    fn eof_received(&mut self) -> io::Result<bool> {
        self.note(Call::Eof)
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        let error = error.map(|error| (error.kind(), error.to_string()));
        let _ = self.note(Call::Lost(error));
        self.lost
            .set_result(())
            .expect("connection_lost came twice");
    }

    fn pause_writing(&mut self) {
        let _ = self.note(Call::Paused);
    }

    fn resume_writing(&mut self) {
        let _ = self.note(Call::Resumed);
    }
}

impl Record {
    /// The next call.
    pub fn next(&self) -> Call {
        self.calls.recv_timeout(PATIENCE).expect("another call")
    }

    /// Waits for `connection_lost`, and gives all calls, with pieces of data put together.
    pub fn all(&self) -> Vec<Call> {
        self.lost.wait(Some(PATIENCE)).expect("connection_lost");
        let mut all: Vec<Call> = Vec::new();
        for call in self.log.lock().iter() {
            match (all.last_mut(), call) {
                (Some(Call::Data(before)), Call::Data(data)) => before.extend(data),
                _ => all.push(call.clone()),
            }
        }
        check_order(&all);
        all
    }

    /// The calls until now.
    pub fn so_far(&self) -> Vec<Call> {
        self.log.lock().clone()
    }

    /// Whether `connection_lost` is still to come.
    pub fn is_open(&self) -> bool {
        !self.lost.done()
    }

    /// What `connection_lost` was told.
    pub fn verdict(&self) -> Option<io::ErrorKind> {
        match self.all().pop() {
            Some(Call::Lost(error)) => error.map(|(kind, _)| kind),
            other => panic!("{other:?} after connection_lost"),
        }
    }
}

/// `connection_made`, data, perhaps an end, `connection_lost`; pauses and resumptions in turn.
fn check_order(calls: &[Call]) {
    assert_eq!(calls.first(), Some(&Call::Made), "{calls:?}");
    assert!(matches!(calls.last(), Some(Call::Lost(_))), "{calls:?}");
    let count = |wanted: fn(&Call) -> bool| calls.iter().filter(|call| wanted(call)).count();
    assert_eq!(count(|call| *call == Call::Made), 1, "{calls:?}");
    assert_eq!(count(|call| matches!(call, Call::Lost(_))), 1, "{calls:?}");
    assert!(count(|call| *call == Call::Eof) <= 1, "{calls:?}");
    if let Some(end) = calls.iter().position(|call| *call == Call::Eof) {
        let after = &calls[end..];
        assert!(
            !after.iter().any(|call| matches!(call, Call::Data(_))),
            "{calls:?}"
        );
    }
    let marks = calls
        .iter()
        .filter(|call| matches!(call, Call::Paused | Call::Resumed));
    for (number, mark) in marks.enumerate() {
        let expected = if number % 2 == 0 {
            Call::Paused
        } else {
            Call::Resumed
        };
        assert_eq!(*mark, expected, "{calls:?}");
    }
}
